// Two fixed points, each by worklist. First, impurity: a random operator makes every enclosing node impure, and an
// impure function every node that calls it. Then constness flows from initializers and pure nodes without inputs along
// the uses; each node counts the reads that are not yet known to be constant, so a cycle never becomes constant.
#include "lib/graph/constants.h"

#include <algorithm>
#include <array>

#include "lib/model/domain.h"

namespace gomai {
namespace {

bool IsStandardDomain(std::string_view domain) { return IsDefaultDomain(domain) || domain.starts_with("ai.onnx."); }

// A custom operator without inputs may be a counter, a queue or a clock: nothing says that it gives the same value
// twice. One with constant inputs is taken for the function of them that ONNX says operators are.
bool MayKeepState(const Index& index, NodeId id) {
  const Index::Node& node = index.node(id);
  const bool reads = std::any_of(node.proto->input().begin(), node.proto->input().end(),
                                 [](const std::string& name) { return !name.empty(); });
  return !reads && node.captures.empty() && !IsStandardDomain(node.proto->domain()) &&
         index.CalledFunction(*node.proto) == kNone;
}

}  // namespace

std::vector<bool> FindImpureNodes(const Index& index) {
  std::vector<bool> impure(index.nodes().size());
  std::vector<std::vector<NodeId>> callers(index.scopes().size());
  std::vector<NodeId> work;
  const auto mark = [&](NodeId id) {
    if (!impure[static_cast<size_t>(id)]) {
      impure[static_cast<size_t>(id)] = true;
      work.push_back(id);
    }
  };
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const onnx::NodeProto& proto = *index.node(id).proto;
    if (const ScopeId function = index.CalledFunction(proto); function != kNone) {
      callers[static_cast<size_t>(function)].push_back(id);
    } else if (IsRandomOp(proto) || MayKeepState(index, id)) {
      mark(id);
    }
  }
  while (!work.empty()) {
    const ScopeId scope = index.node(work.back()).scope;
    work.pop_back();
    if (index.scope(scope).owner != kNone) {
      mark(index.scope(scope).owner);
    }
    for (const NodeId caller : callers[static_cast<size_t>(scope)]) {
      mark(caller);
    }
  }
  return impure;
}

ConstantSets FindConstants(const Index& index) {
  ConstantSets sets;
  sets.values.resize(index.values().size());
  sets.nodes.resize(index.nodes().size());
  const std::vector<bool> impure = FindImpureNodes(index);
  std::vector<size_t> waiting(index.nodes().size());
  std::vector<ValueId> work;
  const auto settle = [&](NodeId id) {
    sets.nodes[static_cast<size_t>(id)] = true;
    for (const ValueId output : index.node(id).outputs) {
      if (output != kNone && index.value(output).producer == id && !sets.values[static_cast<size_t>(output)]) {
        sets.values[static_cast<size_t>(output)] = true;
        work.push_back(output);
      }
    }
  };
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const Index::Node& node = index.node(id);
    size_t& count = waiting[static_cast<size_t>(id)];
    count = node.captures.size() + (impure[static_cast<size_t>(id)] ? 1 : 0);
    for (const std::string& input : node.proto->input()) {
      count += input.empty() ? 0 : 1;  // also what nothing defines: that never becomes constant
    }
    if (count == 0) {
      settle(id);
    }
  }
  for (ValueId id = 0; id < static_cast<ValueId>(index.values().size()); ++id) {
    if (index.value(id).origin == Index::Origin::kInitializer) {
      sets.values[static_cast<size_t>(id)] = true;
      work.push_back(id);
    }
  }
  while (!work.empty()) {
    const ValueId id = work.back();
    work.pop_back();
    for (const Index::Use& use : index.value(id).uses) {
      if (--waiting[static_cast<size_t>(use.node)] == 0) {
        settle(use.node);
      }
    }
  }
  return sets;
}

bool IsRandomOp(const onnx::NodeProto& node) {
  if (node.domain() == "com.microsoft") {
    static constexpr std::array<std::string_view, 4> kRuntimes = {"BiasDropout", "BitmaskBiasDropout", "BitmaskDropout",
                                                                  "Sampling"};
    return std::find(kRuntimes.begin(), kRuntimes.end(), node.op_type()) != kRuntimes.end();
  }
  if (!IsStandardDomain(node.domain())) {
    return false;
  }
  if (node.op_type() == "Dropout") {
    // In training since opset 12 by a third input, before opset 7 by is_test = 0; between, never.
    return (node.input_size() > 2 && !node.input(2).empty()) ||
           std::any_of(node.attribute().begin(), node.attribute().end(),
                       [](const onnx::AttributeProto& a) { return a.name() == "is_test" && a.i() == 0; });
  }
  static constexpr std::array<std::string_view, 6> kRandom = {"Bernoulli",        "Multinomial",   "RandomNormal",
                                                              "RandomNormalLike", "RandomUniform", "RandomUniformLike"};
  return std::find(kRandom.begin(), kRandom.end(), node.op_type()) != kRandom.end();
}

}  // namespace gomai
