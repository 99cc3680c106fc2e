// See random_tensors.h. Elements are drawn as bytes of the dtype's encoding, from tables where not all bits are finite
// small numbers.
#include "tests/support/random_tensors.h"

#include <bit>
#include <cstring>

namespace gomai::testing {
namespace {

using onnx::TensorProto;

int BitsOf(int dtype) {
  switch (dtype) {
    case TensorProto::COMPLEX128:
      return 128;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
    case TensorProto::COMPLEX64:
      return 64;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 32;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 16;
    case TensorProto::INT4:
    case TensorProto::UINT4:
    case TensorProto::FLOAT4E2M1:
      return 4;
    default:
      return 8;
  }
}

template <typename T>
std::string BytesOf(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string Element(int dtype, std::mt19937_64& random) {
  const uint64_t draw = random();
  const auto small = static_cast<double>(static_cast<int>(draw % 17) - 8) / 8;
  static constexpr uint16_t kHalf[] = {0, 0x3C00, 0x4000, 0x4200, 0xBC00};
  static constexpr uint16_t kBrain[] = {0, 0x3F80, 0x4000, 0x4040, 0xBF80};
  switch (dtype) {
    case TensorProto::FLOAT:
      return BytesOf(static_cast<float>(small));
    case TensorProto::DOUBLE:
      return BytesOf(small);
    case TensorProto::COMPLEX64:
      return BytesOf(static_cast<float>(small)) + BytesOf(1.0F);
    case TensorProto::COMPLEX128:
      return BytesOf(small) + BytesOf(1.0);
    case TensorProto::FLOAT16:
      return BytesOf(kHalf[draw % 5]);
    case TensorProto::BFLOAT16:
      return BytesOf(kBrain[draw % 5]);
    case TensorProto::BOOL:
      return BytesOf(static_cast<uint8_t>(draw % 2));
    case TensorProto::INT64:
    case TensorProto::UINT64:
      return BytesOf(static_cast<uint64_t>(draw % 8));
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return BytesOf(static_cast<uint32_t>(draw % 8));
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return BytesOf(static_cast<uint16_t>(draw % 8));
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return BytesOf(static_cast<uint8_t>(draw % 8));
    default:  // 8-bit floats: below infinity and NaN in each of the formats
      return BytesOf(static_cast<uint8_t>(draw % 0x48));
  }
}

}  // namespace

const std::vector<int>& CastableDtypes() {
  static const std::vector<int> dtypes = {
      TensorProto::DOUBLE,         TensorProto::FLOAT16,    TensorProto::BFLOAT16,       TensorProto::INT8,
      TensorProto::UINT8,          TensorProto::INT16,      TensorProto::UINT16,         TensorProto::INT32,
      TensorProto::UINT32,         TensorProto::INT64,      TensorProto::UINT64,         TensorProto::BOOL,
      TensorProto::FLOAT8E4M3FN,   TensorProto::FLOAT8E5M2, TensorProto::FLOAT8E4M3FNUZ, TensorProto::STRING,
      TensorProto::FLOAT8E5M2FNUZ, TensorProto::INT4,       TensorProto::UINT4,
  };
  return dtypes;
}

const std::vector<int>& ExoticDtypes() {
  static const std::vector<int> dtypes = {TensorProto::COMPLEX64, TensorProto::COMPLEX128, TensorProto::FLOAT4E2M1};
  return dtypes;
}

TensorProto RandomTensorProto(int dtype, const std::vector<int64_t>& dims, std::mt19937_64& random) {
  TensorProto tensor;
  tensor.set_data_type(dtype);
  size_t count = 1;
  for (const int64_t dim : dims) {
    tensor.add_dims(dim);
    count *= static_cast<size_t>(dim);
  }
  if (dtype == TensorProto::STRING) {
    for (size_t i = 0; i < count; ++i) {
      tensor.add_string_data(std::to_string(random() % 20));
    }
    return tensor;
  }
  std::string bytes;
  if (BitsOf(dtype) == 4) {
    bytes.resize((count + 1) / 2);
    for (size_t i = 0; i < count; ++i) {
      bytes[i / 2] = static_cast<char>(bytes[i / 2] | static_cast<char>(random() % 16) << (i % 2 * 4));
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      bytes += Element(dtype, random);
    }
  }
  tensor.set_raw_data(std::move(bytes));
  return tensor;
}

void StoreTyped(TensorProto& tensor) {
  if (!tensor.has_raw_data() || BitsOf(tensor.data_type()) == 4) {
    return;
  }
  const std::string bytes = tensor.raw_data();
  const int dtype = tensor.data_type();
  tensor.clear_raw_data();
  const auto each = [&](auto type, const auto& add) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(type)) {
      std::memcpy(&type, bytes.data() + at, sizeof(type));
      add(type);
    }
  };
  const auto as_int32 = [&](auto value) { tensor.add_int32_data(static_cast<int32_t>(value)); };
  switch (dtype) {
    case TensorProto::FLOAT:
    case TensorProto::COMPLEX64:
      each(float{}, [&](float value) { tensor.add_float_data(value); });
      break;
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX128:
      each(double{}, [&](double value) { tensor.add_double_data(value); });
      break;
    case TensorProto::INT64:
      each(int64_t{}, [&](int64_t value) { tensor.add_int64_data(value); });
      break;
    case TensorProto::UINT64:
      each(uint64_t{}, [&](uint64_t value) { tensor.add_uint64_data(value); });
      break;
    case TensorProto::UINT32:
      each(uint32_t{}, [&](uint32_t value) { tensor.add_uint64_data(value); });
      break;
    case TensorProto::INT32:
      each(int32_t{}, as_int32);
      break;
    case TensorProto::INT16:
      each(int16_t{}, as_int32);
      break;
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      each(uint16_t{}, as_int32);
      break;
    case TensorProto::INT8:
      each(int8_t{}, as_int32);
      break;
    default:
      each(uint8_t{}, as_int32);
      break;
  }
}

void StoreExternal(TensorProto& tensor, const std::string& name, std::string& data, std::mt19937_64& random) {
  if (!tensor.has_raw_data()) {
    return;
  }
  if (random() % 2 == 0) {
    data.resize((data.size() + 63) / 64 * 64, '\0');
  }
  const auto entry = [&](const char* key, const std::string& value) {
    onnx::StringStringEntryProto& added = *tensor.add_external_data();
    added.set_key(key);
    added.set_value(value);
  };
  entry("location", name);
  if (!data.empty() || random() % 2 == 0) {
    entry("offset", std::to_string(data.size()));
  }
  entry("length", std::to_string(tensor.raw_data().size()));
  data += tensor.raw_data();
  tensor.clear_raw_data();
  tensor.set_data_location(TensorProto::EXTERNAL);
}

}  // namespace gomai::testing
