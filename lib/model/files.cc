// File identity and equality; see files.h.
#include "lib/model/files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "lib/base/text.h"

namespace gomai {
namespace {

constexpr uint64_t kBufferSize = uint64_t{1} << 20;

}  // namespace

std::optional<FileId> Identify(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return FileId{info.st_dev, info.st_ino};
}

std::filesystem::path FolderOf(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

bool SameFolder(const std::filesystem::path& a, const std::filesystem::path& b) {
  const std::optional<FileId> first = Identify(a.empty() ? "." : a);
  return first.has_value() && first == Identify(b.empty() ? "." : b);
}

absl::StatusOr<bool> EqualBytes(const MappedFile& file, uint64_t offset, std::string_view bytes) {
  std::string buffer(std::min<uint64_t>(kBufferSize, bytes.size()), '\0');
  while (!bytes.empty()) {
    const size_t size = std::min(buffer.size(), bytes.size());
    GOMAI_RETURN_IF_ERROR(file.Read(offset, {reinterpret_cast<uint8_t*>(buffer.data()), size}));
    if (std::memcmp(buffer.data(), bytes.data(), size) != 0) {
      return false;
    }
    offset += size;
    bytes.remove_prefix(size);
  }
  return true;
}

absl::StatusOr<bool> EqualRanges(const MappedFile& a, uint64_t a_offset, const MappedFile& b, uint64_t b_offset,
                                 uint64_t length) {
  std::string buffer(std::min(kBufferSize, length), '\0');
  while (length > 0) {
    const size_t size = std::min<uint64_t>(buffer.size(), length);
    GOMAI_RETURN_IF_ERROR(b.Read(b_offset, {reinterpret_cast<uint8_t*>(buffer.data()), size}));
    GOMAI_ASSIGN_OR_RETURN(const bool same, EqualBytes(a, a_offset, std::string_view(buffer).substr(0, size)));
    if (!same) {
      return false;
    }
    a_offset += size;
    b_offset += size;
    length -= size;
  }
  return true;
}

absl::StatusOr<bool> EqualFiles(const std::filesystem::path& a, const std::filesystem::path& b) {
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> first, MappedFile::Open(a));
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> second, MappedFile::Open(b));
  if (first->bytes().size() != second->bytes().size()) {
    return false;
  }
  return Identify(*first) == Identify(*second) ? absl::StatusOr<bool>(true)
                                               : EqualRanges(*first, 0, *second, 0, first->bytes().size());
}

std::string NumberedName(const std::string& name, int n) {
  if (n == 0) {
    return name;
  }
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? fmt::format("{}.{}", name, n)
                                              : fmt::format("{}.{}{}", name.substr(0, dot), n, name.substr(dot));
}

bool IsNumberedName(const std::string& base, const std::string& name) {
  if (name == base) {
    return true;
  }
  const size_t dot = base.rfind('.');
  const bool extension = dot != std::string::npos && dot != 0;
  const std::string head = (extension ? base.substr(0, dot) : base) + ".";
  const std::string tail = extension ? base.substr(dot) : "";
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) {
    return false;
  }
  const std::optional<int64_t> n = ParseInt64(name.substr(head.size(), name.size() - head.size() - tail.size()));
  return n && *n > 0 && *n < 1000000 && NumberedName(base, static_cast<int>(*n)) == name;
}

}  // namespace gomai
