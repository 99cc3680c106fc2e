// Reports of pipelines. Times are shown only when they are asked for, so that reports are the same for the same input.
#include "tools/common/pipeline_report.h"

#include <algorithm>

#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr size_t kWidestPass = 60;

// A pipeline's values may be long; the table shows their beginning.
std::string Cut(const std::string& text) {
  return text.size() <= kWidestPass ? text : text.substr(0, kWidestPass - 3) + "...";
}

std::string PassRows(const std::vector<PassReport>& reports, bool timing) {
  std::vector<std::string> header = {"pass", "effect", "changes", "nodes"};
  std::vector<bool> right = {false, false, true, true};
  if (timing) {
    header.push_back("ms");
    right.push_back(true);
  }
  std::vector<std::vector<std::string>> rows;
  for (const PassReport& report : reports) {
    const std::string nodes = report.nodes_before == report.nodes_after
                                  ? fmt::format("{}", report.nodes_after)
                                  : fmt::format("{} -> {}", report.nodes_before, report.nodes_after);
    rows.push_back({Cut(report.pass), std::string(EffectName(report.effect)),
                    report.changes.empty() ? "none" : fmt::format("{}", report.changes.lines.size()), nodes});
    if (timing) {
      rows.back().push_back(fmt::format("{:.1f}", report.seconds * 1e3));
    }
  }
  return Table(header, rows, right);
}

// A shape that is declared for the first time makes nothing false: unless all is asked for, such are counted.
std::string ShapeChangeLines(const std::vector<PassReport>& reports, bool all) {
  std::string text;
  size_t first = 0;
  for (const PassReport& report : reports) {
    for (const ShapeChange& change : report.shape_changes) {
      if (!all && change.before == kUndeclared) {
        ++first;
        continue;
      }
      text += fmt::format("  {}: {} -> {}\n", change.value, change.before, change.after);
    }
  }
  if (first > 0) {
    text += fmt::format("  {}{} declared for the first time (-v lists them)\n", first, text.empty() ? "" : " more");
  }
  return text;
}

std::string ChangeLines(const std::vector<PassReport>& reports) {
  std::string text;
  for (const PassReport& report : reports) {
    if (!report.changes.empty()) {
      text += report.pass + ":\n";
    }
    for (const std::string& line : report.changes.lines) {
      text += fmt::format("  {}\n", line);
    }
  }
  return text;
}

}  // namespace

std::string PipelineText(const std::vector<PassReport>& reports, bool timing, bool changes) {
  std::string text = reports.empty() ? "" : PassRows(reports, timing) + "\n";
  if (const std::string lines = changes ? ChangeLines(reports) : ""; !lines.empty()) {
    text += lines + "\n";
  }
  if (const std::string shapes = ShapeChangeLines(reports, changes); !shapes.empty()) {
    text += "declared shapes brought up to date:\n" + shapes + "\n";
  }
  return text;
}

Effect WholeEffect(const std::vector<PassReport>& reports) {
  Effect effect = Effect::kBitExact;
  for (const PassReport& report : reports) {
    if (!report.changes.empty()) {
      effect = std::max(effect, report.effect);
    }
  }
  return effect;
}

nlohmann::ordered_json PipelineJson(const std::vector<PassReport>& reports, bool timing) {
  using Json = nlohmann::ordered_json;
  Json passes = Json::array();
  for (const PassReport& report : reports) {
    Json shapes = Json::array();
    for (const ShapeChange& change : report.shape_changes) {
      shapes.push_back({{"value", change.value}, {"before", change.before}, {"after", change.after}});
    }
    passes.push_back({{"pass", report.pass},
                      {"effect", EffectName(report.effect)},
                      {"nodes_before", report.nodes_before},
                      {"nodes_after", report.nodes_after},
                      {"changes", report.changes.lines},
                      {"shape_changes", std::move(shapes)}});
    if (timing) {
      passes.back()["seconds"] = report.seconds;
    }
  }
  return {{"effect", EffectName(WholeEffect(reports))}, {"passes", std::move(passes)}};
}

}  // namespace gomai
