// Chains, on a manifest made by hand: two parts, a skip connection, a value that is passed through, friendly names.
#include "lib/split/chain.h"

#include <onnx/onnx_pb.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>

#include "lib/model/model.h"
#include "lib/runtime/npy.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/split/runner.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using Shape = std::vector<int64_t>;

// x -> first: a = Relu(x), b = Neg(x) -> second: y = a + b + x; also gives x itself. `unread` is read by no part.
constexpr const char* kFirst = "g (float[n,2] x) => (float[n,2] a, float[n,2] b) { a = Relu(x) b = Neg(x) }";
constexpr const char* kSecond =
    "g (float[n,2] a, float[n,2] b, float[n,2] x) => (float[n,2] y, float[n,2] x) { t = Add(a, b) y = Add(t, x) }";

Backend& Runtime() {
  static const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  return **backend;
}

ManifestTensor Value(const std::string& name, const std::string& from, std::vector<std::string> to = {},
                     bool model_output = false) {
  return {name, "float32", std::vector<Dim>{{std::nullopt, "n"}, {2, ""}}, from, std::move(to), model_output};
}

class TwoParts {
 public:
  TwoParts() {
    Save("first.onnx", kFirst);
    Save("second.onnx", kSecond);
    manifest.source_file = "m.onnx";
    manifest.inputs = {Value("x", ""), Value("unread", "")};
    manifest.outputs = {"x", "y"};
    manifest.parts.resize(2);
    manifest.parts[0] = {"first", "first.onnx", Digest("first.onnx"), "", "cpu", {}, {}};
    manifest.parts[0].inputs = {Value("x", "input")};
    manifest.parts[0].outputs = {Value("a", "", {"second"}), Value("b", "", {"second"})};
    manifest.parts[1] = {"second", "second.onnx", Digest("second.onnx"), "", "cpu", {}, {}};
    manifest.parts[1].inputs = {Value("a", "first"), Value("b", "first"), Value("x", "input")};
    manifest.parts[1].outputs = {Value("y", "", {}, true), Value("x", "", {}, true)};
  }

  void Save(const std::string& file, const char* graph) const {
    std::ofstream(folder / file, std::ios::binary) << testing::ParseGraph(graph).SerializeAsString();
  }
  std::string Digest(const std::string& file) const { return *SkeletonDigest(folder / file); }
  absl::StatusOr<std::unique_ptr<Chain>> Open(const ChainOptions& options = {}) const {
    std::ofstream(folder / "manifest.json") << PrintManifest(manifest);
    return Chain::Open(folder / "manifest.json", Runtime(), options);
  }
  std::string OpenError(absl::StatusCode code, const ChainOptions& options = {}) const {
    const absl::Status status = Open(options).status();
    CHECK(status.code() == code);
    return std::string(Message(status));
  }

  testing::TemporaryFolder folder;
  Manifest manifest;
};

HostTensor Floats(Shape shape, const std::vector<float>& values) {
  absl::StatusOr<HostTensor> tensor = HostTensor::Create(onnx::TensorProto::FLOAT, std::move(shape));
  REQUIRE(tensor.ok());
  REQUIRE(tensor->bytes().size() == values.size() * sizeof(float));
  if (!values.empty()) {
    std::memcpy(tensor->mutable_bytes().data(), values.data(), tensor->bytes().size());
  }
  return *std::move(tensor);
}
std::vector<float> Values(const HostTensor& tensor) { return {tensor.As<float>().begin(), tensor.As<float>().end()}; }

