#pragma once

// Are the values of two tensors the same bytes? By digests, so that many tensors are compared in one look at each, and
// streamed, so that no weight is ever in memory whole.
//
//   ValueDigests digests(model);
//   GOMAI_ASSIGN_OR_RETURN(const std::string start, digests.Start(tensor));   // reads 4 KiB at most
//   GOMAI_ASSIGN_OR_RETURN(const std::string whole, digests.Whole(tensor));   // reads all of it
//
// Values count, not where they are stored: raw_data, typed fields, payloads left out of memory and external files give
// the same digest for the same values (as ReadTensor would give them; strings with their lengths). dtype and dims are
// not in it.
//
// Errors: as ReadTensor; kNotFound for external data whose file is absent.

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <string>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

class ValueDigests {
 public:
  explicit ValueDigests(const Model& model) : model_(model) {}

  // Of the first 4 KiB of the values, or all if they are fewer.
  absl::StatusOr<std::string> Start(const onnx::TensorProto& tensor) { return Digest(tensor, kStart); }
  absl::StatusOr<std::string> Whole(const onnx::TensorProto& tensor) { return Digest(tensor, UINT64_MAX); }

  static constexpr uint64_t kStart = 4096;

 private:
  absl::StatusOr<std::string> Digest(const onnx::TensorProto& tensor, uint64_t limit);

  const Model& model_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // by location
};

}  // namespace gomai
