// expand-to-tile: an Expand between known shapes repeats its input along the axes of size 1.
#include "lib/model/attribute.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

absl::StatusOr<std::string> Rewrite(Rewriter& rewriter, NodeId id) {
  const ValueId data = rewriter.Input(id, 0);
  const std::optional<std::vector<int64_t>> from = rewriter.FixedShape(data);
  const std::optional<std::vector<int64_t>> to = rewriter.FixedShape(rewriter.Output(id, 0));
  if (!from || !to) {
    return fmt::format("the shape of its {} isn't known; freeze-shapes and fold-constants may settle it",
                       from ? "result" : "input");
  }
  std::vector<int64_t> shape(to->size() - std::min(to->size(), from->size()), 1);
  shape.insert(shape.end(), from->begin(), from->end());
  if (shape.size() != to->size()) {
    return "its result has fewer dims than its input";
  }
  std::vector<int64_t> repeats;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != (*to)[i] && shape[i] != 1) {
      return fmt::format("axis {} of size {} can't become {}", i, shape[i], (*to)[i]);
    }
    repeats.push_back(shape[i] == (*to)[i] ? 1 : (*to)[i]);
  }
  std::string input = rewriter.Name(data);
  if (from->size() != to->size()) {
    input = rewriter.Insert(id, "Reshape", {input, rewriter.AddConstant(id, "shape", IntVector(shape))});
  }
  rewriter.Become(id, "Tile", {input, rewriter.AddConstant(id, "repeats", IntVector(repeats))});
  return "";
}

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  return rewriter.Run({.what = "an Expand",
                       .applies = [&](NodeId id) { return rewriter.Is(id, "Expand"); },
                       .rewrite = [&](NodeId id) { return Rewrite(rewriter, id); }});
}

}  // namespace

const PassInfo& ExpandToTilePass() {
  static const PassInfo info = {
      .name = "expand-to-tile",
      .summary = "write Expand as Tile",
      .description =
          "Replaces each Expand whose input and result have known shapes by a Tile that repeats the axes of size 1; "
          "where "
          "the result has more dims, a Reshape before it adds axes of size 1. Exact bit for bit in every type; no "
          "multiplications.\n\n"
          "Not rewritten: shapes that aren't known, since the number of repeats follows from them.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"expand-to-tile", "freeze-shapes{image=1x3x480x640},fold-constants,expand-to-tile"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
