// Chains, on a manifest made by hand: two parts, a skip connection, a value that is passed through, friendly names.
#include "lib/split/chain.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
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

// The second part in calls on `size` rows.
void TakeRows(int64_t size, TwoParts* parts) {
  parts->Save("second.onnx",
              fmt::format("g (float[{0},2] a, float[{0},2] b, float[{0},2] x) => (float[{0},2] y, float[{0},2] x) "
                          "{{ t = Add(a, b) y = Add(t, x) }}",
                          size)
                  .c_str());
  parts->manifest.parts[1].digest = parts->Digest("second.onnx");
  parts->manifest.parts[1].batching = ManifestBatching{.size = size, .inputs = {"a", "b", "x"}, .outputs = {"y", "x"}};
}

// -1, 2, -3, 4, …
HostTensor Zigzag(int64_t rows) {
  std::vector<float> values;
  for (int64_t i = 1; i <= 2 * rows; ++i) {
    values.push_back(static_cast<float>(i % 2 == 0 ? i : -i));
  }
  return Floats({rows, 2}, values);
}

TEST_CASE("a part that takes its rows in fixed numbers is called as often as they need") {
  for (const int64_t size : {1, 3}) {
    TwoParts parts;
    TakeRows(size, &parts);
    const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
    INFO(chain.status().ToString());
    REQUIRE(chain.ok());
    CHECK(DescribeSpec((*chain)->inputs()[0]) == "float32 [n,2]");
    for (const int64_t rows : {int64_t{0}, int64_t{1}, size, size + 1, 3 * size}) {
      CAPTURE(size, rows);
      const HostTensor x = Zigzag(rows);
      std::vector<int64_t> calls;
      const absl::StatusOr<NamedTensors> outputs = (*chain)->Run({{"x", x}}, [&](const PartRun& run) {
        calls.push_back(run.calls);
        return absl::OkStatus();
      });
      INFO(outputs.status().ToString());
      REQUIRE(outputs.ok());
      CHECK(calls == std::vector<int64_t>{1, (rows + size - 1) / size});
      std::vector<float> wanted = Values(x);  // Relu(x) - x + x
      for (float& value : wanted) {
        value = std::max(value, 0.0F);
      }
      CHECK(outputs->at("y").shape() == Shape{rows, 2});
      CHECK(Values(outputs->at("y")) == wanted);
      CHECK(outputs->at("x").shape() == Shape{rows, 2});
      CHECK(Values(outputs->at("x")) == Values(x));
    }
    const HostTensor x = Zigzag(2);
    CHECK(Message((*chain)->Run({{"x", x}, {"a", Zigzag(4)}}, nullptr).status()) ==
          "part 'second': the inputs 'a' and 'b' have 4 and 2 rows; they go together row by row");
    CHECK(Message((*chain)->RunPart(1, {{"a", x}, {"b", x}}).status()) == "part 'second': the input 'x' is missing");
  }
}

TEST_CASE("a list that the model itself is fed has as many rows as it has") {
  TwoParts parts;
  parts.Save("first.onnx", "g (float[3,2] x) => (float[3,2] a, float[3,2] b) { a = Relu(x) b = Neg(x) }");
  parts.manifest.parts[0].digest = parts.Digest("first.onnx");
  parts.manifest.parts[0].batching = ManifestBatching{.size = 3, .inputs = {"x"}, .outputs = {"a", "b"}};
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
  INFO(chain.status().ToString());
  REQUIRE(chain.ok());
  CHECK(DescribeSpec((*chain)->inputs()[0]) == "float32 [?,2]");
  const absl::StatusOr<NamedTensors> outputs = (*chain)->Run({{"x", Zigzag(4)}}, nullptr);
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  CHECK(Values(outputs->at("y")) == std::vector<float>{0, 2, 0, 4, 0, 6, 0, 8});
}

TEST_CASE("a file that takes another number of rows doesn't fit") {
  TwoParts parts;
  TakeRows(4, &parts);
  parts.manifest.parts[1].batching->size = 3;
  CHECK(parts.OpenError(absl::StatusCode::kFailedPrecondition) ==
        "'" + (parts.folder / "second.onnx").string() +
            "' doesn't fit as part 'second': its 'a' has 4 rows, and the manifest calls it on 3");
  parts.manifest.parts[1].batching.reset();  // the rows of the list aren't the file's then
  CHECK(parts.Open().ok());
}

