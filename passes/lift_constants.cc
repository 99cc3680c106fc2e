// lift-constants: Constant nodes become initializers.
//
// The value keeps its name, so no reader changes. A payload that was left out of memory moves with its TensorProto, as
// a reference: no weight is read. What can't be an initializer stays a node, and is told about.
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

bool IsConstantNode(const onnx::NodeProto& node) {
  return node.op_type() == "Constant" && IsDefaultDomain(node.domain()) && node.output_size() == 1 &&
         !node.output(0).empty() && node.input_size() == 0;
}

// What was said of the node is said of the tensor from now on.
void KeepWords(const onnx::NodeProto& node, onnx::TensorProto* tensor) {
  if (!node.doc_string().empty() && node.doc_string() != tensor->doc_string()) {
    tensor->set_doc_string(tensor->doc_string().empty() ? node.doc_string()
                                                        : tensor->doc_string() + "\n" + node.doc_string());
  }
  for (const onnx::StringStringEntryProto& entry : node.metadata_props()) {
    *tensor->add_metadata_props() = entry;
  }
}

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  Editor& editor = context.editor();
  const int64_t ir_version = context.model().proto().ir_version();
  const bool must_be_inputs = ir_version > 0 && ir_version < 4;
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const Index::Node& node = index.node(id);
    if (!IsConstantNode(*node.proto) || index.InFunction(node.scope) || index.value(node.outputs[0]).is_graph_output) {
      continue;
    }
    onnx::TensorProto made;
    const onnx::TensorProto* value = ConstantValue(*node.proto, &made);
    if (value == nullptr) {
      context.diagnostics().Note(index.Describe(id), "it stays a node: its value isn't a dense tensor");
      continue;
    }
    if (must_be_inputs) {
      context.diagnostics().Warn(index.Describe(id),
                                 "it and all other constants stay nodes: in a model of IR version {} initializers must "
                                 "be inputs as well",
                                 ir_version);
      return absl::OkStatus();
    }
    onnx::TensorProto tensor = *value;
    tensor.set_name(node.proto->output(0));
    KeepWords(*node.proto, &tensor);
    editor.AddInitializer(node.scope, std::move(tensor));
    editor.EraseNode(id);
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& LiftConstantsPass() {
  static const PassInfo info = {
      .name = "lift-constants",
      .summary = "turn Constant nodes into initializers",
      .description =
          "Turns each Constant node of the main graph and of bodies into an initializer of the same graph: from value, "
          "value_float, value_int, value_string, and from value_floats, value_ints, value_strings as vectors. The "
          "value keeps its name, dtype, shape and bytes; the node's doc string and metadata go to the tensor (after "
          "the tensor's own), the node's name goes.\n\n"
          "A Constant whose value is an output of its graph stays, and so do a sparse one (a note, -v, tells of it) "
          "and those in functions, which hold no initializers. A model of an IR version below 4 stays as it is, with "
          "a warning: its initializers would have to be inputs as well.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .examples = {"lift-constants"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
