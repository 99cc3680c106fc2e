// Cutting by size: any prefix of a topological order is a closed cut, so a part is a run of that order. Among the
// places that keep a part within its budget (and use at least half of it), the one that the fewest values cross is
// taken, the last such one on a tie.
#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/model/tensor.h"
#include "lib/split/selector.h"
#include "lib/split/split.h"

namespace gomai {
namespace {

class SizeCutter {
 public:
  SizeCutter(const Model& model, const Index& index, uint64_t budget) : model_(model), index_(index), budget_(budget) {}

  absl::StatusOr<Plan> Cut() {
    GOMAI_ASSIGN_OR_RETURN(std::vector<NodeId> order, TopologicalOrder(index_, index_.main_scope()));
    std::erase_if(order, [&](NodeId node) { return index_.IsConstantNode(node) || !Needed(node); });
    const std::vector<int64_t> crossing = Crossing(order);
    Plan plan;
    size_t begin = 0;
    while (begin < order.size()) {
      const size_t end = NextCut(order, crossing, begin);
      if (end == order.size()) {
        break;  // what remains is `rest`
      }
      PlanPart part;
      part.name = fmt::format("part_{}", plan.parts.size() + 1);
      const std::set<NodeId> inside(order.begin() + static_cast<std::ptrdiff_t>(begin),
                                    order.begin() + static_cast<std::ptrdiff_t>(end));
      for (size_t i = begin; i < end; ++i) {
        for (const ValueId output : index_.node(order[i]).outputs) {
          if (output != kNone && LeavesTo(output, inside)) {
            part.outputs.emplace_back(index_.value(output).name);
          }
        }
      }
      plan.parts.push_back(std::move(part));
      begin = end;
    }
    if (plan.parts.empty()) {
      return InvalidArgument("the whole model's weights fit into {}; nothing to cut", FormatBytes(budget_));
    }
    return plan;
  }

 private:
  // Does a model output depend on it? Marked once, backwards.
  bool Needed(NodeId node) {
    if (needed_.empty()) {
      needed_.assign(index_.nodes().size(), false);
      std::vector<ValueId> wanted;
      for (const onnx::ValueInfoProto& output : model_.proto().graph().output()) {
        wanted.push_back(index_.FindValue(index_.main_scope(), output.name()));
      }
      while (!wanted.empty()) {
        const ValueId value = wanted.back();
        wanted.pop_back();
        if (value == kNone || index_.value(value).producer == kNone) {
          continue;
        }
        const NodeId producer = index_.value(value).producer;
        if (needed_[static_cast<size_t>(producer)]) {
          continue;
        }
        needed_[static_cast<size_t>(producer)] = true;
        for (const std::vector<ValueId>* reads : {&index_.node(producer).inputs, &index_.node(producer).captures}) {
          wanted.insert(wanted.end(), reads->begin(), reads->end());
        }
      }
    }
    return needed_[static_cast<size_t>(node)];
  }

  bool LeavesTo(ValueId value, const std::set<NodeId>& inside) {
    return std::any_of(index_.value(value).uses.begin(), index_.value(value).uses.end(),
                       [&](const Index::Use& use) {
                         const NodeId user = MainGraphNode(index_, use.node);
                         return Needed(user) && !inside.contains(user);
                       }) ||
           index_.value(value).is_graph_output;
  }

  // How many values cross a cut before order[i].
  std::vector<int64_t> Crossing(const std::vector<NodeId>& order) {
    std::vector<size_t> position(index_.nodes().size(), 0);
    for (size_t i = 0; i < order.size(); ++i) {
      position[static_cast<size_t>(order[i])] = i;
    }
    std::vector<int64_t> steps(order.size() + 1, 0);
    for (size_t i = 0; i < order.size(); ++i) {
      for (const ValueId output : index_.node(order[i]).outputs) {
        size_t last = i;
        if (output != kNone) {
          for (const Index::Use& use : index_.value(output).uses) {
            const NodeId user = MainGraphNode(index_, use.node);
            if (Needed(user)) {
              last = std::max(last, position[static_cast<size_t>(user)]);
            }
          }
        }
        if (last > i) {
          ++steps[i + 1];
          --steps[last + 1];
        }
      }
    }
    for (size_t i = 1; i < steps.size(); ++i) {
      steps[i] += steps[i - 1];
    }
    return steps;
  }

  size_t NextCut(const std::vector<NodeId>& order, const std::vector<int64_t>& crossing, size_t begin) const {
    std::set<const void*> seen;
    uint64_t bytes = 0;
    size_t best = begin + 1;  // a node whose own weights pass the budget is a part by itself
    int64_t fewest = -1;
    size_t end = begin;
    for (; end < order.size(); ++end) {
      const uint64_t more = NewWeights(order[end], seen);
      if (end > begin && bytes + more > budget_) {
        break;
      }
      bytes += more;
      if (bytes * 2 >= budget_ && (fewest < 0 || crossing[end + 1] <= fewest)) {
        fewest = crossing[end + 1];
        best = end + 1;
      }
    }
    return end == order.size() ? end : fewest < 0 ? end : best;
  }

  // An initializer, or what a Constant node holds.
  const onnx::TensorProto* WeightOf(ValueId id) const {
    const Index::Value& value = index_.value(id);
    if (value.producer != kNone) {
      for (const onnx::AttributeProto& attribute : index_.node(value.producer).proto->attribute()) {
        if (attribute.has_t()) {
          return &attribute.t();
        }
      }
    }
    return value.initializer;
  }

  uint64_t NewWeights(NodeId id, std::set<const void*>& seen) const {
    uint64_t bytes = 0;
    for (const std::vector<ValueId>* reads : {&index_.node(id).inputs, &index_.node(id).captures}) {
      for (const ValueId value : *reads) {
        const onnx::TensorProto* tensor = value == kNone ? nullptr : WeightOf(value);
        if (tensor != nullptr && seen.insert(tensor).second) {
          bytes += TensorByteSize(*tensor);
        }
      }
    }
    return bytes;
  }

  const Model& model_;
  const Index& index_;
  const uint64_t budget_;
  std::vector<bool> needed_;
};

}  // namespace

absl::StatusOr<Plan> PlanBySize(const Model& model, const Index& index, uint64_t bytes) {
  if (bytes == 0) {
    return InvalidArgument("a part can't hold 0 bytes of weights; give a size such as 50M");
  }
  return SizeCutter(model, index, bytes).Cut();
}

}  // namespace gomai
