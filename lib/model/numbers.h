#pragma once

// Elements of tensors as numbers, and back.
//
//   std::optional<std::string> raw = PackNumbers(onnx::TensorProto::FLOAT16, {1.5, -0.0, INFINITY});
//   std::optional<std::vector<double>> numbers = UnpackNumbers(dtype, bytes.bytes(), count);
//
// Bytes are little-endian and row-major, types below 8 bits packed with low bits first: what raw_data holds and
// ReadTensor gives. Integers that a double can't hold exactly are no numbers here.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gomai {

// nullopt: a dtype without numbers (strings, complex), an integer beyond +-2^53, fewer bytes than `count` elements
// take.
std::optional<std::vector<double>> UnpackNumbers(int dtype, std::span<const uint8_t> bytes, int64_t count);

// Floats are rounded to the nearest (ties to even) that the type holds, beyond its range to its infinity. nullopt: a
// dtype without numbers; an integer type that can't hold a number as it is; a float type without a NaN, an infinity or
// a number of that size; with `exact` any number that would be rounded.
std::optional<std::string> PackNumbers(int dtype, const std::vector<double>& numbers, bool exact = false);

// float32, float64, float16, bfloat16: the types that operators of networks compute in.
bool IsFloatDtype(int dtype);

}  // namespace gomai
