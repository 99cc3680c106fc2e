// Passes over graphs of 100,000 nodes: in proportion to their size, and without a stack that depth could overflow.
#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

constexpr int kNodes = 100000;

// A chain of one operator from v0 to v100000, described value by value.
onnx::ModelProto Chain(const char* op, bool backwards) {
  onnx::ModelProto proto = testing::ParseGraph("g (float[2] v0) => (float[2] v100000) { }");
  for (int k = 0; k < kNodes; ++k) {
    const int i = backwards ? kNodes - 1 - k : k;
    onnx::NodeProto& node = *proto.mutable_graph()->add_node();
    node.set_op_type(op);
    node.add_input(fmt::format("v{}", i));
    node.add_output(fmt::format("v{}", i + 1));
  }
  return proto;
}

// Gives the number of change lines.
size_t Run(Model& model, const char* pipeline) {
  const auto start = std::chrono::steady_clock::now();
  const auto reports = RunPipeline(*ParsePipeline(pipeline), model, {}, Diagnostics());
  INFO(pipeline << ": " << reports.status().ToString());
  REQUIRE(reports.ok());
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 10);
  return reports->at(0).changes.lines.size();
}

TEST_CASE("fold-identity on a chain of Identities") {
  Model model = Model::FromProto(Chain("Identity", false));
  Run(model, "fold-identity");
  REQUIRE(model.proto().graph().node_size() == 1);  // from the input to the output
  CHECK(model.proto().graph().node(0).input(0) == "v0");
  CHECK(model.proto().graph().node(0).output(0) == "v100000");
}

TEST_CASE("sort on a chain that is written backwards") {
  Model model = Model::FromProto(Chain("Neg", true));
  CHECK(Run(model, "sort") == 1);
  CHECK(model.proto().graph().node(0).input(0) == "v0");
  CHECK(model.proto().graph().node(kNodes - 1).output(0) == "v100000");
}

TEST_CASE("name-nodes on a chain without names") {
  Model model = Model::FromProto(Chain("Neg", false));
  CHECK(Run(model, "name-nodes") == kNodes);
  CHECK(model.proto().graph().node(kNodes - 1).name() == "Neg_99999");
}

TEST_CASE("constants lifted and made one") {
  onnx::ModelProto proto = testing::ParseGraph("g (float x) => (float y) { y = Neg(x) }");
  for (int i = 0; i < kNodes / 2; ++i) {
    onnx::NodeProto& constant = *proto.mutable_graph()->add_node();
    constant.set_op_type("Constant");
    constant.add_output(fmt::format("c{}", i));
    onnx::AttributeProto& value = *constant.add_attribute();
    value.set_name("value_int");
    value.set_type(onnx::AttributeProto::INT);
    value.set_i(i % 10);
    onnx::NodeProto& reader = *proto.mutable_graph()->add_node();
    reader.set_op_type("Neg");
    reader.add_input(constant.output(0));
    reader.add_output(fmt::format("r{}", i));
  }
  Model model = Model::FromProto(std::move(proto));
  Run(model, "lift-constants");
  CHECK(model.proto().graph().initializer_size() == kNodes / 2);
  Run(model, "dedupe-initializers");
  CHECK(model.proto().graph().initializer_size() == 10);
  CHECK(model.proto().graph().node(kNodes / 2).input(0) == "c9");
}

}  // namespace
}  // namespace gomai
