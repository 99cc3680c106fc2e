// fix-batch: the batch axis found, fixed, and the constants that an export baked its old size into repaired; see
// lib/pass/batch.h for how either is told from a size that only looks like it.
#include "lib/pass/batch.h"
#include "lib/pass/declared_shapes.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

// What the declarations of two models of the same structure say differently, values of the main graph by name.
std::vector<ShapeChange> OutputChanges(const onnx::ModelProto& before, const onnx::ModelProto& after) {
  std::vector<ShapeChange> changes;
  const auto compare = [&](const auto& old_list, const auto& new_list) {
    for (int i = 0; i < old_list.size() && i < new_list.size(); ++i) {
      std::string was = DeclaredText(old_list.Get(i).type());
      std::string is = DeclaredText(new_list.Get(i).type());
      if (was != is) {
        changes.push_back({old_list.Get(i).name(), std::move(was), std::move(is)});
      }
    }
  };
  compare(before.graph().input(), after.graph().input());
  compare(before.graph().value_info(), after.graph().value_info());
  compare(before.graph().output(), after.graph().output());
  return changes;
}

absl::Status Run(PassContext& context) {
  const Model& model = context.model();
  const int64_t size = context.options().Int("size");
  if (size < 1) {
    return InvalidArgument("the option 'size' must be at least 1, not {}", size);
  }
  GOMAI_ASSIGN_OR_RETURN(const std::optional<BatchAxis> found,
                         ChooseBatchAxis(context, context.options().List("inputs"), size));
  if (!found) {
    return absl::OkStatus();
  }
  const BatchAxis& axis = *found;
  if (axis.size == size && axis.symbols.empty()) {
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(BatchPlan plan, PlanBatch(model, context.index(), axis, size));
  if (!plan.doubts.empty() && !context.options().Bool("force")) {
    return FailedPrecondition(
        "the batch of {} can't be fixed at {} with proof: {}. Mend these nodes first (fold-constants may help), or fix "
        "it all the same, leaving them as they are, with force=true",
        axis.Text(), size, ListProblems(plan.doubts));
  }
  for (const std::string& doubt : plan.doubts) {
    context.diagnostics().Warn("", "left as it is: {}", doubt);
  }
  std::vector<std::string> lines;
  GOMAI_ASSIGN_OR_RETURN(Model fixed, WithBatch(model, axis, size, plan, &lines));
  std::vector<ShapeChange> changes = OutputChanges(model.proto(), fixed.proto());
  GOMAI_ASSIGN_OR_RETURN(std::vector<ShapeChange> completed,
                         RefreshDeclaredShapes(fixed, {.correct = false, .complete = CompleteShapes::kNumbers}));
  for (const std::string& line : lines) {
    context.editor().MutableModel(line);
  }
  context.editor().MutableModel(lines.front()).Swap(&fixed.mutable_proto());
  context.ReportShapes(MergeShapeChanges(std::move(changes), std::move(completed)));
  return absl::OkStatus();
}

}  // namespace

const PassInfo& FixBatchPass() {
  static const PassInfo info = {
      .name = "fix-batch",
      .summary = "fix the batch, and repair constants that carry another one",
      .description =
          "Fixes the leading dim of the inputs that have the batch there, and brings declared shapes up to date. The "
          "axis is found by what the model does with it, not by names: the leading dim of an input of rank 2 or more "
          "that reaches the batch axis of a Conv, a pooling, a normalisation or the like, or, if it is open, leads an "
          "output; never one along which a node picks, sorts, sums or concatenates, the regions of a RoiAlign, weights "
          "or the steps of a sequence. Inputs that share its symbol follow. An input whose leading dim is fixed at "
          "another size is changed too, if no input has an open one. A model without a batch axis stays as it is, with "
          "a warning that says why; with several, inputs= chooses.\n\n"
          "Exports often bake their batch into constants: targets of Reshape and Expand, sizes of Resize, ends of "
          "Slice, repeats of Tile, operands of ConstantOfShape and Range, in the main graph and in bodies. One is "
          "repaired if it is proved to be the batch: the data leads with the batch, the element that makes the "
          "result's leading dim is the old batch (times dims joined to it), and the other elements agree with the "
          "other dims, so that items stay items; or the batch is elsewhere and exactly one element can give it; or "
          "inference fails with another batch and no longer does with the repair. Afterwards every inferred size must "
          "be what it was, with the new batch in the old one's place. With an open batch the baked size is proved as "
          "well: the model must be sound at it and fail, or break what an output's symbol says, at others. -1 and 0 in "
          "targets keep their meaning and stay. A constant that other nodes need as it is gets a private copy.\n\n"
          "What can't be proved is refused, naming the nodes; force=true leaves them as they are. Constants inside "
          "functions aren't repaired.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kAllGraphs,
      .options =
          {
              {.name = "size", .type = OptionType::kInt, .default_value = "1", .help = "the batch to fix"},
              {.name = "inputs",
               .type = OptionType::kList,
               .help = "the inputs that have it as their leading dim, separated by ';' (default: found)"},
              {.name = "force",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "fix it even where a constant may carry another batch; such constants stay"},
          },
      .examples = {"fix-batch", "fix-batch{size=4,inputs=left;right}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
