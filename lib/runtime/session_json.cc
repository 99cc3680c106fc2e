// See session_json.h.
#include "lib/runtime/session_json.h"

namespace gomai {
namespace {

using Json = nlohmann::json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

}  // namespace

Json ToJson(const SessionOptions& options) {
  return {{"ep", options.ep},
          {"ep_options", options.ep_options},
          {"ep_library", options.ep_library.string()},
          {"ep_device", options.ep_device},
          {"record_placement", options.record_placement},
          {"forbid_fallback", options.forbid_fallback},
          {"optimization", static_cast<int>(options.optimization)},
          {"threads", options.threads},
          {"session_options", options.session_options}};
}

SessionOptions SessionOptionsFrom(const Json& json) {
  SessionOptions options;
  options.ep = json.at("ep").get<std::string>();
  options.ep_options = json.at("ep_options").get<Pairs>();
  options.ep_library = json.at("ep_library").get<std::string>();
  options.ep_device = json.at("ep_device").get<std::string>();
  options.record_placement = json.at("record_placement").get<bool>();
  options.forbid_fallback = json.at("forbid_fallback").get<bool>();
  options.optimization = static_cast<Optimization>(json.at("optimization").get<int>());
  options.threads = json.at("threads").get<int>();
  options.session_options = json.at("session_options").get<Pairs>();
  return options;
}

Json ToJson(const ValueSpec& spec) {
  return {{"name", spec.name},           {"dtype", spec.dtype}, {"type", spec.type},
          {"has_shape", spec.has_shape}, {"shape", spec.shape}, {"symbols", spec.symbols}};
}

ValueSpec ValueSpecFrom(const Json& json) {
  ValueSpec spec;
  spec.name = json.at("name").get<std::string>();
  spec.dtype = json.at("dtype").get<int>();
  spec.type = json.at("type").get<std::string>();
  spec.has_shape = json.at("has_shape").get<bool>();
  spec.shape = json.at("shape").get<std::vector<int64_t>>();
  spec.symbols = json.at("symbols").get<std::vector<std::string>>();
  return spec;
}

Json ToJson(const DeviceInfo& device) {
  return {{"ep", device.ep},
          {"ep_vendor", device.ep_vendor},
          {"kind", device.kind},
          {"vendor", device.vendor},
          {"vendor_id", device.vendor_id},
          {"device_id", device.device_id},
          {"metadata", device.metadata}};
}

DeviceInfo DeviceInfoFrom(const Json& json) {
  DeviceInfo device;
  device.ep = json.at("ep").get<std::string>();
  device.ep_vendor = json.at("ep_vendor").get<std::string>();
  device.kind = json.at("kind").get<std::string>();
  device.vendor = json.at("vendor").get<std::string>();
  device.vendor_id = json.at("vendor_id").get<uint32_t>();
  device.device_id = json.at("device_id").get<uint32_t>();
  device.metadata = json.at("metadata").get<Pairs>();
  return device;
}

Json ToJson(const Placement& placement) {
  Json nodes = Json::object();
  for (const auto& [ep, placed] : placement.nodes) {
    Json list = Json::array();
    for (const PlacedNode& node : placed) {
      list.push_back({node.name, node.op});
    }
    nodes[ep] = list;
  }
  Json devices = Json::array();
  for (const DeviceInfo& device : placement.devices) {
    devices.push_back(ToJson(device));
  }
  return {{"source", static_cast<int>(placement.source)},
          {"provider", placement.provider},
          {"devices", devices},
          {"nodes", nodes}};
}

Placement PlacementFrom(const Json& json) {
  Placement placement;
  placement.source = static_cast<Placement::Source>(json.at("source").get<int>());
  placement.provider = json.at("provider").get<std::string>();
  for (const Json& device : json.at("devices")) {
    placement.devices.push_back(DeviceInfoFrom(device));
  }
  for (const auto& [ep, placed] : json.at("nodes").items()) {
    for (const Json& node : placed) {
      placement.Add(ep, {node.at(0).get<std::string>(), node.at(1).get<std::string>()});
    }
  }
  return placement;
}

Json ToJson(const absl::Status& status) {
  return {{"code", static_cast<int>(status.code())}, {"message", std::string(Message(status))}};
}

absl::Status StatusFrom(const Json& json) {
  return MakeStatus(static_cast<absl::StatusCode>(json.at("code").get<int>()), json.at("message").get<std::string>());
}

}  // namespace gomai
