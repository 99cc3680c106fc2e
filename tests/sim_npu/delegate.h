#pragma once

// The model that a group of nodes is run by on the CPU: the group itself, with the NPU's arithmetic put in.

#include "tests/sim_npu/host.h"
#include "tests/sim_npu/model_writer.h"
#include "tests/sim_npu/options.h"

namespace gomai::sim {

// `graph` holds the group's nodes. Inputs and outputs come in the order of `fused`, the node that takes its place;
// constants are copied in.
PlainModel BuildDelegate(const Host& host, const Options& options, const OrtGraph* graph, const OrtNode* fused);

}  // namespace gomai::sim
