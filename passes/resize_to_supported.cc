// resize-to-supported: forms of Resize that devices refuse, in forms that they take.
//
// Nearest neighbour picks, for each element of the result, one of the input; which one is computed here by ONNX's
// formulas, for the form that is there and for the one that would be written. Equal picks are the whole condition. With
// a whole factor s the picks repeat every s elements, so one period inside the image is enough if sizes are open.
#include <algorithm>
#include <cmath>

#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

constexpr int64_t kMostCompared = 1 << 20;  // elements along an axis

constexpr double kLargestScale = 1 << 20;

// Along one axis.
struct Axis {
  std::optional<int64_t> from, to;  // sizes; unset: open
  double scale = 1;
};

struct Mode {
  std::string coordinates, nearest;
};

// The coordinate in the input of element `x` of the result (ONNX, Resize: coordinate_transformation_mode). nullopt: a
// mode that isn't known, or one that needs a size that is open.
std::optional<double> Coordinate(const std::string& mode, const Axis& axis, int64_t x) {
  const auto at = static_cast<double>(x);
  if (mode == "asymmetric") {
    return at / axis.scale;
  }
  if (mode == "half_pixel") {
    return (at + 0.5) / axis.scale - 0.5;
  }
  if (!axis.from || !axis.to) {
    return std::nullopt;
  }
  if (mode == "pytorch_half_pixel") {
    return *axis.to > 1 ? (at + 0.5) / axis.scale - 0.5 : 0;
  }
  if (mode == "align_corners") {
    return *axis.to > 1 ? at * static_cast<double>(*axis.from - 1) / static_cast<double>(*axis.to - 1) : 0;
  }
  return std::nullopt;
}

// The element that is picked there; before it is clamped to the input.
std::optional<double> Picked(const Mode& mode, const Axis& axis, int64_t x) {
  const std::optional<double> at = Coordinate(mode.coordinates, axis, x);
  if (!at) {
    return std::nullopt;
  }
  if (mode.nearest == "floor") {
    return std::floor(*at);
  }
  if (mode.nearest == "ceil") {
    return std::ceil(*at);
  }
  if (mode.nearest == "round_prefer_floor") {
    return std::ceil(*at - 0.5);
  }
  return mode.nearest == "round_prefer_ceil" ? std::optional(std::floor(*at + 0.5)) : std::nullopt;
}

// Do two modes pick the same elements along the axis? Coordinates so near to where rounding turns over that single
// precision may turn them the other way count as different.
bool SamePicks(const Mode& a, const Mode& b, const Axis& axis) {
  const bool whole = axis.scale >= 1 && std::trunc(axis.scale) == axis.scale;
  const auto same = [&](int64_t x, bool clamp) {
    std::optional<double> one = Picked(a, axis, x);
    std::optional<double> other = Picked(b, axis, x);
    if (!one || !other) {
      return false;
    }
    if (clamp) {
      const auto last = static_cast<double>(*axis.from - 1);
      one = std::clamp(*one, 0.0, last);
      other = std::clamp(*other, 0.0, last);
    }
    return *one == *other;
  };
  if (axis.from && axis.to && *axis.from > 0 && *axis.to <= kMostCompared) {
    for (int64_t x = 0; x < *axis.to; ++x) {
      if (!same(x, true)) {
        return false;
      }
    }
    // A factor that isn't whole is rounded in single precision on the way, and so may coordinates be.
    return whole || a.coordinates == b.coordinates;
  }
  const auto factor = static_cast<int64_t>(axis.scale);
  for (int64_t x = factor; whole && x < 2 * factor && factor <= kMostCompared; ++x) {
    if (!same(x, false)) {
      return false;
    }
  }
  return whole && factor <= kMostCompared;
}

class Resizes {
 public:
  Resizes(Rewriter& rewriter, const PassOptions& options)
      : rewriter_(rewriter), form_(options.String("form")), operand_(options.String("operand")) {}

