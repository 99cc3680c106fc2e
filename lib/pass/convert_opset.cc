// Moving a model to another opset; see convert_opset.h. Here: the copy that ONNX is given, and the order of things.
//
// A node's name is its tag, since names survive ONNX's representation. A weight becomes a reference to a file that
// doesn't exist, which survives too and which no adapter can read by mistake without its being noticed (Rebuild).
#include "lib/pass/convert_opset.h"

#include <onnx/defs/schema.h>
#include <onnx/version_converter/convert.h>

#include <algorithm>
#include <charconv>

#include "lib/graph/verify.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/pass/convert_opset_internal.h"
#include "lib/pass/declared_shapes.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace opset {
namespace {

constexpr uint64_t kSmall = 4096;  // bytes; axes, scales and sizes are far below it
constexpr char kStandInLocation[] = "gomai-stand-in";

void MakeStandIn(onnx::TensorProto* tensor) { SetExternal(*tensor, kStandInLocation, 0, 0); }

// Values that an adapter may need are put inline, others taken out.
absl::Status ReplaceTensor(const Model& model, onnx::TensorProto* tensor) {
  const bool marked = FindMarker(*tensor).has_value();
  if (!marked && !IsExternal(*tensor)) {
    return absl::OkStatus();
  }
  if (!marked && TensorByteSize(*tensor) < kSmall) {
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, model);
    if (bytes.ok()) {
      SetRawData(*tensor, std::string(bytes->bytes().begin(), bytes->bytes().end()));
      return absl::OkStatus();
    }
    if (bytes.status().code() != absl::StatusCode::kNotFound) {  // an absent data file is no error until it is needed
      return bytes.status();
    }
  }
  MakeStandIn(tensor);
  return absl::OkStatus();
}

onnx::TensorProto Dense(const onnx::SparseTensorProto& sparse) {
  onnx::TensorProto tensor;
  tensor.set_name(sparse.values().name());
  tensor.set_data_type(sparse.values().data_type());
  *tensor.mutable_dims() = sparse.dims();
  MakeStandIn(&tensor);
  return tensor;
}

absl::Status ReplaceInNode(const Model& model, onnx::NodeProto* node) {
  for (onnx::AttributeProto& attribute : *node->mutable_attribute()) {
    if (attribute.has_t()) {
      GOMAI_RETURN_IF_ERROR(ReplaceTensor(model, attribute.mutable_t()));
    }
    for (onnx::TensorProto& tensor : *attribute.mutable_tensors()) {
      GOMAI_RETURN_IF_ERROR(ReplaceTensor(model, &tensor));
    }
    if (attribute.has_sparse_tensor() && node->op_type() == "Constant") {
      const onnx::TensorProto dense = Dense(attribute.sparse_tensor());
      attribute.Clear();
      attribute.set_name("value");
      attribute.set_type(onnx::AttributeProto::TENSOR);
      *attribute.mutable_t() = dense;
    }
  }
  return absl::OkStatus();
}

// What is known of types, as value_info: adapters refuse by it.
void DeclareTypes(const Index& index, ScopeId scope, const std::vector<onnx::TypeProto>& types,
                  onnx::GraphProto* graph) {
  graph->clear_value_info();
  std::vector<ValueId> values;
  for (const NodeId id : index.scope(scope).nodes) {
    const Index::Node& node = index.node(id);
    values.insert(values.end(), node.outputs.begin(), node.outputs.end());
    values.insert(values.end(), node.inputs.begin(), node.inputs.end());  // those of enclosing graphs too
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  for (const ValueId id : values) {
    if (id == kNone) {
      continue;
    }
    const Index::Value& value = index.value(id);
    const bool captured = value.scope != scope;
    if ((captured || (value.origin == Index::Origin::kNode && !value.is_graph_output)) &&
        types[static_cast<size_t>(id)].value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      onnx::ValueInfoProto& info = *graph->add_value_info();
      info.set_name((captured ? std::string(1, kCapturedPrefix) : "") + std::string(value.name));
      *info.mutable_type() = types[static_cast<size_t>(id)];
    }
  }
}

}  // namespace

