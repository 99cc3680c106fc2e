// Builds an Index in two walks. The first goes through all graphs in file order, with a stack of its own (a hostile
// file nests deeper than the process stack is), and notes scopes, nodes and definitions, as well as the order in which
// uses are met. The second resolves the uses: only then is every definition known, and a name that is defined later in
// an inner graph must still win over an outer one. A capture is entered at each enclosing node until one has it
// already, so the cost is that of the entries made.
#include "lib/graph/index.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "lib/graph/constants.h"
#include "lib/model/domain.h"

namespace gomai {

class IndexBuilder {
 public:
  explicit IndexBuilder(Index& index) : index_(index) {}

  void Build(const onnx::ModelProto& model) {
    const auto expected = static_cast<size_t>(model.graph().node_size());
    index_.nodes_.reserve(expected);
    index_.values_.reserve(expected);
    events_.reserve(expected);
    Walk(AddGraph(model.graph(), kNone, -1, -1));
    for (const onnx::FunctionProto& function : model.functions()) {
      Walk(AddFunction(function));
    }
    ResolveAll();
    const auto earlier = [](const Index::Use& a, const Index::Use& b) { return a.node < b.node; };
    for (Index::Value& value : index_.values_) {
      if (!std::is_sorted(value.uses.begin(), value.uses.end(), earlier)) {
        std::stable_sort(value.uses.begin(), value.uses.end(), earlier);
      }
    }
    IndexNames();
    ConstantSets constants = FindConstants(index_);
    index_.constant_values_ = std::move(constants.values);
    index_.constant_nodes_ = std::move(constants.nodes);
  }

 private:
  // Where the walk is in a scope: at which node, and at which attribute of it the next body is looked for.
  struct Frame {
    ScopeId scope = kNone;
    int position = 0;
    NodeId node = kNone;  // kNone: the node at `position` has not been entered
    int attribute = 0;
    int graph = 0;
  };

  ScopeId AddGraph(const onnx::GraphProto& graph, NodeId owner, int attribute, int attribute_index) {
    const ScopeId id = static_cast<ScopeId>(index_.scopes_.size());
    Index::Scope& scope = index_.scopes_.emplace_back();
    scope.graph = &graph;
    scope.owner = owner;
    scope.attribute_position = attribute;
    scope.attribute_index = attribute_index;
    if (owner != kNone) {
      Index::Node& node = index_.nodes_[static_cast<size_t>(owner)];
      scope.parent = node.scope;
      scope.attribute = node.proto->attribute(attribute).name();
      node.bodies.push_back(id);
    }
    scope.values.reserve(static_cast<size_t>(graph.input_size()) + static_cast<size_t>(graph.initializer_size()) +
                         static_cast<size_t>(graph.node_size()));
    for (const onnx::ValueInfoProto& input : graph.input()) {
      Define(id, input.name(), Index::Origin::kInput);
    }
    for (const onnx::TensorProto& tensor : graph.initializer()) {
      const ValueId value = Define(id, tensor.name(), Index::Origin::kInitializer);
      if (value != kNone && index_.values_[static_cast<size_t>(value)].initializer == nullptr) {
        index_.values_[static_cast<size_t>(value)].initializer = &tensor;
      }
    }
    for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
      const ValueId value = Define(id, tensor.values().name(), Index::Origin::kInitializer);
      if (value != kNone && index_.values_[static_cast<size_t>(value)].sparse_initializer == nullptr) {
        index_.values_[static_cast<size_t>(value)].sparse_initializer = &tensor;
      }
    }
    return id;
  }

  ScopeId AddFunction(const onnx::FunctionProto& function) {
    const ScopeId id = static_cast<ScopeId>(index_.scopes_.size());
    index_.scopes_.emplace_back().function = &function;
    for (const std::string& input : function.input()) {
      Define(id, input, Index::Origin::kInput);
    }
    index_.functions_.emplace(FunctionKey(function.domain(), function.name(), function.overload()), id);
    ++index_.function_names_[function.name()];
    return id;
  }

  // The value of that name in the scope, made if it is new.
  ValueId Define(ScopeId scope, std::string_view name, Index::Origin origin) {
    if (name.empty()) {
      return kNone;
    }
    const ValueId next = static_cast<ValueId>(index_.values_.size());
    const auto [entry, is_new] = index_.scopes_[static_cast<size_t>(scope)].values.try_emplace(name, next);
    if (is_new) {
      Index::Value& value = index_.values_.emplace_back();
      value.scope = scope;
      value.name = name;
      value.origin = origin;
    }
    return entry->second;
  }

