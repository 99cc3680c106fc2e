// One file for all tensors of a pass, made when the first one comes.
#include "lib/pass/tensor_spool.h"

#include "lib/model/tensor.h"
#include "lib/wire/deflate.h"

namespace gomai {

bool TensorSpool::Takes(uint64_t bytes) { return bytes >= wire::kDefaultThreshold; }

absl::Status TensorSpool::Begin(onnx::TensorProto* tensor, uint64_t length) {
  if (!file_) {
    GOMAI_ASSIGN_OR_RETURN(file_, SpoolFile::Create(what_));
  }
  places_.push_back({tensor, file_->size(), length});
  return absl::OkStatus();
}

absl::Status TensorSpool::Append(std::string_view bytes) { return file_->Append(bytes); }

absl::Status TensorSpool::Finish(PassContext& context) {
  if (!file_) {
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, file_->Finish());
  const uint64_t source = context.AddSource(std::move(file));
  for (const Place& place : places_) {
    SetMarker(*place.tensor, {.source_id = source,
                              .offset = place.offset,
                              .length = place.length,
                              .field = onnx::TensorProto::kRawDataFieldNumber});
  }
  return absl::OkStatus();
}

}  // namespace gomai
