// What random graphs showed that split, merge and extract lost or doubled: each case is the smallest graph that did.
#include <catch2/catch_test_macros.hpp>

#include "lib/graph/index.h"
#include "lib/split/extract.h"
#include "lib/split/merge.h"
#include "lib/split/split.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

using testing::ParseGraph;

// Split into parts that make one tensor each, and merged.
onnx::ModelProto ThereAndBack(const onnx::ModelProto& proto, const std::vector<std::string>& outputs) {
  const testing::TemporaryFolder folder;
  testing::WriteFile(folder / "m.onnx", proto.SerializeAsString());
  const absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
  REQUIRE(model.ok());
  const Index index(model->proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  REQUIRE(shapes.ok());
  Plan plan;
  for (const std::string& output : outputs) {
    plan.parts.emplace_back();
    plan.parts.back().name = "part_" + output;
    plan.parts.back().outputs = {output};
  }
  const absl::StatusOr<Split> split = ResolvePlan(plan, *model, index, *shapes, {}, Diagnostics());
  INFO(split.status().ToString());
  REQUIRE(split.ok());
  WriteSplitOptions options;
  options.folder = folder / "parts";
  REQUIRE(WriteSplit(*split, *model, index, options, Diagnostics()).ok());
  const absl::StatusOr<Model> merged = MergeParts(folder / "parts/manifest.json", {}, Diagnostics());
  INFO(merged.status().ToString());
  REQUIRE(merged.ok());
  return merged->proto();
}

void CheckComesBack(const onnx::ModelProto& proto, const std::vector<std::string>& outputs) {
  CHECK(ThereAndBack(proto, outputs).DebugString() == proto.DebugString());
}

TEST_CASE("an output that is an input too keeps its own words") {
  onnx::ModelProto proto = ParseGraph("g (float[4] x) => (float[4] x, float[4] y) { a = Exp (x)  y = Neg (a) }");
  proto.mutable_graph()->mutable_input(0)->set_doc_string("of the input");
  CheckComesBack(proto, {"a"});
  proto.mutable_graph()->mutable_output(0)->set_doc_string("of the output");
  CheckComesBack(proto, {"a"});
}

TEST_CASE("a constant that one part holds inside and another gives as the model's output is there once") {
  CheckComesBack(ParseGraph(R"(g (float[4] x) => (float[4] y, float[4] c) <float[4] w = {1, 2, 3, 4}> {
    c = Relu (w)  a = Add (x, c)  y = Neg (a) })"),
                 {"a"});
  CheckComesBack(ParseGraph(R"(g (float[4] x) => (float[4] y, float[4] w) <float[4] w = {1, 2, 3, 4}> {
    a = Add (x, w)  y = Neg (a) })"),
                 {"a"});
}

TEST_CASE("absent outputs of two nodes are no value that both make") {
  CheckComesBack(ParseGraph(R"(g (float[4] x) => (float[4] y) <float[4] w = {1, 2, 3, 4}> {
    a, "" = Dropout (x)
    c, "" = Dropout (w)
    b = Add (a, c)
    d = Add (b, c)
    y = Neg (d) })"),
                 {"b"});
}

TEST_CASE("a sparse initializer has the shape of what it stands for") {
  onnx::ModelProto proto = ParseGraph("g (float x) => (float[4] y) { y = Add (x, sparse) }");
  testing::AddSparse(proto.mutable_graph(), "sparse", 4, 2, 1);
  const Model model = Model::FromProto(proto);
  const absl::StatusOr<Shapes> shapes = InferShapes(model, Index(model.proto()));
  REQUIRE(shapes.ok());
  REQUIRE(shapes->Find("y") != nullptr);
  CHECK(ShapeText(*shapes->Find("y")) == "4");
}

TEST_CASE("extracting keeps the order of inputs, and an initializer that only an annotation names an input") {
  onnx::ModelProto proto = ParseGraph(R"(g (float[4] w, float[4] s, float[4] x) => (float[4] y)
    <float[4] w = {1, 2, 3, 4}, float[4] s = {1, 1, 1, 1}> { a = Add (x, w)  y = Neg (a) })");
  onnx::TensorAnnotation& annotation = *proto.mutable_graph()->add_quantization_annotation();
  annotation.set_tensor_name("a");
  onnx::StringStringEntryProto& scale = *annotation.add_quant_parameter_tensor_names();
  scale.set_key("SCALE_TENSOR");
  scale.set_value("s");
  // The scale has an annotation of its own, which stands before.
  onnx::TensorAnnotation& second = *proto.mutable_graph()->add_quantization_annotation();
  second.set_tensor_name("s");
  proto.mutable_graph()->mutable_quantization_annotation()->SwapElements(0, 1);
  REQUIRE(proto.graph().initializer_size() == 2);
  REQUIRE(proto.graph().input_size() == 3);
  const Model model = Model::FromProto(proto);
  const Index index(model.proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  REQUIRE(shapes.ok());
  const absl::StatusOr<Model> part = Extract(model, index, *shapes, {.outputs = {"y"}}, Diagnostics());
  INFO(part.status().ToString());
  REQUIRE(part.ok());
  CHECK(part->proto().DebugString() == proto.DebugString());
}

}  // namespace
}  // namespace gomai
