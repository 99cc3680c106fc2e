#pragma once

// Where a session's nodes went: which execution provider took which, on which device.
//
// A provider's options prove nothing: it ignores those that it doesn't know, and may put another device in the place of
// the one asked for. What the runtime itself says after it has shared out the graph does. ONNX Runtime 1.24 and newer
// tell when a session is made (Session_GetEpGraphAssignmentInfo, once basic optimisation is done); older ones by the
// profile of a run, in which each node that ran has its provider.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

// A device as the runtime lists it.
struct DeviceInfo {
  std::string ep;         // the runtime's name of the provider: "QNNExecutionProvider"
  std::string ep_vendor;  // "Qualcomm"
  std::string kind;       // "cpu", "gpu" or "npu"
  std::string vendor;     // the hardware's
  uint32_t vendor_id = 0;
  uint32_t device_id = 0;
  std::vector<std::pair<std::string, std::string>> metadata;  // the provider's, then the hardware's

  std::string Describe() const;  // "npu of Gomai (0x474d:0x1)"
};

struct PlacedNode {
  std::string name;  // of the node after the runtime's basic optimisation; "" for one without
  std::string op;    // "Conv", "com.example::Fancy"
};

struct Placement {
  enum class Source { kUnknown, kAssignment, kProfile };

  Source source = Source::kUnknown;  // kUnknown: not known (yet)
  std::string provider;              // the one asked for, by the runtime's name; "" for the CPU alone
  std::vector<DeviceInfo> devices;   // the provider's that were chosen; empty for a provider built into the library
  std::vector<std::pair<std::string, std::vector<PlacedNode>>> nodes;  // by provider, in order of names

  bool known() const { return source != Source::kUnknown; }
  size_t total() const;
  const std::vector<PlacedNode>& On(std::string_view ep) const;  // empty if it got none
  std::vector<PlacedNode> Elsewhere() const;                     // on any other than `provider`
  bool on_npu() const;                                           // a device that is an NPU was chosen

  void Add(const std::string& ep, PlacedNode node);
  std::string Summary() const;  // "14 of 14 nodes on QNNExecutionProvider"
};

// "2 nodes: NonMaxSuppression 'a/nms', Gather '#3'", at most some ten of them.
std::string DescribeNodes(const std::vector<PlacedNode>& nodes);

// Nodes by provider out of a profile, as EnableProfiling has it written. kDataLoss for what is none.
absl::Status ReadProfile(std::string_view json, Placement* placement);

}  // namespace gomai
