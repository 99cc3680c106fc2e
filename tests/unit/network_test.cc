// A plan's entry for a network of fixed size: what it becomes, and what is refused.
#include "lib/split/network.h"

#include <catch2/catch_test_macros.hpp>
#include <optional>

#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

// "/pre" gives a and b, "/net" c and d. Read from outside: b by "/net/Relu", a and c by "/net/Sub", d by "/post".
Model Example() {
  Model model = testing::LoadText(R"(
    g (float[3, h, w] image) => (float[3, h, w] y)
    <float two = {2}>
    { a = Mul(image, two) b = Add(a, two) c = Relu(b) d = Sub(c, a) y = Exp(d) })");
  onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
  const char* const names[] = {"/pre/Mul", "/pre/Add", "/net/Relu", "/net/Sub", "/post/Exp"};
  for (int i = 0; i < graph.node_size(); ++i) {
    graph.mutable_node(i)->set_name(names[i]);
  }
  return model;
}

Plan ExamplePlan() {
  const absl::StatusOr<Plan> plan = ParsePlan(R"({
    "parts": [
      {"name": "first", "outputs": ["scope:/pre"]},
      {"name": "net", "outputs": ["d"], "inputs": ["scope:/pre->/net/Relu", "a"], "device": "npu", "pipeline": "dedupe-nodes"},
      {"name": "late", "outputs": ["y"], "device": "npu"},
      {"name": "cpu", "outputs": ["z"], "pipeline": "prune"}],
    "aliases": {"entry": "b", "result": "y"},
    "pipeline": "strip-doc-strings",
    "network": {"input": "scope:/pre->/net/Relu", "replaces": ["first"], "pipeline": "fold-identity,prune",
                "part_pipeline": "maxpool-1x1,fold-constants", "batching": {"late": "limit", "cpu": 7}}})",
                                              "plan.json");
  INFO(plan.status().ToString());
  REQUIRE(plan.ok());
  return *plan;
}

struct Applied {
  absl::Status status;
  Plan plan;
};

Applied Apply(const NetworkArguments& arguments, Plan plan, const Model& model = Example()) {
  Applied applied{.status = absl::OkStatus(), .plan = std::move(plan)};
  applied.status = ApplyNetwork(arguments, Index(model.proto()), &applied.plan);
  CHECK_FALSE(applied.plan.network.has_value());
  return applied;
}

// The plan for these arguments, which it must be possible to make.
Plan Made(const NetworkArguments& arguments, Plan plan = ExamplePlan()) {
  Applied applied = Apply(arguments, std::move(plan));
  INFO(applied.status.ToString());
  REQUIRE(applied.status.ok());
  return std::move(applied.plan);
}

std::string Refused(const NetworkArguments& arguments, absl::StatusCode code, Plan plan = ExamplePlan()) {
  const Applied applied = Apply(arguments, std::move(plan));
  CHECK(applied.status.code() == code);
  return std::string(Message(applied.status));
}

// As the passes understand it.
std::string Canonical(const std::string& pipeline) {
  const absl::StatusOr<Pipeline> parsed = ParsePipeline(pipeline);
  INFO(parsed.status().ToString());
  REQUIRE(parsed.ok());
  return parsed->Text();
}

const NetworkArguments kSize = {.image_size = "4x6", .network_size = "", .input = "", .sizes = ""};

TEST_CASE("without a size the entry is forgotten, and nothing else changes") {
  Plan without = ExamplePlan();
  without.network.reset();
  CHECK(PrintPlan(Made({})) == PrintPlan(without));
  CHECK(PrintPlan(Made({}, without)) == PrintPlan(without));
}

TEST_CASE("what only matters with a size is refused without one") {
  const auto code = absl::StatusCode::kInvalidArgument;
  CHECK(Refused({.image_size = "", .network_size = "", .input = "", .sizes = "constants"}, code) ==
        "--sizes needs a size: give --image-size HxW or --network-size HxW");
  CHECK(Refused({.image_size = "", .network_size = "", .input = "b", .sizes = ""}, code) ==
        "--network-input needs a size: give --image-size HxW or --network-size HxW");
}

