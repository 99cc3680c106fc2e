// Matching nodes; see node_match.h. Hashes only guide: what is paired is compared field by field afterwards, so a
// collision could make a report clumsy, never wrong.
//
// By structure: first nodes of the same operator and attributes that read the same (matched) values, in topological
// order, preferring those whose readers are alike too; that takes everything upstream of a change. Then nodes whose
// readers are alike all the way down to the outputs; that takes everything downstream. What is left lies between two
// changes and is found from its matched neighbours, and by name in the end.
#include "lib/compare/node_match.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "lib/compare/field_diff.h"
#include "lib/model/domain.h"

namespace gomai {
namespace {

uint64_t Mix(uint64_t hash, uint64_t x) {
  hash = (hash ^ x) + 0x9e3779b97f4a7c15;  // splitmix64
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}
uint64_t Mix(uint64_t hash, std::string_view text) { return Mix(hash, std::hash<std::string_view>{}(text)); }

// Nodes by key, each handed out once, in order.
class Waiting {
 public:
  explicit Waiting(const std::vector<NodeId>& taken_by) : taken_by_(taken_by) {}
  void Add(uint64_t key, NodeId node) { nodes_[key].list.push_back(node); }
  NodeId First(uint64_t key) {
    const auto entry = nodes_.find(key);
    if (entry == nodes_.end()) {
      return kNone;
    }
    Queue& queue = entry->second;
    while (queue.next < queue.list.size() && taken_by_[static_cast<size_t>(queue.list[queue.next])] != kNone) {
      ++queue.next;
    }
    return queue.next == queue.list.size() ? kNone : queue.list[queue.next];
  }

 private:
  struct Queue {
    std::vector<NodeId> list;
    size_t next = 0;
  };
  const std::vector<NodeId>& taken_by_;
  std::unordered_map<uint64_t, Queue> nodes_;
};

uint64_t OperatorHash(const onnx::NodeProto& node) {
  return Mix(Mix(Mix(1, DomainText(node.domain())), node.op_type()), node.overload());
}

std::string_view FirstOutput(const onnx::NodeProto& node) {
  for (const std::string& output : node.output()) {
    if (!output.empty()) {
      return output;
    }
  }
  return {};
}

std::vector<NodeId> InOrder(const Index& index, ScopeId scope) {
  absl::StatusOr<std::vector<NodeId>> order = TopologicalOrder(index, scope);
  return order.ok() ? *std::move(order) : index.scope(scope).nodes;
}

}  // namespace

NodeMatcher::NodeMatcher(const Index& before, const Index& after, TensorDiffer& tensors, const DiffOptions& options)
    : before_(before), after_(after), tensors_(tensors), options_(options), matching_(before, after) {
  if (options_.ignore_names) {
    ComputeOwn(before_, true, &shapes_before_);
    ComputeOwn(after_, false, &shapes_after_);
  }
}

void NodeMatcher::Pair(NodeId before, NodeId after) {
  matching_.PairNodes(before, after);
  const std::vector<ValueId>& a = before_.node(before).outputs;
  const std::vector<ValueId>& b = after_.node(after).outputs;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    matching_.PairValues(a[i], b[i]);
  }
}

uint64_t NodeMatcher::AttributeHash(const onnx::AttributeProto& attribute, bool is_before) {
  uint64_t hash = Mix(2, attribute.name());
  if (attribute.has_t() || attribute.tensors_size() > 0) {
    hash = attribute.has_t() ? Mix(hash, tensors_.Hash(attribute.t(), is_before)) : hash;
    for (const onnx::TensorProto& tensor : attribute.tensors()) {
      hash = Mix(hash, tensors_.Hash(tensor, is_before));
    }
    return hash;
  }
  if (attribute.has_g() || attribute.graphs_size() > 0 || attribute.has_sparse_tensor() ||
      attribute.sparse_tensors_size() > 0) {
    return Mix(hash, static_cast<uint64_t>(attribute.type()));
  }
  if (attribute.doc_string().empty()) {
    return Mix(hash, attribute.SerializePartialAsString());
  }
  onnx::AttributeProto bare = attribute;
  bare.clear_doc_string();
  return Mix(hash, bare.SerializePartialAsString());
}

void NodeMatcher::ComputeOwn(const Index& index, bool is_before, Shapes* shapes) {
  shapes->own.assign(index.nodes().size(), 0);
  shapes->down.assign(index.nodes().size(), 0);
  std::vector<uint64_t> bodies(index.scopes().size(), 3);
  for (ScopeId scope = static_cast<ScopeId>(index.scopes().size()) - 1; scope >= 0; --scope) {  // inner ones first
    for (const NodeId id : index.scope(scope).nodes) {
      const Index::Node& node = index.node(id);
      uint64_t hash = OperatorHash(*node.proto);
      uint64_t attributes = 0;  // in any order
      for (const onnx::AttributeProto& attribute : node.proto->attribute()) {
        attributes += AttributeHash(attribute, is_before);
      }
      hash = Mix(hash, attributes);
      for (const ScopeId body : node.bodies) {
        hash = Mix(hash, bodies[static_cast<size_t>(body)]);
      }
      shapes->own[static_cast<size_t>(id)] = hash;
      bodies[static_cast<size_t>(scope)] += hash;
    }
  }
}

