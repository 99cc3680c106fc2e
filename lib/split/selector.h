#pragma once

// Selectors: how a plan names values of the main graph.
//
//   T                 the tensor T
//   scope:/a/b        what leaves the scope /a/b: non-constant values produced in it and used outside it, or model
//   outputs scope:/a/b->/c    of those, what the scope /c reads ('*' as a scope: anything)
//
// A node is in scope S if its name is S or begins with "S/". A scope may hold '*' and '?', which don't cross a '/':
// "scope:/head/logits*" is what leaves /head/logits, /head/logits_1, … Nodes without a slashed name are in
// no scope. A body belongs to its node: what it reads, that node reads.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"

namespace gomai {

inline constexpr std::string_view kScopePrefix = "scope:";

// The scopes of a model's main graph: every proper prefix "/a", "/a/b" of a node name "/a/b/Conv", and the names
// themselves.
class ScopeNames {
 public:
  explicit ScopeNames(const Index& index);
  bool Has(std::string_view pattern) const;                        // some node is in it
  std::vector<std::string> Nearest(std::string_view scope) const;  // up to 3
  std::vector<std::string> EndingWith(
      std::string_view suffix) const;  // "/model" for "/encoder" if "/model/encoder" is one
 private:
  std::vector<std::string> names_;  // sorted, unique
};

// Is the node in the scope that `pattern` describes?
bool InScope(std::string_view node_name, std::string_view pattern);

// The node of the main graph that `node` is or lies in.
NodeId MainGraphNode(const Index& index, NodeId node);

enum class ValueOrder { kNode, kFirstUse };  // as produced; or as first read outside the scope

// The values that `selector` names, at least one. kNotFound for an unknown tensor or scope (with the nearest),
// kInvalidArgument when a scope yields nothing.
absl::StatusOr<std::vector<ValueId>> Select(const Index& index, std::string_view selector, ValueOrder order);

// The same, where the selector may also be a friendly name; a tensor of that name wins.
absl::StatusOr<std::vector<ValueId>> SelectNamed(const Index& index, const std::map<std::string, std::string>& aliases,
                                                 const std::string& selector);

}  // namespace gomai
