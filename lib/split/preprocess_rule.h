#pragma once

// What a removed preprocessing does, as data: so that it can be redone outside, in a few lines of any language.
//
// The path of the image through the model gives the steps and their constants (normalisation, interpolation); how sizes
// follow from sizes (shorter side to so many pixels, padding to a multiple) is found by running it on a few images and
// fitting the rules that are in use, and what each size that crosses means likewise. What isn't recognised is listed
// under "unknown" and not guessed at. Format: docs/formats.md.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/split/strip.h"

namespace gomai {

// One step of a preprocessing, as it stands in the model.
struct PreprocessStep {
  enum class Kind { kAffine, kResize, kPad, kTranspose, kChannels, kUnknown };
  Kind kind = Kind::kUnknown;
  std::vector<double> scale;   // kAffine: x * scale + offset, one per channel or one for all
  std::vector<double> offset;  //
  // kAffine that subtracts, then divides: as written. Empty otherwise.
  std::vector<double> mean;
  std::vector<double> std;
  std::string interpolation;  // kResize: mode, coordinates
  std::string coordinates;
  std::string nearest;  // how nearest rounds
  std::optional<double> cubic;
  bool antialias = false;
  std::string tensor;          // kResize: its result
  double value = 0;            // kPad
  std::string mode;            // kPad
  std::vector<int64_t> order;  // kTranspose, kChannels; kPad: constant amounts, begins then ends, as ONNX has them
  std::string what;            // kUnknown: the node
};

// The steps from the image to the network's input, in order.
std::vector<PreprocessStep> TracePreprocess(const Stripped& stripped, const Index& index);

// JSON. `file`: the preprocessing model's file name. Errors: the runtime's.
absl::StatusOr<std::string> DescribePreprocess(const Stripped& stripped, const std::string& file, Backend& backend);

}  // namespace gomai
