// ONNX Runtime as a backend: the tiny Mask R-CNN and small models for every kind of value; what is refused, and how.
#include <onnx/onnx_pb.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>

#include "lib/runtime/onnxruntime.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using onnx::TensorProto;
using Shape = std::vector<int64_t>;

Backend& Runtime() {
  static const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  return **backend;
}

std::unique_ptr<Session> OpenGraph(const char* graph) {
  absl::StatusOr<std::unique_ptr<Session>> session =
      Runtime().OpenBytes(testing::ParseGraph(graph).SerializeAsString(), {});
  INFO(session.status().ToString());
  REQUIRE(session.ok());
  return *std::move(session);
}

template <typename T>
HostTensor Tensor(int dtype, Shape shape, const std::vector<T>& values) {
  absl::StatusOr<HostTensor> tensor = HostTensor::Create(dtype, std::move(shape));
  REQUIRE(tensor.ok());
  REQUIRE(tensor->bytes().size() == values.size() * sizeof(T));
  if (!values.empty()) {
    std::memcpy(tensor->mutable_bytes().data(), values.data(), tensor->bytes().size());
  }
  return *std::move(tensor);
}
HostTensor Floats(Shape shape, const std::vector<float>& values) {
  return Tensor(TensorProto::FLOAT, std::move(shape), values);
}

std::string RunError(Session& session, const NamedTensors& feeds, const std::vector<std::string>& outputs = {}) {
  const absl::StatusOr<NamedTensors> result = session.Run(feeds, outputs);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(Message(result.status()));
}

TEST_CASE("the tiny Mask R-CNN runs, with and without detections") {
  SessionOptions options;
  options.threads = 2;
  const absl::StatusOr<std::unique_ptr<Session>> session = Runtime().Open(testing::TinyModel(), options);
  REQUIRE(session.ok());
  REQUIRE((*session)->inputs().size() == 1);
  CHECK(DescribeSpec((*session)->inputs()[0]) == "float32 [3,height,width]");
  const ValueSpec& image = (*session)->inputs()[0];
  const absl::StatusOr<HostTensor> noise = RandomTensor(image, 3, {3, 128, 192});
  const absl::StatusOr<NamedTensors> some = (*session)->Run({{"image", *noise}}, {});
  REQUIRE(some.ok());
  CHECK(some->at("boxes").shape().at(0) > 0);
  CHECK(some->at("masks").shape().at(3) == 192);
  const absl::StatusOr<NamedTensors> again = (*session)->Run({{"image", *noise}}, {"scores"});
  REQUIRE(again.ok());
  CHECK(again->size() == 1);
  CHECK(std::memcmp(again->at("scores").bytes().data(), some->at("scores").bytes().data(),
                    some->at("scores").bytes().size()) == 0);

  // Values far outside of an image's give no detection: zero-row tensors all the way down.
  absl::StatusOr<HostTensor> wild = HostTensor::Create(TensorProto::FLOAT, {3, 128, 192});
  float* values = reinterpret_cast<float*>(wild->mutable_bytes().data());
  for (size_t i = 0; i < noise->As<float>().size(); ++i) {
    values[i] = (noise->As<float>()[i] - 0.5F) * 28;
  }
  const absl::StatusOr<NamedTensors> none = (*session)->Run({{"image", *wild}}, {});
  INFO(none.status().ToString());
  REQUIRE(none.ok());
  CHECK(none->at("boxes").shape() == Shape{0, 4});
  CHECK(none->at("masks").shape() == Shape{0, 1, 128, 192});

  // A node that fails is named.
  const absl::StatusOr<NamedTensors> failed = (*session)->Run({{"image", *HostTensor::Create(1, {3, 0, 8})}}, {});
  CHECK(failed.status().code() == absl::StatusCode::kInternal);
  CHECK(Message(failed.status()).find("Name:'/") != std::string_view::npos);
}

