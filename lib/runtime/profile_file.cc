// See profile_file.h.
#include "lib/runtime/profile_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace gomai {
namespace {

std::string NameOf(int64_t process) { return fmt::format("gomai-profile-{}-", process); }

template <typename Visit>
void ForEach(const std::filesystem::path& folder, const std::string& prefix, Visit visit) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(prefix)) {
      visit(entry.path());
    }
  }
}

std::filesystem::path Folder() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  return error ? "/tmp" : folder;
}

}  // namespace

std::string ProfileFile::NewPrefix() {
  static std::atomic<int> count = 0;
  return (Folder() / fmt::format("{}{}-", NameOf(::getpid()), ++count)).string();
}

absl::StatusOr<std::unique_ptr<ProfileFile>> ProfileFile::Open(const std::string& prefix) {
  const std::filesystem::path path = prefix;
  std::unique_ptr<ProfileFile> file;
  ForEach(path.parent_path(), path.filename().string(), [&file](const std::filesystem::path& found) {
    if (const int descriptor = ::open(found.c_str(), O_RDONLY | O_CLOEXEC); descriptor >= 0) {
      file.reset(new ProfileFile(descriptor));
    }
    ::unlink(found.c_str());
  });
  if (file == nullptr) {
    return NotFound("the runtime profiles nothing into '{}…'", prefix);
  }
  return file;
}

void ProfileFile::RemoveOf(int64_t process) {
  ForEach(Folder(), NameOf(process), [](const std::filesystem::path& found) { ::unlink(found.c_str()); });
}

ProfileFile::~ProfileFile() { ::close(descriptor_); }

absl::StatusOr<std::string> ProfileFile::Read() const {
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::pread(descriptor_, buffer, sizeof(buffer), static_cast<off_t>(text.size()));
    if (n < 0 && errno != EINTR) {
      return Internal("can't read the runtime's profile: {}", std::strerror(errno));
    }
    if (n == 0) {
      return text;
    }
    text.append(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  }
}

}  // namespace gomai
