// Small floats are encoded by search: the codes of positive numbers ascend with their values, so the two neighbours of
// a number are found by bisection over the decoder, and no format needs an encoder of its own.
#include "lib/model/numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/model/dtype.h"
#include "lib/model/elements.h"

namespace gomai {
namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

template <typename T>
std::string BytesOf(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// The value of a code of a float type of 16 bits or less.
std::optional<float> DecodeCode(int dtype, uint32_t code) {
  std::array<uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &code, bytes.size());
  std::optional<float> decoded;
  elements::Dispatch(dtype, bytes.data(), bytes.data(),
                     [&](const auto& element, const auto&, int) { decoded = static_cast<float>(element.ValueAt(0)); });
  return decoded;
}

// Numbers as in onnx.proto: these are younger than the oldest ONNX that is built against.
constexpr int kInt4 = 22;
constexpr int kFloat4E2M1 = 23;
constexpr int kFloat8E8M0 = 24;
constexpr int kInt2 = 26;

bool IsSmallFloat(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
    case onnx::TensorProto::FLOAT8E4M3FN:
    case onnx::TensorProto::FLOAT8E4M3FNUZ:
    case onnx::TensorProto::FLOAT8E5M2:
    case onnx::TensorProto::FLOAT8E5M2FNUZ:
    case kFloat8E8M0:
    case kFloat4E2M1:
      return true;
    default:
      return false;
  }
}

// The code of the nearest number; ties to the even code.
std::optional<uint32_t> EncodeSmallFloat(int dtype, double number, bool exact) {
  const int bits = BitsPerElement(dtype);
  const bool is_signed = dtype != kFloat8E8M0;
  const uint32_t codes = 1u << (is_signed ? bits - 1 : bits);  // of one sign
  const auto value = [&](uint32_t code) { return static_cast<double>(*DecodeCode(dtype, code)); };
  if (std::isnan(number)) {
    // A quiet one, as IEEE formats have it; in the others any.
    const uint32_t quiet = dtype == onnx::TensorProto::FLOAT16      ? 0x7e00u
                           : dtype == onnx::TensorProto::BFLOAT16   ? 0x7fc0u
                           : dtype == onnx::TensorProto::FLOAT8E5M2 ? 0x7eu
                                                                    : 0u;
    if (quiet != 0) {
      return quiet;
    }
    for (uint32_t code = (1u << bits); code-- > 0;) {
      if (std::isnan(value(code))) {
        return code;
      }
    }
    return std::nullopt;
  }
  const bool negative = std::signbit(number);
  if (negative && !is_signed) {
    return std::nullopt;
  }
  const double wanted = std::abs(number);
  uint32_t end = codes;  // past the last code that is a number (the last may be infinity)
  while (end > 0 && std::isnan(value(end - 1))) {
    --end;
  }
  uint32_t low = 0;  // the largest code whose value is at most the number
  for (uint32_t high = end; high - low > 1;) {
    const uint32_t middle = low + (high - low) / 2;
    (value(middle) <= wanted ? low : high) = middle;
  }
  const double below = value(low);
  uint32_t code = low;
  if (below != wanted) {
    if (exact || (low == 0 && wanted < below && dtype == kFloat8E8M0)) {
      return std::nullopt;
    }
    if (low + 1 >= end) {
      return std::nullopt;  // beyond the range of a type without infinity
    }
    // The midpoint to infinity lies where the next number would be.
    const double above = std::isinf(value(low + 1)) ? 2 * below - value(low - 1) : value(low + 1);
    const double middle = below + (above - below) / 2;
    code = wanted > middle || (wanted == middle && (low & 1u) != 0) ? low + 1 : low;
  }
  if (negative && code == 0 &&
      (dtype == onnx::TensorProto::FLOAT8E4M3FNUZ || dtype == onnx::TensorProto::FLOAT8E5M2FNUZ)) {
    return exact ? std::nullopt : std::optional<uint32_t>(0);  // these have no -0.0
  }
  return code | (negative ? codes : 0u);
}