TEST_CASE("feeds are checked in the model's own words") {
  const std::unique_ptr<Session> session =
      OpenGraph("g (float[2,n] image, int64 count) => (float[2,n] y, int64 c) { y = Relu(image) c = Identity(count) }");
  const HostTensor image = Floats({2, 1}, {1, -1});
  const HostTensor count = Tensor<int64_t>(TensorProto::INT64, {}, {4});
  REQUIRE(session->Run({{"image", image}, {"count", count}}, {}).ok());
  CHECK(RunError(*session, {{"imge", image}, {"count", count}}) ==
        "the model has no input 'imge'; did you mean 'image'?");
  CHECK(RunError(*session, {{"image", image}, {"count", count}, {"zzzzzzzzz", count}}) ==
        "the model has no input 'zzzzzzzzz'; it has image, count");
  CHECK(RunError(*session, {{"image", image}}) == "input 'count' (int64 []) is missing; give a value for it");
  CHECK(RunError(*session, {{"image", count}, {"count", count}}) ==
        "input 'image' must be float32, and int64 [] was given");
  CHECK(RunError(*session, {{"image", Floats({2}, {1, 2})}, {"count", count}}) ==
        "input 'image' must have rank 2 (float32 [2,n]), and float32 [2] was given");
  CHECK(RunError(*session, {{"image", Floats({1, 2}, {1, 2})}, {"count", count}}) ==
        "input 'image' must have 2 at dimension 0 (float32 [2,n]), and float32 [1,2] was given");
  // A scalar's rank is known, though the runtime says only that there are no dimensions.
  CHECK(RunError(*session, {{"image", image}, {"count", Tensor<int64_t>(TensorProto::INT64, {1}, {4})}}) ==
        "input 'count' must have rank 0 (int64 []), and int64 [1] was given");
  CHECK(RunError(*session, {{"image", image}, {"count", count}}, {"x"}).starts_with("the model has no output 'x'"));
}

