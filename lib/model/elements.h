#pragma once

// One element of a tensor of any dtype: its bits, its value, its text. What tensors.cc compares with.

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace gomai::elements {

// A small float of 1 sign bit, `kExponent` and `kMantissa` bits, as IEEE 754 would have it; what its largest exponent
// means differs between formats.
enum class Special {
  kIeee,               // infinities and NaNs
  kFinite,             // no special value at all
  kNanOnly,            // all bits set: NaN; no infinity (the "fn" formats)
  kNegativeZeroIsNan,  // the "fnuz" formats
};

template <int kExponent, int kMantissa, int kBias, Special kSpecial>
float DecodeSmallFloat(uint32_t bits) {
  constexpr uint32_t kMantissaMask = (1u << kMantissa) - 1;
  constexpr uint32_t kExponentMask = (1u << kExponent) - 1;
  const bool negative = ((bits >> (kExponent + kMantissa)) & 1u) != 0;
  const uint32_t exponent = (bits >> kMantissa) & kExponentMask;
  const uint32_t mantissa = bits & kMantissaMask;
  float value = 0;
  if (kSpecial == Special::kNegativeZeroIsNan && negative && exponent == 0 && mantissa == 0) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  if (kSpecial == Special::kIeee && exponent == kExponentMask) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (kSpecial == Special::kNanOnly && exponent == kExponentMask && mantissa == kMantissaMask) {
    value = std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    constexpr float kUnit = std::bit_cast<float>(static_cast<uint32_t>(127 + 1 - kBias - kMantissa) << 23);
    value = static_cast<float>(mantissa) * kUnit;
  } else {
    value = std::bit_cast<float>(((exponent + 127 - kBias) << 23) | (mantissa << (23 - kMantissa)));
  }
  return negative ? -value : value;
}

inline float DecodeBfloat16(uint32_t bits) { return std::bit_cast<float>(bits << 16); }
// Powers of two, 2^-127 to 2^127; 0xff is NaN. (OCP Microscaling Formats 1.0, 5.4.1.)
inline float DecodeE8m0(uint32_t bits) {
  return bits == 0xff ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, static_cast<int>(bits) - 127);
}

// Loaders: Bits(i) and Value(i) of one tensor's bytes. `Value` is double where that is exact for the type and its
// differences, long double for 64-bit types.

