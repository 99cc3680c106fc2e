// Splitting, merging and extracting graphs of 100,000 nodes: a chain, whose depth no stack may follow, and a wide
// graph, in which one value has 50,000 readers and one node 50,000 operands.
#include <catch2/catch_test_macros.hpp>

#include "lib/model/save.h"
#include "lib/split/extract.h"
#include "lib/split/merge.h"
#include "lib/split/plan.h"
#include "lib/split/split.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

constexpr int kNodes = 100000;

void AddNode(const char* op, const std::vector<std::string>& inputs, const std::string& output,
             onnx::GraphProto* graph) {
  onnx::NodeProto& node = *graph->add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) {
    node.add_input(input);
  }
  node.add_output(output);
}

onnx::ModelProto Chain() {
  onnx::ModelProto proto = testing::ParseGraph("g (float[2] v0) => (float[2] v100000) { }");
  for (int i = 0; i < kNodes; ++i) {
    AddNode("Neg", {fmt::format("v{}", i)}, fmt::format("v{}", i + 1), proto.mutable_graph());
  }
  return proto;
}

onnx::ModelProto Wide() {
  onnx::ModelProto proto = testing::ParseGraph("g (float[2] x) => (float[2] y) { }");
  constexpr int kHalf = kNodes / 2;
  std::vector<std::string> sums;
  for (int i = 0; i < kHalf; ++i) {
    AddNode("Neg", {"x"}, fmt::format("w{}", i), proto.mutable_graph());
  }
  for (int i = 0; i + 1 < kHalf; ++i) {
    sums.push_back(fmt::format("z{}", i));
    AddNode("Add", {fmt::format("w{}", i), fmt::format("w{}", int64_t{i} * 7919 % kHalf)}, sums.back(),
            proto.mutable_graph());
  }
  AddNode("Sum", sums, "y", proto.mutable_graph());
  return proto;
}

// Into parts that make one value each, in order, and together again: the same bytes.
void SplitAndMerge(const onnx::ModelProto& proto, const std::vector<std::vector<std::string>>& parts) {
  const testing::TemporaryFolder folder;
  const std::string bytes = proto.SerializeAsString();
  testing::WriteFile(folder / "m.onnx", bytes);
  const absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
  REQUIRE(model.ok());
  const Index index(model->proto());
  Plan plan;
  for (const std::vector<std::string>& outputs : parts) {
    PlanPart part;
    part.name = fmt::format("part{}", plan.parts.size());
    part.outputs = outputs;
    plan.parts.push_back(std::move(part));
  }
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  REQUIRE(shapes.ok());
  const absl::StatusOr<Split> split = ResolvePlan(plan, *model, index, *shapes, {}, Diagnostics());
  CAPTURE(split.status().ToString());
  REQUIRE(split.ok());
  CHECK(split->parts.size() == parts.size() + 1);
  WriteSplitOptions options;
  options.folder = folder / "parts";
  const auto written = WriteSplit(*split, *model, index, options, Diagnostics());
  CAPTURE(written.status().ToString());
  REQUIRE(written.ok());
  const absl::StatusOr<Model> merged = MergeParts(folder / "parts" / "manifest.json", {}, Diagnostics());
  CAPTURE(merged.status().ToString());
  REQUIRE(merged.ok());
  CHECK(merged->proto().SerializeAsString() == bytes);
}

TEST_CASE("a chain of 100,000 nodes in 2 and in 100 parts, and together again") {
  SplitAndMerge(Chain(), {{"v50000"}});
  std::vector<std::vector<std::string>> parts;
  for (int i = 1; i < 100; ++i) {
    parts.push_back({fmt::format("v{}", i * 1000)});
  }
  SplitAndMerge(Chain(), parts);
}

TEST_CASE("a graph of 100,000 nodes, a few steps deep, in three parts with 10,000 values between, and together again") {
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (int i = 0; i < 5000; ++i) {
    first.push_back(fmt::format("w{}", i));
    second.push_back(fmt::format("z{}", 30000 + i));
  }
  SplitAndMerge(Wide(), {first, second});
}

TEST_CASE("most of a chain of 100,000 nodes, extracted") {
  const Model model = Model::FromProto(Chain());
  const Index index(model.proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  REQUIRE(shapes.ok());
  const absl::StatusOr<Model> taken =
      Extract(model, index, *shapes, {.inputs = {"v100"}, .outputs = {"v90000", "v50"}, .add_missing_inputs = true},
              Diagnostics());
  CAPTURE(taken.status().ToString());
  REQUIRE(taken.ok());
  const onnx::GraphProto& graph = taken->proto().graph();
  REQUIRE(graph.node_size() == 90000 - 100 + 50);
  CHECK(graph.node(0).input(0) == "v0");
  CHECK(graph.node(50).input(0) == "v100");
  CHECK(graph.node(graph.node_size() - 1).output(0) == "v90000");
}

}  // namespace
}  // namespace gomai
