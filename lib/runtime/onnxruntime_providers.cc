// Execution providers: those built into the library, and plugins that it loads.
//
// Nothing here knows a vendor. A built-in provider goes by the short name that people type; options pass through
// untouched. Note that providers silently ignore options that they don't know: what ran where is another question.
#ifdef GOMAI_WITH_ONNXRUNTIME

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>

#include "lib/base/text.h"
#include "lib/runtime/onnxruntime_internal.h"

namespace gomai::ort {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// "CPUExecutionProvider" -> "cpu".
std::string ShortName(std::string_view name) {
  constexpr std::string_view kSuffix = "ExecutionProvider";
  if (name.size() > kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix) {
    name.remove_suffix(kSuffix.size());
  }
  return Lower(name);
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

absl::StatusOr<std::vector<std::string>> Library::BuiltIn() const {
  char** names = nullptr;
  int count = 0;
  GOMAI_RETURN_IF_ERROR(Check(api->GetAvailableProviders(&names, &count), "listing execution providers"));
  const std::vector<std::string> providers(names, names + count);
  GOMAI_RETURN_IF_ERROR(Check(api->ReleaseAvailableProviders(names, count), "listing execution providers"));
  return providers;
}

absl::StatusOr<std::string> Library::FullName(const std::string& short_name) const {
  GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> names, BuiltIn());
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const std::string& name) { return ShortName(name) == short_name; });
  return found == names.end() ? short_name : *found;
}

absl::StatusOr<std::vector<std::string>> Library::ProviderNames() const {
  GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> names, BuiltIn());
  std::vector<std::string> providers;
  for (const std::string& name : names) {
    providers.push_back(ShortName(name));
  }
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

