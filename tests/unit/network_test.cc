// A plan's "network" carried out: what becomes of the plan when a size is given, and what is refused.
#include "lib/split/network.h"

#include <catch2/catch_test_macros.hpp>

#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

PlanPart Part(const std::string& name, const std::string& output) {
  PlanPart part;
  part.name = name;
  part.outputs = {output};
  return part;
}

Plan WithNetwork() {
  Plan plan;
  plan.parts = {Part("pre", "net"), Part("body", "both"), Part("list", "y")};
  plan.parts[1].inputs = std::vector<std::string>{"net"};
  plan.parts[1].device = "npu";
  plan.parts[2].batching = PlanBatching{7};
  plan.parts[2].pipeline = "sort";
  plan.parts[1].pipeline = "prune";
  plan.pipeline = "fold-identity";
  plan.network = PlanNetwork{.input = "net",
                             .replaces = {"pre"},
                             .pipeline = "fold-constants",
                             .part_pipeline = "maxpool-1x1",
                             .batching = {{"body", PlanBatching{}}, {"list", PlanBatching{3}}}};
  return plan;
}

absl::Status Apply(const NetworkArguments& arguments, Plan* plan) {
  const Model model = testing::LoadText(
      "g (float[1,3,h,w] image) => (float[1,3,h,w] y) "
      "{ net = Abs(image) both = Add(net, net) y = Relu(both) }");
  return ApplyNetwork(arguments, Index(model.proto()), plan);
}

std::string Refused(const NetworkArguments& arguments, Plan plan = WithNetwork()) {
  const absl::Status status = Apply(arguments, &plan);
  CHECK_FALSE(status.ok());
  return std::string(Message(status));
}

TEST_CASE("without a size a plan only forgets its network") {
  Plan plan = WithNetwork();
  REQUIRE(Apply({}, &plan).ok());
  Plan expected = WithNetwork();
  expected.network.reset();
  CHECK(PrintPlan(plan) == PrintPlan(expected));
}

TEST_CASE("with a size the network becomes the plan's own pipelines") {
  Plan plan = WithNetwork();
  const absl::Status status = Apply({.image_size = "48x64", .network_size = "", .input = "", .sizes = "inputs"}, &plan);
  INFO(status.ToString());
  REQUIRE(status.ok());
  CHECK_FALSE(plan.network.has_value());
  CHECK(plan.pipeline == "strip-preprocess{at=\"net\",image-size=48x64,sizes=inputs},fold-constants,fold-identity");
  REQUIRE(plan.parts.size() == 2);  // "pre" went with the preprocessing
  CHECK(plan.parts[0].name == "body");
  CHECK(plan.parts[0].pipeline == "maxpool-1x1,prune");  // its own behind that of all parts for the NPU
  REQUIRE(plan.parts[0].batching.has_value());
  CHECK_FALSE(plan.parts[0].batching->size.has_value());
  CHECK(plan.parts[1].pipeline == "sort");  // not one for the NPU
  REQUIRE(plan.parts[1].batching.has_value());
  CHECK(plan.parts[1].batching->size == 7);  // its own
}

TEST_CASE("without a pipeline the network's is one that settles shapes") {
  Plan plan = WithNetwork();
  plan.network->pipeline = "";
  REQUIRE(Apply({.image_size = "", .network_size = "32x32", .input = "", .sizes = ""}, &plan).ok());
  CHECK(plan.pipeline ==
        "strip-preprocess{at=\"net\",network-size=32x32},fold-constants,fold-identity,prune,fold-identity");
}

TEST_CASE("the input that is named beats the plan's") {
  Plan plan = WithNetwork();
  REQUIRE(Apply({.image_size = "", .network_size = "32x32", .input = "both", .sizes = ""}, &plan).ok());
  CHECK(plan.pipeline.starts_with("strip-preprocess{at=\"both\","));
  Plan bare;
  bare.parts = {Part("all", "y")};
  REQUIRE(Apply({.image_size = "", .network_size = "32x32", .input = "net", .sizes = ""}, &bare).ok());
  CHECK(bare.pipeline == "strip-preprocess{at=\"net\",network-size=32x32},fold-constants,fold-identity,prune");
}

TEST_CASE("a name of any characters reaches the pass") {
  onnx::ModelProto proto = testing::ParseGraph(
      "g (float[1,3,h,w] image) => (float[1,3,h,w] y) "
      "{ net = Abs(image) y = Relu(net) }");
  const std::string odd = "a,b\"}{\\ =c";
  proto.mutable_graph()->mutable_node(0)->set_output(0, odd);
  proto.mutable_graph()->mutable_node(1)->set_input(0, odd);
  Plan plan;
  plan.parts = {Part("all", "y")};
  REQUIRE(
      ApplyNetwork({.image_size = "", .network_size = "32x32", .input = odd, .sizes = ""}, Index(proto), &plan).ok());
  const absl::StatusOr<Pipeline> pipeline = ParsePipeline(plan.pipeline);
  INFO(plan.pipeline << " " << pipeline.status().ToString());
  REQUIRE(pipeline.ok());
  CHECK(pipeline->passes[0].options.String("at") == odd);
}

TEST_CASE("what doesn't say which tensor, or of what size, is refused") {
  CHECK(
      Refused({.image_size = "", .network_size = "", .input = "", .sizes = "constants"}).find("--sizes needs a size") !=
      std::string::npos);
  CHECK(Refused({.image_size = "", .network_size = "", .input = "net", .sizes = ""})
            .find("--network-input needs a size") != std::string::npos);
  Plan nameless = WithNetwork();
  nameless.network->input = "";
  const NetworkArguments sized{.image_size = "48x64", .network_size = "", .input = "", .sizes = ""};
  CHECK(Refused(sized, nameless).find("which tensor enters the network") != std::string::npos);
  nameless.network.reset();
  CHECK(Refused(sized, nameless).find("which tensor enters the network") != std::string::npos);
  Plan unknown = WithNetwork();
  unknown.network->input = "bth";
  const std::string said = Refused(sized, unknown);
  INFO(said);
  CHECK(said.find("the network's input: ") != std::string::npos);
  CHECK(said.find("'bth'") != std::string::npos);
}

TEST_CASE("friendly names of what is gone are forgotten") {
  const Model model = testing::LoadText("g (float[2] net) => (float[2] y) { y = Relu(net) }");
  Plan plan;
  plan.aliases = {{"a", "net"}, {"b", "image"}, {"c", "scope:/somewhere"}, {"d", "y"}};
  DropGoneAliases(Index(model.proto()), &plan);
  CHECK(plan.aliases == std::map<std::string, std::string>{{"a", "net"}, {"c", "scope:/somewhere"}, {"d", "y"}});
}

}  // namespace
}  // namespace gomai
