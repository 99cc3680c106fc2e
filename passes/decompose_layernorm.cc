// decompose-layernorm: LayerNormalization in the steps that ONNX defines it by.
// https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
//
// The statistics are computed in the stash type, scale and bias in the data's own. Where the data is float64, the stash
// type float32 would only lose digits that runtimes keep, so float64 stays.
#include <cmath>

#include "lib/model/attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

class LayerNorms {
 public:
  explicit LayerNorms(Rewriter& rewriter) : rewriter_(rewriter) {}

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const ValueId data = rewriter_.Input(id, 0);
    const ValueId scale = rewriter_.Input(id, 1);
    if (data == kNone || scale == kNone) {
      return "it has no data or no scale";
    }
    const int dtype = rewriter_.Dtype(data);
    if (!IsFloatDtype(dtype)) {
      return "the dtype of its data isn't known";
    }
    const int64_t stash = rewriter_.Int(id, "stash_type", onnx::TensorProto::FLOAT);
    const int wide = dtype == onnx::TensorProto::DOUBLE ? dtype : static_cast<int>(stash);
    if (!IsFloatDtype(wide)) {
      return fmt::format("its stash_type {} is no float type", stash);
    }
    const int64_t axis = rewriter_.Int(id, "axis", -1);
    const int rank = rewriter_.Rank(data);
    if (axis >= 0 && rank < 0) {
      return fmt::format("the rank of its data isn't known, and its axis {} counts from the front", axis);
    }
    if (rank >= 0 && (axis < -rank || axis >= rank)) {
      return fmt::format("its axis {} is none of data of rank {}", axis, rank);
    }
    const float epsilon = rewriter_.Float(id, "epsilon", 1e-5f);
    const std::optional<std::string> packed = PackNumbers(wide, {static_cast<double>(epsilon)});
    if (!packed || (epsilon != 0 && UnpackNumbers(wide, Bytes(*packed), 1) == std::vector<double>{0})) {
      return fmt::format("its epsilon {} isn't above 0 in {}", epsilon, DtypeName(wide));
    }
    std::vector<int64_t> axes;
    for (int64_t i = axis; i < (axis < 0 ? 0 : rank); ++i) {
      axes.push_back(i);
    }
    Expand(id, dtype, wide, static_cast<int>(stash), axes, RawTensor(wide, {}, *packed));
    return "";
  }

 private:
  static std::span<const uint8_t> Bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }

  // All checks are done.
  void Expand(NodeId id, int dtype, int wide, int stash, const std::vector<int64_t>& axes, onnx::TensorProto epsilon) {
    std::string x = rewriter_.Name(rewriter_.Input(id, 0));
    const std::string scale = rewriter_.Name(rewriter_.Input(id, 1));
    const std::string bias = rewriter_.Name(rewriter_.Input(id, 2));
    if (dtype != wide) {
      x = rewriter_.Insert(id, "Cast", {x}, {IntAttribute("to", wide)}, "Cast");
    }
    const std::string mean = Statistic(id, 1, "ReduceMean", Reduced(id, x, axes), Axes(id, axes), "Mean", wide, stash);
    const std::string centred = rewriter_.Insert(id, "Sub", {x, mean});
    const std::string square = rewriter_.Insert(id, "Mul", {centred, centred}, {}, "Square");
    const std::string variance =
        rewriter_.Insert(id, "ReduceMean", Reduced(id, square, axes), Axes(id, axes), "Variance");
    const std::string added =
        rewriter_.Insert(id, "Add", {variance, rewriter_.AddConstant(id, "epsilon", std::move(epsilon))}, {}, "Add");
    const std::string deviation = rewriter_.Insert(id, "Sqrt", {added});
    if (rewriter_.IsUsed(rewriter_.Output(id, 2))) {
      Statistic(id, 2, "Reciprocal", {deviation}, {}, "InvStdDev", wide, stash);
    }
    std::string normal = rewriter_.Insert(id, "Div", {centred, deviation});
    if (dtype != wide) {
      normal = rewriter_.Insert(id, "Cast", {normal}, {IntAttribute("to", dtype)}, "CastBack");
    }
    for (const size_t i : {size_t{1}, size_t{2}}) {
      if (const ValueId value = rewriter_.Output(id, i); value != kNone && !rewriter_.IsUsed(value)) {
        rewriter_.editor().EraseValueInfo(rewriter_.index().node(id).scope, rewriter_.Name(value));
      }
    }
    onnx::NodeProto* node = nullptr;
    if (bias.empty()) {
      node = &rewriter_.Become(id, "Mul", {normal, scale}, {}, 3);
    } else {
      const std::string scaled = rewriter_.Insert(id, "Mul", {normal, scale}, {}, "Scale");
      node = &rewriter_.Become(id, "Add", {scaled, bias}, {}, 3);
    }
    if (node->output_size() > 1) {  // what reads them finds them at the nodes before
      node->mutable_output()->DeleteSubrange(1, node->output_size() - 1);
    }
  }

  bool AxesAreInputs(NodeId id) const { return rewriter_.Opset(id) >= 18; }

  std::vector<std::string> Reduced(NodeId id, const std::string& value, const std::vector<int64_t>& axes) {
    return AxesAreInputs(id) ? std::vector<std::string>{value, rewriter_.AddConstant(id, "axes", IntVector(axes))}
                             : std::vector<std::string>{value};
  }

  std::vector<onnx::AttributeProto> Axes(NodeId id, const std::vector<int64_t>& axes) const {
    return AxesAreInputs(id)
               ? std::vector<onnx::AttributeProto>{IntAttribute("keepdims", 1)}
               : std::vector<onnx::AttributeProto>{IntsAttribute("axes", axes), IntAttribute("keepdims", 1)};
  }

  // A node whose result is the LayerNormalization's `output` too: under its name if it is read, and cast to the stash
  // type if it isn't of that. Gives the name under which the steps read it.
  std::string Statistic(NodeId id, size_t output, std::string_view op_type, const std::vector<std::string>& inputs,
                        const std::vector<onnx::AttributeProto>& attributes, std::string_view suffix, int wide,
                        int stash) {
    const ValueId value = rewriter_.Output(id, output);
    if (!rewriter_.IsUsed(value)) {
      return rewriter_.Insert(id, op_type, inputs, attributes, suffix);
    }
    if (wide == stash) {
      InsertNamed(id, op_type, inputs, attributes, rewriter_.Name(value));
      return rewriter_.Name(value);
    }
    const std::string own = rewriter_.Insert(id, op_type, inputs, attributes, suffix);
    InsertNamed(id, "Cast", {own}, {IntAttribute("to", stash)}, rewriter_.Name(value));
    return own;
  }

  void InsertNamed(NodeId before, std::string_view op_type, const std::vector<std::string>& inputs,
                   const std::vector<onnx::AttributeProto>& attributes, const std::string& output) {
    onnx::NodeProto node;
    node.set_op_type(std::string(op_type));
    node.set_name(rewriter_.editor().FreshName(fmt::format("{}_{}", output, op_type)));
    for (const std::string& input : inputs) {
      node.add_input(input);
    }
    for (const onnx::AttributeProto& attribute : attributes) {
      *node.add_attribute() = attribute;
    }
    node.add_output(output);
    rewriter_.editor().InsertNode(rewriter_.index().node(before).scope, std::move(node), before);
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  LayerNorms norms(rewriter);
  return rewriter.Run({.what = "a LayerNormalization",
                       .applies = [&](NodeId id) { return rewriter.Is(id, "LayerNormalization"); },
                       .rewrite = [&](NodeId id) { return norms.Rewrite(id); }});
}

}  // namespace

const PassInfo& DecomposeLayernormPass() {
  static const PassInfo info = {
      .name = "decompose-layernorm",
      .summary = "write LayerNormalization as means, a difference, a root and a quotient",
      .description =
          "Replaces each LayerNormalization by the steps that ONNX defines it by: ReduceMean, Sub, Mul, ReduceMean, "
          "Add "
          "of epsilon, Sqrt, Div, Mul by the scale and Add of the bias, if there is one. Mean and InvStdDev keep their "
          "names where they are read. Data of another type than stash_type (float16 with float32, usually) is cast "
          "before the statistics and after the quotient, as defined; float64 isn't cast down to float32, which would "
          "only lose digits. Sums round differently from a runtime's own kernel; in float16 scale and bias are applied "
          "in float16, where a kernel may keep float32.\n\n"
          "Refused: data of unknown dtype, as in functions (inline-functions settles that); an axis that counts from "
          "the front of data of unknown rank; an epsilon that is 0 in the stash type.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"decompose-layernorm", "decompose-layernorm{node=LayerNormalization_4}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
