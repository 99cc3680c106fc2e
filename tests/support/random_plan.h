#pragma once

// Splitting at random.

#include <filesystem>
#include <random>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"
#include "lib/split/plan.h"

namespace gomai::testing {

// The main graph's nodes that the model's outputs need, by NodeId; found without the splitter's help.
std::vector<bool> NeededNodes(const Model& model, const Index& index);

// Values of the main graph that aren't constant, that nodes make and whose type and rank are known.
std::vector<ValueId> TypedValues(const Index& index, const Shapes& shapes);

// One to four parts, each asking for one to three values; earlier parts for earlier values.
Plan RandomPlan(const Index& index, const std::vector<ValueId>& values, std::mt19937_64& random);

// Splits into `folder`, at values that the model's outputs need, by a random plan, under random options. `applies` is
// false if the plan can't be (it asks for what an earlier part has, or a value of unknown type would cross); all else
// that goes wrong is an error.
absl::Status SplitAtRandom(const Model& model, const std::filesystem::path& folder, std::mt19937_64& random,
                           bool* applies);

}  // namespace gomai::testing
