// Execution providers: those built into the library, and plugins that it loads.
//
// Nothing here knows a vendor. A built-in provider goes by the short name that people type; options pass through
// untouched. Note that providers silently ignore options that they don't know: what ran where is another question.
#ifdef GOMAI_WITH_ONNXRUNTIME

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "lib/runtime/onnxruntime_internal.h"

namespace gomai::ort {
namespace {

// "CPUExecutionProvider" -> "cpu".
std::string ShortName(std::string_view name) {
  constexpr std::string_view kSuffix = "ExecutionProvider";
  if (name.size() > kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix) {
    name.remove_suffix(kSuffix.size());
  }
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

absl::StatusOr<std::vector<const OrtEpDevice*>> Library::AllDevices() const {
  if (api_version < 22) {
    return std::vector<const OrtEpDevice*>();
  }
  const OrtEpDevice* const* devices = nullptr;
  size_t count = 0;
  GOMAI_RETURN_IF_ERROR(Check(api->GetEpDevices(env, &devices, &count), "listing devices"));
  return std::vector<const OrtEpDevice*>(devices, devices + count);
}

absl::StatusOr<std::vector<const OrtEpDevice*>> Library::PluginDevices(const std::string& name,
                                                                       const std::filesystem::path& plugin) {
  if (api_version < 22) {
    return Unavailable("a plugin provider needs ONNX Runtime 1.22 or newer; this is {} ({})", version, path.string());
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(plugin, error);
  if (error || !std::filesystem::exists(absolute, error)) {
    return NotFound("the provider's library '{}' doesn't exist", plugin.string());
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [slot, added] = registered_.try_emplace({name, absolute.string()});
  if (added) {
    // A provider may have another name than the one that it was registered under: its devices are those that are new.
    GOMAI_ASSIGN_OR_RETURN(const std::vector<const OrtEpDevice*> before, AllDevices());
    absl::Status status = Check(api->RegisterExecutionProviderLibrary(env, name.c_str(), absolute.c_str()),
                                fmt::format("registering the provider library '{}'", plugin.string()));
    if (!status.ok()) {
      registered_.erase(slot);
      return status;
    }
    GOMAI_ASSIGN_OR_RETURN(const std::vector<const OrtEpDevice*> after, AllDevices());
    std::copy_if(after.begin(), after.end(), std::back_inserter(slot->second), [&](const OrtEpDevice* device) {
      return std::find(before.begin(), before.end(), device) == before.end();
    });
  }
  return slot->second;
}

absl::StatusOr<std::vector<std::string>> Library::ProviderNames() const {
  char** names = nullptr;
  int count = 0;
  GOMAI_RETURN_IF_ERROR(Check(api->GetAvailableProviders(&names, &count), "listing execution providers"));
  std::vector<std::string> providers;
  for (int i = 0; i < count; ++i) {
    providers.push_back(ShortName(names[i]));
  }
  GOMAI_RETURN_IF_ERROR(Check(api->ReleaseAvailableProviders(names, count), "listing execution providers"));
  GOMAI_ASSIGN_OR_RETURN(const std::vector<const OrtEpDevice*> devices, AllDevices());
  for (const OrtEpDevice* device : devices) {
    providers.push_back(ShortName(api->EpDevice_EpName(device)));
  }
  // CPU first, then the others by name; a provider with several devices once.
  std::sort(providers.begin(), providers.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a != "cpu", std::string_view(a)) < std::pair(b != "cpu", std::string_view(b));
  });
  providers.erase(std::unique(providers.begin(), providers.end()), providers.end());
  return providers;
}

namespace {

const char* DeviceKind(const OrtApi& api, const OrtEpDevice* device) {
  switch (api.HardwareDevice_Type(api.EpDevice_Device(device))) {
    case OrtHardwareDeviceType_NPU:
      return "npu";
    case OrtHardwareDeviceType_GPU:
      return "gpu";
    case OrtHardwareDeviceType_CPU:
      break;
  }
  return "cpu";
}

// "name" or "name:npu" -> name, kind.
std::pair<std::string, std::string> SplitDevice(const std::string& ep) {
  const size_t colon = ep.rfind(':');
  if (colon != std::string::npos) {
    const std::string kind = ep.substr(colon + 1);
    if (kind == "npu" || kind == "gpu" || kind == "cpu") {
      return {ep.substr(0, colon), kind};
    }
  }
  return {ep, ""};
}

absl::Status AppendPlugin(Library& library, const SessionOptions& wanted, OrtSessionOptions* options) {
  const OrtApi& api = *library.api;
  const auto [name, kind] = SplitDevice(wanted.ep);
  if (ShortName(name) == "cpu") {
    return InvalidArgument("the provider library '{}' needs a name other than cpu; give it with --ep",
                           wanted.ep_library.string());
  }
  GOMAI_ASSIGN_OR_RETURN(std::vector<const OrtEpDevice*> devices, library.PluginDevices(name, wanted.ep_library));
  std::vector<std::string> seen;
  for (const OrtEpDevice* device : devices) {
    seen.push_back(fmt::format("{}:{}", api.EpDevice_EpName(device), DeviceKind(api, device)));
  }
  if (devices.empty()) {
    return Unavailable("the provider library '{}' finds no device on this machine", wanted.ep_library.string());
  }
  std::erase_if(devices, [&api, &wanted_kind = kind](const OrtEpDevice* device) {
    return !wanted_kind.empty() && DeviceKind(api, device) != wanted_kind;
  });
  if (devices.size() != 1) {
    return InvalidArgument(
        "'{}' means {} of the provider's devices; it has {}; choose one with --ep {}:npu, :gpu or :cpu", wanted.ep,
        devices.empty() ? "none" : "several", fmt::join(seen, ", "), name);
  }
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : wanted.ep_options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  return library.Check(
      api.SessionOptionsAppendExecutionProvider_V2(options, library.env, devices.data(), devices.size(), keys.data(),
                                                   values.data(), keys.size()),
      fmt::format("adding the execution provider '{}'", wanted.ep));
}

}  // namespace

absl::Status AppendProvider(Library& library, const SessionOptions& wanted, OrtSessionOptions* options) {
  if (!wanted.ep_library.empty()) {
    return AppendPlugin(library, wanted, options);
  }
  const std::string name = ShortName(wanted.ep);
  if (name == "cpu") {
    if (!wanted.ep_options.empty()) {
      return InvalidArgument("the execution provider cpu takes no options; '{}' was given",
                             wanted.ep_options.front().first);
    }
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> known, library.ProviderNames());
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    return InvalidArgument(
        "ONNX Runtime {} has no execution provider '{}'; it has {}; a plugin provider is named with --ep-library",
        library.version, wanted.ep, fmt::join(known, ", "));
  }
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : wanted.ep_options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  // The runtime wants the short name in capitals for some providers ("QNN") and mixed case for others ("OpenVINO").
  static constexpr std::pair<std::string_view, const char*> kMixedCase[] = {
      {"openvino", "OpenVINO"}, {"vitisai", "VitisAI"}, {"webgpu", "WebGPU"}, {"coreml", "CoreML"}};
  std::string spelt = name;
  std::transform(spelt.begin(), spelt.end(), spelt.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const auto& [lower, mixed] : kMixedCase) {
    if (name == lower) {
      spelt = mixed;
    }
  }
  return library.Check(library.api->SessionOptionsAppendExecutionProvider(options, spelt.c_str(), keys.data(),
                                                                          values.data(), keys.size()),
                       fmt::format("adding the execution provider '{}'", wanted.ep));
}

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
