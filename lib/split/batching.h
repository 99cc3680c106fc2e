#pragma once

// Parts that take a list of rows (boxes, say) in fixed numbers, since an NPU wants static shapes.
//
// Fixing gives the first axis of the part's inputs that is open there the size K; a chain then calls the part
// ceil(N / K) times, pads the last call with zero rows, and drops what came of them (lib/split/chain.h). That is right
// if each row of the results depends on the same row of the inputs alone. What is proved here is that sizes behave so:
// with K rows in, every result has K rows, with K + 1 rows K + 1, and nothing else about its shape changes. That values
// behave so too is for gomai-verify to show.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/runtime/backend.h"
#include "lib/split/manifest.h"

namespace gomai {

// More rows than anything holds.
inline constexpr int64_t kMostRows = int64_t{1} << 31;

// Fixes the rows of a part's model, and the shapes that it declares with them. Errors: kInvalidArgument for a size out
// of range, if no input has an open first axis, or for lists of strings or of elements smaller than a byte;
// kFailedPrecondition for a result that doesn't have as many rows as go in, naming it.
absl::Status CheckRowType(std::string_view name, int dtype);
absl::StatusOr<ManifestBatching> FixRows(Model& part, int64_t size);

// Runs a part in as many calls as its rows need. Errors: kInvalidArgument if the inputs disagree on how many rows there
// are; what the session says.
struct BatchedRun {
  NamedTensors outputs;
  double seconds = 0;  // in the session
  int64_t calls = 0;
};
absl::StatusOr<BatchedRun> RunRows(Session& session, const ManifestBatching& batching, const NamedTensors& feeds);

}  // namespace gomai
