// Placing weights; see weights.h. Tensors are rewritten in a copy of the proto, which costs the structure only:
// payloads are markers in it. Real external data that has to come inline becomes a marker as well, so that its bytes go
// from file to file without passing through memory.
#include "lib/model/weights.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "lib/model/dtype.h"
#include "lib/model/files.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"

namespace gomai {
namespace {

constexpr uint64_t kAlignment = 64;

bool IsSparse(TensorPlace place) {
  return place == TensorPlace::kSparseInitializer || place == TensorPlace::kSparseAttribute;
}

bool HoldsInlineValues(const onnx::TensorProto& tensor) {
  return tensor.data_location() != onnx::TensorProto::EXTERNAL && BitsPerElement(tensor.data_type()) != 0;
}

uint64_t InlineSize(const onnx::TensorProto& tensor) {
  return tensor.has_raw_data() ? tensor.raw_data().size() : TensorByteSize(tensor);
}

// Are a marker's bytes those that an external file would hold for the tensor?
bool CanBeExternal(const onnx::TensorProto& tensor, const wire::Marker& marker) {
  return BitsPerElement(tensor.data_type()) != 0 && PayloadFits(marker.field, tensor.data_type());
}

// Changes one model's tensors, one at a time.
class Placer {
 public:
  Placer(const Model& model, Sources* sources) : model_(model), sources_(sources) {}

  absl::Status Inline(onnx::TensorProto& tensor) {
    if (!IsExternal(tensor)) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const FileRange range, External(tensor));
    if (range.length == 0) {
      SetRawData(tensor, "");
      tensor.clear_data_location();
      return absl::OkStatus();
    }
    auto [id, is_new] = ids_.try_emplace(range.file.get(), 0);
    if (is_new) {
      id->second = sources_->Add(range.file);
    }
    SetMarker(tensor, {id->second, range.offset, range.length, 9, false});
    return absl::OkStatus();
  }

  absl::Status Externalise(onnx::TensorProto& tensor, TensorPlace place, DataLayout* layout,
                           std::vector<onnx::TensorProto*>* relocated) {
    uint64_t position = 0;
    uint64_t length = 0;
    if (IsExternal(tensor)) {
      GOMAI_ASSIGN_OR_RETURN(FileRange range, External(tensor));
      if (range.length < kExternalThreshold && !IsSparse(place)) {
        return Inline(tensor);
      }
      length = range.length;
      position = layout->AddRange(std::move(range.file), range.offset, length);
    } else if (IsSparse(place)) {
      return absl::OkStatus();  // ONNX's own tools read sparse tensors' parts inline only
    } else if (const std::optional<wire::Marker> marker = FindMarker(tensor)) {
      if (!CanBeExternal(tensor, *marker)) {
        return absl::OkStatus();
      }
      GOMAI_ASSIGN_OR_RETURN(FileRange range, Left(tensor, *marker));
      length = range.length;
      position = layout->AddRange(std::move(range.file), range.offset, length);
    } else {
      if (!HoldsInlineValues(tensor) || InlineSize(tensor) < kExternalThreshold) {
        return absl::OkStatus();
      }
      if (tensor.has_raw_data()) {
        length = tensor.raw_data().size();
        position = layout->AddBytes(std::move(*tensor.mutable_raw_data()));
      } else {
        const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model_);
        if (!bytes.ok()) {
          return absl::OkStatus();  // a damaged tensor stays as it is; the verifier's matter
        }
        length = bytes->bytes().size();
        position = layout->AddBytes(std::string(bytes->bytes().begin(), bytes->bytes().end()));
      }
    }
    SetExternal(tensor, "", position, length);
    relocated->push_back(&tensor);
    return absl::OkStatus();
  }

  absl::Status Refer(onnx::TensorProto& tensor, TensorPlace place, const std::filesystem::path& folder) {
    const std::optional<wire::Marker> marker = FindMarker(tensor);
    if (!marker || IsSparse(place) || !CanBeExternal(tensor, *marker)) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const FileRange range, Left(tensor, *marker));
    const std::filesystem::path& path = range.file->path();
    const std::string name = path.filename().string();
    if (range.file->nameless()) {
      return InvalidArgument(
          "--weights=reference can't refer to the bytes of tensor '{}', which lie in no file yet ({}); use another "
          "--weights",
          tensor.name(), path.string());
    }
    if (!checked_.contains(path)) {
      if (!SameFolder(path.parent_path(), folder) || !CheckExternalLocation(folder, name).ok()) {
        return InvalidArgument(
            "--weights=reference needs the output in the folder of '{}', whose bytes it refers to; give an -o there, "
            "or use --weights=shared",
            path.string());
      }
      checked_.insert(path);
    }
    SetExternal(tensor, name, range.offset, range.length);
    return absl::OkStatus();
  }

 private:
  struct FileRange {
    std::shared_ptr<const MappedFile> file;
    uint64_t offset = 0;
    uint64_t length = 0;
  };

  absl::StatusOr<FileRange> External(const onnx::TensorProto& tensor) {
    GOMAI_ASSIGN_OR_RETURN(const ExternalReference reference, ReadExternalReference(tensor));
    if (BitsPerElement(tensor.data_type()) == 0) {
      return DataLoss("tensor '{}' is of type {}, which external data can't hold", tensor.name(),
                      DtypeName(tensor.data_type()));
    }
    std::shared_ptr<const MappedFile>& file = opened_[reference.location];
    if (file == nullptr) {
      GOMAI_ASSIGN_OR_RETURN(file, OpenExternal(model_.folder(), reference.location));
    }
    const FileRange range = {file, reference.offset, reference.length.value_or(TensorByteSize(tensor))};
    GOMAI_RETURN_IF_ERROR(Check(tensor, range));
    return range;
  }

  absl::StatusOr<FileRange> Left(const onnx::TensorProto& tensor, const wire::Marker& marker) {
    const FileRange range = {sources_->Share(marker.source_id), marker.offset, marker.length};
    if (range.file == nullptr) {
      return Internal("tensor '{}' refers to a file of another model, which this one doesn't know", tensor.name());
    }
    GOMAI_RETURN_IF_ERROR(Check(tensor, range));
    return range;
  }

  static absl::Status Check(const onnx::TensorProto& tensor, const FileRange& range) {
    const uint64_t size = range.file->bytes().size();
    if (range.offset > size || range.length > size - range.offset) {
      return DataLoss("tensor '{}': its {} bytes at {} lie beyond the end of '{}' ({} bytes)", tensor.name(),
                      range.length, range.offset, range.file->path().string(), size);
    }
    return absl::OkStatus();
  }

  const Model& model_;
  Sources* sources_;
  std::map<std::string, std::shared_ptr<const MappedFile>> opened_;  // by location
  std::map<const MappedFile*, uint64_t> ids_;                        // of those that went inline
  std::set<std::filesystem::path> checked_;
};

