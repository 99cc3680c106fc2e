// fold-batchnorm: a BatchNormalization behind a Conv, ConvTranspose or Gemm goes into its weight and bias.
//
// With f = scale / sqrt(variance + epsilon) a channel, f * (W x + b - mean) + B = (f W) x + (f (b - mean) + B). That is
// computed in double and rounded once. Only statistics that are given are folded: a node that trains computes its own.
#include <algorithm>
#include <cmath>

#include "lib/model/dtype.h"
#include "lib/pass/weight.h"

namespace gomai {
namespace {

using Numbers = std::vector<double>;

class BatchNorms {
 public:
  explicit BatchNorms(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const {
    return rewriter_.Is(id, "BatchNormalization") && (Layer(id) != kNone || BehindQuantisation(id));
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const NodeId layer = Layer(id);
    if (layer == kNone) {
      return "what it reads is quantised in between, and rounded there";
    }
    if (std::string reason = Trains(id); !reason.empty()) {
      return reason;
    }
    if (!rewriter_.IsReadOnlyBy(rewriter_.Input(id, 0), id)) {
      return fmt::format("the result of {} is read elsewhere too", rewriter_.index().Describe(layer));
    }
    for (const onnx::AttributeProto& attribute : rewriter_.proto(layer).attribute()) {
      if (!attribute.ref_attr_name().empty()) {
        return fmt::format("{} has its {} from the function's caller", rewriter_.index().Describe(layer),
                           attribute.name());
      }
    }
    ConstantWeight weight;
    if (std::string reason = FindWeight(rewriter_, rewriter_.Input(layer, 1), &weight); !reason.empty()) {
      return "its weight can't be multiplied: " + reason;
    }
    int axis = 0;
    if (std::string reason = OutputAxis(layer, weight, &axis); !reason.empty()) {
      return reason;
    }
    const auto channels = static_cast<size_t>(weight.dims[static_cast<size_t>(axis)]);
    Numbers factors;
    Numbers bias;
    if (std::string reason = Fold(id, layer, channels, &factors, &bias); !reason.empty()) {
      return reason;
    }
    WeightCopy copy;
    if (std::string reason = CopyWeight(
            rewriter_, weight,
            {.dims = weight.dims, .source = [](int64_t i) { return i; }, .factors = factors, .factor_axis = axis},
            &copy);
        !reason.empty()) {
      return reason;
    }
    const std::optional<std::string> packed = PackNumbers(weight.dtype, bias);
    if (!packed || !Finite(weight.dtype, *packed) ||
        (copy.as_is.empty() && copy.dequantize == kNone && !Finite(weight.dtype, copy.tensor.raw_data()))) {
      return "its weight or bias would leave the range of their dtype";
    }
    std::vector<onnx::AttributeProto> attributes;
    for (const onnx::AttributeProto& attribute : rewriter_.proto(layer).attribute()) {
      if (attribute.name() != "beta") {  // of a Gemm: it is in the bias now
        attributes.push_back(attribute);
      }
    }
    GOMAI_ASSIGN_OR_RETURN(const std::string name, AddWeight(rewriter_, id, "weight", std::move(copy)));
    const std::string added =
        rewriter_.AddConstant(id, "bias", RawTensor(weight.dtype, {static_cast<int64_t>(channels)}, *packed));
    const std::string op_type = rewriter_.proto(layer).op_type();
    rewriter_.Erase(layer);
    rewriter_.Become(id, op_type, {rewriter_.Name(rewriter_.Input(layer, 0)), name, added}, attributes);
    return "";
  }

 private:
  NodeId Layer(NodeId id) const { return LayerOf(rewriter_.Input(id, 0)); }

  NodeId LayerOf(ValueId value) const {
    for (const char* op_type : {"Conv", "ConvTranspose", "Gemm"}) {
      if (const NodeId layer = rewriter_.Producer(value, op_type); layer != kNone) {
        return layer;
      }
    }
    return kNone;
  }

  bool BehindQuantisation(NodeId id) const {
    const NodeId dequantize = rewriter_.Producer(rewriter_.Input(id, 0), "DequantizeLinear");
    const NodeId quantize =
        dequantize == kNone ? kNone : rewriter_.Producer(rewriter_.Input(dequantize, 0), "QuantizeLinear");
    return quantize != kNone && LayerOf(rewriter_.Input(quantize, 0)) != kNone;
  }

  std::string Trains(NodeId id) const {
    for (size_t i = 1; i < rewriter_.index().node(id).outputs.size(); ++i) {
      if (rewriter_.Output(id, i) != kNone) {
        return "it gives statistics, so it computes its own";
      }
    }
    const int opset = rewriter_.Opset(id);
    if (rewriter_.Int(id, "training_mode", 0) != 0 || (opset < 7 && rewriter_.Int(id, "is_test", 0) == 0)) {
      return "it trains";
    }
    return opset < 9 && rewriter_.Int(id, "spatial", 1) != 1 ? "it has statistics for each pixel" : "";
  }

  // Along which axis of its weight the channels of the layer's result lie.
  std::string OutputAxis(NodeId layer, const ConstantWeight& weight, int* axis) const {
    const std::vector<int64_t>& dims = weight.dims;
    if (rewriter_.Is(layer, "Gemm")) {
      if (rewriter_.Opset(layer) < 7) {
        return "a Gemm before opset 7 adds a whole matrix";
      }
      *axis = rewriter_.Int(layer, "transB", 0) != 0 ? 0 : 1;
      return dims.size() == 2 ? "" : "its weight isn't a matrix";
    }
    if (dims.size() < 3) {
      return "its weight has no axes of a kernel";
    }
    if (rewriter_.Is(layer, "ConvTranspose")) {
      const int64_t group = rewriter_.Int(layer, "group", 1);
      const bool depthwise = group == dims[0] && dims[1] == 1;
      *axis = group == 1 ? 1 : 0;
      return group == 1 || depthwise ? "" : "it is a ConvTranspose of groups with several channels each";
    }
    return "";
  }

  std::string Fold(NodeId id, NodeId layer, size_t channels, Numbers* factors, Numbers* bias) const {
    Numbers given[4];
    const char* const names[] = {"scale", "B", "mean", "variance"};
    for (size_t i = 0; i < 4; ++i) {
      const std::optional<Numbers> numbers = rewriter_.Numbers(rewriter_.Input(id, i + 1));
      if (!numbers || numbers->size() != channels) {
        return fmt::format("its {} isn't constant, or not one number a channel", names[i]);
      }
      given[i] = *numbers;
    }
    bias->assign(channels, 0);
    if (std::string reason = ReadBias(layer, bias); !reason.empty()) {
      return reason;
    }
    const double epsilon = static_cast<double>(rewriter_.Float(id, "epsilon", 1e-5F));
    for (size_t i = 0; i < channels; ++i) {
      const double factor = given[0][i] / std::sqrt(given[3][i] + epsilon);
      factors->push_back(factor);
      (*bias)[i] = ((*bias)[i] - given[2][i]) * factor + given[1][i];
      if (!(given[3][i] + epsilon > 0) || !std::isfinite(factor) || !std::isfinite((*bias)[i])) {
        return fmt::format("channel {} isn't multiplied by a finite number", i);
      }
    }
    return "";
  }

  // What the layer adds, one number a channel.
  std::string ReadBias(NodeId layer, Numbers* bias) const {
    const ValueId value = rewriter_.Input(layer, 2);
    const double beta = rewriter_.Is(layer, "Gemm") ? static_cast<double>(rewriter_.Float(layer, "beta", 1)) : 1;
    if (value == kNone || beta == 0) {
      return "";
    }
    const onnx::TensorProto* tensor = rewriter_.Constant(value);
    const std::optional<Numbers> numbers = rewriter_.Numbers(value);
    if (!numbers) {
      return fmt::format("the bias '{}' isn't constant, or quantised", rewriter_.Name(value));
    }
    const bool row = tensor->dims_size() < 2 || (tensor->dims_size() == 2 && tensor->dims(0) == 1);
    if (!row || (numbers->size() != 1 && numbers->size() != bias->size())) {
      return fmt::format("the bias '{}' isn't one number a channel", rewriter_.Name(value));
    }
    for (size_t i = 0; i < bias->size(); ++i) {
      (*bias)[i] = beta * (*numbers)[numbers->size() == 1 ? 0 : i];
    }
    return "";
  }

  static bool Finite(int dtype, const std::string& bytes) {
    const int64_t count = static_cast<int64_t>(bytes.size()) * 8 / BitsPerElement(dtype);
    const std::optional<Numbers> numbers =
        UnpackNumbers(dtype, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, count);
    return numbers && std::all_of(numbers->begin(), numbers->end(), [](double x) { return std::isfinite(x); });
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  BatchNorms norms(rewriter);
  return rewriter.Run({.what = "a BatchNormalization of what a Conv, ConvTranspose or Gemm gives",
                       .applies = [&](NodeId id) { return norms.Applies(id); },
                       .rewrite = [&](NodeId id) { return norms.Rewrite(id); }});
}

}  // namespace

const PassInfo& FoldBatchnormPass() {
  static const PassInfo info = {
      .name = "fold-batchnorm",
      .summary = "fold BatchNormalization into the Conv, ConvTranspose or Gemm before it",
      .description =
          "Multiplies weight and bias of each Conv (of any groups), ConvTranspose and Gemm by what the "
          "BatchNormalization that alone reads its result multiplies and adds, computed in double and rounded once, "
          "and removes the BatchNormalization. A weight that others read too isn't touched: the Conv gets its own. The "
          "scales of a weight behind DequantizeLinear are multiplied, and its integers stay, where all factors are "
          "positive. One multiplication and one addition a number less; the results are rounded differently.\n\n"
          "Not rewritten: a BatchNormalization that trains, gives statistics, has statistics for each pixel (spatial 0 "
          "before opset 9), or whose inputs aren't constant; a layer whose result others read, or whose weight or bias "
          "isn't constant; a quantised bias; QuantizeLinear and DequantizeLinear in between, where the result is "
          "rounded before it is normalised; a ConvTranspose of groups with several channels each; numbers that the "
          "dtype can't hold. A BatchNormalization behind anything else isn't looked at.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"fold-batchnorm,prune", "fold-batchnorm{unfit=keep},prune", "fold-batchnorm{node=BatchNorm_12}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