  const google::protobuf::RepeatedPtrField<onnx::NodeProto>& NodesOf(ScopeId id) const {
    const Index::Scope& scope = index_.scope(id);
    return scope.graph != nullptr ? scope.graph->node() : scope.function->node();
  }

  void Walk(ScopeId root) {
    std::vector<Frame> stack = {{.scope = root}};
    EnterScope(root);
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.node != kNone) {
        const ScopeId body = NextBody(frame);
        if (body == kNone) {
          frame.node = kNone;
          ++frame.position;
        } else {
          stack.push_back({.scope = body});
          EnterScope(body);
        }
      } else if (frame.position < NodesOf(frame.scope).size()) {
        frame.node = EnterNode(frame.scope, frame.position);
        frame.attribute = 0;
        frame.graph = 0;
      } else {
        LeaveScope(frame.scope);
        stack.pop_back();
      }
    }
  }

  void EnterScope(ScopeId id) {
    Index::Scope& scope = index_.scopes_[static_cast<size_t>(id)];
    scope.first_node = static_cast<NodeId>(index_.nodes_.size());
    scope.nodes.reserve(static_cast<size_t>(NodesOf(id).size()));
  }

  NodeId EnterNode(ScopeId scope, int position) {
    const onnx::NodeProto& proto = NodesOf(scope).Get(position);
    const NodeId id = static_cast<NodeId>(index_.nodes_.size());
    Index::Node& node = index_.nodes_.emplace_back();
    node.proto = &proto;
    node.scope = scope;
    node.position = position;
    index_.scopes_[static_cast<size_t>(scope)].nodes.push_back(id);
    node.outputs.reserve(static_cast<size_t>(proto.output_size()));
    for (int i = 0; i < proto.output_size(); ++i) {
      const size_t before = index_.values_.size();
      const ValueId value = Define(scope, proto.output(i), Index::Origin::kNode);
      if (index_.values_.size() != before) {
        index_.values_.back().producer = id;
        index_.values_.back().output = i;
      }
      node.outputs.push_back(value);
    }
    events_.push_back({.node = id});
    return id;
  }

  // The next body of the frame's node as a new scope, or kNone. The payload decides, not the declared type: a graph is
  // there or it isn't.
  ScopeId NextBody(Frame& frame) {
    const onnx::NodeProto& proto = *index_.node(frame.node).proto;
    for (; frame.attribute < proto.attribute_size(); ++frame.attribute, frame.graph = 0) {
      const onnx::AttributeProto& attribute = proto.attribute(frame.attribute);
      const int singular = attribute.has_g() ? 1 : 0;
      if (frame.graph < singular + attribute.graphs_size()) {
        const int i = frame.graph++ - singular;
        return AddGraph(i < 0 ? attribute.g() : attribute.graphs(i), frame.node, frame.attribute, i);
      }
    }
    return kNone;
  }

  void LeaveScope(ScopeId id) {
    const Index::Scope& scope = index_.scope(id);
    if (scope.graph != nullptr) {
      for (const auto* list : {&scope.graph->input(), &scope.graph->output(), &scope.graph->value_info()}) {
        SetInfos(id, *list);
      }
      for (const onnx::ValueInfoProto& output : scope.graph->output()) {
        MarkOutput(id, output.name());
      }
    } else {
      SetInfos(id, scope.function->value_info());
      for (const std::string& output : scope.function->output()) {
        MarkOutput(id, output);
      }
    }
    events_.push_back({.left_scope = id});
  }

  // The first entry with a type wins, else the first.
  void SetInfos(ScopeId scope, const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos) {
    for (const onnx::ValueInfoProto& info : infos) {
      const ValueId id = index_.FindValue(scope, info.name());
      if (id != kNone) {
        Index::Value& value = index_.values_[static_cast<size_t>(id)];
        if (value.info == nullptr || (!value.info->has_type() && info.has_type())) {
          value.info = &info;
        }
      }
    }
  }

  void MarkOutput(ScopeId scope, std::string_view name) {
    if (const ValueId id = index_.FindValue(scope, name); id != kNone) {
      index_.values_[static_cast<size_t>(id)].is_graph_output = true;
    }
  }

  void ResolveAll() {
    for (const Event& event : events_) {
      if (event.node != kNone) {
        const Index::Node& node = index_.node(event.node);
        const ScopeId scope = node.scope;
        std::vector<ValueId> inputs;
        inputs.reserve(static_cast<size_t>(node.proto->input_size()));
        for (int i = 0; i < node.proto->input_size(); ++i) {
          const ValueId value = index_.Resolve(scope, node.proto->input(i));
          inputs.push_back(value);
          if (value != kNone) {
            index_.values_[static_cast<size_t>(value)].uses.push_back({event.node, i});
            Capture(scope, value);
          }
        }
        index_.nodes_[static_cast<size_t>(event.node)].inputs = std::move(inputs);
      } else if (const Index::Scope& scope = index_.scope(event.left_scope); scope.parent != kNone) {
        for (const onnx::ValueInfoProto& output : scope.graph->output()) {
          if (const ValueId value = index_.Resolve(event.left_scope, output.name()); value != kNone) {
            Capture(event.left_scope, value);
          }
        }
      }
    }
  }

  // Enters a value that is read in `scope` as a capture of every node between there and the value's own scope.
  void Capture(ScopeId scope, ValueId value) {
    Index::Value& read = index_.values_[static_cast<size_t>(value)];
    while (scope != read.scope) {
      const NodeId owner = index_.scope(scope).owner;
      const uint64_t key = (static_cast<uint64_t>(owner) << 32) | static_cast<uint32_t>(value);
      if (!captured_.insert(key).second) {
        return;
      }
      index_.nodes_[static_cast<size_t>(owner)].captures.push_back(value);
      read.uses.push_back({owner, -1});
      scope = index_.node(owner).scope;
    }
  }

  void IndexNames() {
    const size_t count = index_.nodes_.size();
    index_.next_of_name_.assign(count, kNone);
    index_.name_reach_.assign(count, Index::NameReach::kNowhere);
    index_.nodes_by_name_.reserve(count);
    for (NodeId id = static_cast<NodeId>(count) - 1; id >= 0; --id) {
      const std::string& name = index_.node(id).proto->name();
      if (!name.empty()) {
        const auto [entry, is_new] = index_.nodes_by_name_.try_emplace(name, id);
        if (!is_new) {
          index_.next_of_name_[static_cast<size_t>(id)] = entry->second;
          entry->second = id;
        }
      }
    }
    for (const auto& [name, first] : index_.nodes_by_name_) {
      if (index_.next_of_name_[static_cast<size_t>(first)] == kNone) {
        index_.name_reach_[static_cast<size_t>(first)] = Index::NameReach::kEverywhere;
        continue;
      }
      std::unordered_map<ScopeId, int> count_in;
      for (NodeId id = first; id != kNone; id = index_.next_of_name_[static_cast<size_t>(id)]) {
        ++count_in[index_.node(id).scope];
      }
      for (NodeId id = first; id != kNone; id = index_.next_of_name_[static_cast<size_t>(id)]) {
        if (count_in[index_.node(id).scope] == 1) {
          index_.name_reach_[static_cast<size_t>(id)] = Index::NameReach::kInGraph;
        }
      }
    }
  }

  struct Event {
    NodeId node = kNone;
    ScopeId left_scope = kNone;
  };
  Index& index_;
  std::vector<Event> events_;
  std::unordered_set<uint64_t> captured_;
};

