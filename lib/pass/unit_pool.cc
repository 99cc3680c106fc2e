// Reading a MaxPool of kernel 1. What isn't proved is refused: a replacement must pick the same elements.
#include "lib/pass/unit_pool.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

bool AllEqual(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [&](int64_t each) { return each == value; });
}

// An attribute of so many integers, or so many of `otherwise`.
absl::StatusOr<std::vector<int64_t>> ReadInts(const onnx::NodeProto& node, std::string_view name, size_t count,
                                              int64_t otherwise) {
  const onnx::AttributeProto* attribute = FindAttribute(node, name);
  if (attribute == nullptr) {
    return std::vector<int64_t>(count, otherwise);
  }
  if (!attribute->ref_attr_name().empty()) {
    return FailedPrecondition("its {} are given by the function's caller; inline the function first", name);
  }
  if (attribute->ints_size() != static_cast<int>(count)) {
    return FailedPrecondition("its {} have {} values where its kernel_shape wants {}", name, attribute->ints_size(),
                              count);
  }
  return std::vector<int64_t>(attribute->ints().begin(), attribute->ints().end());
}

// "" is NOTSET too.
absl::StatusOr<std::string> ReadAutoPad(const onnx::NodeProto& node) {
  const onnx::AttributeProto* attribute = FindAttribute(node, "auto_pad");
  if (attribute == nullptr || (attribute->ref_attr_name().empty() && attribute->s().empty())) {
    return "NOTSET";
  }
  if (!attribute->ref_attr_name().empty()) {
    return FailedPrecondition("its auto_pad is given by the function's caller; inline the function first");
  }
  const std::string& value = attribute->s();
  if (value != "NOTSET" && value != "VALID" && value != "SAME_UPPER" && value != "SAME_LOWER") {
    return FailedPrecondition("its auto_pad is '{}', which ONNX doesn't know", value);
  }
  return value;
}

// Where SAME_UPPER or SAME_LOWER begins: the windows of a kernel of 1 cover fewer elements than there are, and ONNX
// Runtime halves what is left over, rounding toward zero.
int64_t SameBegin(int64_t size, int64_t stride, bool upper) {
  const int64_t covered = (size - 1) / stride * stride + 1;
  const int64_t left_over = size - covered;
  return upper ? left_over / 2 : std::max<int64_t>(left_over - 1, 0) / 2;
}

absl::StatusOr<UnitPool> Read(const Index& index, NodeId id, const onnx::TypeProto& input) {
  const onnx::NodeProto& node = *index.node(id).proto;
  const size_t axes = static_cast<size_t>(FindAttribute(node, "kernel_shape")->ints_size());
  if (index.node(id).inputs.size() != 1 || index.node(id).inputs[0] == kNone) {
    return FailedPrecondition("it must have one input");
  }
  const onnx::TensorShapeProto* shape = FindShape(input);
  if (shape != nullptr && shape->dim_size() != static_cast<int>(axes) + 2) {
    return FailedPrecondition("its input has rank {}, and its kernel_shape is for rank {}", shape->dim_size(),
                              axes + 2);
  }
  UnitPool pool;
  GOMAI_ASSIGN_OR_RETURN(pool.strides, ReadInts(node, "strides", axes, 1));
  if (std::any_of(pool.strides.begin(), pool.strides.end(), [](int64_t stride) { return stride < 1; })) {
    return FailedPrecondition("its strides [{}] must be positive", fmt::join(pool.strides, ","));
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<int64_t> pads, ReadInts(node, "pads", 2 * axes, 0));
  GOMAI_ASSIGN_OR_RETURN(const std::string auto_pad, ReadAutoPad(node));
  const onnx::AttributeProto* ceil_mode = FindAttribute(node, "ceil_mode");
  if (ceil_mode != nullptr && !ceil_mode->ref_attr_name().empty()) {
    return FailedPrecondition("its ceil_mode is given by the function's caller; inline the function first");
  }
  pool.ceil_mode = ceil_mode != nullptr && ceil_mode->i() != 0;
  pool.crop_begin.assign(axes, 0);
  pool.crop_end.assign(axes, 0);
  const auto size_of = [&](size_t axis) {
    const auto* dim = shape == nullptr ? nullptr : &shape->dim(static_cast<int>(axis) + 2);
    return dim != nullptr && dim->has_dim_value() && dim->dim_value() > 0 ? dim->dim_value() : 0;
  };
  if (AllEqual(pads, 0)) {
    for (size_t i = 0; auto_pad.starts_with("SAME") && i < axes; ++i) {
      if (pool.strides[i] > 2 && size_of(i) == 0) {
        return FailedPrecondition(
            "where its auto_pad {} begins with stride {} depends on the size of axis {}, which isn't "
            "known; freeze-shapes may settle it",
            auto_pad, pool.strides[i], i + 2);
      }
      pool.crop_begin[i] = size_of(i) == 0 ? 0 : SameBegin(size_of(i), pool.strides[i], auto_pad == "SAME_UPPER");
    }
    return pool;
  }
  const std::string text = fmt::format("its pads [{}]", fmt::join(pads, ","));
  if (std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad > 0; })) {
    return FailedPrecondition("{} make windows that hold padding alone, which runtimes refuse; correct them", text);
  }
  if (auto_pad != "NOTSET") {
    return FailedPrecondition("{} stand beside auto_pad, and ONNX forbids both; remove one", text);
  }
  for (size_t i = 0; i < axes; ++i) {
    const int64_t begin = pads[i];
    const int64_t end = pads[axes + i];
    if (begin == 0 && end == 0) {
      continue;
    }
    // No sum of pads: they may be as low as int64_t goes.
    if (-size_of(i) >= begin || -(size_of(i) + begin) >= end) {
      return FailedPrecondition("{} cut off parts of axis {}, of which it isn't known that something is left", text,
                                i + 2);
    }
    if (end < 0 && pool.ceil_mode && pool.strides[i] > 1) {
      return FailedPrecondition("{} cut off the end of axis {}, and with ceil_mode runtimes read behind the cut", text,
                                i + 2);
    }
    pool.crop_begin[i] = -begin;
    pool.crop_end[i] = -end;
  }
  return pool;
}

}  // namespace

bool UnitPool::Crops() const { return !AllEqual(crop_begin, 0) || !AllEqual(crop_end, 0); }
bool UnitPool::PicksAll() const { return AllEqual(strides, 1) && !Crops(); }

bool IsUnitPool(const Index& index, NodeId id) {
  const onnx::NodeProto& node = *index.node(id).proto;
  if (node.op_type() != "MaxPool" || !IsDefaultDomain(node.domain()) || index.CalledFunction(node) != kNone ||
      index.node(id).outputs.empty() || index.node(id).outputs[0] == kNone) {
    return false;
  }
  const onnx::AttributeProto* kernel = FindAttribute(node, "kernel_shape");
  return kernel != nullptr && kernel->ref_attr_name().empty() && kernel->ints_size() >= 1 && kernel->ints_size() <= 3 &&
         std::all_of(kernel->ints().begin(), kernel->ints().end(), [](int64_t size) { return size == 1; });
}

absl::StatusOr<UnitPool> ReadUnitPool(const Index& index, NodeId id, const onnx::TypeProto& input) {
  absl::StatusOr<UnitPool> pool = Read(index, id, input);
  return pool.ok() ? std::move(pool) : Annotate(pool.status(), index.Describe(id));
}

}  // namespace gomai
