#pragma once

// Extract: the subgraph between tensors, as a model.
//
//   ExtractOptions options{.outputs = {"features_0"}};
//   GOMAI_ASSIGN_OR_RETURN(Model part, Extract(model, index, shapes, options, diagnostics));
//
// The result produces exactly the outputs asked for, in that order. Its inputs are those given, in that order, or the
// model's own that are needed, in the model's order. Any value of the main graph may be an input, a weight too; what it
// depends on stays behind. Everything else of the model (opsets, metadata, functions that are called) comes along.
//
// Errors: kNotFound for an unknown tensor or scope, with the nearest; kInvalidArgument for one named twice, for an
// input that no output needs, for a feed that is missing, for a type that is unknown (all of them named). Cost: O(nodes
// + edges); no weight is read.

#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"
#include "lib/split/split.h"

namespace gomai {

struct ExtractOptions {
  // Tensors, or "scope:…" (lib/split/selector.h): what is needed of what leaves it. None: the model's own.
  std::vector<std::string> inputs = {};
  std::vector<std::string> outputs = {};  // at least one
  bool add_missing_inputs = false;        // the model's own inputs that are needed besides become inputs, at the end
  bool drop_unused_inputs = false;        // inputs that no output needs are left out, with a warning
  ResolveOptions types = {};
};

absl::StatusOr<Model> Extract(const Model& model, const Index& index, const Shapes& shapes,
                              const ExtractOptions& options, const Diagnostics& diagnostics);

}  // namespace gomai
