// Tensors: every way to store values has its own size rule (onnx.proto, TensorProto). Element types that this library
// doesn't know yet are let through: they are for ONNX's checker, and a copy of them is none the worse.
#include "lib/graph/verify_tensors.h"

#include <system_error>
#include <utility>

#include "lib/model/dtype.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

using Tensor = onnx::TensorProto;

// How many entries of a typed field hold `count` elements; nullopt if this type isn't stored in that field.
std::optional<uint64_t> EntriesIn(int field, int dtype, uint64_t count) {
  switch (field) {
    case Tensor::kFloatDataFieldNumber:
      return dtype == Tensor::FLOAT       ? std::optional(count)
             : dtype == Tensor::COMPLEX64 ? std::optional(2 * count)
                                          : std::nullopt;
    case Tensor::kDoubleDataFieldNumber:
      return dtype == Tensor::DOUBLE       ? std::optional(count)
             : dtype == Tensor::COMPLEX128 ? std::optional(2 * count)
                                           : std::nullopt;
    case Tensor::kInt64DataFieldNumber:
      return dtype == Tensor::INT64 ? std::optional(count) : std::nullopt;
    case Tensor::kUint64DataFieldNumber:
      return dtype == Tensor::UINT32 || dtype == Tensor::UINT64 ? std::optional(count) : std::nullopt;
    case Tensor::kStringDataFieldNumber:
      return dtype == Tensor::STRING ? std::optional(count) : std::nullopt;
    case Tensor::kInt32DataFieldNumber:
      switch (dtype) {
        case Tensor::FLOAT:
        case Tensor::INT64:
        case Tensor::DOUBLE:
        case Tensor::UINT32:
        case Tensor::UINT64:
        case Tensor::STRING:
        case Tensor::COMPLEX64:
        case Tensor::COMPLEX128:
          return std::nullopt;
        default:  // one entry an element, or one a byte for types below a byte
          return BitsPerElement(dtype) < 8 ? PackedBytes(dtype, count) : count;
      }
    default:
      return std::nullopt;
  }
}

struct Stored {
  int field;
  const char* name;
  uint64_t entries;
};

std::vector<Stored> StoredIn(const Tensor& tensor) {
  std::vector<Stored> stored;
  const auto add = [&](int field, const char* name, int entries) {
    if (entries > 0) {
      stored.push_back({field, name, static_cast<uint64_t>(entries)});
    }
  };
  add(Tensor::kFloatDataFieldNumber, "float_data", tensor.float_data_size());
  add(Tensor::kInt32DataFieldNumber, "int32_data", tensor.int32_data_size());
  add(Tensor::kStringDataFieldNumber, "string_data", tensor.string_data_size());
  add(Tensor::kInt64DataFieldNumber, "int64_data", tensor.int64_data_size());
  add(Tensor::kDoubleDataFieldNumber, "double_data", tensor.double_data_size());
  add(Tensor::kUint64DataFieldNumber, "uint64_data", tensor.uint64_data_size());
  if (!tensor.raw_data().empty()) {
    stored.push_back({Tensor::kRawDataFieldNumber, "raw_data", tensor.raw_data().size()});
  }
  if (const std::optional<wire::Marker> marker = FindMarker(tensor)) {
    const uint64_t entry = marker->field == Tensor::kFloatDataFieldNumber    ? 4
                           : marker->field == Tensor::kDoubleDataFieldNumber ? 8
                                                                             : 1;
    stored.push_back({marker->field,
                      entry == 4   ? "float_data"
                      : entry == 8 ? "double_data"
                                   : "raw_data",
                      marker->length / entry});
  }
  return stored;
}

}  // namespace

