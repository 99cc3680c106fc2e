// Counts, name scopes, unknown operators, and causes of dynamic shapes.
#include "lib/graph/census.h"

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "lib/graph/dynamic.h"
#include "lib/shape/infer.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::LoadText;
using testing::ParseGraph;
using testing::ParseModel;
using Lines = std::vector<std::string>;

Lines Text(const std::vector<Count>& counts) {
  Lines lines;
  for (const Count& count : counts) {
    lines.push_back(fmt::format("{} {}", count.count, count.name));
  }
  return lines;
}

TEST_CASE("operators by kind of scope") {
  const onnx::ModelProto model = ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1, "vendor" : 1]>
g (float[N] x, bool c) => (float[N] y) {
  a = Neg(x)  b = Neg(a)  d = vendor.Op(b)
  y = If(c) < then_branch = t () => (float[N] o) { o = local.F(d) },
              else_branch = e () => (float[N] o) { p = Abs(d)  o = Neg(p) } >
}
<domain: "local", opset_import: ["" : 17]> F (i) => (o) {
  o = If(i) < then_branch = t () => (float[N] p) { p = Exp(i) }, else_branch = e () => (float[N] q) { q = Neg(i) } >
}
)");
  const std::vector<OpCensus> censuses = CountOperators(Index(model));
  REQUIRE(censuses.size() == 3);
  CHECK(censuses[0].kind == "main graph");
  CHECK(Text(censuses[0].ops) == Lines{"2 Neg", "1 If", "1 vendor.Op"});
  CHECK(censuses[1].kind == "If bodies");
  CHECK(censuses[1].scopes == 2);
  CHECK(Text(censuses[1].ops) == Lines{"1 Abs", "1 Neg", "1 local.F"});
  CHECK(censuses[2].kind == "functions");
  CHECK(censuses[2].scopes == 1);
  CHECK(censuses[2].nodes == 3);
}

TEST_CASE("weights, wherever they are") {
  onnx::ModelProto proto = ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) <float[3] w = {1, 2, 3}> {
  k = Constant <value = int64[2] {1, 2}> ()
  y = If(c) < then_branch = t () => (float[N] o) <float[4] inner = {1, 2, 3, 4}> { o = Add(inner, w) },
              else_branch = e () => (float[N] o) { o = Neg(x) } >
}
)");
  onnx::TensorProto& outside = *proto.mutable_graph()->add_initializer();
  outside.set_name("outside");
  outside.set_data_type(onnx::TensorProto::FLOAT16);
  outside.add_dims(100);
  outside.set_data_location(onnx::TensorProto::EXTERNAL);
  outside.add_external_data()->set_key("location");
  outside.mutable_external_data(0)->set_value("w.data");
  const Index index(proto);
  const WeightCensus census = CountWeights(index, 2);
  CHECK(census.tensors == 3);
  CHECK(census.elements == 107);
  CHECK(census.inline_bytes == 28);
  CHECK(census.external_bytes == 200);
  CHECK(Text(census.files) == Lines{"200 w.data"});
  CHECK(census.constants == 1);
  CHECK(census.constant_bytes == 16);
  REQUIRE(census.largest.size() == 2);
  CHECK(census.largest[0].name == "outside");
  CHECK(census.largest[0].file == "w.data");
  CHECK(census.largest[1].name == "#1::then_branch inner");
}

Lines ScopeLines(const NameScopes& tree) {
  Lines lines;
  for (const NameScope& scope : tree.scopes) {
    lines.push_back(fmt::format("{} {} nodes={} yields={}", scope.depth, scope.path, scope.nodes, scope.yields));
  }
  return lines;
}

TEST_CASE("name scopes, what they hold and what leaves them") {
  const onnx::ModelProto model = ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y, float[N] q) <float[1] w = {1}> {
  ["/a/k"] k = Neg(w)
  ["/a/b/n"] n = Neg(x)
  ["/a/b/m"] m = Add(n, k)
  ["/a/c/d/o"] o = Abs(m)
  ["/e/p"] p = If(c) < then_branch = t () => (float[N] u) { u = Neg(o) }, else_branch = f () => (float[N] v) { v = Neg(m) } >
  ["plain/q"] q = Relu(p)
  [none] y = Exp(q)
}
)");
  const NameScopes tree = FindNameScopes(Index(model));
  CHECK(ScopeLines(tree) == Lines{"0 /a nodes=4 yields=2", "1 /a/b nodes=2 yields=1", "1 /a/c nodes=1 yields=1",
                                  "0 /e nodes=1 yields=1", "0 plain nodes=1 yields=1"});
  CHECK(tree.unscoped_nodes == 1);
  CHECK(Text(tree.scopes[0].ops) == Lines{"2 Neg", "1 Abs", "1 Add"});
}

