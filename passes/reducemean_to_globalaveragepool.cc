// reducemean-to-globalaveragepool: the mean over all spatial axes, under the name that devices know.
#include <algorithm>
#include <numeric>

#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

// The axes that are reduced; nullopt where they aren't constant. The rank must be known.
std::optional<std::vector<int64_t>> ReducedAxes(const Rewriter& rewriter, NodeId id, int rank) {
  std::optional<std::vector<int64_t>> axes = rewriter.Ints(id, "axes");
  if (!axes && rewriter.Input(id, 1) != kNone) {
    axes = rewriter.Integers(rewriter.Input(id, 1));
    if (!axes) {
      return std::nullopt;
    }
  }
  if (!axes || axes->empty()) {
    axes.emplace(rewriter.Int(id, "noop_with_empty_axes", 0) != 0 ? 0 : static_cast<size_t>(rank));
    std::iota(axes->begin(), axes->end(), 0);
  }
  for (int64_t& axis : *axes) {
    axis += axis < 0 ? rank : 0;
  }
  std::sort(axes->begin(), axes->end());
  return axes;
}

bool Applies(const Rewriter& rewriter, NodeId id) {
  const int rank = rewriter.Rank(rewriter.Is(id, "ReduceMean") ? rewriter.Input(id, 0) : kNone);
  if (rank < 3) {
    return false;
  }
  std::vector<int64_t> spatial(static_cast<size_t>(rank) - 2);
  std::iota(spatial.begin(), spatial.end(), 2);
  return ReducedAxes(rewriter, id, rank) == spatial;
}

absl::StatusOr<std::string> Rewrite(Rewriter& rewriter, NodeId id) {
  const ValueId data = rewriter.Input(id, 0);
  const int rank = rewriter.Rank(data);
  const int dtype = rewriter.Dtype(data);
  GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* pool,
                         RequireSchema(rewriter.context().model().proto(), rewriter.index(),
                                       rewriter.index().node(id).scope, "", "GlobalAveragePool"));
  if (dtype == 0 || !AcceptsDtype(*pool, 0, dtype)) {
    return dtype == 0 ? "its dtype isn't known" : fmt::format("a GlobalAveragePool takes no {}", DtypeName(dtype));
  }
  if (rank > 5) {
    return fmt::format("runtimes know pools of 1 to 3 spatial axes, and it has {}", rank - 2);
  }
  if (rewriter.Int(id, "keepdims", 1) != 0) {
    rewriter.Become(id, "GlobalAveragePool", {rewriter.Name(data)});
    return "";
  }
  std::vector<int64_t> spatial(static_cast<size_t>(rank) - 2);
  std::iota(spatial.begin(), spatial.end(), 2);
  const std::string pooled = rewriter.Insert(id, "GlobalAveragePool", {rewriter.Name(data)});
  if (rewriter.Opset(id) >= 13) {
    rewriter.Become(id, "Squeeze", {pooled, rewriter.AddConstant(id, "axes", IntVector(spatial))});
  } else {
    rewriter.Become(id, "Squeeze", {pooled}, {IntsAttribute("axes", spatial)});
  }
  return "";
}

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  return rewriter.Run({.what = "a ReduceMean over exactly the spatial axes of a tensor of known rank (3 or more)",
                       .applies = [&](NodeId id) { return Applies(rewriter, id); },
                       .rewrite = [&](NodeId id) { return Rewrite(rewriter, id); }});
}

}  // namespace

const PassInfo& ReducemeanToGlobalaveragepoolPass() {
  static const PassInfo info = {
      .name = "reducemean-to-globalaveragepool",
      .summary = "write the mean over all spatial axes as GlobalAveragePool",
      .description =
          "Replaces each ReduceMean over axes 2 and up, all of them, of a tensor of rank 3 to 5 by a "
          "GlobalAveragePool; "
          "without keepdims a Squeeze behind it drops the axes. The same elements are summed, in whatever order the "
          "runtime takes. QuantizeLinear and DequantizeLinear around it stay where they are.\n\n"
          "Not rewritten: integers, and types that a GlobalAveragePool lacks. A ReduceMean over other axes isn't "
          "looked "
          "at.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"reducemean-to-globalaveragepool"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