  bool Applies(NodeId id) const {
    return rewriter_.Is(id, "Resize") && rewriter_.Opset(id) >= 11 &&
           (rewriter_.String(id, "mode", "nearest") == "nearest" || operand_ != "keep");
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    std::vector<Axis> axes;
    if (std::string why = Read(id, &axes); !why.empty()) {
      return why;
    }
    const bool nearest = rewriter_.String(id, "mode", "nearest") == "nearest";
    const Mode present = {rewriter_.String(id, "coordinate_transformation_mode", "half_pixel"),
                          rewriter_.String(id, "nearest_mode", "round_prefer_floor")};
    const Mode plain = {"asymmetric", "floor"};
    const bool is_plain = present.coordinates == plain.coordinates && present.nearest == plain.nearest;
    if (nearest && !is_plain) {
      for (size_t i = 0; i < axes.size(); ++i) {
        const bool idle = axes[i].scale == 1 && (!axes[i].from || axes[i].from == axes[i].to);
        if (!idle && !SamePicks(present, plain, axes[i])) {
          return fmt::format(
              "along axis {}, scaled by {:g}, {} with {} doesn't pick the elements that asymmetric with floor would", i,
              axes[i].scale, present.coordinates, present.nearest);
        }
      }
    }
    if (nearest && form_ == "convtranspose") {
      return WriteConvTranspose(id, axes);
    }
    return WriteResize(id, axes, nearest && !is_plain);
  }

 private:
  // Scales and sizes of all axes.
  std::string Read(NodeId id, std::vector<Axis>* axes) const {
    const ValueId data = rewriter_.Input(id, 0);
    const int rank = rewriter_.Rank(data);
    if (rank < 1) {
      return "the rank of its input isn't known";
    }
    if (rewriter_.String(id, "keep_aspect_ratio_policy", "stretch") != "stretch" ||
        rewriter_.String(id, "coordinate_transformation_mode", "half_pixel").starts_with("tf_")) {
      return "it keeps the ratio of the sides, or crops";
    }
    std::vector<int64_t> order;
    for (int64_t i = 0; i < rank; ++i) {
      order.push_back(i);
    }
    if (const auto given = rewriter_.Ints(id, "axes"); given && !given->empty()) {
      order = *given;
    }
    axes->assign(static_cast<size_t>(rank), Axis());
    for (int i = 0; i < rank; ++i) {
      (*axes)[static_cast<size_t>(i)].from = (*axes)[static_cast<size_t>(i)].to = rewriter_.Dim(data, i);
    }
    const ValueId sizes = rewriter_.Input(id, 3);
    const std::optional<std::vector<double>> scales = rewriter_.Numbers(rewriter_.Input(id, 2));
    const bool by_scales = scales && !scales->empty();
    const std::optional<std::vector<int64_t>> targets = rewriter_.Integers(sizes);
    if (!by_scales && !targets) {
      return "neither its scales nor its sizes are constant; fold-constants may settle it";
    }
    if ((by_scales ? scales->size() : targets->size()) != order.size()) {
      return "its operand hasn't one number for each axis";
    }
    for (size_t i = 0; i < order.size(); ++i) {
      const int64_t at = order[i] + (order[i] < 0 ? rank : 0);
      if (at < 0 || at >= rank) {
        return "its axes don't exist";
      }
      Axis& axis = (*axes)[static_cast<size_t>(at)];
      if (by_scales) {
        axis.scale = (*scales)[i];
        if (!(axis.scale > 0) || axis.scale > kLargestScale || axis.from.value_or(0) > (int64_t{1} << 40)) {
          return "its scales aren't positive, or absurdly large";
        }
        axis.to = axis.from
                      ? std::optional(static_cast<int64_t>(std::floor(static_cast<double>(*axis.from) * axis.scale)))
                      : std::nullopt;
        continue;
      }
      axis.to = (*targets)[i];
      if (!axis.from || *axis.from < 1 || *axis.to < 1) {
        return fmt::format("the size of axis {} isn't known; freeze-shapes may settle it", at);
      }
      axis.scale = static_cast<double>(*axis.to) / static_cast<double>(*axis.from);
    }
    return "";
  }

