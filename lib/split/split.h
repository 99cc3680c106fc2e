#pragma once

// Split: a plan resolved against a model, and the parts as models.
//
// Part k holds the nodes that its outputs need and that no earlier part has. What it reads from outside becomes its
// inputs; what later parts read becomes its outputs, besides what was asked for. So a cut is closed by construction: no
// part can dangle, and every needed node is in exactly one part. Only nodes that depend on constants alone are copied
// to each part that reads them. A value that a part reads only through Shape crosses as its Shape, computed in the part
// that makes it, unless that part is for an NPU. A node with a body is atomic: its captures are its inputs.
//
//   GOMAI_ASSIGN_OR_RETURN(Split split, ResolvePlan(plan, model, index, shapes, {}, diagnostics));
//   GOMAI_RETURN_IF_ERROR(WriteSplit(split, model, options, diagnostics));
//
// Cost: O(nodes + edges); no weight is read.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/pass/pipeline.h"
#include "lib/shape/infer.h"
#include "lib/split/manifest.h"
#include "lib/split/plan.h"

namespace gomai {

struct SplitPart {
  std::string name;
  std::string device = "cpu";
  std::vector<NodeId> nodes = {};      // its own, in topological order
  std::vector<NodeId> constants = {};  // constant-only nodes that are copied into it, in topological order
  std::vector<NodeId> order = {};      // both, in the order in which they are written
  std::vector<ValueId> inputs = {};    // boundary values, in order of first use
  std::vector<ValueId> outputs = {};   // asked for, in that order; then what later parts read, in node order
  std::optional<int64_t> rows = {};    // it takes its rows so many at a time
  std::string pipeline = {};           // run on it when it is built
};

struct Split {
  std::vector<SplitPart> parts;
  std::map<ValueId, int> producer;             // boundary value -> part; graph inputs are absent
  std::map<std::string, std::string> aliases;  // friendly -> tensor
  std::map<ValueId, onnx::TypeProto> types;    // of every boundary value
  std::vector<int> part_of_node;               // by position in the main graph: part, -1 copied, -2 unneeded
};

struct ResolveOptions {
  std::map<std::string, onnx::TypeProto> given_types;  // --type and --shape: tensor -> what to declare
};

// kInvalidArgument, kNotFound: an unknown tensor or scope, a part without nodes, a repeated tensor, a constant asked
// for, an untyped boundary value, an input or operator that the part's own rules forbid (naming it).
absl::StatusOr<Split> ResolvePlan(const Plan& plan, const Model& model, const Index& index, const Shapes& shapes,
                                  const ResolveOptions& options, const Diagnostics& diagnostics);

// The plan that cuts a model into parts of at most `bytes` of weights each, at places where few values cross.
absl::StatusOr<Plan> PlanBySize(const Model& model, const Index& index, uint64_t bytes);

// One part as a model of its own; shares the source's payloads. `rename`: boundary tensor -> friendly name.
absl::StatusOr<Model> BuildPart(const Split& split, size_t part, const Model& model, const Index& index,
                                const std::map<std::string, std::string>& rename);

struct WriteSplitOptions {
  std::filesystem::path folder;
  // What the plan's own pipeline gave besides the model (lib/pass/save_results.h): written too. A model that makes
  // inputs of the one that is split becomes the first part.
  std::vector<const SideOutput*> side_outputs = {};
  SaveOptions save;
  bool use_aliases = false;
  bool full_digest = false;
};

struct WriteSplitReport {
  Manifest manifest;
  uint64_t bytes_written = 0;
  std::vector<std::pair<std::string, std::vector<PassReport>>> pipelines = {};  // of each part that has one
};

// Builds all parts, fixes the rows of those that are batched, runs their pipelines, writes them together (all or none),
// then manifest.json, then removes part files of an older split there that this one doesn't write.
absl::StatusOr<WriteSplitReport> WriteSplit(const Split& split, const Model& model, const Index& index,
                                            const WriteSplitOptions& options, const Diagnostics& diagnostics);

}  // namespace gomai
