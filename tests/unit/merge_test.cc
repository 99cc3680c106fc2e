// Merging parts and joining models: names, declarations and orders come back, and what can't go together is refused.
#include "lib/split/merge.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "lib/graph/index.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/split/plan.h"
#include "lib/split/split.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;
using testing::ParseGraph;
using testing::ParseModel;
using testing::ReadFile;
using testing::TemporaryFolder;
using testing::WriteFile;

template <typename List>
std::vector<std::string> Names(const List& list) {
  std::vector<std::string> names;
  for (const auto& element : list) {
    names.push_back(element.name());
  }
  return names;
}

void SplitInto(const fs::path& file, const std::vector<std::pair<std::string, std::string>>& parts,
               const fs::path& folder, bool aliases = false) {
  const absl::StatusOr<Model> model = Model::Load(file);
  REQUIRE(model.ok());
  const Index index(model->proto());
  Plan plan;
  for (const auto& [name, output] : parts) {
    PlanPart part;
    part.name = name;
    part.outputs = {output};
    plan.parts.push_back(part);
    plan.aliases["friendly_" + name] = output;
  }
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  REQUIRE(shapes.ok());
  const absl::StatusOr<Split> split = ResolvePlan(plan, *model, index, *shapes, {}, Diagnostics());
  CAPTURE(split.status().ToString());
  REQUIRE(split.ok());
  WriteSplitOptions options;
  options.folder = folder;
  options.use_aliases = aliases;
  REQUIRE(WriteSplit(*split, *model, index, options, Diagnostics()).ok());
}

absl::StatusOr<Model> Merge(const fs::path& folder, const Replacements& replace = {}) {
  return MergeParts(folder / "manifest.json", replace, Diagnostics());
}

// Every list that a merge has to put together, constants that several parts share among them.
onnx::ModelProto Rich() {
  onnx::ModelProto proto = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[N, 4] x, float[N, 4] unread, float[4] w) => (float[N, 4] y, float[N, 4] x, int64[2] s)
      <float[4] w = {1, 2, 3, 4}, float[4] shared = {5, 6, 7, 8}, float[N, 4] b, float[N, M] d> {
      c = Constant <value = float[4] {9, 8, 7, 6}> ()
      e = Exp (c)
      a = Add (x, shared)
      k = Add (a, sparse)
      b = Mul (k, e)
      d = own.twice (b)
      s = Shape (d)
      f = Add (d, w)
      h = Add (f, shared)
      l = Add (h, sparse)
      y = Mul (l, e)
    }
    <domain: "own", opset_import: ["" : 17]> twice (v) => (z) { z = Add (v, v) })");
  onnx::GraphProto& graph = *proto.mutable_graph();
  graph.set_doc_string("of the graph");
  proto.set_doc_string("of the model");
  proto.set_producer_name("somebody");
  onnx::StringStringEntryProto& metadata = *proto.add_metadata_props();
  metadata.set_key("k");
  metadata.set_value("v");
  graph.mutable_node(2)->set_doc_string("of a node");
  graph.mutable_node(3)->set_name("reads sparse");
  graph.mutable_value_info(0)->set_doc_string("of a value");
  onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("b");
  onnx::StringStringEntryProto& scale = *annotation.add_quant_parameter_tensor_names();
  scale.set_key("SCALE_TENSOR");
  scale.set_value("shared");
  testing::AddSparse(&graph, "sparse", 4, 2, 1);
  return proto;
}

std::string Sorted(onnx::ModelProto proto) {
  // Lists whose order a merge doesn't promise.
  const auto by_name = [](const auto& a, const auto& b) { return a.name() < b.name(); };
  auto& infos = *proto.mutable_graph()->mutable_value_info();
  std::sort(infos.begin(), infos.end(), by_name);
  return proto.DebugString();
}

