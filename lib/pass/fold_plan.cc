// Knowing flows forward from constants, and erasing follows from it: every node whose results are all known goes,
// unless it is to stay. The frontier is what is left with readers.
#include "lib/pass/fold_plan.h"

#include <algorithm>
#include <array>

#include "lib/graph/constants.h"
#include "lib/graph/reach.h"
#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/pass/fold_guard.h"

namespace gomai {
namespace {

// Quantization is the structure of a quantized model: folded, its weights would be floats again.
bool IsQuantization(const onnx::NodeProto& node) {
  return node.op_type() == "QuantizeLinear" || node.op_type() == "DequantizeLinear" ||
         node.op_type() == "DynamicQuantizeLinear";
}

bool IsStandard(const onnx::NodeProto& node) { return IsDefaultDomain(node.domain()) || node.domain() == "ai.onnx.ml"; }

}  // namespace

const onnx::TensorProto* FoldPlanner::Form(const onnx::NodeProto& constant) {
  onnx::TensorProto made;
  const onnx::TensorProto* value = ConstantValue(constant, &made);
  return value == &made ? &forms_.emplace_back(std::move(made)) : value;
}

FoldPlanner::FoldPlanner(const Model& model, const Index& index, const Facts& facts, int64_t limit)
    : model_(model),
      index_(index),
      facts_(facts),
      limit_(limit),
      impure_(FindImpureNodes(index)),
      held_(HeldByName(model.proto(), index)),
      stored_(index.values().size()) {
  for (size_t i = 0; i < index.values().size(); ++i) {
    const Index::Value& value = index.values()[i];
    if (index.scope(value.scope).graph == nullptr) {
      continue;
    }
    if (value.origin == Index::Origin::kInitializer && value.initializer != nullptr) {
      stored_[i] = value.initializer;
    } else if (value.producer != kNone) {
      stored_[i] = Form(*index.node(value.producer).proto);
    }
  }
  // Captures are defined before the node around their reader, so scopes are walked from the outside in.
  for (ScopeId scope = 0; scope < static_cast<ScopeId>(index.scopes().size()); ++scope) {
    if (!index.InFunction(scope)) {
      const auto order = TopologicalOrder(index, scope);
      const std::vector<NodeId>& nodes = order.ok() ? *order : index.scope(scope).nodes;
      order_.insert(order_.end(), nodes.begin(), nodes.end());
    }
  }
}

bool FoldPlanner::IsIdentity(NodeId node) const {
  const onnx::NodeProto& proto = *index_.node(node).proto;
  return proto.op_type() == "Identity" && IsDefaultDomain(proto.domain());
}

bool FoldPlanner::IsFoldable(NodeId id) const {
  const Index::Node& node = index_.node(id);
  return !impure_[static_cast<size_t>(id)] && IsStandard(*node.proto) && !IsQuantization(*node.proto) &&
         node.proto->op_type() != "Constant" && index_.CalledFunction(*node.proto) == kNone &&
         node.inputs.size() == static_cast<size_t>(node.proto->input_size());
}

bool FoldPlanner::Encloses(const std::set<ScopeId>& scopes, ScopeId scope) const {
  for (; scope != kNone; scope = index_.scope(scope).parent) {
    if (scopes.contains(scope)) {
      return true;
    }
  }
  return false;
}

std::vector<bool> FoldPlanner::Fills(int64_t limit) const {
  constexpr int64_t kRepeats = 16;  // less often repeated, a tensor is rather one of its own
  std::vector<bool> fills(index_.values().size());
  const auto large = [&](ValueId value) { return value != kNone && Bytes(value) >= limit; };
  for (const NodeId id : order_) {
    const Index::Node& node = index_.node(id);
    const std::string& op = node.proto->op_type();
    if (node.outputs.size() != 1 || !large(node.outputs[0]) || !IsDefaultDomain(node.proto->domain())) {
      continue;
    }
    const auto is_fill = [&](ValueId value) { return value != kNone && fills[static_cast<size_t>(value)]; };
    const ValueId data = node.inputs.empty() ? kNone : node.inputs[0];
    bool fill = false;
    if (op == "ConstantOfShape") {
      fill = true;
    } else if (op == "Expand" || op == "Tile") {
      fill = is_fill(data) || (data != kNone && Bytes(data) <= Bytes(node.outputs[0]) / kRepeats);
    } else if (op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze") {
      fill = is_fill(data);
    } else if (op == "Concat") {
      fill = std::none_of(node.inputs.begin(), node.inputs.end(),
                          [&](ValueId value) { return large(value) && !is_fill(value); }) &&
             std::any_of(node.inputs.begin(), node.inputs.end(), is_fill);
    }
    fills[static_cast<size_t>(node.outputs[0])] = fill;
  }
  return fills;
}

int64_t FoldPlanner::Bytes(ValueId value) const {
  if (const onnx::TensorProto* tensor = Stored(value); tensor != nullptr) {
    return static_cast<int64_t>(TensorByteSize(*tensor));
  }
  const onnx::TypeProto& type = facts_.types[static_cast<size_t>(value)];
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr || !type.has_tensor_type()) {
    return 0;
  }
  onnx::TensorProto stand_in;
  stand_in.set_data_type(type.tensor_type().elem_type());
  for (const auto& dim : shape->dim()) {
    if (!dim.has_dim_value()) {
      return 0;
    }
    stand_in.add_dims(dim.dim_value());
  }
  return static_cast<int64_t>(TensorByteSize(stand_in));
}

