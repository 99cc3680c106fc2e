// hardswish-to-hardsigmoid-mul: HardSwish as ONNX defines it, or with the alpha that a device has.
#include <cmath>

#include "lib/model/attribute.h"
#include "lib/pass/hard_activation.h"

namespace gomai {
namespace {

absl::StatusOr<std::string> Rewrite(Rewriter& rewriter, NodeId id, float alpha) {
  const ValueId data = rewriter.Input(id, 0);
  GOMAI_ASSIGN_OR_RETURN(std::string why_not, WhyNotOf(rewriter, id, data, "HardSigmoid"));
  if (!why_not.empty()) {
    return why_not;
  }
  const double slope = static_cast<double>(alpha);
  if (!IsSixth(slope)) {
    const auto exact = [](double x) { return x * HardSigmoid(x, 1.0 / 6, 0.5); };
    const auto other = [&](double x) { return x * HardSigmoid(x, slope, 0.5); };
    const std::optional<std::vector<double>> values = DequantizedValues(rewriter, data);
    const LargestError largest =
        values ? LargestErrorOver(*values, exact, other) : LargestErrorWithin(std::max(3.0, 0.5 / slope), exact, other);
    rewriter.context().diagnostics().Warn(rewriter.index().Describe(id), "values change {}{}",
                                          ErrorText(rewriter, rewriter.Output(id, 0), largest),
                                          values ? ", of those that its quantised input can have" : "");
  }
  const std::string x = rewriter.Name(data);
  const std::string gate =
      rewriter.Insert(id, "HardSigmoid", {x}, {FloatAttribute("alpha", alpha), FloatAttribute("beta", 0.5f)});
  rewriter.Become(id, "Mul", {x, gate});
  return "";
}

absl::Status Run(PassContext& context) {
  const double alpha = context.options().Float("alpha");
  if (!(alpha > 1e-3 && alpha <= 1)) {
    return InvalidArgument("the option 'alpha' must be above 0.001 and at most 1, not {}", alpha);
  }
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  return rewriter.Run({.what = "a HardSwish",
                       .applies = [&](NodeId id) { return rewriter.Is(id, "HardSwish"); },
                       .rewrite = [&](NodeId id) { return Rewrite(rewriter, id, static_cast<float>(alpha)); }});
}

Effect EffectOfOptions(const PassOptions& options) {
  return IsSixth(static_cast<double>(static_cast<float>(options.Float("alpha")))) ? Effect::kReassociates
                                                                                  : Effect::kApproximate;
}

}  // namespace

const PassInfo& HardswishToHardsigmoidMulPass() {
  static const PassInfo info = {
      .name = "hardswish-to-hardsigmoid-mul",
      .summary = "write HardSwish as x * HardSigmoid(x)",
      .description =
          "Replaces each HardSwish by HardSigmoid with alpha 1/6 and beta 0.5, and a Mul with its input: what ONNX "
          "defines it as. A runtime that computes HardSwish in one kernel may round otherwise.\n\n"
          "alpha= gives the HardSigmoid the slope that a device has (0.1667, 0.1666, 0.2) in place of 1/6. Values "
          "change then: by up to 0.0006 with 0.1666 and 0.21 with 0.2; the largest change is computed and warned of "
          "for "
          "each node, over the values that its input can have if a DequantizeLinear of 8 bits with constant "
          "parameters makes it, and in steps of the quantisation behind it if there is one. "
          "hardsigmoid-mul-to-hardswish "
          "is the inverse.\n\n"
          "In a quantised model the new value between HardSigmoid and Mul has no quantisation of its own.",
      .effect = Effect::kReassociates,
      .effect_of = EffectOfOptions,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "alpha",
                                  .type = OptionType::kFloat,
                                  .default_value = kSixthText,
                                  .help = "the slope of the HardSigmoid; another one than 1/6 changes values"}}),
      .examples = {"hardswish-to-hardsigmoid-mul", "hardswish-to-hardsigmoid-mul{alpha=0.1667}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
