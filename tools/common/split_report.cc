// Tables of a split; see split_report.h.
#include "tools/common/split_report.h"

#include <algorithm>

#include "lib/base/text.h"
#include "tools/common/pipeline_report.h"
#include "tools/common/tool.h"

namespace gomai {

// By name: a first part that the pipeline took off the model isn't in the survey.
std::string PartTable(const std::vector<PartSurvey>& parts, const Manifest& manifest) {
  std::vector<std::vector<std::string>> rows;
  const bool batched = std::any_of(manifest.parts.begin(), manifest.parts.end(),
                                   [](const ManifestPart& part) { return part.batching.has_value(); });
  for (const ManifestPart& part : manifest.parts) {
    const auto survey =
        std::find_if(parts.begin(), parts.end(), [&](const PartSurvey& each) { return each.name == part.name; });
    const bool known = survey != parts.end();
    rows.push_back({part.name, part.device, known ? fmt::format("{}", survey->nodes) : "",
                    known ? FormatBytes(survey->weight_bytes) : "", fmt::format("{}", part.inputs.size()),
                    fmt::format("{}", part.outputs.size())});
    if (batched) {
      rows.back().push_back(part.batching ? fmt::format("{}", part.batching->size) : "");
    }
    rows.back().push_back(part.file);
  }
  std::vector<std::string> heads = {"part", "device", "nodes", "weights", "inputs", "outputs"};
  std::vector<bool> right = {false, false, true, true, true, true};
  if (batched) {
    heads.emplace_back("rows a call");
    right.push_back(true);
  }
  heads.emplace_back("file");
  return Table(heads, rows, right);
}

std::string SplitText(const std::vector<PassReport>& pipeline, const WriteSplitReport& report,
                      const std::vector<PartSurvey>& parts, bool changes) {
  std::string text = pipeline.empty() ? "" : "before the cut\n" + PipelineText(pipeline, false, changes);
  for (const auto& [part, reports] : report.pipelines) {
    text += fmt::format("{}\n{}", part, PipelineText(reports, false, changes));
  }
  return text + PartTable(parts, report.manifest) + "\n";
}

nlohmann::ordered_json SplitPipelinesJson(const std::vector<PassReport>& pipeline, const WriteSplitReport& report) {
  nlohmann::ordered_json json = {{"model", PipelineJson(pipeline, false)}, {"parts", nlohmann::ordered_json::object()}};
  for (const auto& [part, reports] : report.pipelines) {
    json["parts"][part] = PipelineJson(reports, false);
  }
  return json;
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
