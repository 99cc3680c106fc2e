// HostTensor; see tensor.h. Memory comes zeroed and lazily from calloc, so that a large tensor that is filled at once
// is touched once; the 64-byte alignment is made inside it. An empty tensor still has an address, since runtimes refuse
// null.
#include "lib/runtime/tensor.h"

#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "lib/model/tensor.h"

namespace gomai {
namespace {

constexpr uint64_t kAlignment = 64;

absl::StatusOr<int64_t> CheckedCount(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  bool overflow = false;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) {
      return InvalidArgument("the shape [{}] has a negative dimension", fmt::join(shape, ","));
    }
    empty |= dim == 0;
    overflow |= __builtin_mul_overflow(count, dim, &count);
  }
  if (empty) {
    return int64_t{0};
  }
  if (overflow) {
    return InvalidArgument("the shape [{}] has more elements than can be counted", fmt::join(shape, ","));
  }
  return count;
}

}  // namespace

absl::StatusOr<HostTensor> HostTensor::Create(int dtype, std::vector<int64_t> shape) {
  GOMAI_ASSIGN_OR_RETURN(const int64_t count, CheckedCount(shape));
  if (dtype == onnx::TensorProto::STRING) {
    if (static_cast<uint64_t>(count) > std::numeric_limits<uint32_t>::max()) {
      return InvalidArgument("a string tensor of {} elements is larger than gomai takes", count);
    }
    return Strings(std::move(shape), std::vector<std::string>(static_cast<size_t>(count)));
  }
  const int bits = BitsPerElement(dtype);
  if (bits <= 0) {
    return InvalidArgument("a tensor of dtype {} can't be held in memory", DtypeName(dtype));
  }
  if (count > std::numeric_limits<int64_t>::max() / 16 / bits) {
    return InvalidArgument("the shape [{}] of {} takes more bytes than can be counted", fmt::join(shape, ","),
                           DtypeName(dtype));
  }
  const uint64_t size = PackedBytes(dtype, static_cast<uint64_t>(count));
  void* block = std::calloc(size + 2 * kAlignment, 1);
  if (block == nullptr) {
    return ResourceExhausted("no memory for a tensor of {} bytes ({} [{}])", size, DtypeName(dtype),
                             fmt::join(shape, ","));
  }
  std::shared_ptr<const void> keep(block, [](const void* memory) { std::free(const_cast<void*>(memory)); });
  void* aligned = block;
  size_t room = size + 2 * kAlignment;
  GOMAI_CHECK(std::align(kAlignment, size, aligned, room) != nullptr);
  return Wrap(dtype, std::move(shape), {static_cast<const uint8_t*>(aligned), size}, std::move(keep));
}

HostTensor HostTensor::Wrap(int dtype, std::vector<int64_t> shape, std::span<const uint8_t> bytes,
                            std::shared_ptr<const void> keep) {
  HostTensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.bytes_ = bytes;
  tensor.keep_ = std::move(keep);
  return tensor;
}

HostTensor HostTensor::Strings(std::vector<int64_t> shape, std::vector<std::string> strings) {
  HostTensor tensor;
  tensor.dtype_ = onnx::TensorProto::STRING;
  tensor.shape_ = std::move(shape);
  tensor.strings_ = std::make_shared<const std::vector<std::string>>(std::move(strings));
  return tensor;
}

int64_t HostTensor::count() const {
  int64_t count = 1;
  for (const int64_t dim : shape_) {
    count *= dim;
  }
  return count;
}

std::span<uint8_t> HostTensor::mutable_bytes() {
  GOMAI_CHECK(keep_.use_count() <= 1);  // shared already: others read it
  return {const_cast<uint8_t*>(bytes_.data()), bytes_.size()};
}

std::string HostTensor::Describe() const { return fmt::format("{} [{}]", DtypeName(dtype_), fmt::join(shape_, ",")); }

absl::StatusOr<HostTensor> Aligned(const HostTensor& tensor) {
  if (tensor.is_string() || reinterpret_cast<uintptr_t>(tensor.bytes().data()) % kAlignment == 0) {
    return tensor;
  }
  GOMAI_ASSIGN_OR_RETURN(HostTensor copy, HostTensor::Create(tensor.dtype(), tensor.shape()));
  const std::span<uint8_t> target = copy.mutable_bytes();
  if (target.size() != tensor.bytes().size()) {
    return InvalidArgument("a tensor {} holds {} bytes, it should be {}", tensor.Describe(), tensor.bytes().size(),
                           target.size());
  }
  std::copy(tensor.bytes().begin(), tensor.bytes().end(), target.begin());
  return copy;
}

onnx::TensorProto TensorWithout(const HostTensor& tensor) {
  onnx::TensorProto proto;
  proto.set_data_type(tensor.dtype());
  proto.mutable_dims()->Add(tensor.shape().begin(), tensor.shape().end());
  return proto;
}

onnx::TensorProto ToTensorProto(const HostTensor& tensor) {
  onnx::TensorProto proto = TensorWithout(tensor);
  if (tensor.is_string()) {
    for (const std::string& text : tensor.strings()) {
      proto.add_string_data(text);
    }
  } else {
    SetRawData(proto, std::string(tensor.bytes().begin(), tensor.bytes().end()));
  }
  return proto;
}

}  // namespace gomai
