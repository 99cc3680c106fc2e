// Declared shapes against inferred ones. Only what contradicts is touched, unless completion was asked for: a
// declaration that says less or more than inference knows, without contradiction, stays byte for byte (a minimal diff).
#include "lib/pass/declared_shapes.h"

#include <unordered_map>

#include "lib/model/dtype.h"
#include "lib/model/graphs.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

using Dim = onnx::TensorShapeProto::Dimension;

bool IsNumber(const Dim& dim) { return dim.has_dim_value() && dim.dim_value() >= 0; }
bool IsKnown(const Dim& dim) { return IsNumber(dim) || !dim.dim_param().empty(); }

bool IsConcrete(const onnx::TensorShapeProto& shape) {
  for (const Dim& dim : shape.dim()) {
    if (!IsNumber(dim)) {
      return false;
    }
  }
  return true;
}

// Copies value or symbol; what is said of the axis (its denotation) stays.
void SetDim(const Dim& from, Dim& to) {
  from.has_dim_value() ? to.set_dim_value(from.dim_value()) : to.set_dim_param(from.dim_param());
}

// Makes `declared` agree with `inferred` where it provably doesn't; true if it had to change.
bool Correct(const onnx::TypeProto::Tensor& now, onnx::TypeProto::Tensor& was) {
  bool changed = false;
  if (now.elem_type() != 0 && was.elem_type() != 0 && now.elem_type() != was.elem_type()) {
    was.set_elem_type(now.elem_type());
    changed = true;
  }
  if (!now.has_shape() || !was.has_shape()) {
    return changed;
  }
  if (now.shape().dim_size() != was.shape().dim_size()) {
    *was.mutable_shape() = now.shape();
    return true;
  }
  for (int i = 0; i < now.shape().dim_size(); ++i) {
    const Dim& dim = now.shape().dim(i);
    Dim& old = *was.mutable_shape()->mutable_dim(i);
    if (IsNumber(dim) && IsNumber(old) && dim.dim_value() != old.dim_value()) {
      old.set_dim_value(dim.dim_value());
      changed = true;
    }
  }
  return changed;
}

// Fills in what `declared` leaves open; a contradiction is left to Correct.
bool Complete(const onnx::TypeProto::Tensor& now, bool symbols, onnx::TypeProto::Tensor& was) {
  if (!now.has_shape() || (was.has_shape() && now.shape().dim_size() != was.shape().dim_size())) {
    return false;
  }
  if (!was.has_shape()) {
    if (!symbols && !IsConcrete(now.shape())) {
      return false;
    }
    *was.mutable_shape() = now.shape();
    return true;
  }
  bool changed = false;
  for (int i = 0; i < now.shape().dim_size(); ++i) {
    const Dim& dim = now.shape().dim(i);
    Dim& old = *was.mutable_shape()->mutable_dim(i);
    // A declared 0 is how exporters write that they don't know.
    const bool open = !IsNumber(old) || old.dim_value() == 0;
    if ((IsNumber(dim) && open && !(IsNumber(old) && dim.dim_value() == 0)) ||
        (symbols && !IsKnown(old) && IsKnown(dim))) {
      SetDim(dim, old);
      changed = true;
    }
  }
  return changed;
}

// One declaration; true if it changed.
bool Refresh(const onnx::TypeProto& inferred, const RefreshOptions& options, onnx::TypeProto& declared) {
  const bool all = options.complete == CompleteShapes::kAll;
  const onnx::TypeProto* now = &inferred;
  onnx::TypeProto* was = &declared;
  // Down to the elements of sequences and optionals.
  while (true) {
    if (was->value_case() == onnx::TypeProto::VALUE_NOT_SET && all &&
        now->value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      *was = *now;
      return true;
    }
    if (now->has_sequence_type() && was->has_sequence_type()) {
      now = &now->sequence_type().elem_type();
      was = was->mutable_sequence_type()->mutable_elem_type();
    } else if (now->has_optional_type() && was->has_optional_type()) {
      now = &now->optional_type().elem_type();
      was = was->mutable_optional_type()->mutable_elem_type();
    } else {
      break;
    }
  }
  if (!now->has_tensor_type() || !was->has_tensor_type()) {
    return false;
  }
  bool changed = options.correct && Correct(now->tensor_type(), *was->mutable_tensor_type());
  if (options.complete != CompleteShapes::kNo) {
    changed = Complete(now->tensor_type(), all, *was->mutable_tensor_type()) || changed;
  }
  return changed;
}