TEST_CASE("zero rows, scalars and passed-through inputs") {
  const std::unique_ptr<Session> session =
      OpenGraph("g (float[n,4] x, float s) => (float[n,4] y, float t, float[n,4] x) { y = Relu(x) t = Neg(s) }");
  const NamedTensors feeds = {{"x", Floats({0, 4}, {})}, {"s", Floats({}, {3})}};
  absl::StatusOr<NamedTensors> outputs = session->Run(feeds, {});
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  CHECK(outputs->at("y").shape() == Shape{0, 4});
  CHECK(outputs->at("t").As<float>()[0] == -3);
  // An output that is an input lies in the feed's memory and outlives the caller's own handle.
  HostTensor kept;
  {
    const absl::StatusOr<NamedTensors> through =
        session->Run({{"x", Floats({1, 4}, {1, 2, 3, 4})}, {"s", Floats({}, {3})}}, {"x"});
    REQUIRE(through.ok());
    kept = through->at("x");
  }
  CHECK(std::vector<float>(kept.As<float>().begin(), kept.As<float>().end()) == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("results outlive the session, also those that are weights") {
  HostTensor weight;
  HostTensor sum;
  {
    const std::unique_ptr<Session> session =
        OpenGraph("g (float[2] x) => (float[2] w, float[2] y) <float[2] w = {5, 6}> { y = Add(x, w) }");
    const absl::StatusOr<NamedTensors> outputs = session->Run({{"x", Floats({2}, {1, 1})}}, {});
    REQUIRE(outputs.ok());
    weight = outputs->at("w");
    sum = outputs->at("y");
  }
  CHECK(weight.As<float>()[1] == 6);
  CHECK(sum.As<float>()[1] == 7);
  CHECK(reinterpret_cast<uintptr_t>(sum.bytes().data()) % 64 == 0);
}

TEST_CASE("an overridable initializer is no input, and may be fed") {
  const std::unique_ptr<Session> session =
      OpenGraph("g (float[2] x, float[2] w = {5, 6}) => (float[2] y) { y = Add(x, w) }");
  REQUIRE(session->inputs().size() == 1);
  const HostTensor x = Floats({2}, {1, 1});
  CHECK(session->Run({{"x", x}}, {})->at("y").As<float>()[0] == 6);
  CHECK(session->Run({{"x", x}, {"w", Floats({2}, {0, 0})}}, {})->at("y").As<float>()[0] == 1);
  CHECK(RunError(*session, {{"x", x}, {"w", Floats({1}, {0})}}) ==
        "input 'w' must have 2 at dimension 0 (float32 [2]), and float32 [1] was given");
}

TEST_CASE("strings go in and out, zeros inside included") {
  const std::unique_ptr<Session> session = OpenGraph("g (string[n] x) => (string[n] y) { y = Identity(x) }");
  const std::vector<std::string> strings = {"a", "", "zwölf", std::string("b\0c", 3)};
  const absl::StatusOr<NamedTensors> outputs = session->Run({{"x", HostTensor::Strings({4}, strings)}}, {});
  REQUIRE(outputs.ok());
  CHECK(outputs->at("y").strings() == strings);
  CHECK(session->Run({{"x", HostTensor::Strings({0}, {})}}, {})->at("y").shape() == Shape{0});
}

TEST_CASE("small types are raw bytes") {
  const std::unique_ptr<Session> session =
      OpenGraph("g (bfloat16[2] b, float16[3] h) => (bfloat16[2] c, float16[3] k) { c = Identity(b) k = Identity(h) }");
  const HostTensor brain = Tensor<uint16_t>(TensorProto::BFLOAT16, {2}, {0x3f80, 0x4000});
  const HostTensor half = Tensor<uint16_t>(TensorProto::FLOAT16, {3}, {1, 2, 3});
  const absl::StatusOr<NamedTensors> outputs = session->Run({{"b", brain}, {"h", half}}, {});
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  CHECK(outputs->at("c").As<uint16_t>()[1] == 0x4000);
  CHECK(outputs->at("k").As<uint16_t>()[2] == 3);
}

TEST_CASE("values that aren't tensors are named") {
  const std::unique_ptr<Session> makes =
      OpenGraph("g (float[2] x) => (seq(float[2]) s) { s = SequenceConstruct(x, x) }");
  CHECK(makes->outputs()[0].type == "sequence(float32)");
  CHECK(RunError(*makes, {{"x", Floats({2}, {1, 2})}}) ==
        "output 's' is a sequence(float32); gomai reads tensors only");
  const std::unique_ptr<Session> takes = OpenGraph("g (seq(float[2]) s) => (int64 n) { n = SequenceLength(s) }");
  CHECK(RunError(*takes, {}) == "input 's' is a sequence(float32); gomai feeds tensors only");
}

TEST_CASE("what can't be opened says why") {
  const testing::TemporaryFolder folder;
  CHECK(Runtime().Open(folder / "none.onnx", {}).status().code() == absl::StatusCode::kNotFound);
  std::ofstream(folder / "junk.onnx") << "junk";
  CHECK(Runtime().Open(folder / "junk.onnx", {}).status().code() == absl::StatusCode::kDataLoss);
  SessionOptions options;
  options.ep = "hexagon";
  const absl::Status unknown = Runtime().Open(testing::TinyModel(), options).status();
  CHECK(unknown.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Message(unknown).find("has no execution provider 'hexagon'; it has cpu") != std::string_view::npos);
  options.ep_library = folder / "none.so";
  CHECK(Message(Runtime().Open(testing::TinyModel(), options).status()).ends_with("none.so' doesn't exist"));
  options = {};
  options.ep_options = {{"a", "b"}};
  CHECK(Message(Runtime().Open(testing::TinyModel(), options).status()) ==
        "the execution provider cpu takes no options; 'a' was given");
  options = {};
  options.ep = "CPUExecutionProvider";
  options.threads = 1;
  options.session_options = {{"session.disable_prepacking", "1"}};
  CHECK(Runtime().Open(testing::TinyModel(), options).ok());
  REQUIRE(Runtime().Providers().ok());
  CHECK(Runtime().Providers()->front() == "cpu");
}

TEST_CASE("a library that isn't there, or isn't ONNX Runtime, is said to be so") {
  OnnxRuntimeOptions options;
  options.library = "/nonexistent/libonnxruntime.so";
  const absl::Status missing = LoadOnnxRuntime(options).status();
  CHECK(missing.code() == absl::StatusCode::kUnavailable);
  CHECK(Message(missing).find("'/nonexistent/libonnxruntime.so'") != std::string_view::npos);
  CHECK(Message(missing).find("run cmake/bootstrap.sh, or name the library with --ort-library") !=
        std::string_view::npos);
  static_cast<void>(Runtime());
  options.library = "libz.so.1";
  const absl::Status other = LoadOnnxRuntime(options).status();
  CHECK(Message(other).find("is not ONNX Runtime: it has no function OrtGetApiBase") != std::string_view::npos);
}

}  // namespace
}  // namespace gomai
