#pragma once

// HostTensor: a dense tensor in memory with its dtype and shape, 64-byte aligned; what runs read and give.
//
// Storage is shared and never written after it is made, so handing a tensor from part to part copies nothing.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/dtype.h"

namespace gomai {

class HostTensor {
 public:
  HostTensor() = default;
  // Zeroed; strings are empty. Dtype: TensorProto.DataType. Dims >= 0. kInvalidArgument on a negative or overflowing
  // size.
  static absl::StatusOr<HostTensor> Create(int dtype, std::vector<int64_t> shape);
  // Refers to bytes that `keep` keeps alive (a runtime's output, a mapping).
  static HostTensor Wrap(int dtype, std::vector<int64_t> shape, std::span<const uint8_t> bytes,
                         std::shared_ptr<const void> keep);
  static HostTensor Strings(std::vector<int64_t> shape, std::vector<std::string> strings);

  int dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t count() const;                                     // elements
  std::span<const uint8_t> bytes() const { return bytes_; }  // empty for strings
  const std::vector<std::string>& strings() const { return *strings_; }
  bool is_string() const { return strings_ != nullptr; }
  template <typename T>
  std::span<const T> As() const {
    return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  std::span<uint8_t> mutable_bytes();  // only right after Create, before it is shared
  std::string Describe() const;        // "float32 [3,544,960]"

 private:
  int dtype_ = 0;
  std::vector<int64_t> shape_;
  std::span<const uint8_t> bytes_;
  std::shared_ptr<const void> keep_;
  std::shared_ptr<const std::vector<std::string>> strings_;
};

// The same tensor if its bytes lie at a multiple of 64, else a copy that does: kernels may add up in another order on
// memory that is aligned otherwise, and then results differ in the last bits.
absl::StatusOr<HostTensor> Aligned(const HostTensor& tensor);

// As a TensorProto without a name, the values inline; and the same with dtype and dims alone.
onnx::TensorProto ToTensorProto(const HostTensor& tensor);
onnx::TensorProto TensorWithout(const HostTensor& tensor);

// The values' range as text, over finite ones; "" for strings, for types that have no order here, and if there is none.
struct TensorRange {
  std::string min;
  std::string max;
  int64_t nan = 0;
  int64_t infinite = 0;
};
TensorRange RangeOf(const HostTensor& tensor);

}  // namespace gomai
