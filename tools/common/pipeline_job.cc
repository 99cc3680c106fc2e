// Nothing is written before all of it is done: passes, verification, and then the file under its name.
#include "tools/common/pipeline_job.h"

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/graph/verify.h"
#include "lib/pass/save_results.h"
#include "tools/common/pipeline_report.h"

namespace gomai {
namespace {

// Broken structure is an error; a wrong order is only worth a warning.
absl::Status CheckInput(const Model& model, const Diagnostics& diagnostics) {
  const Index index(model.proto());
  GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, index));
  const std::vector<Fault> faults = Verify(model, index);
  if (!faults.empty()) {
    diagnostics.Warn(faults[0].location, "{}{}; the order is kept, and most runtimes refuse it", faults[0].message,
                     faults.size() == 1 ? "" : fmt::format(" ({} such places)", faults.size()));
  }
  return absl::OkStatus();
}

}  // namespace

void AddModelFlags(CLI::App& app, PipelineJob* job, const std::string& output) {
  app.add_option("model", job->model, "the model to read ('-': stdin)")->type_name("IN.onnx");
  app.add_option(output, job->output, "the model to write ('-': stdout)")->type_name("OUT.onnx");
}

void AddPipelineJobFlags(CLI::App& app, PipelineJob* job) {
  app.add_flag("--dry-run", job->dry_run, "report what would change; write no model");
  app.add_flag("--verify-each", job->options.verify_each, "check the model's structure after every pass");
  app.add_flag("--timing", job->timing, "how long each pass takes");
  app.add_option("--report", job->report, "write what changed as JSON")->type_name("FILE.json");
  app.add_flag("--allow-shape-change", job->options.allow_shape_change,
               "let a pass change the known shape or dtype of a model output");
  app.add_flag("--in-place", job->save.in_place, "replace the input, once the new model is complete");
  AddWeightsFlag(app, &job->save.weights);
}

absl::StatusOr<int> RunPipelineJob(Tool& tool, PipelineJob& job, const Pipeline& pipeline) {
  if (job.model.empty()) {
    return InvalidArgument("which model? Give IN.onnx (--help shows how)");
  }
  if (job.output.empty() && job.save.in_place) {
    job.output = job.model;
  }
  if (job.output.empty() && !job.dry_run) {
    return InvalidArgument("where to? Give -o OUT.onnx, --in-place or --dry-run");
  }
  if (job.output == "-" && tool.json()) {
    return InvalidArgument("-o - and --json both want stdout; give -o a file");
  }
  const Diagnostics diagnostics = tool.diagnostics();
  GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(job.model));
  GOMAI_RETURN_IF_ERROR(CheckInput(model, diagnostics));
  job.options.after_each = [&](const PassReport& report) { tool.Progress("ran " + report.pass); };
  GOMAI_ASSIGN_OR_RETURN(const std::vector<PassReport> reports, RunPipeline(pipeline, model, job.options, diagnostics));
  if (!reports.empty()) {
    GOMAI_RETURN_IF_ERROR(Annotate(VerifyForWriting(model, Index(model.proto())), "after the pipeline"));
  }
  nlohmann::ordered_json& document = tool.document();
  document["input"] = job.model;
  document["pipeline"] = pipeline.Text();
  document.update(PipelineJson(reports, job.timing));
  if (!job.dry_run) {
    tool.Progress("writing " + job.output);
    GOMAI_ASSIGN_OR_RETURN(const SaveReport saved, SaveResults(model, reports, job.output, job.save));
    document["output"] = job.output;
    document["bytes_written"] = saved.bytes_written;
  }
  if (!job.report.empty()) {
    GOMAI_RETURN_IF_ERROR(WriteTextFile(
        job.report, document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"));
  }
  if (job.output == "-") {
    return 0;  // stdout is the model's
  }
  tool.Print(PipelineText(reports, job.timing, tool.verbosity() > 0));
  tool.Print(job.dry_run ? fmt::format("nothing is written; the effect would be {}\n", EffectName(WholeEffect(reports)))
                         : fmt::format("wrote {} ({}); effect: {}\n", job.output,
                                       FormatBytes(document["bytes_written"].get<uint64_t>()),
                                       EffectName(WholeEffect(reports))));
  return 0;
}

}  // namespace gomai
