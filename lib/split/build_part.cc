// One part as a model of its own: the source's protobuf with the nodes, initializers and declarations that the part
// needs, everything else of the model (opsets, metadata, doc strings, ir_version) as it was.
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lib/graph/editor.h"
#include "lib/model/dtype.h"
#include "lib/split/split.h"

namespace gomai {
namespace {

using NameSet = std::unordered_set<std::string_view>;

void CopyFieldsExcept(const google::protobuf::Message& from, const std::set<std::string_view>& except,
                      google::protobuf::Message& to) {
  google::protobuf::FieldMask mask;
  for (int i = 0; i < from.GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = from.GetDescriptor()->field(i);
    const google::protobuf::Reflection* reflection = from.GetReflection();
    const bool present =
        field->is_repeated() ? reflection->FieldSize(from, field) > 0 : reflection->HasField(from, field);
    if (present && !except.contains(field->name())) {
      mask.add_paths(field->name());
    }
  }
  google::protobuf::util::FieldMaskUtil::MergeMessageTo(from, mask, {}, &to);
  to.GetReflection()->MutableUnknownFields(&to)->MergeFrom(from.GetReflection()->GetUnknownFields(from));
}

// The functions that the part's nodes call, directly or through other functions, in the model's order.
void CopyFunctions(const onnx::ModelProto& source, onnx::ModelProto& part) {
  std::vector<const google::protobuf::RepeatedPtrField<onnx::NodeProto>*> pending{&part.graph().node()};
  std::set<std::pair<std::string_view, std::string_view>> called;
  std::set<int> needed;
  while (!pending.empty()) {
    const auto* nodes = pending.back();
    pending.pop_back();
    for (const onnx::NodeProto& node : *nodes) {
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) {
          pending.push_back(&attribute.g().node());
        }
        for (const onnx::GraphProto& graph : attribute.graphs()) {
          pending.push_back(&graph.node());
        }
      }
      if (!called.emplace(node.domain(), node.op_type()).second) {
        continue;
      }
      for (int i = 0; i < source.functions_size(); ++i) {
        const onnx::FunctionProto& function = source.functions(i);
        if (function.name() == node.op_type() && function.domain() == node.domain() && needed.insert(i).second) {
          pending.push_back(&function.node());
        }
      }
    }
  }
  for (const int i : needed) {
    *part.add_functions() = source.functions(i);
  }
}

class PartBuilder {
 public:
  PartBuilder(const Split& split, const SplitPart& part, const Model& model, const Index& index)
      : split_(split), part_(part), source_(model.proto()), index_(index) {}

  onnx::ModelProto Build() {
    onnx::ModelProto proto;
    CopyModelFields(proto);
    onnx::GraphProto& graph = *proto.mutable_graph();
    CollectNames();
    CopyQuantization(graph);  // scales that only it names are read too
    for (const NodeId node : part_.order) {
      *graph.add_node() = *index_.node(node).proto;
    }
    for (const ValueId input : part_.inputs) {
      *graph.add_input() = Declaration(input);
    }
    for (const onnx::ValueInfoProto& input : source_.graph().input()) {
      const ValueId value = index_.FindValue(index_.main_scope(), input.name());
      const bool overridable = value != kNone && (index_.value(value).initializer != nullptr ||
                                                  index_.value(value).sparse_initializer != nullptr);
      if (overridable && read_.contains(input.name())) {
        *graph.add_input() = input;
      }
    }
    // A value that passes through has a declaration as input and one as output.
    std::unordered_map<std::string_view, const onnx::ValueInfoProto*> outputs;
    for (const onnx::ValueInfoProto& output : source_.graph().output()) {
      outputs.emplace(output.name(), &output);
    }
    for (const ValueId output : part_.outputs) {
      const auto declared = outputs.find(index_.value(output).name);
      *graph.add_output() = Declaration(output, declared == outputs.end() ? nullptr : declared->second);
    }
    CopyInitializers(graph);
    CopyValueInfo(graph);
    CopyFunctions(source_, proto);
    return proto;
  }

 private:
  // Everything of the model and its graph but what a part has its own of; fields that are newer than this code too.
  void CopyModelFields(onnx::ModelProto& proto) const {
    CopyFieldsExcept(source_, {"graph", "functions", "training_info"}, proto);
    CopyFieldsExcept(
        source_.graph(),
        {"node", "initializer", "sparse_initializer", "input", "output", "value_info", "quantization_annotation"},
        *proto.mutable_graph());
  }

