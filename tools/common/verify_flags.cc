// See verify_flags.h.
#include "tools/common/verify_flags.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"

namespace gomai {
namespace {

// --input, repeated: further files of one name are further samples.
absl::StatusOr<std::vector<NamedTensors>> GivenSamples(const std::vector<std::string>& arguments) {
  std::map<std::string, std::vector<HostTensor>> by_name;
  for (const std::string& argument : arguments) {
    GOMAI_ASSIGN_OR_RETURN(const NamedTensors tensors, ReadInputs({argument}));
    for (const auto& [name, tensor] : tensors) {
      by_name[name].push_back(tensor);
    }
  }
  std::vector<NamedTensors> samples;
  for (const auto& [name, tensors] : by_name) {
    if (!samples.empty() && tensors.size() != samples.size()) {
      return InvalidArgument("the input '{}' is given {} times and '{}' {} times; each sample needs one of each", name,
                             tensors.size(), by_name.begin()->first, samples.size());
    }
    samples.resize(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      samples[i].emplace(name, tensors[i]);
    }
  }
  return samples;
}

// Values of one flag: "V" for all tensors, "NAME=V" (the last '=': names may hold one) for one.
absl::Status ReadTolerance(const char* flag, const std::vector<std::string>& values, bool not_negative,
                           std::optional<double>* all, std::map<std::string, std::optional<double>>* by_name) {
  for (const std::string& text : values) {
    const size_t equals = text.rfind('=');
    const std::string number = equals == std::string::npos ? text : text.substr(equals + 1);
    const std::optional<double> value = ParseDouble(number);
    if (!value || std::isnan(*value) || (not_negative && *value < 0)) {
      return InvalidArgument("{} {}: '{}' is no {}number; give {} 1e-5 or {} OUTPUT=1e-5", flag, text, number,
                             not_negative ? "such " : "", flag, flag);
    }
    (equals == std::string::npos ? *all : (*by_name)[text.substr(0, equals)]) = value;
  }
  return absl::OkStatus();
}

// What an effect that a pass states, or a precision that a device computes in, leaves room for. The shares of the range
// are some times what was measured on plain CNNs (docs/npu.md).
absl::StatusOr<Tolerance> ToleranceOf(const std::string& name) {
  Tolerance tolerance;
  if (name.empty() || name == "exact-finite") {
    return tolerance;
  }
  if (name == "bit-exact") {
    tolerance.bits = true;
    return tolerance;
  }
  static constexpr std::pair<std::string_view, double> kRanges[] = {
      {"reassociates", 1e-5}, {"fp32", 1e-5}, {"fp16", 0.01}, {"bf16", 0.05}, {"int8", 0.1}};
  for (const auto& [known, range] : kRanges) {
    if (name == known) {
      tolerance.range = range;
      return tolerance;
    }
  }
  return InvalidArgument("'{}' has no tolerance of its own; give --rtol, --atol, --cosine or --snr", name);
}

// "boxes,labels,scores,masks", those that the model has; an empty one is left out.
absl::StatusOr<DetectionNames> ParseDetections(const std::string& text) {
  const std::vector<std::string> names = SplitList(text, ',');
  if (names.empty() || names.size() > 4 || names[0].empty()) {
    return InvalidArgument("--detections {} must name the outputs BOXES,LABELS,SCORES,MASKS, or the first of them",
                           text);
  }
  const auto at = [&](size_t i) { return i < names.size() ? names[i] : std::string(); };
  return DetectionNames{.boxes = at(0), .labels = at(1), .scores = at(2), .masks = at(3)};
}

CLI::Option* Repeated(CLI::Option* option, const char* type) {
  return option->type_name(type)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

absl::StatusOr<std::vector<NamedTensors>> VerifySamples(const VerifyArguments& arguments,
                                                        const std::vector<ValueSpec>& inputs) {
  GOMAI_ASSIGN_OR_RETURN(std::vector<NamedTensors> samples, GivenSamples(arguments.inputs));
  if (arguments.random.empty()) {
    if (!arguments.shapes.empty() || arguments.samples != 1) {
      return InvalidArgument("--input-shape and --samples are for made-up inputs; they need --random");
    }
    if (samples.empty() && !inputs.empty()) {
      return InvalidArgument("no input is given; use --input {}=FILE.npy, or --random", inputs.front().name);
    }
    samples.resize(std::max<size_t>(samples.size(), 1));  // a model without inputs
    return samples;
  }
  const std::optional<int64_t> seed = ParseInt64(arguments.random);
  if (!seed) {
    return InvalidArgument("--random={} is no seed; give a whole number", arguments.random);
  }
  if (samples.empty()) {
    samples.resize(static_cast<size_t>(arguments.samples));
  } else if (arguments.samples != 1) {
    return InvalidArgument("--samples says how many samples to make up; {} are given by --input", samples.size());
  }
  GOMAI_ASSIGN_OR_RETURN(const auto shapes, ParseInputShapes(arguments.shapes));
  for (size_t i = 0; i < samples.size(); ++i) {
    absl::StatusOr<NamedTensors> made = RandomInputs(inputs, static_cast<uint64_t>(*seed) + i, shapes, samples[i]);
    if (!made.ok()) {
      return MakeStatus(made.status().code(), fmt::format("{} (--input-shape NAME:1x3x4)", Message(made.status())));
    }
    samples[i].merge(*made);
  }
  return samples;
}

absl::Status SetVerifyTolerances(const VerifyArguments& arguments, Equivalence& equivalence) {
  struct Flag {
    const char* name;
    const std::vector<std::string>& values;
    bool not_negative;
    std::optional<double> all = std::nullopt;
    std::map<std::string, std::optional<double>> by_name = {};
  };
  Flag flags[] = {{"--rtol", arguments.rtol, true},
                  {"--atol", arguments.atol, true},
                  {"--cosine", arguments.cosine, false},
                  {"--snr", arguments.snr, false}};
  std::map<std::string, Tolerance> by_name;
  const auto build = [&](const std::string* name) {
    const auto pick = [&](const Flag& flag) {
      const auto own = name == nullptr ? flag.by_name.end() : flag.by_name.find(*name);
      return own == flag.by_name.end() ? flag.all : own->second;
    };
    Tolerance tolerance;
    tolerance.bits = arguments.bits;
    tolerance.rtol = pick(flags[0]).value_or(0);
    tolerance.atol = pick(flags[1]).value_or(0);
    tolerance.min_cosine = pick(flags[2]);
    tolerance.min_snr_db = pick(flags[3]);
    return tolerance;
  };
  bool any = arguments.bits;
  for (Flag& flag : flags) {
    GOMAI_RETURN_IF_ERROR(ReadTolerance(flag.name, flag.values, flag.not_negative, &flag.all, &flag.by_name));
    any = any || !flag.values.empty();
  }
  if (arguments.bits &&
      std::any_of(std::begin(flags), std::end(flags), [](const Flag& f) { return !f.values.empty(); })) {
    return InvalidArgument("--bits leaves no room for a tolerance; give one or the other");
  }
  for (const Flag& flag : flags) {
    for (const auto& [name, value] : flag.by_name) {
      by_name.emplace(name, build(&name));
    }
  }
  if (!any) {
    GOMAI_ASSIGN_OR_RETURN(const Tolerance all, ToleranceOf(arguments.effect));
    GOMAI_RETURN_IF_ERROR(equivalence.SetTolerances(all, {}));
    if (arguments.target.on.empty() && equivalence.evidence().empty()) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const Tolerance target,
                           ToleranceOf(arguments.precision.empty() ? "fp16" : arguments.precision));
    equivalence.SetTargetTolerance(target);
    return absl::OkStatus();
  }
  return equivalence.SetTolerances(build(nullptr), by_name);
}

absl::StatusOr<EquivalenceOptions> VerifyOptions(Tool& tool, const VerifyArguments& arguments) {
  EquivalenceOptions options;
  GOMAI_ASSIGN_OR_RETURN(options.candidate, ChainOptionsFrom(tool, arguments.target));
  options.reference.threads = arguments.target.runtime.session.threads;
  if (arguments.reference_ep.empty()) {
    options.reference.session_options = options.candidate.session.session_options;
  } else {
    options.reference.ep = arguments.reference_ep;
  }
  options.isolated = arguments.isolated;
  options.cpu_run = arguments.cpu_run == "always"  ? EquivalenceOptions::CpuRun::kAlways
                    : arguments.cpu_run == "never" ? EquivalenceOptions::CpuRun::kNever
                                                   : EquivalenceOptions::CpuRun::kAuto;
  options.steps = arguments.steps;
  options.rerun = !arguments.no_rerun;
  if (!arguments.detections.empty()) {
    GOMAI_ASSIGN_OR_RETURN(options.detections, ParseDetections(arguments.detections));
  }
  options.detection_options = arguments.detection;
  options.progress = [&tool, &arguments](const std::string& what) { tool.Progress(arguments.progress + what); };
  GOMAI_ASSIGN_OR_RETURN(options.candidate.replace, ParseReplacements(arguments.replace));
  return options;
}

void AddVerifyFlags(CLI::App& app, VerifyArguments* arguments) {
  app.add_option("reference", arguments->reference, "the model that is right by definition");
  app.add_option("candidate", arguments->candidate, "a model, a manifest.json, or the folder of a split");
  Repeated(app.add_option("--input", arguments->inputs,
                          "NAME=FILE.npy (.npz, .pb), or FILE.npz for all arrays in it; repeat for other inputs, and "
                          "with the same name for further samples"),
           "NAME=FILE");
  app.add_flag("--random{0}", arguments->random, "make up the inputs that aren't given, from a seed (--random=SEED)");
  app.add_option("--samples", arguments->samples, "how many samples to make up (default: 1)")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N");
  Repeated(
      app.add_option("--input-shape", arguments->shapes, "the size of a made-up input, as image:3x480x640 (repeat)"),
      "NAME:SHAPE");
  Repeated(app.add_option("--rtol", arguments->rtol, "relative tolerance, for all tensors or as TENSOR=V (repeat)"),
           "V");
  Repeated(app.add_option("--atol", arguments->atol, "absolute tolerance, added to it: |a-b| <= atol + rtol*|b|"), "V");
  Repeated(app.add_option("--cosine", arguments->cosine, "least cosine similarity"), "V");
  Repeated(app.add_option("--snr", arguments->snr, "least signal-to-noise ratio in dB"), "V");
  app.add_flag("--bits", arguments->bits, "equal bit for bit: -0.0 isn't 0.0, and each NaN is its own");
  app.add_option("--effect", arguments->effect,
                 "what the candidate's edits state (gomai-opt --list-passes); instead of tolerances")
      ->check(CLI::IsMember({"bit-exact", "exact-finite", "reassociates", "approximate"}))
      ->type_name("EFFECT");
  app.add_option("--precision", arguments->precision,
                 "what the target computes in: fp32, fp16 (default), bf16 or int8; instead of tolerances")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16", "int8"}))
      ->type_name("TYPE");
  app.add_option("--cpu-run", arguments->cpu_run,
                 "run the candidate on the CPU too: auto (if something quantised or replaced is on the target), always "
                 "or never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  app.add_option("--steps", arguments->steps,
                 "how far the target may be off that, in steps of an output's scale (1, if no tolerance is given)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  app.add_flag("--no-rerun", arguments->no_rerun, "don't run the first sample twice on the target");
  app.add_flag("--metrics", arguments->metrics,
               "a table of errors: absolute, RMSE, relative, cosine, SNR, PSNR, share equal, what isn't finite");
  app.add_option("--detections", arguments->detections,
                 "compare these outputs as a set: BOXES,LABELS,SCORES,MASKS, or the first of them")
      ->type_name("NAMES");
  app.add_option("--min-iou", arguments->detection.min_iou, "of the boxes of two detections that are the same (0.5)")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("V");
  app.add_option("--min-mask-iou", arguments->detection.min_mask_iou, "of their masks (0.5)")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("V");
  app.add_option("--score-tolerance", arguments->detection.score_tolerance, "of two detections' scores (0.05)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("V");
  app.add_option("--min-score", arguments->detection.min_score, "ignore detections below (0)")->type_name("V");
  app.add_option("--allowed-unmatched", arguments->detection.allowed_unmatched, "detections that one side may lack (0)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  CLI::Option* chained =
      app.add_flag("--chained", arguments->chained, "a part reads what earlier parts gave (default)");
  app.add_flag("--isolated", arguments->isolated, "each part reads the reference's own tensors")->excludes(chained);
  Repeated(app.add_option("--replace", arguments->replace,
                          "put a file in a part's place; names, dtypes and shapes must fit (repeat)"),
           "PART=FILE");
  app.add_option("--reference-ep", arguments->reference_ep, "execution provider of the reference (default: cpu)")
      ->type_name("NAME");
  AddTargetFlags(app, &arguments->target);
}

}  // namespace gomai
