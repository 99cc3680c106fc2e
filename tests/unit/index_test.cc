// Scopes, identities, uses, captures, constness, addresses and order.
#include "lib/graph/index.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <set>

#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::ParseGraph;
using testing::ParseModel;

constexpr const char* kNested = R"(
g (float[N] x, bool c) => (float[M] y) <float[1] w = {2}> {
  [scale] a = Mul(x, w)
  b = Relu(a)
  [choose] y = If(c) <
    then_branch = t () => (float[K] t_out) {
      [inner] t_sum = Add(a, b)
      [deep] t_out = If(c) <
        then_branch = tt () => (float[L] tt_out) { tt_out = Mul(a, w) },
        else_branch = te () => (float[L] te_out) { te_out = Identity(t_sum) }
      >
    },
    else_branch = e () => (float[K] e_out) { [inner] e_out = Neg(b) }
  >
}
)";

std::vector<std::string> Names(const Index& index, const std::vector<ValueId>& ids) {
  std::vector<std::string> names;
  for (const ValueId id : ids) {
    names.emplace_back(id == kNone ? "" : std::string(index.value(id).name));
  }
  return names;
}

std::vector<std::string> Uses(const Index& index, ValueId id) {
  std::vector<std::string> uses;
  for (const Index::Use& use : index.value(id).uses) {
    uses.push_back(fmt::format("{} {}", index.Address(use.node), use.input));
  }
  return uses;
}

NodeId Find(const Index& index, std::string_view address) {
  const absl::StatusOr<NodeId> id = index.FindNode(address);
  INFO(address << ": " << id.status());
  REQUIRE(id.ok());
  return *id;
}

using Strings = std::vector<std::string>;

TEST_CASE("scopes and nodes come depth first in file order") {
  const onnx::ModelProto model = ParseGraph(kNested);
  const Index index(model);
  REQUIRE(index.scopes().size() == 5);
  REQUIRE(index.nodes().size() == 8);
  Strings ops;
  for (const Index::Node& node : index.nodes()) {
    ops.push_back(node.proto->op_type());
  }
  CHECK(ops == Strings{"Mul", "Relu", "If", "Add", "If", "Mul", "Identity", "Neg"});
  CHECK(index.scope(0).nodes == std::vector<NodeId>{0, 1, 2});
  CHECK(index.scope(1).nodes == std::vector<NodeId>{3, 4});
  CHECK(index.scope(4).first_node == 7);
  CHECK(index.node(2).bodies == std::vector<ScopeId>{1, 4});
  CHECK(index.scope(3).attribute == "else_branch");
  CHECK(index.scope(3).parent == 1);
  CHECK(index.scope(3).owner == 4);
  CHECK(index.IsInside(3, 0));
  CHECK(index.IsInside(3, 1));
  CHECK_FALSE(index.IsInside(3, 4));
  CHECK_FALSE(index.IsInside(0, 1));
}

TEST_CASE("a capture is a use at every enclosing node") {
  const onnx::ModelProto model = ParseGraph(kNested);
  const Index index(model);
  const ValueId a = index.FindValue(0, "a");
  CHECK(Uses(index, a) == Strings{"#1 0", "choose -1", "choose::then_branch::inner 0", "choose::then_branch::deep -1",
                                  "choose::then_branch::deep::then_branch::#0 0"});
  CHECK(Names(index, index.node(2).captures) == Strings{"a", "b", "c", "w"});
  CHECK(Names(index, index.node(4).captures) == Strings{"a", "w", "t_sum"});
  CHECK(index.value(index.FindValue(0, "c")).uses.size() == 3);  // choose 0, choose -1, deep 0
}

