// Graphs compared, once their nodes and values are matched; see graph_diff.h. Bodies wait in a queue, so that depth
// costs no machine stack and every capture's value is matched before the body that reads it.
#include "lib/compare/graph_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "lib/compare/field_diff.h"
#include "lib/model/domain.h"

namespace gomai {
namespace {

std::string NameText(const std::string& name) { return name.empty() ? "absent" : QuotedText(name); }

template <typename List>
std::string Join(const List& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + (name.empty() ? std::string("-") : name);
  }
  return text;
}

std::string NodeText(const onnx::NodeProto& node) {
  return fmt::format("({}) => ({})", Join(node.input()), Join(node.output()));
}

}  // namespace

GraphDiffer::GraphDiffer(const Index& before, const Index& after, TensorDiffer& tensors, DiffLog& log,
                         std::string prefix)
    : before_(before),
      after_(after),
      tensors_(tensors),
      log_(log),
      options_(log.options()),
      prefix_(std::move(prefix)),
      matcher_(before, after, tensors, log.options()),
      matching_(matcher_.matching()) {}

std::string GraphDiffer::Address(const Index& index, NodeId id) const { return prefix_ + index.Describe(id); }

SpotFunction GraphDiffer::ScopeSpot(const Sides& scope, Section section) const {
  return [this, scope, section] { return Spot{section, prefix_ + before_.ScopeName(scope.before), "", ""}; };
}

SpotFunction GraphDiffer::NamedSpot(const Sides& scope, Section section, const std::string& name) const {
  return [this, scope, section, &name] {
    return Spot{section, prefix_ + before_.ScopeName(scope.before), QuotedText(name), QuotedText(name)};
  };
}

SpotFunction GraphDiffer::NodeSpot(NodeId before, NodeId after) const {
  return [this, before, after] {
    Spot spot{Section::kNodes, "", "", ""};
    if (before != kNone) {
      spot.scope = prefix_ + before_.ScopeName(before_.node(before).scope);
      spot.where = Address(before_, before);
    } else {
      const ScopeId scope = after_.node(after).scope;
      spot.scope = prefix_ + after_.ScopeName(scope);
      spot.where = Address(after_, after);
    }
    spot.where_after = after == kNone ? spot.where : Address(after_, after);
    return spot;
  };
}

absl::Status GraphDiffer::Diff(ScopeId before, ScopeId after) {
  queue_.push_back({before, after});
  while (!queue_.empty()) {
    const Sides scope = queue_.front();
    queue_.pop_front();
    GOMAI_RETURN_IF_ERROR(One(scope));
  }
  return absl::OkStatus();
}

absl::Status GraphDiffer::One(const Sides& scope) {
  GOMAI_RETURN_IF_ERROR(matcher_.Match(scope.before, scope.after));
  const Index::Scope& a = before_.scope(scope.before);
  const Index::Scope& b = after_.scope(scope.after);
  const bool main = scope.before == before_.main_scope() && a.graph != nullptr;
  const SpotFunction spot = ScopeSpot(scope, main ? Section::kModel : Section::kNodes);
  if (a.graph != nullptr && b.graph != nullptr) {
    DiffFields(
        *a.graph, *b.graph, main ? "graph " : "",
        {"node", "initializer", "sparse_initializer", "input", "output", "value_info", "quantization_annotation"}, spot,
        log_);
  } else {
    DiffFields(*a.function, *b.function, "",
               {"name", "domain", "overload", "input", "output", "node", "value_info", "attribute_proto"}, spot, log_);
    GOMAI_RETURN_IF_ERROR(FunctionDefaults(*a.function, *b.function, scope));
  }
  Interface(scope);
  GOMAI_RETURN_IF_ERROR(Nodes(scope));
  ValueInfos(scope);
  if (a.graph != nullptr) {
    Annotations(scope);
    GOMAI_RETURN_IF_ERROR(Initializers(scope));
  }
  return absl::OkStatus();
}

// --- inputs and outputs

void GraphDiffer::Interface(const Sides& scope) {
  if (before_.scope(scope.before).function != nullptr) {
    FunctionList(scope, "input", false);
    FunctionList(scope, "output", true);
  } else if (scope.before == before_.main_scope()) {
    MainList(scope, "input", false);
    MainList(scope, "output", true);
  } else {
    BodyList(scope, "input", false);
    BodyList(scope, "output", true);
  }
}

