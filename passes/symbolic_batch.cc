// symbolic-batch: a fixed batch opened again.
//
// The axis and the constants that carry its size are found as fix-batch finds them. A constant can't follow a batch
// that isn't known, so each must have a form that does: -1 or 0 in the target of a Reshape, 1 in that of an Expand, the
// largest integer as the end of a Slice. Whether they do is proved with a batch that occurs nowhere else in the model:
// with the new constants every shape must be what it is with constants made for that batch.
#include <algorithm>
#include <limits>

#include "lib/pass/batch.h"
#include "lib/pass/declared_shapes.h"
#include "lib/pass/freeze.h"
#include "lib/pass/new_constants.h"
#include "lib/pass/open_shapes.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

// New values of one operand.
struct Operand {
  NodeId node = kNone;
  int input = 0;
  std::vector<int64_t> values;
};

class Opener {
 public:
  Opener(PassContext& context, BatchAxis axis, BatchPlan plan)
      : context_(context), index_(context.index()), axis_(std::move(axis)), plan_(std::move(plan)) {}

  absl::Status Run() {
    const std::string& symbol = context_.options().String("symbol");
    GOMAI_RETURN_IF_ERROR(FindOperands());
    GOMAI_RETURN_IF_ERROR(Prove());
    GOMAI_ASSIGN_OR_RETURN(const Facts before, InferFacts(context_.model(), index_));
    Model opened = context_.model().Copy();
    GOMAI_RETURN_IF_ERROR(SetOperands(opened));
    std::vector<ShapeChange> changes;
    for (onnx::ValueInfoProto& input : *opened.mutable_proto().mutable_graph()->mutable_input()) {
      if (std::find(axis_.inputs.begin(), axis_.inputs.end(), input.name()) != axis_.inputs.end()) {
        std::string was = DeclaredText(input.type());
        MutableShape(*input.mutable_type())->mutable_dim(0)->set_dim_param(symbol);
        changes.push_back({input.name(), std::move(was), DeclaredText(input.type())});
      }
    }
    GOMAI_ASSIGN_OR_RETURN(std::vector<ShapeChange> followed, OpenDeclaredShapes(before, index_, opened));
    context_.editor()
        .MutableModel(fmt::format("batch of {}: {} -> {}{}", fmt::join(axis_.inputs, ", "), axis_.size, symbol,
                                  operands_.empty() ? "" : fmt::format(", {} constants follow it", operands_.size())))
        .Swap(&opened.mutable_proto());
    context_.ReportShapes(MergeShapeChanges(std::move(changes), std::move(followed)));
    return absl::OkStatus();
  }

 private:
  absl::Status FindOperands() {
    std::vector<std::string> stuck;
    for (const BakedSize& baked : plan_.repairs) {
      const ValueId constant = index_.node(baked.node).inputs[static_cast<size_t>(baked.input)];
      auto operand = std::find_if(operands_.begin(), operands_.end(), [&](const Operand& each) {
        return each.node == baked.node && each.input == baked.input;
      });
      if (operand == operands_.end()) {
        operand = operands_.insert(operands_.end(), {baked.node, baked.input, {}});
        operand->values = ConstantInts(context_.model(), index_, constant).value_or(std::vector<int64_t>());
      }
      const std::optional<int64_t> open = OpenForm(baked, operand->values);
      if (!open || static_cast<size_t>(baked.element) >= operand->values.size()) {
        stuck.push_back(
            fmt::format("{} takes the batch from '{}'", index_.Describe(baked.node), index_.value(constant).name));
        continue;
      }
      operand->values[static_cast<size_t>(baked.element)] = *open;
    }
    return stuck.empty() ? absl::OkStatus()
                         : FailedPrecondition("the batch of {} can't be opened, since a constant can't follow it: {}",
                                              axis_.Text(), ListProblems(stuck));
  }

  // What stands for a batch that isn't known, in this place.
  std::optional<int64_t> OpenForm(const BakedSize& baked, const std::vector<int64_t>& values) const {
    const onnx::NodeProto& node = *index_.node(baked.node).proto;
    if (node.op_type() == "Reshape") {
      if (std::find(values.begin(), values.end(), -1) == values.end()) {
        return -1;
      }
      return baked.element == 0 && baked.value == plan_.old_size ? std::optional<int64_t>(0) : std::nullopt;
    }
    if (node.op_type() == "Expand") {
      return 1;
    }
    if (node.op_type() == "Slice" && baked.input == 2) {
      return std::numeric_limits<int64_t>::max();
    }
    return std::nullopt;
  }

