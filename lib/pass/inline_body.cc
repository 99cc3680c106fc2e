// Names are the whole difficulty: a name may be defined once in each of several bodies that don't see one another, and
// must be defined once where they all do.
#include "lib/pass/inline_body.h"

#include <set>

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

BodyInliner::BodyInliner(Editor& editor) : editor_(editor), index_(editor.index()) {
  for (const Index::Value& value : index_.values()) {
    ++definitions_[value.name];
  }
  for (const Index::Node& node : index_.nodes()) {
    ++nodes_named_[node.proto->name()];
  }
}

// The If's outputs: made by a node of the branch under the If's name for it, or passed on.
void BodyInliner::NameOutputs(const Index::Node& node, const Index::Scope& body) {
  for (int i = 0; i < body.graph->output_size() && i < node.proto->output_size(); ++i) {
    const std::string& inner = body.graph->output(i).name();
    const std::string& outer = node.proto->output(i);
    if (outer.empty()) {
      continue;
    }
    const auto made = body.values.find(inner);
    const bool by_node = made != body.values.end() && index_.value(made->second).producer != kNone;
    if (!by_node || !names_.emplace(inner, outer).second) {
      passed_on_.emplace_back(inner, outer);
    }
  }
}

std::string BodyInliner::NewName(const std::string& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? name : found->second;
}

void BodyInliner::Inline(NodeId id, ScopeId scope) {
  const Index::Node& node = index_.node(id);
  const Index::Scope& body = index_.scope(scope);
  names_.clear();
  passed_on_.clear();
  NameOutputs(node, body);
  for (const auto& [name, value] : std::map<std::string_view, ValueId>(body.values.begin(), body.values.end())) {
    if (!names_.contains(std::string(name))) {
      names_.emplace(name, definitions_.at(name) == 1 ? std::string(name) : editor_.FreshName(name));
    }
  }
  for (const onnx::TensorProto& tensor : body.graph->initializer()) {
    onnx::TensorProto copy = tensor;
    copy.set_name(names_.at(tensor.name()));
    editor_.AddInitializer(node.scope, std::move(copy));
  }
  for (const NodeId inner : body.nodes) {
    onnx::NodeProto copy = *index_.node(inner).proto;
    for (std::string& input : *copy.mutable_input()) {
      input = NewName(input);
    }
    for (std::string& output : *copy.mutable_output()) {
      output = NewName(output);
    }
    RenameCaptures(names_, &copy);
    if (!copy.name().empty() && nodes_named_.at(copy.name()) > 1) {
      copy.set_name(editor_.FreshName(copy.name()));
    }
    editor_.InsertNode(node.scope, std::move(copy), id);
  }
  for (const auto& [from, to] : passed_on_) {
    onnx::NodeProto identity;
    identity.set_op_type("Identity");
    identity.set_name(editor_.FreshName(to + "_Identity"));
    identity.add_input(NewName(from));
    identity.add_output(to);
    editor_.InsertNode(node.scope, std::move(identity), id);
  }
  editor_.EraseNode(id);
}

}  // namespace gomai