TEST_CASE("the preprocessing comes off first, then what the network's entry says, then the plan's own") {
  CHECK(Canonical(Made(kSize).pipeline) ==
        "strip-preprocess{at=b,image-size=4x6},fold-identity,prune,strip-doc-strings");
  CHECK(Canonical(Made({.image_size = "", .network_size = "8x9", .input = "", .sizes = "inputs"}).pipeline) ==
        "strip-preprocess{at=b,network-size=8x9,sizes=inputs},fold-identity,prune,strip-doc-strings");
  CHECK(Canonical(Made({.image_size = "4x6", .network_size = "8x9", .input = "", .sizes = "constants"}).pipeline) ==
        "strip-preprocess{at=b,image-size=4x6,network-size=8x9,sizes=constants},fold-identity,prune,strip-doc-strings");

  // Nobody says what to run.
  Plan silent = ExamplePlan();
  silent.network->pipeline.clear();
  silent.pipeline.clear();
  CHECK(Canonical(Made(kSize, silent).pipeline) ==
        "strip-preprocess{at=b,image-size=4x6},fold-constants,fold-identity,prune");
}

TEST_CASE("a size stays one value, whatever it holds") {
  for (const std::string size : {"4x6,sizes=constants", "4x6}", "4x6},prune{", "\"", ""}) {
    CAPTURE(size);
    const Plan plan = Made({.image_size = size, .network_size = "8x9", .input = "", .sizes = ""});
    const absl::StatusOr<Pipeline> pipeline = ParsePipeline(plan.pipeline);
    INFO(pipeline.status().ToString());
    REQUIRE(pipeline.ok());
    REQUIRE(pipeline->passes.size() == 4);
    CHECK(pipeline->passes[0].options.String("image-size") == size);
    CHECK_FALSE(pipeline->passes[0].options.Given("sizes"));
  }
}

TEST_CASE("the network's input: as the arguments name it, else the plan") {
  const auto with = [](const std::string& input) {
    return NetworkArguments{.image_size = "4x6", .network_size = "", .input = input, .sizes = ""};
  };
  const auto at = [](const Plan& plan) {
    const absl::StatusOr<Pipeline> pipeline = ParsePipeline(plan.pipeline);
    REQUIRE(pipeline.ok());
    REQUIRE_FALSE(pipeline->passes.empty());
    REQUIRE(pipeline->passes[0].info->name == std::string("strip-preprocess"));
    return pipeline->passes[0].options.String("at");
  };
  CHECK(at(Made(with(""))) == "b");
  CHECK(at(Made(with("c"))) == "c");
  CHECK(at(Made(with("entry"))) == "b");
  CHECK(at(Made(with("scope:/net->/post"))) == "d");
  Plan by_alias = ExamplePlan();
  by_alias.network->input = "entry";
  CHECK(at(Made(with(""), by_alias)) == "b");

  // A plan that says nothing of networks, or not where they begin.
  Plan without = ExamplePlan();
  without.network.reset();
  const Plan made = Made(with("c"), without);
  CHECK(Canonical(made.pipeline) ==
        "strip-preprocess{at=c,image-size=4x6},fold-constants,fold-identity,prune,strip-doc-strings");
  CHECK(made.parts.size() == 4);
  Plan nowhere = ExamplePlan();
  nowhere.network->input.clear();
  for (const Plan& plan : {without, nowhere}) {
    CHECK(Refused(with(""), absl::StatusCode::kInvalidArgument, plan) ==
          "which tensor enters the network? Name it with --network-input, or as network.input in the plan");
  }
}

