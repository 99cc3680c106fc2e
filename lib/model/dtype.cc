// Element types; see dtype.h. One table, in the order of ONNX's numbers, is all there is to know about them.
#include "lib/model/dtype.h"

#include <array>
#include <cctype>

namespace gomai {
namespace {

struct DtypeInfo {
  int number;
  int bits;
  std::string_view name;       // numpy's or ml_dtypes'
  std::string_view onnx_name;  // as in onnx.proto
};

// The numbers are onnx.proto's, written out: those at the end are younger than the oldest ONNX that is built against.
constexpr std::array<DtypeInfo, 29> kDtypes = {{
    {0, 0, "undefined", "UNDEFINED"},
    {1, 32, "float32", "FLOAT"},
    {2, 8, "uint8", "UINT8"},
    {3, 8, "int8", "INT8"},
    {4, 16, "uint16", "UINT16"},
    {5, 16, "int16", "INT16"},
    {6, 32, "int32", "INT32"},
    {7, 64, "int64", "INT64"},
    {8, 0, "string", "STRING"},
    {9, 8, "bool", "BOOL"},
    {10, 16, "float16", "FLOAT16"},
    {11, 64, "float64", "DOUBLE"},
    {12, 32, "uint32", "UINT32"},
    {13, 64, "uint64", "UINT64"},
    {14, 64, "complex64", "COMPLEX64"},
    {15, 128, "complex128", "COMPLEX128"},
    {16, 16, "bfloat16", "BFLOAT16"},
    {17, 8, "float8_e4m3fn", "FLOAT8E4M3FN"},
    {18, 8, "float8_e4m3fnuz", "FLOAT8E4M3FNUZ"},
    {19, 8, "float8_e5m2", "FLOAT8E5M2"},
    {20, 8, "float8_e5m2fnuz", "FLOAT8E5M2FNUZ"},
    {21, 4, "uint4", "UINT4"},
    {22, 4, "int4", "INT4"},
    {23, 4, "float4_e2m1fn", "FLOAT4E2M1"},
    {24, 8, "float8_e8m0fnu", "FLOAT8E8M0"},
    {25, 2, "uint2", "UINT2"},
    {26, 2, "int2", "INT2"},
    {27, 6, "float6_e2m3fn", "FLOAT6E2M3"},
    {28, 6, "float6_e3m2fn", "FLOAT6E3M2"},
}};

const DtypeInfo* Find(int dtype) {
  return dtype >= 0 && static_cast<size_t>(dtype) < kDtypes.size() ? &kDtypes[static_cast<size_t>(dtype)] : nullptr;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return lower;
}

}  // namespace

int BitsPerElement(int dtype) {
  const DtypeInfo* info = Find(dtype);
  return info == nullptr ? 0 : info->bits;
}

uint64_t PackedBytes(int dtype, uint64_t count) {
  const uint64_t bits = static_cast<uint64_t>(BitsPerElement(dtype));
  // In whole and rest, so that the product of bits and a huge count can't overflow before the division.
  return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

std::string DtypeName(int dtype) {
  const DtypeInfo* info = Find(dtype);
  return info == nullptr ? fmt::format("dtype({})", dtype) : std::string(info->name);
}

std::optional<int> ParseDtype(std::string_view name) {
  const std::string lower = Lower(name);
  for (const DtypeInfo& info : kDtypes) {
    if (lower == info.name || lower == Lower(info.onnx_name)) {
      return info.number;
    }
  }
  return std::nullopt;
}

std::string TypeName(const onnx::TypeProto& type) {
  // Nested types open brackets from the outside in and close them all at the end.
  std::string name;
  std::string closing;
  const onnx::TypeProto* current = &type;
  while (true) {
    const onnx::TypeProto* inner = nullptr;
    switch (current->value_case()) {
      case onnx::TypeProto::kTensorType:
        return name + DtypeName(current->tensor_type().elem_type()) + closing;
      case onnx::TypeProto::kSparseTensorType:
        return name + "sparse(" + DtypeName(current->sparse_tensor_type().elem_type()) + ")" + closing;
      case onnx::TypeProto::kSequenceType:
        name += "sequence(";
        inner = &current->sequence_type().elem_type();
        break;
      case onnx::TypeProto::kOptionalType:
        name += "optional(";
        inner = &current->optional_type().elem_type();
        break;
      case onnx::TypeProto::kMapType:
        name += "map(" + DtypeName(current->map_type().key_type()) + ",";
        inner = &current->map_type().value_type();
        break;
      case onnx::TypeProto::kOpaqueType:
        return name + "opaque(" + current->opaque_type().domain() + "," + current->opaque_type().name() + ")" + closing;
      case onnx::TypeProto::VALUE_NOT_SET:
        return name + closing;
    }
    closing += ")";
    current = inner;
  }
}

std::optional<onnx::TypeProto> ParseTypeName(std::string_view name) {
  onnx::TypeProto type;
  onnx::TypeProto* current = &type;
  while (name.ends_with(')')) {
    name.remove_suffix(1);
    const size_t open = name.find('(');
    if (open == std::string_view::npos) {
      return std::nullopt;
    }
    const std::string_view outer = name.substr(0, open);
    name.remove_prefix(open + 1);
    if (outer == "sequence") {
      current = current->mutable_sequence_type()->mutable_elem_type();
    } else if (outer == "optional") {
      current = current->mutable_optional_type()->mutable_elem_type();
    } else if (outer == "map") {
      const size_t comma = name.find(',');
      const std::optional<int> key = ParseDtype(name.substr(0, comma));
      if (comma == std::string_view::npos || !key) {
        return std::nullopt;
      }
      current->mutable_map_type()->set_key_type(*key);
      current = current->mutable_map_type()->mutable_value_type();
      name.remove_prefix(comma + 1);
    } else if (outer == "sparse") {
      const std::optional<int> dtype = ParseDtype(name);
      if (!dtype) {
        return std::nullopt;
      }
      current->mutable_sparse_tensor_type()->set_elem_type(*dtype);
      return type;
    } else {
      return std::nullopt;
    }
  }
  const std::optional<int> dtype = ParseDtype(name);
  if (!dtype) {
    return std::nullopt;
  }
  current->mutable_tensor_type()->set_elem_type(*dtype);
  return type;
}

}  // namespace gomai