std::optional<TensorVerifier::Finding> TensorVerifier::Check(const Tensor& tensor) {
  const auto bad = [](std::string message) { return Finding{FaultKind::kBadTensor, std::move(message)}; };
  const int dtype = tensor.data_type();
  if (dtype == Tensor::UNDEFINED) {
    return bad("has no element type");
  }
  const absl::StatusOr<int64_t> elements = ElementCount(tensor);
  if (!elements.ok()) {
    return bad(std::string(Message(elements.status())));
  }
  const auto count = static_cast<uint64_t>(*elements);
  const bool known = dtype == Tensor::STRING || BitsPerElement(dtype) > 0;
  if (IsExternal(tensor)) {
    if (dtype == Tensor::STRING) {
      return Finding{FaultKind::kBadExternalData, "is of strings, which can't be external data"};
    }
    return CheckExternal(tensor, known ? std::optional(PackedBytes(dtype, count)) : std::nullopt);
  }
  const std::vector<Stored> stored = StoredIn(tensor);
  if (stored.size() > 1) {
    return bad(fmt::format("has values in {} and in {}", stored[0].name, stored[1].name));
  }
  if (!known || tensor.has_segment()) {
    return std::nullopt;
  }
  if (stored.empty()) {
    return count == 0 ? std::nullopt
                      : std::optional(
                            bad(fmt::format("has no values; its dims say {} elements of {}", count, DtypeName(dtype))));
  }
  if (stored[0].field == Tensor::kRawDataFieldNumber) {
    if (dtype == Tensor::STRING) {
      return bad("has strings in raw_data");
    }
    const uint64_t needed = PackedBytes(dtype, count);
    return stored[0].entries == needed
               ? std::nullopt
               : std::optional(bad(fmt::format("has {} bytes; its dims need {} ({} elements of {})", stored[0].entries,
                                               needed, count, DtypeName(dtype))));
  }
  const std::optional<uint64_t> needed = EntriesIn(stored[0].field, dtype, count);
  if (!needed) {
    return bad(fmt::format("has values in {}, which doesn't hold {}", stored[0].name, DtypeName(dtype)));
  }
  return stored[0].entries == *needed ? std::nullopt
                                      : std::optional(bad(fmt::format("has {} entries in {}; its dims need {}",
                                                                      stored[0].entries, stored[0].name, *needed)));
}

std::optional<TensorVerifier::Finding> TensorVerifier::Check(const onnx::SparseTensorProto& tensor) {
  std::optional<Finding> finding = Check(tensor.values());
  if (!finding && tensor.has_indices()) {
    finding = Check(tensor.indices());
    if (!finding && tensor.indices().data_type() != Tensor::INT64) {
      finding = Finding{FaultKind::kBadTensor,
                        fmt::format("has indices of {}; they are int64", DtypeName(tensor.indices().data_type()))};
    }
  }
  if (!finding && tensor.values().dims_size() != 1) {
    finding = Finding{
        FaultKind::kBadTensor,
        fmt::format("has values of rank {}; a sparse tensor lists them in one dimension", tensor.values().dims_size())};
  }
  return finding;
}

const TensorVerifier::DataFile& TensorVerifier::Look(const std::string& location) {
  const auto [entry, is_new] = files_.try_emplace(location);
  if (is_new) {
    DataFile& file = entry->second;
    file.location = CheckExternalLocation(model_.folder(), location);
    if (file.location.ok()) {
      if (const absl::StatusOr<std::filesystem::path> path = ResolveExternal(model_.folder(), location); path.ok()) {
        std::error_code error;
        const uintmax_t size = std::filesystem::file_size(*path, error);
        if (!error) {
          file.size = size;
        }
      }
    }
  }
  return entry->second;
}

std::optional<TensorVerifier::Finding> TensorVerifier::CheckExternal(const Tensor& tensor,
                                                                     std::optional<uint64_t> needed) {
  const auto bad = [](std::string message) { return Finding{FaultKind::kBadExternalData, std::move(message)}; };
  const absl::StatusOr<ExternalReference> reference = ReadExternalReference(tensor);
  if (!reference.ok()) {
    return bad(std::string(Message(reference.status())));
  }
  const DataFile& file = Look(reference->location);
  if (!file.location.ok()) {
    return bad(std::string(Message(file.location)));
  }
  if (needed && reference->length && *reference->length != *needed) {
    return bad(
        fmt::format("has {} bytes in \"{}\"; its dims need {}", *reference->length, reference->location, *needed));
  }
  const uint64_t length = reference->length.value_or(needed.value_or(0));
  if (file.size && (reference->offset > *file.size || length > *file.size - reference->offset)) {
    return bad(fmt::format("needs bytes {} to {} of \"{}\", which has {}", reference->offset,
                           reference->offset + length < length ? length : reference->offset + length,
                           reference->location, *file.size));
  }
  return std::nullopt;
}

}  // namespace gomai