TEST_CASE("an input that names no tensor, or several, is refused") {
  const auto refused = [](const std::string& input, absl::StatusCode code) {
    const std::string message = Refused({.image_size = "4x6", .network_size = "", .input = input, .sizes = ""}, code);
    Plan plan = ExamplePlan();
    plan.network->input = input;
    CHECK(Refused(kSize, code, plan) == message);
    return message;
  };
  const std::string absent = refused("absent", absl::StatusCode::kNotFound);
  CHECK(absent.starts_with("the network's input: "));
  CHECK(absent.find("'absent'") != std::string::npos);
  CHECK(refused("scope:/prae", absl::StatusCode::kNotFound)
            .starts_with("the network's input: the model has no scope '/prae' (nearest: /pre"));
  CHECK(refused("scope:/pre->/post", absl::StatusCode::kInvalidArgument) ==
        "the network's input: nothing leaves the scope '/pre' for '/post'");
  CHECK(refused("scope:/pre", absl::StatusCode::kInvalidArgument) ==
        "the network's input 'scope:/pre' stands for 2 tensors; name one with --network-input");
  Plan plan = ExamplePlan();
  plan.aliases = {{"both", "scope:/pre"}};
  plan.network->input = "both";
  CHECK(Refused(kSize, absl::StatusCode::kInvalidArgument, plan) ==
        "the network's input 'both' stands for 2 tensors; name one with --network-input");
}

TEST_CASE("parts that go with the preprocessing are taken out, the others stay in order") {
  const auto names = [](const Plan& plan) {
    std::vector<std::string> found;
    for (const PlanPart& part : plan.parts) {
      found.push_back(part.name);
    }
    return found;
  };
  CHECK(names(Made(kSize)) == std::vector<std::string>{"net", "late", "cpu"});
  Plan plan = ExamplePlan();
  plan.network->replaces = {"cpu", "first"};
  CHECK(names(Made(kSize, plan)) == std::vector<std::string>{"net", "late"});
  plan.network->replaces.clear();
  CHECK(names(Made(kSize, plan)) == std::vector<std::string>{"first", "net", "late", "cpu"});
}

TEST_CASE("parts for the NPU run the network's passes before their own, the others only theirs") {
  const Plan plan = Made(kSize);
  REQUIRE(plan.parts.size() == 3);
  CHECK(plan.parts[0].pipeline == "maxpool-1x1,fold-constants,dedupe-nodes");
  CHECK(plan.parts[1].pipeline == "maxpool-1x1,fold-constants");
  CHECK(plan.parts[2].pipeline == "prune");
  Plan silent = ExamplePlan();
  silent.network->part_pipeline.clear();
  const Plan own = Made(kSize, silent);
  CHECK(own.parts[0].pipeline == "dedupe-nodes");
  CHECK(own.parts[1].pipeline.empty());
}

TEST_CASE("rows are fixed where the network's entry says so, unless the part says otherwise") {
  const Plan plan = Made(kSize);
  REQUIRE(plan.parts.size() == 3);
  CHECK_FALSE(plan.parts[0].batching.has_value());
  CHECK(plan.parts[1].batching == PlanBatching{});
  CHECK(plan.parts[2].batching == PlanBatching{7});
  Plan own = ExamplePlan();
  own.parts[2].batching = PlanBatching{1};
  own.parts[3].batching = PlanBatching{};
  const Plan kept = Made(kSize, own);
  CHECK(kept.parts[1].batching == PlanBatching{1});
  CHECK(kept.parts[2].batching == PlanBatching{});
}

TEST_CASE("what a part states as its input is the tensor of the cut, however both are named") {
  const auto inputs = [](const std::string& stated, const std::string& entry, const std::string& argument) {
    Plan plan = ExamplePlan();
    plan.parts[1].inputs = {stated, "a"};
    plan.network->input = entry;
    const Plan made = Made({.image_size = "4x6", .network_size = "", .input = argument, .sizes = ""}, plan);
    REQUIRE(made.parts[0].inputs.has_value());
    return *made.parts[0].inputs;
  };
  const std::vector<std::string> cut = {"b", "a"};
  const std::string scope = "scope:/pre->/net/Relu";
  for (const std::string& stated : {scope, std::string("b"), std::string("entry")}) {
    for (const std::string& entry : {scope, std::string("b"), std::string("entry")}) {
      CAPTURE(stated, entry);
      CHECK(inputs(stated, entry, "") == cut);
      CHECK(inputs(stated, "", entry) == cut);
    }
  }
  // Cut elsewhere than the plan would: there is where the part begins.
  CHECK(inputs(scope, scope, "c") == std::vector<std::string>{"c", "a"});
  // Another input than the network's stays.
  CHECK(inputs("d", scope, "") == std::vector<std::string>{"d", "a"});
  CHECK(inputs("no such tensor", scope, "") == std::vector<std::string>{"no such tensor", "a"});
  // A part that states nothing still doesn't.
  CHECK_FALSE(Made(kSize).parts[1].inputs.has_value());
}