TEST_CASE("a body's output may name an outer value, its input or its initializer") {
  const onnx::ModelProto model = ParseGraph(R"(
g (float[N] x, bool c) => (float[M] y, float[M] z) {
  y = If(c) <
    then_branch = t () => (float[K] x) { },
    else_branch = e () => (float[K] k) <float[1] k = {1}> { }
  >
  z = Loop(, c, x) < body = b (int64 i, bool p, float[N] s) => (bool p, float[N] s) { } >
}
)");
  const Index index(model);
  CHECK(Names(index, index.node(0).captures) == Strings{"x"});
  CHECK(Uses(index, index.FindValue(0, "x")) == Strings{"#0 -1", "#1 2"});
  CHECK(index.node(1).inputs[0] == kNone);
  CHECK(index.node(1).captures.empty());
  const ValueId s = index.FindValue(index.node(1).bodies[0], "s");
  CHECK(index.value(s).is_graph_output);
  CHECK(index.value(s).origin == Index::Origin::kInput);
  CHECK_FALSE(index.value(index.FindValue(0, "x")).is_graph_output);
}

TEST_CASE("an inner definition wins wherever it stands, sibling bodies are apart") {
  const onnx::ModelProto model = ParseGraph(R"(
g (float[N] x, bool c) => (float[M] y) {
  v = Neg(x)
  y = If(c) <
    then_branch = t () => (float[K] o) { o = Relu(v)  v = Abs(x) },
    else_branch = e () => (float[K] o) { o = Relu(v) }
  >
}
)");
  const Index index(model);
  const ScopeId then_scope = index.node(1).bodies[0];
  const Index::Node& reader = index.node(index.scope(then_scope).nodes[0]);
  CHECK(index.value(reader.inputs[0]).scope == then_scope);
  CHECK(Names(index, index.node(1).captures) == Strings{"x", "v"});
  CHECK(index.Resolve(then_scope, "x") == index.FindValue(0, "x"));
  CHECK(index.Resolve(then_scope, "nowhere") == kNone);
}

TEST_CASE("infos, outputs and origins") {
  onnx::ModelProto model = ParseGraph(kNested);
  onnx::ValueInfoProto& info = *model.mutable_graph()->add_value_info();
  info.set_name("a");
  *model.mutable_graph()->add_input() = info;
  model.mutable_graph()->mutable_input(2)->set_name("w");
  const Index index(model);
  CHECK(index.value(index.FindValue(0, "a")).info == &model.graph().value_info(0));
  CHECK(index.value(index.FindValue(0, "y")).info == &model.graph().output(0));
  CHECK(index.value(index.FindValue(0, "y")).is_graph_output);
  const Index::Value& w = index.value(index.FindValue(0, "w"));
  CHECK(w.origin == Index::Origin::kInput);
  CHECK(w.initializer == &model.graph().initializer(0));
  CHECK_FALSE(index.IsConstant(index.FindValue(0, "w")));  // overridable
}

constexpr const char* kFunctions = R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1, "other" : 1]>
g (float[N] x) => (float[N] y) { a = local.Scale(x)  b = other.Noise(a)  y = local.Twice(b) }
<domain: "local", opset_import: ["" : 17]> Scale (i) => (o) { [mul] o = Add(i, i) }
<domain: "local", opset_import: ["" : 17, "other" : 1]> Twice (i) => (o) { j = other.Noise(i)  o = Add(j, i) }
<domain: "other", opset_import: ["" : 17]> Noise (i) => (o) { k = RandomNormalLike(i)  o = Add(i, k) }
)";

TEST_CASE("functions are scopes of their own") {
  const onnx::ModelProto model = ParseModel(kFunctions);
  const Index index(model);
  REQUIRE(index.scopes().size() == 4);
  CHECK(index.scope(1).parent == kNone);
  CHECK(index.ScopeName(1) == "function Scale");
  CHECK(index.value(index.FindValue(1, "i")).origin == Index::Origin::kInput);
  CHECK(index.value(index.FindValue(1, "o")).is_graph_output);
  CHECK(index.Resolve(1, "x") == kNone);
  CHECK(index.CalledFunction(*index.node(0).proto) == 1);
  CHECK(index.Address(Find(index, "Scale()::mul")) == "Scale()::mul");
  CHECK(index.Address(index.scope(2).nodes[1]) == "Twice()::#1");
  CHECK(Find(index, "Twice()::#1") == index.scope(2).nodes[1]);
}

