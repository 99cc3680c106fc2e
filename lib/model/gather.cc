// What a save writes, piece by piece; see gather.h.
#include "lib/model/gather.h"

#include <algorithm>

namespace gomai {
namespace {

absl::Status CheckPieces(const wire::GatherList& list, const Sources& sources) {
  for (const wire::Piece& piece : list.pieces) {
    if (!piece.is_payload) {
      continue;
    }
    const MappedFile* file = sources.Find(piece.source_id);
    if (file == nullptr) {
      return Internal("a tensor refers to a file of another model, which this one doesn't know");
    }
    if (piece.offset > file->bytes().size() || piece.length > file->bytes().size() - piece.offset) {
      return DataLoss("{} bytes at {} lie beyond the end of '{}'", piece.length, piece.offset, file->path().string());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<wire::GatherList> Gather(const onnx::ModelProto& proto, const Sources& sources) {
  std::string bytes;
  if (!SerializeDeterministic(proto, &bytes)) {
    return ResourceExhausted(
        "the model would pass protobuf's limit of 2 GiB for one file; write the weights beside it with "
        "--weights=external");
  }
  GOMAI_ASSIGN_OR_RETURN(wire::GatherList list, wire::Inflate(bytes, wire::PayloadPlace::kCanonical));
  GOMAI_RETURN_IF_ERROR(CheckPieces(list, sources));
  return list;
}

absl::Status WriteGathered(const wire::GatherList& list, const Sources& sources, OutputFile* file) {
  for (const wire::Piece& piece : list.pieces) {
    GOMAI_RETURN_IF_ERROR(piece.is_payload
                              ? file->CopyFrom(*sources.Find(piece.source_id), piece.offset, piece.length)
                              : file->Write(std::string_view(list.literals).substr(piece.offset, piece.length)));
  }
  return absl::OkStatus();
}

GatheredBytes::GatheredBytes(const wire::GatherList& list, const Sources& sources) : list_(list), sources_(sources) {
  begins_.reserve(list.pieces.size());
  uint64_t begin = 0;
  for (const wire::Piece& piece : list.pieces) {
    begins_.push_back(begin);
    begin += piece.length;
  }
}

bool GatheredBytes::Read(uint64_t offset, uint8_t* to, uint64_t size) const {
  if (offset > list_.size || size > list_.size - offset) {
    return false;
  }
  size_t k = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), offset) - begins_.begin());
  for (; size > 0; ++k) {
    const wire::Piece& piece = list_.pieces[k - 1];
    const uint64_t skip = offset - begins_[k - 1];
    const uint64_t n = std::min(size, piece.length - skip);
    if (!piece.is_payload) {
      std::copy_n(list_.literals.data() + piece.offset + skip, n, to);
    } else if (!sources_.Find(piece.source_id)->Read(piece.offset + skip, {to, n}).ok()) {
      return false;
    }
    offset += n;
    to += n;
    size -= n;
  }
  return true;
}

}  // namespace gomai
