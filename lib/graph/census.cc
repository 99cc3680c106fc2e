// Counting. Each census is one walk over nodes or tensors; orders are total, so that reports don't depend on hashing.
#include "lib/graph/census.h"

#include <onnx/defs/schema.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "lib/model/domain.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

std::string OpName(const onnx::NodeProto& node) {
  return IsDefaultDomain(node.domain()) ? node.op_type() : fmt::format("{}.{}", node.domain(), node.op_type());
}

std::vector<Count> MostFrequentFirst(const std::map<std::string, uint64_t>& counts) {
  std::vector<Count> list;
  for (const auto& [name, count] : counts) {
    list.push_back({name, count});
  }
  std::stable_sort(list.begin(), list.end(), [](const Count& a, const Count& b) { return a.count > b.count; });
  return list;
}

// By scope: the main graph or the function that it lies in.
std::vector<ScopeId> Roots(const Index& index) {
  std::vector<ScopeId> roots;
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    const ScopeId parent = index.scope(id).parent;
    roots.push_back(parent == kNone ? id : roots[static_cast<size_t>(parent)]);
  }
  return roots;
}

}  // namespace

std::vector<OpCensus> CountOperators(const Index& index) {
  const std::vector<ScopeId> roots = Roots(index);
  std::vector<OpCensus> censuses;
  std::vector<std::map<std::string, uint64_t>> ops;
  std::map<std::string, size_t> places;
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    const Index::Scope& scope = index.scope(id);
    const bool in_function = index.scope(roots[static_cast<size_t>(id)]).function != nullptr;
    const std::string kind = in_function            ? "functions"
                             : scope.owner == kNone ? "main graph"
                                                    : OpName(*index.node(scope.owner).proto) + " bodies";
    const auto [place, is_new] = places.try_emplace(kind, censuses.size());
    if (is_new) {
      censuses.push_back({.kind = kind, .scopes = 0, .nodes = 0, .ops = {}});
      ops.emplace_back();
    }
    OpCensus& census = censuses[place->second];
    census.scopes += scope.function != nullptr || !in_function ? 1 : 0;
    census.nodes += scope.nodes.size();
    for (const NodeId node : scope.nodes) {
      ++ops[place->second][OpName(*index.node(node).proto)];
    }
  }
  for (size_t i = 0; i < censuses.size(); ++i) {
    censuses[i].ops = MostFrequentFirst(ops[i]);
  }
  return censuses;
}

WeightCensus CountWeights(const Index& index, size_t largest_count) {
  WeightCensus census;
  std::map<std::string, uint64_t> files;
  std::vector<std::pair<ScopeId, Weight>> weights;
  const auto add = [&](ScopeId scope, const onnx::TensorProto& tensor) {
    Weight weight{.name = tensor.name(), .tensor = &tensor, .bytes = TensorByteSize(tensor), .file = ""};
    ++census.tensors;
    if (const absl::StatusOr<int64_t> elements = ElementCount(tensor); elements.ok()) {
      census.elements += static_cast<uint64_t>(*elements);
    }
    if (IsExternal(tensor)) {
      const absl::StatusOr<ExternalReference> reference = ReadExternalReference(tensor);
      weight.file = reference.ok() ? reference->location : "?";
      files[weight.file] += weight.bytes;
      census.external_bytes += weight.bytes;
    } else {
      census.inline_bytes += weight.bytes;
    }
    weights.emplace_back(scope, std::move(weight));
  };
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    if (const onnx::GraphProto* graph = index.scope(id).graph; graph != nullptr) {
      for (const onnx::TensorProto& tensor : graph->initializer()) {
        add(id, tensor);
      }
      for (const onnx::SparseTensorProto& tensor : graph->sparse_initializer()) {
        add(id, tensor.values());
      }
    }
  }
  for (const Index::Node& node : index.nodes()) {
    if (node.proto->op_type() == "Constant" && IsDefaultDomain(node.proto->domain())) {
      ++census.constants;
      for (const onnx::AttributeProto& attribute : node.proto->attribute()) {
        census.constant_bytes += attribute.has_t() ? TensorByteSize(attribute.t()) : 0;
      }
    }
  }
  for (const auto& [name, bytes] : files) {
    census.files.push_back({name, bytes});
  }
  const size_t shown = std::min(largest_count, weights.size());
  std::stable_sort(weights.begin(), weights.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  for (size_t i = 0; i < shown; ++i) {
    auto& [scope, weight] = weights[i];
    if (scope != index.main_scope()) {
      weight.name = fmt::format("{} {}", index.ScopeName(scope), weight.name);
    }
    census.largest.push_back(std::move(weight));
  }
  return census;
}