void GraphDiffer::MainList(const Sides& scope, const char* what, bool outputs) {
  const onnx::GraphProto& a = *before_.scope(scope.before).graph;
  const onnx::GraphProto& b = *after_.scope(scope.after).graph;
  const auto& list_a = outputs ? a.output() : a.input();
  const auto& list_b = outputs ? b.output() : b.input();
  std::vector<std::string> names_a, names_b;
  for (const auto& info : list_a) {
    names_a.push_back(info.name());
  }
  for (const auto& info : list_b) {
    names_b.push_back(info.name());
  }
  const auto spot_of = [&](const std::string& name) -> SpotFunction {
    return [this, scope, what, name] {
      const std::string where = fmt::format("{} {}", what, QuotedText(name));
      return Spot{Section::kInterface, prefix_ + before_.ScopeName(scope.before), where, where};
    };
  };
  const ListMatch match = MatchLists(names_a, names_b);
  for (const auto& [i, j] : match.both) {
    const std::string& name = names_a[static_cast<size_t>(i)];
    DiffFields(list_a.Get(i), list_b.Get(j), "", {"name"}, spot_of(name), log_);
    if (outputs && options_.ignore_names) {
      OutputMaker(scope, name);
    }
  }
  // One that went and one that came, of one type and at one place, is one that was renamed.
  const auto renamed = [&](int i) {
    return i < list_a.size() && i < list_b.size() &&
           std::binary_search(match.removed.begin(), match.removed.end(), i) &&
           std::binary_search(match.added.begin(), match.added.end(), i) &&
           TypeText(list_a.Get(i).type()) == TypeText(list_b.Get(i).type());
  };
  for (const int i : match.removed) {
    const std::string& name = names_a[static_cast<size_t>(i)];
    if (renamed(i)) {
      log_.Changed(spot_of(name), "name", QuotedText(name), QuotedText(names_b[static_cast<size_t>(i)]));
      DiffFields(list_a.Get(i), list_b.Get(i), "", {"name"}, spot_of(name), log_);
    } else {
      log_.Removed(spot_of(name), "", TypeText(list_a.Get(i).type()));
    }
  }
  for (const int j : match.added) {
    if (!renamed(j)) {
      log_.Added(spot_of(names_b[static_cast<size_t>(j)]), "", TypeText(list_b.Get(j).type()));
    }
  }
  log_.Order(ScopeSpot(scope, Section::kInterface), outputs ? "outputs" : "inputs", match.moved, match.both.size(),
             true);
}

// Where inner names say nothing, an output must still be made by the same node.
void GraphDiffer::OutputMaker(const Sides& scope, const std::string& name) {
  const ValueId a = before_.FindValue(scope.before, name);
  const ValueId b = after_.FindValue(scope.after, name);
  if (matching_.After(a) == b) {
    return;
  }
  const auto maker = [&](const Index& index, ValueId id) {
    const NodeId producer = id == kNone ? kNone : index.value(id).producer;
    return producer == kNone ? std::string(id == kNone ? "nothing" : "an input or initializer")
                             : fmt::format("output {} of {}", index.value(id).output, Address(index, producer));
  };
  log_.Changed(
      [&] {
        const std::string where = fmt::format("output {}", QuotedText(name));
        return Spot{Section::kInterface, prefix_ + before_.ScopeName(scope.before), where, where};
      },
      "maker", maker(before_, a), maker(after_, b));
}

void GraphDiffer::BodyList(const Sides& scope, const char* what, bool outputs) {
  const onnx::GraphProto& a = *before_.scope(scope.before).graph;
  const onnx::GraphProto& b = *after_.scope(scope.after).graph;
  const auto& list_a = outputs ? a.output() : a.input();
  const auto& list_b = outputs ? b.output() : b.input();
  const SpotFunction spot = ScopeSpot(scope, Section::kNodes);
  const auto text = [](const onnx::ValueInfoProto& info) {
    return fmt::format("{}, {}", QuotedText(info.name()), TypeText(info.type()));
  };
  for (int i = 0; i < std::max(list_a.size(), list_b.size()); ++i) {
    const std::string entry = fmt::format("{} {}", what, i);
    if (i >= list_b.size()) {
      log_.Removed(spot, entry, text(list_a.Get(i)));
    } else if (i >= list_a.size()) {
      log_.Added(spot, entry, text(list_b.Get(i)));
    } else {
      const std::string& name_a = list_a.Get(i).name();
      const std::string& name_b = list_b.Get(i).name();
      if (options_.ignore_names ? !SameValue(scope, name_a, name_b) : name_a != name_b) {
        log_.Changed(spot, entry, QuotedText(name_a), QuotedText(name_b));
      }
      DiffFields(list_a.Get(i), list_b.Get(i), entry + " ", {"name"}, spot, log_);
    }
  }
}

void GraphDiffer::FunctionList(const Sides& scope, const char* what, bool outputs) {
  const onnx::FunctionProto& a = *before_.scope(scope.before).function;
  const onnx::FunctionProto& b = *after_.scope(scope.after).function;
  const auto& list_a = outputs ? a.output() : a.input();
  const auto& list_b = outputs ? b.output() : b.input();
  const SpotFunction spot = ScopeSpot(scope, Section::kNodes);
  for (int i = 0; i < std::max(list_a.size(), list_b.size()); ++i) {
    const std::string entry = fmt::format("{} {}", what, i);
    if (i >= list_b.size()) {
      log_.Removed(spot, entry, QuotedText(list_a.Get(i)));
    } else if (i >= list_a.size()) {
      log_.Added(spot, entry, QuotedText(list_b.Get(i)));
    } else if (options_.ignore_names ? !SameValue(scope, list_a.Get(i), list_b.Get(i))
                                     : list_a.Get(i) != list_b.Get(i)) {
      log_.Changed(spot, entry, QuotedText(list_a.Get(i)), QuotedText(list_b.Get(i)));
    }
  }
}

