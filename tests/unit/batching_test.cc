// Rows in fixed numbers: what can be fixed, and calls on every number of rows around it.
#include "lib/split/batching.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "lib/model/save.h"
#include "lib/split/chain.h"
#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::LoadText;

// Each row times 2, and its sum; a second input that isn't a list is added.
constexpr const char* kRows = R"(
  g (float[n, 3] x, float[3] shift) => (float[n, 3] y, float[n] z)
  <float two = {2}, int64[1] last = {1}>
  { a = Mul(x, two) y = Add(a, shift) z = ReduceSum<keepdims = 0>(y, last) })";

HostTensor Floats(const std::vector<int64_t>& shape, float first) {
  absl::StatusOr<HostTensor> tensor = HostTensor::Create(onnx::TensorProto::FLOAT, shape);
  REQUIRE(tensor.ok());
  auto* values = reinterpret_cast<float*>(tensor->mutable_bytes().data());
  for (int64_t i = 0; i < tensor->count(); ++i) {
    values[i] = first + static_cast<float>(i);
  }
  return *tensor;
}

std::unique_ptr<Session> Open(const Model& model) {
  const absl::StatusOr<std::string> bytes = SerializeInline(model);
  REQUIRE(bytes.ok());
  absl::StatusOr<std::unique_ptr<Session>> session = testing::RuntimeOrSkip().OpenBytes(*bytes, {});
  INFO(session.status().ToString());
  REQUIRE(session.ok());
  return *std::move(session);
}

TEST_CASE("rows are fixed in inputs, outputs and what is declared between") {
  Model model = LoadText(R"(
    g (float[n, 3] x) => (float[n, 3] y)
    <float two = {2}, float[n, 3] a>
    { a = Mul(x, two) y = Relu(a) })");
  const absl::StatusOr<ManifestBatching> batching = FixRows(model, 5);
  INFO(batching.status().ToString());
  REQUIRE(batching.ok());
  CHECK(batching->size == 5);
  CHECK(batching->inputs == std::vector<std::string>{"x"});
  CHECK(batching->outputs == std::vector<std::string>{"y"});
  const onnx::GraphProto& graph = model.proto().graph();
  CHECK(graph.input(0).type().tensor_type().shape().dim(0).dim_value() == 5);
  CHECK(graph.output(0).type().tensor_type().shape().dim(0).dim_value() == 5);
  CHECK(graph.value_info(0).type().tensor_type().shape().dim(0).dim_value() == 5);
}

TEST_CASE("a default value isn't a list") {
  Model model = LoadText("g (float[n, 3] x, float[m] d) => (float[n, 3] y) <float[1] d = {2}> { y = Mul(x, d) }");
  model.mutable_proto().mutable_graph()->mutable_initializer(0)->set_name("d");
  const absl::StatusOr<ManifestBatching> batching = FixRows(model, 5);
  INFO(batching.status().ToString());
  REQUIRE(batching.ok());
  CHECK(batching->inputs == std::vector<std::string>{"x"});
}

TEST_CASE("what isn't one row for each row is refused") {
  const auto refused = [](const char* graph, int64_t size) {
    Model model = LoadText(graph);
    return std::string(Message(FixRows(model, size).status()));
  };
  CHECK(refused("g (float[n, 3] x) => (float[1, 3] y) <int64[1] first = {0}> { y = ReduceSum(x, first) }", 4)
            .find("its output 'y' has the shape 1x3 for 4 rows and 1x3 for 5") != std::string::npos);
  CHECK(refused("g (float[n, 4] x) => (float[m, 2] y) <int64[2] to = {-1, 2}> { y = Reshape(x, to) }", 4)
            .find("8x2 for 4 rows and 10x2 for 5") != std::string::npos);
  CHECK(refused("g (float[n, 4] x) => (float[4, n] y) { y = Transpose(x) }", 4).find("'y'") != std::string::npos);
  CHECK(refused("g (float[2, 4] x) => (float[2, 4] y) { y = Relu(x) }", 4).find("no input") != std::string::npos);
  CHECK(refused("g (string[n] x) => (string[n] y) { y = Identity(x) }", 4).find("holds string") != std::string::npos);
  CHECK(refused("g (float[n] x) => (string[n] y) { y = Cast<to = 8>(x) }", 4).find("holds string") !=
        std::string::npos);
  CHECK(refused(kRows, 0).find("out of range") != std::string::npos);
  CHECK(refused(kRows, INT64_MAX).find("out of range") != std::string::npos);
}