TEST_CASE("functions of one name are told apart by domain") {
  onnx::ModelProto model = ParseModel(kFunctions);
  model.mutable_functions(1)->set_name("Scale");
  model.mutable_functions(1)->set_domain("other");
  const Index index(model);
  CHECK(index.ScopeName(2) == "function other/Scale");
  CHECK(index.Address(index.scope(2).nodes[1]) == "other/Scale()::#1");
  CHECK(Find(index, "other/Scale()::#1") == index.scope(2).nodes[1]);
}

TEST_CASE("constness") {
  const onnx::ModelProto model = ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "vendor" : 1, "local" : 1]>
g (float[N] x, bool c) => (float[N] y) <float[1] w = {1}, int64[1] n = {3}, bool t = {1}> {
  late = Neg(early)
  early = Neg(w)
  dyn = Add(x, w)
  noise = RandomNormal <shape = [3]> ()
  like = Add(noise, w)
  state = vendor.Counter()
  computed = vendor.Table(w)
  chosen = If(t) < then_branch = a () => (float[K] o) { o = Neg(early) },
                   else_branch = b () => (float[K] p) { p = Identity(w) } >
  reads_input = If(t) < then_branch = a () => (float[K] q) { q = Neg(x) },
                        else_branch = b () => (float[K] r) { r = Identity(w) } >
  draws = If(t) < then_branch = a () => (float[K] s) { s = RandomUniform <shape = [1]> () },
                  else_branch = b () => (float[K] u) { u = Identity(w) } >
  called = local.Pure(w)
  drawn = local.Wraps(w)
  y = Sum(late, dyn, like, state, computed, chosen, reads_input, draws, called, drawn)
  cyc_a = Neg(cyc_b)
  cyc_b = Neg(cyc_a)
  missing = Neg(nowhere)
  kept = Dropout(w)
  trained = Dropout(w, , t)
}
<domain: "local", opset_import: ["" : 17]> Pure (i) => (o) { o = Add(i, i) }
<domain: "local", opset_import: ["" : 17, "local" : 1]> Wraps (i) => (o) { o = local.Noise(i) }
<domain: "local", opset_import: ["" : 17]> Noise (i) => (o) { k = RandomNormalLike(i)  o = Add(i, k) }
)");
  const Index index(model);
  std::set<std::string> constant;
  for (ValueId id = 0; id < static_cast<ValueId>(index.values().size()); ++id) {
    if (index.value(id).scope == 0 && index.IsConstant(id)) {
      constant.emplace(index.value(id).name);
    }
  }
  CHECK(constant == std::set<std::string>{"w", "n", "t", "late", "early", "computed", "chosen", "called", "kept"});
  CHECK(index.IsConstantNode(Find(index, "#1")));
  CHECK_FALSE(index.IsConstantNode(Find(index, "#2")));
}

TEST_CASE("addresses: names, positions, op types, steps") {
  const onnx::ModelProto model = ParseGraph(kNested);
  const Index index(model);
  CHECK(Find(index, "scale") == 0);
  CHECK(Find(index, "#1") == 1);
  CHECK(Find(index, "Relu") == 1);
  CHECK(Find(index, "deep") == 4);  // a bare name searches all scopes
  CHECK(Find(index, "choose::then_branch::deep::else_branch::#0") == 6);
  CHECK(Find(index, "#2::then_branch::#1::else_branch::Identity") == 6);
  CHECK(Find(index, "deep::else_branch::Identity") == 6);
  CHECK(index.Describe(1) == "#1 (Relu)");
  CHECK(index.ScopeName(3) == "choose::then_branch::deep::else_branch");

  const absl::Status twice = index.FindNode("inner").status();
  CHECK(twice.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Message(twice) ==
        "'inner' means 2 nodes: choose::then_branch::inner (Add), choose::else_branch::inner (Neg); "
        "give one of these addresses");
  CHECK(index.FindNode("If").status().code() == absl::StatusCode::kInvalidArgument);
  const absl::Status near = index.FindNode("choos").status();
  CHECK(near.code() == absl::StatusCode::kNotFound);
  CHECK(Message(near) == "no node 'choos'; did you mean 'choose'?");
  CHECK(Message(index.FindNode("choose::then_branch::innr").status()) ==
        "no node 'choose::then_branch::innr'; did you mean 'choose::then_branch::inner', 'choose::then_branch::deep' "
        "or 'choose::else_branch::inner'?");
  for (const char* bad : {"", "#", "#3", "#-1", "choose::", "choose::then_branch", "choose::then_branch::#9", "::"}) {
    INFO(bad);
    CHECK(index.FindNode(bad).status().code() == absl::StatusCode::kNotFound);
  }
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    CHECK(Find(index, index.Address(id)) == id);
  }
}

