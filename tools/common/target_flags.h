#pragma once

// Where a model or the parts for an NPU run: --target, --ep and what belongs to it, limits, isolation; and what is
// listed and told of it. The same in every tool that runs models.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/runtime/evidence.h"
#include "lib/split/chain.h"
#include "tools/common/tool.h"

namespace gomai {

struct TargetFlags {
  RuntimeFlags runtime;
  std::string file;
  std::vector<std::string> on;
  std::string ep;
  std::vector<std::pair<std::string, std::string>> ep_options;
  std::string ep_library;
  std::string ep_device;
  std::string optimization;  // "": off for the CPU, all for a target
  bool allow_fallback = false;
  bool no_isolation = false;
  bool one_by_one = false;
  bool list_devices = false;
  std::optional<double> open_limit;
  std::optional<double> time_limit;
  std::string memory_limit;
  std::string context;
  std::string vendor_report;
};

void AddTargetFlags(CLI::App& app, TargetFlags* flags);

// Nothing if all is to run on the CPU.
absl::StatusOr<std::optional<Target>> TargetFrom(const TargetFlags& flags);
// ChainOptions but for what the tool has of its own.
absl::StatusOr<ChainOptions> ChainOptionsFrom(Tool& tool, const TargetFlags& flags);

// --list-devices: prints, and fills the document.
absl::Status ListDevices(Tool& tool, const TargetFlags& flags);

// "where it ran", a line for each, and the same for JSON.
std::string EvidenceText(const std::vector<const Evidence*>& evidence);
nlohmann::ordered_json EvidenceDocument(const std::vector<const Evidence*>& evidence);

}  // namespace gomai