TEST_CASE("parts are fed by the model and by earlier parts") {
  const TwoParts parts;
  std::vector<std::string> said;
  ChainOptions options;
  options.progress = [&](const std::string& what) { said.push_back(what); };
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open(options);
  INFO(chain.status().ToString());
  REQUIRE(chain.ok());
  REQUIRE((*chain)->inputs().size() == 1);
  CHECK(DescribeSpec((*chain)->inputs()[0]) == "float32 [n,2]");
  std::vector<std::string> seen;
  const NamedTensors feeds = {{"x", Floats({1, 2}, {3, -4})}};
  const absl::StatusOr<NamedTensors> outputs = (*chain)->Run(feeds, [&](const PartRun& run) {
    seen.push_back(fmt::format("{} {} {}", run.part, run.inputs.size(), run.outputs.size()));
    CHECK(run.seconds > 0);
    return absl::OkStatus();
  });
  REQUIRE(outputs.ok());
  CHECK(outputs->size() == 2);
  CHECK(Values(outputs->at("y")) == std::vector<float>{3, 0});
  CHECK(Values(outputs->at("x")) == std::vector<float>{3, -4});
  CHECK(seen == std::vector<std::string>{"first 1 2", "second 3 2"});
  CHECK(said == std::vector<std::string>{"opening first", "opening second", "running first", "running second"});

  CHECK((*chain)->Run({{"x", Floats({0, 2}, {})}}, nullptr)->at("y").shape() == Shape{0, 2});
  CHECK((*chain)->Run({{"x", feeds.at("x")}, {"unread", feeds.at("x")}}, nullptr).ok());
  CHECK(Message((*chain)->Run({}, nullptr).status()) == "input 'x' (float32 [n,2]) is missing; give a value for it");
  CHECK(Message((*chain)->Run(feeds, [](const PartRun&) { return InvalidArgument("enough"); }).status()) == "enough");

  const absl::StatusOr<PartRun> alone = (*chain)->RunPart(0, feeds);
  REQUIRE(alone.ok());
  CHECK(Values(alone->outputs.at("b")) == std::vector<float>{-3, 4});
  CHECK(Message((*chain)->RunPart(1, feeds).status()) ==
        "part 'second': input 'a' (float32 [n,2]) is missing; give a value for it");
}

TEST_CASE("friendly names stay inside the chain") {
  TwoParts parts;
  parts.Save("first.onnx",
             "g (float[n,2] pixels) => (float[n,2] a, float[n,2] b) { a = Relu(pixels) b = Neg(pixels) }");
  parts.Save("second.onnx",
             "g (float[n,2] a, float[n,2] b, float[n,2] pixels) => (float[n,2] sum, float[n,2] pixels) "
             "{ t = Add(a, b) sum = Add(t, pixels) }");
  parts.manifest.aliased = true;
  parts.manifest.aliases = {{"pixels", "x"}, {"sum", "y"}, {"a", "/somewhere/else"}};
  for (size_t i = 0; i < 2; ++i) {
    parts.manifest.parts[i].digest = parts.Digest(parts.manifest.parts[i].file);
  }
  parts.manifest.parts[0].inputs[0].name = "pixels";
  parts.manifest.parts[1].inputs[2].name = "pixels";
  parts.manifest.parts[1].outputs[0].name = "sum";
  parts.manifest.parts[1].outputs[1].name = "pixels";
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
  INFO(chain.status().ToString());
  REQUIRE(chain.ok());
  CHECK((*chain)->inputs()[0].name == "x");
  const absl::StatusOr<NamedTensors> outputs = (*chain)->Run({{"x", Floats({1, 2}, {3, -4})}}, nullptr);
  REQUIRE(outputs.ok());
  CHECK(Values(outputs->at("y")) == std::vector<float>{3, 0});
  CHECK(Values(outputs->at("x")) == std::vector<float>{3, -4});
}

