#pragma once

// The batch axis of a model, and the constants in which an export baked its size.
//
//   GOMAI_ASSIGN_OR_RETURN(std::vector<BatchAxis> axes, FindBatchAxes(model, index, 1, &why_not));
//   GOMAI_ASSIGN_OR_RETURN(BatchPlan plan, PlanBatch(model, index, axes[0], 1));
//   GOMAI_ASSIGN_OR_RETURN(Model fixed, WithBatch(model, axes[0], 1, plan));
//
// Nothing goes by names. A size is put in that occurs nowhere else in the model (a prime), and inference shows where it
// goes: what leads with that prime leads with the batch. So a constant is a baked batch if it is what keeps the prime
// from going through, and a repair is right if afterwards every shape is what it was with the prime in the old batch's
// place. Each step costs one shape inference; their number is bounded.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/pass/freeze.h"

namespace gomai {

// Leading dims of inputs that are one and the same size.
struct BatchAxis {
  std::vector<std::string> inputs;
  std::vector<std::string> symbols;  // that these dims have
  int64_t size = 0;                  // that they are fixed at; 0: open
  std::string Text() const;          // "'image' and 'info' (batch)"
};

// The axes along which the model works item by item: a leading dim of an input of rank 2 or more that reaches the batch
// axis of an operator that has one (Conv, pooling, normalisation, ...) or, if it is open, leads an output; and that no
// operator reads across (RoIs of a RoiAlign, the items that a Gather picks from, a weight, a sequence's steps, ...).
// Fixed ones count only if there is no open one and their size isn't `size`. `why_not`: what speaks against each other
// candidate.
absl::StatusOr<std::vector<BatchAxis>> FindBatchAxes(const Model& model, const Index& index, int64_t size,
                                                     std::vector<std::string>* why_not);

// Of the inputs named; rank and sizes are checked. kInvalidArgument, kNotFound.
absl::StatusOr<BatchAxis> NamedBatchAxis(const Model& model, const std::vector<std::string>& inputs);

// The axis that a pass is about: of the inputs named, else the one that is found. nullopt, with a warning: the model
// has none. kFailedPrecondition: several could be meant, and the first isn't of that size already (-1: of none).
absl::StatusOr<std::optional<BatchAxis>> ChooseBatchAxis(const PassContext& context,
                                                         const std::vector<std::string>& inputs, int64_t size);

// One element of a constant operand that holds the old batch, or a multiple of it.
struct BakedSize {
  NodeId node = kNone;
  int input = 0;
  int element = 0;
  int64_t value = 0;
  friend bool operator==(const BakedSize&, const BakedSize&) = default;
};

struct BatchPlan {
  int64_t old_size = 0;             // of which the repairs' values are multiples; 0: nothing is baked
  std::vector<BakedSize> repairs;   // in node order
  std::vector<std::string> doubts;  // what can't be repaired or proved; empty: all is proved
};
absl::StatusOr<BatchPlan> PlanBatch(const Model& model, const Index& index, const BatchAxis& axis, int64_t size);

// A copy with the axis at `size`, repairs made, and the leading dims of declared shapes that follow the batch.
// `lines`, `changes`: what was done.
absl::StatusOr<Model> WithBatch(const Model& model, const BatchAxis& axis, int64_t size, const BatchPlan& plan,
                                std::vector<std::string>* lines);

// --- shared by the files of batch*.cc

struct BatchProbe {
  Model model;
  Inferred inferred;
  Index index;
};
// The model with the axis at `size` and `repairs` (made for `old_size`) in place; what it declares of leading dims
// isn't believed. Node ids are those of the model.
absl::StatusOr<BatchProbe> ProbeBatch(const Model& model, const BatchAxis& axis, int64_t size,
                                      const std::vector<BakedSize>& repairs, int64_t old_size);
// A prime that no size of the model is a multiple of.
int64_t FindMarker(const Model& model, const Inferred& inferred);

// The values of a small constant of integers: a Constant, or an initializer that can't be overridden (before IR version
// 4: any). nullopt: none.
std::optional<std::vector<int64_t>> ConstantInts(const Model& model, const Index& index, ValueId value);

// Writes new values into constants, in whatever form they are stored; one that has other users gets a private copy.
absl::Status RepairConstants(Model& model, const std::vector<BakedSize>& repairs, int64_t old_size, int64_t size);

// The leading dim of a node's input; 0: unknown, or a scalar.
int64_t LeadingDim(const Index& index, const Inferred& inferred, ValueId value);

// What looks baked for that old size, at a probe with `marker`: sure ones follow from the shapes around them, possible
// ones must show their worth.
struct BakedSizes {
  std::vector<BakedSize> sure;
  std::vector<BakedSize> possible;
};
BakedSizes FindBaked(const Model& model, const Index& index, const BatchProbe& probe, int64_t marker, int64_t old_size);

}  // namespace gomai
