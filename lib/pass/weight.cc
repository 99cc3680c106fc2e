// Weights and their moved copies. Where scales run along an axis, the copy's axis is found from the move itself: it is
// one along which every element's scale is a function of the coordinate. So no rule about shapes can be wrong here.
#include "lib/pass/weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/model/attribute.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/pass/tensor_spool.h"

namespace gomai {
namespace {

// The constant behind a value and Identity nodes.
const onnx::TensorProto* ConstantBehind(const Rewriter& rewriter, ValueId value) {
  for (NodeId id = rewriter.Producer(value, "Identity"); id != kNone; id = rewriter.Producer(value, "Identity")) {
    value = rewriter.Input(id, 0);
  }
  return rewriter.Constant(value);
}

NodeId DequantizeBehind(const Rewriter& rewriter, ValueId value) {
  for (NodeId id = rewriter.Producer(value, "Identity"); id != kNone; id = rewriter.Producer(value, "Identity")) {
    value = rewriter.Input(id, 0);
  }
  return rewriter.Producer(value, "DequantizeLinear");
}

// One element in one or more whole bytes: sub-byte types are unpacked.
std::string WholeBytes(int dtype, std::span<const uint8_t> bytes, int64_t count) {
  const int bits = BitsPerElement(dtype);
  if (bits >= 8) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::string unpacked;
  unpacked.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t bit = i * bits;
    unpacked.push_back(static_cast<char>((bytes[static_cast<size_t>(bit / 8)] >> (bit % 8)) & ((1 << bits) - 1)));
  }
  return unpacked;
}

std::string Packed(int dtype, std::string bytes) {
  const int bits = BitsPerElement(dtype);
  if (bits >= 8) {
    return bytes;
  }
  std::string packed(static_cast<size_t>(PackedBytes(dtype, bytes.size())), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t bit = i * static_cast<size_t>(bits);
    packed[bit / 8] =
        static_cast<char>(static_cast<uint8_t>(packed[bit / 8]) | (static_cast<uint8_t>(bytes[i]) << (bit % 8)));
  }
  return packed;
}

absl::StatusOr<std::string> ReadWhole(const Rewriter& rewriter, const onnx::TensorProto& tensor) {
  GOMAI_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor));
  GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(tensor, rewriter.context().model()));
  return WholeBytes(tensor.data_type(), bytes.bytes(), count);
}

// By coordinate along an axis of the copy, the coordinate along the weight's own axis; -1 where only zeros stand.
struct AxisMap {
  int axis = -1;
  std::vector<int64_t> from;
  bool IsIdentity(int64_t size) const {
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] != static_cast<int64_t>(i)) {
        return false;
      }
    }
    return static_cast<int64_t>(from.size()) == size;
  }
};

std::optional<AxisMap> MapAxis(const ConstantWeight& weight, const WeightMove& move) {
  const auto from = static_cast<size_t>(weight.axis);
  const int64_t inner = Elements({weight.dims.begin() + weight.axis + 1, weight.dims.end()});
  const int64_t count = Elements(move.dims);
  for (size_t axis = 0; axis < move.dims.size(); ++axis) {
    const int64_t stride = Elements({move.dims.begin() + static_cast<int64_t>(axis) + 1, move.dims.end()});
    AxisMap map{static_cast<int>(axis), std::vector<int64_t>(static_cast<size_t>(move.dims[axis]), -1)};
    bool fits = true;
    for (int64_t i = 0; i < count && fits; ++i) {
      const int64_t source = move.source(i);
      int64_t& at = map.from[static_cast<size_t>(i / stride % move.dims[axis])];
      const int64_t coordinate = source < 0 ? -1 : source / inner % weight.dims[from];
      fits = source < 0 || at == -1 || at == coordinate;
      at = source < 0 ? at : coordinate;
    }
    if (fits) {
      return map;
    }
  }
  return std::nullopt;
}

