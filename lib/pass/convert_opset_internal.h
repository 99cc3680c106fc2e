#pragma once

// What the files of convert_opset share. Internal to lib/pass.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"

namespace gomai::opset {

// "@12": a node's name in the stand-in, from its id.
std::string Tag(NodeId node);
// kNone for any other name.
NodeId FromTag(const std::string& name);

// What a body reads from outside has another name in the stand-in, since adapters fail on values that bodies read:
// without it, ONNX takes body and surroundings for unconnected. No value of a model may have such a name.
inline constexpr char kCapturedPrefix = '\x01';

// Does a tensor of the stand-in stand for one whose values the converter can't have seen?
bool IsStandIn(const onnx::TensorProto& tensor);

// The copy that ONNX is given: tagged nodes, known types, no weights, no sparse tensors.
absl::StatusOr<onnx::ModelProto> StandIn(const Model& model, const Index& index,
                                         const std::vector<onnx::TypeProto>& types);

// ONNX's converter; kFailedPrecondition with what it says.
absl::StatusOr<onnx::ModelProto> RunConverter(const onnx::ModelProto& model, int64_t opset);

// Of a conversion of the stand-in that failed: which step, which node, and what ONNX says.
absl::Status Explain(const Index& index, onnx::ModelProto stand_in, int64_t from, int64_t to,
                     const absl::Status& failure);

// The graphs of a converter's result that hold the model's scopes, and the tagged nodes in them.
struct View {
  std::vector<const onnx::GraphProto*> graphs;  // by ScopeId; nullptr: gone
  std::vector<const onnx::NodeProto*> nodes;    // by NodeId; nullptr: gone
};
View Look(const Index& index, const onnx::ModelProto& result);

// A node without its bodies, which are compared by themselves.
onnx::NodeProto Shell(const onnx::NodeProto& node);
bool HoldsStandIn(const onnx::AttributeProto& attribute);

// Takes away those of the named constants that nothing reads: nodes, initializers, and their value_info.
void DropUnread(const std::unordered_set<std::string>& candidates, onnx::ModelProto* model);

// The model with what differs between `same` (the stand-in at the opset `from`) and `converted` (at `to`).
absl::StatusOr<onnx::ModelProto> Rebuild(const Model& model, const Index& index, const onnx::ModelProto& same,
                                         const onnx::ModelProto& converted, int64_t from, int64_t to);

// Adapters that are known to compute something else, for the nodes there are.
absl::Status CheckAdapters(const Index& index, const std::vector<onnx::TypeProto>& types, int64_t from, int64_t to);

// Gives `resize`, which an adapter made of the model's Upsample or Resize, the attributes with which it computes what
// that did before opset 11; kFailedPrecondition where nothing does.
absl::Status RepairResize(const Model& model, const Index& index, NodeId node, onnx::NodeProto* resize);

// Do the schemas of the opset `to` allow every node of the main graph and its bodies? Names the first that they don't.
absl::Status CheckSchemas(const Index& index, const std::vector<onnx::TypeProto>& types, int64_t from, int64_t to);

}  // namespace gomai::opset
