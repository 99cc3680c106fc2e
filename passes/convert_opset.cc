// convert-opset: the model at another version of ONNX's own operators. What is hard about it is in
// lib/pass/convert_opset.h, which merging models uses too.
#include "lib/pass/convert_opset.h"

#include "lib/pass/pass.h"

namespace gomai {
namespace {

absl::Status Run(PassContext& context) {
  const int64_t opset = context.options().Int("opset");
  const int64_t from = DefaultOpset(context.model().proto());
  if (from == opset) {
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(onnx::ModelProto converted, AtOpset(context.model(), opset));
  context.editor().MutableModel(fmt::format("converted opset {} -> {}", from, opset)) = std::move(converted);
  return absl::OkStatus();
}

}  // namespace

const PassInfo& ConvertOpsetPass() {
  static const PassInfo info = {
      .name = "convert-opset",
      .summary = "go to another opset of ONNX's own operators",
      .description =
          "Converts the main graph and all bodies to another version of ONNX's own operators, up or down, by ONNX's "
          "version converter, and declares the IR version that came with it, if that is higher. Only nodes whose "
          "operator changed are touched; what the converter itself forgets (metadata, documentation, sparse tensors, "
          "weights in other files) stays. Weights aren't read. New nodes take their names from the node that needs "
          "them.\n\n"
          "Refused, naming the node: operators for which the converter has no way; nodes for which it has one that "
          "computes something else, such as Hardmax on another axis than the last; operands that become attributes "
          "and aren't constant; what the new version's schemas don't allow; and models with local functions or "
          "training information. Upsample and Resize from before opset 11 get the attributes that keep what they "
          "computed. Runtimes may have other kernels for another version of an operator, so sums may round "
          "differently.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphs,
      .options = {{.name = "opset", .type = OptionType::kInt, .required = true, .help = "the version to go to"}},
      .examples = {"convert-opset{opset=17}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
