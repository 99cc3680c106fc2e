// The entry to inference: order, the main graph's walk, and what is declared for the outputs.
#include "lib/shape/infer.h"

#include <algorithm>
#include <functional>

#include "lib/shape/inference.h"

namespace gomai {

const onnx::TypeProto* Shapes::Find(std::string_view value) const {
  const auto found = types_.find(std::string(value));
  return found == types_.end() ? nullptr : &found->second;
}

void Shapes::Set(std::string_view value, onnx::TypeProto type) { types_[std::string(value)] = std::move(type); }

const std::vector<int64_t>* Shapes::Limits(std::string_view value) const {
  const auto found = limits_.find(std::string(value));
  return found == limits_.end() ? nullptr : &found->second;
}

void Shapes::SetLimits(std::string_view value, std::vector<int64_t> limits) {
  limits_[std::string(value)] = std::move(limits);
}

namespace {

using BodyValues = std::unordered_map<const onnx::GraphProto*, std::unordered_map<std::string, shape::Known>>;
// Sees what is known of each value, while it is known.
using Visit = std::function<void(ValueId, const shape::Known&)>;

absl::StatusOr<Shapes> Infer(const Model& model, const Index& index, const Visit& visit) {
  GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> sorted, TopologicalOrder(index, index.main_scope()));
  std::vector<const onnx::NodeProto*> order;
  order.reserve(sorted.size());
  for (const NodeId id : sorted) {
    order.push_back(index.node(id).proto);
  }
  shape::Opsets opsets;
  for (const auto& import : model.proto().opset_import()) {
    opsets[IsDefaultDomain(import.domain()) ? "" : import.domain()] = static_cast<int>(import.version());
  }
  shape::Run run;
  run.model = &model;
  run.index = &index;
  BodyValues bodies;
  run.bodies = visit ? &bodies : nullptr;
  // Loops run their body a few times, and functions are visited at each call: both in proportion, unless it is a bomb.
  run.budget = 200000 + 20 * static_cast<int64_t>(index.nodes().size());
  shape::Graph graph(run, opsets, nullptr);
  graph.Infer(model.proto().graph(), {}, order);

  Shapes shapes;
  for (ValueId id = 0; id < static_cast<ValueId>(index.values().size()); ++id) {
    const Index::Value& value = index.value(id);
    if (value.scope != index.main_scope()) {
      // Of a walk that was cut short, what is known of bodies may hold for the first iteration only.
      const auto body = run.budget >= 0 ? bodies.find(index.scope(value.scope).graph) : bodies.end();
      if (body != bodies.end()) {
        if (const auto known = body->second.find(std::string(value.name)); known != body->second.end()) {
          visit(id, known->second);
        }
      }
      continue;
    }
    const shape::Known* known = graph.Find(value.name);
    if (known != nullptr && visit) {
      visit(id, *known);
    }
    if (known != nullptr && known->has_type()) {
      shapes.Set(value.name, known->type);
      if (std::any_of(known->limits.begin(), known->limits.end(),
                      [](int64_t limit) { return limit != Interval::kHighest; })) {
        shapes.SetLimits(value.name, shape::DimLimits(*known).value_or(known->limits));
      }
      if (known->declared) {
        shapes.MarkDeclared(value.name);
      }
    }
  }
  for (const auto& output : model.proto().graph().output()) {
    onnx::TypeProto type;
    if (const onnx::TypeProto* known = shapes.Find(output.name()); known != nullptr) {
      type = *known;
    }
    onnx::TypeProto claim = output.type();
    shape::Sanitise(claim);
    shape::Refine(type, claim);
    if (type.value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      shapes.Set(output.name(), std::move(type));
    }
  }
  for (std::string& problem : run.problems) {
    shapes.AddProblem(std::move(problem));
  }
  return shapes;
}

// What outputs of the main graph declare completes what is inferred of them.
void AddOutputs(const Index& index, const Shapes& shapes, std::vector<onnx::TypeProto>* types) {
  for (size_t i = 0; i < types->size(); ++i) {
    const Index::Value& value = index.values()[i];
    if (value.is_graph_output && value.scope == index.main_scope()) {
      if (const onnx::TypeProto* type = shapes.Find(value.name); type != nullptr) {
        (*types)[i] = *type;
      }
    }
  }
}

}  // namespace

absl::StatusOr<Shapes> InferShapes(const Model& model, const Index& index) { return Infer(model, index, {}); }

absl::StatusOr<std::vector<onnx::TypeProto>> InferTypes(const Model& model, const Index& index,
                                                        std::vector<std::string>* problems) {
  std::vector<onnx::TypeProto> types(index.values().size());
  const auto visit = [&](ValueId id, const shape::Known& known) { types[static_cast<size_t>(id)] = known.type; };
  GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, Infer(model, index, visit));
  if (problems != nullptr) {
    *problems = shapes.problems();
  }
  AddOutputs(index, shapes, &types);
  return types;
}

absl::StatusOr<Facts> InferFacts(const Model& model, const Index& index) {
  Facts facts;
  facts.types.resize(index.values().size());
  facts.proven.resize(index.values().size());
  facts.computed.resize(index.values().size());
  facts.limits.resize(index.values().size());
  const auto visit = [&](ValueId id, const shape::Known& known) {
    const auto at = static_cast<size_t>(id);
    facts.types[at] = known.type;
    facts.limits[at] = known.limits;
    facts.proven[at] = known.has_type() && !known.claimed;
    if (known.propagated && !known.claimed) {
      facts.computed[at] = *known.tensor;
    }
  };
  GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, Infer(model, index, visit));
  std::vector<onnx::TypeProto> inferred = facts.types;
  AddOutputs(index, shapes, &facts.types);
  for (size_t i = 0; i < inferred.size(); ++i) {
    facts.proven[i] = facts.proven[i] && shape::Same(inferred[i], facts.types[i]);
  }
  facts.problems = shapes.problems();
  return facts;
}

}  // namespace gomai