  absl::StatusOr<std::string> WriteResize(NodeId id, const std::vector<Axis>& axes, bool make_plain) {
    const bool has_sizes = rewriter_.Input(id, 3) != kNone;
    onnx::TensorProto operand;
    const bool to_scales = operand_ == "scales" && has_sizes;
    const bool to_sizes = operand_ == "sizes" && !has_sizes;
    if (to_scales) {
      std::vector<double> scales;
      for (const Axis& axis : axes) {
        // What runtimes make of a size and a scale must be the size again.
        if (!axis.from ||
            static_cast<int64_t>(std::floor(static_cast<double>(static_cast<float>(axis.scale)) *
                                            static_cast<double>(*axis.from))) != *axis.to ||
            static_cast<double>(static_cast<float>(axis.scale)) != axis.scale) {
          return fmt::format("{} elements can't become {} by a scale that float32 holds exactly", axis.from.value_or(0),
                             axis.to.value_or(0));
        }
        scales.push_back(axis.scale);
      }
      operand = RawTensor(onnx::TensorProto::FLOAT, {static_cast<int64_t>(scales.size())},
                          *PackNumbers(onnx::TensorProto::FLOAT, scales));
    } else if (to_sizes) {
      std::vector<int64_t> sizes;
      for (const Axis& axis : axes) {
        if (!axis.to || static_cast<double>(*axis.to) != axis.scale * static_cast<double>(*axis.from)) {
          return "the size that its scales give isn't known, or no multiple, so that sizes would mean another scale";
        }
        sizes.push_back(*axis.to);
      }
      operand = IntVector(sizes);
    }
    if (!make_plain && !to_scales && !to_sizes) {
      return "";
    }
    onnx::NodeProto& node = rewriter_.editor().MutableNode(id);
    if (make_plain) {
      SetAttribute(node, StringAttribute("coordinate_transformation_mode", "asymmetric"));
      SetAttribute(node, StringAttribute("nearest_mode", "floor"));
    }
    if (to_scales || to_sizes) {
      while (node.input_size() > 2) {
        node.mutable_input()->RemoveLast();
      }
      while (node.input_size() < 2) {
        node.add_input("");
      }
      if (to_sizes) {
        // Before opset 13 scales must be there, if empty.
        node.add_input(rewriter_.Opset(id) >= 13
                           ? ""
                           : rewriter_.AddConstant(id, "no_scales", RawTensor(onnx::TensorProto::FLOAT, {0}, "")));
      }
      node.add_input(rewriter_.AddConstant(id, to_scales ? "scales" : "sizes", std::move(operand)));
      auto& attributes = *node.mutable_attribute();  // all axes are listed now
      attributes.erase(std::remove_if(attributes.begin(), attributes.end(),
                                      [](const onnx::AttributeProto& a) { return a.name() == "axes"; }),
                       attributes.end());
    }
    return "";
  }

