// gomai-opt: run a pipeline of passes on a model.
#include <set>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/graph/verify.h"
#include "lib/pass/docs.h"
#include "lib/pass/pipeline.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-opt model.onnx -o smaller.onnx -p prune,strip-doc-strings
      run two passes, one after the other
  gomai-opt model.onnx --dry-run -v -p 'rename{/encoder/=/backbone/,match=prefix}'
      what a pass would change, line by line; nothing is written
  gomai-opt model.onnx -o model.onnx --in-place -p 'expose-outputs{tensors=features_0}'
      replace the model itself
  gomai-opt model.onnx -o out.onnx --weights=external
      no passes: copy, with the weights in out.onnx.data
  gomai-opt --help-pass rename
      what a pass does, and its options)";

struct Arguments {
  std::string model;
  std::string output;
  std::vector<std::string> pipelines;
  std::string help_pass;
  std::string report;
  bool list_passes = false;
  bool print_docs = false;
  bool dry_run = false;
  bool timing = false;
  SaveOptions save;
  PipelineOptions run;
};

nlohmann::ordered_json ReportJson(const PassReport& report, bool timing) {
  nlohmann::ordered_json json = {{"pass", report.pass},
                                 {"effect", EffectName(report.effect)},
                                 {"changes", report.changes.lines},
                                 {"shape_changes", nlohmann::ordered_json::array()},
                                 {"nodes_before", report.nodes_before},
                                 {"nodes_after", report.nodes_after}};
  for (const ShapeChange& change : report.shape_changes) {
    json["shape_changes"].push_back({{"value", change.value}, {"before", change.before}, {"after", change.after}});
  }
  if (timing) {
    json["seconds"] = report.seconds;
  }
  return json;
}

std::string ReportText(const PassReport& report, bool lines) {
  const size_t count = report.changes.lines.size();
  std::string text = fmt::format("{}: {}\n", report.pass,
                                 count == 0   ? "no change"
                                 : count == 1 ? report.changes.lines.front()
                                              : fmt::format("{} changes", count));
  if (lines && count > 1) {
    text += fmt::format("  {}\n", fmt::join(report.changes.lines, "\n  "));
  }
  for (const ShapeChange& change : report.shape_changes) {
    text += fmt::format("  shape of {}: {} -> {}\n", change.value, change.before, change.after);
  }
  return text;
}

std::string TimingTable(const std::vector<PassReport>& reports) {
  std::vector<std::vector<std::string>> rows;
  for (const PassReport& report : reports) {
    rows.push_back({report.pass, fmt::format("{:.1f} ms", report.seconds * 1e3), fmt::format("{}", report.nodes_before),
                    fmt::format("{}", report.nodes_after)});
  }
  return Table({"pass", "time", "nodes before", "after"}, rows, {false, true, true, true});
}

std::string PassTable() {
  std::vector<std::vector<std::string>> rows;
  for (const PassInfo* pass : AllPasses()) {
    rows.push_back({pass->name, std::string(EffectName(pass->effect)), pass->summary});
  }
  return Table({"pass", "effect", "what it does"}, rows, {}) + "\ngomai-opt --help-pass NAME says more.\n";
}

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  if (arguments.list_passes || arguments.print_docs || !arguments.help_pass.empty()) {
    if (!arguments.help_pass.empty()) {
      GOMAI_ASSIGN_OR_RETURN(const PassInfo* pass, FindPass(arguments.help_pass));
      tool.document()["passes"] = {PassJson(*pass)};
      tool.Print(PassHelp(*pass));
      return 0;
    }
    for (const PassInfo* pass : AllPasses()) {
      tool.document()["passes"].push_back(PassJson(*pass));
    }
    tool.Print(arguments.print_docs ? PassesMarkdown() : PassTable());
    return 0;
  }
  if (arguments.model.empty()) {
    return InvalidArgument("which model? Give its file (--help shows how)");
  }
  if (arguments.output.empty() && !arguments.dry_run) {
    return InvalidArgument("where to? Give a file with -o, or --dry-run to see what would change");
  }
  GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline,
                         ParsePipeline(fmt::format("{}", fmt::join(arguments.pipelines, ","))));
  const Diagnostics diagnostics = tool.diagnostics();
  GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(arguments.model));
  GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, Index(model.proto())));
  nlohmann::ordered_json document = {{"input", arguments.model}, {"pipeline", pipeline.Text()}};
  document["passes"] = nlohmann::ordered_json::array();
  const bool to_stdout = arguments.output == "-";
  arguments.run.after_each = [&](const PassReport& report) {
    document["passes"].push_back(ReportJson(report, arguments.timing));
    if (!to_stdout) {
      tool.Print(ReportText(report, tool.verbosity() > 0));
    }
    tool.Progress("running passes");
  };
  GOMAI_ASSIGN_OR_RETURN(const std::vector<PassReport> reports,
                         RunPipeline(pipeline, model, arguments.run, diagnostics));
  if (!arguments.dry_run) {
    tool.Progress("writing");
    GOMAI_ASSIGN_OR_RETURN(const SaveReport saved, Save(model, arguments.output, arguments.save));
    document["output"] = arguments.output;
    document["bytes_written"] = saved.bytes_written;
  }
  if (arguments.timing && !to_stdout) {
    tool.Print((reports.empty() ? "" : "\n") + TimingTable(reports));
  }
  if (!arguments.report.empty()) {
    GOMAI_RETURN_IF_ERROR(WriteTextFile(arguments.report, document.dump(2) + "\n"));
  }
  tool.document() = std::move(document);
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-opt", "run a pipeline of passes on a model", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("model", arguments.model, "the model ('-': stdin)")->type_name("IN.onnx");
  app.add_option("-o,--output", arguments.output, "the file to write ('-': stdout)")->type_name("OUT.onnx");
  app.add_option("-p,--passes", arguments.pipelines,
                 "passes to run: NAME{option=value,...},...; repeat to add more; none copies the model")
      ->type_name("PIPELINE")
      ->allow_extra_args(false);
  app.add_flag("--list-passes", arguments.list_passes, "show all passes and stop");
  app.add_option("--help-pass", arguments.help_pass, "show what a pass does and its options, and stop")
      ->type_name("NAME");
  app.add_flag("--verify-each", arguments.run.verify_each, "check the structure after each pass");
  app.add_flag("--timing", arguments.timing, "show how long each pass took");
  app.add_option("--report", arguments.report, "write what each pass changed as JSON")->type_name("FILE.json");
  app.add_flag("--dry-run", arguments.dry_run, "run the passes and write nothing but the report");
  app.add_flag("--allow-shape-change", arguments.run.allow_shape_change,
               "let passes change the known shape or type of a model output");
  app.add_flag("--in-place", arguments.save.in_place, "let -o be the input itself");
  app.add_flag("--print-docs", arguments.print_docs)->group("");
  gomai::AddWeightsFlag(app, &arguments.save.weights);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
