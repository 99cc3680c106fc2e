// Tables of a split; see split_report.h.
#include "tools/common/split_report.h"

#include "lib/base/text.h"
#include "tools/common/tool.h"

namespace gomai {

std::string PartTable(const std::vector<PartSurvey>& parts, const Manifest& manifest) {
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < parts.size(); ++i) {
    const ManifestPart& part = manifest.parts[i];
    rows.push_back({part.name, part.device, fmt::format("{}", parts[i].nodes), FormatBytes(parts[i].weight_bytes),
                    fmt::format("{}", part.inputs.size()), fmt::format("{}", part.outputs.size()), part.file});
  }
  return Table({"part", "device", "nodes", "weights", "inputs", "outputs", "file"}, rows,
               {false, false, true, true, true, true, false});
}

std::string PlanTable(const std::vector<PartSurvey>& parts) {
  std::vector<std::vector<std::string>> figures;
  std::vector<std::vector<std::string>> obstacles;
  for (const PartSurvey& part : parts) {
    figures.push_back({part.name, part.device, fmt::format("{}", part.nodes), FormatBytes(part.weight_bytes),
                       part.macs.Text(false), part.bytes_in.Text(true), part.bytes_out.Text(true)});
    obstacles.push_back({part.name, part.plain_cnn ? "yes" : "no: " + part.not_plain,
                         part.dynamic.empty() ? "no" : "yes: " + fmt::format("{}", fmt::join(part.dynamic, ", "))});
  }
  return Table({"part", "device", "nodes", "weights", "MACs", "in per call", "out per call"}, figures,
               {false, false, true, true, true, true, true}) +
         "\n" + Table({"part", "plain CNN", "dynamic shapes"}, obstacles, {});
}

nlohmann::ordered_json SurveyJson(const std::vector<PartSurvey>& parts) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const PartSurvey& part : parts) {
    json.push_back({{"name", part.name},
                    {"device", part.device},
                    {"nodes", part.nodes},
                    {"weight_bytes", part.weight_bytes},
                    {"macs", part.macs.Text(false)},
                    {"plain_cnn", part.plain_cnn},
                    {"not_plain", part.not_plain},
                    {"dynamic", part.dynamic}});
  }
  return json;
}

}  // namespace gomai
