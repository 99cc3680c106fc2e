// Names are the whole difficulty: a name may be defined once in each of several bodies that don't see one another, and
// must be defined once where they all do.
#include "lib/pass/inline_body.h"

#include <set>
#include <utility>
#include <vector>

namespace gomai {
namespace {

// A graph with the names that it (or one around it, inside the node) defines anew.
struct Level {
  onnx::GraphProto* graph;
  std::set<std::string> hidden;
};

void ForEachBody(onnx::NodeProto& node, const auto& visit) {
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (attribute.has_g()) {
      visit(*attribute.mutable_g());
    }
    for (onnx::GraphProto& graph : *attribute.mutable_graphs()) {
      visit(graph);
    }
  }
}

void AddDefinitions(const onnx::GraphProto& graph, std::set<std::string>* names) {
  for (const onnx::ValueInfoProto& input : graph.input()) {
    names->insert(input.name());
  }
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    names->insert(tensor.name());
  }
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
    names->insert(tensor.values().name());
  }
  for (const onnx::NodeProto& node : graph.node()) {
    names->insert(node.output().begin(), node.output().end());
  }
}

class Inliner {
 public:
  Inliner(Editor& editor, NodeId node, ScopeId body)
      : editor_(editor), index_(editor.index()), node_(index_.node(node)), id_(node), body_(index_.scope(body)) {
    for (const auto& [name, value] : body_.values) {
      defined_.emplace(name, value);
    }
  }

  void Run() {
    NameOutputs();
    for (const auto& [name, value] : defined_) {
      if (!names_.contains(name)) {
        names_.emplace(name, IsFree(name) ? name : editor_.FreshName(name));
      }
    }
    for (const onnx::TensorProto& tensor : body_.graph->initializer()) {
      onnx::TensorProto copy = tensor;
      copy.set_name(names_.at(tensor.name()));
      editor_.AddInitializer(node_.scope, std::move(copy));
    }
    for (const NodeId inner : body_.nodes) {
      onnx::NodeProto copy = *index_.node(inner).proto;
      for (std::string& input : *copy.mutable_input()) {
        input = NewName(input);
      }
      for (std::string& output : *copy.mutable_output()) {
        output = NewName(output);
      }
      RenameCaptures(names_, &copy);
      if (!copy.name().empty() && NodesNamed(copy.name()) > 1) {
        copy.set_name(editor_.FreshName(copy.name()));
      }
      editor_.InsertNode(node_.scope, std::move(copy), id_);
    }
    for (const auto& [from, to] : passed_on_) {
      onnx::NodeProto identity;
      identity.set_op_type("Identity");
      identity.set_name(editor_.FreshName(to + "_Identity"));
      identity.add_input(NewName(from));
      identity.add_output(to);
      editor_.InsertNode(node_.scope, std::move(identity), id_);
    }
    editor_.EraseNode(id_);
  }

 private:
  // The If's outputs: made by a node of the branch under the If's name for it, or passed on.
  void NameOutputs() {
    for (int i = 0; i < body_.graph->output_size() && i < node_.proto->output_size(); ++i) {
      const std::string& inner = body_.graph->output(i).name();
      const std::string& outer = node_.proto->output(i);
      if (outer.empty()) {
        continue;
      }
      const auto made = defined_.find(inner);
      const bool by_node = made != defined_.end() && index_.value(made->second).producer != kNone;
      if (!by_node || !names_.emplace(inner, outer).second) {
        passed_on_.emplace_back(inner, outer);
      }
    }
  }

  std::string NewName(const std::string& name) const {
    const auto found = names_.find(name);
    return found == names_.end() ? name : found->second;
  }

  // Is this body the only place in the model that defines the name?
  bool IsFree(const std::string& name) const {
    int definitions = 0;
    for (const Index::Scope& scope : index_.scopes()) {
      definitions += scope.values.contains(name) ? 1 : 0;
    }
    return definitions == 1;
  }

  int NodesNamed(const std::string& name) const {
    int count = 0;
    for (const Index::Node& node : index_.nodes()) {
      count += node.proto->name() == name ? 1 : 0;
    }
    return count;
  }

  Editor& editor_;
  const Index& index_;
  const Index::Node& node_;
  const NodeId id_;
  const Index::Scope& body_;
  std::map<std::string, ValueId> defined_;
  std::map<std::string, std::string> names_;
  std::vector<std::pair<std::string, std::string>> passed_on_;
};

}  // namespace

void RenameCaptures(const std::map<std::string, std::string>& names, onnx::NodeProto* node) {
  std::vector<Level> levels;
  ForEachBody(*node, [&](onnx::GraphProto& graph) { levels.push_back({&graph, {}}); });
  while (!levels.empty()) {
    Level level = std::move(levels.back());
    levels.pop_back();
    AddDefinitions(*level.graph, &level.hidden);
    const auto rename = [&](std::string* name) {
      if (const auto found = names.find(*name); found != names.end() && !level.hidden.contains(*name)) {
        *name = found->second;
      }
    };
    for (onnx::NodeProto& inner : *level.graph->mutable_node()) {
      for (std::string& input : *inner.mutable_input()) {
        rename(&input);
      }
      ForEachBody(inner, [&](onnx::GraphProto& graph) { levels.push_back({&graph, level.hidden}); });
    }
    for (onnx::ValueInfoProto& output : *level.graph->mutable_output()) {
      rename(output.mutable_name());
    }
  }
}

void InlineBranch(Editor& editor, NodeId node, ScopeId body) { Inliner(editor, node, body).Run(); }

}  // namespace gomai
