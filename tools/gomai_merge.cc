// gomai-merge: put the parts of a split together again, or join models.
#include "lib/base/text.h"
#include "lib/split/merge.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-merge parts/manifest.json -o model.onnx
      the model that the parts were cut from
  gomai-merge parts/manifest.json -o model.onnx --replace box=box_quantised.onnx
      with a part of your own in place of one of the split's
  gomai-merge encoder.onnx decoder.onnx --join hidden=input -o model.onnx
      two models, one behind the other
  gomai-merge old.onnx new.onnx --join hidden=input --convert-opset 17 -o model.onnx
      two models of unequal opsets)";

struct Arguments {
  std::vector<std::string> models;
  std::string output;
  std::vector<std::string> joins;
  std::vector<std::string> replace;
  bool keep_joined = false;
  std::optional<int64_t> convert_opset;
  SaveOptions save;
};

absl::StatusOr<Model> MakeModel(const Arguments& arguments, const std::filesystem::path& manifest,
                                const Diagnostics& diagnostics) {
  if (!manifest.empty()) {
    if (!arguments.joins.empty() || arguments.keep_joined) {
      return InvalidArgument("--join and --keep-joined are for models; '{}' says itself how its parts go together",
                             manifest.string());
    }
    if (arguments.convert_opset) {
      return InvalidArgument(
          "--convert-opset is for models; the parts of a manifest share an opset, which gomai-opt's pass convert-opset "
          "changes once they are merged");
    }
    GOMAI_ASSIGN_OR_RETURN(const Replacements replace, ParseReplacements(arguments.replace));
    return MergeParts(manifest, replace, diagnostics);
  }
  if (!arguments.replace.empty()) {
    return InvalidArgument("--replace is for the parts of a manifest, and none is given");
  }
  if (arguments.models.size() < 2) {
    return InvalidArgument(
        "'{}' is no manifest, and one model alone can't be joined; give the manifest.json of a "
        "split, or two models and more",
        arguments.models[0]);
  }
  JoinOptions options;
  options.keep_joined = arguments.keep_joined;
  options.convert_opset = arguments.convert_opset;
  for (const std::string& join : arguments.joins) {
    const size_t equals = join.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == join.size()) {
      return InvalidArgument("--join '{}' must be OUTPUT=INPUT", join);
    }
    options.joins.push_back({join.substr(0, equals), join.substr(equals + 1)});
  }
  return JoinModels({arguments.models.begin(), arguments.models.end()}, options, diagnostics);
}

absl::StatusOr<int> Run(Tool& tool, const Arguments& arguments) {
  std::filesystem::path manifest;
  std::error_code error;
  const std::filesystem::path first = arguments.models[0];
  if (arguments.models.size() == 1 && std::filesystem::is_directory(first, error)) {
    manifest = first / "manifest.json";
  } else if (LooksLikeManifest(first)) {
    manifest = first;
    if (arguments.models.size() > 1) {
      return InvalidArgument("a manifest is merged alone; '{}' was given besides", arguments.models[1]);
    }
  }
  GOMAI_ASSIGN_OR_RETURN(const Model model, MakeModel(arguments, manifest, tool.diagnostics()));
  tool.Progress("writing " + arguments.output);
  GOMAI_ASSIGN_OR_RETURN(const SaveReport saved, Save(model, arguments.output, arguments.save));
  const int nodes = model.proto().graph().node_size();
  tool.document()["output"] = arguments.output;
  tool.document()["bytes_written"] = saved.bytes_written;
  tool.document()["nodes"] = nodes;
  if (arguments.output != "-") {
    tool.Print(fmt::format("wrote {} ({} nodes, {})\n", arguments.output, nodes, FormatBytes(saved.bytes_written)));
  }
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-merge", "put the parts of a split together again, or join models", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("models", arguments.models, "the manifest.json of a split (or its folder), or models in order")
      ->required()
      ->type_name("MANIFEST|MODEL...");
  app.add_option("-o,--output", arguments.output, "the model to write ('-': stdout)")
      ->required()
      ->type_name("OUT.onnx");
  app.add_option("--replace", arguments.replace, "a file of your own in place of a part's; repeat")
      ->type_name("PART=FILE")
      ->allow_extra_args(false);
  app.add_option("--join", arguments.joins, "an output of an earlier model feeds an input of a later one; repeat")
      ->type_name("OUTPUT=INPUT")
      ->allow_extra_args(false);
  app.add_flag("--keep-joined", arguments.keep_joined, "joined outputs stay outputs of the result");
  app.add_option("--convert-opset", arguments.convert_opset, "convert models of other opsets to this one of ai.onnx")
      ->type_name("N");
  gomai::AddWeightsFlag(app, &arguments.save.weights);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
