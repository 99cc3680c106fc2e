// gomai-opt: run a pipeline of passes over a model.
#include "lib/pass/pipeline.h"
#include "tools/common/pass_text.h"
#include "tools/common/pipeline_job.h"
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
  std::vector<std::string> pipelines;
  bool list_passes = false;
  bool print_docs = false;
  std::string help_pass;
  PipelineJob job;
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

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  if (arguments.print_docs) {
    tool.PrintDocument(PassDocs(AllPasses()));
    return 0;
  }
  if (arguments.list_passes) {
    return ListPasses(tool);
  }
  if (!arguments.help_pass.empty()) {
    return HelpPass(tool, arguments.help_pass);
  }
  GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, ParsePipelines(arguments.pipelines));
  return RunPipelineJob(tool, arguments.job, pipeline);
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-opt", "run a pipeline of passes over a model", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  gomai::AddModelFlags(app, &arguments.job);
  app.add_option("-p,--passes", arguments.pipelines,
                 "passes, as 'NAME{OPTION=VALUE,...},...'; repeat to append; without any the model is copied")
      ->type_name("PASSES")
      ->allow_extra_args(false);
  app.add_flag("--list-passes", arguments.list_passes, "the passes there are");
  app.add_option("--help-pass", arguments.help_pass, "what a pass does, and its options")->type_name("NAME");
  gomai::AddPipelineJobFlags(app, &arguments.job);
  app.add_flag("--print-docs", arguments.print_docs, "docs/passes.md")->group("");
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
