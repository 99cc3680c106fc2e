// Digests of model files; see model.h. The skeleton's is taken over ranges of the mapping between payloads, the whole
// file's over a buffer: bytes read through the mapping would count as this process's memory.
#include "lib/base/digest.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/model/model.h"
#include "lib/wire/deflate.h"

namespace gomai {

absl::StatusOr<std::string> SkeletonDigest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file));
  const std::span<const uint8_t> bytes = mapped->bytes();
  absl::StatusOr<wire::Skeleton> skeleton = wire::Deflate(bytes, 0);
  if (!skeleton.ok()) {
    return Annotate(skeleton.status(), fmt::format("'{}'", file.string()));
  }
  Sha256 sha;
  uint64_t done = 0;
  for (const wire::Payload& payload : skeleton->payloads) {
    sha.Update(bytes.subspan(done, payload.offset - done));
    done = payload.offset + payload.length;
  }
  sha.Update(bytes.subspan(done));
  return "sha256:" + sha.Hex();
}

absl::StatusOr<std::string> FileDigest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> mapped, MappedFile::Open(file));
  Sha256 sha;
  std::vector<uint8_t> buffer(size_t{1} << 20);
  off_t position = 0;
  while (true) {
    const ssize_t n = ::pread(mapped->descriptor(), buffer.data(), buffer.size(), position);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return Internal("can't read '{}': {}", file.string(), std::strerror(errno));
    }
    if (n == 0) {
      return "sha256:" + sha.Hex();
    }
    sha.Update({buffer.data(), static_cast<size_t>(n)});
    position += n;
  }
}

}  // namespace gomai
