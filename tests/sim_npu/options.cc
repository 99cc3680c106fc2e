// See options.h.
#include "tests/sim_npu/options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>

namespace sim_npu {
namespace {

std::set<std::string> Set(const std::string& list) {
  std::set<std::string> entries;
  std::stringstream stream(list);
  for (std::string entry; std::getline(stream, entry, ',');) {
    entries.insert(entry);
  }
  return entries;
}

}  // namespace

Options Options::From(Ort::ConstSessionOptions session, const std::string& ep) {
  std::string prefix = "ep." + ep + ".";
  std::transform(prefix.begin(), prefix.end(), prefix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool deaf = std::getenv("GOMAI_SIM_NPU_IGNORE_OPTIONS") != nullptr;
  const auto get = [&](const char* key, const char* otherwise) {
    return deaf ? std::string(otherwise) : session.GetConfigEntryOrDefault((prefix + key).c_str(), otherwise);
  };
  Options o;
  o.ep = ep;
  o.claim =
      Set(get("claim",
              "Conv,ConvTranspose,Relu,Add,MaxPool,AveragePool,GlobalAveragePool,Gemm,MatMul,Flatten,Reshape,Resize,"
              "Concat,Identity,Sigmoid,Mul,HardSigmoid,HardSwish,QuantizeLinear,DequantizeLinear,Clip,Transpose"));
  o.refuse = Set(get("refuse", ""));
  o.static_only = get("static_only", "1") == "1";
  o.single = get("group", "run") == "single";
  o.round = get("round", "none");
  o.fault = get("fault", "none");
  o.fault_node = get("fault_node", "");
  o.fault_op = get("fault_op", "");
  o.fault_run = std::atoi(get("fault_run", "-1").c_str());
  o.fault_slot = std::atoi(get("fault_slot", "1").c_str());
  o.hardsigmoid_bug = get("hardsigmoid_bug", "0") == "1";
  o.report_lies = get("report_lies", "0") == "1";
  const std::string cache = get("cache_dir", get("cacheDir", "").c_str());
  if (!cache.empty()) {
    o.report_file = cache + "/" + get("cache_key", get("cacheKey", "").c_str()) + "/vitisai_ep_report.json";
  }
  if (get("dump_json_qnn_graph", "0") == "1") {
    o.graph_folder = get("json_qnn_graph_dir", ".");
  }
  o.write_context = session.GetConfigEntryOrDefault("ep.context_enable", "0") == "1";
  return o;
}

}  // namespace sim_npu
