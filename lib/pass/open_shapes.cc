// A declaration that inference never confirmed is left alone: whether it depends on the input isn't known.
#include "lib/pass/open_shapes.h"

#include "lib/model/graphs.h"
#include "lib/pass/declared_shapes.h"

namespace gomai {
namespace {

// Opens dims of one declaration; false if nothing was to be opened.
bool Open(const onnx::TypeProto& before, const onnx::TypeProto& after, onnx::TypeProto* declared) {
  const onnx::TensorShapeProto* was = FindShape(before);
  const onnx::TensorShapeProto* is = FindShape(after);
  onnx::TensorShapeProto* shape = MutableShape(*declared);
  if (was == nullptr || shape == nullptr || was->dim_size() != shape->dim_size()) {
    return false;
  }
  bool opened = false;
  for (int i = 0; i < shape->dim_size(); ++i) {
    auto& dim = *shape->mutable_dim(i);
    const bool known = is != nullptr && is->dim_size() == shape->dim_size();
    if (!dim.has_dim_value() || !was->dim(i).has_dim_value() || was->dim(i).dim_value() != dim.dim_value() ||
        (known && is->dim(i).has_dim_value())) {
      continue;
    }
    dim.clear_dim_value();
    if (known && !is->dim(i).dim_param().empty()) {
      dim.set_dim_param(is->dim(i).dim_param());
    }
    opened = true;
  }
  return opened;
}

}  // namespace

absl::StatusOr<std::vector<ShapeChange>> OpenDeclaredShapes(const Facts& before, const Index& index, Model& edited) {
  const Index now(edited.proto());
  // Inference takes what outputs declare for true where it finds less; here that is what is in question.
  Model bare = edited.Copy();
  ForEachGraph(bare.mutable_proto(), [](onnx::GraphProto& graph) {
    for (auto* list : {graph.mutable_value_info(), graph.mutable_output()}) {
      for (onnx::ValueInfoProto& info : *list) {
        if (info.type().has_tensor_type()) {
          info.mutable_type()->mutable_tensor_type()->clear_shape();
        }
      }
    }
  });
  GOMAI_ASSIGN_OR_RETURN(const Facts after, InferFacts(bare, Index(bare.proto())));
  std::vector<ShapeChange> changes;
  const auto visit = [&](ScopeId scope, onnx::ValueInfoProto& info) {
    const ValueId old = index.FindValue(scope, info.name());
    const ValueId id = now.FindValue(scope, info.name());
    if (id == kNone || old == kNone || index.value(old).producer == kNone || !before.proven[static_cast<size_t>(old)]) {
      return;
    }
    const std::string was = DeclaredText(info.type());
    if (Open(before.types[static_cast<size_t>(old)], after.types[static_cast<size_t>(id)], info.mutable_type())) {
      std::string name = info.name();
      name += scope == index.main_scope() ? "" : fmt::format(" in {}", index.ScopeName(scope));
      changes.push_back({std::move(name), was, DeclaredText(info.type())});
    }
  };
  for (ScopeId scope = 0; scope < static_cast<ScopeId>(now.scopes().size()); ++scope) {
    if (now.scope(scope).graph == nullptr || now.InFunction(scope)) {
      continue;
    }
    // The index looks at `edited`, which is ours to change; declarations hold no structure that it relies on.
    auto& graph = const_cast<onnx::GraphProto&>(*now.scope(scope).graph);
    for (onnx::ValueInfoProto& info : *graph.mutable_value_info()) {
      visit(scope, info);
    }
    for (onnx::ValueInfoProto& info : *graph.mutable_output()) {
      visit(scope, info);
    }
  }
  return changes;
}

}  // namespace gomai
