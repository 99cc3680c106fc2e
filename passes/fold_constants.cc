// fold-constants: what can be computed now, computed; and Ifs whose condition is known, replaced by the branch taken.
//
// In rounds: what one round computes (a size that comes from a float, say) tells the next one shapes that it needs. A
// round infers all shapes, plans which nodes go (lib/pass/fold_plan.h), computes what remains of them in one session of
// the reference runtime (lib/pass/fold_evaluate.h) and puts constants in their place, under the same names.
#include <algorithm>
#include <memory>
#include <optional>

#include "lib/base/text.h"
#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/pass/fold_evaluate.h"
#include "lib/pass/fold_plan.h"
#include "lib/pass/inline_body.h"
#include "lib/pass/new_constants.h"
#include "lib/pass/pass.h"
#include "lib/pass/tensor_spool.h"
#include "lib/runtime/onnxruntime.h"

namespace gomai {
namespace {

class Folder {
 public:
  Folder(PassContext& context, const Facts& facts, int64_t limit, int64_t fill_limit)
      : context_(context),
        index_(context.index()),
        facts_(facts),
        limit_(limit),
        planner_(context.model(), context.index(), facts, limit),
        fills_(planner_.Fills(fill_limit)) {}

  absl::Status Run() {
    if (context_.options().Bool("inline-if")) {
      InlineIfs();
    }
    GOMAI_ASSIGN_OR_RETURN(const FoldPlan plan, PlanWithinLimit());
    GOMAI_RETURN_IF_ERROR(Apply(plan));
    context_.tally() += Growth(plan);
    if (!plan.frontier.empty() || !exceptions_.untouched.empty()) {
      context_.RunAgain();
      return absl::OkStatus();
    }
    // The last round tells what stays: an earlier one may have been about to make it possible.
    for (const auto& [node, why] : plan.refused) {
      Warn(node, why);
    }
    for (const auto& [node, why] : warnings_) {
      Warn(node, why);
    }
    return absl::OkStatus();
  }

 private:
  void Warn(NodeId node, std::string_view why) const { context_.diagnostics().Warn(index_.Describe(node), "{}", why); }

  // The condition of an If, if it is a constant.
  std::optional<bool> Condition(ValueId value) const {
    const onnx::TensorProto* tensor = value == kNone ? nullptr : planner_.Stored(value);
    if (tensor == nullptr && value != kNone && facts_.computed[static_cast<size_t>(value)]) {
      tensor = &*facts_.computed[static_cast<size_t>(value)];
    }
    if (tensor == nullptr || tensor->data_type() != onnx::TensorProto::BOOL) {
      return std::nullopt;
    }
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, context_.model());
    return bytes.ok() && bytes->bytes().size() == 1 ? std::optional(bytes->bytes()[0] != 0) : std::nullopt;
  }

  // The outermost Ifs of which the branch is known. What is inside waits for the next round.
  void InlineIfs() {
    BodyInliner inliner(context_.editor());
    std::vector<bool> inside(index_.nodes().size());
    for (NodeId id = 0; id < static_cast<NodeId>(index_.nodes().size()); ++id) {
      const Index::Node& node = index_.node(id);
      const auto at = static_cast<size_t>(id);
      const NodeId owner = index_.scope(node.scope).owner;
      inside[at] = owner != kNone && inside[static_cast<size_t>(owner)];
      if (inside[at] || node.proto->op_type() != "If" || !IsDefaultDomain(node.proto->domain()) ||
          node.inputs.size() != 1 || index_.InFunction(node.scope)) {
        continue;
      }
      const std::optional<bool> condition = Condition(node.inputs[0]);
      const std::string_view branch = condition.value_or(false) ? "then_branch" : "else_branch";
      const auto body = std::find_if(node.bodies.begin(), node.bodies.end(),
                                     [&](ScopeId scope) { return index_.scope(scope).attribute == branch; });
      if (!condition || body == node.bodies.end() || index_.scope(*body).graph->sparse_initializer_size() != 0) {
        continue;
      }
      inside[at] = true;
      exceptions_.kept.insert(id);
      exceptions_.inlined.insert(id);
      exceptions_.untouched.insert(node.bodies.begin(), node.bodies.end());
      inliner.Inline(id, *body);
    }
  }

