// Extracting: exactly what was asked for, fed by exactly what was named, and errors that name what doesn't fit.
#include "lib/split/extract.h"

#include <catch2/catch_test_macros.hpp>

#include "lib/graph/verify.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

using Strings = std::vector<std::string>;

constexpr const char* kGraph = R"(g (float[N, 4] x, float[N, 4] z, float[4] v) => (float[N, 4] y, float[N, 4] t)
  <float[4] w = {1, 2, 3, 4}, float[4] v = {5, 6, 7, 8}, int64[2] sizes = {2, 2}, bool c = {1}> {
    a = Add (x, w)
    p, q = Split <axis = 1> (a, sizes)
    b = Concat <axis = 1> (p, q)
    d = Mul (b, v)
    e = If (c) <then_branch = then () => (float[N, 4] r) { r = Add (d, z) },
                else_branch = other () => (float[N, 4] s) { s = Neg (d) }>
    y = Exp (e)
    t = Neg (d)
  })";

struct Result {
  absl::Status status;
  onnx::GraphProto graph;
  Strings warnings;
};

Result Take(const ExtractOptions& options, const char* text = kGraph) {
  const Model model = testing::LoadText(text);
  const Index index(model.proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  REQUIRE(shapes.ok());
  Result result;
  const absl::StatusOr<Model> taken =
      Extract(model, index, *shapes, options,
              Diagnostics([&](const Diagnostic& diagnostic) { result.warnings.push_back(diagnostic.message); }));
  result.status = taken.status();
  if (taken.ok()) {
    result.graph = taken->proto().graph();
    const absl::Status sound = VerifyForWriting(*taken, Index(taken->proto()));
    CAPTURE(sound.ToString());
    CHECK(sound.ok());
  }
  return result;
}

template <typename List>
Strings Names(const List& list) {
  Strings names;
  for (const auto& element : list) {
    names.push_back(element.name());
  }
  return names;
}

Strings Ops(const onnx::GraphProto& graph) {
  Strings ops;
  for (const onnx::NodeProto& node : graph.node()) {
    ops.push_back(node.op_type());
  }
  return ops;
}

std::string Refused(const ExtractOptions& options) {
  const Result result = Take(options);
  REQUIRE_FALSE(result.status.ok());
  return std::string(Message(result.status));
}

TEST_CASE("without inputs the model's own are taken that are needed, in its order") {
  const Result all = Take({.outputs = {"t", "y"}});
  CHECK(Names(all.graph.input()) == Strings{"x", "z", "v"});
  CHECK(Names(all.graph.output()) == Strings{"t", "y"});
  CHECK(all.graph.node_size() == 7);
  const Result one = Take({.outputs = {"t"}});
  CHECK(Names(one.graph.input()) == Strings{"x", "v"});
  CHECK(Names(one.graph.initializer()) == Strings{"w", "v", "sizes"});
  const Result inner = Take({.outputs = {"a"}});
  CHECK(Ops(inner.graph) == Strings{"Add"});
  CHECK(inner.graph.output(0).type().tensor_type().shape().dim_size() == 2);
}

TEST_CASE("inputs cut: what they come from stays behind, captures of bodies count") {
  const Result result = Take({.inputs = {"z", "d"}, .outputs = {"y"}});
  CHECK(Names(result.graph.input()) == Strings{"z", "d"});
  CHECK(Ops(result.graph) == Strings{"If", "Exp"});
  CHECK(Names(result.graph.initializer()) == Strings{"c"});
}

TEST_CASE("one output of a node is fed while another is needed") {
  const Result result = Take({.inputs = {"x", "q"}, .outputs = {"b"}});
  CHECK(Names(result.graph.input()) == Strings{"x", "q"});
  CHECK(Ops(result.graph) == Strings{"Add", "Split", "Concat"});
  CHECK(result.graph.node(1).output(0) == "p");
  CHECK(result.graph.node(1).output(1) == "q_unused");
}

TEST_CASE("weights may be fed; an overridable one stays what it is unless it is named") {
  const Result result = Take({.inputs = {"b", "v"}, .outputs = {"d"}});
  CHECK(Names(result.graph.input()) == Strings{"b", "v"});
  CHECK(result.graph.initializer_size() == 0);
  const Result weight = Take({.inputs = {"x", "w"}, .outputs = {"a"}});
  CHECK(Names(weight.graph.input()) == Strings{"x", "w"});
  CHECK(weight.graph.initializer_size() == 0);
  const Result kept = Take({.inputs = {"b"}, .outputs = {"d"}});
  CHECK(Names(kept.graph.input()) == Strings{"b", "v"});
  CHECK(Names(kept.graph.initializer()) == Strings{"v"});
}

TEST_CASE("an input that is an output too, and a weight as an output") {
  const Result result = Take({.inputs = {"a"}, .outputs = {"a", "p", "w"}});
  CHECK(Names(result.graph.input()) == Strings{"a"});
  CHECK(Names(result.graph.output()) == Strings{"a", "p", "w"});
  CHECK(Ops(result.graph) == Strings{"Split"});
}

TEST_CASE("what doesn't fit is refused by name") {
  CHECK(Refused({.inputs = {"d"}, .outputs = {"y"}}).find("the outputs need an input besides: 'z'") !=
        std::string::npos);
  CHECK(Refused({.inputs = {"d", "z", "x"}, .outputs = {"y"}}).find("no output needs the input 'x'") !=
        std::string::npos);
  CHECK(Refused({.outputs = {"yy"}}).find("outputs: no tensor 'yy'") != std::string::npos);
  CHECK(Refused({.outputs = {"y", "y"}}).find("named twice") != std::string::npos);
  CHECK(Refused({.outputs = {}}).find("which outputs") != std::string::npos);
}

TEST_CASE("missing inputs are added, unused ones dropped, if that was asked for") {
  const Result added = Take({.inputs = {"d"}, .outputs = {"y"}, .add_missing_inputs = true});
  CHECK(Names(added.graph.input()) == Strings{"d", "z"});
  const Result dropped = Take({.inputs = {"x", "d", "z"}, .outputs = {"y"}, .drop_unused_inputs = true});
  CHECK(Names(dropped.graph.input()) == Strings{"d", "z"});
  REQUIRE(dropped.warnings.size() == 1);
  CHECK(dropped.warnings[0].find("'x'") != std::string::npos);
}

TEST_CASE("nodes out of order come out in order") {
  const Result result = Take({.outputs = {"y"}}, "g (float[4] x) => (float[4] y) { y = Exp (a)  a = Neg (x) }");
  CHECK(Ops(result.graph) == Strings{"Neg", "Exp"});
}

}  // namespace
}  // namespace gomai