TEST_CASE("as many calls as the rows need, and no padding in the results") {
  Model model = LoadText(kRows);
  // Only x is a list: shift has a fixed axis.
  const absl::StatusOr<ManifestBatching> batching = FixRows(model, 4);
  INFO(batching.status().ToString());
  REQUIRE(batching.ok());
  const std::unique_ptr<Session> session = Open(model);
  const HostTensor shift = Floats({3}, 10);
  for (const int64_t rows : {0, 1, 3, 4, 5, 8, 12, 13}) {
    INFO(rows << " rows");
    const HostTensor x = Floats({rows, 3}, 1);
    absl::StatusOr<BatchedRun> run = RunRows(*session, *batching, {{"x", x}, {"shift", shift}});
    INFO(run.status().ToString());
    REQUIRE(run.ok());
    CHECK(run->calls == (rows + 3) / 4);
    const HostTensor& y = run->outputs.at("y");
    const HostTensor& z = run->outputs.at("z");
    REQUIRE(y.shape() == std::vector<int64_t>{rows, 3});
    REQUIRE(z.shape() == std::vector<int64_t>{rows});
    for (int64_t i = 0; i < rows; ++i) {
      float sum = 0;
      for (int64_t j = 0; j < 3; ++j) {
        const auto at = static_cast<size_t>(i * 3 + j);
        const float wanted = 2 * (1 + static_cast<float>(at)) + 10 + static_cast<float>(j);
        CHECK(y.As<float>()[at] == wanted);
        sum += wanted;
      }
      CHECK(z.As<float>()[static_cast<size_t>(i)] == sum);
    }
  }
}

TEST_CASE("small types, and lists of which more than the rows is open") {
  Model model = LoadText("g (int8[n, w] x) => (bool[n, w] y) <int8 zero = {0}> { y = Greater(x, zero) }");
  const absl::StatusOr<ManifestBatching> batching = FixRows(model, 2);
  INFO(batching.status().ToString());
  REQUIRE(batching.ok());
  const std::unique_ptr<Session> session = Open(model);
  for (const int64_t rows : {0, 1, 5}) {
    absl::StatusOr<HostTensor> x = HostTensor::Create(onnx::TensorProto::INT8, {rows, 7});
    REQUIRE(x.ok());
    for (size_t i = 0; i < x->mutable_bytes().size(); ++i) {
      x->mutable_bytes()[i] = static_cast<uint8_t>(i % 3);
    }
    const absl::StatusOr<BatchedRun> run = RunRows(*session, *batching, {{"x", *x}});
    INFO(run.status().ToString());
    REQUIRE(run.ok());
    const HostTensor& y = run->outputs.at("y");
    REQUIRE(y.shape() == std::vector<int64_t>{rows, 7});
    for (size_t i = 0; i < y.bytes().size(); ++i) {
      CHECK(y.bytes()[i] == (i % 3 > 0 ? 1 : 0));
    }
  }
}

TEST_CASE("lists of unequal length are refused, and so is a list that is missing") {
  Model model = LoadText("g (float[n, 2] a, float[n, 2] b) => (float[n, 2] y) { y = Add(a, b) }");
  const absl::StatusOr<ManifestBatching> batching = FixRows(model, 2);
  REQUIRE(batching.ok());
  const std::unique_ptr<Session> session = Open(model);
  const auto unequal = RunRows(*session, *batching, {{"a", Floats({5, 2}, 0)}, {"b", Floats({3, 2}, 0)}});
  CHECK(Message(unequal.status()) == "the inputs 'a' and 'b' have 5 and 3 rows; they go together row by row");
  const auto missing = RunRows(*session, *batching, {{"a", Floats({5, 2}, 0)}});
  CHECK(Message(missing.status()) == "the input 'b' is missing");
}

}  // namespace
}  // namespace gomai