// A tensor of one element per coordinate of the map, taken from a 1-D one.
std::string TakeAlong(const Rewriter& rewriter, ValueId value, const AxisMap& map, onnx::TensorProto* taken) {
  const onnx::TensorProto* tensor = ConstantBehind(rewriter, value);
  const auto bytes =
      tensor == nullptr ? absl::StatusOr<std::string>(InvalidArgument("not constant")) : ReadWhole(rewriter, *tensor);
  if (!bytes.ok()) {
    return fmt::format("the scales or zero points '{}' of its weight aren't constants that can be read",
                       rewriter.Name(value));
  }
  const size_t size = static_cast<size_t>(std::max(1, BitsPerElement(tensor->data_type()) / 8));
  std::string out;
  for (const int64_t from : map.from) {
    out.append(*bytes, static_cast<size_t>(std::max<int64_t>(from, 0)) * size, size);
  }
  *taken = RawTensor(tensor->data_type(), {static_cast<int64_t>(map.from.size())},
                     Packed(tensor->data_type(), std::move(out)));
  return "";
}

// The copy's scales, multiplied.
std::string ScaleScales(const Rewriter& rewriter, const ConstantWeight& weight, const WeightMove& move,
                        WeightCopy* copy) {
  for (const double factor : move.factors) {
    if (!(factor > 0) || !std::isfinite(factor)) {
      return fmt::format("its weight is quantised, and its scales can't be multiplied by {}", factor);
    }
  }
  const ValueId value = rewriter.Input(weight.dequantize, 1);
  const onnx::TensorProto* tensor = copy->scale ? &*copy->scale : ConstantBehind(rewriter, value);
  const auto bytes =
      tensor == nullptr ? absl::StatusOr<std::string>(InvalidArgument("not constant")) : ReadWhole(rewriter, *tensor);
  std::optional<std::vector<double>> scales;
  if (bytes.ok()) {
    const std::span<const uint8_t> raw{reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()};
    scales = UnpackNumbers(
        tensor->data_type(), raw,
        static_cast<int64_t>(bytes->size() / static_cast<size_t>(BitsPerElement(tensor->data_type()) / 8)));
  }
  if (!scales || scales->empty()) {
    return fmt::format("the scales '{}' of its weight aren't constant", rewriter.Name(value));
  }
  std::vector<int64_t> dims(tensor->dims().begin(), tensor->dims().end());
  if (move.factors.size() > 1) {
    if (copy->axis == -1) {
      if (rewriter.Opset(weight.dequantize) < 13) {
        return "its weight has one scale for all, and before opset 13 it can't have one a channel";
      }
      copy->axis = move.factor_axis;
      scales->assign(move.factors.size(), (*scales)[0]);
      dims = {static_cast<int64_t>(move.factors.size())};
      if (const ValueId zero = rewriter.Input(weight.dequantize, 2); zero != kNone) {
        const AxisMap first{move.factor_axis, std::vector<int64_t>(move.factors.size(), 0)};
        onnx::TensorProto zeros;
        if (std::string reason = TakeAlong(rewriter, zero, first, &zeros); !reason.empty()) {
          return reason;
        }
        copy->zero = std::move(zeros);
      }
    } else if (copy->axis != move.factor_axis) {
      return "its weight has scales along another axis than what they would be multiplied along";
    }
  }
  for (size_t i = 0; i < scales->size(); ++i) {
    (*scales)[i] *= move.factors[move.factors.size() == 1 ? 0 : i];
  }
  std::optional<std::string> packed = PackNumbers(tensor->data_type(), *scales);
  if (!packed) {
    return "the scales of its weight can't be multiplied in their dtype";
  }
  const std::optional<std::vector<double>> rounded =
      UnpackNumbers(tensor->data_type(), {reinterpret_cast<const uint8_t*>(packed->data()), packed->size()},
                    static_cast<int64_t>(scales->size()));
  if (!rounded || !std::all_of(rounded->begin(), rounded->end(), [](double s) { return s > 0 && std::isfinite(s); })) {
    return "the scales of its weight would leave the range of their dtype";
  }
  copy->scale = RawTensor(tensor->data_type(), dims, *std::move(packed));
  return "";
}

}  // namespace

int64_t Elements(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) {
    count *= dim;
  }
  return count;
}

