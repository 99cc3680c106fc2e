#pragma once

// Valid models that nobody drew: the same for the same seed, mask and size, everywhere.
//
//   const RandomGraph graph = MakeRandomGraph({.seed = 7, .features = kRunnableFeatures, .nodes = 12});
//
// Values are floats of shape [], [4] or [rows, 4], so that any two can be added; all else (dtypes, sequences of layers,
// bodies, functions) is built around these. Each feature can be switched off by itself, to find the one that matters.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gomai::testing {

enum GraphFeature : uint32_t {
  kBodies = 1u << 0,          // nested If, Loop and Scan, with captures
  kLocalFunctions = 1u << 1,  // functions that call functions, with bodies and attributes of the caller
  kOddNames = 1u << 2,        // nodes without a name or with a slashed one; odd names of values
  kZeroRows = 1u << 3,        // rows is 0
  kDynamicRows = 1u << 4,     // rows isn't declared
  kOptionalValues = 1u << 5,  // "" among inputs and outputs
  kOddOutputs = 1u << 6,      // outputs that are inputs, initializers or constants
  kPartialSplits = 1u << 7,   // Split with one output used
  kOverridable = 1u << 8,     // initializers that are inputs
  kSparse = 1u << 9,          // sparse initializers and sparse Constant nodes
  kMetadata = 1u << 10,       // metadata_props at all levels
  kDocStrings = 1u << 11,     // doc strings at all levels
  kUnknownFields = 1u << 12,  // fields of a newer ONNX
  kDtypes = 1u << 13,         // weights of all dtypes that the runtime casts
  kPlaces = 1u << 14,         // weights in Constant nodes and bodies, typed fields, equal weights
  kExternal = 1u << 15,       // weights in files
  kLargeWeights = 1u << 16,   // over the size from which on weights stay out of memory
  kAnnotations = 1u << 17,    // quantization annotations
  kDescriptions = 1u << 18,   // value_info
  kShapes = 1u << 19,         // Shape and Expand
  kSkips = 1u << 20,          // long skip connections
  // What the runtime doesn't run.
  kCustomDomains = 1u << 21,  // operators that nobody knows
  kExoticDtypes = 1u << 22,   // complex numbers and the like
  kRandomNodes = 1u << 23,    // nodes that draw random numbers
  kRepeatedNames = 1u << 24,  // nodes of one name
};
inline constexpr uint32_t kRunnableFeatures = (1u << 21) - 1;
inline constexpr uint32_t kAllFeatures = (1u << 25) - 1;

struct RandomGraphOptions {
  uint64_t seed = 0;
  uint32_t features = kAllFeatures;
  int nodes = 12;  // draws of the main graph; some make several nodes
};

struct RandomGraph {
  onnx::ModelProto model;
  int64_t rows = 0;                                        // what inputs are to be fed with
  std::vector<std::pair<std::string, std::string>> files;  // external data: name, bytes
};

RandomGraph MakeRandomGraph(const RandomGraphOptions& options);

// "bodies+sparse": the features of a mask.
std::string FeatureNames(uint32_t features);

}  // namespace gomai::testing
