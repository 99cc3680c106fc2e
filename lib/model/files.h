#pragma once

// Which file is which, and are they equal: what saving needs to know before it writes. Internal to lib/model.

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/file.h"
#include "lib/base/status.h"

namespace gomai {

// A file whatever its name: symlinks and hard links to one file have one id.
struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  auto operator<=>(const FileId&) const = default;  // NOLINT(modernize-use-nullptr): sees a null pointer in <=>
};

// nullopt if there is no such file.
std::optional<FileId> Identify(const std::filesystem::path& path);
inline FileId Identify(const MappedFile& file) { return {file.device(), file.inode()}; }

// The folder a file lies in; "." for a bare name.
std::filesystem::path FolderOf(const std::filesystem::path& file);
// "" counts as ".".
bool SameFolder(const std::filesystem::path& a, const std::filesystem::path& b);

// Comparisons through a buffer, since pages of a mapping would count as memory.
absl::StatusOr<bool> EqualRanges(const MappedFile& a, uint64_t a_offset, const MappedFile& b, uint64_t b_offset,
                                 uint64_t length);
absl::StatusOr<bool> EqualBytes(const MappedFile& file, uint64_t offset, std::string_view bytes);
absl::StatusOr<bool> EqualFiles(const std::filesystem::path& a, const std::filesystem::path& b);

// "OUT.onnx.data" with n = 0 is itself, with n = 1 "OUT.onnx.1.data".
std::string NumberedName(const std::string& name, int n);
// Is `name` NumberedName(base, n) for some n?
bool IsNumberedName(const std::string& base, const std::string& name);

}  // namespace gomai
