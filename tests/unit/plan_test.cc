// Plans, selectors and presets: what parses, what is refused and how it is said.
#include "lib/split/plan.h"

#include <catch2/catch_test_macros.hpp>

#include "lib/model/model.h"
#include "lib/split/presets.h"
#include "lib/split/selector.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

std::string PlanError(std::string_view json) {
  const absl::StatusOr<Plan> plan = ParsePlan(json, "plan.json");
  REQUIRE_FALSE(plan.ok());
  CHECK(plan.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(Message(plan.status()));
}

TEST_CASE("a plan reads back as it was printed") {
  const std::string text = R"({"parts": [
    {"name": "a", "outputs": ["x", "scope:/b"], "inputs": ["y"], "forbid_ops": ["If"], "max_nodes": 7, "device": "npu"},
    {"name": "b.2", "outputs": ["z"]}], "aliases": {"friendly": "x"}, "pipeline": "prune"})";
  const absl::StatusOr<Plan> plan = ParsePlan(text, "plan.json");
  REQUIRE(plan.ok());
  CHECK(plan->parts.size() == 2);
  CHECK(plan->parts[0].device == "npu");
  CHECK(plan->parts[0].max_nodes == 7);
  CHECK(plan->parts[1].device == "cpu");
  const absl::StatusOr<Plan> again = ParsePlan(PrintPlan(*plan), "again.json");
  REQUIRE(again.ok());
  CHECK(PrintPlan(*again) == PrintPlan(*plan));
}

TEST_CASE("what a plan must not hold is named with its place") {
  CHECK(PlanError("[").find("'plan.json' is not JSON") != std::string::npos);
  CHECK(PlanError("{}").find("\"parts\" must be a list") != std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "a", "output": ["x"]}]})") ==
        "plan.json: parts[0] has an unknown key 'output'; did you mean 'outputs'? (known: name, outputs, inputs, "
        "forbid_ops, "
        "max_nodes, device, batching, pipeline)");
  CHECK(PlanError(R"({"parts": [{"name": "a"}]})").find("needs \"outputs\"") != std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "a", "outputs": "x"}]})").find("parts[0].outputs must be a list") !=
        std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "a/b", "outputs": ["x"]}]})").find("'a/b' can't be a part's name") !=
        std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "rest", "outputs": ["x"]}]})").find("'rest' can't be") != std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "a", "outputs": ["x"]}, {"name": "a", "outputs": ["y"]}]})")
            .find("'a' is named twice") != std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "a", "outputs": ["x", "x"]}]})").find("asks for 'x' twice") !=
        std::string::npos);
  CHECK(PlanError(R"({"parts": [{"name": "a", "outputs": []}]})").find("asks for no output") != std::string::npos);
}

TEST_CASE("what a plan says of networks, rows and pipelines reads back") {
  const std::string text = R"({"parts": [
    {"name": "a", "outputs": ["x"], "batching": 7, "pipeline": "prune,sort"},
    {"name": "b", "outputs": ["y"], "batching": "limit"}],
    "network": {"input": "x", "replaces": ["a"], "pipeline": "prune", "part_pipeline": "sort",
                "batching": {"a": 1, "b": "limit"}}})";
  const absl::StatusOr<Plan> plan = ParsePlan(text, "plan.json");
  INFO(plan.status().ToString());
  REQUIRE(plan.ok());
  CHECK(plan->parts[0].batching == PlanBatching{7});
  CHECK(plan->parts[0].pipeline == "prune,sort");
  CHECK(plan->parts[1].batching == PlanBatching{});
  REQUIRE(plan->network.has_value());
  CHECK(plan->network->input == "x");
  CHECK(plan->network->replaces == std::vector<std::string>{"a"});
  CHECK(plan->network->pipeline == "prune");
  CHECK(plan->network->part_pipeline == "sort");
  CHECK(plan->network->batching == std::map<std::string, PlanBatching>{{"a", PlanBatching{1}}, {"b", PlanBatching{}}});
  const absl::StatusOr<Plan> again = ParsePlan(PrintPlan(*plan), "again.json");
  REQUIRE(again.ok());
  CHECK(PrintPlan(*again) == PrintPlan(*plan));
  CHECK(again->network->batching == plan->network->batching);
}

TEST_CASE("wrong rows, pipelines and networks are named with their place") {
  const auto part = [](const std::string& keys) {
    return PlanError(R"({"parts": [{"name": "a", "outputs": ["x"], )" + keys + "}]}");
  };
  for (const char* rows : {"0", "-1", "1.5", "\"all\"", "\"7\"", "null", "[7]", "true", "1e300"}) {
    CAPTURE(rows);
    CHECK(part(std::string("\"batching\": ") + rows).find("parts[0].batching") != std::string::npos);
  }
  CHECK(part(R"("pipeline": ["prune"])").find("parts[0]") != std::string::npos);
  CHECK(part(R"("pipeline": 7)").find("pipeline") != std::string::npos);
  const auto network = [](const std::string& value) {
    return PlanError(R"({"parts": [{"name": "a", "outputs": ["x"]}], "network": )" + value + "}");
  };
  for (const char* value : {"[]", "\"x\"", "7", "null"}) {
    CAPTURE(value);
    CHECK(network(value).find("network") != std::string::npos);
  }
  CHECK(network(R"({"inputs": "x"})").find("unknown key 'inputs'; did you mean 'input'?") != std::string::npos);
  CHECK(network(R"({"input": ["x"]})").find("network") != std::string::npos);
  CHECK(network(R"({"replaces": "a"})").find("network.replaces must be a list") != std::string::npos);
  CHECK(network(R"({"part_pipeline": {}})").find("part_pipeline") != std::string::npos);
  CHECK(network(R"({"batching": [1]})").find("network.batching must be an object") != std::string::npos);
  CHECK(network(R"({"batching": {"a": 0}})").find("network.batching.a") != std::string::npos);
}

