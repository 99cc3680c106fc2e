// Other optimizers convert a model to a graph of their own and back, and lose what that doesn't know: functions, opset
// imports of other domains, metadata, quantization annotations, sparse initializers, training information, denotations,
// fields of a newer ONNX. Each pass here changes a model that has all of it, and all that it doesn't name must stay.
#include <google/protobuf/unknown_field_set.h>

#include <catch2/catch_test_macros.hpp>

#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

onnx::ModelProto Rich() {
  onnx::ModelProto model = testing::ParseModel(R"(
<ir_version: 10, opset_import: ["" : 17, "vendor" : 3, "local" : 1], producer_name: "exporter",
 producer_version: "2.1", domain: "com.example", model_version: 7, doc_string: "model",
 metadata_props: ["author" : "someone"]>
main (float[n,3] x, float[3] overridable) => (float[n,3] y) <float[3] overridable = {1, 2, 3}, float[3] w = {4, 5, 6}> {
  [first] a = Add (x, w)
  [odd] m = vendor.Mystery <level: int = 4> (a)
  [call] f = local.Twice (a)
  [dead] d = Tanh (a)
  [last] y = Add (f, overridable)
}
<domain: "local", opset_import: ["" : 17]>
Twice (v) => (r) { r = Add (v, v) }
)");
  onnx::GraphProto& graph = *model.mutable_graph();
  testing::AddSparse(&graph, "sparse", 3, 2, 1);
  onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("a");
  onnx::StringStringEntryProto& scale = *annotation.add_quant_parameter_tensor_names();
  scale.set_key("SCALE_TENSOR");
  scale.set_value("w");
  graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_denotation(
      "DATA_BATCH");
  const auto metadata = [](auto* entries) {
    onnx::StringStringEntryProto& entry = *entries->Add();
    entry.set_key("key");
    entry.set_value("value");
  };
  metadata(graph.mutable_metadata_props());
  metadata(graph.mutable_node(0)->mutable_metadata_props());
  metadata(model.mutable_functions(0)->mutable_metadata_props());
  model.add_training_info()->mutable_algorithm()->set_name("training");
  // As a newer ONNX would write them.
  model.GetReflection()->MutableUnknownFields(&model)->AddLengthDelimited(4000, "future");
  graph.GetReflection()->MutableUnknownFields(&graph)->AddVarint(4001, 1);
  onnx::NodeProto& node = *graph.mutable_node(0);
  node.GetReflection()->MutableUnknownFields(&node)->AddFixed32(4002, 2);
  return model;
}

std::string Bytes(const onnx::ModelProto& model) {
  std::string bytes;
  REQUIRE(SerializeDeterministic(model, &bytes));
  return bytes;
}

// Runs the pipeline and compares with the input after `expected` edited it by hand.
template <typename Edit>
void CheckOnly(const std::string& pipeline, const Edit& expected) {
  onnx::ModelProto by_hand = Rich();
  expected(by_hand);
  Model model = Model::FromProto(Rich());
  const absl::StatusOr<Pipeline> parsed = ParsePipeline(pipeline);
  REQUIRE(parsed.ok());
  const auto reports = RunPipeline(*parsed, model, {}, Diagnostics());
  INFO(pipeline << ": " << reports.status().ToString());
  REQUIRE(reports.ok());
  CHECK(model.proto().DebugString() == by_hand.DebugString());
  CHECK(Bytes(model.proto()) == Bytes(by_hand));
}

TEST_CASE("prune removes what is dead and nothing else") {
  CheckOnly("prune", [](onnx::ModelProto& model) {
    model.mutable_graph()->mutable_node()->DeleteSubrange(3, 1);  // dead
    model.mutable_graph()->mutable_node()->DeleteSubrange(1, 1);  // odd
    model.mutable_graph()->clear_sparse_initializer();
  });
}

TEST_CASE("prune{nodes=false} removes the sparse initializer that nothing reads and nothing else") {
  CheckOnly("prune{nodes=false}", [](onnx::ModelProto& model) { model.mutable_graph()->clear_sparse_initializer(); });
}

TEST_CASE("strip-doc-strings removes doc strings and nothing else") {
  CheckOnly("strip-doc-strings", [](onnx::ModelProto& model) { model.clear_doc_string(); });
}

