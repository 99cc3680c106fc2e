#pragma once

// What an Editor has collected, and how it is applied to a working copy. Internal to lib/graph.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lib/graph/editor.h"

namespace gomai {

struct Editor::Edits {
  struct Insertion {
    ScopeId scope;
    NodeId before;
    onnx::NodeProto node;
  };
  std::set<NodeId> erased_nodes;
  std::map<std::pair<NodeId, int>, std::string> inputs;
  std::map<NodeId, std::unique_ptr<onnx::NodeProto>> nodes;
  std::vector<Insertion> insertions;
  std::map<ValueId, std::string> replacements;
  std::map<ValueId, std::string> renames;
  std::set<ValueId> erased_initializers;
  std::map<ValueId, std::unique_ptr<onnx::TensorProto>> initializers;
  std::vector<std::pair<ScopeId, onnx::TensorProto>> added_initializers;
  std::set<std::pair<ScopeId, std::string>> erased_infos;
  std::set<ScopeId> erased_functions;
  std::set<ScopeId> sorted_scopes;
  std::vector<onnx::ValueInfoProto> added_outputs;
  std::unique_ptr<onnx::ModelProto> direct;  // the working copy, once MutableModel was called
  std::vector<std::string> direct_notes;
  std::vector<std::string> misuse;  // calls that make no sense, for Commit's error
  onnx::TensorProto no_tensor;      // what such a call got to write to
  onnx::NodeProto no_node;
  std::unordered_set<std::string> names;  // FreshName: what is taken; empty until it is first asked
  std::unordered_map<std::string, int> next_suffix;

  // Anything besides direct changes?
  bool HasEdits() const {
    return !erased_nodes.empty() || !inputs.empty() || !nodes.empty() || !insertions.empty() || !replacements.empty() ||
           !renames.empty() || !erased_initializers.empty() || !initializers.empty() || !added_initializers.empty() ||
           !erased_infos.empty() || !added_outputs.empty() || !erased_functions.empty() || !sorted_scopes.empty();
  }
};

enum LineKind { kNodeLine, kValueLine, kInitializerLine, kOutputLine, kInfoLine, kOrderLine, kFunctionLine };

// A line of a change set with its place, so that lines come in file order whatever made them.
struct ChangeLine {
  ScopeId scope = kNone;
  int kind = 0;  // graph-level entries after nodes
  int position = 0;
  std::string text;
};

// An input whose meaning Commit promises: it must be defined by `scope` (of the snapshot) after the edit.
struct Expectation {
  const onnx::NodeProto* node = nullptr;  // in the working copy
  NodeId old_node = kNone;
  int input = 0;
  ScopeId scope = kNone;  // kNone: defined by an edit; anywhere will do
};

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

// The outcome of applying edits, besides the changed working copy.
struct Applied {
  std::vector<ChangeLine> lines;
  std::vector<Expectation> expectations;
  std::unordered_map<const onnx::NodeProto*, NodeId> old_node;  // of surviving nodes
  std::unordered_map<const void*, ScopeId> old_scope;           // of surviving graphs and functions
  std::vector<NodeList*> node_lists;                            // by ScopeId of the snapshot; nullptr: gone
  std::set<std::string> new_names;                              // defined by an edit
  std::set<ValueId> replaced_outputs;                           // graph outputs that ReplaceUses was asked for
  std::set<std::string> erased_functions;                       // by FunctionKey
};

// Applies edits to `work`, a copy of the proto that `before` indexes (or that copy with direct changes).
class EditApplier {
 public:
  EditApplier(const Index& before, Editor::Edits& edits, onnx::ModelProto& work);
  absl::Status Apply();
  Applied& applied() { return applied_; }

 private:
  // What a reader of a value reads after the edit; `scope` as in Expectation.
  struct Read {
    std::string name;
    ScopeId scope = kNone;
  };