TEST_CASE("a wildcard in a scope stays within its segment") {
  CHECK(InScope("/a/b/Conv", "/a"));
  CHECK(InScope("/a", "/a"));
  CHECK_FALSE(InScope("/ab/Conv", "/a"));
  CHECK(InScope("/a/b_1/Conv", "/a/b*"));
  CHECK(InScope("/a/b/Conv", "/a/b*"));
  CHECK_FALSE(InScope("/a/c/b/Conv", "/a/b*"));
  CHECK_FALSE(InScope("/a", "/a/b"));
  CHECK_FALSE(InScope("If_1442", "/a"));
  CHECK(InScope("anything", "*"));
}

TEST_CASE("every preset parses and states what its NPU parts may read") {
  const absl::StatusOr<std::vector<Preset>> presets = AllPresets();
  REQUIRE(presets.ok());
  CHECK(presets->size() >= 3);
  for (const Preset& preset : *presets) {
    CAPTURE(preset.name);
    CHECK_FALSE(preset.summary.empty());
    for (const PlanPart& part : preset.plan.parts) {
      if (part.device == "npu") {
        CAPTURE(part.name);
        CHECK(part.inputs.has_value());
        CHECK_FALSE(part.forbid_ops.empty());
      }
    }
  }
}

TEST_CASE("friendly names number what leaves a scope by first use") {
  const absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  const Index index(model->proto());
  const absl::StatusOr<Plan> plan = PlanFromPreset("torchvision-maskrcnn", index, nullptr);
  REQUIRE(plan.ok());
  const auto& aliases = plan->aliases;
  CHECK(aliases.at("features_0") == "/backbone/fpn/layer_blocks.0/layer_blocks.0.0/Conv_output_0");
  CHECK(aliases.at("features_4") == "/backbone/fpn/extra_blocks/MaxPool_output_0");
  CHECK(aliases.at("objectness_0") == "/rpn/head/cls_logits/Conv_output_0");
  CHECK(aliases.at("objectness_4") == "/rpn/head/cls_logits_4/Conv_output_0");
  CHECK(aliases.at("pred_bbox_deltas_3") == "/rpn/head/bbox_pred_3/Conv_output_0");
  CHECK(aliases.at("proposals") == "/rpn/Gather_79_output_0");
  CHECK(aliases.at("box_features") == "/roi_heads/box_roi_pool/ScatterElements_3_output_0");
  CHECK(aliases.at("class_logits") == "/roi_heads/box_predictor/cls_score/Gemm_output_0");
  CHECK(aliases.at("box_regression") == "/roi_heads/box_predictor/bbox_pred/Gemm_output_0");
  CHECK(aliases.at("mask_features") == "/roi_heads/mask_roi_pool/ScatterElements_3_output_0");
  CHECK(aliases.at("mask_logits") == "/roi_heads/mask_predictor/mask_fcn_logits/Conv_output_0");
}

TEST_CASE("a preset fits a model whose scopes lie below a wrapper's") {
  absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  for (onnx::NodeProto& node : *model->mutable_proto().mutable_graph()->mutable_node()) {
    if (node.name().starts_with('/')) {
      node.set_name("/detector" + node.name());
    }
  }
  const Index index(model->proto());
  const absl::StatusOr<Plan> plan = PlanFromPreset("torchvision-maskrcnn", index, nullptr);
  REQUIRE(plan.ok());
  CHECK(plan->parts[0].outputs.front() == "scope:/detector/transform");
  CHECK(plan->aliases.at("proposals") == "/rpn/Gather_79_output_0");
}

TEST_CASE("a model without a preset's scopes is told the first missing one, and gets a draft") {
  absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  for (onnx::NodeProto& node : *model->mutable_proto().mutable_graph()->mutable_node()) {
    const std::string prefix = "/rpn/head/";
    if (node.name().starts_with(prefix)) {
      node.set_name("/rpn/heads/" + node.name().substr(prefix.size()));
    }
  }
  const Index index(model->proto());
  Plan draft;
  const absl::StatusOr<Plan> plan = PlanFromPreset("torchvision-maskrcnn", index, &draft);
  REQUIRE_FALSE(plan.ok());
  CHECK(plan.status().code() == absl::StatusCode::kNotFound);
  CHECK(std::string(Message(plan.status()))
            .find("needs the scope '/rpn/head', which the model doesn't have (nearest: "
                  "/rpn/heads") != std::string::npos);
  REQUIRE(draft.parts.size() == 6);
  CHECK(draft.parts[1].outputs[1] == "scope:/rpn/heads");
  CHECK(PlanFromPreset("torchvision-maskrcn", index, nullptr)
            .status()
            .message()
            .find("did you mean 'torchvision-maskrcnn'") != absl::string_view::npos);
}

}  // namespace
}  // namespace gomai
