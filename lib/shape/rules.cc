// One function per family of operators, found by name in a table. Each sees its node through Operands, which answers
// "unknown" for everything that is absent, so that no rule needs to check before it asks.
#include "lib/shape/rules.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "lib/shape/infer.h"
#include "lib/shape/operands.h"

namespace gomai::shape {
namespace {

// --- an operand holds the result's shape

MaybeShape Reshape(const Operands& in) {
  const Shape* values = in.Values(1);
  if (values == nullptr) {
    return Open(in.Length(1));
  }
  const Shape* input = in.ShapeOf(0);
  Shape shape;
  for (int i = 0; i < values->dim_size(); ++i) {
    auto& dim = *shape.add_dim();
    if (values->dim(i).has_dim_value() && values->dim(i).dim_value() > 0) {
      dim.set_dim_value(values->dim(i).dim_value());
    } else if (values->dim(i).has_dim_value() && values->dim(i).dim_value() == 0) {
      if (in.Int("allowzero", 0) != 0) {
        dim.set_dim_value(0);
      } else if (input != nullptr && i < input->dim_size()) {
        dim = input->dim(i);
      }
    } else if (!values->dim(i).dim_param().empty()) {
      dim = values->dim(i);  // a symbol stands for a size of the input's, which is positive or zero
    }
  }
  return shape;
}

MaybeShape ConstantOfShape(const Operands& in) {
  const Shape* values = in.Values(0);
  if (values == nullptr) {
    return Open(in.Length(0));
  }
  return *values;
}

MaybeShape Expand(const Operands& in) {
  const Shape* input = in.ShapeOf(0);
  std::optional<int64_t> length = in.Length(1);
  const Shape* values = in.Values(1);
  if (values != nullptr) {
    length = values->dim_size();
  }
  if (input == nullptr || !length || *length > kHighestRank) {
    return std::nullopt;  // at least as many as the operand's length, but perhaps more
  }
  const int rank = std::max(input->dim_size(), static_cast<int>(*length));
  Shape shape = OpenShape(rank);
  for (int i = 0; i < rank; ++i) {
    const int from_input = i - (rank - input->dim_size());
    const int from_values = i - (rank - static_cast<int>(*length));
    const auto* a = from_input < 0 ? nullptr : &input->dim(from_input);
    const auto* b = from_values < 0 || values == nullptr ? nullptr : &values->dim(from_values);
    const bool wide_a = a != nullptr && a->has_dim_value() && a->dim_value() != 1;
    const bool wide_b = b != nullptr && b->has_dim_value() && b->dim_value() != 1;
    const bool one_a = a == nullptr || (a->has_dim_value() && a->dim_value() == 1);
    const bool one_b = from_values < 0 || (b != nullptr && b->has_dim_value() && b->dim_value() == 1);
    if (wide_a || (one_b && a != nullptr)) {
      *shape.mutable_dim(i) = *a;
    } else if (wide_b || (one_a && b != nullptr)) {
      *shape.mutable_dim(i) = *b;
    }
  }
  return shape;
}

// --- the result's rank is the length of an operand, or of an operand or attribute

MaybeShape Tile(const Operands& in) { return Open(in.Rank(0) ? in.Rank(0) : in.Length(1)); }

MaybeShape Resize(const Operands& in) {
  if (in.Rank(0)) {
    return Open(in.Rank(0));
  }
  if (in.Attribute("axes") != nullptr) {
    return std::nullopt;
  }
  // Upsample and Resize-10: (X, scales); later: (X, roi, scales, sizes).
  if (in.count() <= 2) {
    return Open(in.Length(1));
  }
  const std::optional<int64_t> sizes = in.Length(3);
  const std::optional<int64_t> scales = in.Length(2);
  return Open(sizes && *sizes > 0 ? sizes : scales && *scales > 0 ? scales : std::nullopt);
}

MaybeShape Pad(const Operands& in) {
  if (in.Rank(0)) {
    return Open(in.Rank(0));
  }
  if (in.Has(3)) {
    return std::nullopt;
  }
  if (const onnx::AttributeProto* pads = in.Attribute("pads"); pads != nullptr) {
    return Open(pads->ints_size() / 2);
  }
  const std::optional<int64_t> length = in.Length(1);
  return length ? Open(*length / 2) : std::nullopt;
}

MaybeShape Transpose(const Operands& in) {
  const onnx::AttributeProto* perm = in.Attribute("perm");
  return Open(in.Rank(0) ? in.Rank(0) : perm != nullptr ? std::optional<int64_t>(perm->ints_size()) : std::nullopt);
}

MaybeShape Pool(const Operands& in) {
  const onnx::AttributeProto* kernel = in.Attribute("kernel_shape");
  MaybeShape shape = Open(kernel == nullptr ? in.Rank(0) : std::optional<int64_t>(kernel->ints_size() + 2));
  if (shape && in.Rank(0) == shape->dim_size()) {
    TakeDim(*shape, 0, in.ShapeOf(0), 0);
    TakeDim(*shape, 1, in.ShapeOf(0), 1);
  }
  return shape;
}

// The batch of the input, the channels of the weight.
MaybeShape Convolve(const Operands& in) {
  MaybeShape shape = Open(in.Rank(1) ? in.Rank(1) : in.Rank(0));
  if (shape && shape->dim_size() >= 2) {
    TakeDim(*shape, 0, in.ShapeOf(0), 0);
    TakeDim(*shape, 1, in.ShapeOf(1), 0);
  }
  return shape;
}

MaybeShape ConvTranspose(const Operands& in) {
  MaybeShape shape = Open(in.Rank(1) ? in.Rank(1) : in.Rank(0));
  if (shape && shape->dim_size() >= 2) {
    TakeDim(*shape, 0, in.ShapeOf(0), 0);
  }
  return shape;
}

MaybeShape QuantizedConvolve(const Operands& in) { return Open(in.Rank(3) ? in.Rank(3) : in.Rank(0)); }

// --- an operand's rank, as it is or changed

MaybeShape SameRank(const Operands& in) { return Open(in.Rank(0)); }

MaybeShape SameShape(const Operands& in) {
  return in.ShapeOf(0) == nullptr ? std::nullopt : MaybeShape(*in.ShapeOf(0));
}

// Data, indices and updates have one rank; the result is the data's.
MaybeShape ScatterElements(const Operands& in) {
  if (in.ShapeOf(0) != nullptr) {
    return *in.ShapeOf(0);
  }
  return Open(in.Rank(1) ? in.Rank(1) : in.Rank(2));
}

MaybeShape GatherElements(const Operands& in) {
  if (in.ShapeOf(1) != nullptr) {
    return *in.ShapeOf(1);
  }
  return Open(in.Rank(0));
}

MaybeShape Concat(const Operands& in) {
  MaybeShape shape;
  for (int i = 0; i < in.count(); ++i) {
    if (const Shape* part = in.ShapeOf(i); part != nullptr) {
      if (!shape) {
        shape = *part;
      } else if (shape->dim_size() != part->dim_size()) {
        return std::nullopt;
      }
      for (int d = 0; d < part->dim_size(); ++d) {
        if (part->dim(d).has_dim_value()) {
          *shape->mutable_dim(d) = part->dim(d);  // all have the same, but along the axis
        }
      }
    }
  }
  if (!shape) {
    return std::nullopt;
  }
  int64_t axis = in.Int("axis", 1);
  axis += axis < 0 ? shape->dim_size() : 0;
  if (axis < 0 || axis >= shape->dim_size()) {
    return std::nullopt;
  }
  shape->mutable_dim(static_cast<int>(axis))->clear_value();
  return shape;
}

// How many axes an axes attribute or operand names.
std::optional<int64_t> AxisCount(const Operands& in) {
  if (const onnx::AttributeProto* axes = in.Attribute("axes"); axes != nullptr) {
    return axes->ints_size();
  }
  return in.Has(1) ? in.Length(1) : std::nullopt;
}

MaybeShape Squeeze(const Operands& in) {
  const auto axes = AxisCount(in);
  return axes && in.Rank(0) ? Open(*in.Rank(0) - *axes) : std::nullopt;
}

MaybeShape Unsqueeze(const Operands& in) {
  const auto axes = AxisCount(in);
  return axes && in.Rank(0) ? Open(*in.Rank(0) + *axes) : std::nullopt;
}

MaybeShape Reduce(const Operands& in) {
  if (!in.Rank(0)) {
    return std::nullopt;
  }
  if (in.Int("keepdims", 1) != 0) {
    return Open(in.Rank(0));
  }
  const auto axes = AxisCount(in);
  return axes && *axes > 0 ? Open(*in.Rank(0) - *axes) : std::nullopt;
}

MaybeShape Gather(const Operands& in) {
  return in.Rank(0) && in.Rank(1) ? Open(*in.Rank(0) + *in.Rank(1) - 1) : std::nullopt;
}

MaybeShape GatherNd(const Operands& in) {
  const Shape* indices = in.ShapeOf(1);
  if (!in.Rank(0) || indices == nullptr || indices->dim_size() == 0 ||
      !indices->dim(indices->dim_size() - 1).has_dim_value()) {
    return std::nullopt;
  }
  const int64_t last = indices->dim(indices->dim_size() - 1).dim_value();
  const int64_t batch = in.Int("batch_dims", 0);
  if (batch < 0 || batch > *in.Rank(0) || last < 0 || last > *in.Rank(0) - batch) {
    return std::nullopt;
  }
  return Open(*in.Rank(0) + indices->dim_size() - 1 - last - batch);
}

MaybeShape OneHot(const Operands& in) { return in.Rank(0) ? Open(*in.Rank(0) + 1) : std::nullopt; }

MaybeShape Compress(const Operands& in) { return in.Attribute("axis") == nullptr ? Open(1) : Open(in.Rank(0)); }

MaybeShape FirstIfAxis(const Operands& in) { return Compress(in); }

// --- the operator has a rank of its own

MaybeShape Scalar(const Operands&) { return Open(0); }
MaybeShape Vector(const Operands&) { return Open(1); }
MaybeShape Matrix(const Operands&) { return Open(2); }
MaybeShape Rank3(const Operands&) { return Open(3); }
MaybeShape Rank4(const Operands&) { return Open(4); }

MaybeShape ShapeOperator(const Operands& in) {
  Shape shape = OpenShape(1);
  if (in.Rank(0) && in.Attribute("start") == nullptr && in.Attribute("end") == nullptr) {
    shape.mutable_dim(0)->set_dim_value(*in.Rank(0));
  }
  return shape;
}

MaybeShape NonZero(const Operands& in) {
  Shape shape = OpenShape(2);
  if (in.Rank(0)) {
    shape.mutable_dim(0)->set_dim_value(*in.Rank(0));
  }
  return shape;
}

MaybeShape NonMaxSuppression(const Operands&) {
  Shape shape = OpenShape(2);
  shape.mutable_dim(1)->set_dim_value(3);
  return shape;
}

MaybeShape RoiAlign(const Operands& in) {
  Shape shape = OpenShape(4);
  TakeDim(shape, 0, in.ShapeOf(1), 0);
  TakeDim(shape, 1, in.ShapeOf(0), 1);
  shape.mutable_dim(2)->set_dim_value(in.Int("output_height", 1));
  shape.mutable_dim(3)->set_dim_value(in.Int("output_width", 1));
  return shape;
}

MaybeShape Gemm(const Operands& in) {
  Shape shape = OpenShape(2);
  TakeDim(shape, 0, in.ShapeOf(0), in.Int("transA", 0) != 0 ? 1 : 0);
  TakeDim(shape, 1, in.ShapeOf(1), in.Int("transB", 0) != 0 ? 0 : 1);
  return shape;
}

using Rule = MaybeShape (*)(const Operands&);
struct Rules {
  Rule first;             // for output 0
  Rule others = nullptr;  // for all further outputs
};

const std::unordered_map<std::string_view, Rules>& Table() {
  static const auto* const kTable = new std::unordered_map<std::string_view, Rules>{
      {"Reshape", {Reshape}},
      {"ConstantOfShape", {ConstantOfShape}},
      {"Expand", {Expand}},
      {"Tile", {Tile}},
      {"Resize", {Resize}},
      {"Upsample", {Resize}},
      {"Pad", {Pad}},
      {"Transpose", {Transpose}},
      {"MaxPool", {Pool, Pool}},
      {"AveragePool", {Pool}},
      {"LpPool", {Pool}},
      {"GlobalAveragePool", {SameRank}},
      {"GlobalMaxPool", {SameRank}},
      {"Conv", {Convolve}},
      {"ConvInteger", {Convolve}},
      {"QLinearConv", {QuantizedConvolve}},
      {"ConvTranspose", {ConvTranspose}},
      {"Slice", {SameRank}},
      {"Split", {SameRank, SameRank}},
      {"TopK", {SameRank, SameRank}},
      {"Trilu", {SameShape}},
      {"CumSum", {SameShape}},
      {"ScatterND", {SameShape}},
      {"Scatter", {ScatterElements}},
      {"ScatterElements", {ScatterElements}},
      {"GatherElements", {GatherElements}},
      {"Concat", {Concat}},
      {"Squeeze", {Squeeze}},
      {"Unsqueeze", {Unsqueeze}},
      {"Gather", {Gather}},
      {"GatherND", {GatherNd}},
      {"OneHot", {OneHot}},
      {"Compress", {Compress}},
      {"Unique", {FirstIfAxis, Vector}},
      {"ReduceMax", {Reduce}},
      {"ReduceMin", {Reduce}},
      {"ReduceSum", {Reduce}},
      {"ReduceMean", {Reduce}},
      {"ReduceProd", {Reduce}},
      {"ReduceL1", {Reduce}},
      {"ReduceL2", {Reduce}},
      {"ReduceLogSum", {Reduce}},
      {"ReduceLogSumExp", {Reduce}},
      {"ReduceSumSquare", {Reduce}},
      {"Shape", {ShapeOperator}},
      {"Size", {Scalar}},
      {"Range", {Vector}},
      {"NonZero", {NonZero}},
      {"NonMaxSuppression", {NonMaxSuppression}},
      {"RoiAlign", {RoiAlign}},
      {"MaxRoiPool", {Rank4}},
      {"DepthToSpace", {Rank4}},
      {"SpaceToDepth", {Rank4}},
      {"Gemm", {Gemm}},
      {"Flatten", {Matrix}},
      {"EyeLike", {Matrix}},
      {"Multinomial", {Matrix}},
      {"LSTM", {Rank4, Rank3}},
      {"GRU", {Rank4, Rank3}},
      {"RNN", {Rank4, Rank3}},
  };
  return *kTable;
}

}  // namespace

void InferMore(Graph& graph, const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs) {
  if (!IsDefaultDomain(node.domain())) {
    return;
  }
  const auto found = Table().find(node.op_type());
  if (found == Table().end()) {
    return;
  }
  const Operands operands(graph, node);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Rule rule = i == 0 ? found->second.first : found->second.others;
    if (rule == nullptr || FindShape(outputs[i]) != nullptr ||
        (outputs[i].value_case() != onnx::TypeProto::VALUE_NOT_SET && !IsTensor(outputs[i]))) {
      continue;
    }
    if (MaybeShape shape = rule(operands); shape) {
      SetShape(outputs[i], *std::move(shape));
    }
  }
}

}  // namespace gomai::shape
