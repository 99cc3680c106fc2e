#pragma once

// What can stand in for a MaxPool of kernel 1 (unit_pool.h), and where it can't.
//
//   GOMAI_ASSIGN_OR_RETURN(const UnitPoolSite site, LookAtUnitPool(index, id, type_of_input));
//   GOMAI_ASSIGN_OR_RETURN(const std::string why, UnfitForm(UnitPoolForm::kSlice, site, model.proto(), index));
//   if (why.empty()) …

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/pass/unit_pool.h"

namespace gomai {

enum class UnitPoolForm {
  kConv,         // with an identity weight
  kDepthwise,    // Conv with group = channels
  kSlice,        // with steps
  kAveragePool,  // of kernel 1
  kMaxPool3x3,   // other values
};

// One such node, and what is known of its input.
struct UnitPoolSite {
  NodeId id = kNone;
  UnitPool pool;
  int dtype = 0;                              // 0: unknown
  std::optional<int64_t> channels;            // these are positive
  std::vector<std::optional<int64_t>> sizes;  // of the spatial axes
};

// Errors: ReadUnitPool's.
absl::StatusOr<UnitPoolSite> LookAtUnitPool(const Index& index, NodeId id, const onnx::TypeProto& input);

// Why the form can't replace the node, to follow a ':'; "" if it can. Types are judged by ONNX's schemas at the opset
// of the node's scope. Errors: a scope that imports no opset.
absl::StatusOr<std::string> UnfitForm(UnitPoolForm form, const UnitPoolSite& site, const onnx::ModelProto& model,
                                      const Index& index);

}  // namespace gomai