TEST_CASE("any tensor's name is found again in the pipeline") {
  for (const std::string name : {"plain/name:0", "a,b", "a}b", "{", "a\"b", "\"", "a\\b", "\\", "\\\"", "a=b", "[", "]",
                                 " a ", "a\nb", "\xc3\xa9", "at=b},prune{"}) {
    CAPTURE(name);
    Model model = Example();
    onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
    graph.mutable_node(1)->set_output(0, name);
    graph.mutable_node(2)->set_input(0, name);
    for (const std::string& input : {name, std::string()}) {
      const Applied applied =
          Apply({.image_size = "4x6", .network_size = "", .input = input, .sizes = ""}, ExamplePlan(), model);
      INFO(applied.status.ToString());
      REQUIRE(applied.status.ok());
      const absl::StatusOr<Pipeline> pipeline = ParsePipeline(applied.plan.pipeline);
      INFO(pipeline.status().ToString());
      REQUIRE(pipeline.ok());
      REQUIRE(pipeline->passes.size() == 4);
      CHECK(pipeline->passes[0].options.String("at") == name);
      CHECK(pipeline->passes[0].options.String("image-size") == "4x6");
      // And when the plan is printed and read.
      const absl::StatusOr<Plan> again = ParsePlan(PrintPlan(applied.plan), "again.json");
      REQUIRE(again.ok());
      CHECK(again->pipeline == applied.plan.pipeline);
    }
  }
}

TEST_CASE("friendly names by scope are those of the whole model") {
  Plan plan = ExamplePlan();
  plan.aliases = {{"entry", "scope:/pre->/net/Relu"}, {"out_{i}", "scope:/net"}, {"first", "a"}};
  plan.parts[1].inputs = {"entry", "first"};
  plan.network->input = "entry";
  const Plan made = Made(kSize, plan);
  // "/net" gives d alone: only "/net/Sub" reads c.
  CHECK(made.aliases == std::map<std::string, std::string>{{"entry", "b"}, {"first", "a"}, {"out_0", "d"}});
  CHECK(made.parts[0].inputs == std::vector<std::string>{"b", "first"});
  CHECK(Canonical(made.pipeline).starts_with("strip-preprocess{at=b,"));

  CHECK(Made({}, plan).aliases == plan.aliases);  // nothing is cut off
  plan.aliases["lost"] = "scope:/prae";
  CHECK(Refused(kSize, absl::StatusCode::kNotFound, plan).starts_with("alias 'lost': the model has no scope '/prae'"));
  // Tensors by name are for later to look up.
  plan = ExamplePlan();
  plan.aliases = {{"one", "b"}, {"other", "b"}};
  CHECK(Made(kSize, plan).aliases == plan.aliases);
}

TEST_CASE("friendly names of tensors that are gone go too") {
  const Model model = Example();
  Plan plan = ExamplePlan();
  plan.aliases = {{"entry", "b"}, {"result", "y"}, {"image", "image"}, {"gone", "q"}, {"scoped", "scope:/gone"}};
  DropGoneAliases(Index(model.proto()), &plan);
  CHECK(plan.aliases == std::map<std::string, std::string>{
                            {"entry", "b"}, {"image", "image"}, {"result", "y"}, {"scoped", "scope:/gone"}});
}

}  // namespace
}  // namespace gomai
