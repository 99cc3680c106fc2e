#pragma once

// Internal to lib/runtime: sessions' options, specs, devices and placements as JSON: what goes over the channel to a
// worker process, and what reports print.

#include <nlohmann/json.hpp>

#include "lib/runtime/backend.h"

namespace gomai {

nlohmann::json ToJson(const SessionOptions& options);
nlohmann::json ToJson(const ValueSpec& spec);
nlohmann::json ToJson(const DeviceInfo& device);
nlohmann::json ToJson(const Placement& placement);
nlohmann::json ToJson(const absl::Status& status);

// The inverses. What comes from a worker is trusted as far as types go, no further: std::exception for what isn't
// there, which the channel's reader catches.
SessionOptions SessionOptionsFrom(const nlohmann::json& json);
ValueSpec ValueSpecFrom(const nlohmann::json& json);
DeviceInfo DeviceInfoFrom(const nlohmann::json& json);
Placement PlacementFrom(const nlohmann::json& json);
absl::Status StatusFrom(const nlohmann::json& json);

}  // namespace gomai
