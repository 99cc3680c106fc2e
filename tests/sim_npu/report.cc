#include "tests/sim_npu/report.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

namespace gomai::sim {
namespace {

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof(code), "\\u%04x", c);
      quoted += code;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::error_code ignored;  // the file tells
  std::filesystem::create_directories(path.parent_path(), ignored);
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) {
    throw Failure("sim_npu: can't write '" + path.string() + "'");
  }
}

std::string Device(const char* name, const std::vector<NodeLabel>& nodes) {
  std::set<std::string> ops;
  for (const NodeLabel& node : nodes) {
    ops.insert(node.domain + "::" + node.op);
  }
  std::string list;
  for (const std::string& op : ops) {
    list += (list.empty() ? "" : ", ") + Quote(op);
  }
  return "    {\"name\": " + Quote(name) + ", \"nodeNum\": " + std::to_string(nodes.size()) +
         ", \"supportedOpType\": [" + list + "]}";
}

void Append(std::vector<NodeLabel>& to, const std::vector<NodeLabel>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void PlacementReport::Place(const std::string& graph, const std::vector<NodeLabel>& claimed,
                            const std::vector<NodeLabel>& left) {
  Append(graphs_[graph].claimed, claimed);
  graphs_[graph].left = left;
}

void PlacementReport::Write(const std::string& path, bool lie) const {
  std::vector<NodeLabel> all;
  std::vector<NodeLabel> cpu;
  std::vector<NodeLabel> npu;
  for (const auto& [name, graph] : graphs_) {
    Append(cpu, graph.left);
    Append(lie ? cpu : npu, graph.claimed);
  }
  Append(all, cpu);
  Append(all, npu);
  WriteText(path, "{\n  \"deviceStat\": [\n" + Device("all", all) + ",\n" + Device("CPU", cpu) + ",\n" +
                      Device("NPU", npu) + "\n  ]\n}\n");
}

void WriteQnnGraph(const std::string& folder, size_t index, const std::vector<NodeLabel>& nodes) {
  std::string list;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const std::string name = nodes[i].name.empty() ? nodes[i].op + "_" + std::to_string(i) : nodes[i].name;
    list += (i == 0 ? "\n      " : ",\n      ") + Quote(name) + ": {\"type\": " + Quote(nodes[i].op) + "}";
  }
  WriteText(std::filesystem::path(folder) / ("sim_graph_" + std::to_string(index) + ".json"),
            "{\n  \"graph\": {\n    \"nodes\": {" + list + "\n    }\n  }\n}\n");
}

}  // namespace gomai::sim
