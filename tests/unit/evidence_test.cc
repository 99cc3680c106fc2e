// What is claimed of where a model ran: never more than was shown. And what shows it: placements, profiles, vendors'
// reports.
#include "lib/runtime/evidence.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>

#include "lib/base/file.h"
#include "lib/runtime/context_cache.h"
#include "lib/runtime/vendor_report.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::ParseModel;
using testing::TemporaryFolder;

using Known = Evidence::Known;

Placement OnNpu(const char* kind) {
  Placement placement;
  placement.source = Placement::Source::kAssignment;
  placement.provider = "NpuExecutionProvider";
  placement.devices = {{.ep = "NpuExecutionProvider",
                        .ep_vendor = "V",
                        .kind = kind,
                        .vendor = "V",
                        .vendor_id = 1,
                        .device_id = 2,
                        .metadata = {}}};
  placement.Add("NpuExecutionProvider", {"a", "Conv"});
  placement.Add("NpuExecutionProvider", {"b", "Relu"});
  return placement;
}

TEST_CASE("each step up to the one that lacks") {
  Evidence evidence;
  evidence.part = "box";
  CHECK(evidence.Level() == -1);
  CHECK(Evidence::LevelText(-1) == "nothing");
  evidence.Set(Evidence::kLibrary, true, "");
  CHECK(Evidence::LevelText(evidence.Level()) == "library found");
  evidence.Set(Evidence::kDevice, true, "");
  evidence.Set(Evidence::kSession, true, "");
  CHECK(Evidence::LevelText(evidence.Level()) == "session made without fallback");
  // The outputs weren't compared: that holds nothing up. That they differ does.
  evidence.Set(Evidence::kPlacement, true, "");
  CHECK(evidence.Level() == Evidence::kPlacement);
  evidence.Set(Evidence::kOutputs, false, "3 of 4 outputs match");
  CHECK(evidence.Level() == Evidence::kSession);
  evidence.Set(Evidence::kOutputs, true, "");
  evidence.Set(Evidence::kVendor, true, "");
  CHECK(evidence.Level() == Evidence::kVendor);
  evidence.Set(Evidence::kVendor, false, "it says otherwise");
  CHECK(evidence.Level() == Evidence::kPlacement);
  CHECK(evidence.Text().find("it says otherwise") != std::string::npos);
}

TEST_CASE("that it ran on the NPU is said only of an NPU, and with its placement") {
  Evidence evidence;
  evidence.placement = OnNpu("npu");
  evidence.Set(Evidence::kLibrary, true, "");
  evidence.Set(Evidence::kDevice, true, "");
  evidence.Set(Evidence::kSession, true, "");
  evidence.Set(Evidence::kOutputs, true, "");
  CHECK(evidence.Text().find("ran on the NPU") == std::string::npos);
  evidence.Set(Evidence::kPlacement, true, "");
  CHECK(evidence.Text().find("it hasn't run") != std::string::npos);
  evidence.runs = 1;
  CHECK(evidence.Text().find("it ran on the NPU") != std::string::npos);
  evidence.placement = OnNpu("cpu");
  CHECK(evidence.Text().find("ran on the NPU") == std::string::npos);
  CHECK(evidence.Text().find("is no NPU") != std::string::npos);
  evidence.failure = "killed by SIGSEGV";
  CHECK(evidence.Text().find("killed by SIGSEGV; reached: placement") != std::string::npos);
}

TEST_CASE("a placement counts nodes by provider") {
  Placement placement = OnNpu("npu");
  placement.Add("CPUExecutionProvider", {"", "NonZero"});
  CHECK(placement.total() == 3);
  CHECK(placement.On("NpuExecutionProvider").size() == 2);
  CHECK(placement.On("none").empty());
  REQUIRE(placement.Elsewhere().size() == 1);
  CHECK(DescribeNodes(placement.Elsewhere()) == "1 node: NonZero");
  CHECK(placement.Summary() == "2 of 3 nodes on NpuExecutionProvider");
  CHECK(placement.nodes.front().first == "CPUExecutionProvider");  // by name
}

TEST_CASE("a profile tells of each node that ran, once") {
  Placement placement;
  placement.provider = "N";
  REQUIRE(ReadProfile(R"([
      {"cat": "Session", "name": "model_run", "args": {}},
      {"cat": "Node", "name": "a_fence_before", "args": {"op_name": "Conv"}},
      {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "Conv", "provider": "N", "node_index": "0"}},
      {"cat": "Node", "name": "b_kernel_time", "args": {"op_name": "Add", "provider": "C", "node_index": "1"}},
      {"cat": "Node", "name": "b_kernel_time", "args": {"op_name": "Add", "provider": "C", "node_index": "1"}}])",
                      &placement)
              .ok());
  CHECK(placement.source == Placement::Source::kProfile);
  CHECK(placement.On("N").size() == 1);
  CHECK(placement.Elsewhere().size() == 1);
  CHECK(absl::IsDataLoss(ReadProfile("{}", &placement)));
  CHECK(absl::IsDataLoss(ReadProfile("[", &placement)));
}

