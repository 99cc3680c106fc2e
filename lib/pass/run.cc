// The runner: pass after pass, each with an editor of its own, and the same checks after each.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>

#include "lib/graph/census.h"
#include "lib/graph/verify.h"
#include "lib/model/graphs.h"
#include "lib/pass/declared_shapes.h"
#include "lib/pass/pipeline.h"

namespace gomai {
namespace {

// In all graphs and in functions, without their bodies.
int64_t CountNodes(const Model& model) {
  int64_t count = 0;
  ForEachGraph(model.proto(), [&](const onnx::GraphProto& graph) { count += graph.node_size(); });
  for (const onnx::FunctionProto& function : model.proto().functions()) {
    count += function.node_size();
  }
  return count;
}

// `stale`: do declared shapes wait to be looked at, since an earlier pass or this one? They are, at the latest after
// the last pass.
absl::StatusOr<PassReport> RunOne(const PassInstance& pass, bool last, Model& model, const PipelineOptions& options,
                                  const Diagnostics& diagnostics, bool* stale) {
  PassReport report;
  report.pass = pass.Text();
  report.effect = EffectOf(*pass.info, pass.options);
  report.nodes_before = CountNodes(model);
  const auto start = std::chrono::steady_clock::now();
  int64_t tally = 0;
  bool correct = false;
  for (bool again = true; again;) {
    Editor editor(model);
    PassContext context(model, editor, pass.options, diagnostics, options.allow_shape_change, &tally);
    GOMAI_RETURN_IF_ERROR(pass.info->run(context));
    GOMAI_ASSIGN_OR_RETURN(ChangeSet changes, editor.Commit());
    again = context.again() && !changes.empty();
    correct = context.shapes_correct();
    std::move(changes.lines.begin(), changes.lines.end(), std::back_inserter(report.changes.lines));
    std::move(context.side_outputs().begin(), context.side_outputs().end(), std::back_inserter(report.side_outputs));
    report.shape_changes = MergeShapeChanges(std::move(report.shape_changes), std::move(context.shape_changes()));
  }
  if (report.changes.empty()) {
    report.shape_changes.clear();
  } else {
    *stale = !correct;
  }
  if (*stale && (last || (!report.changes.empty() && !pass.info->keeps_shapes))) {
    GOMAI_ASSIGN_OR_RETURN(auto corrected, RefreshDeclaredShapes(model, options.allow_shape_change));
    report.shape_changes = MergeShapeChanges(std::move(report.shape_changes), std::move(corrected));
    *stale = false;
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.nodes_after = CountNodes(model);
  if (options.verify_each) {
    GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, Index(model.proto())));
  }
  return report;
}

}  // namespace

absl::StatusOr<std::vector<PassReport>> RunPipeline(const Pipeline& pipeline, Model& model,
                                                    const PipelineOptions& options, const Diagnostics& diagnostics) {
  std::vector<PassReport> reports;
  const std::jthread schemas(PrepareSchemas);  // needed as soon as shapes are inferred; the first pass begins without
  bool stale = false;
  for (const PassInstance& pass : pipeline.passes) {
    absl::StatusOr<PassReport> report =
        RunOne(pass, &pass == &pipeline.passes.back(), model, options, diagnostics, &stale);
    if (!report.ok()) {
      return Annotate(report.status(), pass.info->name);
    }
    if (options.after_each) {
      options.after_each(*report);
    }
    reports.push_back(*std::move(report));
  }
  return reports;
}

}  // namespace gomai
