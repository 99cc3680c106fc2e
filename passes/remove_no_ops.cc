// remove-no-ops: nodes that give what they are given go.
//
// Each scope is walked in topological order, from the outside in. What a node would give back is found by its operator
// (lib/pass/no_op.h), readers are rewired by lib/graph/bypass.h. Operators that only write a shape onto the same
// elements are followed back through one another: a chain that ends at a shape that it had before goes, and a Reshape
// that doesn't look at its input's shape reads what the chain began with.
#include <map>
#include <set>

#include "lib/graph/bypass.h"
#include "lib/model/domain.h"
#include "lib/pass/no_op.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

constexpr size_t kLongest = 32;  // chains are followed so far back, lest long ones take quadratic time

class Remover {
 public:
  Remover(PassContext& context, const Facts& facts)
      : context_(context),
        index_(context.index()),
        editor_(context.editor()),
        bypass_(context.model().proto(), editor_),
        no_ops_(context.model(), index_, facts) {}

  absl::Status Run() {
    GOMAI_RETURN_IF_ERROR(VisitNodes(index_, [&](NodeId id) {
      if (!index_.InFunction(index_.node(id).scope)) {
        Visit(id);
      }
      return absl::OkStatus();
    }));
    if (!viewed_.empty()) {
      context_.RunAgain();  // what a chain went around may have lost its last reader
    }
    for (const auto& [node, root] : moved_) {
      editor_.SetInput(node, 0, std::string(index_.value(root).name));
    }
    return absl::OkStatus();
  }

 private:
  void Visit(NodeId id) {
    const Index::Node& node = index_.node(id);
    if (!IsDefaultDomain(node.proto->domain()) || node.outputs.empty() || node.outputs[0] == kNone) {
      return;
    }
    if (const int input = no_ops_.GivesInput(id); input >= 0) {
      const ValueId from = node.inputs[static_cast<size_t>(input)];
      if (bypass_.Remove(id, {{bypass_.Origin(from), node.outputs[0]}})) {
        read_more_.insert(bypass_.Origin(from));
        return;
      }
    }
    if (!no_ops_.IsView(id) || node.inputs.empty() || node.inputs[0] == kNone) {
      return;
    }
    const ValueId input = bypass_.Origin(node.inputs[0]);
    std::vector<ValueId> chain = {input};  // values of the same elements, the last one first
    for (ValueId at = input; chain.size() < kLongest;) {
      const auto before = viewed_.find(at);
      if (before == viewed_.end()) {
        break;
      }
      chain.push_back(at = before->second);
    }
    for (auto value = chain.rbegin(); value != chain.rend(); ++value) {
      if (no_ops_.SameShape(*value, node.outputs[0]) && bypass_.Remove(id, {{*value, node.outputs[0]}})) {
        read_more_.insert(*value);
        Release(input, chain);
        return;
      }
    }
    viewed_[node.outputs[0]] = input;
    const ValueId root = chain.back();
    if (root != input && no_ops_.IgnoresShape(id) && index_.Resolve(node.scope, index_.value(root).name) == root) {
      moved_[id] = root;
      viewed_[node.outputs[0]] = root;
      Release(input, chain);
    }
  }

  // A reader of `value` is gone, or reads another: the last one takes the node with it, and so on along the chain.
  void Release(ValueId value, const std::vector<ValueId>& chain) {
    for (const ValueId at : chain) {
      if (at != value) {
        continue;
      }
      const auto before = viewed_.find(at);
      const Index::Value& result = index_.value(at);
      if (before == viewed_.end() || ++released_[at] != result.uses.size() || result.is_graph_output ||
          bypass_.IsHeld(at) || read_more_.contains(at)) {
        return;
      }
      moved_.erase(result.producer);
      editor_.EraseNode(result.producer);
      editor_.EraseValueInfo(result.scope, std::string(result.name));
      value = before->second;
    }
  }

  PassContext& context_;
  const Index& index_;
  Editor& editor_;
  Bypass bypass_;
  const NoOps no_ops_;
  std::map<ValueId, ValueId> viewed_;   // result of a view -> what it shows
  std::map<NodeId, ValueId> moved_;     // views that read the beginning of their chain
  std::map<ValueId, size_t> released_;  // readers that a value lost
  std::set<ValueId> read_more_;         // values that readers of others read now
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(const Facts facts, InferFacts(context.model(), context.index()));
  return Remover(context, facts).Run();
}

}  // namespace

const PassInfo& RemoveNoOpsPass() {
  static const PassInfo info = {
      .name = "remove-no-ops",
      .summary = "remove nodes that give what they are given",
      .description =
          "Removes nodes that provably give one of their inputs as it is, in the main graph and in bodies: a Cast to "
          "the type that the tensor has; Concat, Sum, Max and Min of one input; Split into one output; Dropout outside "
          "of training whose mask nobody reads; a Transpose that moves nothing; Reshape, Flatten, Squeeze, Unsqueeze, "
          "Expand, Tile, Slice and Pad whose result has the shape of the input, as inference proves it, or whose "
          "operands say so; integers plus or minus 0, times or by 1; floats times or by 1, minus 0.0 and plus -0.0. A "
          "float plus 0.0 stays: it turns -0.0 into 0.0.\n\n"
          "Of a chain of operators that only write another shape onto the same elements, what cancels out goes, and a "
          "Reshape whose shape is given in full reads the beginning of the chain.\n\n"
          "A node stays if its result is an output of its graph and nothing else can make that output, or an "
          "annotation or training information names it; Identity is fold-identity's job; local functions stay as they "
          "are. Of floats times or by 1, a signalling NaN stays one, which the arithmetic would have made quiet.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .examples = {"remove-no-ops", "fold-constants,fold-identity,remove-no-ops,prune"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
