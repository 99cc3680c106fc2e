#pragma once

// The nodes of a body moved into the graph around it, as an If is replaced by the branch that is always taken.
// Internal to lib/pass.

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/editor.h"

namespace gomai {

class BodyInliner {
 public:
  // O(model): it counts names.
  explicit BodyInliner(Editor& editor);

  // Replaces the If `node` by the nodes of `body`, one of its branches, through the editor. What the branch defines
  // keeps its name if that is free in the whole model, and gets a fresh one otherwise; the branch's outputs get the
  // names of the If's. An output that the branch only passes on goes through an Identity.
  void Inline(NodeId node, ScopeId body);

 private:
  std::string NewName(const std::string& name) const;
  void NameOutputs(const Index::Node& node, const Index::Scope& body);

  Editor& editor_;
  const Index& index_;
  std::unordered_map<std::string_view, int> definitions_;  // scopes that define a value of that name
  std::unordered_map<std::string_view, int> nodes_named_;
  // Of the body at hand:
  std::map<std::string, std::string> names_;                    // to be given to what it defines
  std::vector<std::pair<std::string, std::string>> passed_on_;  // inner name, the If's output
};

// Renames what the bodies of a node read from outside, but not where a body has a value of that name itself.
void RenameCaptures(const std::map<std::string, std::string>& names, onnx::NodeProto* node);

}  // namespace gomai