  absl::Status BindScopes();
  absl::Status MergeNode(NodeId id);
  absl::Status CheckEditsReachable() const;
  void CollectNewNames();
  void ResolveReplacements();
  std::string_view FinalName(ValueId value) const;
  std::string ExplicitName(ScopeId scope, const std::string& name) const;
  Read FinalRead(ValueId value) const;
  // What an entry of a scope (an annotation, a function output) that names a value says afterwards.
  std::string RenamedIn(ScopeId scope, const std::string& name) const;
  void RewriteInputs(NodeId id, onnx::NodeProto& node);
  std::string OutputEntry(ScopeId id, const std::string& name);
  void RewriteNode(NodeId id);
  void RewriteScope(ScopeId id);
  void RewriteInfos(ScopeId id, google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos);
  void RewriteTraining();
  void EditInitializers(ScopeId id);
  void EraseInfos(ScopeId id);
  void EraseAndInsertNodes(ScopeId id);
  void EraseFunctions();
  absl::Status AddOutputs();
  bool IsGone(ValueId id) const;
  void AddValueLines();
  void Note(ScopeId scope, LineKind kind, int position, std::string text);
  void NoteNode(NodeId id, std::string detail);
  bool IsErased(NodeId id) const { return erased_[static_cast<size_t>(id)]; }

  const Index& before_;
  Editor::Edits& edits_;
  onnx::ModelProto& work_;
  Applied applied_;
  std::vector<bool> erased_;                                       // by NodeId; inside erased nodes too
  std::vector<bool> gone_;                                         // by ScopeId: erased, or replaced as a whole
  std::vector<onnx::GraphProto*> graphs_;                          // by ScopeId, in work_
  std::vector<onnx::FunctionProto*> functions_;                    // by ScopeId, in work_
  std::vector<NodeList*>& node_lists_;                             // applied_.node_lists
  std::map<std::pair<NodeId, int>, onnx::AttributeProto*> moved_;  // bodies of merged nodes
  std::set<std::pair<ScopeId, std::string>> new_definitions_;
  std::unordered_map<ValueId, Read> reads_;  // of replaced values
  std::map<ValueId, int> changed_reads_;     // how often a value's readers were changed
  std::map<NodeId, std::vector<std::string>> node_notes_;
};

// Is the edited model sound where the edits touched it? `after` indexes the working copy.
absl::Status CheckEdited(const Index& before, const Index& after, const Applied& applied);

// Sorts the scopes whose order an edit made wrong, and those in `wanted` that are in a wrong order; true if anything
// moved. kFailedPrecondition for a cycle.
absl::StatusOr<bool> RepairOrder(const Index& before, const Index& after, const std::set<ScopeId>& wanted,
                                 Applied& applied);

// The places of the elements to keep, for Reorder below.
template <typename Field, typename Keep>
std::vector<int> KeptPlaces(const Field& field, Keep keep) {
  std::vector<int> places;
  for (int i = 0; i < field.size(); ++i) {
    if (keep(i)) {
      places.push_back(i);
    }
  }
  return places;
}

// Puts the elements of a repeated field in the order given (order[i]: the old place of what comes i-th), by swaps.
// Elements whose old place isn't in `order` are deleted.
template <typename T>
void Reorder(google::protobuf::RepeatedPtrField<T>& field, const std::vector<int>& order) {
  const int count = field.size();
  std::vector<int> place(static_cast<size_t>(count));  // where an element is now
  std::vector<int> holds(static_cast<size_t>(count));  // which element is at a place
  for (int i = 0; i < count; ++i) {
    place[static_cast<size_t>(i)] = holds[static_cast<size_t>(i)] = i;
  }
  for (int i = 0; i < static_cast<int>(order.size()); ++i) {
    const int wanted = order[static_cast<size_t>(i)];
    const int from = place[static_cast<size_t>(wanted)];
    const int displaced = holds[static_cast<size_t>(i)];
    if (from != i) {
      field.SwapElements(i, from);
      holds[static_cast<size_t>(i)] = wanted;
      holds[static_cast<size_t>(from)] = displaced;
      place[static_cast<size_t>(wanted)] = i;
      place[static_cast<size_t>(displaced)] = from;
    }
  }
  field.DeleteSubrange(static_cast<int>(order.size()), count - static_cast<int>(order.size()));
}

}  // namespace gomai
