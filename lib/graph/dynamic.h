#pragma once

// Which shapes of the main graph are not fixed, and what makes them so.
//
// A cause is a graph input with open dims, an operator whose output shape depends on its data (NonZero,
// NonMaxSuppression, a Loop's scan outputs), the values of a graph input, an operator whose size is computed from what
// is fixed (folding constants settles it), or one for which nothing is known.
// Causes spread along shapes, and through values that decide a shape: the second input of a Reshape, say, that comes
// from a Shape.
//
//   DynamicReport report = FindDynamic(index, [&](ValueId id) { return shapes.Find(index.value(id).name); });
//
// O(nodes * causes / 64).

#include <functional>
#include <string>
#include <vector>

#include "lib/graph/index.h"

namespace gomai {

struct DynamicCause {
  enum class Kind { kInputShape, kInputValues, kData, kFoldable, kUnknown };
  Kind kind = Kind::kUnknown;
  ValueId input = kNone;  // a graph input
  NodeId node = kNone;    // or a node
  std::string why;
  uint64_t values = 0;  // dynamic values that it reaches
  uint64_t alone = 0;   // those that no other cause reaches: they would be fixed without it
};

struct DynamicValue {
  ValueId value = kNone;
  bool ranked = false;
  std::vector<int> causes;  // indices into DynamicReport::causes
};

struct DynamicReport {
  uint64_t values = 0;                // the main graph's inputs and node outputs
  uint64_t unranked = 0;              // dynamic ones whose rank isn't known either
  std::vector<DynamicValue> dynamic;  // in file order
  std::vector<DynamicCause> causes;   // widest first
};

using TypeLookup = std::function<const onnx::TypeProto*(ValueId)>;

// kDataLoss for a cyclic graph.
absl::StatusOr<DynamicReport> FindDynamic(const Index& index, const TypeLookup& type_of);

}  // namespace gomai