struct Correction {
  ScopeId scope;
  enum List { kInfo, kInput, kOutput } list;
  int position;
  onnx::TypeProto type;
};

// What is to be written, found on an unedited model.
class Comparison {
 public:
  Comparison(const Index& index, const std::vector<onnx::TypeProto>& types, const RefreshOptions& options)
      : index_(index), types_(types), options_(options) {}

  absl::Status CompareAll() {
    for (ScopeId id = 0; id < static_cast<ScopeId>(index_.scopes().size()); ++id) {
      const onnx::GraphProto* graph = index_.scope(id).graph;
      if (graph == nullptr) {
        continue;
      }
      const bool main = id == index_.main_scope();
      if (!main) {
        Compare(id, Correction::kInput, graph->input(), options_);
      }
      Compare(id, Correction::kInfo, graph->value_info(), options_);
      Compare(id, Correction::kOutput, graph->output(), options_);
      if (main && options_.correct && !options_.allow_outputs) {
        GOMAI_RETURN_IF_ERROR(CheckOutputs(*graph));
      }
    }
    return absl::OkStatus();
  }

  std::vector<Correction>& corrections() { return corrections_; }
  std::vector<ShapeChange>& changes() { return changes_; }

  std::string Where(ScopeId scope, std::string_view name) const {
    return scope == index_.main_scope() ? std::string(name) : fmt::format("{} in {}", name, index_.ScopeName(scope));
  }

 private:
  const onnx::TypeProto* Inferred(ScopeId scope, const std::string& name) const {
    const ValueId value = index_.Resolve(scope, name);
    return value == kNone ? nullptr : &types_[static_cast<size_t>(value)];
  }

  template <typename Declarations>
  void Compare(ScopeId scope, Correction::List list, const Declarations& declarations, const RefreshOptions& options) {
    for (int i = 0; i < declarations.size(); ++i) {
      const onnx::ValueInfoProto& info = declarations.Get(i);
      const onnx::TypeProto* inferred = Inferred(scope, info.name());
      onnx::TypeProto type = info.type();
      if (inferred != nullptr && Refresh(*inferred, options, type)) {
        changes_.push_back({Where(scope, info.name()), DeclaredText(info.type()), DeclaredText(type)});
        corrections_.push_back({scope, list, i, std::move(type)});
      }
    }
  }

  absl::Status CheckOutputs(const onnx::GraphProto& graph) const {
    RefreshOptions correct_only;
    for (auto output = graph.output().rbegin(); output != graph.output().rend(); ++output) {
      onnx::TypeProto type = output->type();
      const onnx::TypeProto* inferred = Inferred(index_.main_scope(), output->name());
      if (inferred != nullptr && Refresh(*inferred, correct_only, type)) {
        return FailedPrecondition(
            "the model's output '{}' would become {} (declared: {}); nothing was written. Allow it with "
            "--allow-shape-change",
            output->name(), DeclaredText(type), DeclaredText(output->type()));
      }
    }
    return absl::OkStatus();
  }

  const Index& index_;
  const std::vector<onnx::TypeProto>& types_;
  const RefreshOptions& options_;
  std::vector<Correction> corrections_;
  std::vector<ShapeChange> changes_;
};

// New value_info for what has none, in node order.
void FindMissing(const Index& index, const std::vector<onnx::TypeProto>& types, const Comparison& comparison,
                 std::vector<std::pair<ScopeId, onnx::ValueInfoProto>>& added, std::vector<ShapeChange>& changes) {
  for (const Index::Node& node : index.nodes()) {
    if (index.scope(node.scope).graph == nullptr) {
      continue;
    }
    for (const ValueId id : node.outputs) {
      if (id == kNone) {
        continue;
      }
      const Index::Value& value = index.value(id);
      const onnx::TypeProto& type = types[static_cast<size_t>(id)];
      if (value.info != nullptr || value.is_graph_output || TypeName(type).empty()) {
        continue;
      }
      onnx::ValueInfoProto info;
      info.set_name(std::string(value.name));
      *info.mutable_type() = type;
      changes.push_back({comparison.Where(node.scope, value.name), kUndeclared, DeclaredText(type)});
      added.emplace_back(node.scope, std::move(info));
    }
  }
}

