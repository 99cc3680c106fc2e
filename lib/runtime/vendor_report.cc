// See vendor_report.h.
#include "lib/runtime/vendor_report.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lib/base/file.h"

namespace gomai {
namespace {

using Json = nlohmann::json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kVitisFile = "vitisai_ep_report.json";
constexpr const char* kGraphFolder = "jsonqnngraphdir";

// The value of an option however it is spelt: cacheDir, cache_dir.
std::string OptionOf(const Pairs& options, std::string_view name) {
  for (const auto& [key, value] : options) {
    std::string plain;
    for (const char c : key) {
      if (c != '_') {
        plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
    }
    if (plain == name) {
      return value;
    }
  }
  return "";
}

std::string Name(const Json& entry) {
  std::string name = entry.value("name", "");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// By name, since their order and number differ from release to release.
absl::StatusOr<VendorReport> FromDeviceStat(const Json& stat, const std::filesystem::path& file) {
  VendorReport report{.file = file};
  bool any = false;
  for (const Json& entry : stat) {
    if (!entry.is_object() || !entry.contains("nodeNum") || !entry["nodeNum"].is_number_integer()) {
      return DataLoss("'{}': an entry of deviceStat has no nodeNum", file.string());
    }
    const std::string name = Name(entry);
    const auto nodes = entry["nodeNum"].get<int64_t>();
    any = true;
    if (name == "npu" || name == "dpu") {
      report.npu_nodes += nodes;
    } else if (name != "all") {
      report.other_nodes += nodes;
    }
  }
  if (!any) {
    return DataLoss("'{}': deviceStat is empty", file.string());
  }
  return report;
}

bool IsFresh(const std::filesystem::path& file, std::filesystem::file_time_type since) {
  std::error_code error;
  const auto written = std::filesystem::last_write_time(file, error);
  return !error && written >= since;
}

}  // namespace

std::string VendorReport::Summary() const {
  return fmt::format("'{}': {} of {} nodes on the NPU", file.string(), npu_nodes, npu_nodes + other_nodes);
}

absl::StatusOr<VendorReport> ReadVendorReport(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(file));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("deviceStat") && json["deviceStat"].is_array()) {
    return FromDeviceStat(json["deviceStat"], file);
  }
  if (json.is_object() && json.contains("graph") && json["graph"].contains("nodes")) {
    VendorReport report{.file = file};
    report.npu_nodes = static_cast<int64_t>(json["graph"]["nodes"].size());
    return report;
  }
  return DataLoss("'{}' is no vendor's report that is known: neither deviceStat nor graph.nodes is in it",
                  file.string());
}

void MakeReportFolder(const Pairs& ep_options) {
  if (const std::string folder = OptionOf(ep_options, kGraphFolder); !folder.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
  }
}

absl::StatusOr<std::optional<VendorReport>> FindVendorReport(const std::filesystem::path& given,
                                                             const Pairs& ep_options,
                                                             std::filesystem::file_time_type since) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  bool in_folder = false;
  if (!given.empty()) {
    files.push_back(given);
  } else if (const std::string cache = OptionOf(ep_options, "cachedir"); !cache.empty()) {
    const char* name = std::getenv("XLNX_ONNX_EP_REPORT_FILE");
    files.push_back(std::filesystem::path(cache) / OptionOf(ep_options, "cachekey") /
                    (name != nullptr && *name != '\0' ? name : kVitisFile));
  } else if (const std::string folder = OptionOf(ep_options, kGraphFolder); !folder.empty()) {
    in_folder = true;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".json") {
        files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
  }
  std::optional<VendorReport> found;
  for (const std::filesystem::path& file : files) {
    if (!IsFresh(file, since)) {
      continue;
    }
    absl::StatusOr<VendorReport> report = ReadVendorReport(file);
    if (!report.ok() && in_folder) {
      continue;  // QNN writes other things there, too
    }
    GOMAI_RETURN_IF_ERROR(report.status());
    if (!found) {
      found = *report;
    } else {
      found->npu_nodes += report->npu_nodes;
      found->other_nodes += report->other_nodes;
    }
  }
  if (!found && !given.empty()) {
    return NotFound("the vendor's report '{}' wasn't written by this session", given.string());
  }
  return found;
}

}  // namespace gomai
