#pragma once

// Where weights go on save: the part that changes TensorProtos. Internal to lib/model; use save.h.

#include <onnx/onnx_pb.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/model/save.h"

namespace gomai {

// Payloads below this stay in the model file under external and shared: readers infer shapes from small ones.
inline constexpr uint64_t kExternalThreshold = 1024;

// A data file in the making: which bytes lie where. Equal ranges of equal files, and equal bytes in memory, lie there
// once. Every range begins at a multiple of 64.
class DataLayout {
 public:
  // Both return the range's position.
  uint64_t AddRange(std::shared_ptr<const MappedFile> file, uint64_t offset, uint64_t length);
  uint64_t AddBytes(std::string bytes);
  bool empty() const { return ranges_.empty(); }
  uint64_t size() const { return size_; }
  absl::Status Write(OutputFile* file) const;
  // Does the file there hold exactly what Write would write?
  absl::StatusOr<bool> SameAs(const std::filesystem::path& path) const;

 private:
  struct Range {
    uint64_t position = 0;
    uint64_t length = 0;
    std::shared_ptr<const MappedFile> file;  // nullptr: `bytes`
    uint64_t offset = 0;
    std::string_view bytes;
  };
  uint64_t Place(Range range);

  std::vector<Range> ranges_;
  std::deque<std::string> bytes_;
  std::map<std::tuple<uint64_t, uint64_t, uint64_t, uint64_t>, uint64_t> by_range_;  // device, inode, offset, length
  std::map<std::string_view, uint64_t> by_bytes_;
  uint64_t size_ = 0;
};

// A model whose tensors are where a policy wants them.
struct Placed {
  std::unique_ptr<onnx::ModelProto> copy;     // nullptr: the model's own proto needs no change
  Sources sources;                            // for the markers in it
  std::vector<onnx::TensorProto*> relocated;  // in `copy`; their first external_data entry is the location, to be set
};

// `target_folder` matters for kReference, `layout` for kExternal and kShared (else nullptr). All locations are checked
// for containment, whatever the policy.
absl::StatusOr<Placed> PlaceWeights(const Model& model, Weights weights, const std::filesystem::path& target_folder,
                                    DataLayout* layout);

}  // namespace gomai