bool NeedsChange(const onnx::TensorProto& tensor, TensorPlace place, Weights weights) {
  switch (weights) {
    case Weights::kKeep:
      return false;
    case Weights::kInline:
      return IsExternal(tensor);
    case Weights::kReference:
      return !IsSparse(place) && FindMarker(tensor).has_value();
    case Weights::kExternal:
    case Weights::kShared:
      return IsExternal(tensor) ||
             (!IsSparse(place) && (FindMarker(tensor).has_value() ||
                                   (HoldsInlineValues(tensor) && InlineSize(tensor) >= kExternalThreshold)));
  }
  return false;
}

}  // namespace

uint64_t DataLayout::Place(Range range) {
  range.position = (size_ + kAlignment - 1) / kAlignment * kAlignment;
  size_ = range.position + range.length;
  ranges_.push_back(range);
  return ranges_.back().position;
}

uint64_t DataLayout::AddRange(std::shared_ptr<const MappedFile> file, uint64_t offset, uint64_t length) {
  const auto [it, is_new] = by_range_.try_emplace({file->device(), file->inode(), offset, length}, 0);
  if (is_new) {
    it->second = Place({0, length, std::move(file), offset, {}});
  }
  return it->second;
}

uint64_t DataLayout::AddBytes(std::string bytes) {
  if (const auto it = by_bytes_.find(bytes); it != by_bytes_.end()) {
    return it->second;
  }
  bytes_.push_back(std::move(bytes));
  const std::string_view kept = bytes_.back();
  const uint64_t position = Place({0, kept.size(), nullptr, 0, kept});
  by_bytes_.emplace(kept, position);
  return position;
}

absl::Status DataLayout::Write(OutputFile* file) const {
  for (const Range& range : ranges_) {
    GOMAI_RETURN_IF_ERROR(file->PadTo(kAlignment));
    GOMAI_RETURN_IF_ERROR(range.file == nullptr ? file->Write(range.bytes)
                                                : file->CopyFrom(*range.file, range.offset, range.length));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> DataLayout::SameAs(const std::filesystem::path& path) const {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> other, MappedFile::Open(path));
  if (other->bytes().size() != size_) {
    return false;
  }
  uint64_t done = 0;
  for (const Range& range : ranges_) {
    const std::string zeros(range.position - done, '\0');
    GOMAI_ASSIGN_OR_RETURN(bool same, EqualBytes(*other, done, zeros));
    if (same && range.file == nullptr) {
      GOMAI_ASSIGN_OR_RETURN(same, EqualBytes(*other, range.position, range.bytes));
    } else if (same) {
      GOMAI_ASSIGN_OR_RETURN(same, EqualRanges(*other, range.position, *range.file, range.offset, range.length));
    }
    if (!same) {
      return false;
    }
    done = range.position + range.length;
  }
  return true;
}

absl::StatusOr<Placed> PlaceWeights(const Model& model, Weights weights, const std::filesystem::path& target_folder,
                                    DataLayout* layout) {
  Placed placed;
  placed.sources = model.sources();
  bool change = false;
  ForEachTensor(model.proto(), [&](const onnx::TensorProto& tensor, TensorPlace place) {
    change = change || NeedsChange(tensor, place, weights);
  });
  if (!change) {
    return placed;
  }
  placed.copy.reset(model.release_proto_copy());
  Placer placer(model, &placed.sources);
  absl::Status status;
  ForEachTensor(*placed.copy, [&](onnx::TensorProto& tensor, TensorPlace place) {
    if (!status.ok()) {
      return;
    }
    switch (weights) {
      case Weights::kKeep:
        break;
      case Weights::kInline:
        status = placer.Inline(tensor);
        break;
      case Weights::kExternal:
      case Weights::kShared:
        status = placer.Externalise(tensor, place, layout, &placed.relocated);
        break;
      case Weights::kReference:
        status = placer.Refer(tensor, place, target_folder);
        break;
    }
  });
  GOMAI_RETURN_IF_ERROR(status);
  return placed;
}

}  // namespace gomai