TEST_CASE("a part that takes its rows in fixed numbers is called as often as they need") {
  for (const int64_t size : {1, 3}) {
    TwoParts parts;
    const std::string fixed =
        fmt::format("g (float[{0},2] x) => (float[{0},2] a, float[{0},2] b) {{ a = Relu(x) b = Neg(x) }}", size);
    parts.Save("first.onnx", fixed.c_str());
    parts.manifest.parts[0].digest = parts.Digest("first.onnx");
    parts.manifest.parts[0].batching = ManifestBatching{.size = size, .inputs = {"x"}, .outputs = {"a", "b"}};
    for (auto* tensors : {&parts.manifest.parts[0].inputs, &parts.manifest.parts[0].outputs}) {
      for (ManifestTensor& tensor : *tensors) {
        tensor.shape = std::vector<Dim>{{size, ""}, {2, ""}};
      }
    }
    const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
    INFO(chain.status().ToString());
    REQUIRE(chain.ok());
    for (const int64_t rows : {0, 1, 2, 3, 4, 7}) {
      CAPTURE(size, rows);
      std::vector<float> x(static_cast<size_t>(rows) * 2);
      for (size_t i = 0; i < x.size(); ++i) {
        x[i] = (i % 2 == 0 ? 1.F : -1.F) * static_cast<float>(i + 1);
      }
      int64_t calls = -1;
      const absl::StatusOr<NamedTensors> outputs =
          (*chain)->Run({{"x", Floats({rows, 2}, x)}}, [&](const PartRun& run) {
            calls = run.part == "first" ? run.calls : calls;
            return absl::OkStatus();
          });
      INFO(outputs.status().ToString());
      REQUIRE(outputs.ok());
      CHECK(calls == (rows + size - 1) / size);
      CHECK(outputs->at("y").shape() == Shape{rows, 2});
      std::vector<float> y;  // relu(x) - x + x
      for (const float value : x) {
        y.push_back(std::max(value, 0.F));
      }
      CHECK(Values(outputs->at("y")) == y);
    }
  }
}

TEST_CASE("a value that crosses may be fed, if it fits") {
  const TwoParts parts;
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
  REQUIRE(chain.ok());
  const HostTensor x = Floats({1, 2}, {3, -4});
  const HostTensor a = Floats({1, 2}, {10, 20});
  const HostTensor b = Floats({1, 2}, {1, 2});
  std::vector<std::string> ran;
  const auto note = [&](const PartRun& run) {
    ran.push_back(run.part);
    return absl::OkStatus();
  };
  const absl::StatusOr<NamedTensors> both = (*chain)->Run({{"x", x}, {"a", a}, {"b", b}}, note);
  INFO(both.status().ToString());
  REQUIRE(both.ok());
  CHECK(Values(both->at("y")) == std::vector<float>{14, 18});
  CHECK(ran == std::vector<std::string>{"second"});  // nothing of the first is wanted
  ran.clear();
  const absl::StatusOr<NamedTensors> one = (*chain)->Run({{"x", x}, {"a", a}}, note);
  REQUIRE(one.ok());
  CHECK(Values(one->at("y")) == std::vector<float>{10, 20});  // a - x + x
  CHECK(ran == std::vector<std::string>{"first", "second"});

  const auto refused = [&](const NamedTensors& feeds) {
    const absl::Status status = (*chain)->Run(feeds, nullptr).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    return std::string(Message(status));
  };
  CHECK(refused({{"x", x}, {"a", Floats({1, 3}, {1, 2, 3})}}).find("input 'a' must have 2 at dimension 1") !=
        std::string::npos);
  CHECK(refused({{"x", x}, {"a", Floats({2}, {1, 2})}}).find("'a'") != std::string::npos);
  const absl::StatusOr<HostTensor> integers = HostTensor::Create(onnx::TensorProto::INT64, {1, 2});
  REQUIRE(integers.ok());
  CHECK(refused({{"x", x}, {"a", *integers}}).find("'a'") != std::string::npos);
  // A result of the model is none that crosses.
  CHECK(refused({{"x", x}, {"y", a}}).find("'y'") != std::string::npos);
}

TEST_CASE("a part that was changed, is missing or doesn't fit is named") {
  TwoParts parts;
  const std::string folder = parts.folder.path().string();
  parts.Save("first.onnx", "g (float[n,2] x) => (float[n,2] a, float[n,2] b) { a = Abs(x) b = Neg(x) }");
  const std::string changed = parts.OpenError(absl::StatusCode::kFailedPrecondition);
  CHECK(changed.starts_with("part 'first' ('" + folder + "/first.onnx') was changed after the split: its digest is "));
  CHECK(changed.find("--replace first=") != std::string::npos);
  ChainOptions unchecked;
  unchecked.check_digests = false;
  CHECK(parts.Open(unchecked).ok());

  std::filesystem::remove(parts.folder / "first.onnx");
  CHECK(parts.OpenError(absl::StatusCode::kNotFound) ==
        "the file '" + folder + "/first.onnx' of part 'first' is missing; split the model again, or put it back");
  std::filesystem::create_symlink(testing::TinyModel(), parts.folder / "first.onnx");
  parts.OpenError(absl::StatusCode::kInvalidArgument);  // leads out of the folder
}