Index::Index(const onnx::ModelProto& model) { IndexBuilder(*this).Build(model); }

ValueId Index::FindValue(ScopeId scope_id, std::string_view name) const {
  const auto& values = scope(scope_id).values;
  const auto entry = values.find(name);
  return entry == values.end() ? kNone : entry->second;
}

ValueId Index::Resolve(ScopeId scope_id, std::string_view name) const {
  if (name.empty()) {
    return kNone;
  }
  for (ScopeId id = scope_id; id != kNone; id = scope(id).parent) {
    if (const ValueId value = FindValue(id, name); value != kNone) {
      return value;
    }
  }
  return kNone;
}

bool Index::IsInside(ScopeId inner, ScopeId outer) const {
  // Outer scopes have lower ids, so the walk may stop early.
  while (inner > outer) {
    inner = scope(inner).parent;
  }
  return inner == outer;
}

ScopeId Index::CalledFunction(const onnx::NodeProto& node) const {
  if (functions_.empty()) {
    return kNone;
  }
  const auto entry = functions_.find(FunctionKey(node.domain(), node.op_type(), node.overload()));
  return entry == functions_.end() ? kNone : entry->second;
}

std::string FunctionKey(std::string_view domain, std::string_view name, std::string_view overload) {
  return fmt::format("{}:{}:{}", NormalDomain(domain), name, overload);
}

}  // namespace gomai
