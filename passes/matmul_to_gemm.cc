// matmul-to-gemm: a MatMul by a matrix, with the bias that an Add behind it adds, as Gemm.
//
// Rows are gathered into one axis and spread again where the left side has more than two dims.
#include <algorithm>

#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

class MatMuls {
 public:
  explicit MatMuls(Rewriter& rewriter) : rewriter_(rewriter) {}

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const ValueId a = rewriter_.Input(id, 0);
    const ValueId b = rewriter_.Input(id, 1);
    const int dtype = rewriter_.Dtype(a);
    const int rank = rewriter_.Rank(a);
    if (rank < 0 || rewriter_.Rank(b) < 0) {
      return fmt::format("the rank of '{}' isn't known", rewriter_.Name(rank < 0 ? a : b));
    }
    if (rewriter_.Rank(b) != 2 || rank < 2) {
      return fmt::format("it multiplies ranks {} and {}, and a Gemm takes a matrix on the right", rank,
                         rewriter_.Rank(b));
    }
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* gemm,
                           RequireSchema(rewriter_.context().model().proto(), rewriter_.index(),
                                         rewriter_.index().node(id).scope, "", "Gemm"));
    if (!IsFloatDtype(dtype) || !AcceptsDtype(*gemm, 0, dtype)) {
      return dtype == 0 ? "its dtype isn't known" : fmt::format("runtimes have no Gemm of {}", DtypeName(dtype));
    }
    if (rewriter_.Opset(id) < 7) {
      return "Gemm broadcasts by other rules before opset 7; convert-opset brings the model there";
    }
    std::vector<int64_t> back;
    if (rank > 2) {
      if (!rewriter_.Dim(b, 0)) {
        return "the number of rows of its right side isn't known";
      }
      for (int i = 0; i + 1 < rank; ++i) {
        back.push_back(rewriter_.Dim(a, i).value_or(-1));
      }
      back.push_back(rewriter_.Dim(b, 1).value_or(-1));
      if (std::count(back.begin(), back.end(), -1) > 1) {
        return "more than one dim of its result isn't known, so the rows can't be spread again";
      }
      if (std::count(back.begin(), back.end(), 0) > 0) {
        return "it has no rows";
      }
    }
    const NodeId add = rank == 2 ? BiasAdd(id) : kNone;
    std::string bias;
    if (add != kNone) {
      bias = rewriter_.Name(rewriter_.Input(add, rewriter_.Input(add, 0) == rewriter_.Output(id, 0) ? 1 : 0));
    } else if (rewriter_.Opset(id) < 11) {
      bias = rewriter_.AddConstant(id, "zero", RawTensor(dtype, {1}, *PackNumbers(dtype, {0})));
    }
    std::vector<std::string> inputs = {rewriter_.Name(a), rewriter_.Name(b)};
    if (!bias.empty()) {
      inputs.push_back(bias);
    }
    if (rank == 2) {
      if (add != kNone) {
        rewriter_.Erase(id);
      }
      rewriter_.Become(add != kNone ? add : id, "Gemm", inputs);
      return "";
    }
    inputs[0] = rewriter_.Insert(id, "Reshape",
                                 {inputs[0], rewriter_.AddConstant(id, "rows", IntVector({-1, *rewriter_.Dim(b, 0)}))});
    const std::string product = rewriter_.Insert(id, "Gemm", inputs);
    rewriter_.Become(id, "Reshape", {product, rewriter_.AddConstant(id, "shape", IntVector(back))});
    return "";
  }

 private:
  // The Add that alone reads the product, of a constant that Gemm broadcasts in the same way; kNone if there is none.
  NodeId BiasAdd(NodeId id) const {
    const ValueId product = rewriter_.Output(id, 0);
    const auto& uses = rewriter_.index().value(product).uses;
    const NodeId add = uses.size() == 1 ? uses[0].node : kNone;
    if (!rewriter_.Is(add, "Add") || !rewriter_.IsReadOnlyBy(product, add) ||
        rewriter_.index().node(add).scope != rewriter_.index().node(id).scope) {
      return kNone;
    }
    const ValueId other = rewriter_.Input(add, rewriter_.Input(add, 0) == product ? 1 : 0);
    const std::optional<std::vector<int64_t>> shape = rewriter_.FixedShape(other);
    const std::optional<int64_t> columns = rewriter_.Dim(product, 1);
    if (!rewriter_.index().IsConstant(other) || !shape || shape->size() > 2 || !columns ||
        rewriter_.Dtype(other) != rewriter_.Dtype(product) || (shape->size() == 2 && (*shape)[0] != 1)) {
      return kNone;
    }
    return shape->empty() || shape->back() == 1 || shape->back() == *columns ? add : kNone;
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  MatMuls matmuls(rewriter);
  return rewriter.Run({.what = "a MatMul",
                       .applies = [&](NodeId id) { return rewriter.Is(id, "MatMul"); },
                       .rewrite = [&](NodeId id) { return matmuls.Rewrite(id); }});
}

}  // namespace

const PassInfo& MatmulToGemmPass() {
  static const PassInfo info = {
      .name = "matmul-to-gemm",
      .summary = "write MatMul by a matrix, and the bias behind it, as Gemm",
      .description =
          "Replaces each MatMul by a matrix by a Gemm. An Add of a constant that alone reads the product becomes the "
          "Gemm's bias, and the Add's name and result are the Gemm's then. Where the left side has more than two dims, "
          "a "
          "Reshape gathers its rows into one axis, and another one spreads them again. The same products are summed, "
          "in "
          "whatever order the runtime takes; the number of multiplications stays. QuantizeLinear and DequantizeLinear "
          "around it stay where they are.\n\n"
          "Not rewritten: a right side of another rank than 2, unknown ranks, more than one unknown dim where rows are "
          "gathered, integers, and models before opset 7.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"matmul-to-gemm", "matmul-to-gemm{unfit=keep}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
