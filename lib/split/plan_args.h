#pragma once

// From what a command line says to a plan: a preset, a plan file, parts one by one, or a size.

#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"
#include "lib/split/network.h"
#include "lib/split/plan.h"
#include "lib/split/split.h"

namespace gomai {

struct PlanArguments {
  std::string preset;
  std::string plan_file;
  std::vector<std::string> parts;           // NAME=T1,T2
  std::string by_size;                      // 50M
  std::vector<std::string> devices;         // PART=npu
  std::vector<std::string> types;           // T:float32
  std::vector<std::string> shapes;          // T:?x4
  std::vector<std::string> pipelines;       // appended to the plan's own
  std::vector<std::string> part_pipelines;  // PART=TEXT; '*' for each part for the NPU
  std::vector<std::string> batching;        // PART=K or PART=limit
  NetworkArguments network;
};

// Exactly one of preset, plan_file, parts and by_size. `draft`: see PlanFromPreset. Lists split at commas; a tensor
// whose name holds commas is recognised as a whole.
absl::StatusOr<Plan> MakePlan(const PlanArguments& arguments, const Model& model, const Index& index, Plan* draft);

// "a,b,c" as names; one that itself holds commas is recognised as a whole if the model has a tensor of that name.
std::vector<std::string> SplitNames(const std::string& text, const Index& index);

// --type and --shape as types. A shape: "1x3x4", "[1,3,4]", "?" or a symbol for an open dim, split at the last colon.
absl::StatusOr<ResolveOptions> GivenTypes(const std::vector<std::string>& types,
                                          const std::vector<std::string>& shapes);

// "torchvision-fasterrcnn, torchvision-keypointrcnn, …".
std::string PresetNames();

// Inferred shapes; a model whose declarations contradict themselves gets a warning and the declared ones alone.
absl::StatusOr<Shapes> InferShapesOrWarn(const Model& model, const Index& index, const Diagnostics& diagnostics);

}  // namespace gomai