std::string Tag(NodeId node) { return fmt::format("@{}", node); }

NodeId FromTag(const std::string& name) {
  NodeId node = kNone;
  if (name.size() < 2 || name[0] != '@') {
    return kNone;
  }
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + 1, end, node);
  return error == std::errc() && stop == end ? node : kNone;
}

bool IsStandIn(const onnx::TensorProto& tensor) {
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location" && entry.value() == kStandInLocation) {
      return true;
    }
  }
  return false;
}

absl::StatusOr<onnx::ModelProto> StandIn(const Model& model, const Index& index,
                                         const std::vector<onnx::TypeProto>& types) {
  onnx::ModelProto proto = model.proto();
  std::vector<onnx::GraphProto*> graphs(index.scopes().size());
  for (ScopeId id = 0; id < static_cast<ScopeId>(graphs.size()); ++id) {  // an owner's scope comes before its bodies
    const Index::Scope& scope = index.scope(id);
    if (scope.owner == kNone) {
      graphs[static_cast<size_t>(id)] = proto.mutable_graph();
    } else {
      const Index::Node& owner = index.node(scope.owner);
      graphs[static_cast<size_t>(id)] = graphs[static_cast<size_t>(owner.scope)]
                                            ->mutable_node(owner.position)
                                            ->mutable_attribute(scope.attribute_position)
                                            ->mutable_g();
    }
    onnx::GraphProto& graph = *graphs[static_cast<size_t>(id)];
    for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
      GOMAI_RETURN_IF_ERROR(ReplaceTensor(model, &tensor));
    }
    for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
      *graph.add_initializer() = Dense(tensor);
    }
    graph.clear_sparse_initializer();
    for (const NodeId node : scope.nodes) {
      onnx::NodeProto& copy = *graph.mutable_node(index.node(node).position);
      copy.set_name(Tag(node));
      const std::vector<ValueId>& inputs = index.node(node).inputs;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs[i] != kNone && index.value(inputs[i]).scope != id) {
          copy.mutable_input(static_cast<int>(i))->insert(0, 1, kCapturedPrefix);
        }
      }
      GOMAI_RETURN_IF_ERROR(ReplaceInNode(model, &copy));
    }
    DeclareTypes(index, id, types, &graph);
  }
  return proto;
}

absl::StatusOr<onnx::ModelProto> RunConverter(const onnx::ModelProto& model, int64_t opset) {
  try {
    return onnx::version_conversion::ConvertVersion(model, static_cast<int>(opset));
  } catch (const std::exception& error) {
    // "FILE:LINE: FUNCTION: Assertion `…` failed: what we want", or without what we want
    std::string_view text = error.what();
    constexpr std::string_view kFailed = "` failed: ";
    if (const size_t failed = text.find(kFailed); failed != std::string_view::npos) {
      text.remove_prefix(failed + kFailed.size());
    } else if (const size_t assertion = text.find("Assertion `"); assertion != std::string_view::npos) {
      text.remove_prefix(assertion);
    }
    return FailedPrecondition("{}", text.substr(0, text.find('\n')));
  } catch (...) {
    return FailedPrecondition("it failed without saying why");
  }
}

}  // namespace opset

