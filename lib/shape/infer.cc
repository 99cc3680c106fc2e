// The entry to inference: order, the main graph's walk, and what is declared for the outputs.
#include "lib/shape/infer.h"

#include <algorithm>

#include "lib/shape/inference.h"

namespace gomai {

const onnx::TypeProto* Shapes::Find(std::string_view value) const {
  const auto found = types_.find(std::string(value));
  return found == types_.end() ? nullptr : &found->second;
}

void Shapes::Set(std::string_view value, onnx::TypeProto type) { types_[std::string(value)] = std::move(type); }

namespace {

using BodyTypes = std::unordered_map<const onnx::GraphProto*, std::unordered_map<std::string, onnx::TypeProto>>;

absl::StatusOr<Shapes> Infer(const Model& model, const Index& index, BodyTypes* bodies) {
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
  run.bodies = bodies;
  // Loops run their body a few times, and functions are visited at each call: both in proportion, unless it is a bomb.
  run.budget = 200000 + 20 * static_cast<int64_t>(index.nodes().size());
  shape::Graph graph(run, opsets, nullptr);
  graph.Infer(model.proto().graph(), {}, order);

  Shapes shapes;
  for (const Index::Value& value : index.values()) {
    if (value.scope != index.main_scope()) {
      continue;
    }
    const shape::Known* known = graph.Find(value.name);
    if (known != nullptr && known->has_type()) {
      shapes.Set(value.name, known->type);
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

}  // namespace

absl::StatusOr<Shapes> InferShapes(const Model& model, const Index& index) { return Infer(model, index, nullptr); }

absl::StatusOr<std::vector<onnx::TypeProto>> InferTypes(const Model& model, const Index& index,
                                                        std::vector<std::string>* problems) {
  BodyTypes bodies;
  GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, Infer(model, index, &bodies));
  if (problems != nullptr) {
    *problems = shapes.problems();
  }
  std::vector<onnx::TypeProto> types(index.values().size());
  for (size_t i = 0; i < types.size(); ++i) {
    const Index::Value& value = index.values()[i];
    if (value.scope == index.main_scope()) {
      if (const onnx::TypeProto* type = shapes.Find(value.name); type != nullptr) {
        types[i] = *type;
      }
    } else if (const auto body = bodies.find(index.scope(value.scope).graph); body != bodies.end()) {
      if (const auto type = body->second.find(std::string(value.name)); type != body->second.end()) {
        types[i] = type->second;
      }
    }
  }
  return types;
}

}  // namespace gomai
