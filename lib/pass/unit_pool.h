#pragma once

// MaxPool of kernel 1: what it picks.
//
// A window of one element has that element for its largest, so such a pool picks every stride-th element. Dilations say
// nothing then, and ceil_mode adds no window: one that would start behind the input is ignored (as ONNX Runtime has it
// at every opset, and ONNX since opset 22). auto_pad has nothing to pad; but with SAME_UPPER and SAME_LOWER, whose
// windows lie around the middle, the first element that a stride of 3 or more picks needn't be the input's first:
// ONNX's formula gives negative padding, which ONNX says nothing more of, and ONNX Runtime's reading is taken.
//
//   if (IsUnitPool(index, id)) {
//     GOMAI_ASSIGN_OR_RETURN(const UnitPool pool, ReadUnitPool(index, id, type_of_input));
//   }

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"

namespace gomai {

// Output i along an axis is input crop_begin + i * stride, up to the input's end less crop_end.
struct UnitPool {
  std::vector<int64_t> strides;  // one for each spatial axis: 1 to 3 of them
  std::vector<int64_t> crop_begin;
  std::vector<int64_t> crop_end;
  bool ceil_mode = false;

  size_t axes() const { return strides.size(); }
  bool Crops() const;     // is the first element not picked, or the input cut at an end?
  bool PicksAll() const;  // the output is the input
};

// ONNX's MaxPool with a kernel_shape of 1 to 3 ones? Decided by the node alone.
bool IsUnitPool(const Index& index, NodeId id);

// Errors (kFailedPrecondition, naming the node): attributes that don't fit together or that a function takes from its
// caller, and pads whose meaning can't be proved. These are positive ones (windows of padding alone; ONNX Runtime
// refuses them), any pads beside auto_pad (ONNX forbids both), negative ones that leave nothing of an axis or of whose
// axis the size isn't known, and negative ones at an end with ceil_mode (runtimes read what was cut off). Likewise
// SAME_UPPER and SAME_LOWER with a stride of 3 or more along an axis whose size isn't known.
absl::StatusOr<UnitPool> ReadUnitPool(const Index& index, NodeId id, const onnx::TypeProto& input);

}  // namespace gomai