TEST_CASE("merge is the inverse of split for everything that a model holds") {
  const TemporaryFolder folder;
  const onnx::ModelProto proto = Rich();
  WriteFile(folder / "m.onnx", proto.SerializeAsString());
  for (const bool aliases : {false, true}) {
    SplitInto(folder / "m.onnx", {{"one", "b"}, {"two", "f"}}, folder / "parts", aliases);
    const absl::StatusOr<Model> merged = Merge(folder / "parts");
    CAPTURE(aliases, merged.status().ToString());
    REQUIRE(merged.ok());
    const std::string is = Sorted(merged->proto());
    const std::string was = Sorted(proto);
    const auto [at, _] = std::mismatch(is.begin(), is.end(), was.begin(), was.end());
    CAPTURE(std::string(at - std::min<std::ptrdiff_t>(200, at - is.begin()), is.end()).substr(0, 400));
    CHECK(is == was);
  }
}

TEST_CASE("what is said of inputs that no part reads comes back, and overridable initializers keep their places") {
  const TemporaryFolder folder;
  onnx::ModelProto proto = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[4] w, float[4] unread, float[4] x, float[4] v) => (float[4] y)
      <float[4] w = {1, 2, 3, 4}, float[4] v = {5, 6, 7, 8}, float scale = {0.5}> {
      a = Add (x, v)
      b = Mul (a, w)
      y = Mul (b, scale)
    })");
  onnx::GraphProto& graph = *proto.mutable_graph();
  onnx::ValueInfoProto& unread = *graph.mutable_input(1);
  unread.set_doc_string("read by nobody");
  onnx::StringStringEntryProto& metadata = *unread.add_metadata_props();
  metadata.set_key("k");
  metadata.set_value("v");
  unread.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_denotation("DATA_BATCH");
  onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("unread");
  onnx::StringStringEntryProto& scale = *annotation.add_quant_parameter_tensor_names();
  scale.set_key("SCALE_TENSOR");
  scale.set_value("scale");
  WriteFile(folder / "m.onnx", proto.SerializeAsString());
  for (const bool aliases : {false, true}) {
    SplitInto(folder / "m.onnx", {{"one", "a"}, {"two", "b"}}, folder / "parts", aliases);
    const absl::StatusOr<Model> merged = Merge(folder / "parts");
    CAPTURE(aliases, merged.status().ToString());
    REQUIRE(merged.ok());
    CHECK(merged->proto().DebugString() == proto.DebugString());
    CHECK(merged->proto().SerializeAsString() == proto.SerializeAsString());
  }

  // A manifest that says something else of an input than its own list.
  std::string manifest = ReadFile(folder / "parts" / "manifest.json");
  const size_t at = manifest.find("\"unread\": \"") + 11;
  WriteFile(folder / "parts" / "manifest.json", std::string(manifest).replace(at, 4, "????"));
  CHECK(absl::IsInvalidArgument(Merge(folder / "parts").status()));
  const size_t name = manifest.find("{\"name\": \"unread\", \"dtype\": \"float32\"");
  REQUIRE(name != std::string::npos);
  manifest.replace(manifest.find("float32", name), 7, "float64");
  WriteFile(folder / "parts" / "manifest.json", manifest);
  const absl::Status differs = Merge(folder / "parts").status();
  CHECK(std::string(Message(differs)).find("declares 'unread'") != std::string::npos);
}

TEST_CASE("what the source doesn't declare isn't declared afterwards") {
  const TemporaryFolder folder;
  const onnx::ModelProto proto = ParseGraph("g (float[4] x) => (float[4] y) { a = Exp (x)  b = Neg (a)  y = Exp (b) }");
  WriteFile(folder / "m.onnx", proto.SerializeAsString());
  SplitInto(folder / "m.onnx", {{"one", "a"}, {"two", "b"}}, folder / "parts");
  const absl::StatusOr<Model> merged = Merge(folder / "parts");
  REQUIRE(merged.ok());
  CHECK(merged->proto().SerializeAsString() == proto.SerializeAsString());
}

