// Declared types and quantization annotations of two graphs, for GraphDiffer (graph_diff.h): lists that name values,
// and so go by the values' partners where names don't count.
#include <fmt/format.h>

#include "lib/compare/field_diff.h"
#include "lib/compare/graph_diff.h"

namespace gomai {

std::string GraphDiffer::KeyOf(const Index& index, ScopeId scope, const std::string& name, bool is_before) const {
  if (!options_.ignore_names) {
    return name;
  }
  const ValueId id = index.Resolve(scope, name);
  const ValueId common = is_before ? matching_.After(id) : matching_.Before(id) == kNone ? kNone : id;
  return common == kNone ? "name " + name : fmt::format("value {}", common);
}

void GraphDiffer::ValueInfos(const Sides& scope) {
  const Index::Scope& a = before_.scope(scope.before);
  const Index::Scope& b = after_.scope(scope.after);
  const auto& list_a = a.graph != nullptr ? a.graph->value_info() : a.function->value_info();
  const auto& list_b = b.graph != nullptr ? b.graph->value_info() : b.function->value_info();
  std::vector<std::string> keys_a, keys_b;
  for (const auto& info : list_a) {
    keys_a.push_back(KeyOf(before_, scope.before, info.name(), true));
  }
  for (const auto& info : list_b) {
    keys_b.push_back(KeyOf(after_, scope.after, info.name(), false));
  }
  const ListMatch match = MatchLists(keys_a, keys_b);
  for (const auto& [i, j] : match.both) {
    DiffFields(list_a.Get(i), list_b.Get(j), "", {"name"}, NamedSpot(scope, Section::kValues, list_a.Get(i).name()),
               log_);
  }
  for (const int i : match.removed) {
    log_.Removed(NamedSpot(scope, Section::kValues, list_a.Get(i).name()), "", TypeText(list_a.Get(i).type()));
  }
  for (const int j : match.added) {
    log_.Added(NamedSpot(scope, Section::kValues, list_b.Get(j).name()), "", TypeText(list_b.Get(j).type()));
  }
  log_.Order(ScopeSpot(scope, Section::kValues), "declared types", match.moved, match.both.size());
}

void GraphDiffer::Annotations(const Sides& scope) {
  const auto& list_a = before_.scope(scope.before).graph->quantization_annotation();
  const auto& list_b = after_.scope(scope.after).graph->quantization_annotation();
  std::vector<std::string> keys_a, keys_b;
  for (const auto& annotation : list_a) {
    keys_a.push_back(KeyOf(before_, scope.before, annotation.tensor_name(), true));
  }
  for (const auto& annotation : list_b) {
    keys_b.push_back(KeyOf(after_, scope.after, annotation.tensor_name(), false));
  }
  const auto parameters = [](const onnx::TensorAnnotation& annotation) {
    std::string text;
    for (const auto& entry : annotation.quant_parameter_tensor_names()) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", entry.key(), entry.value());
    }
    return text;
  };
  const ListMatch match = MatchLists(keys_a, keys_b);
  for (const auto& [i, j] : match.both) {
    const onnx::TensorAnnotation& a = list_a.Get(i);
    const onnx::TensorAnnotation& b = list_b.Get(j);
    const SpotFunction spot = NamedSpot(scope, Section::kValues, a.tensor_name());
    if (!options_.ignore_names) {
      DiffFields(a, b, "quantization ", {"tensor_name"}, spot, log_);
      continue;
    }
    // The parameters are tensors' names too.
    onnx::TensorAnnotation known_a = a;
    onnx::TensorAnnotation known_b = b;
    for (auto& entry : *known_a.mutable_quant_parameter_tensor_names()) {
      entry.set_value(KeyOf(before_, scope.before, entry.value(), true));
    }
    for (auto& entry : *known_b.mutable_quant_parameter_tensor_names()) {
      entry.set_value(KeyOf(after_, scope.after, entry.value(), false));
    }
    DiffLog found(options_);
    DiffFields(known_a, known_b, "quantization ", {"tensor_name"}, spot, found);
    if (!found.diff().equal()) {
      log_.Changed(spot, "quantization", parameters(a), parameters(b));
    }
  }
  for (const int i : match.removed) {
    log_.Removed(NamedSpot(scope, Section::kValues, list_a.Get(i).tensor_name()), "quantization",
                 parameters(list_a.Get(i)));
  }
  for (const int j : match.added) {
    log_.Added(NamedSpot(scope, Section::kValues, list_b.Get(j).tensor_name()), "quantization",
               parameters(list_b.Get(j)));
  }
  log_.Order(ScopeSpot(scope, Section::kValues), "quantization annotations", match.moved, match.both.size());
}

}  // namespace gomai
