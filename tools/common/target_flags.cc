// See target_flags.h.
#include "tools/common/target_flags.h"

#include "lib/base/text.h"

namespace gomai {
namespace {

std::filesystem::path Absolute(const std::string& path) {
  std::error_code error;
  return std::filesystem::absolute(path, error);
}

bool WantsTarget(const TargetFlags& flags) {
  return !flags.file.empty() || !flags.ep_library.empty() || (!flags.ep.empty() && flags.ep != "cpu");
}

absl::Status CheckTargetless(const TargetFlags& flags) {
  const std::pair<bool, const char*> needing[] = {{!flags.on.empty(), "--on"},
                                                  {!flags.ep_options.empty(), "--ep-option"},
                                                  {!flags.ep_device.empty(), "--ep-device"},
                                                  {flags.allow_fallback, "--allow-fallback"},
                                                  {flags.no_isolation, "--no-isolation"},
                                                  {flags.one_by_one, "--one-by-one"},
                                                  {flags.open_limit.has_value(), "--open-limit"},
                                                  {flags.time_limit.has_value(), "--time-limit"},
                                                  {!flags.memory_limit.empty(), "--memory-limit"},
                                                  {!flags.context.empty(), "--context"},
                                                  {!flags.vendor_report.empty(), "--vendor-report"}};
  for (const auto& [given, name] : needing) {
    if (given) {
      return InvalidArgument("{} is about an execution provider other than cpu; name it with --ep or --target", name);
    }
  }
  return absl::OkStatus();
}

const char* KnownName(Evidence::Known known) {
  switch (known) {
    case Evidence::Known::kYes:
      return "yes";
    case Evidence::Known::kNo:
      return "no";
    case Evidence::Known::kUnknown:
      break;
  }
  return "unknown";
}

nlohmann::ordered_json OneDocument(const Evidence& evidence) {
  const Placement& placement = evidence.placement;
  nlohmann::ordered_json document = {
      {"part", evidence.part}, {"provider", placement.provider}, {"level", Evidence::LevelText(evidence.Level())}};
  nlohmann::ordered_json ladder = nlohmann::ordered_json::object();
  for (size_t i = 0; i < Evidence::kSteps; ++i) {
    const auto step = static_cast<Evidence::Step>(i);
    ladder[std::string(Evidence::StepName(step))] = {{"known", KnownName(evidence.entry(step).known)},
                                                     {"detail", evidence.entry(step).detail}};
  }
  document["steps"] = ladder;
  nlohmann::ordered_json devices = nlohmann::ordered_json::array();
  for (const DeviceInfo& device : placement.devices) {
    devices.push_back({{"kind", device.kind}, {"vendor", device.vendor}, {"ep_vendor", device.ep_vendor}});
  }
  document["devices"] = devices;
  document["on_npu"] = evidence.Level() >= Evidence::kPlacement && placement.on_npu();
  document["runs"] = evidence.runs;
  nlohmann::ordered_json nodes = nlohmann::ordered_json::object();
  nlohmann::ordered_json elsewhere = nlohmann::ordered_json::array();
  for (const auto& [ep, placed] : placement.nodes) {
    nodes[ep] = placed.size();
    for (const PlacedNode& node : placed) {
      if (ep != placement.provider) {
        elsewhere.push_back({{"name", node.name}, {"op", node.op}, {"provider", ep}});
      }
    }
  }
  document["nodes"] = nodes;
  document["elsewhere"] = elsewhere;
  document["failure"] = evidence.failure;
  return document;
}

}  // namespace

void AddTargetFlags(CLI::App& app, TargetFlags* flags) {
  const auto repeated = [](CLI::Option* option) {
    option->expected(1)->delimiter(',')->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  app.add_option("--target", flags->file, "a target file: provider, library, options, limits (docs/npu.md)")
      ->type_name("FILE");
  repeated(app.add_option("--on", flags->on, "the parts that run on the target, or all (default: by the manifest)")
               ->type_name("PARTS"));
  app.add_option("--ep", flags->ep, "execution provider of the parts for an NPU, or of a model (default: cpu)")
      ->type_name("NAME");
  AddPairs(app, "--ep-option", &flags->ep_options, "an option of the execution provider; repeat");
  app.add_option("--ep-library", flags->ep_library, "a plugin execution provider's library")->type_name("PATH");
  app.add_option("--ep-device", flags->ep_device, "of a plugin's devices: npu, gpu, cpu or an index (--list-devices)")
      ->type_name("DEVICE");
  app.add_flag("--list-devices", flags->list_devices, "list providers and devices, and stop");
  app.add_flag("--allow-fallback", flags->allow_fallback, "let nodes land on the CPU, and tell which");
  app.add_flag("--no-isolation", flags->no_isolation, "run the provider in this process, which it may take down");
  app.add_flag("--one-by-one", flags->one_by_one, "on the target, open a session when its part runs, close it after");
  app.add_option("--open-limit", flags->open_limit, "seconds that opening a session may take (default: 1800)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  app.add_option("--time-limit", flags->time_limit, "seconds that a run may take (default: 600)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  app.add_option("--memory-limit", flags->memory_limit, "resident memory of a session's process (default: none)")
      ->type_name("SIZE");
  app.add_option("--context", flags->context, "keep compiled models there, and use them again")->type_name("DIR");
  app.add_option("--vendor-report", flags->vendor_report, "the vendor's own report of what ran where")
      ->type_name("FILE");
  app.add_option("--optimization", flags->optimization,
                 "off, basic, extended or all (default: off, the reference; on a target all)")
      ->type_name("LEVEL");
  AddRuntimeFlags(app, &flags->runtime);
}

absl::StatusOr<std::optional<Target>> TargetFrom(const TargetFlags& flags) {
  if (!WantsTarget(flags)) {
    GOMAI_RETURN_IF_ERROR(CheckTargetless(flags));
    return std::nullopt;
  }
  Target target;
  target.session.optimization = Optimization::kAll;
  if (!flags.file.empty()) {
    GOMAI_ASSIGN_OR_RETURN(target, ReadTarget(flags.file));
  } else if (flags.ep.empty()) {
    return InvalidArgument("--ep-library needs the provider's name, --ep NAME");
  }
  // Flags come before what the file says; their paths are from here.
  if (!flags.ep.empty()) {
    target.session.ep = flags.ep;
  }
  if (!flags.ep_library.empty()) {
    target.session.ep_library = Absolute(flags.ep_library);
  }
  if (!flags.ep_device.empty()) {
    target.session.ep_device = flags.ep_device;
  }
  for (const auto& [key, value] : flags.ep_options) {
    SetOption(&target.session.ep_options, key, value);
  }
  for (const auto& [key, value] : flags.runtime.session.session_options) {
    SetOption(&target.session.session_options, key, value);
  }
  if (flags.runtime.session.threads != 0) {
    target.session.threads = flags.runtime.session.threads;
  }
  if (!flags.optimization.empty()) {
    GOMAI_ASSIGN_OR_RETURN(target.session.optimization, ParseOptimization(flags.optimization));
  }
  if (!flags.runtime.runtime.library.empty()) {
    target.ort_library = flags.runtime.runtime.library;
  }
  target.allow_fallback = target.allow_fallback || flags.allow_fallback;
  target.isolate = target.isolate && !flags.no_isolation;
  target.limits.open_seconds = flags.open_limit.value_or(target.limits.open_seconds);
  target.limits.run_seconds = flags.time_limit.value_or(target.limits.run_seconds);
  if (!flags.memory_limit.empty()) {
    const std::optional<uint64_t> bytes = ParseSize(flags.memory_limit);
    if (!bytes) {
      return InvalidArgument("--memory-limit {} is no size; give one as 4G", flags.memory_limit);
    }
    target.limits.memory = *bytes;
  }
  if (!flags.context.empty()) {
    target.context = Absolute(flags.context);
  }
  if (!flags.vendor_report.empty()) {
    target.vendor_report = Absolute(flags.vendor_report);
  }
  return target;
}

absl::StatusOr<ChainOptions> ChainOptionsFrom(Tool& tool, const TargetFlags& flags) {
  ChainOptions options;
  GOMAI_ASSIGN_OR_RETURN(options.target, TargetFrom(flags));
  options.session.threads = flags.runtime.session.threads;
  if (!options.target) {
    options.session.session_options = flags.runtime.session.session_options;
    if (!flags.optimization.empty()) {
      GOMAI_ASSIGN_OR_RETURN(options.session.optimization, ParseOptimization(flags.optimization));
    }
  }
  options.on = flags.on;
  options.one_by_one = flags.one_by_one;
  options.opening.worker = Tool::WorkerCommand();
  options.opening.diagnostics = tool.diagnostics();
  options.opening.log_severity = flags.runtime.runtime.log_severity;
  options.opening.cancelled = [&tool] {  // asked while a worker is waited for
    tool.Tick();
    return Tool::Interrupted();
  };
  options.progress = [&tool](const std::string& what) { tool.Progress(what); };
  if (options.target && !options.target->isolate) {
    tool.KeepStdout();
  }
  return options;
}

absl::Status ListDevices(Tool& tool, const TargetFlags& flags) {
  tool.KeepStdout();  // providers print while they look
  GOMAI_ASSIGN_OR_RETURN(const std::optional<Target> asked, TargetFrom(flags));
  Target target;
  if (asked) {
    GOMAI_ASSIGN_OR_RETURN(target, asked->For(""));
  }
  OnnxRuntimeOptions runtime = flags.runtime.runtime;
  runtime.diagnostics = tool.diagnostics();
  if (!target.ort_library.empty()) {
    runtime.library = target.ort_library;
  }
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, LoadOnnxRuntime(runtime));
  GOMAI_ASSIGN_OR_RETURN(const std::vector<DeviceInfo> devices, backend->Devices(target.session));
  GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> providers, backend->Providers());
  std::vector<std::vector<std::string>> rows;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (size_t i = 0; i < devices.size(); ++i) {
    const DeviceInfo& device = devices[i];
    rows.push_back({fmt::to_string(i), device.kind, device.ep, device.ep_vendor, device.vendor,
                    fmt::format("{:#06x}:{:#06x}", device.vendor_id, device.device_id)});
    nlohmann::ordered_json metadata = nlohmann::ordered_json::object();
    for (const auto& [key, value] : device.metadata) {
      metadata[key] = value;
    }
    list.push_back({{"index", i},
                    {"kind", device.kind},
                    {"provider", device.ep},
                    {"provider_vendor", device.ep_vendor},
                    {"vendor", device.vendor},
                    {"vendor_id", device.vendor_id},
                    {"device_id", device.device_id},
                    {"metadata", metadata}});
  }
  tool.document() = {{"runtime", backend->Describe()}, {"providers", providers}, {"devices", list}};
  std::string names;
  for (const std::string& provider : providers) {
    names += (names.empty() ? "" : ", ") + provider;
  }
  tool.Print(fmt::format("{}\nproviders: {}\n\n", backend->Describe(), names));
  tool.Print(Table({"index", "device", "provider", "by", "hardware of", "vendor:device"}, rows,
                   {true, false, false, false, false, false}));
  return absl::OkStatus();
}

std::string EvidenceText(const std::vector<const Evidence*>& evidence) {
  std::string text;
  for (const Evidence* each : evidence) {
    text += fmt::format("  {}\n", each->Text());
  }
  return text.empty() ? "" : "where it ran:\n" + text;
}

nlohmann::ordered_json EvidenceDocument(const std::vector<const Evidence*>& evidence) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Evidence* each : evidence) {
    list.push_back(OneDocument(*each));
  }
  return list;
}

}  // namespace gomai
