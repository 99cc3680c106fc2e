// What stands against inlining functions, found before anything is copied.
//
// A function has its own imports: the operator that its node means is that of its own version, so the version around
// the call must be the same, or one between which the operator didn't change.
#include <onnx/defs/schema.h>

#include <algorithm>
#include <deque>
#include <limits>

#include "lib/graph/order.h"
#include "lib/model/domain.h"
#include "lib/pass/inline_functions.h"

namespace gomai {
namespace {

constexpr int64_t kMostNodes = 10'000'000;

class Checker {
 public:
  Checker(const onnx::ModelProto& model, const Index& index, const std::set<ScopeId>& wanted)
      : model_(model), index_(index), wanted_(wanted), calls_(index.scopes().size()), own_(index.scopes().size()) {
    for (const Index::Node& node : index.nodes()) {
      const size_t outermost = static_cast<size_t>(index.Outermost(node.scope));
      ++own_[outermost];
      if (const ScopeId callee = index.CalledFunction(*node.proto); callee != kNone && wanted.contains(callee)) {
        calls_[outermost].push_back(callee);
      }
    }
  }

  absl::Status Check() {
    GOMAI_RETURN_IF_ERROR(CheckRecursion());
    GOMAI_RETURN_IF_ERROR(CheckTraining());
    std::vector<ScopeId> order = CalleesFirst();
    GOMAI_RETURN_IF_ERROR(CheckSize(order));
    for (const ScopeId host : order) {
      if (!wanted_.contains(host)) {
        GOMAI_RETURN_IF_ERROR(CheckOpsets(host));
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckRecursion() const {
    for (const std::vector<int32_t>& cycle : FindCycles(calls_)) {
      std::vector<std::string> names;
      for (const ScopeId scope : cycle) {
        names.push_back(index_.ScopeName(scope));
      }
      return FailedPrecondition("{} call{} {}, and can't be inlined", fmt::join(names, " and "),
                                names.size() == 1 ? "s" : "", names.size() == 1 ? "itself" : "each other");
    }
    return absl::OkStatus();
  }

  absl::Status CheckTraining() const {
    for (const onnx::TrainingInfoProto& training : model_.training_info()) {
      std::deque<const onnx::GraphProto*> graphs = {&training.initialization(), &training.algorithm()};
      while (!graphs.empty()) {
        const onnx::GraphProto& graph = *graphs.front();
        graphs.pop_front();
        for (const onnx::NodeProto& node : graph.node()) {
          if (const ScopeId callee = index_.CalledFunction(node); callee != kNone && wanted_.contains(callee)) {
            return FailedPrecondition("the model's training information calls {}, which can't be inlined there",
                                      index_.ScopeName(callee));
          }
          for (const onnx::AttributeProto& attribute : node.attribute()) {
            if (attribute.has_g()) {
              graphs.push_back(&attribute.g());
            }
            for (const onnx::GraphProto& body : attribute.graphs()) {
              graphs.push_back(&body);
            }
          }
        }
      }
    }
    return absl::OkStatus();
  }

  // The main graph and all functions, each after those that it calls. There are no cycles.
  std::vector<ScopeId> CalleesFirst() const {
    std::vector<ScopeId> order;
    std::vector<bool> seen(calls_.size());
    for (ScopeId root = 0; root < static_cast<ScopeId>(calls_.size()); ++root) {
      if (index_.scope(root).parent != kNone || seen[static_cast<size_t>(root)]) {
        continue;
      }
      seen[static_cast<size_t>(root)] = true;
      std::vector<std::pair<ScopeId, size_t>> stack = {{root, 0}};
      while (!stack.empty()) {
        auto& [scope, next] = stack.back();
        const std::vector<ScopeId>& callees = calls_[static_cast<size_t>(scope)];
        if (next == callees.size()) {
          order.push_back(scope);
          stack.pop_back();
          continue;
        }
        const ScopeId callee = callees[next++];
        if (!seen[static_cast<size_t>(callee)]) {
          seen[static_cast<size_t>(callee)] = true;
          stack.emplace_back(callee, 0);
        }
      }
    }
    return order;
  }

  absl::Status CheckSize(const std::vector<ScopeId>& order) const {
    std::vector<int64_t> nodes(own_.begin(), own_.end());
    for (const ScopeId scope : order) {
      int64_t& count = nodes[static_cast<size_t>(scope)];
      for (const ScopeId callee : calls_[static_cast<size_t>(scope)]) {
        count = std::min(count + nodes[static_cast<size_t>(callee)], std::numeric_limits<int64_t>::max() / 4);
      }
      if (count > kMostNodes && !wanted_.contains(scope)) {
        return FailedPrecondition("{} would have {} nodes with all calls inlined, more than {}",
                                  index_.ScopeName(scope), count, kMostNodes);
      }
    }
    return absl::OkStatus();
  }

  // Every wanted function that `host` comes to hold, against what `host` imports.
  absl::Status CheckOpsets(ScopeId host) const {
    std::map<std::string, std::pair<int64_t, ScopeId>> imports;
    const Index::Scope& scope = index_.scope(host);
    for (const onnx::OperatorSetIdProto& import :
         scope.function != nullptr ? scope.function->opset_import() : model_.opset_import()) {
      imports.emplace(std::string(NormalDomain(import.domain())), std::pair(import.version(), host));
    }
    std::set<ScopeId> seen;
    std::vector<ScopeId> pending = calls_[static_cast<size_t>(host)];
    while (!pending.empty()) {
      const ScopeId function = pending.back();
      pending.pop_back();
      if (!seen.insert(function).second) {
        continue;
      }
      const std::vector<ScopeId>& callees = calls_[static_cast<size_t>(function)];
      pending.insert(pending.end(), callees.begin(), callees.end());
    }
    for (const ScopeId function : seen) {
      GOMAI_ASSIGN_OR_RETURN(const auto needed, NeededOpsets(index_, function, wanted_));
      for (const auto& [domain, version] : needed) {
        const auto [entry, added] = imports.try_emplace(domain, version, function);
        if (!added && entry->second.first != version) {
          GOMAI_RETURN_IF_ERROR(CheckVersions(function, domain, version, entry->second.first, entry->second.second));
        }
      }
    }
    return absl::OkStatus();
  }

  // Does every node of `function` mean the same operator at both versions?
  absl::Status CheckVersions(ScopeId function, const std::string& domain, int64_t own, int64_t other,
                             ScopeId other_scope) const {
    for (NodeId id = 0; id < static_cast<NodeId>(index_.nodes().size()); ++id) {
      const Index::Node& node = index_.node(id);
      if (index_.Outermost(node.scope) != function || NormalDomain(node.proto->domain()) != domain ||
          index_.CalledFunction(*node.proto) != kNone) {
        continue;
      }
      const auto find = [&](int64_t version) {
        return onnx::OpSchemaRegistry::Schema(node.proto->op_type(),
                                              static_cast<int>(std::clamp<int64_t>(version, 0, 1 << 20)), domain);
      };
      const onnx::OpSchema* mine = find(own);
      const onnx::OpSchema* theirs = find(other);
      if (mine == nullptr || theirs == nullptr || mine->SinceVersion() != theirs->SinceVersion()) {
        return FailedPrecondition(
            "{} imports opset {} of {}, {} imports opset {}, and {} isn't known to be the same operator in both",
            index_.ScopeName(function), own, DomainText(domain),
            other_scope == index_.main_scope() ? "the model" : index_.ScopeName(other_scope), other,
            index_.Describe(id));
      }
    }
    return absl::OkStatus();
  }

  const onnx::ModelProto& model_;
  const Index& index_;
  const std::set<ScopeId>& wanted_;
  std::vector<std::vector<int32_t>> calls_;  // of wanted functions, by the main graph or function that holds them
  std::vector<int64_t> own_;                 // nodes
};

}  // namespace

absl::StatusOr<std::map<std::string, int64_t>> NeededOpsets(const Index& index, ScopeId function,
                                                            const std::set<ScopeId>& wanted) {
  std::map<std::string, int64_t> imports;
  for (const onnx::OperatorSetIdProto& import : index.scope(function).function->opset_import()) {
    imports.emplace(std::string(NormalDomain(import.domain())), import.version());
  }
  std::map<std::string, int64_t> needed;
  std::vector<ScopeId> pending = {function};
  while (!pending.empty()) {
    const ScopeId scope = pending.back();
    pending.pop_back();
    for (const NodeId id : index.scope(scope).nodes) {
      const Index::Node& node = index.node(id);
      pending.insert(pending.end(), node.bodies.begin(), node.bodies.end());
      const ScopeId callee = index.CalledFunction(*node.proto);
      if (callee != kNone && wanted.contains(callee)) {
        continue;
      }
      const std::string domain(NormalDomain(node.proto->domain()));
      const auto import = imports.find(domain);
      if (import == imports.end()) {
        return FailedPrecondition("{} is of domain {}, of which {} imports no opset", index.Describe(id),
                                  DomainText(domain), index.ScopeName(function));
      }
      needed.insert(*import);
    }
  }
  return needed;
}

absl::Status CheckInlinable(const onnx::ModelProto& model, const Index& index, const std::set<ScopeId>& wanted) {
  return Checker(model, index, wanted).Check();
}

}  // namespace gomai