namespace {

// The IR version that came out with each opset, or before it: what must be declared at least.
int64_t IrVersionOf(int64_t opset) {
  static constexpr std::pair<int64_t, int64_t> kTable[] = {{1, 3},  {9, 4},   {10, 5},  {11, 6},  {12, 7},  {15, 8},
                                                           {19, 9}, {21, 10}, {23, 11}, {24, 12}, {25, 13}, {28, 14}};
  int64_t version = 3;
  for (const auto& [since, ir] : kTable) {
    version = opset >= since ? ir : version;
  }
  return version;
}

// What the converter can't be given, or would relabel without converting it.
absl::Status CheckReach(const onnx::ModelProto& model, const Index& index) {
  const std::string_view hint = "; the converter doesn't go into it";
  if (model.functions_size() > 0) {
    return FailedPrecondition("the model has the local function '{}'{}; inline-functions replaces its calls",
                              model.functions(0).name(), hint);
  }
  if (model.training_info_size() > 0) {
    return FailedPrecondition("the model has training information{}", hint);
  }
  for (const Index::Value& value : index.values()) {
    if (value.name.starts_with(opset::kCapturedPrefix)) {
      return FailedPrecondition("the name of the value '{}' begins with a control character; rename it first",
                                value.name);
    }
  }
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const Index::Node& node = index.node(id);
    for (const ScopeId body : node.bodies) {
      if (!IsDefaultDomain(node.proto->domain()) || index.scope(body).attribute_index >= 0) {
        return FailedPrecondition("node {} has the body '{}'{}", index.Describe(id), index.scope(body).attribute, hint);
      }
    }
    const std::string& op = node.proto->op_type();
    if (op == "Captured" || op == "Undefined") {  // ONNX's own marks, which it would drop
      return FailedPrecondition("node {} is of no operator that ONNX has", index.Describe(id));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int64_t DefaultOpset(const onnx::ModelProto& model) {
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    if (IsDefaultDomain(opset.domain())) {
      return opset.version();
    }
  }
  return 0;
}

absl::StatusOr<onnx::ModelProto> AtOpset(const Model& model, int64_t opset) {
  const auto [lowest, highest] = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("");
  if (opset < lowest || opset > highest) {
    return InvalidArgument("there is no opset {}; ONNX has {} to {} here", opset, lowest, highest);
  }
  const int64_t from = DefaultOpset(model.proto());
  if (from == opset) {
    return model.proto();
  }
  const Index index(model.proto());
  GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, index));
  if (from < lowest || from > highest) {
    return FailedPrecondition("the model imports opset {} of ai.onnx; ONNX has {} to {} here", from, lowest, highest);
  }
  GOMAI_RETURN_IF_ERROR(CheckReach(model.proto(), index));
  std::vector<std::string> problems;
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, InferTypes(model, index, &problems));
  GOMAI_RETURN_IF_ERROR(opset::CheckAdapters(index, types, from, opset));

  GOMAI_ASSIGN_OR_RETURN(onnx::ModelProto stand_in, opset::StandIn(model, index, types));
  const absl::StatusOr<onnx::ModelProto> same = opset::RunConverter(stand_in, from);
  if (!same.ok()) {
    return Annotate(same.status(), "ONNX's converter can't represent the model");
  }
  const absl::StatusOr<onnx::ModelProto> converted = opset::RunConverter(stand_in, opset);
  if (!converted.ok()) {
    return opset::Explain(index, std::move(stand_in), from, opset, converted.status());
  }
  GOMAI_ASSIGN_OR_RETURN(onnx::ModelProto proto, opset::Rebuild(model, index, *same, *converted, from, opset));
  for (onnx::OperatorSetIdProto& import : *proto.mutable_opset_import()) {
    if (IsDefaultDomain(import.domain())) {
      import.set_version(opset);
    }
  }
  proto.set_ir_version(std::max(proto.ir_version(), IrVersionOf(opset)));

  Model result = Model::FromProto(std::move(proto), model.folder());
  result.Adopt(model);
  const Index after(result.proto());
  if (const absl::Status sound = VerifyForWriting(result, after); !sound.ok()) {
    return FailedPrecondition("what ONNX's converter makes of it is broken: {}", Message(sound));
  }
  std::vector<std::string> problems_after;
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types_after, InferTypes(result, after, &problems_after));
  GOMAI_RETURN_IF_ERROR(opset::CheckSchemas(after, types_after, from, opset));
  if (problems_after.size() > problems.size()) {
    const auto is_new = [&](const std::string& problem) {
      return std::find(problems.begin(), problems.end(), problem) == problems.end();
    };
    return FailedPrecondition("what ONNX's converter makes of it is inconsistent at opset {}: {}", opset,
                              *std::find_if(problems_after.begin(), problems_after.end(), is_new));
  }
  return result.proto();
}

absl::Status ConvertOpset(Model& model, int64_t opset) {
  if (DefaultOpset(model.proto()) == opset) {
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(model.mutable_proto(), AtOpset(model, opset));
  return RefreshDeclaredShapes(model, /*allow_outputs=*/false).status();
}

}  // namespace gomai
