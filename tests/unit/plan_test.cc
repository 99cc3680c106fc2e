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
  for (const char* most : {"-1", "1.5", "\"7\"", "18446744073709551615"}) {
    CAPTURE(most);
    CHECK(PlanError(R"({"parts": [{"name": "a", "outputs": ["x"], "max_nodes": )" + std::string(most) + "}]}")
              .find("parts[0].max_nodes must be a whole number, 0 or more") != std::string::npos);
  }
  CHECK(PlanError(R"({"parts": [{"name": "a", "outputs": []}]})").find("asks for no output") != std::string::npos);
}

TEST_CASE("what a plan says of pipelines, rows and networks reads back as it was printed") {
  const std::string text = R"({"summary": "of \"two\" parts", "parts": [
    {"name": "a", "outputs": ["x"], "device": "npu", "batching": 100, "pipeline": "prune,rename{a=\"b,c\"}"},
    {"name": "b", "outputs": ["y"], "batching": "limit"},
    {"name": "c", "outputs": ["z"]}],
    "pipeline": "fold-constants,prune",
    "network": {"input": "scope:/pre->/net", "replaces": ["a", "c"], "pipeline": "fold-identity",
                "part_pipeline": "maxpool-1x1,refresh-shapes{add=true}", "batching": {"b": "limit", "a": 9223372036854775807}}})";
  const absl::StatusOr<Plan> plan = ParsePlan(text, "plan.json");
  INFO(plan.status().ToString());
  REQUIRE(plan.ok());
  const absl::StatusOr<Plan> again = ParsePlan(PrintPlan(*plan), "again.json");
  INFO(again.status().ToString());
  REQUIRE(again.ok());
  CHECK(PrintPlan(*again) == PrintPlan(*plan));
  for (const Plan& read : {*plan, *again}) {
    CHECK(read.summary == "of \"two\" parts");
    CHECK(read.pipeline == "fold-constants,prune");
    REQUIRE(read.parts.size() == 3);
    CHECK(read.parts[0].pipeline == "prune,rename{a=\"b,c\"}");
    CHECK(read.parts[0].batching == PlanBatching{100});
    CHECK(read.parts[1].pipeline.empty());
    REQUIRE(read.parts[1].batching.has_value());
    CHECK_FALSE(read.parts[1].batching->size.has_value());
    CHECK_FALSE(read.parts[2].batching.has_value());
    REQUIRE(read.network.has_value());
    CHECK(read.network->input == "scope:/pre->/net");
    CHECK(read.network->replaces == std::vector<std::string>{"a", "c"});
    CHECK(read.network->pipeline == "fold-identity");
    CHECK(read.network->part_pipeline == "maxpool-1x1,refresh-shapes{add=true}");
    CHECK(read.network->batching == std::map<std::string, PlanBatching>{{"a", {INT64_MAX}}, {"b", {}}});
  }
}

TEST_CASE("what isn't said isn't printed, and an empty entry for a network stays one") {
  const absl::StatusOr<Plan> bare = ParsePlan(R"({"parts": [{"name": "a", "outputs": ["x"], "pipeline": ""}],
    "pipeline": ""})",
                                              "plan.json");
  REQUIRE(bare.ok());
  const std::string printed = PrintPlan(*bare);
  for (const char* key : {"pipeline", "batching", "network", "aliases", "summary", "inputs", "forbid_ops"}) {
    CAPTURE(key);
    CHECK(printed.find(key) == std::string::npos);
  }
  const absl::StatusOr<Plan> empty =
      ParsePlan(R"({"parts": [{"name": "a", "outputs": ["x"]}], "network": {}})", "plan.json");
  REQUIRE(empty.ok());
  REQUIRE(empty->network.has_value());
  CHECK(empty->network->input.empty());
  CHECK(empty->network->batching.empty());
  const absl::StatusOr<Plan> again = ParsePlan(PrintPlan(*empty), "again.json");
  INFO(again.status().ToString());
  REQUIRE(again.ok());
  CHECK(again->network.has_value());
}