FoldPlan FoldPlanner::Plan(const FoldExceptions& exceptions) const {
  FoldPlan plan;
  plan.known.resize(index_.values().size());
  plan.source.resize(index_.values().size());
  plan.erased.resize(index_.nodes().size());
  for (size_t i = 0; i < stored_.size(); ++i) {
    plan.source[i] = plan.known[i] = stored_[i] != nullptr;
  }
  const FoldGuard guard(model_, index_, facts_, stored_, limit_);
  const auto is_known = [&](ValueId value) { return value != kNone && plan.known[static_cast<size_t>(value)]; };
  for (const NodeId id : order_) {
    const Index::Node& node = index_.node(id);
    if (!IsFoldable(id)) {
      continue;
    }
    bool computable =
        !exceptions.unfit.contains(id) && std::all_of(node.captures.begin(), node.captures.end(), is_known);
    for (size_t i = 0; computable && i < node.inputs.size(); ++i) {
      computable = node.proto->input(static_cast<int>(i)).empty() || is_known(node.inputs[i]);
    }
    if (computable) {
      const FoldVerdict verdict = guard.Check(id, plan.source);
      computable = verdict.may;
      if (!verdict.why.empty()) {
        plan.refused.emplace_back(id, verdict.why);
      }
    }
    bool all = false;
    for (const ValueId output : node.outputs) {
      if (output == kNone || index_.value(output).producer != id) {
        continue;
      }
      const auto at = static_cast<size_t>(output);
      // What the runtime can compute it computes; sizes stand for themselves.
      plan.known[at] = computable || facts_.computed[at].has_value();
      plan.source[at] = !computable && plan.known[at];
      all = true;
    }
    all = all && std::all_of(node.outputs.begin(), node.outputs.end(),
                             [&](ValueId output) { return output == kNone || is_known(output); });
    plan.erased[static_cast<size_t>(id)] =
        all && !exceptions.kept.contains(id) && !Encloses(exceptions.untouched, node.scope);
  }
  // What is inside a node goes with it. Ids ascend from the outside in.
  for (size_t id = 0; id < plan.erased.size(); ++id) {
    const NodeId owner = index_.scope(index_.nodes()[id].scope).owner;
    plan.erased[id] = plan.erased[id] || (owner != kNone && plan.erased[static_cast<size_t>(owner)]);
  }
  const auto owner_erased = [&](ScopeId scope) {
    const NodeId owner = index_.scope(scope).owner;
    return owner != kNone && plan.erased[static_cast<size_t>(owner)];
  };
  for (ValueId id = 0; id < static_cast<ValueId>(index_.values().size()); ++id) {
    const Index::Value& value = index_.value(id);
    const auto at = static_cast<size_t>(id);
    if (owner_erased(value.scope)) {
      continue;
    }
    // What a body reads is also listed as read by the node inside, which is what counts.
    const bool read = value.is_graph_output || std::any_of(value.uses.begin(), value.uses.end(), [&](const auto& use) {
                        return use.input >= 0 && !plan.erased[static_cast<size_t>(use.node)] &&
                               !exceptions.inlined.contains(use.node);
                      });
    const bool made = value.producer != kNone && plan.erased[static_cast<size_t>(value.producer)];
    if (made && (read || held_[at])) {
      plan.frontier.push_back(id);
      plan.growth += Bytes(id);
    } else if (stored_[at] != nullptr && !read && !value.uses.empty() && !held_[at] &&
               !Encloses(exceptions.untouched, value.scope)) {
      plan.growth -= Bytes(id);
      if (value.producer == kNone) {
        plan.unused.push_back(id);
      } else {
        plan.dropped.push_back(value.producer);
      }
    }
  }
  return plan;
}

}  // namespace gomai