// A two's complement integer of this many bits.
std::optional<uint64_t> EncodeInteger(int bits, bool is_signed, double number) {
  if (std::trunc(number) != number || std::abs(number) > kExactIntegers) {
    return std::nullopt;
  }
  const double low = is_signed ? -std::ldexp(1.0, bits - 1) : 0;
  const double high = std::ldexp(1.0, is_signed ? bits - 1 : bits) - 1;
  if (number < low || number > high) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(static_cast<int64_t>(number));
}

bool IsSigned(int dtype) {
  switch (dtype) {
    case kInt2:
    case kInt4:
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::INT64:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool IsFloatDtype(int dtype) {
  return dtype == onnx::TensorProto::FLOAT || dtype == onnx::TensorProto::DOUBLE ||
         dtype == onnx::TensorProto::FLOAT16 || dtype == onnx::TensorProto::BFLOAT16;
}

std::optional<std::vector<double>> UnpackNumbers(int dtype, std::span<const uint8_t> bytes, int64_t count) {
  if (dtype == onnx::TensorProto::COMPLEX64 || dtype == onnx::TensorProto::COMPLEX128 || BitsPerElement(dtype) == 0 ||
      count < 0 || PackedBytes(dtype, static_cast<uint64_t>(count)) > bytes.size()) {
    return std::nullopt;
  }
  std::vector<double> numbers;
  numbers.reserve(static_cast<size_t>(count));
  const bool integer = dtype == onnx::TensorProto::INT64 || dtype == onnx::TensorProto::UINT64;
  bool fits = true;
  elements::Dispatch(dtype, bytes.data(), bytes.data(), [&](const auto& elements, const auto&, int) {
    for (int64_t i = 0; i < count; ++i) {
      const auto value = elements.ValueAt(i);
      fits = fits && (!integer || (value <= kExactIntegers && value >= -kExactIntegers));
      numbers.push_back(static_cast<double>(value));
    }
  });
  return fits && static_cast<int64_t>(numbers.size()) == count ? std::optional(std::move(numbers)) : std::nullopt;
}

std::optional<std::string> PackNumbers(int dtype, const std::vector<double>& numbers, bool exact) {
  const int bits = BitsPerElement(dtype);
  if (bits == 0 || dtype == onnx::TensorProto::COMPLEX64 || dtype == onnx::TensorProto::COMPLEX128) {
    return std::nullopt;
  }
  std::string packed;
  uint32_t byte = 0;
  int filled = 0;
  for (const double number : numbers) {
    if (dtype == onnx::TensorProto::FLOAT) {
      const auto single = static_cast<float>(number);
      if (exact && static_cast<double>(single) != number && !std::isnan(number)) {
        return std::nullopt;
      }
      packed += BytesOf(single);
      continue;
    }
    if (dtype == onnx::TensorProto::DOUBLE) {
      packed += BytesOf(number);
      continue;
    }
    std::optional<uint64_t> code;
    if (dtype == onnx::TensorProto::BOOL) {
      code = number == 0 || number == 1 ? std::optional(static_cast<uint64_t>(number)) : std::nullopt;
    } else if (IsSmallFloat(dtype)) {
      code = EncodeSmallFloat(dtype, number, exact);
    } else {
      code = EncodeInteger(bits, IsSigned(dtype), number);
    }
    if (!code) {
      return std::nullopt;
    }
    if (bits >= 8) {
      for (int shift = 0; shift < bits; shift += 8) {
        packed.push_back(static_cast<char>((*code >> shift) & 0xffu));
      }
      continue;
    }
    byte |= static_cast<uint32_t>(*code & ((1u << bits) - 1)) << filled;
    filled += bits;
    if (filled == 8) {
      packed.push_back(static_cast<char>(byte));
      byte = 0;
      filled = 0;
    }
  }
  if (filled > 0) {
    packed.push_back(static_cast<char>(byte));
  }
  return packed;
}

}  // namespace gomai
