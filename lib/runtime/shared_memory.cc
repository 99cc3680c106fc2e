// See shared_memory.h.
#include "lib/runtime/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace gomai {

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Create(uint64_t size) {
  const int descriptor = ::memfd_create("gomai", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) {
    return ResourceExhausted("can't make shared memory: {}", std::strerror(errno));
  }
  std::shared_ptr<SharedMemory> memory(new SharedMemory(descriptor, size));
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
    return ResourceExhausted("can't make {} bytes of shared memory: {}", size, std::strerror(errno));
  }
  // One that shrank under the other side would end it with SIGBUS.
  ::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  GOMAI_RETURN_IF_ERROR(memory->Map());
  return memory;
}

absl::StatusOr<std::shared_ptr<SharedMemory>> SharedMemory::Take(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || status.st_size < 0) {
    ::close(descriptor);
    return Internal("shared memory from another process can't be read: {}", std::strerror(errno));
  }
  std::shared_ptr<SharedMemory> memory(new SharedMemory(descriptor, static_cast<uint64_t>(status.st_size)));
  GOMAI_RETURN_IF_ERROR(memory->Map());
  return memory;
}

absl::Status SharedMemory::Map() {
  if (size_ == 0) {
    return absl::OkStatus();
  }
  void* data = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (data == MAP_FAILED) {
    return ResourceExhausted("can't map {} bytes of shared memory: {}", size_, std::strerror(errno));
  }
  data_ = static_cast<uint8_t*>(data);
  return absl::OkStatus();
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) {
    ::munmap(data_, size_);
  }
  ::close(descriptor_);
}

}  // namespace gomai
