#pragma once

// Reading and writing the values of a TensorProto, wherever they are stored.
//
// A tensor's values may be inline in raw_data or a typed field, in the model's mapping behind a marker, or in external
// files. TensorBytes gives them as little-endian, row-major bytes: a view of the mapping where they already are that
// and are many (256 KiB), a copy otherwise; either way independent of the TensorProto. Sub-byte types (int4, uint4,
// float4e2m1, int2, uint2) are packed, low bits first, as raw_data has them.
//
//   GOMAI_ASSIGN_OR_RETURN(TensorBytes bytes, ReadTensor(tensor, model));
//   std::span<const float> values = bytes.As<float>();

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/wire/deflate.h"

namespace gomai {

// The number of elements: product of dims, 1 for a scalar. kDataLoss for a negative dim or a product past 2^63 - 1.
absl::StatusOr<int64_t> ElementCount(const onnx::TensorProto& tensor);

// The marker that a tensor carries, if its payload was left out at load.
std::optional<wire::Marker> FindMarker(const onnx::TensorProto& tensor);

// Real external data (not a marker)?
bool IsExternal(const onnx::TensorProto& tensor);

struct ExternalReference {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};
// kDataLoss for entries that make no sense (a negative or non-numeric offset, no location).
absl::StatusOr<ExternalReference> ReadExternalReference(const onnx::TensorProto& tensor);

// `location` inside `folder`, checked for containment: no absolute path, no "..", no symlink that leads out of the
// folder. Errors: kInvalidArgument (escapes), kNotFound (absent).
absl::StatusOr<std::filesystem::path> ResolveExternal(const std::filesystem::path& folder, const std::string& location);
// The same, opened; a symlink that was put there in between is kInvalidArgument.
absl::StatusOr<std::shared_ptr<const MappedFile>> OpenExternal(const std::filesystem::path& folder,
                                                               const std::string& location);
// The containment part alone, for data that isn't opened: absent files are no error.
absl::Status CheckExternalLocation(const std::filesystem::path& folder, const std::string& location);

// Locations of the model's real external data, each once, in order, all checked for containment.
absl::StatusOr<std::vector<std::string>> ExternalLocations(const Model& model);
// Do two tensors with real external data refer to the same bytes of the same location (of whatever folder)?
bool SameReference(const onnx::TensorProto& a, const onnx::TensorProto& b);

class TensorBytes {
 public:
  std::span<const uint8_t> bytes() const { return view_; }
  // Requires sizeof(T) to divide the size; T must fit the dtype (the caller checked it). Values may be unaligned in a
  // mapping: then a copy was made, so the span is always aligned for T.
  template <typename T>
  std::span<const T> As() const {
    return {reinterpret_cast<const T*>(view_.data()), view_.size() / sizeof(T)};
  }
  static TensorBytes Own(std::vector<uint8_t> bytes);
  static TensorBytes View(std::span<const uint8_t> bytes, std::shared_ptr<const MappedFile> keep);

 private:
  std::span<const uint8_t> view_;
  std::shared_ptr<const std::vector<uint8_t>> owned_;
  std::shared_ptr<const MappedFile> file_;
};

// Errors: kDataLoss if the stored bytes don't fit dims and dtype; kInvalidArgument for string tensors (use
// ReadStrings); what ResolveExternal says for external data.
absl::StatusOr<TensorBytes> ReadTensor(const onnx::TensorProto& tensor, const Model& model);
absl::StatusOr<std::vector<std::string>> ReadStrings(const onnx::TensorProto& tensor);

// How many bytes its values take (strings: their sum), from dims and dtype, without reading them. 0 if unknowable.
uint64_t TensorByteSize(const onnx::TensorProto& tensor);

// Replaces the values by `bytes` as raw_data; name, dims, dtype, doc string and metadata stay.
void SetRawData(onnx::TensorProto& tensor, std::string bytes);
// The same in the field that holds the values now (raw_data if that is none of the typed ones, or the values lie
// outside): bytes as raw_data would hold them, for the tensor's own dtype.
void ReplaceData(onnx::TensorProto& tensor, std::string bytes);
// Makes it refer to bytes of a source (a marker), or to a file beside the model; length in bytes.
void SetMarker(onnx::TensorProto& tensor, const wire::Marker& marker);
void SetExternal(onnx::TensorProto& tensor, const std::string& location, uint64_t offset, uint64_t length);
// Are the bytes of this payload field (4, 9 or 10; see wire::Marker) those that raw_data would hold for the type?
bool PayloadFits(int field, int dtype);
// Takes values and references to them away; name, dims, dtype, doc string and metadata stay.
void ClearData(onnx::TensorProto& tensor);

}  // namespace gomai