bool GraphDiffer::SameValue(const Sides& scope, const std::string& before, const std::string& after) const {
  const ValueId a = before_.Resolve(scope.before, before);
  const ValueId b = after_.Resolve(scope.after, after);
  return a == kNone || b == kNone ? a == b && before == after : matching_.After(a) == b;
}

// --- nodes

absl::Status GraphDiffer::Nodes(const Sides& scope) {
  attributes_moved_ = 0;
  std::vector<int> positions;
  for (const NodeId id : before_.scope(scope.before).nodes) {
    const NodeId other = matching_.NodeAfter(id);
    if (other == kNone) {
      log_.Removed(NodeSpot(id, kNone), "", NodeText(*before_.node(id).proto));
      continue;
    }
    ++nodes_matched_;
    positions.push_back(after_.node(other).position);
    GOMAI_RETURN_IF_ERROR(Node(scope, id, other));
  }
  for (const NodeId id : after_.scope(scope.after).nodes) {
    if (matching_.NodeBefore(id) == kNone) {
      const SpotFunction spot = [this, scope, id] {
        Spot at = NodeSpot(kNone, id)();
        at.scope = prefix_ + before_.ScopeName(scope.before);  // with what else changed in this scope
        return at;
      };
      log_.Added(spot, "", NodeText(*after_.node(id).proto));
    }
  }
  const SpotFunction spot = ScopeSpot(scope, Section::kNodes);
  log_.Order(spot, "nodes", CountMoved(positions), positions.size());
  log_.Order(spot, "attributes of nodes", attributes_moved_, positions.size());
  return absl::OkStatus();
}

absl::Status GraphDiffer::Node(const Sides& scope, NodeId before, NodeId after) {
  const onnx::NodeProto& a = *before_.node(before).proto;
  const onnx::NodeProto& b = *after_.node(after).proto;
  const SpotFunction spot = NodeSpot(before, after);
  if (DomainText(a.domain()) != DomainText(b.domain())) {
    log_.Changed(spot, "domain", DomainText(a.domain()), DomainText(b.domain()));
  }
  if (a.op_type() != b.op_type()) {
    log_.Changed(spot, "op type", a.op_type(), b.op_type());
  }
  if (!options_.ignore_names && a.name() != b.name()) {
    log_.Changed(spot, "name", QuotedText(a.name()), QuotedText(b.name()));
  }
  Inputs(before, after, spot);
  Outputs(before, after, spot);
  GOMAI_RETURN_IF_ERROR(Attributes(before, after, spot));
  DiffFields(a, b, "", {"domain", "op_type", "name", "input", "output", "attribute"}, spot, log_);
  (void)scope;
  return absl::OkStatus();
}

void GraphDiffer::Inputs(NodeId before, NodeId after, const SpotFunction& spot) {
  const Index::Node& a = before_.node(before);
  const Index::Node& b = after_.node(after);
  for (int i = 0; i < std::max(a.proto->input_size(), b.proto->input_size()); ++i) {
    const auto at = static_cast<size_t>(i);
    if (i >= b.proto->input_size()) {
      log_.Removed(spot, fmt::format("input {}", i), NameText(a.proto->input(i)));
    } else if (i >= a.proto->input_size()) {
      log_.Added(spot, fmt::format("input {}", i), NameText(b.proto->input(i)));
    } else {
      const std::string& name_a = a.proto->input(i);
      const std::string& name_b = b.proto->input(i);
      const bool matched =
          a.inputs[at] != kNone && b.inputs[at] != kNone && matching_.After(a.inputs[at]) == b.inputs[at];
      const bool undefined = a.inputs[at] == kNone && b.inputs[at] == kNone && name_a == name_b;
      if (options_.ignore_names ? !matched && !undefined : !matched && name_a != name_b) {
        log_.Changed(spot, fmt::format("input {}", i), NameText(name_a), NameText(name_b));
      }
    }
  }
}

void GraphDiffer::Outputs(NodeId before, NodeId after, const SpotFunction& spot) {
  const onnx::NodeProto& a = *before_.node(before).proto;
  const onnx::NodeProto& b = *after_.node(after).proto;
  for (int i = 0; i < std::max(a.output_size(), b.output_size()); ++i) {
    if (i >= b.output_size()) {
      log_.Removed(spot, fmt::format("output {}", i), NameText(a.output(i)));
    } else if (i >= a.output_size()) {
      log_.Added(spot, fmt::format("output {}", i), NameText(b.output(i)));
    } else if (options_.ignore_names ? a.output(i).empty() != b.output(i).empty() : a.output(i) != b.output(i)) {
      log_.Changed(spot, fmt::format("output {}", i), NameText(a.output(i)), NameText(b.output(i)));
    }
  }
}

}  // namespace gomai
