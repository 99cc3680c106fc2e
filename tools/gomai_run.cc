// gomai-run: run a model, or the parts of a split as a chain; write outputs, dump what crosses, take times.
#include <fmt/ranges.h>

#include "lib/base/text.h"
#include "lib/runtime/npy.h"
#include "lib/split/runner.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-run model.onnx --input image=image.npy -o outputs/
      outputs/boxes.npy and so on; without -o only the table of outputs and times
  gomai-run parts/manifest.json --input image=image.npy -o outputs/ --dump-parts dump/
      the parts as a chain, and what goes in and out of each as dump/PART/TENSOR.npy
  gomai-run model.onnx --random --input-shape image:3x480x640 --warmup 1 --runs 5
      times on made-up inputs, the same on every machine)";

struct Arguments {
  std::string model;
  std::string folder;
  std::vector<std::string> inputs;
  std::string random;
  std::vector<std::string> shapes;
  RunOptions run;
  std::string dump_parts;
  std::string optimization = "off";
  RuntimeFlags runtime;
};

absl::StatusOr<NamedTensors> Feeds(const Arguments& arguments, const Runner& runner) {
  GOMAI_ASSIGN_OR_RETURN(NamedTensors feeds, ReadInputs(arguments.inputs));
  if (arguments.random.empty()) {
    if (!arguments.shapes.empty()) {
      return InvalidArgument("--input-shape says what size to make up; it needs --random");
    }
    return feeds;
  }
  const std::optional<int64_t> seed = ParseInt64(arguments.random);
  if (!seed) {
    return InvalidArgument("--random={} is no seed; give a whole number", arguments.random);
  }
  GOMAI_ASSIGN_OR_RETURN(const auto shapes, ParseInputShapes(arguments.shapes));
  absl::StatusOr<NamedTensors> made = RandomInputs(runner.inputs(), static_cast<uint64_t>(*seed), shapes, feeds);
  if (!made.ok()) {
    return MakeStatus(made.status().code(), fmt::format("{} (--input-shape NAME:1x3x4)", Message(made.status())));
  }
  feeds.merge(*made);
  return feeds;
}

std::string Milliseconds(double seconds) { return fmt::format("{:.1f}", seconds * 1e3); }

std::string OutputTable(const Runner& runner, const RunReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : runner.output_names()) {
    const HostTensor& tensor = report.outputs.at(name);
    const TensorRange range = RangeOf(tensor);
    rows.push_back({name, DtypeName(tensor.dtype()), fmt::format("[{}]", fmt::join(tensor.shape(), ",")),
                    range.min.empty() ? "-" : range.min, range.max.empty() ? "-" : range.max,
                    fmt::format("{}", range.nan + range.infinite)});
  }
  return Table({"output", "dtype", "shape", "min", "max", "not finite"}, rows, {false, false, false, true, true, true});
}

std::string TimeTable(const RunReport& report) {
  std::vector<std::vector<std::string>> rows;
  const double whole = Median(report.seconds);
  const auto add = [&](const std::string& name, const std::vector<double>& seconds) {
    rows.push_back({name, Milliseconds(Minimum(seconds)), Milliseconds(Median(seconds)),
                    fmt::format("{:.0f} %", whole > 0 ? 100 * Median(seconds) / whole : 0)});
  };
  for (const auto& [part, seconds] : report.parts) {
    add(part, seconds);
  }
  add("all", report.seconds);
  return Table({"part", "min ms", "median ms", "share"}, rows, {false, true, true, true});
}

nlohmann::ordered_json Document(const Backend& backend, const Runner& runner, const RunReport& report) {
  nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
  for (const std::string& name : runner.output_names()) {
    const HostTensor& tensor = report.outputs.at(name);
    const TensorRange range = RangeOf(tensor);
    outputs.push_back({{"name", name}, {"dtype", DtypeName(tensor.dtype())}, {"shape", tensor.shape()}});
    outputs.back().update({{"min", range.min}, {"max", range.max}, {"nan", range.nan}, {"infinite", range.infinite}});
  }
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const auto& [part, seconds] : report.parts) {
    parts.push_back({{"name", part}, {"seconds", seconds}});
  }
  return {{"runtime", backend.Describe()}, {"outputs", outputs}, {"seconds", report.seconds}, {"parts", parts}};
}

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  arguments.runtime.runtime.diagnostics = tool.diagnostics();
  GOMAI_ASSIGN_OR_RETURN(arguments.runtime.session.optimization, ParseOptimization(arguments.optimization));
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, LoadOnnxRuntime(arguments.runtime.runtime));
  ChainOptions options;
  options.session = arguments.runtime.session;
  options.progress = [&tool](const std::string& what) { tool.Progress(what); };
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Runner> runner, Runner::Open(arguments.model, *backend, options));
  GOMAI_ASSIGN_OR_RETURN(const NamedTensors feeds, Feeds(arguments, *runner));
  arguments.run.dump_parts = arguments.dump_parts;
  arguments.run.progress = options.progress;
  GOMAI_ASSIGN_OR_RETURN(const RunReport report, RunTimed(*runner, feeds, arguments.run));
  if (!arguments.folder.empty()) {
    std::vector<std::filesystem::path> inputs;
    for (const std::string& input : arguments.inputs) {
      inputs.emplace_back(input.substr(input.find('=') + 1));
    }
    GOMAI_RETURN_IF_ERROR(WriteTensors(arguments.folder, report.outputs, inputs));
  }
  if (tool.json()) {
    tool.document() = Document(*backend, *runner, report);
    return 0;
  }
  tool.Print(fmt::format("{}, {} {} after {} {}\n\n", backend->Describe(), report.seconds.size(),
                         report.seconds.size() == 1 ? "run" : "runs", arguments.run.warmup,
                         arguments.run.warmup == 1 ? "warm-up" : "warm-ups"));
  tool.Print(OutputTable(*runner, report) + "\n" + TimeTable(report));
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-run", "run a model, or the parts of a split as a chain", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("model", arguments.model, "a model, a manifest.json, or the folder of a split")->required();
  app.add_option("--input", arguments.inputs, "NAME=FILE.npy (.npz, .pb), or FILE.npz for all arrays in it (repeat)")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  app.add_flag("--random{0}", arguments.random, "make up the inputs that aren't given, from a seed (default: 0)")
      ->type_name("SEED");
  app.add_option("--input-shape", arguments.shapes, "the size of a made-up input, as image:3x480x640 (repeat)")
      ->type_name("NAME:SHAPE")
      ->allow_extra_args(false);
  app.add_option("-o,--output", arguments.folder, "write each output there as NAME.npy")->type_name("DIR");
  app.add_option("--dump-parts", arguments.dump_parts, "write each part's inputs and outputs as DIR/PART/TENSOR.npy")
      ->type_name("DIR");
  app.add_option("--runs", arguments.run.runs, "counted runs (default: 1)")->type_name("N");
  app.add_option("--warmup", arguments.run.warmup, "runs before them that don't count (default: 0)")->type_name("N");
  app.add_option("--optimization", arguments.optimization, "off (default: the reference), basic, extended or all")
      ->type_name("LEVEL");
  gomai::AddRuntimeFlags(app, &arguments.runtime);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