TEST_CASE("whatever the names, an address finds its node again") {
  onnx::ModelProto model = ParseGraph(kNested);
  onnx::GraphProto& graph = *model.mutable_graph();
  onnx::GraphProto& then_branch = *graph.mutable_node(2)->mutable_attribute(0)->mutable_g();
  const std::vector<std::vector<std::string>> cases = {
      {"#1", "#0", "x", "choose", "b"},     // names that look like positions of others
      {"Relu", "If", "Add", "Neg", "Mul"},  // like op types
      {"a::b", "choose::then_branch::#0", "c", "then_branch", "a"},
      {"same", "same", "same", "same", "same"},
      {"n", "choose::then_branch::n", "choose", "n", "m"},
      {"", "#2::then_branch::#1", "", "", "#00"},
      {"#02", "#2", "", "", ""},
  };
  for (const std::vector<std::string>& names : cases) {
    for (int i = 0; i < 3; ++i) {
      graph.mutable_node(i)->set_name(names[static_cast<size_t>(i)]);
    }
    then_branch.mutable_node(0)->set_name(names[3]);
    then_branch.mutable_node(1)->set_name(names[4]);
    const Index index(model);
    for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
      INFO(names[0] << " | " << names[1] << ": " << index.Address(id));
      CHECK(Find(index, index.Address(id)) == id);
    }
  }
  graph.mutable_node(0)->set_name("#1");
  const Index index(model);
  CHECK(Find(index, "#1") == 0);  // the exact name wins
}

TEST_CASE("a list of graphs shows its index") {
  onnx::ModelProto model = ParseGraph("g (float[N] x) => (float[N] y) { [many] y = Custom(x) }");
  onnx::AttributeProto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
  attribute.set_name("branches");
  attribute.set_type(onnx::AttributeProto::GRAPHS);
  *attribute.add_graphs() = ParseGraph("g () => (float[N] p) { p = Neg(x) }").graph();
  *attribute.add_graphs() = ParseGraph("g () => (float[N] q) { q = Abs(x) }").graph();
  const Index index(model);
  CHECK(index.Address(2) == "many::branches[1]::#0");
  CHECK(Find(index, "many::branches[1]::#0") == 2);
  CHECK(index.value(index.FindValue(0, "x")).uses.size() == 4);
}

TEST_CASE("values by name") {
  const onnx::ModelProto model = ParseGraph(kNested);
  const Index index(model);
  CHECK(index.RequireValue("a").ok());
  CHECK(Message(index.RequireValue("t_sum").status()) ==
        "no tensor 't_sum' in the main graph; it is inside choose::then_branch");
  CHECK(index.RequireValue("t_sun").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("topological order is stable and counts captures") {
  const onnx::ModelProto model = ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) {
  y = If(c) < then_branch = a () => (float[K] o) { o = Neg(late) }, else_branch = b () => (float[K] p) { p = Neg(x) } >
  first = Neg(x)
  second = Abs(x)
  late = Add(second, first)
}
)");
  const Index index(model);
  const absl::StatusOr<std::vector<NodeId>> order = TopologicalOrder(index, 0);
  REQUIRE(order.ok());
  CHECK(*order == std::vector<NodeId>{3, 4, 5, 0});
  const onnx::ModelProto ordered = ParseGraph(kNested);
  const Index ordered_index(ordered);
  CHECK(*TopologicalOrder(ordered_index, 0) == std::vector<NodeId>{0, 1, 2});
}

