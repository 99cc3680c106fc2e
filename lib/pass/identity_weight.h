#pragma once

// Weights of convolutions that copy their input.
//
//   onnx::TensorProto dense = IdentityWeight({.channels = 256, .axes = 2, .dense = true}, dtype, PowerOfTwo(dtype, 0));

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

namespace gomai {

struct IdentityKind {
  int64_t channels = 0;
  size_t axes = 2;    // spatial ones, each of size 1
  bool dense = true;  // [C, C, 1, ...] with ones on the diagonal; else [C, 1, 1, ...] of ones, for group = C
};

// 2^exponent in float32, float64, float16 or bfloat16, little-endian; "" for other types. The exponent must be one of a
// normal number of the type (-14 to 15 is of all).
std::string PowerOfTwo(int dtype, int exponent);

// Bytes of the weight; more than 2^62 count as 2^62.
int64_t IdentityWeightBytes(const IdentityKind& kind, size_t element_bytes);

// `one`: the bytes of the element that stands for 1.
onnx::TensorProto IdentityWeight(const IdentityKind& kind, int dtype, const std::string& one);

}  // namespace gomai