TEST_CASE("a replacement is checked before it runs") {
  const TwoParts parts;
  parts.Save("good.onnx", "g (float[m,2] x) => (float[m,2] a, float[m,2] b) { a = Abs(x) b = Neg(x) }");
  ChainOptions options;
  options.replace = {{"first", parts.folder / "good.onnx"}};
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open(options);
  INFO(chain.status().ToString());
  REQUIRE(chain.ok());
  CHECK(Values((*chain)->Run({{"x", Floats({1, 2}, {3, -4})}}, nullptr)->at("y")) == std::vector<float>{3, 4});

  parts.Save("bad.onnx", "g (double[n,2] x, float z) => (double[n,2] a, float c) { a = Abs(x) c = Neg(z) }");
  options.replace = {{"first", parts.folder / "bad.onnx"}};
  const std::string bad = parts.OpenError(absl::StatusCode::kFailedPrecondition, options);
  CHECK(bad == "'" + (parts.folder / "bad.onnx").string() +
                   "' doesn't fit as part 'first': its input 'x' is float64 [n,2], not float32 [n,2]; it has an input "
                   "'z' that the manifest doesn't know; its output 'a' is float64 [n,2], not float32 [n,2]; it has no "
                   "output 'b'; it has an output 'c' that the manifest doesn't know");
  options.replace = {{"frist", parts.folder / "good.onnx"}};
  CHECK(parts.OpenError(absl::StatusCode::kNotFound, options)
            .ends_with("has no part 'frist' to replace; did you mean "
                       "'first'?"));
}

TEST_CASE("a boundary that is no tensor is refused at once") {
  TwoParts parts;
  parts.manifest.parts[0].outputs[0].dtype = "sequence(float32)";
  CHECK(parts.OpenError(absl::StatusCode::kInvalidArgument) ==
        "'a', at the edge of part 'first', is a sequence(float32); a chain hands on tensors only, so cut the model "
        "elsewhere");
}

TEST_CASE("runs are timed, and dumped part by part") {
  const TwoParts parts;
  REQUIRE(parts.Open().ok());
  const absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Open(parts.folder.path(), Runtime(), {});
  REQUIRE(runner.ok());
  CHECK((*runner)->output_names() == std::vector<std::string>{"x", "y"});
  RunOptions options;
  options.runs = 3;
  options.warmup = 1;
  options.dump_parts = parts.folder / "dump";
  const NamedTensors feeds = {{"x", Floats({1, 2}, {3, -4})}};
  const absl::StatusOr<RunReport> report = RunTimed(**runner, feeds, options);
  REQUIRE(report.ok());
  CHECK(report->seconds.size() == 3);
  REQUIRE(report->parts.size() == 2);
  CHECK(report->parts[1].first == "second");
  CHECK(report->parts[1].second.size() == 3);
  CHECK(Values(*ReadTensorFile(parts.folder / "dump/second/b.npy")) == std::vector<float>{-3, 4});
  CHECK(Values(*ReadTensorFile(parts.folder / "dump/second/y.npy")) == std::vector<float>{3, 0});

  const absl::StatusOr<std::unique_ptr<Runner>> model = Runner::Open(parts.folder / "first.onnx", Runtime(), {});
  REQUIRE(model.ok());
  CHECK(Message(RunTimed(**model, feeds, options).status()) ==
        "a model has no parts to dump; give the manifest.json of a split");
  CHECK(Median({3, 1, 2}) == 2);
  CHECK(Median({4, 1, 2, 3}) == 2.5);
  CHECK(Minimum({4, 1, 2}) == 1);
}

}  // namespace
}  // namespace gomai
