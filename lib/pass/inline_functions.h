#pragma once

// Calls of local functions replaced by the functions' nodes. Internal to passes.
//
//   GOMAI_RETURN_IF_ERROR(CheckInlinable(model.proto(), index, wanted));
//   InlinedFunctions result;
//   GOMAI_ASSIGN_OR_RETURN(onnx::ModelProto inlined, InlineFunctions(model.proto(), index, wanted, erase, &result));
//
// Both are O(model + nodes that come of it). Weights aren't read.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"

namespace gomai {

// kFailedPrecondition with what stands against it: functions that call themselves, a function whose operators are other
// versions than those around its call, training information that calls one, a result of unreasonable size.
absl::Status CheckInlinable(const onnx::ModelProto& model, const Index& index, const std::set<ScopeId>& wanted);

// The versions of operators' domains that a function needs where it is called: (domain, version) of those that its own
// nodes use, calls of `wanted` functions apart. kFailedPrecondition for a domain that the function doesn't import.
absl::StatusOr<std::map<std::string, int64_t>> NeededOpsets(const Index& index, ScopeId function,
                                                            const std::set<ScopeId>& wanted);

struct InlinedFunctions {
  std::map<ScopeId, int64_t> calls;  // how many there were of each, calls in inlined functions included
  std::vector<std::string> domains;  // whose import went, since no node is left
};

// The model with every call of a `wanted` function expanded, in all graphs and in the functions that stay. Node names
// and names of values are kept where they are free, in the whole model, and get a suffix otherwise. With `erase` the
// functions go, and the imports of their domains that nothing needs any more. The index is of `model`.
// kFailedPrecondition: a call that can't be expanded without loss.
absl::StatusOr<onnx::ModelProto> InlineFunctions(const onnx::ModelProto& model, const Index& index,
                                                 const std::set<ScopeId>& wanted, bool erase, InlinedFunctions* result);

}  // namespace gomai
