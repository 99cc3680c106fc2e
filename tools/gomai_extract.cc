// gomai-extract: the subgraph between tensors, as a model.
#include <thread>

#include "lib/base/text.h"
#include "lib/graph/census.h"
#include "lib/graph/verify.h"
#include "lib/split/extract.h"
#include "lib/split/plan_args.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] =
    R"(  gomai-extract model.onnx -o features.onnx --outputs /layer3/Relu_output_0,scope:/layer4
      what these two need, from the model's own inputs
  gomai-extract model.onnx -o head.onnx --inputs /layer4/Relu_output_0 --outputs logits
      what lies between
  gomai-extract model.onnx -o h.onnx --inputs scope:/encoder --outputs logits --add-missing-inputs
      fed by what leaves the scope /encoder, and by inputs of the model that are needed besides)";

struct Arguments {
  std::string model;
  std::string output;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> types;
  std::vector<std::string> shapes;
  ExtractOptions options;
  SaveOptions save;
};

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  if (arguments.output.empty() && arguments.save.in_place) {
    arguments.output = arguments.model;
  }
  if (arguments.output.empty()) {
    return InvalidArgument("where to? Give -o OUT.onnx, or --in-place");
  }
  if (arguments.output == "-" && tool.json()) {
    return InvalidArgument("-o - and --json both want stdout; give -o a file");
  }
  const Diagnostics diagnostics = tool.diagnostics();
  const std::jthread schemas(PrepareSchemas);  // while the model is read
  GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(arguments.model));
  const Index index(model.proto());
  GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, index));
  ExtractOptions& options = arguments.options;
  for (const auto& [texts, names] :
       {std::pair(&arguments.inputs, &options.inputs), std::pair(&arguments.outputs, &options.outputs)}) {
    for (const std::string& text : *texts) {
      const std::vector<std::string> split = SplitNames(text, index);
      names->insert(names->end(), split.begin(), split.end());
    }
  }
  GOMAI_ASSIGN_OR_RETURN(options.types, GivenTypes(arguments.types, arguments.shapes));
  GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapesOrWarn(model, index, diagnostics));
  GOMAI_ASSIGN_OR_RETURN(const Model extracted, Extract(model, index, shapes, options, diagnostics));
  tool.Progress("writing " + arguments.output);
  GOMAI_ASSIGN_OR_RETURN(const SaveReport saved, Save(extracted, arguments.output, arguments.save));
  const onnx::GraphProto& graph = extracted.proto().graph();
  tool.document()["output"] = arguments.output;
  tool.document()["bytes_written"] = saved.bytes_written;
  tool.document()["nodes"] = graph.node_size();
  if (arguments.output != "-") {
    tool.Print(fmt::format("wrote {} ({} of {} nodes, inputs: {}, outputs: {}, {})\n", arguments.output,
                           graph.node_size(), model.proto().graph().node_size(), graph.input_size(),
                           graph.output_size(), FormatBytes(saved.bytes_written)));
  }
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-extract", "the subgraph between tensors, as a model", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  const auto list = [&](const char* flag, std::vector<std::string>& values, const char* help, const char* type) {
    return app.add_option(flag, values, help)->type_name(type)->allow_extra_args(false);
  };
  app.add_option("model", arguments.model, "the model to read ('-': stdin)")->required()->type_name("IN.onnx");
  app.add_option("-o,--output", arguments.output, "the model to write ('-': stdout)")->type_name("OUT.onnx");
  list("--inputs", arguments.inputs,
       "tensors to be fed, or scope:/a/b for what leaves a scope; repeat for more; without: the model's own that are "
       "needed",
       "T1,T2");
  list("--outputs", arguments.outputs, "tensors to produce, in this order, or scope:/a/b; repeat for more", "T1,T2")
      ->required();
  app.add_flag("--add-missing-inputs", arguments.options.add_missing_inputs,
               "inputs of the model that are needed besides become inputs");
  app.add_flag("--drop-unused-inputs", arguments.options.drop_unused_inputs,
               "leave inputs out that no output needs, with a warning");
  list("--type", arguments.types, "the dtype of an input or output that can't be inferred: T:float32; repeat",
       "T:DTYPE");
  list("--shape", arguments.shapes, "the shape of an input or output that can't be inferred: T:?x4; repeat", "T:SHAPE");
  app.add_flag("--in-place", arguments.save.in_place, "replace the input, once the new model is complete");
  gomai::AddWeightsFlag(app, &arguments.save.weights);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
