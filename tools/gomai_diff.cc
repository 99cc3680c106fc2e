// gomai-diff: what differs between two models, in structure and, by digest, in weights.
#include "lib/compare/model_diff.h"
#include "tools/common/diff_report.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-diff before.onnx after.onnx
      what an edit changed: model, inputs and outputs, nodes of every scope, declared types, weights
  gomai-diff before.onnx after.onnx --ignore names,docs,order
      the same computation? Names of nodes and inner values, doc strings, order of lists don't count
  gomai-diff inline.onnx external.onnx -v
      equal, and which weights are stored otherwise
  gomai-diff before.onnx after.onnx --json
      every difference, for scripts)";

struct Arguments {
  std::string before;
  std::string after;
  std::vector<std::string> ignore;
};

absl::StatusOr<int> Run(Tool& tool, const Arguments& arguments) {
  DiffOptions options;
  for (const std::string& list : arguments.ignore) {
    GOMAI_RETURN_IF_ERROR(ParseIgnored(list, &options));
  }
  if (arguments.before == "-" && arguments.after == "-") {
    return InvalidArgument("both models can't come from stdin; name a file for one of them");
  }
  GOMAI_ASSIGN_OR_RETURN(const Model before, Model::Load(arguments.before));
  GOMAI_ASSIGN_OR_RETURN(const Model after, Model::Load(arguments.after));
  GOMAI_ASSIGN_OR_RETURN(const ModelDiff diff, DiffModels(before, after, options));
  tool.Print(DiffText(diff, options, tool.verbosity() > 0));
  if (tool.json()) {
    tool.document()["before"] = arguments.before;
    tool.document()["after"] = arguments.after;
    tool.document().update(DiffJson(diff, options));
  }
  return diff.equal() ? 0 : 1;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-diff", "what differs between two models, in structure and weights", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("before", arguments.before, "a model ('-': stdin)")->required()->type_name("A.onnx");
  app.add_option("after", arguments.after, "another")->required()->type_name("B.onnx");
  app.add_option("--ignore", arguments.ignore,
                 "what doesn't count: names (of nodes and inner values; those of the model's inputs and outputs do), "
                 "docs (doc strings), order (of nodes and all lists but inputs and outputs), weights (values of "
                 "initializers, which needn't be there then); separated by commas")
      ->allow_extra_args(false)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("LIST");
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
