// If, Loop, and calls of functions, inferred here and not by their schemas: If keeps what the branches have in common;
// Loop runs its body until the types of the carried values don't change any more, which proves them for every
// iteration; a function's body is inferred anew at each call, with the call's attributes in it.
#include <algorithm>
#include <deque>

#include "lib/shape/infer.h"
#include "lib/shape/inference.h"

namespace gomai::shape {
namespace {

// Bodies and functions inside one another. ONNX's parser allows some 30 bodies; calls of functions nest without limit.
constexpr int kDeepest = 48;

class Deeper {
 public:
  explicit Deeper(Run& run) : run_(run) { ++run_.depth; }
  ~Deeper() { --run_.depth; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;

 private:
  Run& run_;
};

// The most that each dim can be, whichever of the two it is.
std::vector<int64_t> JoinLimits(const Known& a, const Known& b) {
  std::optional<std::vector<int64_t>> limits = DimLimits(a);
  const std::optional<std::vector<int64_t>> other = DimLimits(b);
  if (!limits || !other || limits->size() != other->size()) {
    return {};
  }
  std::transform(limits->begin(), limits->end(), other->begin(), limits->begin(),
                 [](int64_t one, int64_t two) { return std::max(one, two); });
  return *std::move(limits);
}

// A copy of the function's nodes as a graph, with attribute references replaced by what the call gives, or the
// default, or dropped.
onnx::GraphProto Instantiate(const onnx::FunctionProto& function, const onnx::NodeProto& call) {
  const auto given = [&](const std::string& name) -> const onnx::AttributeProto* {
    if (const onnx::AttributeProto* attribute = FindAttribute(call, name); attribute != nullptr) {
      return attribute;
    }
    for (const auto& attribute : function.attribute_proto()) {
      if (attribute.name() == name) {
        return &attribute;
      }
    }
    return nullptr;
  };
  onnx::GraphProto graph;
  *graph.mutable_node() = function.node();
  std::deque<onnx::GraphProto*> graphs{&graph};
  while (!graphs.empty()) {
    onnx::GraphProto& present = *graphs.front();
    graphs.pop_front();
    for (auto& node : *present.mutable_node()) {
      auto& attributes = *node.mutable_attribute();
      for (int i = attributes.size() - 1; i >= 0; --i) {
        auto& attribute = attributes[i];
        if (!attribute.ref_attr_name().empty()) {
          if (const onnx::AttributeProto* value = given(attribute.ref_attr_name()); value != nullptr) {
            std::string name = attribute.name();
            attribute = *value;
            attribute.set_name(std::move(name));
          } else {
            attributes.DeleteSubrange(i, 1);
          }
          continue;
        }
        if (attribute.has_g()) {
          graphs.push_back(attribute.mutable_g());
        }
        for (auto& inner : *attribute.mutable_graphs()) {
          graphs.push_back(&inner);
        }
      }
    }
  }
  *graph.mutable_value_info() = function.value_info();
  return graph;
}

}  // namespace

std::vector<Known> InferBodyValues(Graph& outer, const onnx::GraphProto& body,
                                   const std::vector<const onnx::TypeProto*>& inputs) {
  std::vector<Known> outputs(static_cast<size_t>(body.output_size()));
  Run& run = outer.run();
  if (run.depth >= kDeepest) {
    return outputs;
  }
  const Deeper deeper(run);
  Graph graph(run, outer.opsets(), &outer);
  graph.Infer(body, inputs);
  for (int i = 0; i < body.output_size(); ++i) {
    Known& output = outputs[static_cast<size_t>(i)];
    if (const Known* known = graph.Find(body.output(i).name()); known != nullptr) {
      output = *known;
    }
    // A body's own claim counts where nothing better is known.
    if (FindShape(output.type) == nullptr) {
      Refine(output.type, body.output(i).type());
      if (FindShape(output.type) != nullptr) {
        run.Claim(output);
      }
    }
  }
  if (run.bodies != nullptr) {
    (*run.bodies)[&body] = std::move(graph).Values();
  }
  return outputs;
}

std::vector<onnx::TypeProto> InferBody(Graph& outer, const onnx::GraphProto& body,
                                       const std::vector<const onnx::TypeProto*>& inputs) {
  std::vector<onnx::TypeProto> types;
  for (Known& output : InferBodyValues(outer, body, inputs)) {
    types.push_back(std::move(output.type));
  }
  return types;
}

absl::Status Graph::InferIf(const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs,
                            std::vector<Known>* values) {
  const onnx::GraphProto* then_branch = FindBody(node, "then_branch");
  const onnx::GraphProto* else_branch = FindBody(node, "else_branch");
  if (then_branch == nullptr || else_branch == nullptr) {
    return DataLoss("it lacks a branch");
  }
  std::vector<Known> then_values = InferBodyValues(*this, *then_branch, {});
  std::vector<Known> else_values = InferBodyValues(*this, *else_branch, {});
  if (then_values.size() != outputs.size() || else_values.size() != outputs.size()) {
    return DataLoss("its branches give {} and {} outputs, the node has {}", then_values.size(), else_values.size(),
                    outputs.size());
  }
  Known* condition = node.input_size() > 0 ? Find(node.input(0)) : nullptr;
  const Elements* decided = condition == nullptr ? nullptr : ElementsOf(*condition);
  if (decided != nullptr && decided->at.size() == 1 && decided->at[0].known()) {
    *values = decided->at[0].low != 0 ? std::move(then_values) : std::move(else_values);
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i] = (*values)[i].type;
    }
    return absl::OkStatus();
  }
  values->resize(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    // An untyped branch can only have the other's element type.
    onnx::TypeProto& bare_then = then_values[i].type;
    onnx::TypeProto& bare_else = else_values[i].type;
    for (auto [type, other] : {std::pair(&bare_then, &bare_else), std::pair(&bare_else, &bare_then)}) {
      if (type->value_case() == onnx::TypeProto::VALUE_NOT_SET && other->has_tensor_type()) {
        type->mutable_tensor_type()->set_elem_type(other->tensor_type().elem_type());
      }
    }
    outputs[i] = Join(bare_then, bare_else);
    (*values)[i].limits = JoinLimits(then_values[i], else_values[i]);
  }
  return absl::OkStatus();
}

