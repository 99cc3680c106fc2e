#pragma once

// Rewrites of operators that a device refuses: what such passes look up, how they edit, and what they do with a node
// that can't be rewritten as promised.
//
//   absl::Status Run(PassContext& context) {
//     GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
//     return rewriter.Run({.what = "a Foo with a bar",
//                          .applies = [&](NodeId id) { return rewriter.Is(id, "Foo"); },
//                          .rewrite = [&](NodeId id) { return Rewrite(rewriter, id); }});
//   }
//   const PassInfo& FooPass() { static const PassInfo info = {..., .options = RewriteOptions({own options}), ...}; }
//
// Every such pass has two options besides its own: `node`, the address of the only node to rewrite, and `unfit`:
// "refuse" (one node that can't be rewritten, and the pass fails with exit 1, naming all of them), or "keep" (they stay
// and are warned of). Nothing is edited for a node whose rewrite gives a reason, so a rewrite asks first and edits
// then.
//
// Reads are on the snapshot of the model. A node that is rewritten keeps its name, results, place, doc string and
// metadata (Become); what is added around it gets fresh names made of its result's name.

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/numbers.h"
#include "lib/pass/new_constants.h"
#include "lib/pass/pass.h"
#include "lib/shape/infer.h"

namespace gomai {

struct RewriteRule {
  std::string what;                     // for "X is not ...": "a Clip without an upper limit"
  std::function<bool(NodeId)> applies;  // is the pass about this node?
  // Rewrites it. "": done (or there was nothing to do); else why it can't be: "its weight isn't constant". An error
  // status ends the pass.
  std::function<absl::StatusOr<std::string>(NodeId)> rewrite;
};

// The pass's own options, then `node` and `unfit`.
std::vector<OptionSpec> RewriteOptions(std::vector<OptionSpec> own = {});

class Rewriter {
 public:
  // Infers types. kDataLoss for a cycle.
  static absl::StatusOr<Rewriter> Make(PassContext& context);

  // Every node that the rule applies to, outer scopes first and each scope in topological order. Nodes with attributes
  // that a function takes from its caller are never rewritten, and given as such.
  absl::Status Run(const RewriteRule& rule);

  // --- nodes
  const PassContext& context() const { return *context_; }
  PassContext& context() { return *context_; }
  const Index& index() const { return context_->index(); }
  Editor& editor() { return context_->editor(); }
  const onnx::NodeProto& proto(NodeId id) const { return *index().node(id).proto; }
  // An operator of ONNX's own domain (not a call of a local function of that name) with a first result?
  bool Is(NodeId id, std::string_view op_type) const;
  // The same for what makes a value; kNone if another operator or none does.
  NodeId Producer(ValueId value, std::string_view op_type) const;
  ValueId Input(NodeId id, size_t input) const;    // kNone: absent
  ValueId Output(NodeId id, size_t output) const;  // kNone: absent
  // The version of ONNX's own operators that the node's scope imports; 0: none.
  int Opset(NodeId id) const;
  // Its attributes, or `otherwise`. Of a wrong type: `otherwise`.
  int64_t Int(NodeId id, std::string_view name, int64_t otherwise) const;
  float Float(NodeId id, std::string_view name, float otherwise) const;
  std::string String(NodeId id, std::string_view name, std::string_view otherwise) const;
  std::optional<std::vector<int64_t>> Ints(NodeId id, std::string_view name) const;

  // --- values; kNone is one of which nothing is known
  // Is the value read by this node alone (once), and neither an output of a graph nor named elsewhere? Then it may go.
  bool IsReadOnlyBy(ValueId value, NodeId reader) const;
  // Is it named by something besides inputs of nodes and its own graph's outputs (lib/graph/reach.h)?
  bool IsHeld(ValueId value) const { return held_[static_cast<size_t>(value)]; }
  // Is anything interested in it at all?
  bool IsUsed(ValueId value) const;
  // Types count only where they follow from the model's inputs and constants, not from declarations in between.
  int Dtype(ValueId value) const;                             // 0: unknown
  int Rank(ValueId value) const;                              // -1: unknown
  std::optional<int64_t> Dim(ValueId value, int axis) const;  // negative axes count from the end
  std::optional<std::vector<int64_t>> FixedShape(ValueId value) const;
  // The type as inferred, proven or not; for messages.
  const onnx::TypeProto& type(ValueId value) const;

  // --- constants: initializers that no caller overrides, Constant nodes in each of their forms, and integers that
  // follow from fixed shapes. nullptr, nullopt: not constant (or of no such type).
  const onnx::TensorProto* Constant(ValueId value) const;
  std::optional<std::vector<int64_t>> Integers(ValueId value) const;  // any integer type or bool
  std::optional<std::vector<double>> Numbers(ValueId value) const;    // floats of any width, integers up to 2^53
  std::optional<double> Number(ValueId value) const;                  // exactly one element

  // --- edits
  // The node as this operator of ONNX's domain, with these inputs and attributes and its first `outputs` results.
  onnx::NodeProto& Become(NodeId id, std::string_view op_type, const std::vector<std::string>& inputs,
                          const std::vector<onnx::AttributeProto>& attributes = {}, int outputs = 1);
  // A new node right before `before`, named after that node's first result and `suffix`; gives its result's name.
  // Nodes inserted before the same node come in the order of the calls.
  std::string Insert(NodeId before, std::string_view op_type, const std::vector<std::string>& inputs,
                     const std::vector<onnx::AttributeProto>& attributes = {}, std::string_view suffix = "");
  // The same with several results.
  std::vector<std::string> InsertMany(NodeId before, std::string_view op_type, const std::vector<std::string>& inputs,
                                      const std::vector<onnx::AttributeProto>& attributes, int outputs,
                                      std::string_view suffix = "");
  // A new node right before `before` that makes a value of this name, one that `before` made and no longer does.
  void InsertAs(NodeId before, std::string_view op_type, const std::vector<std::string>& inputs,
                const std::vector<onnx::AttributeProto>& attributes, const std::string& output);
  // A constant for `node` to read, named after the node's first result and `what` unless an equal one is there.
  std::string AddConstant(NodeId node, std::string_view what, onnx::TensorProto tensor);
  // A node and the descriptions of its results go. What it read stays; prune removes that.
  void Erase(NodeId id);
  std::string Name(ValueId value) const { return value == kNone ? "" : std::string(index().value(value).name); }

 private:
  Rewriter(PassContext& context, Facts facts);
  absl::StatusOr<std::string> Try(const RewriteRule& rule, NodeId id);
  std::string Stem(NodeId id) const;

  PassContext* context_;
  Facts facts_;
  NewConstants constants_;
  std::vector<bool> held_;
  mutable std::map<ValueId, onnx::TensorProto> made_;  // tensors of Constants that hold plain numbers
};

}  // namespace gomai
