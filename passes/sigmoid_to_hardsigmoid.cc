// sigmoid-to-hardsigmoid: the curve by three straight lines. How far that is off is computed, over all x or over those
// that a quantised input can have, and told.
#include <cmath>

#include "lib/model/attribute.h"
#include "lib/pass/hard_activation.h"

namespace gomai {
namespace {

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

absl::StatusOr<std::string> Rewrite(Rewriter& rewriter, NodeId id, float alpha) {
  const ValueId data = rewriter.Input(id, 0);
  GOMAI_ASSIGN_OR_RETURN(std::string why_not, WhyNotOf(rewriter, id, data, "HardSigmoid"));
  if (!why_not.empty()) {
    return why_not;
  }
  const double slope = static_cast<double>(alpha);
  const auto hard = [&](double x) { return HardSigmoid(x, slope, 0.5); };
  const std::optional<std::vector<double>> values = DequantizedValues(rewriter, data);
  // Beyond the kinks the lines are flat and the curve comes nearer.
  const LargestError largest =
      values ? LargestErrorOver(*values, Sigmoid, hard) : LargestErrorWithin(std::max(8.0, 0.5 / slope), Sigmoid, hard);
  rewriter.context().diagnostics().Warn(rewriter.index().Describe(id), "values change {}{}",
                                        ErrorText(rewriter, rewriter.Output(id, 0), largest),
                                        values ? ", of those that its quantised input can have" : "");
  rewriter.Become(id, "HardSigmoid", {rewriter.Name(data)},
                  {FloatAttribute("alpha", alpha), FloatAttribute("beta", 0.5f)});
  return "";
}

absl::Status Run(PassContext& context) {
  const double alpha = context.options().Float("alpha");
  if (!(alpha > 1e-3 && alpha <= 1)) {
    return InvalidArgument("the option 'alpha' must be above 0.001 and at most 1, not {}", alpha);
  }
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  return rewriter.Run({.what = "a Sigmoid",
                       .applies = [&](NodeId id) { return rewriter.Is(id, "Sigmoid"); },
                       .rewrite = [&](NodeId id) { return Rewrite(rewriter, id, static_cast<float>(alpha)); }});
}

}  // namespace

const PassInfo& SigmoidToHardsigmoidPass() {
  static const PassInfo info = {
      .name = "sigmoid-to-hardsigmoid",
      .summary = "approximate Sigmoid by HardSigmoid",
      .description =
          "Replaces each Sigmoid by a HardSigmoid, max(0, min(1, alpha * x + 0.5)), for devices that have no "
          "exponential. Values change: by up to 0.069 with alpha 1/6, by up to 0.076 with ONNX's default of 0.2; the "
          "largest change is computed and warned of for each node, over the values that its input can have if a "
          "DequantizeLinear of 8 bits with constant parameters makes it, and in steps of the quantisation behind it if "
          "there is one. A network should be trained or at least measured with it.\n\n"
          "Not rewritten: types that HardSigmoid lacks (bfloat16 before opset 22), and where that can't be told.",
      .effect = Effect::kApproximate,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "alpha",
                                  .type = OptionType::kFloat,
                                  .default_value = kSixthText,
                                  .help = "the slope in the middle"}}),
      .examples = {"sigmoid-to-hardsigmoid", "sigmoid-to-hardsigmoid{alpha=0.2,node=Sigmoid_3}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