  // Each in a constant of its own, as others may read the old one.
  absl::Status SetOperands(Model& model) const {
    Editor editor(model);
    const int64_t version = model.proto().ir_version();
    for (const Operand& operand : operands_) {
      const Index::Node& node = index_.node(operand.node);
      const ValueId old = node.inputs[static_cast<size_t>(operand.input)];
      onnx::TensorProto tensor = IntVector(operand.values);
      if (const onnx::TensorProto* initializer = index_.value(old).initializer;
          initializer != nullptr && initializer->data_type() == onnx::TensorProto::INT32) {
        tensor.set_data_type(onnx::TensorProto::INT32);
        tensor.mutable_int32_data()->Add(operand.values.begin(), operand.values.end());
        tensor.clear_int64_data();
      }
      const std::string name = editor.FreshName(fmt::format("{}_any_batch", index_.value(old).name));
      if (version > 0 && version < 4) {
        editor.InsertNode(node.scope, ConstantNode(name, name, std::move(tensor)), operand.node);
      } else {
        tensor.set_name(name);
        editor.AddInitializer(node.scope, std::move(tensor));
      }
      editor.SetInput(operand.node, operand.input, name);
    }
    return editor.Commit().status();
  }

  // With a prime for a batch, the opened model must have the shapes that one made for it has.
  absl::Status Prove() const {
    if (operands_.empty()) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const Inferred now, InferAll(context_.model(), index_));
    const int64_t marker = FindMarker(context_.model(), now);
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe wanted,
                           ProbeBatch(context_.model(), axis_, marker, plan_.repairs, plan_.old_size));
    Model opened = context_.model().Copy();
    GOMAI_RETURN_IF_ERROR(SetOperands(opened));
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe got, ProbeBatch(opened, axis_, marker, {}, plan_.old_size));
    for (ValueId id = 0; id < static_cast<ValueId>(index_.values().size()); ++id) {
      const Index::Value& value = index_.value(id);
      const ValueId at = got.index.FindValue(value.scope, value.name);
      const ValueId there = wanted.index.FindValue(value.scope, value.name);
      if (value.producer == kNone || at == kNone || there == kNone) {
        continue;
      }
      const std::string is = ShapeText(got.inferred.types[static_cast<size_t>(at)]);
      const std::string must = ShapeText(wanted.inferred.types[static_cast<size_t>(there)]);
      if (is != must) {
        return FailedPrecondition(
            "the batch of {} can't be opened with proof: with a batch of {} '{}' would be {}, and it must be {}",
            axis_.Text(), marker, value.name, is, must);
      }
    }
    return absl::OkStatus();
  }

  PassContext& context_;
  const Index& index_;
  const BatchAxis axis_;
  const BatchPlan plan_;
  std::vector<Operand> operands_;
};

absl::Status Run(PassContext& context) {
  const Model& model = context.model();
  if (context.options().String("symbol").empty()) {
    return InvalidArgument("the option 'symbol' must be a name, such as N or batch");
  }
  GOMAI_ASSIGN_OR_RETURN(std::optional<BatchAxis> found,
                         ChooseBatchAxis(context, context.options().List("inputs"), -1));
  if (!found) {
    return absl::OkStatus();
  }
  BatchAxis axis = *std::move(found);
  if (axis.size == 0) {
    if (axis.symbols != std::vector<std::string>{context.options().String("symbol")}) {
      context.diagnostics().Note("", "the batch of {} is open already", axis.Text());
    }
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(BatchPlan plan, PlanBatch(model, context.index(), axis, axis.size + 1));
  if (!plan.doubts.empty()) {
    return FailedPrecondition("the batch of {} can't be opened with proof: {}", axis.Text(), ListProblems(plan.doubts));
  }
  return Opener(context, std::move(axis), std::move(plan)).Run();
}

}  // namespace

const PassInfo& SymbolicBatchPass() {
  static const PassInfo info = {
      .name = "symbolic-batch",
      .summary = "open a fixed batch, with the constants that carry it",
      .description =
          "The opposite of fix-batch: the leading dim of the inputs that have the batch there becomes a symbol, and "
          "what "
          "is declared because of the old size is opened. The axis is found by what the model does with it, not by "
          "names; inputs= says it where several could be meant. Other dims stay, and so do inputs without a batch.\n\n"
          "Constants that carry the old batch are given a form that follows any: -1 or 0 in the target of a Reshape, 1 "
          "in that of an Expand, the largest integer as the end of a Slice; each in a constant of its own. Then it is "
          "proved that with any batch every shape is what it was, with that batch in the old one's place.\n\n"
          "Refused, with the node: a constant that can't follow a batch (sizes of a Resize, ConstantOfShape, Tile), "
          "and "
          "what can't be proved.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kAllGraphs,
      .options =
          {
              {.name = "symbol", .default_value = "N", .help = "the name of the open batch"},
              {.name = "inputs",
               .type = OptionType::kList,
               .help = "the inputs that have it as their leading dim, separated by ';' (default: found)"},
          },
      .examples = {"symbolic-batch", "symbolic-batch{symbol=batch,inputs=left;right}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
