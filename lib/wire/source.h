#pragma once

// Where the bytes of a model come from: memory, or a file that is read in small windows.
//
// A file is read rather than mapped: the kernel maps far more than the pages that are touched (up to whole 2 MiB folios
// of the page cache), which would count weights that nobody looks at as this process's memory.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/status.h"

namespace gomai::wire {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // All of [offset, offset + size); false if the file can't be read or became shorter.
  virtual bool Read(uint64_t offset, uint8_t* to, uint64_t size) const = 0;
  // The bytes themselves where they are in memory anyway, else empty.
  virtual std::span<const uint8_t> InMemory() const { return {}; }
};

class MemoryBytes final : public ByteSource {
 public:
  explicit MemoryBytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  bool Read(uint64_t offset, uint8_t* to, uint64_t size) const override;
  std::span<const uint8_t> InMemory() const override { return bytes_; }

 private:
  std::span<const uint8_t> bytes_;
};

class FileBytes final : public ByteSource {
 public:
  explicit FileBytes(const MappedFile& file) : file_(file) {}
  uint64_t size() const override { return file_.bytes().size(); }
  bool Read(uint64_t offset, uint8_t* to, uint64_t size) const override;

 private:
  const MappedFile& file_;
};

// A view that moves over a source, byte by byte for its user: small after a jump (over a payload, to the next tensor's
// header), larger while reading goes on.
class Window {
 public:
  explicit Window(const ByteSource& source);
  uint64_t size() const { return source_.size(); }
  bool Get(uint64_t position, uint8_t* byte) {
    if (position - begin_ >= length_ && !Move(position)) {
      return false;
    }
    *byte = data_[position - begin_];
    return true;
  }

 private:
  bool Move(uint64_t position);

  const ByteSource& source_;
  const uint8_t* data_ = nullptr;
  uint64_t begin_ = 0;
  uint64_t length_ = 0;
  std::vector<uint8_t> buffer_;
};

}  // namespace gomai::wire
