#pragma once

// New values that are too many for the proto: they go through a file, as weights that were loaded lie in theirs, so
// that memory stays that of the graph.
//
//   TensorSpool spool("made-up weights");
//   if (TensorSpool::Takes(length)) {
//     GOMAI_RETURN_IF_ERROR(spool.Begin(&tensor, length));
//     GOMAI_RETURN_IF_ERROR(spool.Append(bytes));  // as often as needed, `length` bytes in all
//   }
//   GOMAI_RETURN_IF_ERROR(spool.Finish(context));  // the tensors refer to the file now

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/pass/pass.h"

namespace gomai {

class TensorSpool {
 public:
  explicit TensorSpool(std::string what) : what_(std::move(what)) {}  // for messages

  // So many bytes or more are left in their file when a model is loaded, too.
  static bool Takes(uint64_t bytes);
  // The tensor stays where it is until Finish.
  absl::Status Begin(onnx::TensorProto* tensor, uint64_t length);
  absl::Status Append(std::string_view bytes);
  absl::Status Finish(PassContext& context);

 private:
  struct Place {
    onnx::TensorProto* tensor;
    uint64_t offset;
    uint64_t length;
  };
  std::string what_;
  std::optional<SpoolFile> file_;
  std::vector<Place> places_;
};

}  // namespace gomai
