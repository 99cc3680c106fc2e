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
    text += runs > 0 ? "; it ran on the NPU" : "; it hasn't run";
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

}  // namespace gomai
