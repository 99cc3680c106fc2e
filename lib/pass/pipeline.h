#pragma once

// Pipelines: text that parses to a list of configured passes and prints back.
//
//   freeze-shapes{image=3x480x640},maxpool-1x1{form=conv}
//
// Grammar: pipeline = [pass {"," pass}] ; pass = name ["{" [option {"," option}] "}"] ; option = key ["=" value].
// A value ends at ',' or '}' outside brackets and quotes; "..." quotes, with \" and \\ inside. Print(Parse(t)) is
// canonical: options in the order given, quoted only where needed; Parse(Print(p)) == p.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/editor.h"
#include "lib/model/model.h"
#include "lib/pass/pass.h"

namespace gomai {

struct PassInstance {
  const PassInfo* info = nullptr;
  PassOptions options;
  std::string Text() const;
};

struct Pipeline {
  std::vector<PassInstance> passes;
  std::string Text() const;
};

// Errors (kInvalidArgument, kNotFound): position and what was expected; unknown pass or option with the nearest names;
// a value of the wrong type; a missing required option.
absl::StatusOr<Pipeline> ParsePipeline(std::string_view text);

// Several texts as one pipeline, in order; an error shows the text that it is in.
absl::StatusOr<Pipeline> ParsePipelines(const std::vector<std::string>& texts);

struct PassReport {
  std::string pass;  // its text
  Effect effect = Effect::kBitExact;
  ChangeSet changes;
  std::vector<ShapeChange> shape_changes;
  double seconds = 0;
  int64_t nodes_before = 0;
  int64_t nodes_after = 0;
  std::vector<SideOutput> side_outputs = {};
};

struct PipelineOptions {
  bool verify_each = false;         // Verify after every pass; a fault names the pass
  bool allow_shape_change = false;  // a graph output's known shape or dtype may change
  std::function<void(const PassReport&)> after_each;
};

// Runs each pass on the model: editor, pass, commit, declared shapes brought up to date ("Shapes after edits"). On
// error the model is in an unspecified but valid state and must not be saved.
absl::StatusOr<std::vector<PassReport>> RunPipeline(const Pipeline& pipeline, Model& model,
                                                    const PipelineOptions& options, const Diagnostics& diagnostics);

}  // namespace gomai