absl::Status Graph::InferLoop(const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs) {
  const onnx::GraphProto* body = FindBody(node, "body");
  if (body == nullptr || node.input_size() < 2) {
    return DataLoss("it lacks a body, or its first two inputs");
  }
  const size_t carried = static_cast<size_t>(node.input_size()) - 2;
  if (static_cast<size_t>(body->output_size()) != outputs.size() + 1 || outputs.size() < carried) {
    return DataLoss("its body gives {} outputs; {} are needed for {} outputs of the node", body->output_size(),
                    outputs.size() + 1, outputs.size());
  }
  onnx::TypeProto condition;
  condition.mutable_tensor_type()->set_elem_type(onnx::TensorProto::BOOL);
  onnx::TypeProto iteration;
  iteration.mutable_tensor_type()->set_elem_type(onnx::TensorProto::INT64);
  // Scalars by the specification, but a vector of one element is accepted everywhere.
  for (int i = 0; i < std::min(2, body->input_size()); ++i) {
    if (const onnx::TensorShapeProto* shape = FindShape(body->input(i).type()); shape != nullptr) {
      SetShape(i == 0 ? iteration : condition, *shape);
    }
  }
  std::vector<onnx::TypeProto> types(carried);
  for (size_t i = 0; i < carried; ++i) {
    if (const onnx::TypeProto* type = TypeOf(node.input(static_cast<int>(i) + 2)); type != nullptr) {
      types[i] = *type;
    }
  }
  std::vector<const onnx::TypeProto*> inputs{&iteration, &condition};
  for (const onnx::TypeProto& type : types) {
    inputs.push_back(&type);
  }
  // Each round can only forget; after two rounds whatever still changes is forgotten wholesale, so that it ends.
  std::vector<onnx::TypeProto> results;
  for (int round = 0;; ++round) {
    results = InferBody(*this, *body, inputs);
    bool changed = false;
    for (size_t i = 0; i < carried; ++i) {
      onnx::TypeProto result = results[i + 1];
      if (result.value_case() == onnx::TypeProto::VALUE_NOT_SET && IsTensor(types[i])) {
        result.mutable_tensor_type()->set_elem_type(ElementType(types[i]));
      }
      onnx::TypeProto joined =
          types[i].value_case() == onnx::TypeProto::VALUE_NOT_SET ? onnx::TypeProto() : Join(types[i], result);
      if (Same(joined, types[i])) {
        continue;
      }
      changed = true;
      const onnx::TensorShapeProto* shape = FindShape(joined);
      if (round >= 2 && shape != nullptr) {
        const int elements = ElementType(joined);
        onnx::TensorShapeProto open = OpenShape(shape->dim_size());
        joined.Clear();
        joined.mutable_tensor_type()->set_elem_type(elements);
        if (round == 2) {
          SetShape(joined, std::move(open));
        }
      }
      types[i] = std::move(joined);
    }
    // Each type can be forgotten in three steps, so it does settle.
    if (!changed || round > 8 + 3 * static_cast<int>(carried)) {
      break;
    }
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i < carried) {
      outputs[i] = types[i];
      continue;
    }
    // Scan outputs: what each iteration gives, stacked along a new first axis.
    outputs[i] = results[i + 1];
    if (const onnx::TensorShapeProto* shape = FindShape(outputs[i]); shape != nullptr) {
      onnx::TensorShapeProto stacked = OpenShape(1);
      stacked.MergeFrom(*shape);
      SetShape(outputs[i], std::move(stacked));
    }
  }
  return absl::OkStatus();
}

void Graph::InferCall(const onnx::NodeProto& node, const onnx::FunctionProto& function,
                      std::vector<onnx::TypeProto>& outputs) {
  if (run_.depth >= kDeepest) {
    return;
  }
  const Deeper deeper(run_);
  Opsets opsets;
  for (const auto& import : function.opset_import()) {
    opsets[IsDefaultDomain(import.domain()) ? "" : import.domain()] = static_cast<int>(import.version());
  }
  const onnx::GraphProto body = Instantiate(function, node);
  Graph graph(run_, opsets, nullptr);
  // A parameter that the call leaves out stays a name that nothing defines.
  for (int i = 0; i < node.input_size() && i < function.input_size(); ++i) {
    if (const Known* known = Find(node.input(i)); known != nullptr) {
      graph.Define(function.input(i)) = *known;
    }
  }
  graph.Infer(body, {});
  for (int i = 0; i < function.output_size() && static_cast<size_t>(i) < outputs.size(); ++i) {
    if (const Known* known = graph.Find(function.output(i)); known != nullptr) {
      outputs[static_cast<size_t>(i)] = known->type;
    }
  }
}

}  // namespace gomai::shape
