#pragma once

// Plans: what parts a model is to be cut into, as data. JSON format: docs/formats.md.
//
// A plan is an ordered list of named parts, each given by the tensors or scopes that it must produce. Resolving it
// against a model finds the nodes of each part, what it must be fed and what it must give, so that a plan can't dangle:
// see split.h.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"

namespace gomai {

// How many rows (of the first axis of what a part reads, a list of boxes, say) a part takes at a time.
struct PlanBatching {
  std::optional<int64_t> size;  // nullopt: as many as the model itself allows for
  bool operator==(const PlanBatching&) const = default;
};

struct PlanPart {
  std::string name;
  std::vector<std::string> outputs;  // tensors, or "scope:/a/b": what leaves the scope
  std::optional<std::vector<std::string>>
      inputs;  // if stated, no other boundary value may enter (tensors, scopes or aliases)
  std::vector<std::string> forbid_ops;
  std::optional<int64_t> max_nodes;
  std::string device = "cpu";
  std::optional<PlanBatching> batching = std::nullopt;
  std::string pipeline = {};  // run on the part, after the cut
};

// What becomes of the plan when the network's input gets a fixed size (lib/split/network.h).
struct PlanNetwork {
  std::string input;                             // the tensor that enters the network, or a selector for it
  std::vector<std::string> replaces;             // parts that go with the preprocessing
  std::string pipeline;                          // run before the cut, behind strip-preprocess
  std::string part_pipeline;                     // run on each part for the NPU
  std::map<std::string, PlanBatching> batching;  // by part
};

struct Plan {
  std::string summary;                         // free text
  std::vector<PlanPart> parts;                 // without `rest`, which is implied
  std::map<std::string, std::string> aliases;  // friendly -> tensor, or a selector (presets)
  std::string pipeline;                        // run before the cut
  std::optional<PlanNetwork> network;
};

// `more` behind what the pipeline has.
void AppendPipeline(std::string_view more, std::string* pipeline);

// Names that a plan may have: part names are file stems and unique, outputs aren't repeated.
absl::Status CheckPlanNames(const Plan& plan);

// kInvalidArgument with the place in the JSON for unknown keys, wrong types, bad names. `origin`: a file's name.
absl::StatusOr<Plan> ParsePlan(std::string_view json, const std::string& origin);
std::string PrintPlan(const Plan& plan);

}  // namespace gomai
