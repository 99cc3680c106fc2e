#pragma once

// Element types: ONNX's numbers, numpy's names, sizes.

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace gomai {

// Bits of one element; 0 for string and undefined. (bool 8; int4, uint4, float4e2m1 4; int2, uint2 2.)
int BitsPerElement(int dtype);
// ceil(count * bits / 8).
uint64_t PackedBytes(int dtype, uint64_t count);

// numpy's (and ml_dtypes') name: "float32", "int64", "bool", "string", "bfloat16", "float8_e4m3fn", "int4";
// "undefined".
std::string DtypeName(int dtype);
// ONNX's TensorProto.DataType for such a name; also takes ONNX's own names ("FLOAT", "float"). nullopt: unknown.
std::optional<int> ParseDtype(std::string_view name);

// A type as manifests show it: "float32", "sequence(float32)", "optional(…)", "map(int64,…)"; "" when unset.
std::string TypeName(const onnx::TypeProto& type);
// The type of such a name; nullopt: not one.
std::optional<onnx::TypeProto> ParseTypeName(std::string_view name);

}  // namespace gomai