TEST_CASE("operators and opsets without a schema") {
  const auto found = [](const char* text) {
    const onnx::ModelProto model = ParseModel(text);
    Lines lines;
    for (const UnknownOperators& unknown : FindUnknownOperators(model, Index(model))) {
      lines.push_back(fmt::format("{}: {}", unknown.location, unknown.message));
    }
    return lines;
  };
  CHECK(found(R"(<ir_version: 9, opset_import: ["" : 17, "local" : 1, "vendor" : 1]>
g (float[N] x) => (float[N] y) { [a] a = vendor.Op(x)  b = vendor.Op(a)  c = Novel(b)  y = local.F(c) }
<domain: "local", opset_import: ["" : 17]> F (i) => (o) { o = Neg(i) })") ==
        Lines{"#2 (Novel): ONNX's schemas don't know Novel", "a (Op): ONNX's schemas don't know vendor.Op (2 nodes)"});
  const Lines future =
      found(R"(<ir_version: 9, opset_import: ["" : 9999]> g (float[N] x) => (float[N] y) { y = Neg(x) })");
  REQUIRE(future.size() == 1);
  CHECK(future[0].starts_with("opset imports: opset 9999 of ai.onnx is not known; 1 to "));
}

// "reaches alone cause: why", and the dynamic values.
std::pair<Lines, Lines> Dynamic(const char* graph) {
  const Model model = LoadText(graph);
  const Index index(model.proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  REQUIRE(shapes.ok());
  const absl::StatusOr<DynamicReport> report =
      FindDynamic(index, [&](ValueId id) { return shapes->Find(index.value(id).name); });
  REQUIRE(report.ok());
  Lines causes;
  for (const DynamicCause& cause : report->causes) {
    causes.push_back(fmt::format(
        "{} {} {}: {}", cause.values, cause.alone,
        cause.node != kNone ? index.Describe(cause.node) : std::string(index.value(cause.input).name), cause.why));
  }
  Lines values;
  for (const DynamicValue& value : report->dynamic) {
    values.emplace_back(index.value(value.value).name);
  }
  return {causes, values};
}

TEST_CASE("nothing dynamic") {
  CHECK(Dynamic("g (float[2] x) => (float[2] y) { y = Neg(x) }") == std::pair<Lines, Lines>{});
}

TEST_CASE("an open dim spreads, also through a Shape") {
  const auto [causes, values] = Dynamic(R"(
g (float[N, 3] x, float[4] z, int64[1] size) => (float[N, 3] y) {
  y = Relu(x)
  s = Shape(x)
  flat = ConstantOfShape(s)
  kept = Neg(z)
  spread = ConstantOfShape(size)
}
)");
  CHECK(values == Lines{"x", "y", "flat", "spread"});
  CHECK(causes == Lines{"3 3 x: N is open", "1 1 size: its values decide a shape"});
}

TEST_CASE("data decides a shape") {
  const auto [causes, values] = Dynamic(R"(
g (float[4] x) => (int64[1, M] y) {
  [nz] y = NonZero(x)
  [t] t = Transpose <perm = [1, 0]> (y)
  [u] u, i = Unique(t)
}
)");
  CHECK(values == Lines{"y", "t", "u", "i"});
  CHECK(causes ==
        Lines{"2 2 nz (NonZero): as many columns as non-zero elements", "2 2 u (Unique): as many elements as differ"});
}

TEST_CASE("an operator that nothing is known about") {
  const onnx::ModelProto proto = ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "vendor" : 1]>
g (float[4] x) => (float[4] y) { [op] a = vendor.Op(x)  y = Neg(a) }
)");
  const Index index(proto);
  const absl::StatusOr<DynamicReport> report = FindDynamic(
      index, [&](ValueId id) { return index.value(id).info == nullptr ? nullptr : &index.value(id).info->type(); });
  REQUIRE(report.ok());
  REQUIRE(report->causes.size() == 1);
  CHECK(report->causes[0].kind == DynamicCause::Kind::kUnknown);
  CHECK(report->unranked == 1);
  CHECK(report->values == 3);
}

TEST_CASE("the real model's counts") {
  const absl::StatusOr<Model> model = Model::Load(testing::StrippedModel());
  REQUIRE(model.ok());
  const Index index(model->proto());
  const std::vector<OpCensus> censuses = CountOperators(index);
  REQUIRE(censuses.size() == 3);
  CHECK(censuses[0].nodes == 2377);
  CHECK(censuses[1].nodes + censuses[2].nodes == 235);
  CHECK(CountWeights(index).external_bytes == 185212672);
  CHECK(FindUnknownOperators(model->proto(), index).empty());
  CHECK(FindNameScopes(index).scopes.front().path == "/transform");
}

}  // namespace
}  // namespace gomai
