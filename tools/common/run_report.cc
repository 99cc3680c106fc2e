// See run_report.h.
#include "tools/common/run_report.h"

#include <fmt/ranges.h>

#include "tools/common/target_flags.h"

namespace gomai {
namespace {

std::string Milliseconds(double seconds) { return fmt::format("{:.1f}", seconds * 1e3); }

// None before the first run is done.
std::vector<std::string> OutputsOf(const Runner& runner, const RunReport& report) {
  return report.outputs.empty() ? std::vector<std::string>() : runner.output_names();
}

std::string OutputTable(const Runner& runner, const RunReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : OutputsOf(runner, report)) {
    const HostTensor& tensor = report.outputs.at(name);
    const TensorRange range = RangeOf(tensor);
    rows.push_back({name, DtypeName(tensor.dtype()), fmt::format("[{}]", fmt::join(tensor.shape(), ",")),
                    range.min.empty() ? "-" : range.min, range.max.empty() ? "-" : range.max,
                    fmt::format("{}", range.nan + range.infinite)});
  }
  return Table({"output", "dtype", "shape", "min", "max", "not finite"}, rows, {false, false, false, true, true, true});
}

std::string TimeTable(const RunReport& report) {
  std::vector<std::vector<std::string>> rows;
  const double whole = Median(report.seconds);
  const auto add = [&](const std::string& name, const std::vector<double>& seconds) {
    rows.push_back({name, Milliseconds(Minimum(seconds)), Milliseconds(Median(seconds)),
                    fmt::format("{:.0f} %", whole > 0 ? 100 * Median(seconds) / whole : 0)});
  };
  for (const auto& [part, seconds] : report.parts) {
    add(part, seconds);
  }
  add("all", report.seconds);
  return Table({"part", "min ms", "median ms", "share"}, rows, {false, true, true, true});
}

}  // namespace

nlohmann::ordered_json RunDocument(const std::string& runtime, const Runner& runner, const RunReport& report) {
  nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
  for (const std::string& name : OutputsOf(runner, report)) {
    const HostTensor& tensor = report.outputs.at(name);
    const TensorRange range = RangeOf(tensor);
    outputs.push_back({{"name", name}, {"dtype", DtypeName(tensor.dtype())}, {"shape", tensor.shape()}});
    outputs.back().update({{"min", range.min}, {"max", range.max}, {"nan", range.nan}, {"infinite", range.infinite}});
  }
  nlohmann::ordered_json parts = nlohmann::ordered_json::array();
  for (const auto& [part, seconds] : report.parts) {
    parts.push_back({{"name", part}, {"seconds", seconds}});
  }
  return {{"runtime", runtime}, {"interrupted", report.cancelled},
          {"outputs", outputs}, {"seconds", report.seconds},
          {"parts", parts},     {"evidence", EvidenceDocument(runner.evidence())}};
}

std::string RunText(const std::string& runtime, const Runner& runner, const RunReport& report, int warmup) {
  std::string text =
      fmt::format("{}, {} {} after {} {}\n\n", runtime, report.seconds.size(),
                  report.seconds.size() == 1 ? "run" : "runs", warmup, warmup == 1 ? "warm-up" : "warm-ups");
  text += OutputTable(runner, report);
  if (!report.seconds.empty()) {
    text += "\n" + TimeTable(report);
  }
  const std::string evidence = EvidenceText(runner.evidence());
  return text + (evidence.empty() ? "" : "\n" + evidence);
}

}  // namespace gomai
