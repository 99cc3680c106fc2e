#pragma once

// A model's file as it will be written, before it is: literal bytes and ranges of other files. Internal to lib/model;
// use save.h.

#include <onnx/onnx_pb.h>

#include <string>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/wire/deflate.h"
#include "lib/wire/source.h"

namespace gomai {

// The proto's bytes with its payloads inline; every payload's range is checked against its file.
// Errors: kResourceExhausted past protobuf's limit of 2 GiB, naming --weights=external.
absl::StatusOr<wire::GatherList> Gather(const onnx::ModelProto& proto, const Sources& sources);

absl::Status WriteGathered(const wire::GatherList& list, const Sources& sources, OutputFile* file);

// The same bytes to be read anywhere, as if the file were written. Both arguments must outlive it.
class GatheredBytes final : public wire::ByteSource {
 public:
  GatheredBytes(const wire::GatherList& list, const Sources& sources);
  uint64_t size() const override { return list_.size; }
  bool Read(uint64_t offset, uint8_t* to, uint64_t size) const override;

 private:
  const wire::GatherList& list_;
  const Sources& sources_;
  std::vector<uint64_t> begins_;  // of each piece, in the whole
};

// SkeletonDigest of model.h, of bytes from anywhere. `name` is for messages.
absl::StatusOr<std::string> SkeletonDigest(const wire::ByteSource& bytes, const std::string& name);

}  // namespace gomai