  // Of a fill that others read all nodes that make it stay. Are there any that were to go?
  bool KeepFills(const FoldPlan& plan) {
    bool found = false;
    std::vector<ValueId> work = plan.frontier;
    while (!work.empty()) {
      const ValueId value = work.back();
      work.pop_back();
      const NodeId producer = value == kNone ? kNone : index_.value(value).producer;
      if (producer == kNone || !fills_[static_cast<size_t>(value)] || !exceptions_.kept.insert(producer).second) {
        continue;
      }
      found = true;
      const Index::Node& node = index_.node(producer);
      work.insert(work.end(), node.inputs.begin(), node.inputs.end());
    }
    return found;
  }

  // Plans, computes, and plans anew without what turns out to be too large or can't be computed.
  absl::StatusOr<FoldPlan> PlanWithinLimit() {
    while (true) {
      FoldPlan plan = planner_.Plan(exceptions_);
      if (KeepFills(plan) || KeepUnwanted(plan)) {
        continue;
      }
      std::vector<ValueId> wanted;
      for (const ValueId value : plan.frontier) {
        if (!plan.source[static_cast<size_t>(value)] && !values_.contains(value)) {
          wanted.push_back(value);
        }
      }
      if (wanted.empty()) {
        return plan;
      }
      if (backend_ == nullptr) {
        GOMAI_ASSIGN_OR_RETURN(backend_, LoadOnnxRuntime(QuietRuntime()));
      }
      Evaluation evaluation = Evaluate(wanted, plan, planner_, facts_, context_.model(), index_, *backend_);
      for (const auto& [node, why] : evaluation.failures) {
        warnings_.emplace_back(node, fmt::format("it can't be computed ahead and stays: {}", why));
        exceptions_.unfit.insert(node);
      }
      values_.merge(evaluation.values);
      if (evaluation.failures.empty()) {
        GOMAI_RETURN_IF_ERROR(CheckSizes());
      }
    }
  }

  // Sizes that inference computed must be what the runtime computes.
  absl::Status CheckSizes() const {
    for (const auto& [value, tensor] : values_) {
      const auto& computed = facts_.computed[static_cast<size_t>(value)];
      if (computed) {
        GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(*computed, context_.model()));
        if (!std::equal(bytes.bytes().begin(), bytes.bytes().end(), tensor.bytes().begin(), tensor.bytes().end())) {
          return Internal("'{}' is computed as another value than ONNX Runtime gives; please report this",
                          index_.value(value).name);
        }
      }
    }
    return absl::OkStatus();
  }

  // Nodes that are better left: an Identity, which is fold-identity's job; a result that is no tensor; of what makes
  // the model grow beyond the limit the largest. Are there any that were to go?
  bool KeepUnwanted(const FoldPlan& plan) {
    NodeId largest = kNone;
    ValueId value_of_largest = kNone;
    int64_t most = 0;
    bool found = false;
    for (const ValueId value : plan.frontier) {
      const NodeId producer = index_.value(value).producer;
      const onnx::TypeProto& type = facts_.types[static_cast<size_t>(value)];
      if (planner_.IsIdentity(producer) || !CanBeConstant(value) ||
          (type.value_case() != onnx::TypeProto::VALUE_NOT_SET && !type.has_tensor_type())) {
        found = exceptions_.kept.insert(producer).second || found;
        continue;
      }
      const int64_t bytes = BytesOf(value);
      if (bytes > most) {
        largest = producer;
        value_of_largest = value;
        most = bytes;
      }
    }
    const int64_t growth = context_.tally() + Growth(plan);
    if (found || growth <= limit_ || largest == kNone) {
      return found;
    }
    exceptions_.kept.insert(largest);
    warnings_.emplace_back(
        largest, fmt::format("its result '{}' would take {}, and constants would make the model grow by {} in all, "
                             "more than the limit of {}; it stays. Allow more with the option limit",
                             index_.value(value_of_largest).name, FormatBytes(static_cast<uint64_t>(most)),
                             FormatBytes(static_cast<uint64_t>(growth)), FormatBytes(static_cast<uint64_t>(limit_))));
    return true;
  }

