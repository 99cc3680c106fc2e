// flatten-gemm-to-conv: a Gemm on a flattened image as one Conv whose kernel is the whole image.
//
// The weight [n, c*h*w] is that of the Conv, [n,c,h,w], but for its dims. That the weight has c*h*w columns proves that
// the Flatten or Reshape before it keeps the batch, however it is written: otherwise the model couldn't run. A pair of
// QuantizeLinear and DequantizeLinear in between is put before the Conv, where it gives the same integers.
#include <algorithm>

#include "lib/model/attribute.h"
#include "lib/pass/gemm.h"

namespace gomai {
namespace {

class FlatGemms {
 public:
  explicit FlatGemms(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const { return IsLinear(rewriter_, id) && Find(id).view != kNone; }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const Chain chain = Find(id);
    LinearLayer layer;
    if (std::string reason = ReadLinear(rewriter_, id, &layer); !reason.empty()) {
      return reason;
    }
    const ValueId image = rewriter_.Input(chain.view, 0);
    std::vector<int64_t> dims = {layer.n};
    for (int axis = 1; axis < rewriter_.Rank(image); ++axis) {
      const std::optional<int64_t> dim = rewriter_.Dim(image, axis);
      if (!dim) {
        return fmt::format("the shape {} of '{}' isn't known but for the batch", ShapeText(rewriter_.type(image)),
                           rewriter_.Name(image));
      }
      dims.push_back(*dim);
    }
    if (layer.transposed) {
      return "its left side is transposed";
    }
    if (Elements(dims) != layer.n * layer.k) {
      return fmt::format("its weight has {} rows, but '{}' is {}: more than channels and pixels is flattened", layer.k,
                         rewriter_.Name(image), ShapeText(rewriter_.type(image)));
    }
    if (rewriter_.Dim(image, 0) == 0) {
      return "its batch is empty";
    }
    LinearCopies copies;
    if (std::string reason = CopyLinear(rewriter_, layer, dims, &copies); !reason.empty()) {
      return reason;
    }
    std::string data = rewriter_.Name(image);
    for (auto node = chain.between.rbegin(); node != chain.between.rend(); ++node) {
      const onnx::NodeProto& proto = rewriter_.proto(*node);
      std::vector<std::string> inputs(proto.input().begin(), proto.input().end());
      inputs[0] = data;
      data = rewriter_.Insert(id, proto.op_type(), inputs, {proto.attribute().begin(), proto.attribute().end()});
    }
    GOMAI_ASSIGN_OR_RETURN(std::vector<std::string> inputs, AddLinear(rewriter_, id, std::move(copies)));
    inputs.insert(inputs.begin(), data);
    dims.erase(dims.begin(), dims.begin() + 2);
    data = rewriter_.Insert(id, "Conv", inputs, {IntsAttribute("kernel_shape", dims)}, "Conv");
    rewriter_.Become(id, "Flatten", {data}, {IntAttribute("axis", 1)});
    return "";
  }

 private:
  struct Chain {
    NodeId view = kNone;          // the Flatten or Reshape
    std::vector<NodeId> between;  // from the Gemm up
  };

  Chain Find(NodeId id) const {
    Chain chain;
    ValueId value = rewriter_.Input(id, 0);
    for (const char* op_type : {"DequantizeLinear", "QuantizeLinear"}) {
      const NodeId node = rewriter_.Producer(value, op_type);
      if (node == kNone || !OneScale(node)) {
        break;
      }
      chain.between.push_back(node);
      value = rewriter_.Input(node, 0);
    }
    if (chain.between.size() == 1) {
      return {};
    }
    const NodeId flatten = rewriter_.Producer(value, "Flatten");
    const NodeId view = flatten != kNone ? flatten : rewriter_.Producer(value, "Reshape");
    if (view != kNone && rewriter_.Rank(rewriter_.Input(view, 0)) >= 3) {
      chain.view = view;
    }
    return chain;
  }

  // Does it quantise or dequantise all elements alike?
  bool OneScale(NodeId id) const {
    const ValueId scale = rewriter_.Input(id, 1);
    const onnx::TensorProto* tensor = rewriter_.Constant(scale);
    if (rewriter_.Int(id, "block_size", 0) != 0) {
      return false;
    }
    return tensor != nullptr ? tensor->dims_size() == 0 || (tensor->dims_size() == 1 && tensor->dims(0) == 1)
                             : rewriter_.Rank(scale) == 0;
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  FlatGemms gemms(rewriter);
  return rewriter.Run({.what = "a Gemm or MatMul on a flattened image",
                       .applies = [&](NodeId id) { return gemms.Applies(id); },
                       .rewrite = [&](NodeId id) { return gemms.Rewrite(id); }});
}

}  // namespace

const PassInfo& FlattenGemmToConvPass() {
  static const PassInfo info = {
      .name = "flatten-gemm-to-conv",
      .summary = "write Gemm on a flattened image as one Conv",
      .description =
          "Replaces each Gemm, and each MatMul of two matrices, with a constant right side that reads a Flatten or "
          "Reshape of an image [n,c,h,w] by a Conv whose kernel is the whole image, and a Flatten of its result. "
          "Images "
          "of one or three axes likewise. Channels, height and width must be known, the batch needn't be.\n\n"
          "The sums have the same products, added in the runtime's order for a Conv; as many multiplications as "
          "before. alpha, beta, the forms of C and quantised weights are as for gemm-to-conv. A QuantizeLinear and "
          "DequantizeLinear of one scale between the Flatten and the Gemm are put before the Conv. What nothing reads "
          "afterwards is left; prune removes it.\n\n"
          "Not rewritten: what gemm-to-conv doesn't rewrite; transA; a weight that doesn't have c*h*w rows, since then "
          "the batch is flattened too.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"flatten-gemm-to-conv,prune", "flatten-gemm-to-conv{node=Gemm_12}",
                   "flatten-gemm-to-conv{unfit=keep},gemm-to-conv{unfit=keep}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
