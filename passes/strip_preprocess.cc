// strip-preprocess: what lies before the network comes off, into a model of its own beside the output. The work is in
// lib/split/strip.h, which is a split in two, and lib/split/preprocess_rule.h, which says what came off.
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/text.h"
#include "lib/pass/pass.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/split/preprocess_rule.h"
#include "lib/split/strip.h"

namespace gomai {
namespace {

// "480x640" or "1x3x480x640".
absl::StatusOr<std::vector<int64_t>> ParseSizes(const PassOptions& options, const std::string& name) {
  std::vector<int64_t> sizes;
  for (const std::string& part : SplitList(options.String(name), 'x')) {
    const std::optional<int64_t> size = ParseInt64(part);
    if (!size || *size <= 0) {
      return InvalidArgument("the option '{}' must be HxW, or a whole shape such as 1x3x480x640, not '{}'", name,
                             options.String(name));
    }
    sizes.push_back(*size);
  }
  return sizes;
}

// A size of the network's that its own preprocessing leads no image to is rarely meant.
void WarnOfSize(const Stripped& stripped, const std::vector<int64_t>& size, const std::string& rule,
                const Diagnostics& diagnostics) {
  const nlohmann::json described = nlohmann::json::parse(rule);
  for (const nlohmann::json& step : described["steps"]) {
    if (size.size() != 2 || step["step"] != "pad" || step["rule"] != "multiple") {
      continue;
    }
    const int64_t multiple = step["multiple"];
    if (size[0] % multiple != 0 || size[1] % multiple != 0) {
      diagnostics.Warn(stripped.network_input,
                       "no image leads to {}x{}: the model's own preprocessing pads to multiples of {}", size[0],
                       size[1], multiple);
    }
  }
}

absl::Status Run(PassContext& context) {
  const PassOptions& options = context.options();
  StripOptions strip{
      .at = options.String("at"), .input = options.String("input"), .image_size = {}, .network_size = {}};
  strip.constants = options.String("sizes") == "constants";
  for (const auto& [name, sizes] :
       {std::pair("image-size", &strip.image_size), {"network-size", &strip.network_size}}) {
    if (options.Given(name)) {
      GOMAI_ASSIGN_OR_RETURN(*sizes, ParseSizes(options, name));
    }
  }
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, LoadOnnxRuntime(QuietRuntime()));
  GOMAI_ASSIGN_OR_RETURN(Stripped stripped,
                         StripPreprocess(context.model(), context.index(), strip, *backend, context.diagnostics()));
  const std::string& stem = options.String("name");
  GOMAI_ASSIGN_OR_RETURN(std::string rule, DescribePreprocess(stripped, stem + ".onnx", *backend));
  WarnOfSize(stripped, strip.network_size, rule, context.diagnostics());
  FixImage(&stripped);
  onnx::ModelProto& model = context.editor().MutableModel(fmt::format("took {} nodes before '{}' off, into {}.onnx",
                                                                      stripped.preprocess.proto().graph().node_size(),
                                                                      stripped.network_input, stem));
  model = std::move(stripped.network.mutable_proto());
  context.Emit(
      {.name = stem, .model = std::make_shared<const Model>(std::move(stripped.preprocess)), .text = std::move(rule)});
  return absl::OkStatus();
}

}  // namespace

const PassInfo& StripPreprocessPass() {
  static const PassInfo info = {
      .name = "strip-preprocess",
      .summary = "take off what lies before the network",
      .description =
          "Cuts the model at 'at', the tensor that enters the network (a tensor, or scope:/a->/b as in plans: what "
          "scope /a gives to scope /b). It becomes an input; what made it is written beside the output as NAME.onnx, "
          "and NAME.json says what that does (mean, std, value range, resize rule and interpolation, padding, layout), "
          "so that it can be redone outside; what it says is run and compared. NAME.onnx and the model that is left, "
          "chained, are the model.\n\n"
          "With network-size=HxW the new input has that size. With image-size=HxW it has the size to which the model's "
          "own resizing brings such an image. Given both, they must agree; without either the sizes stay open. Both "
          "take "
          "whole shapes too.\n\n"
          "Sizes that the rest needs (of the image, of the resized image) become inputs; with sizes=constants they "
          "become constants, those of an image of image-size, and NAME.onnx takes no other image. Where the rest only "
          "needs the image's Shape, that Shape is the input, and the image is none any more.\n\n"
          "Needs ONNX Runtime, to run the part that comes off. Errors: a tensor that isn't there, or before which "
          "nothing lies; several images to choose from (say which with 'input'); sizes that don't fit.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kMain,
      .options =
          {
              {.name = "at", .required = true, .help = "the tensor that enters the network, or a selector"},
              {.name = "image-size", .help = "HxW of the images, from which the network's follows"},
              {.name = "network-size", .help = "HxW of the network's input"},
              {.name = "sizes",
               .default_value = "inputs",
               .help = "what the sizes become that the rest needs",
               .choices = {"inputs", "constants"}},
              {.name = "input", .help = "the image, if the part reads several inputs"},
              {.name = "name", .default_value = "preprocess", .help = "stem of the two files"},
          },
      .examples = {"strip-preprocess{at=normalised,image-size=480x640}",
                   "strip-preprocess{at=scope:/pre->/encoder,network-size=480x640,sizes=inputs}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