TEST_CASE("a changed part is refused unless it is named, and then must fit") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx",
            ParseGraph("g (float[4] x) => (float[4] y) { a = Exp (x)  b = Neg (a)  y = Exp (b) }").SerializeAsString());
  SplitInto(folder / "m.onnx", {{"one", "a"}, {"two", "b"}}, folder / "parts");
  const std::string two = R"(two (float[4] a) => (float[4] b) <float[4] y = {1, 2, 3, 4}> {
    x = Abs (a)  b = Add (x, y) })";
  fs::create_directory(folder / "own");
  WriteFile(folder / "own" / "two.onnx", ParseGraph(two.c_str()).SerializeAsString());
  const absl::StatusOr<Model> replaced = Merge(folder / "parts", {{"two", folder / "own" / "two.onnx"}});
  CAPTURE(replaced.status().ToString());
  REQUIRE(replaced.ok());
  // x and y of the new part aren't the model's.
  const onnx::GraphProto& graph = replaced->proto().graph();
  REQUIRE(graph.node_size() == 4);
  CHECK(graph.node(1).output(0) == "two/x");
  CHECK(graph.node(2).input(1) == "two/y");
  CHECK(graph.initializer(0).name() == "two/y");
  CHECK(graph.node(3).op_type() == "Exp");

  WriteFile(folder / "parts" / "two.onnx", ParseGraph(two.c_str()).SerializeAsString());
  const absl::Status changed = Merge(folder / "parts").status();
  CHECK(absl::IsFailedPrecondition(changed));
  CHECK(std::string(Message(changed)).find("part 'two'") != std::string::npos);

  WriteFile(folder / "own" / "two.onnx",
            ParseGraph("two (float[5] a) => (float[5] b) { b = Abs (a) }").SerializeAsString());
  const absl::Status misfit = Merge(folder / "parts", {{"two", folder / "own" / "two.onnx"}}).status();
  CHECK(absl::IsFailedPrecondition(misfit));
  CHECK(std::string(Message(misfit)).find("its input 'a' is float32 [5], not float32 [4]") != std::string::npos);
  CHECK(absl::IsNotFound(Merge(folder / "parts", {{"tow", "x"}}).status()));
}

TEST_CASE("constants of one name are one only if their values are equal, large ones too") {
  const TemporaryFolder folder;
  onnx::ModelProto proto = ParseGraph(R"(g (float[2000] x) => (float[2000] y) {
    a = Add (x, w)  b = Neg (a)  c = Mul (b, w)  y = Add (c, s) })");
  const auto add = [](onnx::ModelProto& model, const std::string& name, int64_t size, char last) {
    onnx::TensorProto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(size);
    tensor.set_raw_data(std::string(static_cast<size_t>(size) * 4 - 1, '\1') + last);
  };
  add(proto, "w", 2000, '\1');
  add(proto, "s", 1, '\1');
  WriteFile(folder / "m.onnx", proto.SerializeAsString());
  SplitInto(folder / "m.onnx", {{"one", "b"}}, folder / "parts");
  const absl::StatusOr<Model> same = Merge(folder / "parts");
  REQUIRE(same.ok());
  CHECK(Names(same->proto().graph().initializer()) == std::vector<std::string>{"w", "s"});

  // Another last byte, beyond the first 4 KiB: another constant.
  onnx::ModelProto one = ParseGraph("g (float[2000] x) => (float[2000] b) { a = Add (x, w)  b = Neg (a) }");
  add(one, "w", 2000, '\2');
  WriteFile(folder / "one.onnx", one.SerializeAsString());
  const absl::StatusOr<Model> other = Merge(folder / "parts", {{"one", folder / "one.onnx"}});
  CAPTURE(other.status().ToString());
  REQUIRE(other.ok());
  const onnx::GraphProto& graph = other->proto().graph();
  CHECK(Names(graph.initializer()) == std::vector<std::string>{"w", "rest/w", "s"});
  CHECK(graph.node(0).input(1) == "w");
  CHECK(graph.node(2).input(1) == "rest/w");
}

