#pragma once

// Comparing stored tensors by value without loading them: both sides are read in windows. Internal to lib/compare; use
// model_diff.h.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/compare/diff_log.h"
#include "lib/model/model.h"

namespace gomai {

// The bytes that raw_data would hold, wherever they are.
struct StoredBytes {
  std::shared_ptr<const MappedFile> file;  // nullptr: `memory`
  uint64_t offset = 0;
  uint64_t length = 0;
  std::span<const uint8_t> memory;
  std::vector<uint8_t> owned;  // what `memory` shows, if decoded
  uint8_t last_mask = 0xff;    // bits of the last byte that belong to an element
};

class TensorDiffer {
 public:
  TensorDiffer(const Model& before, const Model& after, DiffLog& log) : before_(before), after_(after), log_(log) {}

  // The same models and log, with nothing remembered: for tensors that will be gone.
  TensorDiffer Fresh() const { return {before_, after_, log_}; }
  // Type, dims and values; with `values` false, the first two.
  absl::StatusOr<bool> Same(const onnx::TensorProto& before, const onnx::TensorProto& after, bool values = true);
  // Logs what differs, names aside; `what` is "" where the spot is the tensor itself.
  absl::Status Diff(const onnx::TensorProto& before, const onnx::TensorProto& after, const std::string& what,
                    const SpotFunction& spot, bool values = true);
  absl::Status DiffSparse(const onnx::SparseTensorProto& before, const onnx::SparseTensorProto& after,
                          const std::string& what, const SpotFunction& spot, bool values = true);
  // A number that equal tensors share, and others hardly ever; reads all values. Where the data can't be had, one of
  // the reference to it.
  uint64_t Hash(const onnx::TensorProto& tensor, bool is_before);

 private:
  struct Outcome {
    uint64_t differing = 0;  // elements
    uint64_t first = 0;
    std::string before, after;  // the first that differ, as text
    std::string digest_before, digest_after;
    bool sizes_differ = false;
    uint64_t size_before = 0, size_after = 0;
  };
  absl::StatusOr<StoredBytes> Open(const onnx::TensorProto& tensor, const Model& model);
  absl::Status Read(const StoredBytes& bytes, uint64_t at, std::span<uint8_t> to) const;
  absl::StatusOr<std::string> Digest(const StoredBytes& bytes);
  bool SamePlace(const onnx::TensorProto& before, const onnx::TensorProto& after);
  absl::StatusOr<bool> SameBytes(const onnx::TensorProto& before, const onnx::TensorProto& after);
  absl::StatusOr<Outcome> Values(const onnx::TensorProto& before, const onnx::TensorProto& after);
  absl::Status Explain(const onnx::TensorProto& before, const onnx::TensorProto& after, const std::string& what,
                       const SpotFunction& spot);

  const Model& before_;
  const Model& after_;
  DiffLog& log_;
  std::optional<bool> same_folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
  std::map<std::pair<const onnx::TensorProto*, const onnx::TensorProto*>, bool> known_;  // SameBytes' answers
};

// "float32 [64, 3]".
std::string TensorTypeText(const onnx::TensorProto& tensor);

}  // namespace gomai
