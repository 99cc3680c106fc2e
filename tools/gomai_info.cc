// gomai-info: what an ONNX model holds, without reading its weights.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "lib/graph/census.h"
#include "lib/graph/verify.h"
#include "tools/common/info_report.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-info model.onnx
      format, inputs, outputs, operators and weights on one screen
  gomai-info model.onnx --scopes
      the tree of name scopes: what to write after scope: in a plan
  gomai-info model.onnx --dynamic
      which operators and inputs keep shapes from being fixed, and how far that reaches
  gomai-info model.onnx --nodes 'If*::then_branch::*'
      nodes by address or operator; -v adds inputs, outputs and attributes
  gomai-info model.onnx --tensors '*/Conv_output_0' --json
      tensors with type, shape and maker, for scripts)";

struct Arguments {
  std::string model;
  std::string nodes;  // "": all
  std::string tensors;
  bool dynamic = false;
  bool scopes = false;
};

std::string Glob(const std::string& given) { return given.empty() ? "*" : given; }

// Faults to stderr; true if the structure is broken (a wrong node order is a warning: it can be sorted).
bool ReportFaults(const Model& model, const Index& index, const Diagnostics& diagnostics) {
  bool broken = false;
  for (const Fault& fault : Verify(model, index)) {
    const bool sortable = fault.kind == FaultKind::kUseBeforeDefinition;
    diagnostics.Report({sortable ? Severity::kWarning : Severity::kError, fault.location, fault.message});
    broken = broken || !sortable;
  }
  for (const UnknownOperators& unknown : FindUnknownOperators(model.proto(), index)) {
    diagnostics.Report({Severity::kWarning, unknown.location, unknown.message});
  }
  return broken;
}

absl::StatusOr<int> Run(Tool& tool, const Arguments& arguments) {
  GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(arguments.model));
  const Index index(model.proto());
  const Diagnostics diagnostics = tool.diagnostics();
  const bool broken = ReportFaults(model, index, diagnostics);
  const bool nodes = tool.app().count("--nodes") > 0;
  const bool tensors = tool.app().count("--tensors") > 0;
  const bool all = tool.verbosity() > 0;
  bool first = true;
  const auto show = [&](const char* key, InfoView view) {
    tool.Print((first ? "" : "\n") + view.text);
    tool.document()[key] = std::move(view.json);
    first = false;
  };
  const bool summary = !nodes && !tensors && !arguments.dynamic && !arguments.scopes;
  Shapes shapes;
  if ((tensors || arguments.dynamic || summary) && !broken) {
    GOMAI_ASSIGN_OR_RETURN(shapes, InferShapes(model, index));
    for (const std::string& problem : summary ? std::vector<std::string>() : shapes.problems()) {
      diagnostics.Warn("", "{}", problem);
    }
  }
  if (arguments.dynamic && broken) {
    diagnostics.Warn("", "--dynamic is left out: shapes can't be inferred in a broken graph");
  }
  tool.document()["model"] = arguments.model;
  tool.document()["sound"] = !broken;
  if (summary) {
    show("summary", SummaryView(model, index, broken ? nullptr : &shapes, all));
  }
  if (nodes) {
    GOMAI_ASSIGN_OR_RETURN(InfoView view, NodesView(index, Glob(arguments.nodes), all));
    show("nodes", std::move(view));
  }
  if (tensors) {
    GOMAI_ASSIGN_OR_RETURN(InfoView view, TensorsView(index, broken ? nullptr : &shapes, Glob(arguments.tensors)));
    show("tensors", std::move(view));
  }
  if (arguments.dynamic && !broken) {
    GOMAI_ASSIGN_OR_RETURN(const DynamicReport report,
                           FindDynamic(index, [&](ValueId id) { return shapes.Find(index.value(id).name); }));
    show("dynamic", DynamicView(index, shapes, report, all));
  }
  if (arguments.scopes) {
    show("scopes", ScopesView(index, all));
  }
  return broken ? 1 : 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-info", "what an ONNX model holds, without reading its weights", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("model", arguments.model, "the model ('-': stdin)")->required()->type_name("M.onnx");
  app.add_option("--nodes", arguments.nodes, "nodes of every scope, by address, name or operator")
      ->expected(0, 1)
      ->type_name("GLOB");
  app.add_option("--tensors", arguments.tensors, "tensors of every scope, by name")->expected(0, 1)->type_name("GLOB");
  app.add_flag("--dynamic", arguments.dynamic, "what is not of fixed shape, and why");
  app.add_flag("--scopes", arguments.scopes, "the tree of slashed name scopes in the main graph");
  // ONNX's schemas take as long to set up as everything else here, so they are set up meanwhile.
  std::thread schemas(gomai::PrepareSchemas);
  const int code = tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
  schemas.join();
  std::fflush(nullptr);
  std::_Exit(code);  // nor does anyone wait for them to be taken apart
}
