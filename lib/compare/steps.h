#pragma once

// Differences in units of a quantisation step: on a device that computes in integers, one step either way is rounding,
// whatever the numbers mean.
//
//   const std::map<std::string, double> scales = OutputScales(model);
//   const double step = scales.contains(name) ? scales.at(name) : RangeStep(reference);
//   const StepComparison c = CompareSteps(candidate, reference, step);
//   fmt::print("{:.1f} steps at most, {} of {} more than one\n", c.max_steps, c.over_one, c.count);
//
// Cost: one pass over the tensors; OutputScales O(model), and of tensors it reads scales alone.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>

#include "lib/model/model.h"
#include "lib/runtime/tensor.h"

namespace gomai {

struct StepComparison {
  std::string problem;  // why not comparable, as TensorComparison's; or a step that is none
  double step = 0;
  double max_steps = 0;   // infinite if `nonfinite` isn't 0
  double mean_steps = 0;  // over pairs of finite elements
  int64_t over_one = 0;   // those more than a step apart, by more than the dtype's own rounding (but half a step at
                          // most) can have made of one step; those of `nonfinite` too
  int64_t nonfinite = 0;  // pairs that aren't equal, of which one or both aren't finite
  int64_t count = 0;      // of elements; complex ones count twice
};

// With a step of 0 any difference is infinitely many.
StepComparison CompareSteps(const HostTensor& candidate, const HostTensor& reference, double step);

// For outputs of no known scale: the step of eight bits over the reference's finite values, (max - min) / 255, which is
// 0.4 % of their range. 0 if there are none, if all are equal, and for strings.
double RangeStep(const HostTensor& reference);

// The step by graph output, of those that come from quantised values: the scale of the DequantizeLinear that makes it,
// the largest one if there are several; 1 for what a QuantizeLinear gives. Identity, Reshape, Transpose, Flatten,
// Squeeze and Unsqueeze may lie between. Left out are outputs whose scale is computed, isn't positive or can't be read,
// and those of 8-bit floats and the like, whose steps aren't even. A scale that callers may override counts as it
// stands in the model.
std::map<std::string, double> OutputScales(const Model& model);
// Of a graph alone: scales in external data and those of 4 KiB and more, which a loaded model leaves in its file, can't
// be read. Copies the graph.
std::map<std::string, double> OutputScales(const onnx::GraphProto& graph);

}  // namespace gomai
