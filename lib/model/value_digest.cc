// Digests of tensor values, read through a buffer of 1 MiB; see value_digest.h. What is in memory anyway is decoded by
// ReadTensor: only payloads that were left out at load and external data are large.
#include "lib/model/value_digest.h"

#include <algorithm>
#include <vector>

#include "lib/base/digest.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

constexpr uint64_t kBuffer = uint64_t{1} << 20;

absl::StatusOr<std::string> DigestRange(const onnx::TensorProto& tensor, const MappedFile& file, uint64_t offset,
                                        uint64_t length) {
  if (offset > file.bytes().size() || length > file.bytes().size() - offset) {
    return DataLoss("tensor '{}': its bytes {} to {} lie beyond the end of '{}' ({} bytes)", tensor.name(), offset,
                    offset + length, file.path().string(), file.bytes().size());
  }
  Sha256 digest;
  std::vector<uint8_t> buffer(static_cast<size_t>(std::min(length, kBuffer)));
  while (length > 0) {
    const std::span<uint8_t> part(buffer.data(), static_cast<size_t>(std::min<uint64_t>(length, buffer.size())));
    GOMAI_RETURN_IF_ERROR(file.Read(offset, part));
    digest.Update(part);
    offset += part.size();
    length -= part.size();
  }
  return digest.Hex();
}

}  // namespace

absl::StatusOr<std::string> ValueDigests::Digest(const onnx::TensorProto& tensor, uint64_t limit) {
  if (tensor.data_type() == onnx::TensorProto::STRING) {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadStrings(tensor));
    Sha256 digest;
    for (const std::string& text : texts) {
      const std::string counted = fmt::format("{}:{}", text.size(), text);
      digest.Update({reinterpret_cast<const uint8_t*>(counted.data()), counted.size()});
    }
    return digest.Hex();
  }
  const std::optional<wire::Marker> marker = FindMarker(tensor);
  if (!marker && !IsExternal(tensor)) {
    GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(tensor, model_));
    Sha256 digest;
    digest.Update(bytes.bytes().first(static_cast<size_t>(std::min<uint64_t>(limit, bytes.bytes().size()))));
    return digest.Hex();
  }
  GOMAI_RETURN_IF_ERROR(ElementCount(tensor).status());
  const uint64_t size = TensorByteSize(tensor);
  const uint64_t wanted = std::min(size, limit);
  if (marker) {
    const MappedFile* file = model_.sources().Find(marker->source_id);
    if (file == nullptr || marker->length != size || !PayloadFits(marker->field, tensor.data_type())) {
      return ReadTensor(tensor, model_).status();  // which says what is wrong
    }
    return DigestRange(tensor, *file, marker->offset, wanted);
  }
  GOMAI_ASSIGN_OR_RETURN(const ExternalReference reference, ReadExternalReference(tensor));
  if (reference.length.value_or(size) != size) {
    return DataLoss("tensor '{}' refers to {} bytes, but its shape and type ({}) need {}", tensor.name(),
                    *reference.length, DtypeName(tensor.data_type()), size);
  }
  std::shared_ptr<const MappedFile>& file = files_[reference.location];
  if (file == nullptr) {
    GOMAI_ASSIGN_OR_RETURN(file, OpenExternal(model_.folder(), reference.location));
  }
  return DigestRange(tensor, *file, reference.offset, wanted);
}

}  // namespace gomai
