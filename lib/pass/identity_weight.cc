// Weights of convolutions that copy their input, as raw_data.
#include "lib/pass/identity_weight.h"

#include "lib/pass/new_constants.h"

namespace gomai {

std::string PowerOfTwo(int dtype, int exponent) {
  size_t size = 0;
  int mantissa_bits = 0;
  int bias = 0;
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
      size = 4, mantissa_bits = 23, bias = 127;
      break;
    case onnx::TensorProto::DOUBLE:
      size = 8, mantissa_bits = 52, bias = 1023;
      break;
    case onnx::TensorProto::FLOAT16:
      size = 2, mantissa_bits = 10, bias = 15;
      break;
    case onnx::TensorProto::BFLOAT16:
      size = 2, mantissa_bits = 7, bias = 127;
      break;
    default:
      return "";
  }
  uint64_t bits = static_cast<uint64_t>(bias + exponent) << mantissa_bits;
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(bits & 0xff);
    bits >>= 8;
  }
  return bytes;
}

int64_t IdentityWeightBytes(const IdentityKind& kind, size_t element_bytes) {
  constexpr int64_t kMost = int64_t{1} << 62;
  const int64_t columns = kind.dense ? kind.channels : 1;
  const int64_t column_bytes = static_cast<int64_t>(element_bytes);
  return kind.channels > 0 && columns > kMost / kind.channels / column_bytes ? kMost
                                                                             : kind.channels * columns * column_bytes;
}

onnx::TensorProto IdentityWeight(const IdentityKind& kind, int dtype, const std::string& one) {
  const size_t channels = static_cast<size_t>(kind.channels);
  const size_t columns = kind.dense ? channels : 1;
  std::string bytes(channels * columns * one.size(), '\0');
  for (size_t i = 0; i < channels; ++i) {
    one.copy(bytes.data() + (i * columns + (kind.dense ? i : 0)) * one.size(), one.size());
  }
  std::vector<int64_t> dims(kind.axes + 2, 1);
  dims[0] = kind.channels;
  dims[1] = static_cast<int64_t>(columns);
  return RawTensor(dtype, dims, std::move(bytes));
}

}  // namespace gomai
