#pragma once

// The graph that was claimed as an ONNX model of its own, for the session that computes it. Written in protobuf's wire
// format by hand: a second copy of ONNX's classes in one process ends it.

#include <onnxruntime_cxx_api.h>

#include <string>

#include "tests/sim_npu/options.h"

namespace sim_npu {

std::string WriteModel(Ort::ConstGraph graph, const Options& options);

}  // namespace sim_npu
