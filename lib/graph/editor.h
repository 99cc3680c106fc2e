#pragma once

// Editor: the only writer that a pass sees.
//
// Reads stay on the snapshot (index()); edits collect and land together in Commit(), which refuses edits that would
// leave a use of something undefined or an output undefined, changes the proto in place and says what changed. An edit
// that changes nothing leaves the proto byte for byte as it was.
//
//   Editor editor(model);
//   editor.EraseNode(id);
//   editor.ReplaceUses(old_value, "new_name");
//   GOMAI_ASSIGN_OR_RETURN(ChangeSet changes, editor.Commit());

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
  // A node's own fields: a mutable copy that replaces the node at Commit if it differs. Inputs and outputs may be
  // changed too.
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
  void AddGraphOutput(onnx::ValueInfoProto info);  // main graph, at the end

  // --- everything else (doc strings, metadata, functions): direct access, compared at Commit
  // `what` says it in the change set when the proto differs afterwards.
  onnx::ModelProto& MutableModel(std::string what);

  // A name that no scope uses: `stem`, else stem_1, stem_2, …
  std::string FreshName(std::string_view stem);

  absl::StatusOr<ChangeSet> Commit();

 private:
  struct Edits;
  Model& model_;
  Index index_;
  std::unique_ptr<Edits> edits_;
};

}  // namespace gomai
