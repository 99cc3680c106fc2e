// gomai-run: run a model, or the parts of a split as a chain; write outputs, dump what crosses, take times.
#include "lib/base/text.h"
#include "lib/runtime/npy.h"
#include "lib/runtime/sentinel.h"
#include "lib/split/runner.h"
#include "tools/common/run_report.h"
#include "tools/common/target_flags.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-run model.onnx --input image=image.npy -o outputs/
      outputs/boxes.npy and so on; without -o only the table of outputs and times
  gomai-run parts/manifest.json --input image=image.npy -o outputs/ --dump-parts dump/
      the parts as a chain, and what goes in and out of each as dump/PART/TENSOR.npy
  gomai-run model.onnx --random --input-shape image:3x480x640 --warmup 1 --runs 5
      times on made-up inputs, the same on every machine
  gomai-run parts/manifest.json --target npu.json --input image=image.npy -o outputs/
      the parts for an NPU on the NPU that npu.json describes, the others on the CPU)";

struct Arguments {
  std::string model;
  std::string folder;
  std::vector<std::string> inputs;
  std::string random;
  std::vector<std::string> shapes;
  RunOptions run;
  std::string dump_parts;
  bool compile_only = false;
  std::vector<std::string> replace;
  TargetFlags target;
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

std::string Unwritten(const PartRun& run, const HostTensor& tensor) {
  return run.on_target && !tensor.is_string() ? UnwrittenSlots(tensor).Why() : "";
}

// What a provider left unwritten is no result.
absl::Status CheckWritten(const PartRun& run) {
  for (const auto& [name, tensor] : run.outputs) {
    if (const std::string unwritten = Unwritten(run, tensor); !unwritten.empty()) {
      return FailedPrecondition("{}the provider left output '{}' unwritten: {}",
                                run.part.empty() ? "" : fmt::format("part '{}': ", run.part), name, unwritten);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  if (arguments.target.list_devices) {
    GOMAI_RETURN_IF_ERROR(ListDevices(tool, arguments.target));
    return 0;
  }
  if (arguments.model.empty()) {
    return InvalidArgument("a model or a manifest is required (--help shows how)");
  }
  arguments.target.runtime.runtime.diagnostics = tool.diagnostics();
  GOMAI_ASSIGN_OR_RETURN(ChainOptions options, ChainOptionsFrom(tool, arguments.target));
  GOMAI_ASSIGN_OR_RETURN(options.replace, ParseReplacements(arguments.replace));
  tool.FinishOnInterrupt();
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, LoadOnnxRuntime(arguments.target.runtime.runtime));
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Runner> runner, Runner::Open(arguments.model, *backend, options));
  if (arguments.compile_only) {
    GOMAI_RETURN_IF_ERROR(runner->OpenEach());
  }
  RunReport report;
  absl::Status ran = runner->failure();
  if (ran.ok() && !arguments.compile_only) {
    GOMAI_ASSIGN_OR_RETURN(const NamedTensors feeds, Feeds(arguments, *runner));
    arguments.run.dump_parts = arguments.dump_parts;
    arguments.run.progress = options.progress;
    arguments.run.cancelled = &Tool::Interrupted;
    arguments.run.check = &CheckWritten;
    absl::StatusOr<RunReport> done = RunTimed(*runner, feeds, arguments.run);
    ran = done.status();
    if (done.ok()) {
      report = *std::move(done);
    }
  } else if (ran.ok() && runner->evidence().empty()) {
    return InvalidArgument("--compile-only compiles for a target; name it with --ep or --target");
  }
  tool.document() = RunDocument(backend->Describe(), *runner, report);
  if (!ran.ok()) {
    tool.Print(EvidenceText(runner->evidence()));
    return ran;
  }
  if (!arguments.folder.empty() && !report.outputs.empty()) {
    std::vector<std::filesystem::path> inputs;
    for (const std::string& input : arguments.inputs) {
      inputs.emplace_back(input.substr(input.find('=') + 1));
    }
    GOMAI_RETURN_IF_ERROR(WriteTensors(arguments.folder, report.outputs, inputs));
  }
  tool.Print(arguments.compile_only ? EvidenceText(runner->evidence())
                                    : RunText(backend->Describe(), *runner, report, arguments.run.warmup));
  if (report.cancelled) {
    return Internal("interrupted after {} of {} runs", report.seconds.size(), arguments.run.runs);
  }
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-run", "run a model, or the parts of a split as a chain", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  app.add_option("model", arguments.model, "a model, a manifest.json, or the folder of a split");
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
  app.add_option("--replace", arguments.replace, "put a file in a part's place; it must fit (repeat)")
      ->type_name("PART=FILE")
      ->allow_extra_args(false);
  app.add_flag("--compile-only", arguments.compile_only, "open what runs on the target, tell where it went, and stop");
  gomai::AddTargetFlags(app, &arguments.target);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
