// Addresses: printing them, and finding nodes by them.
//
// Names are free text: they may hold "::", look like "#3" or repeat. So a path is not split at its "::"; every way to
// read it is followed, scope by scope (a set of states, so that odd names cost no exponential time), and two different
// hits are an error. What Address prints is always found again: where a name would be ambiguous or taken for another,
// the position stands in its place.
#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/index.h"

namespace gomai {
namespace {

constexpr size_t kListed = 8;

std::string FunctionLabel(const onnx::FunctionProto& function, bool unique) {
  if (unique) {
    return fmt::format("{}()", function.name());
  }
  return function.overload().empty()
             ? fmt::format("{}/{}()", function.domain(), function.name())
             : fmt::format("{}/{}:{}()", function.domain(), function.name(), function.overload());
}

std::string AttributeLabel(const Index::Scope& scope) {
  return scope.attribute_index < 0 ? std::string(scope.attribute)
                                   : fmt::format("{}[{}]", scope.attribute, scope.attribute_index);
}

// The nodes of one scope that a step names: by name, else #INDEX, else op type.
std::vector<NodeId> MatchStep(const Index& index, ScopeId scope, std::string_view step) {
  const std::vector<NodeId>& nodes = index.scope(scope).nodes;
  std::vector<NodeId> hits;
  const auto collect = [&](auto&& matches) {
    std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(hits), matches);
  };
  if (step.empty()) {
    return hits;
  }
  collect([&](NodeId id) { return index.node(id).proto->name() == step; });
  if (hits.empty() && step.starts_with('#')) {
    const std::optional<int64_t> position = ParseInt64(step.substr(1));
    if (position && *position >= 0 && *position < static_cast<int64_t>(nodes.size()) && step[1] != '-') {
      hits.push_back(nodes[static_cast<size_t>(*position)]);
    }
  }
  if (hits.empty()) {
    collect([&](NodeId id) { return index.node(id).proto->op_type() == step; });
  }
  return hits;
}

// Follows every reading of a path from the given scopes: (scope, offset of the rest of the text).
class PathReader {
 public:
  PathReader(const Index& index, std::string_view text) : index_(index), text_(text) {}

  void Start(ScopeId scope, size_t offset) {
    if (seen_.insert({scope, offset}).second) {
      work_.emplace_back(scope, offset);
    }
  }

  std::set<NodeId> Read() {
    std::set<NodeId> hits;
    while (!work_.empty()) {
      const auto [scope, offset] = work_.back();
      work_.pop_back();
      if (offset > 0) {  // a bare step is not a path
        const std::vector<NodeId> last = MatchStep(index_, scope, text_.substr(offset));
        hits.insert(last.begin(), last.end());
      }
      for (size_t end = text_.find("::", offset); end != std::string_view::npos; end = text_.find("::", end + 1)) {
        for (const NodeId owner : MatchStep(index_, scope, text_.substr(offset, end - offset))) {
          for (const ScopeId body : index_.node(owner).bodies) {
            const std::string label = AttributeLabel(index_.scope(body)) + "::";
            if (text_.substr(end + 2).starts_with(label)) {
              Start(body, end + 2 + label.size());
            }
          }
        }
      }
    }
    return hits;
  }

 private:
  const Index& index_;
  std::string_view text_;
  std::vector<std::pair<ScopeId, size_t>> work_;
  std::set<std::pair<ScopeId, size_t>> seen_;
};

}  // namespace

std::string Index::Address(NodeId id) const {
  // Steps from the inside out; each is a node's name if that finds it, else its position.
  std::vector<std::string> parts;
  // A node may be named "#3"; zeros before a position change nothing but the text.
  const auto position_of = [this](NodeId node_id, size_t zeros) {
    std::string step;
    do {
      step = fmt::format("#{}{}", std::string(zeros++, '0'), node(node_id).position);
    } while (nodes_by_name_.contains(step));
    return step;
  };
  NodeId outermost = id;
  for (NodeId at = id; at != kNone;) {
    const Scope& around = scope(node(at).scope);
    const bool named = name_reach_[static_cast<size_t>(at)] == NameReach::kEverywhere ||
                       (name_reach_[static_cast<size_t>(at)] == NameReach::kInGraph &&
                        (around.owner != kNone || around.function != nullptr || at != id));
    parts.push_back(named ? node(at).proto->name() : position_of(at, 0));
    if (around.owner != kNone) {
      parts.push_back(AttributeLabel(around));
    } else if (around.function != nullptr) {
      parts.push_back(FunctionLabel(*around.function, function_names_.at(around.function->name()) == 1));
    }
    outermost = at;
    at = around.owner;
  }
  const auto join = [&] {
    std::string joined;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      joined += joined.empty() ? *part : "::" + *part;
    }
    return joined;
  };
  std::string text = join();
  // An exact node name wins over an address that looks like it.
  const auto taken = [&] {
    const auto entry = nodes_by_name_.find(text);
    return entry != nodes_by_name_.end() && (entry->second != id || next_of_name_[static_cast<size_t>(id)] != kNone);
  };
  std::string& first = scope(node(outermost).scope).function != nullptr ? parts[parts.size() - 2] : parts.back();
  for (size_t zeros = 0; taken(); ++zeros) {
    first = position_of(outermost, zeros);
    text = join();
  }
  return text;
}

