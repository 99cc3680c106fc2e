// Files that are read, and small ones that are written at once; see file.h. Outputs: output_file.cc.
#include "lib/base/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/base/file_system.h"

namespace gomai {
namespace {

// Without O_NONBLOCK a pipe of that name would be waited for.
constexpr int kReading = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

}  // namespace

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

absl::Status WriteAll(int descriptor, std::string_view data, const std::filesystem::path& path) {
  while (!data.empty()) {
    const ssize_t n = ::write(descriptor, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return SystemError("can't write", path, errno);
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

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
  return WriteAll(file_->descriptor_, bytes, std::filesystem::temp_directory_path(no_folder));
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
    return WriteAll(STDOUT_FILENO, text, "stdout");
  }
  GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
  GOMAI_RETURN_IF_ERROR(file.Write(text));
  return file.Commit();
}

}  // namespace gomai
