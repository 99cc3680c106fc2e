// The inverse of a split; see merge.h. Parts are combined in their order, which is an order in which they can run, and
// then lists are put into the order that the manifest keeps.
#include "lib/split/merge.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "lib/graph/editor.h"
#include "lib/graph/verify.h"
#include "lib/split/combine.h"
#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

class PartMerger {
 public:
  PartMerger(const Manifest& manifest, const std::filesystem::path& folder, const Replacements& replace,
             const Diagnostics& diagnostics)
      : manifest_(manifest), folder_(folder), replace_(replace), combiner_(folder, diagnostics) {
    for (const ManifestPart& part : manifest.parts) {
      for (const auto* tensors : {&part.inputs, &part.outputs}) {
        for (const ManifestTensor& tensor : *tensors) {
          boundary_.insert(Unaliased(tensor.name));
          if (replace.contains(part.name)) {
            replaced_boundary_.insert(Unaliased(tensor.name));
          }
        }
      }
    }
  }

  absl::StatusOr<Model> Merge() {
    for (const ManifestPart& part : manifest_.parts) {
      if (part.batching) {
        return FailedPrecondition(
            "part '{}' takes {} rows at a time, and one model can't call it as often as it needs; split without "
            "batching to merge the parts again",
            part.name, part.batching->size);
      }
      GOMAI_RETURN_IF_ERROR(AddPart(part));
    }
    onnx::GraphProto& graph = combiner_.graph();
    SetInputs(graph);
    RestoreUnread(graph);
    SetOutputs(graph);
    MoveAll(&declared_, graph.mutable_value_info());
    RestoreOrder(manifest_.node_order, combiner_.node_origin(), graph.mutable_node());
    RestoreOrder(manifest_.initializer_order, combiner_.initializer_origin(), graph.mutable_initializer());
    Model model = std::move(combiner_).Finish();
    SortIfNeeded(model);
    GOMAI_RETURN_IF_ERROR(Annotate(VerifyForWriting(model, Index(model.proto())), "the merged model"));
    return model;
  }

 private:
  template <typename List>
  static void MoveAll(List* from, List* to) {
    for (auto& element : *from) {
      to->Add(std::move(element));
    }
  }

