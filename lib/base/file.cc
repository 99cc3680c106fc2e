// Files; see file.h. Output names are derived from the target ("x.onnx" -> ".x.onnx.gomai-part"), not random: the same
// command leaves the same names, and a leftover of a killed run is overwritten by the next one. Large holes of a sparse
// source stay holes: weights that aren't there take no room and no time.
#include "lib/base/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace gomai {
namespace {

constexpr uint64_t kPage = 4096;
// Without O_NONBLOCK a pipe of that name would be waited for.
constexpr int kReading = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
constexpr uint64_t kHole = uint64_t{1} << 20;  // smaller ones aren't worth looking for

absl::Status SystemError(std::string_view what, const std::filesystem::path& path, int error) {
  const std::string message = fmt::format("{} '{}': {}", what, path.string(), std::strerror(error));
  switch (error) {
    case ENOENT:
      return MakeStatus(absl::StatusCode::kNotFound, message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return MakeStatus(absl::StatusCode::kResourceExhausted,
                        message + "; nothing was left behind, free some room and try again");
    default:
      return MakeStatus(absl::StatusCode::kInternal, message);
  }
}

absl::Status WriteAll(int descriptor, const char* data, size_t size, const std::filesystem::path& path) {
  while (size > 0) {
    const ssize_t n = ::write(descriptor, data, size);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return SystemError("can't write", path, errno);
    }
    data += n;
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

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

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::filesystem::path& path) {
  return Take(::open(path.c_str(), kReading), path);
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::OpenResolved(const std::filesystem::path& path) {
  open_how how{};
  how.flags = kReading;
  how.resolve = RESOLVE_NO_SYMLINKS;
  int descriptor = static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how)));
  if (descriptor < 0 && (errno == ENOSYS || errno == EPERM)) {  // kernels before 5.6; sandboxes that don't know it
    descriptor = ::open(path.c_str(), kReading | O_NOFOLLOW);
    std::error_code error;
    const std::filesystem::path found =
        std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", descriptor), error);
    if (descriptor >= 0 && (error || found != path)) {
      ::close(descriptor);
      errno = ELOOP;
      descriptor = -1;
    }
  }
  if (descriptor < 0 && errno == ELOOP) {
    return InvalidArgument(
        "'{}' became a symlink, or a folder on its way did, while it was opened; try again once "
        "nobody changes that folder",
        path.string());
  }
  return Take(descriptor, path);
}

// `descriptor`: -1 with errno set if the file couldn't be opened.
absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Take(int descriptor, const std::filesystem::path& path) {
  if (descriptor < 0) {
    return SystemError("can't open", path, errno);
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->descriptor_ = descriptor;
  GOMAI_RETURN_IF_ERROR(file->Map());
  return std::shared_ptr<const MappedFile>(std::move(file));
}

absl::StatusOr<SpoolFile> SpoolFile::Create(const std::string& name) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = name;
  file->nameless_ = true;
  std::error_code no_folder;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(no_folder);
  std::string pattern = ((no_folder ? std::filesystem::path("/tmp") : folder) / "gomai-XXXXXX").string();
  file->descriptor_ = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (file->descriptor_ < 0) {
    return SystemError("can't make a temporary file", pattern, errno);
  }
  ::unlink(pattern.c_str());
  return SpoolFile(std::move(file));
}

absl::Status SpoolFile::Append(std::string_view bytes) {
  size_ += bytes.size();
  std::error_code no_folder;
  return WriteAll(file_->descriptor_, bytes.data(), bytes.size(), std::filesystem::temp_directory_path(no_folder));
}

absl::StatusOr<std::shared_ptr<const MappedFile>> SpoolFile::Finish() {
  GOMAI_RETURN_IF_ERROR(file_->Map());
  return std::shared_ptr<const MappedFile>(std::move(file_));
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Spool(int descriptor, const std::string& name) {
  GOMAI_ASSIGN_OR_RETURN(SpoolFile spool, SpoolFile::Create(name));
  std::vector<char> buffer(size_t{1} << 20);
  while (true) {
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return SystemError("can't read", name, errno);
    }
    if (n == 0) {
      break;
    }
    GOMAI_RETURN_IF_ERROR(spool.Append({buffer.data(), static_cast<size_t>(n)}));
  }
  return spool.Finish();
}

absl::Status MappedFile::Map() {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) {
    return SystemError("can't read", path_, errno);
  }
  if (S_ISDIR(info.st_mode)) {
    return InvalidArgument("'{}' is a folder, not a file", path_.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("'{}' is not a regular file; copy it into one first", path_.string());
  }
  inode_ = info.st_ino;
  device_ = info.st_dev;
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (data == MAP_FAILED) {
      return SystemError("can't map", path_, errno);
    }
    // Without it the kernel reads around each touched page, which brings weights into memory for nothing.
    ::madvise(data, size_, MADV_RANDOM);
    data_ = static_cast<const uint8_t*>(data);
  }
  return absl::OkStatus();
}

absl::Status MappedFile::Read(uint64_t offset, std::span<uint8_t> to) const {
  while (!to.empty()) {
    const ssize_t n = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return SystemError("can't read", path_, errno);
    }
    if (n == 0) {
      return DataLoss("'{}' became shorter while it was read", path_.string());
    }
    offset += static_cast<uint64_t>(n);
    to = to.subspan(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<uint8_t*>(data_), size_);
  }
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

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
  GOMAI_RETURN_IF_ERROR(WriteAll(descriptor_, bytes.data(), bytes.size(), target_));
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

absl::StatusOr<std::string> ReadTextFile(const std::filesystem::path& path, uint64_t limit) {
  const bool standard_input = path == "-";
  const int descriptor = standard_input ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return SystemError("can't open", path, errno);
  }
  std::string text;
  std::array<char, 1 << 16> buffer;
  absl::Status status;
  while (true) {
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      status = SystemError("can't read", path, errno);
    }
    if (n <= 0) {
      break;
    }
    text.append(buffer.data(), static_cast<size_t>(n));
    if (text.size() > limit) {
      status = InvalidArgument("'{}' is larger than {} bytes, too large for what it should be", path.string(), limit);
      break;
    }
  }
  if (!standard_input) {
    ::close(descriptor);
  }
  if (!status.ok()) {
    return status;
  }
  return text;
}

absl::Status WriteTextFile(const std::filesystem::path& path, std::string_view text) {
  if (path == "-") {
    return WriteAll(STDOUT_FILENO, text.data(), text.size(), "stdout");
  }
  GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
  GOMAI_RETURN_IF_ERROR(file.Write(text));
  return file.Commit();
}

}  // namespace gomai