void NodeMatcher::ComputeDown(const Index& index, ScopeId scope, const std::vector<NodeId>& order,
                              Shapes* shapes) const {
  std::unordered_map<std::string_view, uint64_t> outputs;
  const Index::Scope& in = index.scope(scope);
  const int count = in.graph != nullptr ? in.graph->output_size() : in.function->output_size();
  for (int i = 0; i < count; ++i) {
    const std::string& name = in.graph != nullptr ? in.graph->output(i).name() : in.function->output(i);
    outputs[name] += scope == index.main_scope() ? Mix(4, name) : Mix(5, static_cast<uint64_t>(i));
  }
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Index::Node& node = index.node(*it);
    uint64_t down = 6;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNone) {
        continue;
      }
      const Index::Value& value = index.value(node.outputs[i]);
      uint64_t readers = 7;  // in any order
      if (const auto entry = outputs.find(value.name); entry != outputs.end()) {
        readers += entry->second;
      }
      for (const Index::Use& use : value.uses) {
        if (index.node(use.node).scope == scope) {
          const auto reader = static_cast<size_t>(use.node);
          readers += Mix(Mix(shapes->own[reader], static_cast<uint64_t>(use.input) + 1), shapes->down[reader]);
        }
      }
      down = Mix(Mix(down, i), readers);
    }
    shapes->down[static_cast<size_t>(*it)] = down;
  }
}

void NodeMatcher::PairInterfaces(ScopeId before, ScopeId after, bool main_by_name) {
  const Index::Scope& a = before_.scope(before);
  const Index::Scope& b = after_.scope(after);
  if (main_by_name && before == before_.main_scope()) {
    for (const onnx::ValueInfoProto& input : a.graph->input()) {
      const ValueId other = after_.FindValue(after, input.name());
      if (other != kNone && after_.value(other).origin == Index::Origin::kInput) {
        matching_.PairValues(before_.FindValue(before, input.name()), other);
      }
    }
  }
  const auto count = [](const Index::Scope& s) {
    return s.graph != nullptr ? s.graph->input_size() : s.function->input_size();
  };
  const auto name = [](const Index::Scope& s, int i) -> const std::string& {
    return s.graph != nullptr ? s.graph->input(i).name() : s.function->input(i);
  };
  for (int i = 0; i < std::min(count(a), count(b)); ++i) {
    matching_.PairValues(before_.FindValue(before, name(a, i)), after_.FindValue(after, name(b, i)));
  }
}

absl::Status NodeMatcher::Match(ScopeId before, ScopeId after) {
  GOMAI_RETURN_IF_ERROR(options_.ignore_names ? MatchByStructure(before, after) : MatchByName(before, after));
  return PairThroughReaders(before, after);
}

void NodeMatcher::PairByKey(const std::vector<NodeId>& before, const std::vector<NodeId>& after,
                            const std::function<uint64_t(const Index&, const Shapes&, NodeId)>& key) {
  Waiting waiting(matching_.node_before);
  bool some = false;
  for (const NodeId id : after) {
    if (matching_.NodeBefore(id) == kNone) {
      if (const uint64_t k = key(after_, shapes_after_, id); k != 0) {
        waiting.Add(k, id);
        some = true;
      }
    }
  }
  for (size_t i = 0; some && i < before.size(); ++i) {
    if (matching_.NodeAfter(before[i]) == kNone) {
      const uint64_t k = key(before_, shapes_before_, before[i]);
      if (const NodeId other = k == 0 ? kNone : waiting.First(k); other != kNone) {
        Pair(before[i], other);
      }
    }
  }
}

namespace {

uint64_t ByOutputAndOperator(const onnx::NodeProto& node) {
  const std::string_view output = FirstOutput(node);
  return output.empty() ? 0 : Mix(OperatorHash(node), output);
}
uint64_t ByNameAndOperator(const onnx::NodeProto& node) {
  return node.name().empty() ? 0 : Mix(Mix(OperatorHash(node), node.name()), 8);
}
uint64_t ByOutput(const onnx::NodeProto& node) {
  const std::string_view output = FirstOutput(node);
  return output.empty() ? 0 : Mix(9, output);
}
// For nodes without a name whose output was renamed. A node that reads nothing is like too many others.
uint64_t ByInputNames(const onnx::NodeProto& node) {
  uint64_t hash = Mix(OperatorHash(node), 10);
  for (const std::string& input : node.input()) {
    hash = Mix(hash, input);
  }
  return node.input_size() == 0 ? 0 : hash;
}

}  // namespace

