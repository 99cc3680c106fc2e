// gomai-split: cut a model into parts by a plan.

#include <future>
#include <optional>
#include <thread>

#include "lib/base/text.h"
#include "lib/graph/census.h"
#include "lib/graph/verify.h"
#include "lib/pass/pipeline.h"
#include "lib/pass/save_results.h"
#include "lib/split/plan_args.h"
#include "lib/split/split.h"
#include "lib/split/survey.h"
#include "tools/common/split_flags.h"
#include "tools/common/split_report.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-split model.onnx --preset torchvision-maskrcnn --print-plan
      what each part would hold; nothing is written
  gomai-split model.onnx --preset torchvision-maskrcnn -o parts/
      one file for each part, and parts/manifest.json
  gomai-split model.onnx --preset torchvision-maskrcnn --image-size 480x640 -o parts/
      ready for an NPU: preprocessing off, all sizes fixed, lists of boxes in fixed numbers
  gomai-split model.onnx -o parts/ --part stem=/layer1/Relu_output_0 --part body=scope:/layer2
      two parts by tensor and by scope, and the rest
  gomai-split model.onnx -o parts/ --by-size 50M --weights=shared
      parts of at most 50 MiB of weights, kept in one data file
  gomai-split model.onnx --preset torchvision-maskrcnn --print-plan --json > plan.json
      a plan to edit; gomai-split model.onnx -o parts/ --plan plan.json takes it back)";

struct Arguments {
  std::string model;
  std::string folder;
  PlanArguments plan;
  bool print_plan = false;
  bool allow_shape_change = false;
  std::string digest = "skeleton";
  WriteSplitOptions write;
};

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  if (arguments.folder.empty() && !arguments.print_plan) {
    return InvalidArgument("where to? Give a folder with -o, or --print-plan to see the plan alone");
  }
  const Diagnostics diagnostics = tool.diagnostics();
  const std::jthread schemas(PrepareSchemas);  // a fifth of the whole work, and needed only once shapes are inferred
  GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(arguments.model));
  std::optional<Index> index(model.proto());
  GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, *index));
  // Shapes don't depend on the plan, unless its pipeline changes the model.
  std::vector<Diagnostic> held;
  std::future<absl::StatusOr<Shapes>> inferred =
      std::async(std::launch::async, [&] { return InferShapesOrWarn(model, *index, Diagnostics::Collect(&held)); });
  Plan draft;
  absl::StatusOr<Plan> plan = MakePlan(arguments.plan, model, *index, &draft);
  absl::StatusOr<Shapes> shapes = inferred.get();
  if (!plan.ok()) {
    if (arguments.print_plan && !draft.parts.empty()) {
      tool.PrintDocument(PrintPlan(draft));
    }
    return plan.status();
  }
  std::vector<PassReport> reports;
  if (!plan->pipeline.empty()) {
    GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, ParsePipeline(plan->pipeline));
    PipelineOptions options;
    options.allow_shape_change = arguments.allow_shape_change;
    GOMAI_ASSIGN_OR_RETURN(reports, RunPipeline(pipeline, model, options, diagnostics));
    GOMAI_ASSIGN_OR_RETURN(arguments.write.side_outputs, SideOutputs(reports));
    index.emplace(model.proto());
    held.clear();
    shapes = InferShapesOrWarn(model, *index, Diagnostics::Collect(&held));
    DropGoneAliases(*index, &*plan);
  }
  GOMAI_RETURN_IF_ERROR(shapes.status());
  for (const Diagnostic& diagnostic : held) {
    diagnostics.Report(diagnostic);
  }
  GOMAI_ASSIGN_OR_RETURN(const ResolveOptions resolve, GivenTypes(arguments.plan.types, arguments.plan.shapes));
  GOMAI_ASSIGN_OR_RETURN(const Split split, ResolvePlan(*plan, model, *index, *shapes, resolve, diagnostics));
  if (arguments.print_plan && tool.json()) {
    tool.PrintDocument(PrintPlan(*plan));
    return 0;
  }
  const bool said = !tool.quiet() || tool.json();
  const std::vector<PartSurvey> survey = said ? SurveySplit(split, *index, *shapes) : std::vector<PartSurvey>();
  if (arguments.print_plan) {
    tool.Print(PlanTable(survey));
    return 0;
  }
  arguments.write.folder = arguments.folder;
  arguments.write.full_digest = arguments.digest == "full";
  tool.Progress("writing the parts");
  GOMAI_ASSIGN_OR_RETURN(const WriteSplitReport report, WriteSplit(split, model, *index, arguments.write, diagnostics));
  const std::string manifest = (std::filesystem::path(arguments.folder) / "manifest.json").string();
  tool.Print(said ? SplitText(reports, report, survey, tool.verbosity() > 0) : "");
  tool.Print(fmt::format("wrote {} parts and {} ({})\n", report.manifest.parts.size(), manifest,
                         FormatBytes(report.bytes_written)));
  tool.document()["manifest"] = manifest;
  tool.document()["bytes_written"] = report.bytes_written;
  tool.document()["parts"] = SurveyJson(survey);
  tool.document()["pipelines"] = SplitPipelinesJson(reports, report);
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-split", "cut a model into parts by a plan", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("model", arguments.model, "the model to cut")->required()->type_name("M.onnx");
  app.add_option("-o,--output", arguments.folder, "folder for the parts and manifest.json")->type_name("DIR");
  gomai::AddPlanFlags(app, &arguments.plan);
  app.add_flag("--print-plan", arguments.print_plan,
               "print what each part would hold and stop; with --json the plan itself");
  app.add_flag("--use-aliases", arguments.write.use_aliases,
               "give boundary values their friendly names inside the parts");
  app.add_flag("--allow-shape-change", arguments.allow_shape_change,
               "let the plan's pipeline change a model output's shape");
  app.add_option("--digest", arguments.digest,
                 "what the manifest holds of each part: skeleton (no weight is read) or full")
      ->check(CLI::IsMember({"skeleton", "full"}))
      ->type_name("KIND");
  gomai::AddWeightsFlag(app, &arguments.write.save.weights);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
