// Declared shapes against inferred ones. Only what contradicts is touched: a declaration that says less or more than
// inference knows, without contradiction, stays byte for byte (a minimal diff).
#include "lib/pass/declared_shapes.h"

#include "lib/model/dtype.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

std::string Describe(const onnx::TypeProto& type) { return fmt::format("{} {}", TypeName(type), ShapeText(type)); }

// Makes `declared` agree with `inferred` where it provably doesn't; true if it had to change.
bool Correct(const onnx::TypeProto& inferred, onnx::TypeProto& declared) {
  if (!inferred.has_tensor_type() || !declared.has_tensor_type()) {
    return false;
  }
  bool changed = false;
  const auto& now = inferred.tensor_type();
  auto& was = *declared.mutable_tensor_type();
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
    const auto& dim = now.shape().dim(i);
    auto& old = *was.mutable_shape()->mutable_dim(i);
    if (dim.has_dim_value() && old.has_dim_value() && old.dim_value() >= 0 && dim.dim_value() != old.dim_value()) {
      old.set_dim_value(dim.dim_value());
      changed = true;
    }
  }
  return changed;
}

}  // namespace

absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, bool allow_outputs) {
  const onnx::GraphProto& before = model.proto().graph();
  std::vector<ShapeChange> changes;
  if (before.value_info_size() == 0 && before.output_size() == 0) {
    return changes;
  }
  std::vector<std::pair<int, onnx::TypeProto>> infos;
  std::vector<std::pair<int, onnx::TypeProto>> outputs;
  {
    const Index index(model.proto());
    GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapes(model, index));
    const auto compare = [&](const auto& declarations, auto& corrections) {
      for (int i = 0; i < declarations.size(); ++i) {
        const onnx::ValueInfoProto& info = declarations.Get(i);
        const onnx::TypeProto* inferred = shapes.Find(info.name());
        onnx::TypeProto corrected = info.type();
        if (inferred != nullptr && !shapes.IsDeclared(info.name()) && Correct(*inferred, corrected)) {
          changes.push_back({info.name(), Describe(info.type()), Describe(corrected)});
          corrections.emplace_back(i, std::move(corrected));
        }
      }
    };
    compare(before.value_info(), infos);
    compare(before.output(), outputs);
  }
  if (!outputs.empty() && !allow_outputs) {
    const ShapeChange& change = changes.back();
    return FailedPrecondition(
        "the model's output '{}' would become {} (declared: {}); nothing was written. Allow it with "
        "--allow-shape-change",
        change.value, change.after, change.before);
  }
  onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
  for (auto& [i, type] : infos) {
    graph.mutable_value_info(i)->mutable_type()->Swap(&type);
  }
  for (auto& [i, type] : outputs) {
    graph.mutable_output(i)->mutable_type()->Swap(&type);
  }
  return changes;
}

}  // namespace gomai