NameScopes FindNameScopes(const Index& index) {
  struct Entry {
    std::string_view path;
    int parent = -1;
    int depth = 0;
    uint64_t nodes = 0;
    uint64_t yields = 0;
    std::map<std::string, uint64_t> ops;
    std::vector<int> children;
  };
  NameScopes result;
  std::vector<Entry> entries;
  std::vector<int> roots;
  std::unordered_map<std::string_view, int> places;
  const std::vector<NodeId>& nodes = index.scope(index.main_scope()).nodes;
  std::vector<int> innermost(nodes.size(), -1);  // by position
  for (size_t position = 0; position < nodes.size(); ++position) {
    const onnx::NodeProto& node = *index.node(nodes[position]).proto;
    const std::string_view name = node.name();
    int parent = -1;
    for (size_t slash = name.find('/', 1); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
      const std::string_view path = name.substr(0, slash);
      const auto [place, is_new] = places.try_emplace(path, static_cast<int>(entries.size()));
      if (is_new) {
        entries.push_back({.path = path,
                           .parent = parent,
                           .depth = parent < 0 ? 0 : entries[static_cast<size_t>(parent)].depth + 1,
                           .nodes = 0,
                           .yields = 0,
                           .ops = {},
                           .children = {}});
        (parent < 0 ? roots : entries[static_cast<size_t>(parent)].children).push_back(place->second);
      }
      parent = place->second;
      ++entries[static_cast<size_t>(parent)].nodes;
      ++entries[static_cast<size_t>(parent)].ops[OpName(node)];
    }
    innermost[position] = parent;
    result.unscoped_nodes += parent < 0 ? 1 : 0;
  }
  // A value leaves every scope of its producer that doesn't hold all its readers.
  for (size_t position = 0; position < nodes.size(); ++position) {
    for (const ValueId id : index.node(nodes[position]).outputs) {
      if (id == kNone || index.IsConstant(id) || innermost[position] < 0 ||
          index.value(id).producer != nodes[position]) {
        continue;
      }
      const Index::Value& value = index.value(id);
      int shared = value.is_graph_output ? -1 : innermost[position];
      for (const Index::Use& use : value.uses) {
        if (index.node(use.node).scope != index.main_scope()) {
          continue;  // the enclosing node stands for it
        }
        int other = innermost[static_cast<size_t>(index.node(use.node).position)];
        while (shared != other) {
          const int shared_depth = shared < 0 ? -1 : entries[static_cast<size_t>(shared)].depth;
          const int other_depth = other < 0 ? -1 : entries[static_cast<size_t>(other)].depth;
          int& deeper = shared_depth >= other_depth ? shared : other;
          deeper = entries[static_cast<size_t>(deeper)].parent;
        }
      }
      for (int at = innermost[position]; at != shared; at = entries[static_cast<size_t>(at)].parent) {
        ++entries[static_cast<size_t>(at)].yields;
      }
    }
  }
  struct Pending {
    int entry;
    int depth;
  };
  std::vector<Pending> stack;
  for (auto root = roots.rbegin(); root != roots.rend(); ++root) {
    stack.push_back({*root, 0});
  }
  while (!stack.empty()) {
    const Pending at = stack.back();
    stack.pop_back();
    const Entry& entry = entries[static_cast<size_t>(at.entry)];
    const bool repeats = entry.parent >= 0 && entries[static_cast<size_t>(entry.parent)].nodes == entry.nodes;
    if (!repeats) {
      result.scopes.push_back({.path = std::string(entry.path),
                               .depth = at.depth,
                               .nodes = entry.nodes,
                               .yields = entry.yields,
                               .ops = MostFrequentFirst(entry.ops)});
    }
    for (auto child = entry.children.rbegin(); child != entry.children.rend(); ++child) {
      stack.push_back({*child, at.depth + (repeats ? 0 : 1)});
    }
  }
  return result;
}

void PrepareSchemas() { (void)onnx::OpSchemaRegistry::Schema("Identity", 1, ""); }

std::vector<UnknownOperators> FindUnknownOperators(const onnx::ModelProto& model, const Index& index) {
  std::vector<UnknownOperators> unknown;
  const std::vector<ScopeId> roots = Roots(index);
  const auto& known = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  std::map<ScopeId, std::map<std::string, int>> versions;  // by main graph or function
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    const Index::Scope& scope = index.scope(id);
    if (scope.parent != kNone) {
      continue;
    }
    for (const onnx::OperatorSetIdProto& import :
         scope.function != nullptr ? scope.function->opset_import() : model.opset_import()) {
      const std::string domain = IsDefaultDomain(import.domain()) ? "" : import.domain();
      const int64_t version = std::clamp<int64_t>(import.version(), 0, 1 << 30);
      versions[id][domain] = static_cast<int>(version);
      const auto range = known.find(domain);
      if (range != known.end() && (import.version() < range->second.first || import.version() > range->second.second)) {
        unknown.push_back({scope.function == nullptr ? "opset imports" : index.ScopeName(id),
                           fmt::format("opset {} of {} is not known; {} to {} are", import.version(),
                                       DomainText(domain), range->second.first, range->second.second)});
      }
    }
  }
  struct Found {
    NodeId first;
    uint64_t count;
  };
  std::map<std::string, Found> found;
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const onnx::NodeProto& node = *index.node(id).proto;
    const std::string domain = IsDefaultDomain(node.domain()) ? "" : node.domain();
    const auto& imports = versions[roots[static_cast<size_t>(index.node(id).scope)]];
    const auto import = imports.find(domain);
    if (index.CalledFunction(node) != kNone ||
        (import != imports.end() &&
         onnx::OpSchemaRegistry::Schema(node.op_type(), import->second, domain) != nullptr) ||
        (import == imports.end() && domain.empty() && model.ir_version() < 3)) {
      continue;
    }
    ++found.try_emplace(OpName(node), Found{id, 0}).first->second.count;
  }
  for (const auto& [name, entry] : found) {
    unknown.push_back(
        {index.Describe(entry.first), fmt::format("ONNX's schemas don't know {}{}", name,
                                                  entry.count == 1 ? "" : fmt::format(" ({} nodes)", entry.count))});
  }
  return unknown;
}

}  // namespace gomai
