// Reading tensor values; see tensor.h. Typed fields are decoded into the bytes that raw_data would hold, so that
// callers meet one form only.
#include "lib/model/tensor.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "lib/model/dtype.h"
#include "lib/wire/marker.h"

namespace gomai {
namespace {

static_assert(std::endian::native == std::endian::little, "values are used as they lie in the file, little-endian");

absl::Status Misfit(const onnx::TensorProto& tensor, uint64_t stored, uint64_t expected, std::string_view unit) {
  return DataLoss("tensor '{}' holds {} {}, but its shape and type ({}) need {}", tensor.name(), stored, unit,
                  DtypeName(tensor.data_type()), expected);
}

// Each stored number cut to the element's width: what producers write for negative int8 differs (-1 or 255).
template <typename Stored>
std::vector<uint8_t> Narrow(const google::protobuf::RepeatedField<Stored>& values, size_t width) {
  std::vector<uint8_t> bytes(static_cast<size_t>(values.size()) * width);
  uint8_t* to = bytes.data();
  for (const Stored value : values) {
    std::memcpy(to, &value, width);
    to += width;
  }
  return bytes;
}

// One six-bit element a number, four elements in three bytes.
std::vector<uint8_t> PackSixBits(const google::protobuf::RepeatedField<int32_t>& values, uint64_t size) {
  std::vector<uint8_t> bytes(size);
  size_t bit = 0;
  for (const int32_t value : values) {
    const uint32_t shifted = (static_cast<uint32_t>(value) & 0x3f) << (bit % 8);
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | (shifted & 0xff));
    if (shifted > 0xff) {
      bytes[bit / 8 + 1] = static_cast<uint8_t>(shifted >> 8);
    }
    bit += 6;
  }
  return bytes;
}

template <typename Stored>
absl::StatusOr<std::vector<uint8_t>> DecodeField(const onnx::TensorProto& tensor,
                                                 const google::protobuf::RepeatedField<Stored>& values,
                                                 uint64_t numbers, size_t width) {
  if (static_cast<uint64_t>(values.size()) != numbers) {
    return Misfit(tensor, static_cast<uint64_t>(values.size()), numbers, "numbers");
  }
  return Narrow(values, width);
}

absl::StatusOr<std::vector<uint8_t>> DecodeTyped(const onnx::TensorProto& tensor, uint64_t count, uint64_t size) {
  const int bits = BitsPerElement(tensor.data_type());
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      return DecodeField(tensor, tensor.float_data(), count, 4);
    case onnx::TensorProto::COMPLEX64:
      return DecodeField(tensor, tensor.float_data(), count * 2, 4);
    case onnx::TensorProto::DOUBLE:
      return DecodeField(tensor, tensor.double_data(), count, 8);
    case onnx::TensorProto::COMPLEX128:
      return DecodeField(tensor, tensor.double_data(), count * 2, 8);
    case onnx::TensorProto::INT64:
      return DecodeField(tensor, tensor.int64_data(), count, 8);
    case onnx::TensorProto::UINT64:
      return DecodeField(tensor, tensor.uint64_data(), count, 8);
    case onnx::TensorProto::UINT32:
      return DecodeField(tensor, tensor.uint64_data(), count, 4);
    default:
      break;
  }
  // All others use int32_data: one element a number, or one packed byte a number below 8 bits; six bits go alone.
  if (bits == 6) {
    if (static_cast<uint64_t>(tensor.int32_data_size()) != count) {
      return Misfit(tensor, static_cast<uint64_t>(tensor.int32_data_size()), count, "numbers");
    }
    return PackSixBits(tensor.int32_data(), size);
  }
  return bits < 8 ? DecodeField(tensor, tensor.int32_data(), size, 1)
                  : DecodeField(tensor, tensor.int32_data(), count, static_cast<size_t>(bits) / 8);
}

// Below this a copy is read: touching a mapped page maps up to 2 MiB around it.
constexpr uint64_t kViewThreshold = uint64_t{256} << 10;

// A view where the values are many and lie as their type wants, else an aligned copy.
absl::StatusOr<TensorBytes> FromFile(const onnx::TensorProto& tensor, std::shared_ptr<const MappedFile> file,
                                     uint64_t offset, uint64_t length) {
  const std::span<const uint8_t> all = file->bytes();
  if (offset > all.size() || length > all.size() - offset) {
    return DataLoss("tensor '{}': its bytes {} to {} lie beyond the end of '{}' ({} bytes)", tensor.name(), offset,
                    offset + length, file->path().string(), all.size());
  }
  const std::span<const uint8_t> view = all.subspan(offset, length);
  const size_t alignment = static_cast<size_t>(std::clamp(BitsPerElement(tensor.data_type()) / 8, 1, 8));
  if (length < kViewThreshold || std::bit_cast<uintptr_t>(view.data()) % alignment != 0) {
    std::vector<uint8_t> bytes(length);
    GOMAI_RETURN_IF_ERROR(file->Read(offset, bytes));
    return TensorBytes::Own(std::move(bytes));
  }
  return TensorBytes::View(view, std::move(file));
}

}  // namespace

