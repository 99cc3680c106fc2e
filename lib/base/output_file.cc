// Files in the making; see OutputFile in file.h. Temporary names are derived from the target ("x.onnx" ->
// ".x.onnx.gomai-part"), not random: the same command leaves the same names, and a leftover of a killed run is
// overwritten by the next one. Large holes of a sparse source stay holes: weights that aren't there take no room and no
// time.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "lib/base/file.h"
#include "lib/base/file_system.h"

namespace gomai {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kHole = uint64_t{1} << 20;  // smaller ones aren't worth looking for

struct Hole {
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The first hole of at least kHole bytes in [offset, end) of a sparse file; {end, end} if there is none, or if the file
// system can't tell.
Hole NextHole(int descriptor, uint64_t offset, uint64_t end) {
  while (offset < end) {
    const off_t hole = ::lseek(descriptor, static_cast<off_t>(offset), SEEK_HOLE);
    if (hole < 0 || static_cast<uint64_t>(hole) >= end) {
      break;
    }
    const off_t data = ::lseek(descriptor, hole, SEEK_DATA);
    if (data < 0 && (errno != ENXIO || static_cast<uint64_t>(::lseek(descriptor, 0, SEEK_END)) < end)) {
      break;  // what lies beyond the end of a file that was cut short meanwhile is no hole; reading will tell
    }
    const uint64_t begin = static_cast<uint64_t>(hole);
    offset = data < 0 ? end : std::min(static_cast<uint64_t>(data), end);
    if (offset - begin >= kHole) {
      return {begin, offset};
    }
  }
  return {end, end};
}

// Beside "x.onnx" ".x.onnx.gomai-part"; a name near the limit of 255 bytes is cut, with a checksum to keep it apart.
std::string TemporaryName(const std::string& name) {
  constexpr size_t kLongest = 240;
  if (name.size() <= kLongest) {
    return "." + name + ".gomai-part";
  }
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : name) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return fmt::format(".{}.{:016x}.gomai-part", name.substr(0, kLongest - 20), hash);
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Create(const std::filesystem::path& target) {
  OutputFile file;
  file.target_ = target;
  if (target == "-") {
    file.descriptor_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return file.descriptor_ < 0 ? SystemError("can't write", "stdout", errno)
                                : absl::StatusOr<OutputFile>(std::move(file));
  }
  struct stat info {};
  const bool exists = ::stat(target.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    return InvalidArgument("can't write '{}': it is a folder; name a file in it", target.string());
  }
  if (exists && !S_ISREG(info.st_mode)) {
    // Renaming over /dev/null would take it away from everybody.
    file.descriptor_ = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    return file.descriptor_ < 0 ? SystemError("can't write", target, errno)
                                : absl::StatusOr<OutputFile>(std::move(file));
  }
  std::error_code error;
  const std::filesystem::path followed =
      exists && std::filesystem::is_symlink(target, error) ? std::filesystem::canonical(target, error) : target;
  file.renamed_to_ = error ? target : followed;
  file.temporary_ = file.renamed_to_.parent_path() / TemporaryName(file.renamed_to_.filename().string());
  // Unlink first: a planted symlink of that name must not lead elsewhere, and O_EXCL refuses one planted since.
  ::unlink(file.temporary_.c_str());
  file.remembered_ = RememberTemporary(file.temporary_.string());
  file.descriptor_ = ::open(file.temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.descriptor_ < 0) {
    const int reason = errno;
    ForgetTemporary(file.remembered_);
    return SystemError("can't write", target, reason);
  }
  if (exists) {
    ::fchmod(file.descriptor_, info.st_mode & 07777);  // a private file stays private
  }
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : target_(std::move(other.target_)),
      renamed_to_(std::move(other.renamed_to_)),
      temporary_(std::move(other.temporary_)),
      remembered_(std::exchange(other.remembered_, nullptr)),
      descriptor_(other.descriptor_),
      written_(other.written_),
      buffer_(std::move(other.buffer_)) {
  other.descriptor_ = -1;
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    Discard();
  }
}

void OutputFile::Discard() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
  ForgetTemporary(std::exchange(remembered_, nullptr));
}

absl::Status OutputFile::Write(std::string_view bytes) {
  GOMAI_RETURN_IF_ERROR(WriteAll(descriptor_, bytes, target_));
  written_ += bytes.size();
  return absl::OkStatus();
}

absl::Status OutputFile::CopyFrom(const MappedFile& source, uint64_t offset, uint64_t length) {
  GOMAI_CHECK(offset <= source.bytes().size() && length <= source.bytes().size() - offset);
  const uint64_t end = offset + length;
  off_t from = static_cast<off_t>(offset);
  const auto at = [&from] { return static_cast<uint64_t>(from); };
  while (at() < end) {
    const bool look = end - at() >= kHole && !temporary_.empty();
    const Hole hole = look ? NextHole(source.descriptor(), at(), end) : Hole{end, end};
    // Two file systems, a pipe or an old kernel: whatever the reason that the kernel can't copy, reading and writing
    // either works or knows a better one. Across page boundaries the kernel copies page by page, which takes half as
    // long again as a buffer whose writes end at page boundaries.
    const bool whole_pages = at() % kPage == 0 && written_ % kPage == 0;
    while (whole_pages && at() < hole.begin) {
      const ssize_t n = ::copy_file_range(source.descriptor(), &from, descriptor_, nullptr, hole.begin - at(), 0);
      if (n < 0 && errno == EINTR) {
        continue;
      }
      if (n <= 0) {
        break;
      }
      written_ += static_cast<uint64_t>(n);
    }
    constexpr uint64_t kBuffer = uint64_t{512} << 10;  // stays in the processor's cache between the two calls
    if (at() < hole.begin && buffer_.empty()) {
      buffer_.resize(kBuffer);
    }
    while (at() < hole.begin) {
      const uint64_t to_boundary = kBuffer - written_ % kPage;
      const std::span<uint8_t> part(buffer_.data(), std::min(to_boundary, hole.begin - at()));
      GOMAI_RETURN_IF_ERROR(source.Read(at(), part));
      GOMAI_RETURN_IF_ERROR(Write({reinterpret_cast<const char*>(part.data()), part.size()}));
      from += static_cast<off_t>(part.size());
    }
    if (hole.begin < hole.end) {
      const off_t behind = static_cast<off_t>(written_ + (hole.end - hole.begin));
      if (::ftruncate(descriptor_, behind) != 0 || ::lseek(descriptor_, behind, SEEK_SET) < 0) {
        return SystemError("can't write", target_, errno);
      }
      written_ = static_cast<uint64_t>(behind);
      from = static_cast<off_t>(hole.end);
    }
  }
  return absl::OkStatus();
}

absl::Status OutputFile::PadTo(uint64_t alignment) {
  const uint64_t rest = written_ % alignment;
  return rest == 0 ? absl::OkStatus() : Write(std::string(alignment - rest, '\0'));
}

absl::Status OutputFile::Commit() {
  const int descriptor = std::exchange(descriptor_, -1);
  // Some file systems report a full disk only now.
  if (::close(descriptor) != 0 || (!temporary_.empty() && ::rename(temporary_.c_str(), renamed_to_.c_str()) != 0)) {
    const int error = errno;
    Discard();
    return SystemError("can't write", target_, error);
  }
  ForgetTemporary(std::exchange(remembered_, nullptr));
  return absl::OkStatus();
}

}  // namespace gomai