TEST_CASE("expose-outputs adds an output and nothing else") {
  CheckOnly("expose-outputs{tensors=a}", [](onnx::ModelProto& model) {
    onnx::ValueInfoProto& output = *model.mutable_graph()->add_output();
    output.set_name("a");
    auto& type = *output.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    auto& batch = *type.mutable_shape()->add_dim();
    batch.set_dim_param("n");
    batch.set_denotation("DATA_BATCH");  // inference hands it on
    type.mutable_shape()->add_dim()->set_dim_value(3);
  });
}

TEST_CASE("rename changes the name wherever it stands and nothing else") {
  CheckOnly("rename{w=weight}", [](onnx::ModelProto& model) {
    onnx::GraphProto& graph = *model.mutable_graph();
    graph.mutable_node(0)->set_input(1, "weight");
    for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
      if (tensor.name() == "w") {
        tensor.set_name("weight");
      }
    }
    graph.mutable_quantization_annotation(0)->mutable_quant_parameter_tensor_names(0)->set_value("weight");
  });
}

TEST_CASE("sort, fold-identity and lift-constants leave a model byte for byte that gives them nothing to do") {
  for (const char* pipeline : {"sort", "fold-identity", "lift-constants", "dedupe-initializers"}) {
    CheckOnly(pipeline, [](onnx::ModelProto&) {});
  }
}

TEST_CASE("name-nodes names the nodes that have no name and nothing else") {
  CheckOnly("name-nodes",
            [](onnx::ModelProto& model) { model.mutable_functions(0)->mutable_node(0)->set_name("Add_0"); });
}

TEST_CASE("delete-node removes the node and nothing else") {
  CheckOnly("delete-node{node=odd}",
            [](onnx::ModelProto& model) { model.mutable_graph()->mutable_node()->DeleteSubrange(1, 1); });
}

TEST_CASE("drop-outputs drops the output and nothing else") {
  CheckOnly("expose-outputs{tensors=a},drop-outputs{outputs=a}", [](onnx::ModelProto& model) {
    // What inference said of it stays.
    onnx::ValueInfoProto& info = *model.mutable_graph()->add_value_info();
    info.set_name("a");
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    auto& batch = *type.mutable_shape()->add_dim();
    batch.set_dim_param("n");
    batch.set_denotation("DATA_BATCH");
    type.mutable_shape()->add_dim()->set_dim_value(3);
  });
}

TEST_CASE("set-constants changes the values and nothing else") {
  CheckOnly("set-constants{const.w=[7,8,9],force=true}", [](onnx::ModelProto& model) {
    for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
      if (tensor.name() == "w") {
        const std::array<float, 3> values = {7, 8, 9};
        const bool typed = tensor.float_data_size() > 0;
        tensor.clear_float_data();
        tensor.mutable_dims()->Clear();
        tensor.add_dims(3);
        if (typed) {
          tensor.mutable_float_data()->Add(values.begin(), values.end());
        } else {
          tensor.set_raw_data(std::string(reinterpret_cast<const char*>(values.data()), sizeof(values)));
        }
      }
    }
  });
}

TEST_CASE("rewire changes the input and nothing else") {
  CheckOnly("rewire{node=#0,in.1=\"\",force=true}",
            [](onnx::ModelProto& model) { model.mutable_graph()->mutable_node(0)->set_input(1, ""); });
}

TEST_CASE("set-attributes adds the attribute and nothing else") {
  CheckOnly("set-attributes{node=#0,attr.extra:float=0.5,force=true}", [](onnx::ModelProto& model) {
    onnx::AttributeProto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
    attribute.set_name("extra");
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(0.5F);
  });
}

TEST_CASE("set-ir-version changes the number and nothing else") {
  CheckOnly("set-ir-version{version=11}", [](onnx::ModelProto& model) { model.set_ir_version(11); });
}

TEST_CASE("insert-node inserts the node and nothing else") {
  CheckOnly("insert-node{op=Relu,on=f}", [](onnx::ModelProto& model) {
    google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes = *model.mutable_graph()->mutable_node();
    onnx::NodeProto& node = *nodes.Add();
    node.set_name("f_Relu");
    node.set_op_type("Relu");
    node.add_input("f");
    node.add_output("f_Relu_output");
    for (int i = nodes.size() - 1; i > 3; --i) {
      nodes.SwapElements(i, i - 1);
    }
    nodes.Mutable(5)->set_input(0, "f_Relu_output");
  });
}

}  // namespace
}  // namespace gomai
