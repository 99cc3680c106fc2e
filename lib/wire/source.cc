// Byte sources; see source.h.
#include "lib/wire/source.h"

#include <algorithm>
#include <cstring>

namespace gomai::wire {
namespace {

constexpr uint64_t kAfterJump = uint64_t{4} << 10;
constexpr uint64_t kGoingOn = uint64_t{64} << 10;

}  // namespace

bool MemoryBytes::Read(uint64_t offset, uint8_t* to, uint64_t size) const {
  if (offset > bytes_.size() || size > bytes_.size() - offset) {
    return false;
  }
  if (size > 0) {
    std::memcpy(to, bytes_.data() + offset, size);
  }
  return true;
}

bool FileBytes::Read(uint64_t offset, uint8_t* to, uint64_t size) const {
  return file_.Read(offset, {to, static_cast<size_t>(size)}).ok();
}

Window::Window(const ByteSource& source) : source_(source) {
  if (const std::span<const uint8_t> bytes = source.InMemory(); !bytes.empty()) {
    data_ = bytes.data();
    length_ = bytes.size();
  }
}

bool Window::Move(uint64_t position) {
  if (position >= source_.size() || !source_.InMemory().empty()) {
    return false;
  }
  const uint64_t want = position == begin_ + length_ ? kGoingOn : kAfterJump;
  const uint64_t length = std::min(want, source_.size() - position);
  buffer_.resize(std::max<size_t>(buffer_.size(), length));
  if (!source_.Read(position, buffer_.data(), length)) {
    length_ = 0;
    return false;
  }
  data_ = buffer_.data();
  begin_ = position;
  length_ = length;
  return true;
}

}  // namespace gomai::wire