absl::Status NodeMatcher::MatchByName(ScopeId before, ScopeId after) {
  const std::vector<NodeId>& a = before_.scope(before).nodes;
  const std::vector<NodeId>& b = after_.scope(after).nodes;
  for (auto* key : {ByOutputAndOperator, ByNameAndOperator, ByOutput}) {
    Waiting waiting(matching_.node_before);
    for (const NodeId id : b) {
      if (const uint64_t k = key(*after_.node(id).proto); k != 0 && matching_.NodeBefore(id) == kNone) {
        waiting.Add(k, id);
      }
    }
    for (const NodeId id : a) {
      const uint64_t k = matching_.NodeAfter(id) != kNone ? 0 : key(*before_.node(id).proto);
      if (const NodeId other = k == 0 ? kNone : waiting.First(k); other != kNone) {
        matching_.PairNodes(id, other);
      }
    }
  }
  // Values of the same name are the same; what is left follows the nodes that make it.
  for (const auto& [name, value] : before_.scope(before).values) {
    matching_.PairValues(value, after_.FindValue(after, name));
  }
  PairInterfaces(before, after, false);
  for (const NodeId id : a) {
    if (const NodeId other = matching_.NodeAfter(id); other != kNone) {
      Pair(id, other);
    }
  }
  PairByKey(a, b, [](const Index& index, const Shapes&, NodeId id) { return ByInputNames(*index.node(id).proto); });
  return absl::OkStatus();
}

absl::Status NodeMatcher::MatchByStructure(ScopeId before, ScopeId after) {
  PairInterfaces(before, after, true);
  GOMAI_RETURN_IF_ERROR(PairInitializers(before, after));
  const std::vector<NodeId> a = InOrder(before_, before);
  const std::vector<NodeId> b = InOrder(after_, after);
  ComputeDown(before_, before, a, &shapes_before_);
  ComputeDown(after_, after, b, &shapes_after_);
  Sweep(a, b, true);
  Sweep(a, b, false);
  PairByKey(a, b, [](const Index&, const Shapes& shapes, NodeId id) {
    return Mix(Mix(11, shapes.own[static_cast<size_t>(id)]), shapes.down[static_cast<size_t>(id)]);
  });
  PairByKey(a, b, [](const Index& index, const Shapes& shapes, NodeId id) {
    return Mix(Mix(12, OperatorHash(*index.node(id).proto)), shapes.down[static_cast<size_t>(id)]);
  });
  Propagate(a);
  for (auto* key : {ByOutputAndOperator, ByNameAndOperator}) {
    PairByKey(a, b, [key](const Index& index, const Shapes&, NodeId id) { return key(*index.node(id).proto); });
  }
  PairByKey(a, b, [](const Index& index, const Shapes& shapes, NodeId id) {
    const bool read = std::any_of(index.node(id).outputs.begin(), index.node(id).outputs.end(), [&](ValueId value) {
      return value != kNone && (index.value(value).is_graph_output || !index.value(value).uses.empty());
    });
    return read ? Mix(13, shapes.down[static_cast<size_t>(id)]) : 0;
  });
  return absl::OkStatus();
}

// Nodes of equal operator and attributes whose inputs are all matched, to each other.
void NodeMatcher::Sweep(const std::vector<NodeId>& before, const std::vector<NodeId>& after, bool with_down) {
  const auto key = [&](const Index& index, const Shapes& shapes, NodeId id, bool is_before) -> uint64_t {
    const Index::Node& node = index.node(id);
    uint64_t hash = shapes.own[static_cast<size_t>(id)];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId value = node.inputs[i];
      const std::string& name = node.proto->input(static_cast<int>(i));
      const ValueId common = is_before ? matching_.After(value) : value;
      if (value != kNone && common == kNone) {
        return 0;
      }
      hash = value == kNone ? Mix(hash, name) : Mix(hash, static_cast<uint64_t>(common));
    }
    return with_down ? Mix(hash, shapes.down[static_cast<size_t>(id)]) : hash;
  };
  Waiting waiting(matching_.node_before);
  for (const NodeId id : after) {
    if (matching_.NodeBefore(id) == kNone) {
      const uint64_t k = key(after_, shapes_after_, id, false);
      waiting.Add(k, id);
      waiting.Add(Mix(Mix(k, 14), after_.node(id).proto->name()), id);
    }
  }
  for (const NodeId id : before) {
    const uint64_t k = matching_.NodeAfter(id) != kNone ? 0 : key(before_, shapes_before_, id, true);
    if (k == 0) {
      continue;
    }
    NodeId other = waiting.First(Mix(Mix(k, 14), before_.node(id).proto->name()));
    other = other != kNone ? other : waiting.First(k);
    if (other != kNone) {
      Pair(id, other);
    }
  }
}

}  // namespace gomai