TEST_CASE("a cycle is named by its nodes") {
  const onnx::ModelProto model = ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) {
  [ok] k = Neg(x)
  [p] a = Add(b, k)
  [q] b = If(c) < then_branch = t () => (float[K] o) { o = Neg(a) }, else_branch = e () => (float[K] r) { r = Neg(x) } >
  [after] y = Neg(b)
  [self] s = Add(s, x)
}
)");
  const Index index(model);
  const absl::Status status = TopologicalOrder(index, 0).status();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(Message(status) ==
        "main graph: a cycle through p (Add), q (If); another: self (Add); no order exists in which "
        "each node comes after what it reads");
}

TEST_CASE("broken graphs are indexed, too") {
  const onnx::ModelProto empty;
  const Index nothing(empty);
  CHECK(nothing.scopes().size() == 1);
  CHECK(nothing.nodes().empty());
  const onnx::ModelProto twice = ParseGraph("g (float[N] x) => (float[N] y) { y = Neg(x)  y = Abs(x)  z = Neg(no) }");
  const Index index(twice);
  CHECK(index.value(index.FindValue(0, "y")).producer == 0);  // the first definition counts
  CHECK(index.node(2).inputs[0] == kNone);
}

double Seconds(const std::chrono::steady_clock::time_point& start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST_CASE("100,000 nodes in a chain are quick") {
  onnx::ModelProto model = ParseGraph("g (float[N] v0) => (float[N] v100000) { }");
  for (int i = 0; i < 100000; ++i) {
    onnx::NodeProto& node = *model.mutable_graph()->add_node();
    node.set_op_type("Neg");
    node.set_name("same");
    node.add_input(fmt::format("v{}", i));
    node.add_output(fmt::format("v{}", i + 1));
  }
  const auto start = std::chrono::steady_clock::now();
  const Index index(model);
  CHECK(index.nodes().size() == 100000);
  CHECK(TopologicalOrder(index, 0)->back() == 99999);
  CHECK(index.Address(99999) == "#99999");
  CHECK(Seconds(start) < 2);
}

TEST_CASE("bodies 1,000 deep don't overflow the stack") {
  onnx::ModelProto model = ParseGraph("g (bool c, float[N] x) => (float[N] y) { }");
  onnx::GraphProto* graph = model.mutable_graph();
  constexpr int kDepth = 1000;
  for (int i = 0; i < kDepth; ++i) {
    onnx::NodeProto& node = *graph->add_node();
    node.set_op_type("If");
    node.add_input("c");
    node.add_output(fmt::format("y{}", i));
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name("then_branch");
    attribute.set_type(onnx::AttributeProto::GRAPH);
    graph = attribute.mutable_g();
  }
  onnx::NodeProto& last = *graph->add_node();
  last.set_op_type("Neg");
  last.add_input("x");
  last.add_output("z");
  const auto start = std::chrono::steady_clock::now();
  const Index index(model);
  CHECK(index.scopes().size() == kDepth + 1);
  CHECK(index.value(index.FindValue(0, "x")).uses.size() == kDepth + 1);
  const std::string address = index.Address(kDepth);
  CHECK(Find(index, address) == kDepth);
  CHECK(Seconds(start) < 5);
}

TEST_CASE("the real models") {
  for (const auto& [path, main_nodes, body_nodes] : {std::tuple{testing::StrippedModel(), size_t{2377}, size_t{235}},
                                                     std::tuple{testing::TinyModel(), size_t{0}, size_t{0}}}) {
    const absl::StatusOr<Model> model = Model::Load(path);
    INFO(path << ": " << model.status());
    REQUIRE(model.ok());
    const Index index(model->proto());
    if (main_nodes != 0) {
      CHECK(index.scope(0).nodes.size() == main_nodes);
      CHECK(index.nodes().size() == main_nodes + body_nodes);
    }
    const absl::StatusOr<std::vector<NodeId>> order = TopologicalOrder(index, 0);
    REQUIRE(order.ok());
    CHECK(*order == index.scope(0).nodes);
    for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
      CHECK(Find(index, index.Address(id)) == id);
      for (size_t i = 0; i < index.node(id).inputs.size(); ++i) {
        CHECK((index.node(id).inputs[i] == kNone) == index.node(id).proto->input(static_cast<int>(i)).empty());
      }
    }
  }
}

}  // namespace
}  // namespace gomai
