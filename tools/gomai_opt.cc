// gomai-opt: run a pipeline of passes over a model.
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/graph/verify.h"
#include "lib/pass/pipeline.h"
#include "lib/pass/save_results.h"
#include "tools/common/pass_text.h"
#include "tools/common/pipeline_report.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-opt model.onnx -o small.onnx -p prune,strip-doc-strings
      two passes, one after the other; small.onnx is complete or not there
  gomai-opt model.onnx -o out.onnx -p 'expose-outputs{tensors=/layer1/*,match=glob}' --verify-each
      the structure is checked after every pass
  gomai-opt model.onnx --dry-run -v -p prune
      every change that would be made; nothing is written
  gomai-opt --list-passes
  gomai-opt --help-pass rename)";

struct Arguments {
  std::string model;
  std::string output;
  std::vector<std::string> pipelines;
  bool list_passes = false;
  bool print_docs = false;
  std::string help_pass;
  bool dry_run = false;
  bool timing = false;
  std::string report;
  PipelineOptions options;
  SaveOptions save;
};

absl::StatusOr<int> ListPasses(Tool& tool) {
  tool.document()["passes"] = nlohmann::ordered_json::array();
  for (const PassInfo* pass : AllPasses()) {
    tool.document()["passes"].push_back(PassJson(*pass));
  }
  tool.Print(PassTable(AllPasses()) + "\ngomai-opt --help-pass NAME tells more of one\n");
  return 0;
}

absl::StatusOr<int> HelpPass(Tool& tool, const std::string& name) {
  GOMAI_ASSIGN_OR_RETURN(const PassInfo* pass, FindPass(name));
  tool.document() = PassJson(*pass);
  tool.Print(PassHelp(*pass));
  return 0;
}

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

absl::StatusOr<int> Optimize(Tool& tool, Arguments& arguments) {
  if (arguments.model.empty()) {
    return InvalidArgument("which model? Give IN.onnx (--help shows how)");
  }
  if (arguments.output.empty() && arguments.save.in_place) {
    arguments.output = arguments.model;
  }
  if (arguments.output.empty() && !arguments.dry_run) {
    return InvalidArgument("where to? Give -o OUT.onnx, --in-place or --dry-run");
  }
  if (arguments.output == "-" && tool.json()) {
    return InvalidArgument("-o - and --json both want stdout; give -o a file");
  }
  const Diagnostics diagnostics = tool.diagnostics();
  GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, ParsePipelines(arguments.pipelines));
  GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(arguments.model));
  GOMAI_RETURN_IF_ERROR(CheckInput(model, diagnostics));
  arguments.options.after_each = [&](const PassReport& report) { tool.Progress("ran " + report.pass); };
  GOMAI_ASSIGN_OR_RETURN(const std::vector<PassReport> reports,
                         RunPipeline(pipeline, model, arguments.options, diagnostics));
  if (!reports.empty()) {
    GOMAI_RETURN_IF_ERROR(Annotate(VerifyForWriting(model, Index(model.proto())), "after the pipeline"));
  }
  nlohmann::ordered_json& document = tool.document();
  document["input"] = arguments.model;
  document["pipeline"] = pipeline.Text();
  document.update(PipelineJson(reports, arguments.timing));
  if (!arguments.dry_run) {
    tool.Progress("writing " + arguments.output);
    GOMAI_ASSIGN_OR_RETURN(const SaveReport saved, SaveResults(model, reports, arguments.output, arguments.save));
    document["output"] = arguments.output;
    document["bytes_written"] = saved.bytes_written;
  }
  if (!arguments.report.empty()) {
    GOMAI_RETURN_IF_ERROR(WriteTextFile(
        arguments.report, document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"));
  }
  if (arguments.output == "-") {
    return 0;  // stdout is the model's
  }
  tool.Print(PipelineText(reports, arguments.timing, tool.verbosity() > 0));
  tool.Print(arguments.dry_run
                 ? fmt::format("nothing is written; the effect would be {}\n", EffectName(WholeEffect(reports)))
                 : fmt::format("wrote {} ({}); effect: {}\n", arguments.output,
                               FormatBytes(document["bytes_written"].get<uint64_t>()),
                               EffectName(WholeEffect(reports))));
  return 0;
}

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  if (arguments.print_docs) {
    tool.PrintDocument(PassDocs(AllPasses()));
    return 0;
  }
  if (arguments.list_passes) {
    return ListPasses(tool);
  }
  return arguments.help_pass.empty() ? Optimize(tool, arguments) : HelpPass(tool, arguments.help_pass);
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-opt", "run a pipeline of passes over a model", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("model", arguments.model, "the model to read ('-': stdin)")->type_name("IN.onnx");
  app.add_option("-o,--output", arguments.output, "the model to write ('-': stdout)")->type_name("OUT.onnx");
  app.add_option("-p,--passes", arguments.pipelines,
                 "passes, as 'NAME{OPTION=VALUE,...},...'; repeat to append; without any the model is copied")
      ->type_name("PASSES")
      ->allow_extra_args(false);
  app.add_flag("--list-passes", arguments.list_passes, "the passes there are");
  app.add_option("--help-pass", arguments.help_pass, "what a pass does, and its options")->type_name("NAME");
  app.add_flag("--dry-run", arguments.dry_run, "report what would change; write no model");
  app.add_flag("--verify-each", arguments.options.verify_each, "check the model's structure after every pass");
  app.add_flag("--timing", arguments.timing, "how long each pass takes");
  app.add_option("--report", arguments.report, "write what changed as JSON")->type_name("FILE.json");
  app.add_flag("--allow-shape-change", arguments.options.allow_shape_change,
               "let a pass change the known shape or dtype of a model output");
  app.add_flag("--in-place", arguments.save.in_place, "replace the input, once the new model is complete");
  app.add_flag("--print-docs", arguments.print_docs, "docs/passes.md")->group("");
  gomai::AddWeightsFlag(app, &arguments.save.weights);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
