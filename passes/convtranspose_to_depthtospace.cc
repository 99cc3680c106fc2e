// convtranspose-to-depthtospace: a transposed convolution as a Conv at the input's size, whose channels are then laid
// out as pixels.
//
// Pixel s*q+r of the result, before padding is cropped, sums the input's pixels q-j times the kernel's elements s*j+r.
// So for each r there is a Conv of ceil(k/s) taps with the kernel's elements in reverse, and DepthToSpace puts the s*s
// results of a pixel side by side. With kernel = stride there is one tap: a Conv of kernel 1, and nothing to crop.
// Where the stride doesn't divide the kernel, it is filled up with zeros. Source: Shi et al., Is the deconvolution
// layer the same as a convolutional layer? (arXiv 1609.07009).
#include <algorithm>
#include <limits>

#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/quantised.h"
#include "lib/pass/rewrite.h"
#include "lib/pass/weight.h"

namespace gomai {
namespace {

constexpr int64_t kLargestStride = 256;

// What the attributes say, defaults filled in; for the two spatial axes.
struct Form {
  std::vector<int64_t> kernel, pads, output_padding, taps;
  int64_t stride = 1;
  int64_t group = 1;
  bool crops() const {
    for (size_t i = 0; i < 2; ++i) {
      if (CropBegin(i) != 0 || CropEnd(i) != 0) {
        return true;
      }
    }
    return false;
  }
  int64_t CropBegin(size_t axis) const { return pads[axis]; }
  int64_t CropEnd(size_t axis) const {
    return stride * taps[axis] - kernel[axis] + pads[2 + axis] - output_padding[axis];
  }
};

class Transposed {
 public:
  Transposed(Rewriter& rewriter, bool column_row_depth) : rewriter_(rewriter), crd_(column_row_depth) {}

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    ConstantWeight weight;
    if (std::string why = FindWeight(rewriter_, rewriter_.Input(id, 1), &weight); !why.empty()) {
      return why;
    }
    Form form;
    if (std::string why = Read(id, weight, &form); !why.empty()) {
      return why;
    }
    const int64_t in = weight.dims[0];
    const int64_t per_group = weight.dims[1];
    const int64_t s = form.stride;
    const int64_t kh = form.kernel[0], kw = form.kernel[1], th = form.taps[0], tw = form.taps[1];
    const int64_t in_group = in / form.group;
    const int64_t out = per_group * form.group;
    // Which result channel and which of its s*s pixels a channel of the Conv is.
    const auto channel = [=, crd = crd_](int64_t c) { return crd ? c / (s * s) : c % out; };
    const auto pixel = [=, crd = crd_](int64_t c) { return crd ? c % (s * s) : c / out; };
    const auto source = [=](int64_t i) -> int64_t {
      const int64_t x = i % tw, y = i / tw % th, ci = i / (tw * th) % in_group, c = i / (tw * th * in_group);
      const int64_t m = channel(c);
      const int64_t row = s * (th - 1 - y) + pixel(c) / s, column = s * (tw - 1 - x) + pixel(c) % s;
      const int64_t from = m / per_group * in_group + ci;
      return row >= kh || column >= kw ? -1 : ((from * per_group + m % per_group) * kh + row) * kw + column;
    };
    WeightCopy copy;
    if (std::string why =
            CopyWeight(rewriter_, weight, {.dims = {out * s * s, in_group, th, tw}, .source = source}, &copy);
        !why.empty()) {
      return why;
    }
    WeightCopy bias_copy;
    const ValueId bias = rewriter_.Input(id, 2);
    if (bias != kNone) {
      ConstantWeight found;
      std::string why = FindWeight(rewriter_, bias, &found);
      if (why.empty() && found.dims != std::vector<int64_t>{out}) {
        why = fmt::format("its bias '{}' isn't a vector of {}", rewriter_.Name(bias), out);
      }
      why = why.empty() ? CopyWeight(rewriter_, found, {.dims = {out * s * s}, .source = channel}, &bias_copy) : why;
      if (!why.empty()) {
        return why;
      }
    }
    std::vector<std::string> inputs = {rewriter_.Name(rewriter_.Input(id, 0))};
    GOMAI_ASSIGN_OR_RETURN(inputs.emplace_back(), AddWeight(rewriter_, id, "weight", std::move(copy)));
    if (bias != kNone) {
      GOMAI_ASSIGN_OR_RETURN(inputs.emplace_back(), AddWeight(rewriter_, id, "bias", std::move(bias_copy)));
    }
    Write(id, form, inputs);
    return "";
  }

