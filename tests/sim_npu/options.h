#pragma once

// What the simulated NPU is told; see README.md for what each option does.

#include <onnxruntime_cxx_api.h>

#include <set>
#include <string>

namespace sim_npu {

struct Options {
  std::string ep;  // the provider's name
  std::set<std::string> claim, refuse;
  bool static_only = true;
  bool single = false;  // each node alone
  std::string round = "none";
  std::string fault = "none";
  std::string fault_node, fault_op;
  int fault_run = -1;
  int fault_slot = 1;
  bool hardsigmoid_bug = false;
  bool report_lies = false;
  std::string report_file;     // Vitis AI's
  std::string graph_folder;    // QNN's
  bool write_context = false;  // ONNX Runtime's own option

  // As the session has them: ep.<name in lower case>.<key>. What isn't known is passed over in silence, as real ones
  // do.
  static Options From(Ort::ConstSessionOptions session, const std::string& ep);
};

}  // namespace sim_npu