TEST_CASE("external data of a part in another folder comes along") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx",
            ParseGraph("g (float[4] x) => (float[4] y) { a = Exp (x)  y = Neg (a) }").SerializeAsString());
  SplitInto(folder / "m.onnx", {{"one", "a"}}, folder / "parts");
  onnx::ModelProto one = ParseGraph("one (float[4] x) => (float[4] a) { a = Add (x, w) }");
  onnx::TensorProto& weight = *one.mutable_graph()->add_initializer();
  weight.set_name("w");
  weight.set_data_type(onnx::TensorProto::FLOAT);
  weight.add_dims(4);
  SetExternal(weight, "w.data", 0, 16);
  fs::create_directory(folder / "own");
  WriteFile(folder / "own" / "w.data", std::string(16, 'w'));
  WriteFile(folder / "own" / "one.onnx", one.SerializeAsString());
  const absl::StatusOr<Model> merged = Merge(folder / "parts", {{"one", folder / "own" / "one.onnx"}});
  CAPTURE(merged.status().ToString());
  REQUIRE(merged.ok());
  REQUIRE(Save(*merged, folder / "merged.onnx", {}).ok());
  onnx::ModelProto written;
  REQUIRE(written.ParseFromString(ReadFile(folder / "merged.onnx")));
  CHECK(written.graph().initializer(0).raw_data() == std::string(16, 'w'));
}

class Joining {
 public:
  explicit Joining(const std::vector<std::string>& graphs) {
    for (size_t i = 0; i < graphs.size(); ++i) {
      files_.push_back(folder_ / (std::string(1, static_cast<char>('a' + i)) + ".onnx"));
      WriteFile(files_.back(), ParseModel(graphs[i].c_str()).SerializeAsString());
    }
  }
  absl::StatusOr<Model> Join(const std::vector<gomai::Join>& joins, bool keep = false) {
    JoinOptions options;
    options.joins = joins;
    options.keep_joined = keep;
    return JoinModels(files_, options, Diagnostics([&](const Diagnostic& d) { warnings.push_back(d.message); }));
  }
  std::vector<std::string> warnings;

 private:
  TemporaryFolder folder_;
  std::vector<fs::path> files_;
};

std::string Graph(const std::string& body, const std::string& opset = "17") {
  return R"(<ir_version: 8, opset_import: ["" : )" + opset + "]> " + body;
}

using Strings = std::vector<std::string>;