  absl::Status AddPart(const ManifestPart& part) {
    GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path file, FindPartFile(part, folder_, replace_, true));
    GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(file));
    GOMAI_RETURN_IF_ERROR(CheckPart(part, file, model));
    GOMAI_RETURN_IF_ERROR(GiveModelNames(part, model));
    CombineOptions options;
    options.name = fmt::format("part '{}'", part.name);
    options.prefix = part.name + "/";
    options.fold_constants = true;
    for (const ManifestTensor& input : part.inputs) {
      const std::string name = Unaliased(input.name);
      if (input.from != "input" || inputs_.contains(name)) {
        options.connects[name] = name;
      }
    }
    // Among parts that are what they were a name means one thing: a constant may be inside one and the output of
    // another.
    options.reserved = replace_.contains(part.name) ? boundary_ : replaced_boundary_;
    for (const auto* tensors : {&part.inputs, &part.outputs}) {
      for (const ManifestTensor& tensor : *tensors) {
        options.reserved.erase(Unaliased(tensor.name));
      }
    }
    for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
      inputs_.emplace(input.name(), input);
    }
    TakeOutputs(part, model.proto().graph());
    return combiner_.Add(std::move(model), options);
  }

  absl::Status CheckPart(const ManifestPart& part, const std::filesystem::path& file, const Model& model) const {
    const Index index(model.proto());
    GOMAI_RETURN_IF_ERROR(Annotate(VerifyForWriting(model, index), fmt::format("part '{}'", part.name)));
    std::vector<ManifestTensor> inputs;
    std::vector<ManifestTensor> outputs;
    for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
      const Index::Value& value = index.value(index.FindValue(index.main_scope(), input.name()));
      if (value.initializer == nullptr && value.sparse_initializer == nullptr) {
        inputs.push_back(DescribeTensor(input));
      }
    }
    for (const onnx::ValueInfoProto& output : model.proto().graph().output()) {
      outputs.push_back(DescribeTensor(output));
    }
    return CheckInterface(part, file, inputs, outputs);
  }

  // Of a tensor at the edge of a part; the model's own names have precedence over friendly ones.
  std::string Unaliased(const std::string& name) const { return ModelName(manifest_, name); }

  absl::Status GiveModelNames(const ManifestPart& part, Model& model) const {
    if (!manifest_.aliased) {
      return absl::OkStatus();
    }
    Editor editor(model);
    std::unordered_set<std::string> done;
    for (const auto* tensors : {&part.inputs, &part.outputs}) {
      for (const ManifestTensor& tensor : *tensors) {
        const std::string name = Unaliased(tensor.name);
        if (name != tensor.name && done.insert(name).second) {
          editor.RenameValue(editor.index().FindValue(editor.index().main_scope(), tensor.name), name);
        }
      }
    }
    const absl::StatusOr<ChangeSet> changes = editor.Commit();
    return changes.ok() ? absl::OkStatus()
                        : Annotate(changes.status(), fmt::format("part '{}', taking friendly names back", part.name));
  }

  // What the part's outputs declare belongs to the model's outputs, or to its value_info if it had them there.
  void TakeOutputs(const ManifestPart& part, const onnx::GraphProto& graph) {
    std::unordered_map<std::string, const ManifestTensor*> described;
    for (const ManifestTensor& output : part.outputs) {
      described[Unaliased(output.name)] = &output;
    }
    for (const onnx::ValueInfoProto& output : graph.output()) {
      const ManifestTensor& tensor = *described.at(output.name());  // CheckPart compared them
      if (tensor.model_output) {
        outputs_[output.name()] = output;
      } else if (tensor.declared) {
        onnx::ValueInfoProto& info = *declared_.Add();
        info = output;
        if (info.type().has_tensor_type()) {
          info.mutable_type()->mutable_tensor_type()->clear_shape();
          if (*tensor.declared) {
            SetShape(**tensor.declared, info.mutable_type()->mutable_tensor_type()->mutable_shape());
          }
        }
      }
    }
  }

  void SetInputs(onnx::GraphProto& graph) const {
    std::unordered_map<std::string_view, const onnx::ValueInfoProto*> unread;
    for (const onnx::ValueInfoProto& input : manifest_.unread.input()) {
      unread.emplace(input.name(), &input);
    }
    google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> present;
    present.Swap(graph.mutable_input());
    std::unordered_set<std::string> listed;
    for (const ManifestTensor& input : manifest_.inputs) {
      listed.insert(input.name);
      onnx::ValueInfoProto& info = *graph.add_input();
      if (const auto found = inputs_.find(input.name); found != inputs_.end()) {
        info = found->second;
      } else if (const auto kept = unread.find(input.name); kept != unread.end()) {
        info = *kept->second;
      } else {  // no part reads it, and this is all that the model says of it
        info.set_name(input.name);
        *info.mutable_type() = TypeOf(input);
      }
    }
    // Overridable initializers; inputs of the parts that others of them make are none of the model's.
    std::unordered_set<std::string> initialized;
    for (const onnx::TensorProto& tensor : graph.initializer()) {
      initialized.insert(tensor.name());
    }
    for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
      initialized.insert(tensor.values().name());
    }
    for (onnx::ValueInfoProto& input : present) {
      if (initialized.contains(input.name()) && listed.insert(input.name()).second) {
        *graph.add_input() = std::move(input);
      }
    }
  }

  void RestoreUnread(onnx::GraphProto& graph) const {
    std::unordered_map<std::string_view, size_t> places;
    for (size_t i = 0; i < manifest_.input_order.size(); ++i) {
      places.emplace(manifest_.input_order[i], i);
    }
    const auto place = [&](const onnx::ValueInfoProto& input) {
      const auto found = places.find(input.name());
      return found == places.end() ? places.size() : found->second;
    };
    std::stable_sort(graph.mutable_input()->pointer_begin(), graph.mutable_input()->pointer_end(),
                     [&](const auto* a, const auto* b) { return place(*a) < place(*b); });
    // Scales that nothing else reads are in no part; an annotation without them would say nothing.
    std::unordered_set<std::string_view> names;
    for (const onnx::TensorProto& tensor : graph.initializer()) {
      names.insert(tensor.name());
    }
    for (const onnx::TensorAnnotation& annotation : manifest_.unread.quantization_annotation()) {
      const auto& scales = annotation.quant_parameter_tensor_names();
      if (std::all_of(scales.begin(), scales.end(), [&](const auto& scale) { return names.contains(scale.value()); })) {
        *graph.add_quantization_annotation() = annotation;
      }
    }
  }

  void SetOutputs(onnx::GraphProto& graph) const {
    graph.clear_output();
    for (const std::string& output : manifest_.outputs) {
      *graph.add_output() = outputs_.at(output);  // the manifest was checked to have each of them
    }
  }

  // Only if the parts still hold what they held: a part that was replaced may have other nodes.
  template <typename List>
  void RestoreOrder(const Runs& runs, const std::vector<size_t>& origin, List* list) const {
    std::unordered_map<std::string, size_t> parts;
    std::vector<std::vector<int>> queues(manifest_.parts.size());
    for (size_t k = 0; k < manifest_.parts.size(); ++k) {
      parts.emplace(manifest_.parts[k].name, k);
    }
    for (size_t i = 0; i < origin.size(); ++i) {
      queues[origin[i]].push_back(static_cast<int>(i));
    }
    std::vector<size_t> next(queues.size());
    std::vector<int> order;
    for (const auto& [name, count] : runs) {
      if (name.empty()) {
        continue;
      }
      const auto part = parts.find(name);
      if (part == parts.end() || count > queues[part->second].size() - next[part->second]) {
        return;
      }
      for (uint64_t i = 0; i < count; ++i) {
        order.push_back(queues[part->second][next[part->second]++]);
      }
    }
    if (order.size() != origin.size()) {
      return;
    }
    List ordered;
    ordered.Reserve(list->size());
    for (const int i : order) {
      ordered.Add(std::move(*list->Mutable(i)));
    }
    list->Swap(&ordered);
  }

  // The source itself may have been out of order, or its order doesn't fit a replaced part.
  static void SortIfNeeded(Model& model) {
    const Index index(model.proto());
    const absl::StatusOr<std::vector<NodeId>> order = TopologicalOrder(index, index.main_scope());
    if (!order.ok() || std::is_sorted(order->begin(), order->end())) {
      return;  // a cycle is VerifyForWriting's to report
    }
    google::protobuf::RepeatedPtrField<onnx::NodeProto> sorted;
    for (const NodeId node : *order) {
      *sorted.Add() = *index.node(node).proto;
    }
    model.mutable_proto().mutable_graph()->mutable_node()->Swap(&sorted);
  }

  const Manifest& manifest_;
  const std::filesystem::path folder_;
  const Replacements& replace_;
  Combiner combiner_;
  std::unordered_set<std::string> boundary_;           // what crosses between any two parts, by the model's names
  std::unordered_set<std::string> replaced_boundary_;  // of those, what parts that were replaced read or make
  std::unordered_map<std::string, onnx::ValueInfoProto> inputs_;   // of all parts, by the model's names
  std::unordered_map<std::string, onnx::ValueInfoProto> outputs_;  // the model's own
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> declared_;
};

}  // namespace

absl::StatusOr<Model> MergeParts(const std::filesystem::path& manifest_file, const Replacements& replace,
                                 const Diagnostics& diagnostics) {
  GOMAI_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(manifest_file));
  GOMAI_RETURN_IF_ERROR(CheckReplacements(manifest, manifest_file, replace));
  return PartMerger(manifest, manifest_file.parent_path(), replace, diagnostics).Merge();
}

}  // namespace gomai