std::string Index::Describe(NodeId id) const { return fmt::format("{} ({})", Address(id), node(id).proto->op_type()); }

std::string Index::ScopeName(ScopeId id) const {
  const Scope& named = scope(id);
  if (named.owner != kNone) {
    return fmt::format("{}::{}", Address(named.owner), AttributeLabel(named));
  }
  if (named.function != nullptr) {
    std::string label = FunctionLabel(*named.function, function_names_.at(named.function->name()) == 1);
    label.resize(label.size() - 2);  // without "()"
    return "function " + label;
  }
  return "main graph";
}

absl::StatusOr<NodeId> Index::FindNode(std::string_view address) const {
  std::vector<NodeId> hits;
  if (const auto entry = nodes_by_name_.find(address); entry != nodes_by_name_.end() && !address.empty()) {
    for (NodeId id = entry->second; id != kNone; id = next_of_name_[static_cast<size_t>(id)]) {
      hits.push_back(id);
    }
  }
  if (hits.empty() && address.find("::") != std::string_view::npos) {
    PathReader from_roots(*this, address);
    from_roots.Start(main_scope(), 0);
    for (ScopeId id = 0; id < static_cast<ScopeId>(scopes_.size()); ++id) {
      if (scope(id).function != nullptr) {
        for (const bool unique : {true, false}) {
          const std::string label = FunctionLabel(*scope(id).function, unique) + "::";
          if (address.starts_with(label)) {
            from_roots.Start(id, label.size());
          }
        }
      }
    }
    std::set<NodeId> found = from_roots.Read();
    if (found.empty()) {
      PathReader from_anywhere(*this, address);
      for (ScopeId id = 0; id < static_cast<ScopeId>(scopes_.size()); ++id) {
        from_anywhere.Start(id, 0);
      }
      found = from_anywhere.Read();
    }
    hits.assign(found.begin(), found.end());
  }
  if (hits.empty() && address.starts_with('#')) {
    hits = MatchStep(*this, main_scope(), address);
  }
  if (hits.empty() && !address.empty()) {
    for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
      if (node(id).proto->op_type() == address) {
        hits.push_back(id);
      }
    }
  }
  if (hits.size() == 1) {
    return hits.front();
  }
  if (hits.empty()) {
    std::vector<std::string> addresses;
    std::vector<std::string_view> candidates;
    candidates.reserve(nodes_.size());
    for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
      candidates.push_back(node(id).proto->name());
      candidates.push_back(node(id).proto->op_type());
      if (address.find("::") != std::string_view::npos && node(id).scope != main_scope()) {
        addresses.push_back(Address(id));
      }
    }
    candidates.insert(candidates.end(), addresses.begin(), addresses.end());
    return NotFound("no node '{}'{}", address, DidYouMean(address, candidates));
  }
  std::string list;
  for (size_t i = 0; i < std::min(hits.size(), kListed); ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ", ", Describe(hits[i]));
  }
  if (hits.size() > kListed) {
    list += fmt::format(" and {} more", hits.size() - kListed);
  }
  return InvalidArgument("'{}' means {} nodes: {}; give one of these addresses", address, hits.size(), list);
}

absl::StatusOr<ValueId> Index::RequireValue(std::string_view name) const {
  if (const ValueId id = FindValue(main_scope(), name); id != kNone) {
    return id;
  }
  std::vector<std::string_view> candidates;
  for (const Value& candidate : values_) {
    if (candidate.scope == main_scope()) {
      candidates.push_back(candidate.name);
    }
  }
  for (ValueId id = 0; id < static_cast<ValueId>(values_.size()); ++id) {
    if (value(id).name == name) {
      return NotFound("no tensor '{}' in the main graph; it is inside {}", name, ScopeName(value(id).scope));
    }
  }
  return NotFound("no tensor '{}'{}", name, DidYouMean(name, candidates));
}

}  // namespace gomai
