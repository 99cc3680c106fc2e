// Digests of model files; see model.h. Bytes go through a buffer: read through the mapping they would count as this
// process's memory.
#include "lib/base/digest.h"

#include <algorithm>

#include "lib/model/gather.h"
#include "lib/model/model.h"
#include "lib/wire/deflate.h"

namespace gomai {
namespace {

bool Update(const wire::ByteSource& bytes, uint64_t begin, uint64_t end, Sha256* sha) {
  std::vector<uint8_t> buffer(std::min(end - begin, uint64_t{1} << 20));
  while (begin < end) {
    const std::span<uint8_t> part(buffer.data(), std::min<uint64_t>(buffer.size(), end - begin));
    if (!bytes.Read(begin, part.data(), part.size())) {
      return false;
    }
    sha->Update(part);
    begin += part.size();
  }
  return true;
}

}  // namespace

absl::StatusOr<std::string> SkeletonDigest(const wire::ByteSource& bytes, const std::string& name) {
  absl::StatusOr<wire::Skeleton> skeleton = wire::Deflate(bytes, 0);
  if (!skeleton.ok()) {
    return Annotate(skeleton.status(), fmt::format("'{}'", name));
  }
  Sha256 sha;
  uint64_t done = 0;
  bool ok = true;
  for (const wire::Payload& payload : skeleton->payloads) {
    ok = ok && Update(bytes, done, payload.offset, &sha);
    done = payload.offset + payload.length;
  }
  if (!ok || !Update(bytes, done, bytes.size(), &sha)) {
    return DataLoss("'{}' can't be read, or became shorter while it was", name);
  }
  return "sha256:" + sha.Hex();
}

absl::StatusOr<std::string> SkeletonDigest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file));
  return SkeletonDigest(wire::FileBytes(*mapped), file.string());
}

absl::StatusOr<std::string> FileDigest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file));
  Sha256 sha;
  if (!Update(wire::FileBytes(*mapped), 0, mapped->bytes().size(), &sha)) {
    return DataLoss("'{}' can't be read, or became shorter while it was", file.string());
  }
  return "sha256:" + sha.Hex();
}

}  // namespace gomai
