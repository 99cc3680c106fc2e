// Selectors; see selector.h. A scope is resolved by one walk over the main graph's nodes and their uses, so a preset of
// ten selectors costs ten walks, whatever the model's weights.
#include "lib/split/selector.h"

#include <algorithm>
#include <limits>
#include <set>

#include "lib/base/text.h"

namespace gomai {

ScopeNames::ScopeNames(const Index& index) {
  std::set<std::string, std::less<>> names;
  for (const NodeId id : index.scope(index.main_scope()).nodes) {
    const std::string_view name = index.node(id).proto->name();
    if (!name.starts_with('/')) {
      continue;
    }
    for (size_t slash = name.find('/', 1); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
      names.emplace(name.substr(0, slash));
    }
    names.emplace(name);
  }
  names_.assign(names.begin(), names.end());
}

bool ScopeNames::Has(std::string_view pattern) const {
  return std::any_of(names_.begin(), names_.end(), [&](const std::string& name) { return InScope(name, pattern); });
}

std::vector<std::string> ScopeNames::Nearest(std::string_view scope) const {
  return NearestNames(scope, {names_.begin(), names_.end()});
}

std::vector<std::string> ScopeNames::EndingWith(std::string_view suffix) const {
  std::vector<std::string> prefixes;
  for (const std::string& name : names_) {
    if (name.ends_with(suffix)) {
      prefixes.push_back(name.substr(0, name.size() - suffix.size()));
    }
  }
  return prefixes;
}

bool InScope(std::string_view node_name, std::string_view pattern) {
  if (pattern == "*") {
    return true;
  }
  // Segment by segment, so that a wildcard stays within its own.
  while (true) {
    const size_t pattern_end = pattern.find('/', 1);
    const size_t name_end = node_name.find('/', 1);
    const std::string_view want = pattern.substr(0, pattern_end);
    const std::string_view have = node_name.substr(0, name_end);
    if (!GlobMatch(want, have)) {
      return false;
    }
    if (pattern_end == std::string_view::npos) {
      return true;
    }
    if (name_end == std::string_view::npos) {
      return false;
    }
    pattern.remove_prefix(pattern_end);
    node_name.remove_prefix(name_end);
  }
}

NodeId MainGraphNode(const Index& index, NodeId node) {
  while (node != kNone && index.node(node).scope != index.main_scope()) {
    node = index.scope(index.node(node).scope).owner;
  }
  return node;
}

namespace {

absl::StatusOr<std::vector<ValueId>> SelectScope(const Index& index, std::string_view scope, ValueOrder order) {
  std::string_view reader = "*";
  const size_t arrow = scope.find("->");
  if (arrow != std::string_view::npos) {
    reader = scope.substr(arrow + 2);
    scope = scope.substr(0, arrow);
  }
  std::vector<std::pair<NodeId, ValueId>> found;
  for (const NodeId id : index.scope(index.main_scope()).nodes) {
    const Index::Node& node = index.node(id);
    if (!InScope(node.proto->name(), scope)) {
      continue;
    }
    for (const ValueId output : node.outputs) {
      if (output == kNone || index.IsConstant(output)) {
        continue;
      }
      const Index::Value& value = index.value(output);
      NodeId first_use = std::numeric_limits<NodeId>::max();
      for (const Index::Use& use : value.uses) {
        const NodeId user = MainGraphNode(index, use.node);
        const std::string_view name = index.node(user).proto->name();
        if (!InScope(name, scope) && InScope(name, reader)) {
          first_use = std::min(first_use, user);
        }
      }
      if (first_use != std::numeric_limits<NodeId>::max() || (value.is_graph_output && reader == "*")) {
        found.emplace_back(first_use, output);
      }
    }
  }
  if (found.empty()) {
    const ScopeNames names(index);
    for (const std::string_view wanted : {scope, reader}) {
      if (wanted != "*" && !names.Has(wanted)) {
        const std::vector<std::string> near = names.Nearest(wanted);
        return NotFound("the model has no scope '{}'{}; gomai-info --scopes lists them", wanted,
                        near.empty() ? "" : fmt::format(" (nearest: {})", fmt::join(near, ", ")));
      }
    }
    return InvalidArgument("nothing leaves the scope '{}'{}", scope,
                           reader == "*" ? "" : fmt::format(" for '{}'", reader));
  }
  if (order == ValueOrder::kFirstUse) {
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  std::vector<ValueId> values;
  for (const auto& [first_use, value] : found) {
    values.push_back(value);
  }
  return values;
}

}  // namespace

absl::StatusOr<std::vector<ValueId>> Select(const Index& index, std::string_view selector, ValueOrder order) {
  // An exact tensor name wins over what looks like a selector.
  const ValueId exact = index.FindValue(index.main_scope(), selector);
  if (exact == kNone && selector.starts_with(kScopePrefix)) {
    return SelectScope(index, selector.substr(kScopePrefix.size()), order);
  }
  GOMAI_ASSIGN_OR_RETURN(const ValueId value, index.RequireValue(selector));
  return std::vector<ValueId>{value};
}

absl::StatusOr<std::vector<ValueId>> SelectNamed(const Index& index, const std::map<std::string, std::string>& aliases,
                                                 const std::string& selector) {
  const auto alias = aliases.find(selector);
  if (alias != aliases.end() && index.FindValue(index.main_scope(), selector) == kNone) {
    return Select(index, alias->second, ValueOrder::kNode);
  }
  return Select(index, selector, ValueOrder::kNode);
}

}  // namespace gomai