  // Each pixel as a block of copies of it: a ConvTranspose for each channel, with a kernel of ones as large as the
  // factor.
  absl::StatusOr<std::string> WriteConvTranspose(NodeId id, const std::vector<Axis>& axes) {
    const ValueId data = rewriter_.Input(id, 0);
    const int dtype = rewriter_.Dtype(data);
    if (axes.size() < 3 || axes.size() > 5 || axes[0].scale != 1 || axes[1].scale != 1 || !axes[1].from ||
        *axes[1].from < 1 || *axes[1].from > (int64_t{1} << 24)) {
      return "a ConvTranspose needs a batch and a known number of channels in front, both of which stay";
    }
    std::vector<int64_t> factors;
    for (size_t i = 2; i < axes.size(); ++i) {
      if (axes[i].scale < 1 || std::trunc(axes[i].scale) != axes[i].scale || axes[i].scale > 64) {
        return fmt::format("axis {} is scaled by {:g}, and only whole factors (up to 64) copy pixels", i,
                           axes[i].scale);
      }
      factors.push_back(static_cast<int64_t>(axes[i].scale));
    }
    const absl::StatusOr<const onnx::OpSchema*> schema = RequireSchema(
        rewriter_.context().model().proto(), rewriter_.index(), rewriter_.index().node(id).scope, "", "ConvTranspose");
    if (!schema.ok() || dtype == 0 || !AcceptsDtype(**schema, 0, dtype)) {
      return dtype == 0 ? "its dtype isn't known" : fmt::format("there is no ConvTranspose of {}", DtypeName(dtype));
    }
    std::vector<int64_t> dims = {*axes[1].from, 1};
    dims.insert(dims.end(), factors.begin(), factors.end());
    int64_t count = 1;
    for (const int64_t dim : dims) {
      count *= dim;
    }
    if (count > int64_t{1} << 24) {
      return "its weight of ones would be too large";
    }
    const std::vector<double> ones(static_cast<size_t>(count), 1);
    const size_t spatial = factors.size();
    const std::vector<onnx::AttributeProto> attributes = {
        IntsAttribute("dilations", std::vector<int64_t>(spatial, 1)), IntAttribute("group", *axes[1].from),
        IntsAttribute("kernel_shape", factors), IntsAttribute("pads", std::vector<int64_t>(2 * spatial, 0)),
        IntsAttribute("strides", factors)};
    rewriter_.Become(
        id, "ConvTranspose",
        {rewriter_.Name(data), rewriter_.AddConstant(id, "ones", RawTensor(dtype, dims, *PackNumbers(dtype, ones)))},
        attributes);
    return "";
  }

  Rewriter& rewriter_;
  const std::string form_;
  const std::string operand_;
};

Effect EffectOfForm(const PassOptions& options) {
  return options.String("form") == "convtranspose" ? Effect::kExactFinite : Effect::kBitExact;
}

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Resizes resizes(rewriter, context.options());
  return rewriter.Run({.what = "a Resize (from opset 11 on) to the nearest element",
                       .applies = [&](NodeId id) { return resizes.Applies(id); },
                       .rewrite = [&](NodeId id) { return resizes.Rewrite(id); }});
}

}  // namespace

const PassInfo& ResizeToSupportedPass() {
  static const PassInfo info = {
      .name = "resize-to-supported",
      .summary = "write Resize to the nearest element in forms that devices take",
      .description =
          "Many devices take a Resize to the nearest element only as asymmetric with nearest_mode floor. Each one that "
          "picks the same elements in another way is written like that: which element is picked is computed by ONNX's "
          "formulas for every element, or for one period of a whole factor where sizes are open. Whole factors upwards "
          "of half_pixel with round_prefer_floor, the default, are such.\n\n"
          "form=convtranspose writes a ConvTranspose for each channel with a kernel of ones as large as the factor, "
          "for devices without Resize: exact for finite values, one multiplication an element. operand=scales and "
          "operand=sizes replace the one by the other where that says the same (also of other modes); the roi goes.\n\n"
          "Not rewritten: picks that differ (align_corners, factors that aren't whole), operands that aren't constant, "
          "unknown ranks, keep_aspect_ratio_policy, crops. Linear and cubic modes are only looked at for operand=.",
      .effect = Effect::kBitExact,
      .effect_of = EffectOfForm,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "form",
                                  .default_value = "resize",
                                  .help = "what is written",
                                  .choices = {"resize", "convtranspose"}},
                                 {.name = "operand",
                                  .default_value = "keep",
                                  .help = "how the new size is said",
                                  .choices = {"keep", "scales", "sizes"}}}),
      .examples = {"resize-to-supported", "resize-to-supported{operand=scales}",
                   "resize-to-supported{form=convtranspose}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