DeviceInfo Describe(const OrtApi& api, const OrtEpDevice* device) {
  const OrtHardwareDevice* hardware = api.EpDevice_Device(device);
  DeviceInfo info;
  info.ep = api.EpDevice_EpName(device);
  info.ep_vendor = api.EpDevice_EpVendor(device);
  info.kind = DeviceKind(api, device);
  info.vendor = api.HardwareDevice_Vendor(hardware);
  info.vendor_id = api.HardwareDevice_VendorId(hardware);
  info.device_id = api.HardwareDevice_DeviceId(hardware);
  for (const OrtKeyValuePairs* pairs : {api.EpDevice_EpMetadata(device), api.HardwareDevice_Metadata(hardware)}) {
    if (pairs == nullptr) {
      continue;
    }
    const char* const* keys = nullptr;
    const char* const* values = nullptr;
    size_t count = 0;
    api.GetKeyValuePairs(pairs, &keys, &values, &count);
    for (size_t i = 0; i < count; ++i) {
      info.metadata.emplace_back(keys[i], values[i]);
    }
  }
  return info;
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

// Of a provider's devices the one that is meant. `listed`: all that the runtime has, in which an index counts.
absl::StatusOr<std::vector<const OrtEpDevice*>> Choose(const OrtApi& api, const std::vector<const OrtEpDevice*>& own,
                                                       const std::vector<const OrtEpDevice*>& listed,
                                                       const std::string& device, const std::string& name) {
  std::vector<std::string> seen;
  for (const OrtEpDevice* each : own) {
    const auto index = std::find(listed.begin(), listed.end(), each) - listed.begin();
    seen.push_back(fmt::format("{}: {}", index, Describe(api, each).Describe()));
  }
  std::vector<const OrtEpDevice*> chosen;
  if (const std::optional<int64_t> index = ParseInt64(device); index) {
    if (*index >= 0 && static_cast<size_t>(*index) < listed.size() &&
        std::find(own.begin(), own.end(), listed[static_cast<size_t>(*index)]) != own.end()) {
      chosen.push_back(listed[static_cast<size_t>(*index)]);
    }
  } else {
    const std::string kind = !device.empty() ? device : own.size() > 1 ? "npu" : "";
    if (!kind.empty() && kind != "npu" && kind != "gpu" && kind != "cpu") {
      return InvalidArgument("'{}' is no device; give npu, gpu, cpu or an index that --list-devices shows", device);
    }
    std::copy_if(own.begin(), own.end(), std::back_inserter(chosen),
                 [&](const OrtEpDevice* each) { return kind.empty() || DeviceKind(api, each) == kind; });
  }
  if (chosen.size() != 1) {
    return InvalidArgument(
        "{} means {} of the devices of the provider '{}', which has {}; choose one with --ep-device npu, gpu, cpu or "
        "its index",
        device.empty() ? "no --ep-device" : fmt::format("--ep-device {}", device), chosen.empty() ? "none" : "several",
        name, fmt::join(seen, ", "));
  }
  return chosen;
}

absl::StatusOr<Provider> FindPlugin(Library& library, const SessionOptions& wanted) {
  auto [name, kind] = SplitDevice(wanted.ep);
  if (ShortName(name) == "cpu") {
    return InvalidArgument("the provider library '{}' needs a name other than cpu; give it with --ep",
                           wanted.ep_library.string());
  }
  GOMAI_ASSIGN_OR_RETURN(std::vector<const OrtEpDevice*> devices, library.PluginDevices(name, wanted.ep_library));
  // A library may hold several providers; one that has just this name is meant.
  const auto named = [&library, own = ShortName(name)](const OrtEpDevice* device) {
    return ShortName(library.api->EpDevice_EpName(device)) == own;
  };
  if (std::any_of(devices.begin(), devices.end(), named)) {
    std::erase_if(devices, std::not_fn(named));
  }
  if (devices.empty()) {
    return Unavailable("the provider library '{}' is loaded, but finds no device on this machine",
                       wanted.ep_library.string());
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<const OrtEpDevice*> listed, library.AllDevices());
  Provider provider;
  provider.name = name;
  GOMAI_ASSIGN_OR_RETURN(provider.devices, Choose(*library.api, devices, listed,
                                                  wanted.ep_device.empty() ? kind : wanted.ep_device, name));
  for (const OrtEpDevice* device : provider.devices) {
    provider.placement.devices.push_back(Describe(*library.api, device));
  }
  provider.placement.provider = provider.placement.devices.front().ep;
  return provider;
}

// What the runtime's call for built-in providers is told: the short name in capitals for some ("QNN"), in mixed case
// for others.
std::string SpelledOut(const std::string& name) {
  static constexpr std::pair<std::string_view, const char*> kMixedCase[] = {
      {"openvino", "OpenVINO"}, {"vitisai", "VitisAI"}, {"webgpu", "WebGPU"}, {"coreml", "CoreML"}};
  for (const auto& [lower, mixed] : kMixedCase) {
    if (name == lower) {
      return mixed;
    }
  }
  std::string spelt = name;
  std::transform(spelt.begin(), spelt.end(), spelt.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return spelt;
}

// Options that name a device which isn't the one in use: providers pass over such in silence and run elsewhere.
absl::Status CheckDeviceOptions(const SessionOptions& wanted, const Placement& placement) {
  if (placement.devices.empty()) {
    return absl::OkStatus();
  }
  const std::string& kind = placement.devices.front().kind;
  for (const auto& [key, value] : wanted.ep_options) {
    const std::string lower = Lower(key);
    if (lower != "device" && lower != "device_type" && lower != "target_device") {
      continue;
    }
    const std::string asked = Lower(value);
    for (const std::string_view other : {"npu", "gpu", "cpu"}) {
      if (other != kind && asked.find(other) != std::string::npos && asked.find(kind) == std::string::npos) {
        return FailedPrecondition(
            "the option {}={} asks for another device than the provider's that is in use, {}; a provider passes over "
            "that in silence and runs where it is. --list-devices shows what there is, --ep-device chooses",
            key, value, placement.devices.front().Describe());
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<DeviceInfo>> ListDevices(Library& library, const SessionOptions& options) {
  if (!options.ep_library.empty()) {
    GOMAI_RETURN_IF_ERROR(library.PluginDevices(SplitDevice(options.ep).first, options.ep_library).status());
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<const OrtEpDevice*> devices, library.AllDevices());
  std::vector<DeviceInfo> infos;
  for (const OrtEpDevice* device : devices) {
    infos.push_back(Describe(*library.api, device));
  }
  return infos;
}

absl::StatusOr<Provider> FindProvider(Library& library, const SessionOptions& wanted) {
  Provider provider;
  if (!wanted.ep_library.empty()) {
    GOMAI_ASSIGN_OR_RETURN(provider, FindPlugin(library, wanted));
    GOMAI_RETURN_IF_ERROR(CheckDeviceOptions(wanted, provider.placement));
    return provider;
  }
  if (!wanted.ep_device.empty()) {
    return InvalidArgument("--ep-device chooses of a plugin provider's devices; name its library with --ep-library");
  }
  const std::string name = ShortName(wanted.ep);
  if (name == "cpu") {
    if (!wanted.ep_options.empty()) {
      return InvalidArgument("the execution provider cpu takes no options; '{}' was given",
                             wanted.ep_options.front().first);
    }
    return provider;
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> known, library.ProviderNames());
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    return InvalidArgument(
        "ONNX Runtime {} has no execution provider '{}'; it has {}; a plugin provider is named with --ep-library",
        library.version, wanted.ep, fmt::join(known, ", "));
  }
  provider.name = SpelledOut(name);
  GOMAI_ASSIGN_OR_RETURN(provider.placement.provider, library.FullName(name));
  return provider;
}

absl::Status AppendProvider(Library& library, const SessionOptions& wanted, const Provider& provider,
                            OrtSessionOptions* options) {
  if (provider.name.empty()) {
    return absl::OkStatus();
  }
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : wanted.ep_options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  const OrtApi& api = *library.api;
  return library.Check(provider.devices.empty()
                           ? api.SessionOptionsAppendExecutionProvider(options, provider.name.c_str(), keys.data(),
                                                                       values.data(), keys.size())
                           : api.SessionOptionsAppendExecutionProvider_V2(options, library.env, provider.devices.data(),
                                                                          provider.devices.size(), keys.data(),
                                                                          values.data(), keys.size()),
                       fmt::format("adding the execution provider '{}'", wanted.ep));
}

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
