// gemm-to-conv: a Gemm, or a MatMul of matrices, with a constant right side as a 1x1 Conv.
//
// The columns of the left side become channels. Its rows become the batch, or, with rows=spatial, the height of one
// image, which takes a Transpose on either side. The weight [n,k] is that of the Conv but for two axes of size 1.
#include "lib/model/attribute.h"
#include "lib/pass/gemm.h"

namespace gomai {
namespace {

class Gemms {
 public:
  Gemms(Rewriter& rewriter, bool spatial) : rewriter_(rewriter), spatial_(spatial) {}

  bool Applies(NodeId id) const { return IsLinear(rewriter_, id); }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    LinearLayer layer;
    if (std::string reason = ReadLinear(rewriter_, id, &layer); !reason.empty()) {
      return reason;
    }
    if (rewriter_.Dim(layer.data, layer.transposed ? 1 : 0) == 0) {
      return "it has no rows";
    }
    LinearCopies copies;
    if (std::string reason = CopyLinear(rewriter_, layer, {layer.n, layer.k, 1, 1}, &copies); !reason.empty()) {
      return reason;
    }
    std::string data = rewriter_.Name(layer.data);
    if (layer.transposed != spatial_) {
      data = rewriter_.Insert(id, "Transpose", {data}, {IntsAttribute("perm", {1, 0})}, "transposed");
    }
    const std::vector<int64_t> axes = spatial_ ? std::vector<int64_t>{0, 3} : std::vector<int64_t>{2, 3};
    data = View("Unsqueeze", id, data, axes, "image");
    GOMAI_ASSIGN_OR_RETURN(std::vector<std::string> inputs, AddLinear(rewriter_, id, std::move(copies)));
    inputs.insert(inputs.begin(), data);
    data = rewriter_.Insert(id, "Conv", inputs, {IntsAttribute("kernel_shape", {1, 1})}, "Conv");
    if (spatial_) {
      data = View("Squeeze", id, data, axes, "columns");
      rewriter_.Become(id, "Transpose", {data}, {IntsAttribute("perm", {1, 0})});
    } else {
      rewriter_.Become(id, "Flatten", {data}, {IntAttribute("axis", 1)});
    }
    return "";
  }

 private:
  // Axes stand in an input from opset 13 on.
  std::string View(const char* op_type, NodeId id, const std::string& data, const std::vector<int64_t>& axes,
                   const char* suffix) {
    if (rewriter_.Opset(id) < 13) {
      return rewriter_.Insert(id, op_type, {data}, {IntsAttribute("axes", axes)}, suffix);
    }
    return rewriter_.Insert(id, op_type, {data, rewriter_.AddConstant(id, "axes", IntVector(axes))}, {}, suffix);
  }

  Rewriter& rewriter_;
  const bool spatial_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Gemms gemms(rewriter, context.options().String("rows") == "spatial");
  return rewriter.Run({.what = "a Gemm, or a MatMul of two matrices",
                       .applies = [&](NodeId id) { return gemms.Applies(id); },
                       .rewrite = [&](NodeId id) { return gemms.Rewrite(id); }});
}

}  // namespace

const PassInfo& GemmToConvPass() {
  static const PassInfo info = {
      .name = "gemm-to-conv",
      .summary = "write Gemm with a constant weight as a 1x1 Conv",
      .description =
          "Replaces each Gemm, and each MatMul of two matrices, whose right side is constant by a Conv of kernel 1x1 "
          "between an Unsqueeze and a Flatten. The rows of the left side become the batch; with rows=spatial they "
          "become the height of one image, which takes a Transpose before and after.\n\n"
          "The sums have the same products, added in the runtime's order for a Conv. transA is a Transpose before it, "
          "transB is in the order of the weight's elements; alpha and beta other than 1 are multiplied into weight and "
          "bias, computed in double and rounded once. A weight or bias behind DequantizeLinear keeps its integers; its "
          "scales run along the outputs then as before, and take alpha and beta if these are positive. As many "
          "multiplications as before.\n\n"
          "Not rewritten: a right side that isn't constant; a C that isn't one number or one a column, or that isn't "
          "constant and of another shape than [n]; integers; an empty left side. flatten-gemm-to-conv first writes "
          "those behind a Flatten as one Conv. The weight that was read stays; prune removes it if nothing else reads "
          "it.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "rows",
                                  .default_value = "batch",
                                  .help = "what the rows of the left side become: the batch, or the height",
                                  .choices = {"batch", "spatial"}}}),
      .examples = {"gemm-to-conv,prune", "gemm-to-conv{rows=spatial}", "gemm-to-conv{node=Gemm_12}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
