// What a plan states beyond its cuts, checked on the resolved split; and the types of what crosses.
#include "lib/split/rules.h"

#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/split/selector.h"

namespace gomai {
namespace {

NodeId FirstReader(const Index& index, const SplitPart& part, ValueId value) {
  for (const NodeId node : part.nodes) {
    const Index::Node& reader = index.node(node);
    if (std::count(reader.inputs.begin(), reader.inputs.end(), value) != 0 ||
        std::count(reader.captures.begin(), reader.captures.end(), value) != 0) {
      return node;
    }
  }
  return part.nodes.front();
}

absl::Status CheckForbidden(const Index& index, const PlanPart& rule, const SplitPart& part) {
  const std::set<std::string> forbidden(rule.forbid_ops.begin(), rule.forbid_ops.end());
  // Nodes in bodies count: an If that hides a NonMaxSuppression is no better than the operator itself.
  std::vector<NodeId> pending(part.nodes.rbegin(), part.nodes.rend());
  while (!pending.empty()) {
    const NodeId id = pending.back();
    pending.pop_back();
    const Index::Node& node = index.node(id);
    if (forbidden.contains(node.proto->op_type())) {
      return InvalidArgument(
          "part '{}' would hold {}, and its plan forbids {}; cut before it, or let an earlier part make "
          "what it makes",
          part.name, index.Describe(id), node.proto->op_type());
    }
    for (const ScopeId body : node.bodies) {
      const std::vector<NodeId>& inner = index.scope(body).nodes;
      pending.insert(pending.end(), inner.rbegin(), inner.rend());
    }
  }
  return absl::OkStatus();
}

std::string NearBoundary(const Index& index, const Split& split, const std::string& name) {
  std::vector<std::string_view> names;
  for (const auto& [value, type] : split.types) {
    names.push_back(index.value(value).name);
  }
  return DidYouMean(name, names);
}

}  // namespace

absl::Status CheckRules(const Plan& plan, const Split& split, const Index& index,
                        const std::map<std::string, std::string>& aliases) {
  for (size_t k = 0; k < plan.parts.size(); ++k) {
    const PlanPart& rule = plan.parts[k];
    const SplitPart& part = split.parts[k];
    if (rule.inputs) {
      std::set<ValueId> allowed;
      for (const std::string& selector : *rule.inputs) {
        const absl::StatusOr<std::vector<ValueId>> values = SelectNamed(index, aliases, selector);
        if (!values.ok()) {
          return Annotate(values.status(), fmt::format("part '{}', its stated inputs", part.name));
        }
        allowed.insert(values->begin(), values->end());
      }
      std::vector<std::string> extra;
      for (const ValueId input : part.inputs) {
        if (!allowed.contains(input)) {
          const NodeId reader = FirstReader(index, part, input);
          extra.push_back(fmt::format("'{}' (read by {})", index.value(input).name, index.Describe(reader)));
        }
      }
      if (!extra.empty()) {
        return InvalidArgument(
            "part '{}' would need {} that its plan doesn't state: {}; state them, or let an earlier part "
            "hold the nodes that read them",
            part.name, extra.size() == 1 ? "an input" : fmt::format("{} inputs", extra.size()), fmt::join(extra, ", "));
      }
    }
    if (!rule.forbid_ops.empty()) {
      GOMAI_RETURN_IF_ERROR(CheckForbidden(index, rule, part));
    }
    if (rule.max_nodes && static_cast<int64_t>(part.nodes.size()) > *rule.max_nodes) {
      return InvalidArgument("part '{}' would get {} nodes, more than the {} that its plan allows", part.name,
                             part.nodes.size(), *rule.max_nodes);
    }
  }
  return absl::OkStatus();
}

absl::Status FillTypes(const Index& index, const Shapes& shapes, const ResolveOptions& options,
                       const Diagnostics& diagnostics, Split& split) {
  std::set<std::string> used_given;
  for (const SplitPart& part : split.parts) {
    std::vector<ValueId> boundary = part.inputs;
    boundary.insert(boundary.end(), part.outputs.begin(), part.outputs.end());
    for (const ValueId value : boundary) {
      if (split.types.contains(value)) {
        continue;
      }
      const std::string name = std::string(index.value(value).name);
      onnx::TypeProto type;
      if (const onnx::TypeProto* inferred = shapes.Find(name); inferred != nullptr) {
        type = *inferred;
      }
      if (const auto given = options.given_types.find(name); given != options.given_types.end()) {
        used_given.insert(name);
        if (given->second.tensor_type().has_elem_type()) {
          type.mutable_tensor_type()->set_elem_type(given->second.tensor_type().elem_type());
        }
        if (given->second.tensor_type().has_shape()) {
          *type.mutable_tensor_type()->mutable_shape() = given->second.tensor_type().shape();
        }
      }
      if (TypeName(type).empty() || (type.has_tensor_type() && type.tensor_type().elem_type() == 0)) {
        const NodeId producer = index.value(value).producer;
        return InvalidArgument(
            "the type of '{}'{} is unknown, and it crosses a cut; give it with --type {}:float32 (or "
            "whatever it is), or cut elsewhere",
            name, producer == kNone ? "" : fmt::format(", made by {},", index.Describe(producer)), name);
      }
      if (type.has_tensor_type() && !type.tensor_type().has_shape()) {
        diagnostics.Warn(part.name,
                         "the rank of '{}' is unknown, so it is written without a shape, which ONNX's checker "
                         "refuses; give it with --shape '{}:?x4' (or whatever it is)",
                         name, name);
      }
      split.types.emplace(value, std::move(type));
    }
  }
  for (const auto& [name, type] : options.given_types) {
    if (!used_given.contains(name)) {
      return InvalidArgument("'{}', given with --type or --shape, crosses no cut{}", name,
                             NearBoundary(index, split, name));
    }
  }
  return absl::OkStatus();
}

}  // namespace gomai