 private:
  std::string Read(NodeId id, const ConstantWeight& weight, Form* form) const {
    if (weight.dims.size() != 4) {
      return fmt::format("DepthToSpace has two spatial axes, and its weight has {}",
                         static_cast<int64_t>(weight.dims.size()) - 2);
    }
    const std::string auto_pad = rewriter_.String(id, "auto_pad", "NOTSET");
    if ((!auto_pad.empty() && auto_pad != "NOTSET" && auto_pad != "VALID") || rewriter_.Ints(id, "output_shape")) {
      return "its padding follows from auto_pad or output_shape, which runtimes read differently; give pads instead";
    }
    const auto ints = [&](const char* name, size_t count, int64_t otherwise) {
      return rewriter_.Ints(id, name).value_or(std::vector<int64_t>(count, otherwise));
    };
    form->kernel.assign(weight.dims.begin() + 2, weight.dims.end());
    form->pads = ints("pads", 4, 0);
    form->output_padding = ints("output_padding", 2, 0);
    form->group = rewriter_.Int(id, "group", 1);
    const std::vector<int64_t> strides = ints("strides", 2, 1);
    const std::vector<int64_t> dilations = ints("dilations", 2, 1);
    if (form->pads.size() != 4 || form->output_padding.size() != 2 || strides.size() != 2 || dilations.size() != 2 ||
        form->group < 1 || weight.dims[0] % form->group != 0 || ints("kernel_shape", 2, 0).size() != 2 ||
        (rewriter_.Ints(id, "kernel_shape") && *rewriter_.Ints(id, "kernel_shape") != form->kernel)) {
      return "its attributes don't fit together";
    }
    if (std::count(weight.dims.begin(), weight.dims.end(), 0) > 0) {
      return "its weight is empty";
    }
    if (std::max(form->output_padding[0], form->output_padding[1]) >= std::max<int64_t>(strides[0], 1) ||
        strides[0] > kLargestStride) {
      return fmt::format("its output_padding isn't below its stride, or that is above {}", kLargestStride);
    }
    if (strides[0] != strides[1] || strides[0] < 1) {
      return fmt::format("its strides are {}, and DepthToSpace has one block size for both axes",
                         fmt::join(strides, " and "));
    }
    if (strides[0] == 1) {
      return "with stride 1 there is no depth to lay out";
    }
    if (dilations[0] != 1 || dilations[1] != 1) {
      return "its kernel has gaps (dilations)";
    }
    if (form->group > 1 && !crd_) {
      return fmt::format("it has {} groups, whose channels lie apart in the order of mode=dcr; mode=crd can",
                         form->group);
    }
    if (crd_ && rewriter_.Opset(id) < 11) {
      return "DepthToSpace has mode CRD from opset 11 on; mode=dcr can";
    }
    if (*std::min_element(form->pads.begin(), form->pads.end()) < 0 ||
        *std::min_element(form->output_padding.begin(), form->output_padding.end()) < 0) {
      return "it has negative padding";
    }
    form->stride = strides[0];
    for (size_t i = 0; i < 2; ++i) {
      form->taps.push_back((form->kernel[i] + form->output_padding[i] + form->stride - 1) / form->stride);
      form->taps[i] = std::max<int64_t>(form->taps[i], 1);
      if (form->CropEnd(i) < 0) {
        return "its output_padding reaches beyond what it computes";
      }
    }
    GOMAI_CHECK(form->taps.size() == 2);
    const absl::StatusOr<const onnx::OpSchema*> schema = RequireSchema(
        rewriter_.context().model().proto(), rewriter_.index(), rewriter_.index().node(id).scope, "", "DepthToSpace");
    if (!schema.ok() || !AcceptsDtype(**schema, 0, weight.dtype)) {
      return fmt::format("there is no DepthToSpace of {} at this opset", DtypeName(weight.dtype));
    }
    return "";
  }