TensorBytes TensorBytes::Own(std::vector<uint8_t> bytes) {
  TensorBytes result;
  result.owned_ = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  result.view_ = *result.owned_;
  return result;
}

TensorBytes TensorBytes::View(std::span<const uint8_t> bytes, std::shared_ptr<const MappedFile> keep) {
  TensorBytes result;
  result.view_ = bytes;
  result.file_ = std::move(keep);
  return result;
}

absl::StatusOr<int64_t> ElementCount(const onnx::TensorProto& tensor) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dim : tensor.dims()) {
    if (dim < 0) {
      return DataLoss("tensor '{}' has the negative dimension {}", tensor.name(), dim);
    }
    empty = empty || dim == 0;
  }
  for (const int64_t dim : tensor.dims()) {
    if (!empty && dim > std::numeric_limits<int64_t>::max() / count) {
      return DataLoss("tensor '{}' has more elements than can be counted", tensor.name());
    }
    count *= empty ? 1 : dim;
  }
  return empty ? 0 : count;
}

absl::StatusOr<TensorBytes> ReadTensor(const onnx::TensorProto& tensor, const Model& model) {
  const int dtype = tensor.data_type();
  if (dtype == onnx::TensorProto::STRING) {
    return InvalidArgument("tensor '{}' holds strings, not numbers", tensor.name());
  }
  const int bits = BitsPerElement(dtype);
  if (bits == 0) {
    return DataLoss("tensor '{}' has no known element type ({})", tensor.name(), dtype);
  }
  GOMAI_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor));
  // No file is so long; it keeps all sizes below far from overflow.
  if (count > std::numeric_limits<int64_t>::max() / 128) {
    return DataLoss("tensor '{}' has more elements than can be stored", tensor.name());
  }
  const uint64_t size = PackedBytes(dtype, static_cast<uint64_t>(count));

  if (const std::optional<wire::Marker> marker = FindMarker(tensor)) {
    if (marker->length != size || !PayloadFits(marker->field, dtype)) {
      return Misfit(tensor, marker->length, size, "bytes");
    }
    std::shared_ptr<const MappedFile> file = model.sources().Share(marker->source_id);
    if (file == nullptr) {
      return Internal("tensor '{}' refers to a file of another model, which this one doesn't know", tensor.name());
    }
    return FromFile(tensor, std::move(file), marker->offset, marker->length);
  }
  if (IsExternal(tensor)) {
    GOMAI_ASSIGN_OR_RETURN(const ExternalReference reference, ReadExternalReference(tensor));
    if (reference.length.value_or(size) != size) {
      return Misfit(tensor, *reference.length, size, "bytes");
    }
    GOMAI_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, OpenExternal(model.folder(), reference.location));
    return FromFile(tensor, std::move(file), reference.offset, size);
  }
  const std::string& raw = tensor.raw_data();
  const bool typed = tensor.float_data_size() + tensor.int32_data_size() + tensor.int64_data_size() +
                         tensor.double_data_size() + tensor.uint64_data_size() >
                     0;
  if (!raw.empty() || (tensor.has_raw_data() && !typed)) {
    if (raw.size() != size) {
      return Misfit(tensor, raw.size(), size, "bytes");
    }
    return TensorBytes::Own(std::vector<uint8_t>(raw.begin(), raw.end()));
  }
  GOMAI_ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, DecodeTyped(tensor, static_cast<uint64_t>(count), size));
  return TensorBytes::Own(std::move(bytes));
}

absl::StatusOr<std::vector<std::string>> ReadStrings(const onnx::TensorProto& tensor) {
  if (tensor.data_type() != onnx::TensorProto::STRING) {
    return InvalidArgument("tensor '{}' holds {}, not strings", tensor.name(), DtypeName(tensor.data_type()));
  }
  GOMAI_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor));
  if (tensor.string_data_size() != count) {
    return Misfit(tensor, static_cast<uint64_t>(tensor.string_data_size()), static_cast<uint64_t>(count), "strings");
  }
  return std::vector<std::string>(tensor.string_data().begin(), tensor.string_data().end());
}

