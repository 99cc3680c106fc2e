#pragma once

// The steps of a removed preprocessing as its nodes show them: from the image to the network's input. Internal to
// lib/split; use preprocess_rule.h.

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/shape/infer.h"
#include "lib/split/image_layout.h"
#include "lib/split/strip.h"

namespace gomai {

// One step, as it stands in the model. Axes are counted from the end.
struct PreprocessStep {
  enum class Kind { kAffine, kResize, kPad, kTranspose, kChannels, kCast, kClip, kUnknown };
  Kind kind = Kind::kUnknown;
  std::string before;  // the tensor that it reads, the one that it makes
  std::string after;
  ImageAxes axes;  // of what it reads

  std::vector<double> scale;   // kAffine: x * scale + offset, one per channel or one for all
  std::vector<double> offset;  //
  // kAffine that subtracts, then divides: as written. Empty otherwise.
  std::vector<double> mean;
  std::vector<double> std;
  // The axis along which the constants vary, or along which is gathered; 0: they don't.
  int axis = 0;

  std::string interpolation;  // kResize: mode, coordinates
  std::string coordinates;
  std::string nearest;  // how nearest rounds
  std::optional<double> cubic;
  bool antialias = false;
  bool exclude_outside = false;
  bool by_scales = false;       // its coordinates follow from factors that it is given, not from the two sizes
  std::vector<double> factors;  // those, one per dim, if they are constant

  double value = 0;            // kPad
  std::string mode;            // kPad
  std::vector<int64_t> order;  // kTranspose, kChannels; kPad: constant amounts, begins then ends, as ONNX has them
  std::optional<double> min;   // kClip
  std::optional<double> max;
  int dtype = 0;     // kCast
  std::string what;  // kUnknown: the node
};

// In order. What isn't recognised for certain is kUnknown. Errors: those of shape inference.
absl::StatusOr<std::vector<PreprocessStep>> TracePreprocess(const Stripped& stripped, const Index& index,
                                                            const Shapes& shapes);

}  // namespace gomai