  void Write(NodeId id, const Form& form, const std::vector<std::string>& inputs) {
    // Between quantised operators what lies between is quantised by the result's parameters, which moves nothing.
    const NodeId quantise = DequantisedBy(rewriter_, rewriter_.Input(id, 0)) == kNone
                                ? kNone
                                : QuantisedBy(rewriter_, rewriter_.Output(id, 0));
    const int64_t th = form.taps[0] - 1, tw = form.taps[1] - 1;
    const std::string depth =
        QuantisedLike(rewriter_, id,
                      rewriter_.Insert(id, "Conv", inputs,
                                       {IntsAttribute("dilations", {1, 1}), IntAttribute("group", form.group),
                                        IntsAttribute("kernel_shape", form.taps),
                                        IntsAttribute("pads", {th, tw, th, tw}), IntsAttribute("strides", {1, 1})}),
                      quantise);
    std::vector<onnx::AttributeProto> layout = {IntAttribute("blocksize", form.stride)};
    if (rewriter_.Opset(id) >= 11) {
      layout.push_back(StringAttribute("mode", crd_ ? "CRD" : "DCR"));
    }
    if (!form.crops()) {
      rewriter_.Become(id, "DepthToSpace", {depth}, layout);
      return;
    }
    const std::string space =
        QuantisedLike(rewriter_, id, rewriter_.Insert(id, "DepthToSpace", {depth}, layout), quantise);
    std::vector<int64_t> ends;
    for (size_t i = 0; i < 2; ++i) {
      ends.push_back(form.CropEnd(i) == 0 ? std::numeric_limits<int64_t>::max() : -form.CropEnd(i));
    }
    const std::vector<int64_t> starts = {form.CropBegin(0), form.CropBegin(1)};
    if (rewriter_.Opset(id) < 10) {
      rewriter_.Become(id, "Slice", {space},
                       {IntsAttribute("axes", {2, 3}), IntsAttribute("ends", ends), IntsAttribute("starts", starts)});
      return;
    }
    rewriter_.Become(
        id, "Slice",
        {space, rewriter_.AddConstant(id, "starts", IntVector(starts)),
         rewriter_.AddConstant(id, "ends", IntVector(ends)), rewriter_.AddConstant(id, "axes", IntVector({2, 3}))});
  }

  Rewriter& rewriter_;
  const bool crd_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Transposed transposed(rewriter, context.options().String("mode") == "crd");
  return rewriter.Run({.what = "a ConvTranspose",
                       .applies = [&](NodeId id) { return rewriter.Is(id, "ConvTranspose"); },
                       .rewrite = [&](NodeId id) { return transposed.Rewrite(id); }});
}

}  // namespace

const PassInfo& ConvtransposeToDepthtospacePass() {
  static const PassInfo info = {
      .name = "convtranspose-to-depthtospace",
      .summary = "write ConvTranspose as Conv and DepthToSpace",
      .description =
          "Replaces each ConvTranspose over two axes by a Conv at the size of its input that makes stride * stride "
          "channels for each, and a DepthToSpace that lays them out as pixels. With a kernel as large as the stride, "
          "as "
          "mask heads have it, the Conv has kernel 1 and nothing else is needed. In general its kernel is "
          "ceil(kernel / stride), filled up with zeros where the stride doesn't divide, and a Slice crops what pads "
          "cut "
          "off. The same products are summed, in whatever order the runtime takes.\n\n"
          "Multiplications: as many as before where the stride divides the kernel, but for (kernel / stride - 1) more "
          "rows and columns at the border; else more by the zeros (kernel 3 with stride 2: 16 for 9). The order of "
          "channels is mode=dcr, which all opsets and most devices have, or mode=crd.\n\n"
          "Weights behind DequantizeLinear stay the same integers, and what lies between the new operators is "
          "quantised "
          "as the result is.\n\n"
          "Not rewritten: weights that aren't constant; one or three spatial axes, unequal strides, stride 1, "
          "dilations; "
          "groups in mode=dcr; auto_pad and output_shape, which runtimes read differently; negative pads.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "mode",
                                  .default_value = "dcr",
                                  .help = "the order in which DepthToSpace finds the pixels of a channel",
                                  .choices = {"dcr", "crd"}}}),
      .examples = {"convtranspose-to-depthtospace", "convtranspose-to-depthtospace{mode=crd}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