std::string FindWeight(const Rewriter& rewriter, ValueId value, ConstantWeight* weight) {
  ConstantWeight found;
  found.value = value;
  found.tensor = ConstantBehind(rewriter, value);
  if (found.tensor == nullptr) {
    found.dequantize = DequantizeBehind(rewriter, value);
    found.tensor = found.dequantize == kNone ? nullptr : ConstantBehind(rewriter, rewriter.Input(found.dequantize, 0));
  }
  if (found.tensor == nullptr) {
    return fmt::format("'{}' isn't constant", rewriter.Name(value));
  }
  found.dims.assign(found.tensor->dims().begin(), found.tensor->dims().end());
  if (!ElementCount(*found.tensor).ok() || TensorByteSize(*found.tensor) == 0) {
    return fmt::format("'{}' has no elements", rewriter.Name(value));
  }
  found.dtype = found.tensor->data_type();
  if (const NodeId id = found.dequantize; id != kNone) {
    const ValueId scale = rewriter.Input(id, 1);
    const onnx::TensorProto* scales = ConstantBehind(rewriter, scale);
    const int dtype = scales != nullptr ? scales->data_type() : rewriter.Dtype(scale);
    found.dtype = static_cast<int>(rewriter.Int(id, "output_dtype", 0));
    found.dtype = found.dtype != 0 ? found.dtype : dtype;
    const int rank = scales != nullptr ? scales->dims_size() : rewriter.Rank(scale);
    const std::optional<int64_t> size = scales != nullptr && rank == 1 ? scales->dims(0) : rewriter.Dim(scale, 0);
    if (rank > 1 || rank < 0 || (rank == 1 && !size) || rewriter.Int(id, "block_size", 0) != 0) {
      return fmt::format("the scales of '{}' are neither one for all nor one a channel", rewriter.Name(value));
    }
    if (rank == 1 && *size != 1) {
      const int64_t axis = rewriter.Int(id, "axis", 1);
      found.axis = static_cast<int>(axis < 0 ? axis + static_cast<int64_t>(found.dims.size()) : axis);
      if (found.axis < 0 || found.axis >= static_cast<int>(found.dims.size()) ||
          found.dims[static_cast<size_t>(found.axis)] != *size || rewriter.Opset(id) < 13) {
        return fmt::format("the scales of '{}' don't fit it", rewriter.Name(value));
      }
    }
  }
  if (!IsFloatDtype(found.dtype)) {
    return fmt::format("'{}' is {}", rewriter.Name(value), DtypeName(found.dtype));
  }
  *weight = std::move(found);
  return "";
}

