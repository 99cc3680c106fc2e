// Digests of model files; see model.h. Bytes go through a buffer: read through the mapping they would count as this
// process's memory.
#include "lib/base/digest.h"

#include <algorithm>

#include "lib/model/model.h"
#include "lib/wire/deflate.h"

namespace gomai {
namespace {

absl::Status Update(const MappedFile& file, uint64_t begin, uint64_t end, Sha256* sha) {
  std::vector<uint8_t> buffer(std::min(end - begin, uint64_t{1} << 20));
  while (begin < end) {
    const std::span<uint8_t> part(buffer.data(), std::min<uint64_t>(buffer.size(), end - begin));
    GOMAI_RETURN_IF_ERROR(file.Read(begin, part));
    sha->Update(part);
    begin += part.size();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> SkeletonDigest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file));
  absl::StatusOr<wire::Skeleton> skeleton = wire::Deflate(wire::FileBytes(*mapped), 0);
  if (!skeleton.ok()) {
    return Annotate(skeleton.status(), fmt::format("'{}'", file.string()));
  }
  Sha256 sha;
  uint64_t done = 0;
  for (const wire::Payload& payload : skeleton->payloads) {
    GOMAI_RETURN_IF_ERROR(Update(*mapped, done, payload.offset, &sha));
    done = payload.offset + payload.length;
  }
  GOMAI_RETURN_IF_ERROR(Update(*mapped, done, mapped->bytes().size(), &sha));
  return "sha256:" + sha.Hex();
}

absl::StatusOr<std::string> FileDigest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file));
  Sha256 sha;
  GOMAI_RETURN_IF_ERROR(Update(*mapped, 0, mapped->bytes().size(), &sha));
  return "sha256:" + sha.Hex();
}

}  // namespace gomai
