// Made-up inputs that are the same on every machine: value i of an input is splitmix64((fnv1a64(name) ^ seed) + i), and
// its top bits become the value. Floats take just as many bits as their type can hold in [0,1), so nothing is rounded.
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/base/text.h"
#include "lib/runtime/backend.h"

namespace gomai {
namespace {

// TensorProto.DataType of ONNX 1.20 and later; older headers lack the names.
constexpr int kUint2 = 25;
constexpr int kInt2 = 26;

uint64_t Fnv1a64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return hash;
}

uint64_t SplitMix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The bits of k * 2^-fraction_bits (k < 2^fraction_bits <= 2^(mantissa + 1)) in a float format without sign.
uint64_t SmallFloat(uint64_t k, int fraction_bits, int mantissa, int bias) {
  if (k == 0) {
    return 0;
  }
  const int top = static_cast<int>(std::bit_width(k)) - 1;
  const int exponent = top - fraction_bits + bias;
  if (exponent >= 1) {
    const uint64_t fraction = (k << (mantissa - top)) & ((uint64_t{1} << mantissa) - 1);
    return (static_cast<uint64_t>(exponent) << mantissa) | fraction;
  }
  return k << (mantissa + bias - 1 - fraction_bits);  // subnormal
}

// One value's bits (at most 64) from 64 random bits; nullopt for a dtype that has none.
std::optional<uint64_t> ValueBits(int dtype, uint64_t r) {
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::COMPLEX64:
      return std::bit_cast<uint32_t>(static_cast<float>(static_cast<double>(r >> 40) * 0x1p-24));
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::COMPLEX128:
      return std::bit_cast<uint64_t>(static_cast<double>(r >> 11) * 0x1p-53);
    case onnx::TensorProto::FLOAT16:
      return SmallFloat(r >> 53, 11, 10, 15);
    case onnx::TensorProto::BFLOAT16:
      return SmallFloat(r >> 56, 8, 7, 127);
    case onnx::TensorProto::FLOAT8E4M3FN:
      return SmallFloat(r >> 60, 4, 3, 7);
    case onnx::TensorProto::FLOAT8E4M3FNUZ:
      return SmallFloat(r >> 60, 4, 3, 8);
    case onnx::TensorProto::FLOAT8E5M2:
      return SmallFloat(r >> 61, 3, 2, 15);
    case onnx::TensorProto::FLOAT8E5M2FNUZ:
      return SmallFloat(r >> 61, 3, 2, 16);
    case onnx::TensorProto::FLOAT8E8M0:
      return 126 - (r >> 61);  // powers of two from 1/2 down
    case onnx::TensorProto::FLOAT4E2M1:
      return SmallFloat(r >> 63, 1, 1, 1);  // 0 or 0.5
    case kInt2:
    case onnx::TensorProto::BOOL:
      return r >> 63;
    case kUint2:
      return r >> 62;
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::UINT16:
    case onnx::TensorProto::UINT32:
    case onnx::TensorProto::UINT64:
    case onnx::TensorProto::INT4:
    case onnx::TensorProto::UINT4:
      return r >> 61;
    default:
      return std::nullopt;
  }
}

// Values of 2, 4, 8, 16, 32 or 64 bits one after another, low bits first.
void Pack(std::span<uint8_t> bytes, uint64_t index, int bits, uint64_t value) {
  if (bits < 8) {
    const uint64_t position = index * static_cast<uint64_t>(bits);
    bytes[position / 8] = static_cast<uint8_t>(bytes[position / 8] | (value << (position % 8)));
    return;
  }
  std::memcpy(bytes.data() + index * static_cast<uint64_t>(bits / 8), &value, static_cast<size_t>(bits / 8));
}

}  // namespace

absl::StatusOr<HostTensor> RandomTensor(const ValueSpec& spec, uint64_t seed, const std::vector<int64_t>& shape) {
  if (spec.dtype == 0) {
    return InvalidArgument("input '{}' is a {}; gomai makes up tensors only", spec.name, spec.type);
  }
  GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, HostTensor::Create(spec.dtype, shape));
  if (spec.has_shape) {
    bool fits = shape.size() == spec.shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i) {
      fits = spec.shape[i] < 0 || spec.shape[i] == shape[i];
    }
    if (!fits) {
      return InvalidArgument("input '{}' is {}; the shape [{}] doesn't fit", spec.name, DescribeSpec(spec),
                             fmt::join(shape, ","));
    }
  }
  if (tensor.is_string()) {
    std::vector<std::string> strings;
    for (int64_t i = 0; i < tensor.count(); ++i) {
      strings.push_back(fmt::format("s{}", i));
    }
    return HostTensor::Strings(shape, std::move(strings));
  }
  const bool is_complex = spec.dtype == onnx::TensorProto::COMPLEX64 || spec.dtype == onnx::TensorProto::COMPLEX128;
  const int bits = BitsPerElement(spec.dtype) / (is_complex ? 2 : 1);
  const uint64_t count = static_cast<uint64_t>(tensor.count()) * (is_complex ? 2 : 1);
  const uint64_t base = Fnv1a64(spec.name) ^ seed;
  const std::span<uint8_t> bytes = tensor.mutable_bytes();
  for (uint64_t i = 0; i < count; ++i) {
    const std::optional<uint64_t> value = ValueBits(spec.dtype, SplitMix64(base + i));
    if (!value) {
      return InvalidArgument("input '{}' is {}; gomai can't make up values of that type", spec.name, spec.type);
    }
    Pack(bytes, i, bits, *value);
  }
  return tensor;
}

absl::StatusOr<NamedTensors> RandomInputs(const std::vector<ValueSpec>& inputs, uint64_t seed,
                                          const std::map<std::string, std::vector<int64_t>>& shapes,
                                          const NamedTensors& given) {
  std::vector<std::string_view> names;
  for (const ValueSpec& spec : inputs) {
    names.push_back(spec.name);
  }
  for (const auto& [name, shape] : shapes) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return InvalidArgument("a shape is given for '{}', which is no input of the model{}", name,
                             DidYouMean(name, names));
    }
    if (given.contains(name)) {
      return InvalidArgument("both a value and a shape are given for input '{}'; give one", name);
    }
  }
  NamedTensors made;
  for (const ValueSpec& spec : inputs) {
    if (given.contains(spec.name)) {
      continue;
    }
    std::vector<int64_t> shape = spec.shape;
    if (const auto wanted = shapes.find(spec.name); wanted != shapes.end()) {
      shape = wanted->second;
    } else if (!spec.has_shape || std::any_of(shape.begin(), shape.end(), [](int64_t dim) { return dim < 0; })) {
      return InvalidArgument("input '{}' is {}; say what size to make up for it", spec.name, DescribeSpec(spec));
    }
    GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, RandomTensor(spec, seed, shape));
    made.emplace(spec.name, std::move(tensor));
  }
  return made;
}

}  // namespace gomai