TEST_CASE("values that cross may be fed, and parts that are superfluous then don't run") {
  const TwoParts parts;
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
  REQUIRE(chain.ok());
  const HostTensor x = Floats({1, 2}, {3, -4});
  const HostTensor a = Floats({1, 2}, {100, 200});
  const HostTensor b = Floats({1, 2}, {10, 20});
  std::vector<std::string> ran;
  const auto run = [&](const NamedTensors& feeds) {
    ran.clear();
    return (*chain)->Run(feeds, [&](const PartRun& part) {
      ran.push_back(part.part);
      return absl::OkStatus();
    });
  };
  absl::StatusOr<NamedTensors> outputs = run({{"x", x}, {"a", a}, {"b", b}});
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  CHECK(ran == std::vector<std::string>{"second"});
  CHECK(Values(outputs->at("y")) == std::vector<float>{113, 216});
  outputs = run({{"x", x}, {"a", a}});  // b is still to be made
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  CHECK(ran == std::vector<std::string>{"first", "second"});
  CHECK(Values(outputs->at("y")) == std::vector<float>{100, 200});  // 100 - 3 + 3, 200 + 4 - 4
  CHECK((*chain)->PartsFor({"a", "b"}) == std::vector<bool>{false, true});
  CHECK((*chain)->PartsFor({"a"}) == std::vector<bool>{true, true});

  // Another shape of `a` than what is declared, another dtype, no such value.
  const auto refused = [&](const HostTensor& fed) {
    return std::string(Message(run({{"x", x}, {"a", fed}}).status()));
  };
  CHECK(refused(Floats({1, 3}, {1, 2, 3})) ==
        "input 'a' must have 2 at dimension 1 (float32 [n,2]), and float32 [1,3] was given");
  CHECK(refused(Floats({2}, {1, 2})) == "input 'a' must have rank 2 (float32 [n,2]), and float32 [2] was given");
  const absl::StatusOr<HostTensor> doubles = HostTensor::Create(onnx::TensorProto::DOUBLE, {1, 2});
  REQUIRE(doubles.ok());
  CHECK(refused(*doubles) == "input 'a' must be float32, and float64 [1,2] was given");
  CHECK(ran.empty());
  CHECK(std::string(Message(run({{"x", x}, {"t", a}}).status())).starts_with("the model has no input 't'"));
  CHECK(Message(run({{"a", a}, {"b", b}}).status()) == "input 'x' (float32 [n,2]) is missing; give a value for it");
}

TEST_CASE("values that cross may be fed by their friendly names") {
  TwoParts parts;
  parts.manifest.aliases = {{"friend", "a"}, {"b", "a"}, {"inner", "t"}};  // b is a tensor's name of its own
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
  REQUIRE(chain.ok());
  const HostTensor x = Floats({1, 2}, {3, -4});
  const HostTensor fed = Floats({1, 2}, {100, 200});
  absl::StatusOr<NamedTensors> outputs = (*chain)->Run({{"x", x}, {"friend", fed}}, nullptr);
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  CHECK(Values(outputs->at("y")) == std::vector<float>{100, 200});
  outputs = (*chain)->Run({{"x", x}, {"b", fed}}, nullptr);
  REQUIRE(outputs.ok());
  CHECK(Values(outputs->at("y")) == std::vector<float>{106, 196});  // 3 + 100 + 3, 0 + 200 - 4
  CHECK(std::string(Message((*chain)->Run({{"x", x}, {"friend", fed}, {"a", fed}}, nullptr).status()))
            .starts_with("the model has no input 'friend'"));
  CHECK(std::string(Message((*chain)->Run({{"x", x}, {"inner", fed}}, nullptr).status()))
            .starts_with("the model has no input 'inner'"));
}

TEST_CASE("an output of the model that is fed is given as it is, and later parts read it") {
  TwoParts parts;
  parts.Save("second.onnx",
             "g (float[n,2] a, float[n,2] b, float[n,2] x) => (float[n,2] y) { t = Add(a, b) y = Add(t, x) }");
  parts.manifest.parts[1].digest = parts.Digest("second.onnx");
  parts.manifest.parts[1].outputs.pop_back();
  parts.manifest.parts[0].outputs[0].model_output = true;
  parts.manifest.outputs = {"a", "y"};
  const absl::StatusOr<std::unique_ptr<Chain>> chain = parts.Open();
  INFO(chain.status().ToString());
  REQUIRE(chain.ok());
  const HostTensor x = Floats({1, 2}, {3, -4});
  const HostTensor fed = Floats({1, 2}, {100, 200});
  std::vector<std::string> ran;
  const auto run = [&](const NamedTensors& feeds) {
    ran.clear();
    absl::StatusOr<NamedTensors> outputs = (*chain)->Run(feeds, [&](const PartRun& part) {
      ran.push_back(part.part);
      return absl::OkStatus();
    });
    INFO(outputs.status().ToString());
    REQUIRE(outputs.ok());
    REQUIRE(outputs->size() == 2);
    return std::pair(Values(outputs->at("a")), Values(outputs->at("y")));
  };
  using Pair = std::pair<std::vector<float>, std::vector<float>>;
  CHECK(run({{"x", x}}) == Pair({3, 0}, {3, 0}));
  CHECK(run({{"x", x}, {"a", fed}}) == Pair({100, 200}, {100, 200}));
  CHECK(ran == std::vector<std::string>{"first", "second"});
  CHECK(run({{"x", x}, {"a", fed}, {"b", fed}}) == Pair({100, 200}, {203, 396}));
  CHECK(ran == std::vector<std::string>{"second"});
  // A result that no part reads isn't one to give.
  CHECK(std::string(Message((*chain)->Run({{"x", x}, {"y", fed}}, nullptr).status()))
            .starts_with("the model has no input 'y'"));
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