template <typename T>
struct Native {
  using Bits = std::conditional_t<
      sizeof(T) == 8, uint64_t,
      std::conditional_t<sizeof(T) == 4, uint32_t, std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;
  using Value = std::conditional_t<sizeof(T) == 8, long double, double>;
  static constexpr bool kFloat = std::is_floating_point_v<T>;
  const uint8_t* data;
  Bits BitsAt(int64_t i) const {
    Bits bits;
    std::memcpy(&bits, data + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    return bits;
  }
  T Get(int64_t i) const { return std::bit_cast<T>(BitsAt(i)); }
  Value ValueAt(int64_t i) const { return static_cast<Value>(Get(i)); }
  std::string Text(int64_t i) const { return fmt::format("{}", Get(i)); }
};

struct Bool {
  using Bits = uint8_t;
  using Value = double;
  static constexpr bool kFloat = false;
  const uint8_t* data;
  Bits BitsAt(int64_t i) const { return data[i]; }
  Value ValueAt(int64_t i) const { return data[i] != 0 ? 1 : 0; }
  std::string Text(int64_t i) const { return data[i] != 0 ? "true" : "false"; }
};

template <typename Storage, float (*Decode)(uint32_t)>
struct Decoded {
  using Bits = Storage;
  using Value = double;
  static constexpr bool kFloat = true;
  const uint8_t* data;
  Bits BitsAt(int64_t i) const {
    Bits bits;
    std::memcpy(&bits, data + static_cast<size_t>(i) * sizeof(Bits), sizeof(Bits));
    return bits;
  }
  Value ValueAt(int64_t i) const { return static_cast<double>(Decode(BitsAt(i))); }
  std::string Text(int64_t i) const { return fmt::format("{}", Decode(BitsAt(i))); }
};

// Several elements in a byte, low bits first.
template <int kBits, bool kSigned>
struct PackedInt {
  using Bits = uint8_t;
  using Value = double;
  static constexpr bool kFloat = false;
  const uint8_t* data;
  Bits BitsAt(int64_t i) const {
    const int64_t bit = i * kBits;
    return static_cast<Bits>((data[bit / 8] >> (bit % 8)) & ((1 << kBits) - 1));
  }
  int Get(int64_t i) const {
    const int bits = BitsAt(i);
    return kSigned && bits >= (1 << (kBits - 1)) ? bits - (1 << kBits) : bits;
  }
  Value ValueAt(int64_t i) const { return Get(i); }
  std::string Text(int64_t i) const { return fmt::format("{}", Get(i)); }
};

struct PackedFloat4 {
  using Bits = uint8_t;
  using Value = double;
  static constexpr bool kFloat = true;
  const uint8_t* data;
  Bits BitsAt(int64_t i) const { return static_cast<Bits>((data[i / 2] >> (i % 2 * 4)) & 15); }
  float Get(int64_t i) const { return DecodeSmallFloat<2, 1, 1, Special::kFinite>(BitsAt(i)); }
  Value ValueAt(int64_t i) const { return static_cast<double>(Get(i)); }
  std::string Text(int64_t i) const { return fmt::format("{}", Get(i)); }
};

// Calls visit(loader for candidate, loader for reference, components per element); false for dtypes without values.
template <typename Visit>
bool Dispatch(int dtype, const uint8_t* a, const uint8_t* b, const Visit& visit) {
  const auto go = [&](auto loader, int components) {
    auto other = loader;
    loader.data = a;
    other.data = b;
    visit(loader, other, components);
    return true;
  };
  // Numbers as in onnx.proto: the last ones are younger than the oldest ONNX that is built against.
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
      return go(Native<float>{nullptr}, 1);
    case onnx::TensorProto::DOUBLE:
      return go(Native<double>{nullptr}, 1);
    case onnx::TensorProto::COMPLEX64:
      return go(Native<float>{nullptr}, 2);
    case onnx::TensorProto::COMPLEX128:
      return go(Native<double>{nullptr}, 2);
    case onnx::TensorProto::FLOAT16:
      return go(Decoded<uint16_t, DecodeSmallFloat<5, 10, 15, Special::kIeee>>{nullptr}, 1);
    case onnx::TensorProto::BFLOAT16:
      return go(Decoded<uint16_t, DecodeBfloat16>{nullptr}, 1);
    case onnx::TensorProto::FLOAT8E4M3FN:
      return go(Decoded<uint8_t, DecodeSmallFloat<4, 3, 7, Special::kNanOnly>>{nullptr}, 1);
    case onnx::TensorProto::FLOAT8E4M3FNUZ:
      return go(Decoded<uint8_t, DecodeSmallFloat<4, 3, 8, Special::kNegativeZeroIsNan>>{nullptr}, 1);
    case onnx::TensorProto::FLOAT8E5M2:
      return go(Decoded<uint8_t, DecodeSmallFloat<5, 2, 15, Special::kIeee>>{nullptr}, 1);
    case onnx::TensorProto::FLOAT8E5M2FNUZ:
      return go(Decoded<uint8_t, DecodeSmallFloat<5, 2, 16, Special::kNegativeZeroIsNan>>{nullptr}, 1);
    case onnx::TensorProto::INT8:
      return go(Native<int8_t>{nullptr}, 1);
    case onnx::TensorProto::UINT8:
      return go(Native<uint8_t>{nullptr}, 1);
    case onnx::TensorProto::INT16:
      return go(Native<int16_t>{nullptr}, 1);
    case onnx::TensorProto::UINT16:
      return go(Native<uint16_t>{nullptr}, 1);
    case onnx::TensorProto::INT32:
      return go(Native<int32_t>{nullptr}, 1);
    case onnx::TensorProto::UINT32:
      return go(Native<uint32_t>{nullptr}, 1);
    case onnx::TensorProto::INT64:
      return go(Native<int64_t>{nullptr}, 1);
    case onnx::TensorProto::UINT64:
      return go(Native<uint64_t>{nullptr}, 1);
    case onnx::TensorProto::BOOL:
      return go(Bool{nullptr}, 1);
    case 21:
      return go(PackedInt<4, false>{nullptr}, 1);
    case 22:
      return go(PackedInt<4, true>{nullptr}, 1);
    case 23:
      return go(PackedFloat4{nullptr}, 1);
    case 24:
      return go(Decoded<uint8_t, DecodeE8m0>{nullptr}, 1);
    case 25:
      return go(PackedInt<2, false>{nullptr}, 1);
    case 26:
      return go(PackedInt<2, true>{nullptr}, 1);
    default:
      return false;
  }
}

}  // namespace gomai::elements
