// clip-to-relu: a Clip from 0 upwards is a Relu.
//
// Limits stand in attributes (before opset 11) or in inputs. An upper limit may go only where it can't be told: where
// all that reads the result is a QuantizeLinear that saturates at or below it.
#include <cmath>
#include <limits>

#include "lib/graph/parse_attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

class Clips {
 public:
  explicit Clips(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const { return rewriter_.Is(id, "Clip") && Lower(id) == 0; }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const ValueId data = rewriter_.Input(id, 0);
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* relu,
                           RequireSchema(rewriter_.context().model().proto(), rewriter_.index(),
                                         rewriter_.index().node(id).scope, "", "Relu"));
    const int dtype = rewriter_.Dtype(data);
    if (relu->SinceVersion() < 14 && dtype == 0) {
      return "its dtype isn't known, and a Relu takes no integers before opset 14";
    }
    if (!AcceptsDtype(*relu, 0, dtype)) {
      return fmt::format("a Relu takes no {} before opset 14", DtypeName(dtype));
    }
    const ValueId high = rewriter_.Input(id, 2);
    const bool by_input = rewriter_.Opset(id) >= 11;
    if (by_input && high != kNone && !rewriter_.Number(high)) {
      return fmt::format("its upper limit '{}' isn't constant", rewriter_.Name(high));
    }
    const double upper = Upper(id);
    if (upper < Largest(dtype) && !Saturates(rewriter_.Output(id, 0), upper)) {
      return fmt::format(
          "it has the upper limit {}, which a Relu lacks, and what reads it isn't only quantisation that "
          "saturates there",
          upper);
    }
    rewriter_.Become(id, "Relu", {rewriter_.Name(data)});
    return "";
  }

 private:
  double Lower(NodeId id) const {
    constexpr double kNoLimit = -std::numeric_limits<double>::infinity();
    if (rewriter_.Opset(id) < 11) {
      return static_cast<double>(rewriter_.Float(id, "min", std::numeric_limits<float>::lowest()));
    }
    return rewriter_.Number(rewriter_.Input(id, 1)).value_or(kNoLimit);
  }

  double Upper(NodeId id) const {
    if (rewriter_.Opset(id) < 11) {
      return static_cast<double>(rewriter_.Float(id, "max", std::numeric_limits<float>::max()));
    }
    return rewriter_.Number(rewriter_.Input(id, 2)).value_or(std::numeric_limits<double>::infinity());
  }

  // The largest finite value of the type; infinity counts as no limit, and so does this one.
  static double Largest(int dtype) {
    switch (dtype) {
      case onnx::TensorProto::FLOAT16:
        return 65504;
      case onnx::TensorProto::BFLOAT16:
        return 3.3895313892515355e38;
      case onnx::TensorProto::DOUBLE:
        return std::numeric_limits<double>::max();
      case onnx::TensorProto::INT8:
        return std::numeric_limits<int8_t>::max();
      case onnx::TensorProto::UINT8:
        return std::numeric_limits<uint8_t>::max();
      case onnx::TensorProto::INT16:
        return std::numeric_limits<int16_t>::max();
      case onnx::TensorProto::UINT16:
        return std::numeric_limits<uint16_t>::max();
      case onnx::TensorProto::INT32:
        return std::numeric_limits<int32_t>::max();
      case onnx::TensorProto::UINT32:
        return std::numeric_limits<uint32_t>::max();
      case onnx::TensorProto::INT64:
      case onnx::TensorProto::UINT64:
        return std::numeric_limits<double>::infinity();  // beyond what is compared exactly here
      default:
        return std::numeric_limits<float>::max();
    }
  }

  // Does all that reads the value quantise it so that `upper` already gives the largest integer?
  bool Saturates(ValueId value, double upper) const {
    const Index::Value& v = rewriter_.index().value(value);
    if (v.is_graph_output || v.uses.empty() || rewriter_.IsHeld(value)) {
      return false;
    }
    for (const Index::Use& use : v.uses) {
      if (use.input != 0 || !rewriter_.Is(use.node, "QuantizeLinear")) {
        return false;
      }
      const std::optional<std::vector<double>> scales = rewriter_.Numbers(rewriter_.Input(use.node, 1));
      const ValueId zero = rewriter_.Input(use.node, 2);
      std::vector<double> zeros = {0};
      double largest = 255;
      if (zero != kNone) {
        const std::optional<std::vector<double>> given = rewriter_.Numbers(zero);
        const onnx::TensorProto* tensor = rewriter_.Constant(zero);
        if (!given || given->empty() || IsFloat8(tensor->data_type())) {
          return false;
        }
        zeros = *given;
        largest = Largest(tensor->data_type());
      } else if (rewriter_.Int(use.node, "output_dtype", onnx::TensorProto::UINT8) != onnx::TensorProto::UINT8) {
        return false;
      }
      if (!scales || scales->empty() || (zeros.size() != 1 && zeros.size() != scales->size())) {
        return false;
      }
      for (size_t i = 0; i < scales->size(); ++i) {
        if (upper / (*scales)[i] + zeros[zeros.size() == 1 ? 0 : i] < largest) {
          return false;
        }
      }
    }
    return true;
  }

  static bool IsFloat8(int dtype) {
    return dtype != onnx::TensorProto::INT8 && dtype != onnx::TensorProto::UINT8 && dtype != onnx::TensorProto::INT16 &&
           dtype != onnx::TensorProto::UINT16;
  }

  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Clips clips(rewriter);
  return rewriter.Run({.what = "a Clip from 0 upwards",
                       .applies = [&](NodeId id) { return clips.Applies(id); },
                       .rewrite = [&](NodeId id) { return clips.Rewrite(id); }});
}

}  // namespace

const PassInfo& ClipToReluPass() {
  static const PassInfo info = {
      .name = "clip-to-relu",
      .summary = "write Clip from 0 upwards as Relu",
      .description =
          "Replaces each Clip whose lower limit is 0 and which has no upper limit (none, infinity, or the largest "
          "value "
          "of the type) by Relu. Equal for finite values; -0.0 may become 0.0, and what a NaN becomes is the "
          "runtime's affair in both.\n\n"
          "An upper limit may go where all that reads the result is a QuantizeLinear that gives its largest integer "
          "at that limit already: Clip from 0 to 6 before a uint8 quantisation whose range ends at 6 or below. What is "
          "quantised is the same integers then.\n\n"
          "Not rewritten: another upper limit, or one that isn't constant; integers before opset 14, where Relu takes "
          "floats alone. A Clip with another lower limit isn't looked at.",
      .effect = Effect::kExactFinite,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions(),
      .examples = {"clip-to-relu", "clip-to-relu{unfit=keep}", "clip-to-relu{node=Clip_12}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
