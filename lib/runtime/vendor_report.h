#pragma once

// A vendor's own account of what ran where, where a vendor writes one: a runtime's placement says which provider took a
// node, not whether that provider's NPU or its CPU code computes it.
//
//   Vitis AI  vitisai_ep_report.json in cache_dir/cache_key: deviceStat[] of {name: all | CPU | NPU (DPU before),
//   nodeNum} QNN       the graphs that dump_json_qnn_graph writes into json_qnn_graph_dir: what was given to the NPU's
//   compiler
//
// Sources: RyzenAI-SW onnx-benchmark/performance_benchmark.py, ONNX Runtime's QNN provider options.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

struct VendorReport {
  std::filesystem::path file;
  int64_t npu_nodes = 0;
  int64_t other_nodes = 0;
  std::string Summary() const;  // "'…/vitisai_ep_report.json': 14 of 14 nodes on the NPU"
};

// By its content. kDataLoss for what is no such report.
absl::StatusOr<VendorReport> ReadVendorReport(const std::filesystem::path& file);

// Makes the folder that these provider options have a report written to: QNN writes none into a folder that isn't
// there, and says nothing. What can't be made shows by the report that lacks then.
void MakeReportFolder(const std::vector<std::pair<std::string, std::string>>& ep_options);

// Where these provider options have it written; `given` comes first. A file of a folder, or several (QNN's graphs).
// Only what was written at or after `since` counts: an older one tells of another session. Empty: there is none.
absl::StatusOr<std::optional<VendorReport>> FindVendorReport(
    const std::filesystem::path& given, const std::vector<std::pair<std::string, std::string>>& ep_options,
    std::filesystem::file_time_type since);

}  // namespace gomai
