// matmul-to-gemm: a MatMul by a matrix as a Gemm, with the Add of a bias that follows.
//
// A left side of more axes is viewed as a matrix before and viewed back afterwards, which takes a shape with at most
// one open dim. The right side needn't be constant, so what is quantised stays as it is.
#include "lib/graph/parse_attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

class MatMuls {
 public:
  explicit MatMuls(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const {
    return rewriter_.Is(id, "MatMul") && rewriter_.Rank(rewriter_.Input(id, 1)) == 2 &&
           rewriter_.Rank(rewriter_.Input(id, 0)) >= 2;
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const ValueId left = rewriter_.Input(id, 0);
    const ValueId right = rewriter_.Input(id, 1);
    const std::optional<int64_t> n = rewriter_.Dim(right, 1);
    const std::optional<int64_t> k = rewriter_.Dim(right, 0);
    const int opset = rewriter_.Opset(id);
    if (opset < 7) {
      return "a Gemm before opset 7 adds a whole matrix";
    }
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* gemm,
                           RequireSchema(rewriter_.context().model().proto(), rewriter_.index(),
                                         rewriter_.index().node(id).scope, "", "Gemm"));
    const int dtype = rewriter_.Dtype(right) != 0 ? rewriter_.Dtype(right) : rewriter_.Dtype(left);
    if (dtype == 0 || !AcceptsDtype(*gemm, 0, dtype)) {
      return dtype == 0 ? std::string("its dtype isn't known")
                        : fmt::format("a Gemm takes no {} in this opset", DtypeName(dtype));
    }
    const int rank = rewriter_.Rank(left);
    std::vector<int64_t> back;  // the shape of the result; empty: it is a matrix already
    if (rank > 2) {
      if (!n || !k) {
        return fmt::format("the shape {} of its right side isn't known", ShapeText(rewriter_.type(right)));
      }
      bool open = false;
      for (int axis = 0; axis + 1 < rank; ++axis) {
        const std::optional<int64_t> dim = rewriter_.Dim(left, axis);
        if (!dim && open) {
          return fmt::format("more than one dim of the shape {} of its left side is open",
                             ShapeText(rewriter_.type(left)));
        }
        open = open || !dim;
        back.push_back(dim.value_or(-1));
      }
      back.push_back(*n);
      for (const int64_t dim : back) {
        if (dim == 0 || *k == 0) {
          return "it has no elements";
        }
      }
    }
    const NodeId add = FindAdd(id, n);
    const ValueId bias = add == kNone ? kNone : rewriter_.Input(add, Side(id, add));
    const NodeId last = add == kNone ? id : add;
    std::vector<std::string> inputs = {rewriter_.Name(left), rewriter_.Name(right)};
    if (!back.empty()) {
      const std::string shape = rewriter_.AddConstant(last, "matrix", IntVector({-1, *k}));
      inputs[0] = rewriter_.Insert(last, "Reshape", {inputs[0], shape}, {}, "rows");
    }
    if (bias != kNone) {
      inputs.push_back(rewriter_.Name(bias));
    } else if (opset < 11) {  // C may be absent from opset 11 on
      const std::optional<std::string> zero = PackNumbers(dtype, {0});
      inputs.push_back(rewriter_.AddConstant(last, "zero", RawTensor(dtype, {1}, zero.value_or(""))));
    }
    if (add != kNone) {
      rewriter_.Erase(id);
    }
    if (back.empty()) {
      rewriter_.Become(last, "Gemm", inputs);
      return "";
    }
    const std::string product = rewriter_.Insert(last, "Gemm", inputs, {}, "Gemm");
    rewriter_.Become(last, "Reshape", {product, rewriter_.AddConstant(last, "shape", IntVector(back))});
    return "";
  }

 private:
  size_t Side(NodeId matmul, NodeId add) const {
    return rewriter_.Input(add, 0) == rewriter_.Output(matmul, 0) ? 1 : 0;
  }

  // The Add of one number, or of one a column, to the result, that is all that reads it.
  NodeId FindAdd(NodeId id, std::optional<int64_t> n) const {
    const ValueId product = rewriter_.Output(id, 0);
    const Index::Value& value = rewriter_.index().value(product);
    const NodeId add = value.uses.size() == 1 ? value.uses[0].node : kNone;
    if (!rewriter_.Is(add, "Add") || !rewriter_.IsReadOnlyBy(product, add) || !n ||
        rewriter_.index().node(add).scope != rewriter_.index().node(id).scope) {
      return kNone;
    }
    const std::optional<std::vector<int64_t>> shape = rewriter_.FixedShape(rewriter_.Input(add, Side(id, add)));
    if (!shape || shape->size() > 2 || (shape->size() == 2 && (*shape)[0] != 1) ||
        (!shape->empty() && shape->back() != *n && shape->back() != 1)) {
      return kNone;
    }
    return *n > 0 ? add : kNone;
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  MatMuls matmuls(rewriter);
  return rewriter.Run({.what = "a MatMul by a matrix",
                       .applies = [&](NodeId id) { return matmuls.Applies(id); },
                       .rewrite = [&](NodeId id) { return matmuls.Rewrite(id); }});
}

}  // namespace

const PassInfo& MatmulToGemmPass() {
  static const PassInfo info = {
      .name = "matmul-to-gemm",
      .summary = "write MatMul by a matrix, and the Add of a bias, as Gemm",
      .description =
          "Replaces each MatMul whose right side is a matrix, constant or not, by a Gemm. A left side of more than two "
          "axes is reshaped to a matrix before, and the result is reshaped back. An Add of one number, or of one a "
          "column, that alone reads the result becomes the Gemm's C; any other Add stays. Before opset 11, where a "
          "Gemm must have a C, that is a constant zero.\n\n"
          "The sums have the same products, added in the runtime's order for a Gemm, and the bias perhaps first. As "
          "many multiplications as before. What is quantised stays so: operands are read as they were. An Add behind "
          "QuantizeLinear isn't taken in.\n\n"
          "Not rewritten: a left side of more than two axes of which two or more dims besides the last are open, or "
          "that has no elements; a type that Gemm doesn't take; opsets before 7. A MatMul by vectors or stacks of "
          "matrices isn't looked at.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"matmul-to-gemm", "matmul-to-gemm{unfit=keep}", "matmul-to-gemm{node=MatMul_12}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
