#pragma once

// Verify: is the model's structure sound? Schema-free: operators and their types are ONNX's own checker's job.
//
// Reports all faults, not the first: a name defined twice in a scope or shadowing an enclosing one (illegal in ONNX
// between nested scopes, legal between siblings), a use of what nothing defines, a use before its definition, a cycle,
// a graph output that nothing defines, an attribute whose payload isn't of its declared type or that occurs twice, a
// tensor whose bytes don't fit its dims, external data out of range or outside the folder, a function that calls
// itself, missing opset imports. Location of a fault: a node address (lib/graph/index.h), with the input or output and
// its name.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"

namespace gomai {

enum class FaultKind {
  kDuplicateDefinition,
  kUndefinedUse,
  kUseBeforeDefinition,  // the order is wrong but sortable: a warning for readers, repaired by sort, split and extract
  kCycle,
  kUndefinedOutput,
  kBadAttribute,
  kBadTensor,
  kBadExternalData,
  kRecursiveFunction,
  kMissingOpset,
  kBadStructure,  // no graph, an unnamed input or output of a graph
};

struct Fault {
  FaultKind kind;
  std::string location;  // "If_1442::then_branch::#3 (Conv) input 1 "w"", "main graph", "initializer "w""
  std::string message;
};

std::vector<Fault> Verify(const Model& model, const Index& index);

// OK, or kDataLoss whose message names the first faults; order faults (kUseBeforeDefinition) don't count.
absl::Status VerifyForWriting(const Model& model, const Index& index);

}  // namespace gomai
