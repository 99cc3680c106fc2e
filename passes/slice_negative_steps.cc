// slice-negative-steps: what a Slice picks backwards, a Gather picks by its indices.
//
// The indices are those of ONNX's definition: start and end count from the end if negative, and are clamped to the
// axis.
#include <algorithm>
#include <numeric>

#include "lib/model/attribute.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

constexpr int64_t kMostIndices = 1 << 20;

// The elements from `start` down to, and without, `end`. ONNX clamps a start to the axis, so one in front of it means
// the first element.
std::vector<int64_t> Picked(int64_t size, int64_t start, int64_t end, int64_t step) {
  std::vector<int64_t> picked;
  if (size == 0) {
    return picked;
  }
  start = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size - 1);
  end = std::clamp<int64_t>(end < 0 ? end + size : end, -1, size - 1);
  for (int64_t at = start; at > end; at = step < -at ? -1 : at + step) {
    picked.push_back(at);
  }
  return picked;
}

class Slices {
 public:
  explicit Slices(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const {
    const std::optional<std::vector<int64_t>> steps =
        rewriter_.Is(id, "Slice") ? rewriter_.Integers(rewriter_.Input(id, 4)) : std::nullopt;
    return steps && std::any_of(steps->begin(), steps->end(), [](int64_t step) { return step < 0; });
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const ValueId data = rewriter_.Input(id, 0);
    const std::vector<int64_t> steps = *rewriter_.Integers(rewriter_.Input(id, 4));
    const std::optional<std::vector<int64_t>> starts = rewriter_.Integers(rewriter_.Input(id, 1));
    const std::optional<std::vector<int64_t>> ends = rewriter_.Integers(rewriter_.Input(id, 2));
    std::optional<std::vector<int64_t>> axes = rewriter_.Integers(rewriter_.Input(id, 3));
    if (!starts || !ends || (!axes && rewriter_.Input(id, 3) != kNone)) {
      return "its starts, ends or axes aren't constant";
    }
    if (!axes) {
      axes.emplace(starts->size());
      std::iota(axes->begin(), axes->end(), 0);
    }
    if (ends->size() != starts->size() || axes->size() != starts->size() || steps.size() != starts->size()) {
      return "its starts, ends, axes and steps aren't of one length";
    }
    struct Backwards {
      int64_t axis;
      std::vector<int64_t> indices;
    };
    std::vector<Backwards> backwards;
    std::vector<size_t> forwards;
    for (size_t i = 0; i < steps.size(); ++i) {
      if (steps[i] > 0) {
        forwards.push_back(i);
        continue;
      }
      const std::optional<int64_t> size = rewriter_.Dim(data, static_cast<int>((*axes)[i]));
      if (!size || steps[i] == 0) {
        return fmt::format("the size of axis {}, from whose end it counts, isn't known; freeze-shapes may settle it",
                           (*axes)[i]);
      }
      if ((*ends)[i] == INT32_MAX || (*ends)[i] == INT64_MAX) {
        return fmt::format(
            "its end along axis {} is the largest integer, which with a negative step means the end by "
            "ONNX's definition and the beginning in ONNX Runtime; give the one that is meant",
            (*axes)[i]);
      }
      if (*size > kMostIndices) {
        return fmt::format("axis {} has {} elements, too many to list", (*axes)[i], *size);
      }
      backwards.push_back({(*axes)[i], Picked(*size, (*starts)[i], (*ends)[i], steps[i])});
    }
    std::string input = rewriter_.Name(data);
    for (size_t i = 0; i < backwards.size(); ++i) {
      const std::vector<std::string> inputs = {input,
                                               rewriter_.AddConstant(id, "indices", IntVector(backwards[i].indices))};
      const std::vector<onnx::AttributeProto> attributes = {IntAttribute("axis", backwards[i].axis)};
      if (i + 1 == backwards.size() && forwards.empty()) {
        rewriter_.Become(id, "Gather", inputs, attributes);
        return "";
      }
      input = rewriter_.Insert(id, "Gather", inputs, attributes);
    }
    const auto some = [&](const std::vector<int64_t>& all) {
      std::vector<int64_t> chosen;
      for (const size_t i : forwards) {
        chosen.push_back(all[i]);
      }
      return IntVector(chosen);
    };
    rewriter_.Become(
        id, "Slice",
        {input, rewriter_.AddConstant(id, "starts", some(*starts)), rewriter_.AddConstant(id, "ends", some(*ends)),
         rewriter_.AddConstant(id, "axes", some(*axes)), rewriter_.AddConstant(id, "steps", some(steps))});
    return "";
  }

 private:
  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Slices slices(rewriter);
  return rewriter.Run({.what = "a Slice with a constant negative step",
                       .applies = [&](NodeId id) { return slices.Applies(id); },
                       .rewrite = [&](NodeId id) { return slices.Rewrite(id); }});
}

}  // namespace

const PassInfo& SliceNegativeStepsPass() {
  static const PassInfo info = {
      .name = "slice-negative-steps",
      .summary = "write Slice with negative steps as Gather",
      .description =
          "Replaces what a Slice does with a negative step along an axis by a Gather of the same elements with "
          "constant "
          "indices; axes with positive steps stay with a Slice behind it. Exact bit for bit in every type; no "
          "multiplications.\n\n"
          "Not rewritten: starts, ends or axes that aren't constant, an axis whose size isn't known, and the largest "
          "integer as an end, which ONNX Runtime "
          "reads otherwise than ONNX. Steps that "
          "aren't constant aren't looked at.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"slice-negative-steps"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