TEST_CASE("vendors' reports, in whatever order and under whatever names their releases have") {
  const TemporaryFolder folder;
  const auto read = [&](const char* text) {
    REQUIRE(WriteTextFile(folder / "r.json", text).ok());
    return ReadVendorReport(folder / "r.json");
  };
  const auto old = read(
      R"({"deviceStat": [{"name": "all", "nodeNum": 9}, {"name": "CPU", "nodeNum": 2}, {"name": "DPU", "nodeNum": 7}]})");
  REQUIRE(old.ok());
  CHECK(old->npu_nodes == 7);
  CHECK(old->other_nodes == 2);
  const auto newer = read(
      R"({"deviceStat": [{"name": "NPU", "nodeNum": 7}, {"name": "VITIS_EP_CPU", "nodeNum": 1}, {"name": "all", "nodeNum": 8}]})");
  REQUIRE(newer.ok());
  CHECK(newer->npu_nodes == 7);
  CHECK(newer->other_nodes == 1);
  const auto graph = read(R"({"graph": {"nodes": {"a": {}, "b": {}}, "tensors": {}}})");
  REQUIRE(graph.ok());
  CHECK(graph->npu_nodes == 2);
  for (const char* wrong : {"{}", "[]", "x", R"({"deviceStat": []})", R"({"deviceStat": [{"name": "NPU"}]})"}) {
    CHECK(absl::IsDataLoss(read(wrong).status()));
  }
}

TEST_CASE("a report counts if this session wrote it") {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> options = {{"cacheDir", folder.path().string()},
                                                                    {"cacheKey", "box"}};
  const auto now = std::filesystem::file_time_type::clock::now();
  CHECK_FALSE(FindVendorReport("", options, now)->has_value());
  CHECK_FALSE(FindVendorReport("", {}, now)->has_value());
  CHECK(absl::IsNotFound(FindVendorReport(folder / "none.json", {}, now).status()));
  std::filesystem::create_directory(folder / "box");
  const std::filesystem::path file = folder / "box" / "vitisai_ep_report.json";
  REQUIRE(WriteTextFile(file, R"({"deviceStat": [{"name": "NPU", "nodeNum": 7}]})").ok());
  CHECK(FindVendorReport("", options, now - std::chrono::seconds(2))->has_value());
  std::filesystem::last_write_time(file, now - std::chrono::hours(1));
  CHECK_FALSE(FindVendorReport("", options, now - std::chrono::seconds(2))->has_value());
}

TEST_CASE("compiled models are kept by all that made them, and told when they are stale") {
  const TemporaryFolder folder;
  const std::filesystem::path model = folder / "m.onnx";
  REQUIRE(
      WriteTextFile(
          model, ParseModel("<ir_version: 7, opset_import: [\"\" : 13]> g (float[1] x) => (float[1] y) { y = Relu(x) }")
                     .SerializeAsString())
          .ok());
  std::vector<Diagnostic> said;
  const auto find = [&](const std::string& version, const SessionOptions& options) {
    said.clear();
    const absl::StatusOr<ContextEntry> entry =
        FindContext(folder / "contexts", "part", model, version, options, Diagnostics::Collect(&said));
    REQUIRE(entry.ok());
    return *entry;
  };
  SessionOptions options;
  options.ep = "X";
  const ContextEntry first = find("1.26.0", options);
  CHECK_FALSE(first.present);
  CHECK(said.empty());
  CHECK(absl::IsFailedPrecondition(KeepContext(first)));  // the provider wrote none
  REQUIRE(WriteTextFile(first.unproven, "compiled").ok());
  REQUIRE(KeepContext(first).ok());
  const ContextEntry again = find("1.26.0", options);
  CHECK(again.present);
  CHECK(again.file == first.file);
  CHECK(said.empty());
  const ContextEntry newer = find("1.27.0", options);
  CHECK_FALSE(newer.present);
  REQUIRE(said.size() == 1);
  CHECK(said[0].message.find("its runtime was \"1.26.0\", now \"1.27.0\"") != std::string::npos);
  options.ep_options = {{"arch", "75"}};
  CHECK_FALSE(find("1.26.0", options).present);
  CHECK(said.size() == 1);
  options.ep_options.clear();
  REQUIRE(
      WriteTextFile(
          model, ParseModel("<ir_version: 7, opset_import: [\"\" : 13]> g (float[1] x) => (float[1] y) { y = Abs(x) }")
                     .SerializeAsString())
          .ok());
  CHECK_FALSE(find("1.26.0", options).present);
  REQUIRE(said.size() == 1);
  CHECK(said[0].message.find("its model has changed") != std::string::npos);
}

}  // namespace
}  // namespace gomai
