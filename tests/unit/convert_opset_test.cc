// Converting opsets: what ONNX's own representation would lose stays, weights stay where they are, and what can't be
// converted without loss isn't.
#include "lib/pass/convert_opset.h"

#include <catch2/catch_test_macros.hpp>

#include "lib/model/tensor.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

using testing::ParseModel;
using testing::TemporaryFolder;

constexpr char kModel[] = R"(<ir_version: 7, opset_import: ["" : 12, "mine" : 3]>
main (float[1,3] x) => (float[3] y)
<float[3] w = {1, 2, 3}, float[1,3] q>
{
  [add] sum = Add(x, w)
  [own] q = mine.Own<kind = "a">(sum)
  [squeeze] y = Squeeze<axes = [0]>(q)
})";

void Add(const char* key, google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>* list) {
  onnx::StringStringEntryProto& entry = *list->Add();
  entry.set_key(key);
  entry.set_value("value");
}

// With all that ONNX's representation has no place for.
onnx::ModelProto Rich() {
  onnx::ModelProto model = ParseModel(kModel);
  Add("model", model.mutable_metadata_props());
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_doc_string("of the graph");
  Add("graph", graph.mutable_metadata_props());
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    node.set_doc_string("of " + node.name());
    Add("node", node.mutable_metadata_props());
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      attribute.set_doc_string("of " + attribute.name());
    }
  }
  graph.mutable_initializer(0)->set_doc_string("of w");
  Add("tensor", graph.mutable_initializer(0)->mutable_metadata_props());
  graph.mutable_input(0)->set_doc_string("of x");
  Add("input", graph.mutable_input(0)->mutable_metadata_props());
  graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_denotation("N");
  onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("w");
  testing::AddSparse(&graph, "sparse", 1000, 7, 1);
  return model;
}

std::string Refusal(const char* text, int64_t opset) {
  Model model = Model::FromProto(ParseModel(text));
  const absl::Status status = ConvertOpset(model, opset);
  REQUIRE(status.code() == absl::StatusCode::kFailedPrecondition);
  return std::string(Message(status));
}

TEST_CASE("what a conversion doesn't concern stays, field by field") {
  const onnx::ModelProto before = Rich();
  Model model = Model::FromProto(before);
  REQUIRE(ConvertOpset(model, 13).ok());

  onnx::ModelProto expected = before;
  expected.mutable_opset_import(0)->set_version(13);
  onnx::GraphProto& graph = *expected.mutable_graph();
  onnx::NodeProto squeeze = graph.node(2);
  squeeze.clear_attribute();
  squeeze.add_input("y_constant");
  onnx::NodeProto& constant = *graph.mutable_node(2);
  constant = model.proto().graph().node(2);
  *graph.add_node() = squeeze;
  REQUIRE(constant.op_type() == "Constant");
  REQUIRE(constant.attribute(0).t().int64_data(0) == 0);
  CHECK(model.proto().DebugString() == expected.DebugString());
}

TEST_CASE("a model that is there already isn't touched, and an opset that doesn't exist is refused") {
  Model model = Model::FromProto(Rich());
  REQUIRE(ConvertOpset(model, 12).ok());
  CHECK(model.proto().DebugString() == Rich().DebugString());
  CHECK(ConvertOpset(model, 0).code() == absl::StatusCode::kInvalidArgument);
  CHECK(ConvertOpset(model, 1000).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("weights in a file that isn't there stay references to it, and small values that are needed are read") {
  const TemporaryFolder folder;
  testing::WriteFile(folder / "axes.bin", std::string("\x01\0\0\0\0\0\0\0", 8));
  onnx::ModelProto proto = ParseModel(R"(<ir_version: 8, opset_import: ["" : 13]>
main (float[1,1,4000] x) => (float[1,4000] y)
<float[4000] w = {}, int64[1] axes = {}>
{
  sum = Add(x, w)
  y = ReduceSum<keepdims = 0>(sum, axes)
})");
  proto.mutable_graph()->mutable_node(0)->set_op_type("PRelu");  // one that can go back
  for (onnx::TensorProto& tensor : *proto.mutable_graph()->mutable_initializer()) {
    tensor.clear_float_data();
    tensor.clear_int64_data();
  }
  SetExternal(*proto.mutable_graph()->mutable_initializer(0), "absent.bin", 64, 16000);
  SetExternal(*proto.mutable_graph()->mutable_initializer(1), "axes.bin", 0, 8);
  const std::string weight = proto.graph().initializer(0).SerializeAsString();
  Model model = Model::FromProto(proto, folder.path());
  const absl::Status status = ConvertOpset(model, 12);
  CAPTURE(status.ToString());
  REQUIRE(status.ok());
  REQUIRE(model.proto().graph().initializer_size() == 1);
  CHECK(model.proto().graph().initializer(0).SerializeAsString() == weight);
  const onnx::NodeProto& sum = model.proto().graph().node(1);
  CHECK(sum.input_size() == 1);
  REQUIRE(sum.attribute_size() == 2);
  CHECK(sum.attribute(1).ints(0) == 1);
}

TEST_CASE("values that are needed and aren't there are no zeros") {
  const TemporaryFolder folder;
  onnx::ModelProto proto = ParseModel(R"(<ir_version: 8, opset_import: ["" : 13]>
main (float[1,1,4] x) => (float[1,4] y)
<int64[1] axes = {1}>
{
  [sum] y = ReduceSum<keepdims = 0>(x, axes)
})");
  proto.mutable_graph()->mutable_initializer(0)->clear_int64_data();
  SetExternal(*proto.mutable_graph()->mutable_initializer(0), "absent.bin", 0, 8);
  Model model = Model::FromProto(proto, folder.path());
  const absl::Status status = ConvertOpset(model, 12);
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(Message(status)).find("node sum (ReduceSum) reads 'axes', whose values") != std::string::npos);
}

TEST_CASE("what ONNX's converter would change the meaning of is refused by node") {
  CHECK(Refusal(R"(<ir_version: 8, opset_import: ["" : 13]>
main (float[2,3,4] x) => (float[2,3,4] y) { [soft] y = Softmax<axis = 1>(x) })",
                12)
            .starts_with("node soft (Softmax) can't go from opset 13 to 12 without loss"));
  CHECK(Refusal(R"(<ir_version: 8, opset_import: ["" : 11]>
main (float[2,3] x) => (float[2,3] y) { [cat] y = Concat<axis = -1>(x) })",
                10)
            .starts_with("node cat (Concat) can't go from opset 11 to 10 without loss"));
  CHECK(Refusal(R"(<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
main (float[2] x) => (float[2] y) {
  [box] y = mine.Box(x) <body = inner () => (float[2] z) { z = Neg(x) }>
})",
                18)
            .starts_with("node box (Box) has the body 'body'"));
  // The converter drops the Reshape, which it takes for one of its own.
  CHECK(Refusal(R"(<ir_version: 8, opset_import: ["" : 13]>
main (float[2,3] x, int64[2] s) => (float[A,B] y) { [soft] a = Softmax(x) [shape] y = Reshape(a, s) })",
                12)
            .find("shape (Reshape)") != std::string::npos);
}

}  // namespace
}  // namespace gomai