bool NothingDeclared(const onnx::ModelProto& model) {
  bool declared = false;
  ForEachGraph(model, [&](const onnx::GraphProto& graph) {
    const bool inputs = &graph != &model.graph() && graph.input_size() != 0;
    declared = declared || inputs || graph.value_info_size() != 0 || graph.output_size() != 0;
  });
  return !declared;
}

}  // namespace

std::string DeclaredText(const onnx::TypeProto& type) {
  const std::string name = TypeName(type);
  if (name.empty()) {
    return "untyped";
  }
  const onnx::TypeProto* inner = &type;
  while (inner->has_sequence_type() || inner->has_optional_type()) {
    inner = inner->has_sequence_type() ? &inner->sequence_type().elem_type() : &inner->optional_type().elem_type();
  }
  const bool tensor = inner->has_tensor_type() || inner->has_sparse_tensor_type();
  return !tensor || (inner != &type && FindShape(*inner) == nullptr)
             ? name
             : fmt::format("{}{}{}", name, inner == &type ? " " : " of ", ShapeText(*inner));
}

std::vector<ShapeChange> MergeShapeChanges(std::vector<ShapeChange> changes, std::vector<ShapeChange> more) {
  std::vector<ShapeChange> merged;
  std::unordered_map<std::string, size_t> places;
  for (std::vector<ShapeChange>* list : {&changes, &more}) {
    for (ShapeChange& change : *list) {
      const auto [place, first] = places.emplace(change.value, merged.size());
      if (first) {
        merged.push_back(std::move(change));
      } else {
        merged[place->second].after = std::move(change.after);
      }
    }
  }
  return merged;
}

absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, const RefreshOptions& options) {
  if (!options.add && NothingDeclared(model.proto())) {
    return std::vector<ShapeChange>();
  }
  const Index index(model.proto());
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, InferTypes(model, index));
  return RefreshDeclaredShapes(model, index, types, options);
}

absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, const Index& index,
                                                               const std::vector<onnx::TypeProto>& types,
                                                               const RefreshOptions& options) {
  std::unordered_map<const onnx::GraphProto*, ScopeId> scopes;
  std::vector<std::pair<ScopeId, onnx::ValueInfoProto>> added;
  Comparison comparison(index, types, options);
  GOMAI_RETURN_IF_ERROR(comparison.CompareAll());
  std::vector<Correction> corrections = std::move(comparison.corrections());
  std::vector<ShapeChange> changes = std::move(comparison.changes());
  if (options.add) {
    FindMissing(index, types, comparison, added, changes);
  }
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    scopes.emplace(index.scope(id).graph, id);
  }
  if (corrections.empty() && added.empty()) {
    return changes;
  }
  std::unordered_map<ScopeId, onnx::GraphProto*> graphs;
  ForEachGraph(model.mutable_proto(), [&](onnx::GraphProto& graph) {
    if (const auto scope = scopes.find(&graph); scope != scopes.end()) {
      graphs.emplace(scope->second, &graph);
    }
  });
  for (Correction& correction : corrections) {
    const auto entry = graphs.find(correction.scope);
    if (entry == graphs.end()) {
      continue;  // a body inside a function
    }
    onnx::GraphProto& graph = *entry->second;
    onnx::ValueInfoProto& info = *(correction.list == Correction::kInfo ? graph.mutable_value_info(correction.position)
                                   : correction.list == Correction::kInput ? graph.mutable_input(correction.position)
                                                                           : graph.mutable_output(correction.position));
    info.mutable_type()->Swap(&correction.type);
  }
  for (auto& [scope, info] : added) {
    if (const auto graph = graphs.find(scope); graph != graphs.end()) {
      graph->second->add_value_info()->Swap(&info);
    }
  }
  return changes;
}

absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, bool allow_outputs) {
  RefreshOptions options;
  options.allow_outputs = allow_outputs;
  return RefreshDeclaredShapes(model, options);
}

}  // namespace gomai
