#pragma once

// What vendors' providers leave behind for tools that ask what ran where: VitisAI's vitisai_ep_report.json and QNN's
// dump of a graph.

#include <map>
#include <string>
#include <vector>

#include "tests/sim_npu/faults.h"

namespace gomai::sim {

class PlacementReport {
 public:
  // A graph as it was placed: ONNX Runtime asks for each body, too, and may ask twice for a graph, then with what was
  // claimed before gone from it. `graph` tells graphs apart.
  void Place(const std::string& graph, const std::vector<NodeLabel>& claimed, const std::vector<NodeLabel>& left);
  // VitisAI's. Failure if it can't be written. `lie`: says that the NPU got none.
  void Write(const std::string& path, bool lie) const;

 private:
  struct Graph {
    std::vector<NodeLabel> claimed;
    std::vector<NodeLabel> left;
  };
  std::map<std::string, Graph> graphs_;
};

// `folder`/sim_graph_`index`.json.
void WriteQnnGraph(const std::string& folder, size_t index, const std::vector<NodeLabel>& nodes);

}  // namespace gomai::sim
