// Matching nodes by their matched neighbours, for NodeMatcher (node_match.h): what is left between two changes.
#include <algorithm>

#include "lib/compare/field_diff.h"
#include "lib/compare/node_match.h"
#include "lib/model/domain.h"

namespace gomai {
namespace {

bool SameOperator(const onnx::NodeProto& a, const onnx::NodeProto& b) {
  return a.op_type() == b.op_type() && a.overload() == b.overload() && DomainText(a.domain()) == DomainText(b.domain());
}

}  // namespace

// From matched values to their readers and, back up, to their makers: same operator, same place.
void NodeMatcher::Propagate(const std::vector<NodeId>& before) {
  constexpr size_t kLookAt = 64;  // readers of one value; keeps the whole near-linear
  const auto open_like = [&](NodeId other, NodeId id) {
    return matching_.NodeBefore(other) == kNone && SameOperator(*after_.node(other).proto, *before_.node(id).proto);
  };
  const auto agreement = [&](NodeId id, NodeId other) {
    const std::vector<ValueId>& a = before_.node(id).inputs;
    const std::vector<ValueId>& b = after_.node(other).inputs;
    int count = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      count += a[i] != kNone && matching_.After(a[i]) == b[i] ? 1 : 0;
    }
    return count;
  };
  for (const NodeId id : before) {
    if (matching_.NodeAfter(id) != kNone) {
      continue;
    }
    NodeId best = kNone;
    int most = 0;
    for (const ValueId input : before_.node(id).inputs) {
      const ValueId value = matching_.After(input);
      if (value == kNone) {
        continue;
      }
      const std::vector<Index::Use>& uses = after_.value(value).uses;
      const ScopeId scope = after_.value(value).scope;
      for (size_t i = 0; i < std::min(uses.size(), kLookAt); ++i) {
        const NodeId other = uses[i].node;
        const bool same_scope = before_.value(input).scope == before_.node(id).scope
                                    ? after_.node(other).scope == scope
                                    : after_.node(other).scope != scope;
        if (uses[i].input >= 0 && same_scope && open_like(other, id)) {
          if (const int count = agreement(id, other); count > most) {
            most = count;
            best = other;
          }
        }
      }
    }
    if (best != kNone) {
      Pair(id, best);
    }
  }
  for (auto it = before.rbegin(); it != before.rend(); ++it) {
    const NodeId id = *it;
    for (size_t i = 0; matching_.NodeAfter(id) == kNone && i < before_.node(id).outputs.size(); ++i) {
      const ValueId output = before_.node(id).outputs[i];
      for (size_t u = 0; output != kNone && u < std::min(before_.value(output).uses.size(), kLookAt); ++u) {
        const Index::Use& use = before_.value(output).uses[u];
        const NodeId reader = use.input < 0 ? kNone : matching_.NodeAfter(use.node);
        if (reader == kNone || static_cast<size_t>(use.input) >= after_.node(reader).inputs.size()) {
          continue;
        }
        const ValueId value = after_.node(reader).inputs[static_cast<size_t>(use.input)];
        const NodeId maker = value == kNone ? kNone : after_.value(value).producer;
        if (maker != kNone && open_like(maker, id)) {
          Pair(id, maker);
          break;
        }
      }
    }
  }
}

}  // namespace gomai
