#pragma once

// The nodes of a body moved into the graph around it, as an If is replaced by the branch that is always taken.
// Internal to lib/pass.

#include <onnx/onnx_pb.h>

#include <map>
#include <string>

#include "lib/base/status.h"
#include "lib/graph/editor.h"

namespace gomai {

// Replaces the If `node` by the nodes of `body`, one of its branches, through the editor. What the branch defines keeps
// its name if that is free in the whole model, and gets a fresh one otherwise; the branch's outputs get the names of
// the If's. An output that the branch only passes on goes through an Identity.
void InlineBranch(Editor& editor, NodeId node, ScopeId body);

// Renames what the bodies of a node read from outside, but not where a body has a value of that name itself.
void RenameCaptures(const std::map<std::string, std::string>& names, onnx::NodeProto* node);

}  // namespace gomai
