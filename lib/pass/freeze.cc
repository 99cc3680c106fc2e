// Declared dims, symbols, and what inference says of them.
#include "lib/pass/freeze.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/model/graphs.h"
#include "lib/model/tensor.h"
#include "lib/pass/declared_shapes.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

// "ADDRESS (Op)" of a problem.
std::string_view Culprit(std::string_view problem) {
  const size_t end = problem.find("): ");
  return problem.substr(0, end);
}

// Down to the tensor inside sequences and optionals.
onnx::TypeProto& Innermost(onnx::TypeProto& type) {
  onnx::TypeProto* inner = &type;
  while (true) {
    if (inner->has_sequence_type()) {
      inner = inner->mutable_sequence_type()->mutable_elem_type();
    } else if (inner->has_optional_type()) {
      inner = inner->mutable_optional_type()->mutable_elem_type();
    } else {
      return *inner;
    }
  }
}

bool Bind(std::string_view symbol, int64_t size, onnx::TypeProto& type) {
  onnx::TensorShapeProto* shape = MutableShape(Innermost(type));
  bool changed = false;
  for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
    if (shape->dim(i).dim_param() == symbol) {
      shape->mutable_dim(i)->set_dim_value(size);
      changed = true;
    }
  }
  return changed;
}

std::optional<int64_t> Elements(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return std::nullopt;
  }
  int64_t count = 1;
  for (const auto& dim : shape->dim()) {
    if (!dim.has_dim_value() || __builtin_mul_overflow(count, dim.dim_value(), &count)) {
      return std::nullopt;
    }
  }
  return count;
}

}  // namespace

std::optional<int64_t> FixedSize(const onnx::TensorShapeProto::Dimension& dim) {
  return dim.has_dim_value() && dim.dim_value() > 0 ? std::optional<int64_t>(dim.dim_value()) : std::nullopt;
}

std::vector<ShapeChange> BindSymbol(onnx::ModelProto& model, std::string_view symbol, int64_t size) {
  std::vector<ShapeChange> changes;
  const Index index(model);
  std::map<const onnx::GraphProto*, ScopeId> scopes;
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    scopes.emplace(index.scope(id).graph, id);
  }
  ForEachGraph(model, [&](onnx::GraphProto& graph) {
    const auto scope = scopes.find(&graph);
    for (auto* list : {graph.mutable_input(), graph.mutable_value_info(), graph.mutable_output()}) {
      for (onnx::ValueInfoProto& info : *list) {
        if (!info.has_type()) {
          continue;
        }
        onnx::TypeProto type = info.type();
        if (Bind(symbol, size, type)) {
          const bool main = &graph == &model.graph() || scope == scopes.end();
          changes.push_back({main ? info.name() : fmt::format("{} in {}", info.name(), index.ScopeName(scope->second)),
                             DeclaredText(info.type()), DeclaredText(type)});
          info.mutable_type()->Swap(&type);
        }
      }
    }
  });
  return changes;
}

std::vector<std::string> InputSymbols(const onnx::ModelProto& model) {
  std::vector<std::string> symbols;
  for (const onnx::ValueInfoProto& input : model.graph().input()) {
    onnx::TypeProto type = input.type();
    const onnx::TensorShapeProto* shape = FindShape(Innermost(type));
    for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
      const std::string& symbol = shape->dim(i).dim_param();
      if (!symbol.empty() && std::find(symbols.begin(), symbols.end(), symbol) == symbols.end()) {
        symbols.push_back(symbol);
      }
    }
  }
  return symbols;
}

const onnx::TensorProto* FindDefault(const onnx::ModelProto& model, std::string_view input) {
  for (const onnx::TensorProto& tensor : model.graph().initializer()) {
    if (tensor.name() == input) {
      return &tensor;
    }
  }
  return nullptr;
}

namespace {

// What ONNX's inference lets pass, as a message; "" for what it could be.
std::string Impossible(const Index::Node& node, const std::vector<onnx::TypeProto>& types) {
  const auto type = [&](size_t input) -> const onnx::TypeProto* {
    return input < node.inputs.size() && node.inputs[input] != kNone ? &types[static_cast<size_t>(node.inputs[input])]
                                                                     : nullptr;
  };
  if (!IsDefaultDomain(node.proto->domain()) || type(0) == nullptr || node.outputs.empty() ||
      node.outputs[0] == kNone) {
    return "";
  }
  if (node.proto->op_type() == "Reshape") {
    const onnx::TypeProto& result = types[static_cast<size_t>(node.outputs[0])];
    const auto given = Elements(*type(0));
    const auto made = Elements(result);
    return given && made && *given != *made ? fmt::format("{} of {} elements can't become {} of {}",
                                                          ShapeText(*type(0)), *given, ShapeText(result), *made)
                                            : "";
  }
  if (node.proto->op_type() == "Conv" && type(1) != nullptr) {
    const onnx::TensorShapeProto* data = FindShape(*type(0));
    const onnx::TensorShapeProto* weight = FindShape(*type(1));
    const onnx::AttributeProto* group = FindAttribute(*node.proto, "group");
    const int64_t groups = group == nullptr ? 1 : group->i();
    int64_t wanted = 0;
    return data != nullptr && weight != nullptr && data->dim_size() > 1 && weight->dim_size() > 1 &&
                   data->dim(1).has_dim_value() && weight->dim(1).has_dim_value() &&
                   !__builtin_mul_overflow(weight->dim(1).dim_value(), groups, &wanted) &&
                   data->dim(1).dim_value() != wanted
               ? fmt::format("its weight {} is for {} channels, and the data has {}", ShapeText(*type(1)), wanted,
                             data->dim(1).dim_value())
               : "";
  }
  return "";
}

}  // namespace

absl::StatusOr<Inferred> InferAll(const Model& model, const Index& index) {
  Inferred inferred;
  GOMAI_ASSIGN_OR_RETURN(inferred.types, InferTypes(model, index, &inferred.problems));
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    if (const std::string problem = Impossible(index.node(id), inferred.types); !problem.empty()) {
      inferred.problems.push_back(fmt::format("{}: {}", index.Describe(id), problem));
    }
  }
  return inferred;
}

std::vector<std::string> NewProblems(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::unordered_set<std::string_view> known;
  for (const std::string& problem : before) {
    known.insert(Culprit(problem));
  }
  std::vector<std::string> fresh;
  for (const std::string& problem : after) {
    if (!known.contains(Culprit(problem))) {
      fresh.push_back(problem);
    }
  }
  return fresh;
}

std::string ListProblems(const std::vector<std::string>& problems) {
  constexpr size_t kListed = 4;
  std::string text;
  for (size_t i = 0; i < std::min(problems.size(), kListed); ++i) {
    text += (i == 0 ? "" : "; ") + problems[i];
  }
  return problems.size() > kListed ? fmt::format("{} and {} more", text, problems.size() - kListed) : text;
}

}  // namespace gomai
