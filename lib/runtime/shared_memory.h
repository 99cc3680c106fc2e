#pragma once

// Internal to lib/runtime: memory that two processes share: a nameless file in memory, mapped in both. It goes when the
// last of them lets go, a killed one included, so nothing of it can be left behind.

#include <cstdint>
#include <memory>
#include <span>

#include "lib/base/status.h"

namespace gomai {

class SharedMemory {
 public:
  // Zeroed. kResourceExhausted if there isn't as much.
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Create(uint64_t size);
  // Another process's, by the descriptor that came over a channel, which this takes over.
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Take(int descriptor);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::span<uint8_t> bytes() const { return {data_, size_}; }
  int descriptor() const { return descriptor_; }

 private:
  SharedMemory(int descriptor, uint64_t size) : descriptor_(descriptor), size_(size) {}
  absl::Status Map();

  int descriptor_;
  uint8_t* data_ = nullptr;
  uint64_t size_;
};

}  // namespace gomai