  void CollectNames() {
    for (const NodeId id : part_.order) {
      const Index::Node& node = index_.node(id);
      for (const ValueId input : node.inputs) {
        if (input != kNone) {
          read_.insert(index_.value(input).name);
        }
      }
      for (const ValueId capture : node.captures) {
        read_.insert(index_.value(capture).name);
      }
      for (const ValueId output : node.outputs) {
        if (output != kNone) {
          produced_.insert(index_.value(output).name);
        }
      }
    }
    for (const ValueId output : part_.outputs) {
      if (index_.value(output).producer == kNone) {
        read_.insert(index_.value(output).name);
      }
    }
    for (const std::vector<ValueId>* list : {&part_.inputs, &part_.outputs}) {
      for (const ValueId value : *list) {
        boundary_.insert(index_.value(value).name);
      }
    }
  }

  // A boundary value's declaration: the model's own where it has one, with the type that was found for it.
  onnx::ValueInfoProto Declaration(ValueId id, const onnx::ValueInfoProto* as_output = nullptr) const {
    const Index::Value& value = index_.value(id);
    onnx::ValueInfoProto info;
    if (as_output != nullptr || value.info != nullptr) {
      info = as_output != nullptr ? *as_output : *value.info;
    }
    info.set_name(std::string(value.name));
    const bool models_own = value.producer == kNone || value.is_graph_output;
    const bool declared = info.has_type() && !TypeName(info.type()).empty() &&
                          (!info.type().has_tensor_type() || info.type().tensor_type().has_shape());
    if (!models_own || !declared) {
      *info.mutable_type() = split_.types.at(id);
    }
    return info;
  }

  void CopyQuantization(onnx::GraphProto& graph) {
    const auto& annotations = source_.graph().quantization_annotation();
    std::unordered_multimap<std::string_view, int> by_tensor;
    std::vector<int> pending;
    for (int i = 0; i < annotations.size(); ++i) {
      const std::string& name = annotations.Get(i).tensor_name();
      by_tensor.emplace(name, i);
      if (produced_.contains(name) || read_.contains(name)) {
        pending.push_back(i);
      }
    }
    std::set<int> needed;
    while (!pending.empty()) {
      const int i = pending.back();
      pending.pop_back();
      if (!needed.insert(i).second) {
        continue;
      }
      for (const onnx::StringStringEntryProto& parameter : annotations.Get(i).quant_parameter_tensor_names()) {
        read_.insert(parameter.value());
        for (auto [entry, end] = by_tensor.equal_range(parameter.value()); entry != end; ++entry) {
          pending.push_back(entry->second);  // a scale may have an annotation of its own
        }
      }
    }
    for (const int i : needed) {
      *graph.add_quantization_annotation() = annotations.Get(i);
    }
  }

  void CopyInitializers(onnx::GraphProto& graph) const {
    for (const onnx::TensorProto& tensor : source_.graph().initializer()) {
      if (read_.contains(tensor.name())) {
        *graph.add_initializer() = tensor;
      }
    }
    for (const onnx::SparseTensorProto& tensor : source_.graph().sparse_initializer()) {
      if (read_.contains(tensor.values().name())) {
        *graph.add_sparse_initializer() = tensor;
      }
    }
  }

  void CopyValueInfo(onnx::GraphProto& graph) const {
    for (const onnx::ValueInfoProto& info : source_.graph().value_info()) {
      const bool here = produced_.contains(info.name()) || read_.contains(info.name());
      if (here && !boundary_.contains(info.name())) {
        *graph.add_value_info() = info;
      }
    }
  }

  const Split& split_;
  const SplitPart& part_;
  const onnx::ModelProto& source_;
  const Index& index_;
  NameSet read_;      // by nodes, bodies, or passed through to an output
  NameSet produced_;  // by the part's nodes
  NameSet boundary_;
};

}  // namespace

absl::StatusOr<Model> BuildPart(const Split& split, size_t part, const Model& model, const Index& index,
                                const std::map<std::string, std::string>& rename) {
  Model built = Model::FromProto(PartBuilder(split, split.parts[part], model, index).Build(), model.folder());
  built.Adopt(model);
  if (!rename.empty()) {
    Editor editor(built);
    std::vector<ValueId> boundary = split.parts[part].inputs;
    boundary.insert(boundary.end(), split.parts[part].outputs.begin(), split.parts[part].outputs.end());
    for (const ValueId value : boundary) {
      const std::string name(index.value(value).name);
      const auto friendly = rename.find(name);
      if (friendly != rename.end() && friendly->second != name) {
        const ValueId here = editor.index().FindValue(editor.index().main_scope(), name);
        GOMAI_CHECK(here != kNone);
        editor.RenameValue(here, friendly->second);
      }
    }
    if (const absl::StatusOr<ChangeSet> changes = editor.Commit(); !changes.ok()) {
      return Annotate(changes.status(), fmt::format("part '{}', giving its boundary values their friendly names",
                                                    split.parts[part].name));
    }
  }
  return built;
}

}  // namespace gomai
