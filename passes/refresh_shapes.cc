// refresh-shapes: what lib/pass/declared_shapes.h does after every edit, asked for by name, and completed.
#include "lib/pass/declared_shapes.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

absl::Status Run(PassContext& context) {
  Model copy = context.model().Copy();
  RefreshOptions options;
  options.allow_outputs = context.allow_shape_change();
  options.complete = CompleteShapes::kAll;
  options.add = context.options().Bool("add");
  GOMAI_ASSIGN_OR_RETURN(std::vector<ShapeChange> changes, RefreshDeclaredShapes(copy, options));
  if (changes.empty()) {
    return absl::OkStatus();
  }
  const std::string what =
      fmt::format("brought {} declared shape{} up to date", changes.size(), changes.size() == 1 ? "" : "s");
  context.editor().MutableModel(what).Swap(&copy.mutable_proto());
  context.ReportShapes(std::move(changes));
  return absl::OkStatus();
}

}  // namespace

const PassInfo& RefreshShapesPass() {
  static const PassInfo info = {
      .name = "refresh-shapes",
      .summary = "write inferred types and shapes into the declarations",
      .description =
          "Infers types and shapes anew and brings what is declared up to date, in the main graph and in all bodies: "
          "value_info, outputs, and the inputs of bodies. A dtype, rank or size that is provably false is corrected; "
          "what a declaration leaves open (type, rank, a dim without size) is filled in, and a symbol becomes the "
          "number that is inferred for it. Denotations and doc strings stay, and so does the order. With add=true, "
          "every value of a node that has no value_info gets one, as far as its type is known: some NPU compilers "
          "read shapes nowhere else.\n\n"
          "The model's inputs stay as they are (freeze-shapes fixes them), and so do declarations inside functions. "
          "An output whose known shape or dtype is false is refused unless --allow-shape-change is given.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphs,
      .options = {{.name = "add",
                   .type = OptionType::kBool,
                   .default_value = "false",
                   .help = "add value_info for every value whose type is known"}},
      .examples = {"refresh-shapes", "refresh-shapes{add=true}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
