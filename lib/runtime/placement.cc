// See placement.h.
#include "lib/runtime/placement.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace gomai {
namespace {

bool IsCompiled(const std::vector<PlacedNode>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const PlacedNode& node) { return node.op == "com.microsoft::EPContext"; });
}

}  // namespace

std::string DeviceInfo::Describe() const {
  return fmt::format("{} of {} ({:#x}:{:#x})", kind, vendor.empty() ? "an unnamed vendor" : vendor, vendor_id,
                     device_id);
}

size_t Placement::total() const {
  size_t count = 0;
  for (const auto& [ep, placed] : nodes) {
    count += placed.size();
  }
  return count;
}

const std::vector<PlacedNode>& Placement::On(std::string_view ep) const {
  static const auto& none = *new std::vector<PlacedNode>;
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const auto& entry) { return entry.first == ep; });
  return found == nodes.end() ? none : found->second;
}

std::vector<PlacedNode> Placement::Elsewhere() const {
  std::vector<PlacedNode> others;
  for (const auto& [ep, placed] : nodes) {
    if (ep != provider) {
      others.insert(others.end(), placed.begin(), placed.end());
    }
  }
  return others;
}

bool Placement::on_npu() const {
  return std::any_of(devices.begin(), devices.end(), [](const DeviceInfo& device) { return device.kind == "npu"; });
}

void Placement::Add(const std::string& ep, PlacedNode node) {
  auto place = std::lower_bound(nodes.begin(), nodes.end(), ep,
                                [](const auto& entry, const std::string& name) { return entry.first < name; });
  if (place == nodes.end() || place->first != ep) {
    place = nodes.insert(place, {ep, {}});
  }
  place->second.push_back(std::move(node));
}

std::string Placement::Summary() const {
  return fmt::format("{} of {} nodes on {}{}", On(provider).size(), total(), provider,
                     source == Source::kProfile ? " in a run's profile, where a fused group is one"
                     : IsCompiled(On(provider)) ? " in a compiled model, where each group is one"
                                                : "");
}

std::string DescribeNodes(const std::vector<PlacedNode>& nodes) {
  constexpr size_t kMost = 10;
  std::vector<std::string> texts;
  for (size_t i = 0; i < std::min(nodes.size(), kMost); ++i) {
    texts.push_back(nodes[i].name.empty() ? nodes[i].op : fmt::format("{} '{}'", nodes[i].op, nodes[i].name));
  }
  return fmt::format("{} {}: {}{}", nodes.size(), nodes.size() == 1 ? "node" : "nodes", fmt::join(texts, ", "),
                     nodes.size() > kMost ? ", …" : "");
}

absl::Status ReadProfile(std::string_view json, Placement* placement) {
  const nlohmann::json events = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!events.is_array()) {
    return DataLoss("the runtime's profile is no list of events");
  }
  std::set<std::string> seen;  // a node of a body runs many times
  for (const nlohmann::json& event : events) {
    const auto args = event.find("args");
    if (event.value("cat", "") != "Node" || args == event.end() || !args->contains("provider")) {
      continue;
    }
    std::string name = event.value("name", "");
    constexpr std::string_view kRun = "_kernel_time";
    if (!name.ends_with(kRun)) {
      continue;
    }
    name.resize(name.size() - kRun.size());
    const std::string ep = args->value("provider", "");
    if (!ep.empty() && seen.insert(name + '\n' + args->value("node_index", "")).second) {
      placement->Add(ep, {name, args->value("op_name", "")});
    }
  }
  placement->source = Placement::Source::kProfile;
  return absl::OkStatus();
}

}  // namespace gomai
