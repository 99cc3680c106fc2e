// split-to-slice: a Split as one Slice for each of its results.
//
// Sizes stand in an attribute, in an input, or follow from the number of results; where each piece begins is their sum
// so far.
#include <algorithm>
#include <numeric>

#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

class Splits {
 public:
  explicit Splits(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const {
    const onnx::NodeProto& node = rewriter_.proto(id);
    return node.op_type() == "Split" && node.output_size() > 0 && IsDefaultDomain(node.domain()) &&
           rewriter_.index().CalledFunction(node) == kNone;
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const onnx::NodeProto& node = rewriter_.proto(id);
    const ValueId data = rewriter_.Input(id, 0);
    const int64_t axis = rewriter_.Int(id, "axis", 0);
    if (data == kNone) {
      return "it has no input";
    }
    std::string why;
    const std::optional<std::vector<int64_t>> sizes = Sizes(id, axis, &why);
    if (!sizes) {
      return why;
    }
    if (std::any_of(sizes->begin(), sizes->end(), [](int64_t size) { return size < 0 || size > (int64_t{1} << 48); }) ||
        sizes->size() != static_cast<size_t>(node.output_size())) {
      return fmt::format("its sizes [{}] don't fit its {} results", fmt::join(*sizes, ","), node.output_size());
    }
    if (const std::optional<int64_t> dim = rewriter_.Dim(data, static_cast<int>(axis));
        dim && *dim != std::accumulate(sizes->begin(), sizes->end(), int64_t{0})) {
      return fmt::format("its sizes [{}] don't add up to the {} of axis {}", fmt::join(*sizes, ","), *dim, axis);
    }
    const std::string input = rewriter_.Name(data);
    int64_t begin = 0;
    bool kept = false;
    for (int i = 0; i < node.output_size(); ++i) {
      const int64_t end = begin + (*sizes)[static_cast<size_t>(i)];
      if (!node.output(i).empty()) {
        Write(id, node.output(i), input, axis, begin, end, kept);
        kept = true;
      }
      begin = end;
    }
    if (!kept) {
      rewriter_.Erase(id);
    }
    return "";
  }

 private:
  std::optional<std::vector<int64_t>> Sizes(NodeId id, int64_t axis, std::string* why) const {
    if (const std::optional<std::vector<int64_t>> given = rewriter_.Ints(id, "split")) {
      return given;
    }
    if (rewriter_.Input(id, 1) != kNone) {
      *why = fmt::format("its sizes '{}' aren't constant", rewriter_.Name(rewriter_.Input(id, 1)));
      return rewriter_.Integers(rewriter_.Input(id, 1));
    }
    const auto count = static_cast<int64_t>(rewriter_.proto(id).output_size());
    const std::optional<int64_t> dim = rewriter_.Dim(rewriter_.Input(id, 0), static_cast<int>(axis));
    if (!dim) {
      *why = fmt::format("the size of axis {} isn't known; freeze-shapes may settle it", axis);
      return std::nullopt;
    }
    if (*dim % count != 0 && rewriter_.Opset(id) < 18) {
      *why = fmt::format("axis {} of size {} can't be split into {} equal pieces", axis, *dim, count);
      return std::nullopt;
    }
    const int64_t piece = (*dim + count - 1) / count;  // from opset 18 on the last one may be smaller
    std::vector<int64_t> sizes(static_cast<size_t>(count), piece);
    sizes.back() = *dim - piece * (count - 1);
    *why = fmt::format("axis {} of size {} can't be split into {} pieces of {}", axis, *dim, count, piece);
    return sizes.back() < 0 ? std::nullopt : std::optional(sizes);
  }

  // The first Slice takes the node's place; the others stand before it.
  void Write(NodeId id, const std::string& output, const std::string& input, int64_t axis, int64_t begin, int64_t end,
             bool another) {
    std::vector<std::string> inputs = {input};
    std::vector<onnx::AttributeProto> attributes;
    if (rewriter_.Opset(id) >= 10) {
      inputs.push_back(rewriter_.AddConstant(id, "starts", IntVector({begin})));
      inputs.push_back(rewriter_.AddConstant(id, "ends", IntVector({end})));
      inputs.push_back(rewriter_.AddConstant(id, "axes", IntVector({axis})));
    } else {
      attributes = {IntsAttribute("axes", {axis}), IntsAttribute("ends", {end}), IntsAttribute("starts", {begin})};
    }
    if (another) {
      rewriter_.InsertAs(id, "Slice", inputs, attributes, output);
      return;
    }
    onnx::NodeProto& node = rewriter_.Become(id, "Slice", inputs, attributes, rewriter_.proto(id).output_size());
    node.clear_output();
    node.add_output(output);
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Splits splits(rewriter);
  return rewriter.Run({.what = "a Split",
                       .applies = [&](NodeId id) { return splits.Applies(id); },
                       .rewrite = [&](NodeId id) { return splits.Rewrite(id); }});
}

}  // namespace

const PassInfo& SplitToSlicePass() {
  static const PassInfo info = {
      .name = "split-to-slice",
      .summary = "write Split as Slices",
      .description =
          "Replaces each Split by one Slice for each result that is there; the names of the results stay, and the "
          "first "
          "Slice has the node's name. Exact bit for bit in every type; no multiplications. Sizes are taken from the "
          "attribute or the constant input, or follow from the number of results: equal ones, and from opset 18 on a "
          "smaller last one.\n\n"
          "Not rewritten: sizes that aren't constant, or that follow from an axis whose size isn't known.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"split-to-slice", "split-to-slice{node=/attention/Split}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