std::string CopyWeight(const Rewriter& rewriter, const ConstantWeight& weight, const WeightMove& move,
                       WeightCopy* copy) {
  const bool scaled = std::any_of(move.factors.begin(), move.factors.end(), [](double f) { return f != 1; });
  const int64_t count = Elements(move.dims);
  bool same = !scaled && move.dims == weight.dims;
  for (int64_t i = 0; i < count && same; ++i) {
    same = move.source(i) == i;
  }
  if (same) {
    copy->as_is = rewriter.Name(weight.value);
    return "";
  }
  const int dtype = weight.tensor->data_type();
  const absl::StatusOr<std::string> bytes = ReadWhole(rewriter, *weight.tensor);
  if (!bytes.ok()) {
    return fmt::format("the values of '{}' can't be read: {}", rewriter.Name(weight.value), Message(bytes.status()));
  }
  const size_t size = static_cast<size_t>(std::max(1, BitsPerElement(dtype) / 8));
  AxisMap map;
  std::string zeros(size, '\0');  // what a zero is: one element, or one a coordinate
  if (weight.dequantize != kNone) {
    copy->dequantize = weight.dequantize;
    const ValueId zero = rewriter.Input(weight.dequantize, 2);
    const bool adds_zeros = [&] {
      for (int64_t i = 0; i < count; ++i) {
        if (move.source(i) < 0) {
          return true;
        }
      }
      return false;
    }();
    if (weight.axis != -1) {
      const std::optional<AxisMap> found = MapAxis(weight, move);
      if (!found) {
        return fmt::format("the scales of '{}' run along axis {}, which the rewritten weight hasn't",
                           rewriter.Name(weight.value), weight.axis);
      }
      map = *found;
      copy->axis = map.axis;
      if (!map.IsIdentity(weight.dims[static_cast<size_t>(weight.axis)])) {
        copy->scale.emplace();
        std::string reason = TakeAlong(rewriter, rewriter.Input(weight.dequantize, 1), map, &*copy->scale);
        if (reason.empty() && zero != kNone) {
          copy->zero.emplace();
          reason = TakeAlong(rewriter, zero, map, &*copy->zero);
        }
        if (!reason.empty()) {
          return reason;
        }
      }
    }
    if (adds_zeros && zero != kNone) {
      const AxisMap all = map.axis == -1 ? AxisMap{0, {0}} : map;
      onnx::TensorProto taken;
      if (std::string reason = TakeAlong(rewriter, zero, all, &taken); !reason.empty()) {
        return reason;
      }
      zeros = *ReadWhole(rewriter, taken);
    }
  }
  const int64_t stride = map.axis == -1 ? 1 : Elements({move.dims.begin() + map.axis + 1, move.dims.end()});
  const int64_t along = static_cast<int64_t>(zeros.size() / size);
  std::string moved(static_cast<size_t>(count) * size, '\0');
  for (int64_t i = 0; i < count; ++i) {
    const int64_t source = move.source(i);
    const char* from = source >= 0 ? bytes->data() + static_cast<size_t>(source) * size
                                   : zeros.data() + static_cast<size_t>(i / stride % along) * size;
    std::memcpy(moved.data() + static_cast<size_t>(i) * size, from, size);
  }
  if (scaled && weight.dequantize != kNone) {
    if (std::string reason = ScaleScales(rewriter, weight, move, copy); !reason.empty()) {
      return reason;
    }
  } else if (scaled) {
    std::optional<std::vector<double>> numbers =
        UnpackNumbers(dtype, {reinterpret_cast<const uint8_t*>(moved.data()), moved.size()}, count);
    if (!numbers) {
      return fmt::format("'{}' has no numbers", rewriter.Name(weight.value));
    }
    const int64_t inner =
        move.factors.size() == 1 ? count : Elements({move.dims.begin() + move.factor_axis + 1, move.dims.end()});
    for (int64_t i = 0; i < count; ++i) {
      (*numbers)[static_cast<size_t>(i)] *= move.factors[static_cast<size_t>(i / inner) % move.factors.size()];
    }
    std::optional<std::string> packed = PackNumbers(dtype, *numbers);
    if (!packed) {
      return fmt::format("'{}' can't be multiplied in its dtype", rewriter.Name(weight.value));
    }
    moved = *std::move(packed);
  }
  copy->tensor = RawTensor(dtype, move.dims, Packed(dtype, std::move(moved)));
  return "";
}

absl::StatusOr<std::string> AddWeight(Rewriter& rewriter, NodeId node, std::string_view what, WeightCopy copy) {
  if (!copy.as_is.empty()) {
    return copy.as_is;
  }
  if (TensorSpool::Takes(copy.tensor.raw_data().size())) {
    TensorSpool spool("rewritten weights");
    const std::string bytes = std::move(*copy.tensor.mutable_raw_data());
    copy.tensor.clear_raw_data();
    GOMAI_RETURN_IF_ERROR(spool.Begin(&copy.tensor, bytes.size()));
    GOMAI_RETURN_IF_ERROR(spool.Append(bytes));
    GOMAI_RETURN_IF_ERROR(spool.Finish(rewriter.context()));
  }
  const std::string name = rewriter.AddConstant(node, what, std::move(copy.tensor));
  if (copy.dequantize == kNone) {
    return name;
  }
  std::vector<std::string> inputs = {name, rewriter.Name(rewriter.Input(copy.dequantize, 1))};
  if (copy.scale) {
    inputs[1] = rewriter.AddConstant(node, fmt::format("{}_scale", what), *std::move(copy.scale));
  }
  if (copy.zero) {
    inputs.push_back(rewriter.AddConstant(node, fmt::format("{}_zero_point", what), *std::move(copy.zero)));
  } else if (const ValueId zero = rewriter.Input(copy.dequantize, 2); zero != kNone) {
    inputs.push_back(rewriter.Name(zero));
  }
  std::vector<onnx::AttributeProto> attributes;
  for (const onnx::AttributeProto& attribute : rewriter.proto(copy.dequantize).attribute()) {
    if (attribute.name() != "axis") {
      attributes.push_back(attribute);
    }
  }
  if (copy.axis != -1) {
    attributes.push_back(IntAttribute("axis", copy.axis));
  }
  return rewriter.Insert(node, "DequantizeLinear", inputs, attributes, fmt::format("{}_dequantized", what));
}

}  // namespace gomai
