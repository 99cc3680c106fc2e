// Matching initializers, for NodeMatcher (node_match.h): by name, by value where names don't count, and last through
// the matched nodes that read them, which finds weights that changed and were renamed at once.
#include <unordered_map>

#include "lib/compare/node_match.h"

namespace gomai {
namespace {

// Not what a caller may override: that is an input.
bool IsInitializer(const Index& index, ValueId id) { return index.value(id).origin == Index::Origin::kInitializer; }

std::vector<ValueId> InitializersOf(const Index& index, ScopeId scope) {
  std::vector<ValueId> ids;
  const onnx::GraphProto* graph = index.scope(scope).graph;
  for (int i = 0; graph != nullptr && i < graph->initializer_size(); ++i) {
    const ValueId id = index.FindValue(scope, graph->initializer(i).name());
    if (id != kNone && IsInitializer(index, id) && index.value(id).initializer == &graph->initializer(i)) {
      ids.push_back(id);
    }
  }
  for (int i = 0; graph != nullptr && i < graph->sparse_initializer_size(); ++i) {
    const ValueId id = index.FindValue(scope, graph->sparse_initializer(i).values().name());
    if (id != kNone && IsInitializer(index, id) &&
        index.value(id).sparse_initializer == &graph->sparse_initializer(i)) {
      ids.push_back(id);
    }
  }
  return ids;
}

}  // namespace

absl::Status NodeMatcher::PairInitializers(ScopeId before, ScopeId after) {
  const std::vector<ValueId> a = InitializersOf(before_, before);
  const std::vector<ValueId> b = InitializersOf(after_, after);
  const bool values = !options_.ignore_weights;
  // The same name with the same values.
  for (const ValueId id : a) {
    const Index::Value& mine = before_.value(id);
    const ValueId other = after_.FindValue(after, mine.name);
    if (other == kNone || !IsInitializer(after_, other)) {
      continue;
    }
    const Index::Value& theirs = after_.value(other);
    bool same = mine.sparse_initializer != nullptr && theirs.sparse_initializer != nullptr;
    if (mine.initializer != nullptr && theirs.initializer != nullptr) {
      GOMAI_ASSIGN_OR_RETURN(same, tensors_.Same(*mine.initializer, *theirs.initializer, values));
    }
    if (same) {
      matching_.PairValues(id, other);
    }
  }
  // The same values under another name. With their values ignored, weights of one shape can only be told apart by
  // who reads them.
  if (!values) {
    return absl::OkStatus();
  }
  struct Queue {
    std::vector<ValueId> list;
    size_t next = 0;
  };
  std::unordered_map<uint64_t, Queue> open;
  const auto needs_partner = [&](const Index& index, ValueId id, ValueId partner) {
    return partner == kNone && index.value(id).initializer != nullptr;
  };
  bool some = false;
  for (const ValueId id : a) {
    some = some || needs_partner(before_, id, matching_.After(id));
  }
  for (size_t i = 0; some && i < b.size(); ++i) {
    if (needs_partner(after_, b[i], matching_.Before(b[i]))) {
      open[tensors_.Hash(*after_.value(b[i]).initializer, false)].list.push_back(b[i]);
    }
  }
  for (size_t i = 0; !open.empty() && i < a.size(); ++i) {
    if (!needs_partner(before_, a[i], matching_.After(a[i]))) {
      continue;
    }
    const auto entry = open.find(tensors_.Hash(*before_.value(a[i]).initializer, true));
    if (entry != open.end() && entry->second.next < entry->second.list.size()) {
      matching_.PairValues(a[i], entry->second.list[entry->second.next++]);
    }
  }
  return absl::OkStatus();
}

absl::Status NodeMatcher::PairThroughReaders(ScopeId before, ScopeId after) {
  for (const NodeId id : before_.scope(before).nodes) {
    const NodeId other = matching_.NodeAfter(id);
    if (other == kNone) {
      continue;
    }
    const std::vector<ValueId>& a = before_.node(id).inputs;
    const std::vector<ValueId>& b = after_.node(other).inputs;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (a[i] == kNone || b[i] == kNone || matching_.After(a[i]) != kNone || matching_.Before(b[i]) != kNone ||
          !IsInitializer(before_, a[i]) || !IsInitializer(after_, b[i]) || before_.value(a[i]).scope != before ||
          after_.value(b[i]).scope != after) {
        continue;
      }
      const Index::Value& mine = before_.value(a[i]);
      const Index::Value& theirs = after_.value(b[i]);
      bool same = mine.sparse_initializer != nullptr && theirs.sparse_initializer != nullptr;
      if (mine.initializer != nullptr && theirs.initializer != nullptr) {
        // Where names count, another name and other values make another weight.
        GOMAI_ASSIGN_OR_RETURN(same, tensors_.Same(*mine.initializer, *theirs.initializer,
                                                   !options_.ignore_names && !options_.ignore_weights));
      }
      if (same) {
        matching_.PairValues(a[i], b[i]);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace gomai
