#pragma once

// Editor: the only writer that a pass sees.
//
// Reads stay on the snapshot (index()); edits collect and land together in Commit(), which refuses edits that would
// leave a use of something undefined or an output undefined, changes the proto in place and says what changed. An edit
// that changes nothing leaves the proto byte for byte as it was, and so does a Commit that fails.
//
//   Editor editor(model);
//   editor.EraseNode(id);
//   editor.ReplaceUses(old_value, "new_name");
//   GOMAI_ASSIGN_OR_RETURN(ChangeSet changes, editor.Commit());
//
// All edits of one Commit happen at once. Names given to the editor are names of the snapshot, or new ones: a rename in
// the same Commit applies to them too. What an edit names explicitly (SetInput, an input that MutableNode changes, an
// inserted node) stays as it is when ReplaceUses runs. Several replacements chain: with a -> b and b -> c, readers of a
// read c.
//
// Order: nodes keep their order; a scope whose order an edit made wrong is sorted stably, and SortNodes asks for it. No
// implicit cleanup: a value_info whose value went away stays until it is erased by name.
//
// Errors of Commit: kFailedPrecondition for uses or outputs that would be left without a definition and for cycles;
// kInvalidArgument for names already in use, edits that contradict each other, ids or positions that don't exist;
// kNotFound for an output of an unknown tensor. The message lists the node addresses. Cost: O(model without weights).

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"

namespace gomai {

// What an edit changed, derived by Commit; never declared by a pass.
struct ChangeSet {
  std::vector<std::string> lines;  // "erased node Conv_3 (Conv)", "renamed a -> b (4 uses)": for reports, in file order
  bool empty() const { return lines.empty(); }
};

class Editor {
 public:
  explicit Editor(Model& model);
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;
  ~Editor();

  const Model& model() const { return model_; }
  const Index& index() const { return index_; }

  // --- nodes (of any scope)
  void EraseNode(NodeId node);
  void SetInput(NodeId node, int input, std::string name);  // "" makes it absent
  // Before `before` (of the same scope), or at the scope's end.
  void InsertNode(ScopeId scope, onnx::NodeProto node, NodeId before = kNone);
  // Puts a scope's nodes into an order in which each comes after what it needs, stably: what was in order stays so.
  void SortNodes(ScopeId scope);
  // A node's own fields: a mutable copy that replaces the node at Commit if it differs. Inputs and outputs may be
  // changed too. The copy of a node with bodies holds them: a body changed there can't also be edited by id.
  onnx::NodeProto& MutableNode(NodeId node);

  // --- values
  // Every use of `value`, captures in bodies included, reads `name` from then on. A graph output keeps its name: that
  // is refused at Commit unless `name` is produced under the old output's name by another edit.
  void ReplaceUses(ValueId value, std::string name);
  // Renames a value: definition, uses in every scope where the name means it, value_info, graph input/output entries,
  // quantization_annotation. Errors at Commit: the new name is in use in a scope where it would be seen.
  void RenameValue(ValueId value, std::string name);

  // --- initializers, inputs, outputs, value_info
  void EraseInitializer(ValueId value);                  // dense or sparse
  onnx::TensorProto& MutableInitializer(ValueId value);  // a mutable copy that replaces it at Commit if it differs
  void AddInitializer(ScopeId scope, onnx::TensorProto tensor);
  void EraseValueInfo(ScopeId scope, std::string name);
  // A local function, with all in it; refused at Commit while a node calls it.
  void EraseFunction(ScopeId function);
  void AddGraphOutput(onnx::ValueInfoProto info);  // main graph, at the end

  // --- everything else (doc strings, metadata, functions): direct access, compared at Commit
  // `what` says it in the change set when the proto differs afterwards. Direct changes to node lists can't be combined
  // with other edits in one Commit.
  onnx::ModelProto& MutableModel(std::string what);

  // A name that no scope uses: `stem`, else stem_1, stem_2, …
  std::string FreshName(std::string_view stem);

  absl::StatusOr<ChangeSet> Commit();

 private:
  friend class EditApplier;
  struct Edits;
  Model& model_;
  Index index_;
  std::unique_ptr<Edits> edits_;
};

}  // namespace gomai
