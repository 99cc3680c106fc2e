// See evidence.h.
#include "lib/runtime/evidence.h"

#include <fmt/format.h>

namespace gomai {
namespace {

constexpr std::string_view kNames[] = {"library", "device", "session", "outputs", "placement", "vendor"};
constexpr std::string_view kLevels[] = {"library found",
                                        "device listed",
                                        "session made without fallback",
                                        "outputs match",
                                        "placement confirmed by the runtime",
                                        "placement confirmed by the vendor's report"};

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

}  // namespace

void Evidence::Set(Step step, bool yes, std::string detail) {
  steps[step] = {yes ? Known::kYes : Known::kNo, std::move(detail)};
}

int Evidence::Level() const {
  int level = -1;
  for (size_t i = 0; i < kSteps && steps[i].known != Known::kNo; ++i) {
    if (steps[i].known == Known::kYes) {
      level = static_cast<int>(i);
    }
  }
  return level;
}

std::string_view Evidence::LevelText(int level) {
  return level < 0 ? std::string_view("nothing") : kLevels[static_cast<size_t>(level)];
}

std::string_view Evidence::StepName(Step step) { return kNames[step]; }

std::string Evidence::Text() const {
  const int level = Level();
  std::string text = part.empty() ? "" : part + ": ";
  if (!failure.empty()) {
    return text + fmt::format("{}; reached: {}", failure, LevelText(level));
  }
  text += LevelText(level);
  if (placement.known()) {
    text += ": " + placement.Summary();
  }
  for (const DeviceInfo& device : placement.devices) {
    text += ", " + device.Describe();
  }
  if (level >= kPlacement && placement.on_npu()) {
    text += "; it ran on the NPU";
  } else if (level >= kPlacement && !placement.devices.empty()) {
    text += "; the provider's device here is no NPU";
  }
  for (const Entry& entry : steps) {
    if (entry.known == Known::kNo) {
      text += "; " + entry.detail;
    }
  }
  return text;
}

nlohmann::ordered_json Evidence::Document() const {
  nlohmann::ordered_json document = {{"part", part}, {"provider", placement.provider}, {"level", LevelText(Level())}};
  nlohmann::ordered_json ladder = nlohmann::ordered_json::object();
  for (size_t i = 0; i < kSteps; ++i) {
    ladder[std::string(kNames[i])] = {{"known", KnownName(steps[i].known)}, {"detail", steps[i].detail}};
  }
  document["steps"] = ladder;
  nlohmann::ordered_json devices = nlohmann::ordered_json::array();
  for (const DeviceInfo& device : placement.devices) {
    devices.push_back({{"kind", device.kind}, {"vendor", device.vendor}, {"ep_vendor", device.ep_vendor}});
  }
  document["devices"] = devices;
  document["on_npu"] = Level() >= kPlacement && placement.on_npu();
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
  document["failure"] = failure;
  return document;
}

}  // namespace gomai