uint64_t TensorByteSize(const onnx::TensorProto& tensor) {
  if (tensor.data_type() == onnx::TensorProto::STRING) {
    uint64_t size = 0;
    for (const std::string& text : tensor.string_data()) {
      size += text.size();
    }
    return size;
  }
  const absl::StatusOr<int64_t> count = ElementCount(tensor);
  if (!count.ok() || *count > std::numeric_limits<int64_t>::max() / 128) {
    return 0;
  }
  return PackedBytes(tensor.data_type(), static_cast<uint64_t>(*count));
}

bool PayloadFits(int field, int dtype) {
  switch (field) {
    case 4:
      return dtype == onnx::TensorProto::FLOAT || dtype == onnx::TensorProto::COMPLEX64;
    case 10:
      return dtype == onnx::TensorProto::DOUBLE || dtype == onnx::TensorProto::COMPLEX128;
    default:
      return true;
  }
}

void ClearData(onnx::TensorProto& tensor) {
  tensor.clear_float_data();
  tensor.clear_int32_data();
  tensor.clear_string_data();
  tensor.clear_int64_data();
  tensor.clear_raw_data();
  tensor.clear_double_data();
  tensor.clear_uint64_data();
  tensor.clear_external_data();
  tensor.clear_data_location();
}

void SetRawData(onnx::TensorProto& tensor, std::string bytes) {
  const std::optional<wire::Marker> marker = FindMarker(tensor);
  const bool written_out = tensor.has_data_location() && !IsExternal(tensor) && (!marker || marker->explicit_location);
  ClearData(tensor);
  tensor.set_raw_data(std::move(bytes));
  if (written_out) {
    tensor.set_data_location(onnx::TensorProto::DEFAULT);
  }
}

namespace {

// The elements of `bytes`, each of `size` bytes, into a typed field.
template <typename Element, typename Field>
void FillField(const std::string& bytes, Field* field) {
  for (size_t at = 0; at + sizeof(Element) <= bytes.size(); at += sizeof(Element)) {
    Element element;
    std::memcpy(&element, bytes.data() + at, sizeof(Element));
    field->Add(element);
  }
}

}  // namespace

void ReplaceData(onnx::TensorProto& tensor, std::string bytes) {
  const bool floats = tensor.float_data_size() > 0;
  const bool doubles = tensor.double_data_size() > 0;
  const bool ints = tensor.int32_data_size() > 0;
  const bool longs = tensor.int64_data_size() > 0;
  const bool unsigned_longs = tensor.uint64_data_size() > 0;
  SetRawData(tensor, "");
  if (floats) {
    FillField<float>(bytes, tensor.mutable_float_data());
  } else if (doubles) {
    FillField<double>(bytes, tensor.mutable_double_data());
  } else if (longs) {
    FillField<int64_t>(bytes, tensor.mutable_int64_data());
  } else if (unsigned_longs && tensor.data_type() == onnx::TensorProto::UINT32) {
    FillField<uint32_t>(bytes, tensor.mutable_uint64_data());
  } else if (unsigned_longs) {
    FillField<uint64_t>(bytes, tensor.mutable_uint64_data());
  } else if (ints && tensor.data_type() == onnx::TensorProto::INT32) {
    FillField<int32_t>(bytes, tensor.mutable_int32_data());
  } else if (ints && tensor.data_type() == onnx::TensorProto::INT16) {
    FillField<int16_t>(bytes, tensor.mutable_int32_data());
  } else if (ints && tensor.data_type() == onnx::TensorProto::INT8) {
    FillField<int8_t>(bytes, tensor.mutable_int32_data());
  } else if (ints && BitsPerElement(tensor.data_type()) == 16) {
    FillField<uint16_t>(bytes, tensor.mutable_int32_data());  // float16 and bfloat16 as their bits
  } else if (ints) {
    FillField<uint8_t>(bytes, tensor.mutable_int32_data());  // packed types: one byte an entry
  } else {
    tensor.set_raw_data(std::move(bytes));
    return;
  }
  tensor.clear_raw_data();
}

void SetMarker(onnx::TensorProto& tensor, const wire::Marker& marker) {
  ClearData(tensor);
  const wire::MarkerTexts texts = wire::MarkerToTexts(marker);
  const auto add = [&](std::string_view key, const std::string& value) {
    onnx::StringStringEntryProto* entry = tensor.add_external_data();
    entry->set_key(std::string(key));
    entry->set_value(value);
  };
  add("location", texts.location);
  add("offset", texts.offset);
  add("length", texts.length);
  add(wire::kMarkerKey, texts.inlined);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
}

void SetExternal(onnx::TensorProto& tensor, const std::string& location, uint64_t offset, uint64_t length) {
  ClearData(tensor);
  const auto add = [&](const char* key, std::string value) {
    onnx::StringStringEntryProto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(std::move(value));
  };
  add("location", location);
  add("offset", std::to_string(offset));
  add("length", std::to_string(length));
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
}

}  // namespace gomai
