#pragma once

// What is known about where a model ran, step by step, each with what shows it. Nothing is claimed beyond the last step
// that was reached: that a session was made, or that its results are right, doesn't show that an NPU computed them.
//
//   library    the provider's library was found and loaded (or is built into the runtime)
//   device     the runtime lists the device
//   session    a session was made in which no node may run elsewhere
//   outputs    the outputs match the reference's
//   placement  the runtime says that all nodes are on the provider
//   vendor     the vendor's own report says so, too

#include <array>
#include <string>
#include <string_view>

#include "lib/runtime/placement.h"

namespace gomai {

struct Evidence {
  enum Step { kLibrary, kDevice, kSession, kOutputs, kPlacement, kVendor };
  static constexpr size_t kSteps = 6;
  enum class Known { kUnknown, kNo, kYes };
  struct Entry {
    Known known = Known::kUnknown;
    std::string detail;  // what shows it, or why not
  };

  std::string part;  // "" for a model
  std::array<Entry, kSteps> steps;
  Placement placement;
  int64_t runs = 0;     // that succeeded
  std::string failure;  // why it didn't open or run; "" if it did

  void Set(Step step, bool yes, std::string detail);
  const Entry& entry(Step step) const { return steps[step]; }
  // The last step that holds with no step before it that doesn't; -1: none. Steps that aren't known are passed over.
  int Level() const;
  // "placement confirmed by the runtime"; "nothing" for -1.
  static std::string_view LevelText(int level);
  static std::string_view StepName(Step step);
  // One line: "box: placement confirmed by the runtime: 14 of 14 nodes on SimNpu, npu of Gomai (…)". It says "ran on
  // the NPU" only where placement holds and the device is an NPU.
  std::string Text() const;
};

}  // namespace gomai
