#pragma once

// Files: read through a mapping, written beside their target and renamed.
//
// A mapping is advised for random access, so that touching a model's structure doesn't read its weights into memory.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/temporaries.h"

namespace gomai {

// A whole file, mapped read-only. The file must not be cut short by others while mapped (that would be SIGBUS, as for
// every program that maps); gomai itself never writes a file in place.
class MappedFile {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::filesystem::path& path);
  // `path` holds no symlink: it was looked through before. One that was put there since then is an error
  // (kInvalidArgument), so that what was checked is what is read.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> OpenResolved(const std::filesystem::path& path);
  // All that comes from a pipe, in a SpoolFile; `name` is for messages.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Spool(int descriptor, const std::string& name);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  // A copy of [offset, offset + to.size()), read from the file instead of the mapping: mapping a page maps many others
  // with it, all of which count as this process's memory.
  absl::Status Read(uint64_t offset, std::span<uint8_t> to) const;
  const std::filesystem::path& path() const { return path_; }
  bool nameless() const { return nameless_; }     // a spool file: nothing else can open it, path() is for messages
  int descriptor() const { return descriptor_; }  // for copy_file_range
  uint64_t inode() const { return inode_; }
  uint64_t device() const { return device_; }

 private:
  friend class SpoolFile;
  MappedFile() = default;
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Take(int descriptor, const std::filesystem::path& path);
  absl::Status Map();  // from descriptor_
  std::filesystem::path path_;
  bool nameless_ = false;
  int descriptor_ = -1;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  uint64_t inode_ = 0;
  uint64_t device_ = 0;
};

// Bytes that have no file yet: a nameless one in the temporary folder, written once and then read like any other, so
// that payloads which come from elsewhere (a pipe, a computation) needn't stay in memory.
class SpoolFile {
 public:
  static absl::StatusOr<SpoolFile> Create(const std::string& name);  // for messages

  absl::Status Append(std::string_view bytes);  // unbuffered
  uint64_t size() const { return size_; }
  absl::StatusOr<std::shared_ptr<const MappedFile>> Finish();  // ends the writing

 private:
  explicit SpoolFile(std::shared_ptr<MappedFile> file) : file_(std::move(file)) {}
  std::shared_ptr<MappedFile> file_;
  uint64_t size_ = 0;
};

// A file in the making: it lies beside its target under a name derived from it, and becomes the target at Commit().
// Without Commit() (an error) it is removed and the target stays what it was; a signal handler removes it with
// RemoveTemporaries().
class OutputFile {
 public:
  // A symlink stays one: what it leads to is replaced. "-" is stdout; it, a pipe or a device is written at once.
  static absl::StatusOr<OutputFile> Create(const std::filesystem::path& target);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  ~OutputFile();

  absl::Status Write(std::string_view bytes);                                         // appended, unbuffered
  absl::Status CopyFrom(const MappedFile& source, uint64_t offset, uint64_t length);  // in the kernel where possible
  absl::Status PadTo(uint64_t alignment);                                             // zeros up to a multiple
  absl::Status Commit();                                                              // rename over the target
  uint64_t size() const { return written_; }
  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& temporary() const { return temporary_; }

 private:
  OutputFile() = default;
  void Discard();  // the temporary file
  std::filesystem::path target_;
  std::filesystem::path renamed_to_;  // target_ with symlinks followed
  std::filesystem::path temporary_;   // empty: written at once
  Temporary* remembered_ = nullptr;   // temporary_, should the process be interrupted
  int descriptor_ = -1;
  uint64_t written_ = 0;
  std::vector<uint8_t> buffer_;  // for copies
};

// The whole of a small text file (a plan, a manifest); "-" reads stdin. At most `limit` bytes.
absl::StatusOr<std::string> ReadTextFile(const std::filesystem::path& path, uint64_t limit = uint64_t{64} << 20);
// Temporary file, rename. "-" writes stdout.
absl::Status WriteTextFile(const std::filesystem::path& path, std::string_view text);

}  // namespace gomai
