#pragma once

// A plan for a network of fixed size: what "make it ready for an NPU" means, spelled out as a plan.
//
// A plan (of a preset, or the user's) may say under "network" which tensor enters the network, what to run before the
// cut and on each part for the NPU, and which parts take their rows in fixed numbers. Given a size, these become the
// plan's own pipelines: strip-preprocess at that tensor first, since from there on every size follows.

#include <string>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/split/plan.h"

namespace gomai {

struct NetworkArguments {
  std::string image_size;    // --image-size HxW
  std::string network_size;  // --network-size HxW
  std::string input;         // --network-input T, in place of the plan's
  std::string sizes;         // --sizes inputs|constants
};

// Rewrites the plan for these sizes; without any only forgets what it says of networks. Errors: kInvalidArgument if a
// size is given and neither the plan nor `input` names a tensor, or the other way round; what Select says.
absl::Status ApplyNetwork(const NetworkArguments& arguments, const Index& index, Plan* plan);

// Forgets friendly names of tensors that the plan's pipeline took away.
void DropGoneAliases(const Index& index, Plan* plan);

}  // namespace gomai