TEST_CASE("wrong values of pipelines, rows and networks are named with their place") {
  const auto part = [](const std::string& more) {
    return PlanError(R"({"parts": [{"name": "z", "outputs": ["w"]}, {"name": "a", "outputs": ["x"], )" + more + "}]}");
  };
  const auto plan = [](const std::string& more) {
    return PlanError(R"({"parts": [{"name": "box", "outputs": ["x"]}], )" + more + "}");
  };
  const std::string rows = " must be a number of rows, 1 or more, or \"limit\": as many as the model allows for";
  for (const char* wrong : {"0", "-1", "1.5", "1e3", "18446744073709551615", "\"Limit\"", "\"\"", "\"7\"", "true",
                            "null", "[]", "[7]", "{}"}) {
    CAPTURE(wrong);
    CHECK(part(std::string(R"("batching": )") + wrong) == "plan.json: parts[1].batching" + rows);
    CHECK(plan(std::string(R"("network": {"batching": {"box": )") + wrong + "}}") ==
          "plan.json: network.batching.box" + rows);
  }
  for (const char* wrong : {"7", "true", "null", "[\"prune\"]", "{}"}) {
    CAPTURE(wrong);
    const auto key = [&](const char* name) { return "\"" + std::string(name) + "\": " + wrong; };
    CHECK(part(key("pipeline")) == "plan.json: parts[1].pipeline must be a string");
    CHECK(plan(key("pipeline")) == "plan.json: pipeline must be a string, such as \"prune,strip-doc-strings\"");
    for (const char* name : {"input", "pipeline", "part_pipeline"}) {
      CHECK(plan("\"network\": {" + key(name) + "}") == fmt::format("plan.json: network.{} must be a string", name));
    }
  }
  for (const char* wrong : {"7", "\"box\"", "null", "[]"}) {
    CAPTURE(wrong);
    CHECK(plan(std::string(R"("network": )") + wrong) == "plan.json: network must be an object");
    CHECK(plan(std::string(R"("network": {"batching": )") + wrong + "}") ==
          "plan.json: network.batching must be an object of part: rows");
  }
  for (const char* wrong : {"7", "\"box\"", "null", "{}"}) {
    CAPTURE(wrong);
    CHECK(plan(std::string(R"("network": {"replaces": )") + wrong + "}") ==
          "plan.json: network.replaces must be a list of strings");
  }
  CHECK(plan(R"("network": {"replaces": ["box", 7]})") == "plan.json: network.replaces must hold strings only");
  CHECK(plan(R"("network": {"inputs": "x"})") ==
        "plan.json: network has an unknown key 'inputs'; did you mean 'input'? (known: input, replaces, pipeline, "
        "part_pipeline, batching)");
  CHECK(plan(R"("networks": {})") ==
        "plan.json has an unknown key 'networks'; did you mean 'network'? (known: summary, parts, aliases, pipeline, "
        "network)");
  CHECK(part(R"("batch": 7)").starts_with("plan.json: parts[1] has an unknown key 'batch'"));
  CHECK(part(R"("part_pipeline": "prune")").starts_with("plan.json: parts[1] has an unknown key 'part_pipeline'"));
}

TEST_CASE("a network speaks of parts that the plan has") {
  const auto plan = [](const std::string& network) {
    return PlanError(R"({"network": )" + network + R"(, "parts": [{"name": "box", "outputs": ["x"]}]})");
  };
  CHECK(plan(R"({"batching": {"boxx": 7}})") ==
        "plan.json: network.batching names the part 'boxx', which the plan doesn't have; did you mean 'box'?");
  CHECK(plan(R"({"replaces": ["box", "stem"]})") ==
        "plan.json: network.replaces names the part 'stem', which the plan doesn't have");
  CHECK(ParsePlan(R"({"network": {"replaces": ["box"], "batching": {"box": 7}},
                      "parts": [{"name": "box", "outputs": ["x"]}]})",
                  "plan.json")
            .ok());
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
