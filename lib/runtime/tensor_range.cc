// The least and the largest value of a tensor, as text for tables.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lib/runtime/tensor.h"

namespace gomai {
namespace {

template <typename T>
void WholeRange(const HostTensor& tensor, TensorRange& range) {
  const std::span<const T> values = tensor.As<T>();
  if (values.empty()) {
    return;
  }
  T low = values[0];
  T high = values[0];
  for (const T value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  range.min = fmt::format("{}", +low);
  range.max = fmt::format("{}", +high);
}

template <typename Stored, typename Decode>
void FloatRange(const HostTensor& tensor, TensorRange& range, Decode decode) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const Stored stored : tensor.As<Stored>()) {
    const double value = decode(stored);
    if (std::isfinite(value)) {
      low = std::min(low, value);
      high = std::max(high, value);
    } else if (std::isnan(value)) {
      ++range.nan;
    } else {
      ++range.infinite;
    }
  }
  if (low <= high) {
    range.min = fmt::format("{:.6g}", low);
    range.max = fmt::format("{:.6g}", high);
  }
}

double FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  double value = 0;
  if (exponent == 0x1f) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(fraction + 0x400, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

}  // namespace

TensorRange RangeOf(const HostTensor& tensor) {
  TensorRange range;
  switch (tensor.dtype()) {
    case onnx::TensorProto::FLOAT:
      FloatRange<float>(tensor, range, [](float value) { return static_cast<double>(value); });
      break;
    case onnx::TensorProto::DOUBLE:
      FloatRange<double>(tensor, range, [](double value) { return value; });
      break;
    case onnx::TensorProto::FLOAT16:
      FloatRange<uint16_t>(tensor, range, FromHalf);
      break;
    case onnx::TensorProto::BFLOAT16:
      FloatRange<uint16_t>(tensor, range, [](uint16_t bits) {
        return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits) << 16));
      });
      break;
    case onnx::TensorProto::INT8:
      WholeRange<int8_t>(tensor, range);
      break;
    case onnx::TensorProto::INT16:
      WholeRange<int16_t>(tensor, range);
      break;
    case onnx::TensorProto::INT32:
      WholeRange<int32_t>(tensor, range);
      break;
    case onnx::TensorProto::INT64:
      WholeRange<int64_t>(tensor, range);
      break;
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::UINT8:
      WholeRange<uint8_t>(tensor, range);
      break;
    case onnx::TensorProto::UINT16:
      WholeRange<uint16_t>(tensor, range);
      break;
    case onnx::TensorProto::UINT32:
      WholeRange<uint32_t>(tensor, range);
      break;
    case onnx::TensorProto::UINT64:
      WholeRange<uint64_t>(tensor, range);
      break;
    default:
      break;
  }
  return range;
}

}  // namespace gomai
