#pragma once

// The part of Verify that looks at tensors: do the stored values fit dims and element type, and does external data lie
// where it says. Reads no values; asks the file system once per data file.

#include <onnx/onnx_pb.h>

#include <map>
#include <optional>
#include <string>

#include "lib/graph/verify.h"
#include "lib/model/model.h"

namespace gomai {

class TensorVerifier {
 public:
  explicit TensorVerifier(const Model& model) : model_(model) {}

  struct Finding {
    FaultKind kind;
    std::string message;
  };
  // The first fault of the tensor, or nothing.
  std::optional<Finding> Check(const onnx::TensorProto& tensor);
  std::optional<Finding> Check(const onnx::SparseTensorProto& tensor);

 private:
  struct DataFile {
    absl::Status location;         // contained in the folder?
    std::optional<uint64_t> size;  // if it is there
  };
  std::optional<Finding> CheckExternal(const onnx::TensorProto& tensor, std::optional<uint64_t> needed);
  const DataFile& Look(const std::string& location);

  const Model& model_;
  std::map<std::string, DataFile> files_;
};

}  // namespace gomai