  // In bytes, by what is known of sizes now.
  int64_t Growth(const FoldPlan& plan) const {
    int64_t growth = plan.growth;
    for (const ValueId value : plan.frontier) {
      growth += BytesOf(value) - planner_.Bytes(value);
    }
    return growth;
  }

  int64_t BytesOf(ValueId value) const {
    const auto computed = values_.find(value);
    return computed == values_.end() ? planner_.Bytes(value) : static_cast<int64_t>(computed->second.bytes().size());
  }

  absl::Status SetTensor(ValueId value, TensorSpool* spool, onnx::TensorProto* tensor) {
    if (const auto computed = values_.find(value); computed == values_.end()) {
      *tensor = *facts_.computed[static_cast<size_t>(value)];
      GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(*tensor, context_.model()));
      SetRawData(*tensor, std::string(bytes.bytes().begin(), bytes.bytes().end()));
    } else if (const std::span<const uint8_t> bytes = computed->second.bytes(); TensorSpool::Takes(bytes.size())) {
      *tensor = TensorWithout(computed->second);
      GOMAI_RETURN_IF_ERROR(spool->Begin(tensor, bytes.size()));
      GOMAI_RETURN_IF_ERROR(spool->Append({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    } else {
      *tensor = ToTensorProto(computed->second);
    }
    tensor->set_name(std::string(index_.value(value).name));
    return absl::OkStatus();
  }

  absl::Status Apply(const FoldPlan& plan) {
    Editor& editor = context_.editor();
    TensorSpool spool("computed constants");
    std::vector<onnx::TensorProto> tensors(plan.frontier.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      GOMAI_RETURN_IF_ERROR(SetTensor(plan.frontier[i], &spool, &tensors[i]));
    }
    GOMAI_RETURN_IF_ERROR(spool.Finish(context_));
    for (NodeId id = 0; id < static_cast<NodeId>(index_.nodes().size()); ++id) {
      const NodeId owner = index_.scope(index_.node(id).scope).owner;
      if (plan.erased[static_cast<size_t>(id)] && (owner == kNone || !plan.erased[static_cast<size_t>(owner)])) {
        Erase(id);
      }
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      Add(plan.frontier[i], std::move(tensors[i]));
    }
    for (const NodeId id : plan.dropped) {
      Erase(id);
    }
    for (const ValueId value : plan.unused) {
      editor.EraseInitializer(value);
    }
    return absl::OkStatus();
  }

  void Erase(NodeId id) {
    context_.editor().EraseNode(id);
    for (const ValueId output : index_.node(id).outputs) {
      if (output != kNone) {
        context_.editor().EraseValueInfo(index_.node(id).scope, std::string(index_.value(output).name));
      }
    }
  }

  bool NeedsNode(const Index::Value& value) const {
    const int64_t ir_version = context_.model().proto().ir_version();
    return value.is_graph_output || (ir_version != 0 && ir_version < 4);
  }

  // Before opset 9 Constants were floats only.
  bool CanBeConstant(ValueId id) const {
    const auto& imports = context_.model().proto().opset_import();
    const bool old = std::any_of(imports.begin(), imports.end(), [](const onnx::OperatorSetIdProto& import) {
      return IsDefaultDomain(import.domain()) && import.version() < 9;
    });
    const int dtype = facts_.types[static_cast<size_t>(id)].tensor_type().elem_type();
    return !old || !NeedsNode(index_.value(id)) || dtype == onnx::TensorProto::FLOAT ||
           dtype == onnx::TensorProto::DOUBLE || dtype == onnx::TensorProto::FLOAT16;
  }

  // An initializer; but outputs are made by nodes, and up to IR version 3 every initializer is an input as well.
  void Add(ValueId id, onnx::TensorProto tensor) {
    const Index::Value& value = index_.value(id);
    if (!NeedsNode(value)) {
      context_.editor().AddInitializer(value.scope, std::move(tensor));
      return;
    }
    const std::string& name = index_.node(value.producer).proto->name();
    context_.editor().InsertNode(value.scope, ConstantNode(name, std::string(value.name), std::move(tensor)),
                                 value.producer);
  }

  PassContext& context_;
  const Index& index_;
  const Facts& facts_;
  const int64_t limit_;
  const FoldPlanner planner_;
  const std::vector<bool> fills_;
  FoldExceptions exceptions_;
  std::vector<std::pair<NodeId, std::string>> warnings_;
  std::map<ValueId, HostTensor> values_;
  std::unique_ptr<Backend> backend_;
};

absl::Status Run(PassContext& context) {
  int64_t limits[2] = {};
  for (const auto& [name, limit] : {std::pair("limit", &limits[0]), {"fill-limit", &limits[1]}}) {
    const std::optional<uint64_t> size = ParseSize(context.options().String(name));
    if (!size) {
      return InvalidArgument("the option '{}' must be a size such as 32M, not '{}'", name,
                             context.options().String(name));
    }
    *limit = static_cast<int64_t>(std::min<uint64_t>(*size, INT64_MAX));
  }
  GOMAI_ASSIGN_OR_RETURN(const Facts facts, InferFacts(context.model(), context.index()));
  return Folder(context, facts, limits[0], limits[1]).Run();
}

}  // namespace

const PassInfo& FoldConstantsPass() {
  static const PassInfo info = {
      .name = "fold-constants",
      .summary = "compute what depends on constants and fixed sizes alone",
      .description =
          "Replaces every node whose result is the same in each run by that result, under the same name, in the main "
          "graph and in bodies: what is computed from initializers and Constants, and from sizes that are fixed (Shape "
          "of a tensor of which all dims, or those that are asked for, are known). An If whose condition is known is "
          "replaced by the branch taken. It works in rounds, until nothing is left to do.\n\n"
          "Values are computed by ONNX Runtime, in one session a round that holds only these nodes; sizes follow by "
          "exact integer arithmetic. Constants that nothing reads any more go, and so do nodes that could be computed "
          "and "
          "that nothing reads; other unused nodes are prune's.\n\n"
          "What stays: nodes that draw random numbers; Loop and Scan, since nothing says how long they take; divisions "
          "of integers by zero, which would end this process; QuantizeLinear and DequantizeLinear; Identity "
          "(fold-identity's "
          "job); operators of other domains and calls of local functions, and all in functions; initializers that are "
          "graph inputs too, since callers may replace them; nodes whose result isn't a tensor; a node that ONNX "
          "Runtime can't run, with a warning. A result that would make the model grow by more than 'limit' in all "
          "stays a node too, the largest first, with a warning. And so does one of 'fill-limit' or more that only "
          "repeats what is small (ConstantOfShape, Expand, Tile, and what puts such results together or reshapes "
          "them): it takes a moment to compute, and in the file all its bytes.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphs,
      .options =
          {
              {.name = "limit", .default_value = "32M", .help = "how much larger the model may become"},
              {.name = "fill-limit",
               .default_value = "64K",
               .help = "results of this size that only repeat a small tensor stay nodes"},
              {.name = "inline-if",
               .type = OptionType::kBool,
               .default_value = "true",
               .help = "replace an If by the branch that is always taken"},
          },
      .examples = {"fold-constants", "fold-constants{limit=100M}", "freeze-shapes{image=3x480x640},fold-constants"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