TEST_CASE("models are joined, and clashing names of the later one get its prefix") {
  Joining models({Graph("a (float[N] x) => (float[N] y, float[N] t) { t = Exp (x)  y = Neg (t) }"),
                  Graph(R"(b (float[N] x, bool c) => (float[N] y) <float[1] w = {1}> {
                    t = Add (x, w)
                    y = If (c) <then_branch = then () => (float[N] r) { r = Exp (t) },
                                else_branch = other () => (float[N] r) { r = Neg (x) }> })")});
  const absl::StatusOr<Model> model = models.Join({{"y", "x"}});
  CAPTURE(model.status().ToString());
  REQUIRE(model.ok());
  const onnx::GraphProto& graph = model->proto().graph();
  CHECK(Names(graph.input()) == Strings{"x", "c"});
  CHECK(Names(graph.output()) == Strings{"t", "b/y"});
  CHECK(Names(graph.value_info()) == Strings{"y"});
  REQUIRE(graph.node_size() == 4);
  CHECK(graph.node(2).input(0) == "y");
  CHECK(graph.node(2).output(0) == "b/t");
  CHECK(graph.node(3).attribute(0).g().node(0).input(0) == "b/t");
  CHECK(graph.node(3).attribute(1).g().node(0).input(0) == "y");
  const absl::StatusOr<Model> kept = models.Join({{"y", "x"}}, true);
  REQUIRE(kept.ok());
  CHECK(Names(kept->proto().graph().output()) == Strings{"y", "t", "b/y"});
}

TEST_CASE("models that share no tensor lie side by side") {
  Joining models({Graph("a (float[N] x) => (float[N] y) { y = Exp (x) }"),
                  Graph("b (float[N] x) => (float[N] z) { z = Exp (x) }")});
  const absl::StatusOr<Model> model = models.Join({});
  REQUIRE(model.ok());
  CHECK(Names(model->proto().graph().input()) == Strings{"x", "b/x"});
  CHECK(Names(model->proto().graph().output()) == Strings{"y", "z"});
}

TEST_CASE("an input that is an output too, an overridable one, three models in a row") {
  Joining models({Graph("a (float[N] x) => (float[N] y) { y = Exp (x) }"),
                  Graph("b (float[N] x) => (float[N] x, float[N] z) <float[1] x = {1}> { z = Exp (x) }"),
                  Graph("c (float[N] x) => (float[N] q) { q = Exp (x) }")});
  CHECK(absl::IsInvalidArgument(models.Join({{"y", "x"}}).status()));  // which x?
  const absl::StatusOr<Model> model = models.Join({{"y", "b/x"}, {"z", "c/x"}});
  CAPTURE(model.status().ToString());
  REQUIRE(model.ok());
  const onnx::GraphProto& graph = model->proto().graph();
  CHECK(Names(graph.input()) == Strings{"x"});
  CHECK(Names(graph.output()) == Strings{"b/x", "q"});
  CHECK(graph.initializer_size() == 0);
  const auto identity = std::find_if(graph.node().begin(), graph.node().end(),
                                     [](const onnx::NodeProto& node) { return node.op_type() == "Identity"; });
  REQUIRE(identity != graph.node().end());
  CHECK(identity->input(0) == "y");
  CHECK(identity->output(0) == "b/x");
}

TEST_CASE("what can't be joined is refused by name") {
  const std::string first = Graph("a (float[N, 3] x) => (float[N, 3] y) { y = Exp (x) }");
  const auto message = [&](const std::string& second, const std::vector<gomai::Join>& joins) {
    Joining models({first, second});
    const absl::StatusOr<Model> model = models.Join(joins);
    REQUIRE_FALSE(model.ok());
    return std::string(Message(model.status()));
  };
  const std::string second = Graph("b (float[N, 3] input) => (float[N, 3] z) { z = Exp (input) }");
  CHECK(message(second, {{"why", "input"}}).find("no model before") != std::string::npos);
  CHECK(message(second, {{"y", "inptu"}}).find("did you mean 'input'") != std::string::npos);
  CHECK(message(second, {{"y", "input"}, {"y", "input"}}).find("is joined twice") != std::string::npos);
  CHECK(message(Graph("b (float[N, 4] x) => (float[N, 4] z) { z = Exp (x) }"), {{"y", "x"}})
            .find("the output is float32 [N,3] and the input float32 [N,4]") != std::string::npos);
  CHECK(message(Graph("b (double[N, 3] x) => (double[N, 3] z) { z = Exp (x) }"), {{"y", "x"}}).find("float64") !=
        std::string::npos);
  CHECK(message(Graph("b (float[N, 3] x) => (float[N, 3] z) { z = Exp (x) }", "13"), {{"y", "x"}})
            .find("ai.onnx 13, not 17") != std::string::npos);
}

TEST_CASE("functions of one name must be one, metadata that contradicts is reported") {
  const auto with = [](const std::string& body) {
    return R"(<ir_version: 8, opset_import: ["" : 17, "own" : 1]> g (float[N] x) => (float[N] y) { y = own.f (x) }
      <domain: "own", opset_import: ["" : 17]> f (v) => (z) { )" +
           body + " }";
  };
  CHECK(Joining({with("z = Exp (v)"), with("z = Exp (v)")}).Join({{"y", "x"}}).ok());
  const absl::Status differs = Joining({with("z = Exp (v)"), with("z = Neg (v)")}).Join({{"y", "x"}}).status();
  CHECK(absl::IsInvalidArgument(differs));
  CHECK(std::string(Message(differs)).find("function f") != std::string::npos);

  const std::string plain = " g (float[N] x) => (float[N] y) { y = Exp (x) }";
  Joining models({R"(<ir_version: 8, opset_import: ["" : 17], metadata_props: ["k" : "1"]>)" + plain,
                  R"(<ir_version: 9, opset_import: ["" : 17], metadata_props: ["k" : "2", "l" : "3"]>)" + plain});
  const absl::StatusOr<Model> model = models.Join({{"y", "x"}});
  CAPTURE(model.status().ToString());
  REQUIRE(model.ok());
  CHECK(model->proto().ir_version() == 9);
  REQUIRE(model->proto().metadata_props_size() == 2);
  CHECK(model->proto().metadata_props(0).value() == "1");
  REQUIRE(models.warnings.size() == 1);
  CHECK(models.warnings[0].find("metadata 'k'") != std::string::npos);
}

}  // namespace
}  // namespace gomai
