// Every edit, what it must not touch, what it must refuse, and what it says it did.
#include "lib/graph/editor.h"

#include <onnx/defs/printer.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::LoadText;
using testing::ParseGraph;
using testing::ParseModel;
using Lines = std::vector<std::string>;

constexpr const char* kChain = R"(
g (float[N] x, bool cond) => (float[N] y) <float[1] w = {2}, float[1] unused = {3}> {
  [first] a = Mul(x, w)
  [second] b = Relu(a)
  [third] c = Identity(b)
  [choose] d = If(cond) <
    then_branch = t () => (float[N] t_out) { [inner] t_out = Add(b, c) },
    else_branch = e () => (float[N] e_out) {
      [nested] e_out = If(cond) <
        then_branch = tt () => (float[N] tt_out) { [innermost] tt_out = Neg(c) },
        else_branch = te () => (float[N] te_out) { te_out = Identity(w) }
      >
    }
  >
  [last] y = Add(d, c)
}
)";

std::string Bytes(const Model& model) { return model.proto().SerializePartialAsString(); }
std::string Bytes(const onnx::ModelProto& model) { return model.SerializePartialAsString(); }

NodeId Node(const Editor& editor, std::string_view address) {
  const absl::StatusOr<NodeId> id = editor.index().FindNode(address);
  INFO(address << ": " << id.status());
  REQUIRE(id.ok());
  return *id;
}

ValueId Value(const Editor& editor, std::string_view name, ScopeId scope = 0) {
  const ValueId id = editor.index().FindValue(scope, name);
  INFO(name);
  REQUIRE(id != kNone);
  return id;
}

// Commits and compares with the expected model (text form) and lines.
void CheckCommit(Model& model, Editor& editor, const char* expected, const Lines& lines) {
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  CHECK(changes->lines == lines);
  CHECK(onnx::ProtoToString(model.proto()) == onnx::ProtoToString(ParseGraph(expected)));
  CHECK(Bytes(model) == Bytes(ParseGraph(expected)));
}

// Commit refuses with this message; the model keeps every byte.
void CheckRefused(Model& model, Editor& editor, absl::StatusCode code, std::string_view message) {
  const std::string before = Bytes(model);
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  REQUIRE_FALSE(changes.ok());
  CHECK(Message(changes.status()) == message);
  CHECK(changes.status().code() == code);
  CHECK(Bytes(model) == before);
}

TEST_CASE("nothing done, nothing changed") {
  Model model = LoadText(kChain);
  const std::string before = Bytes(model);
  Editor editor(model);
  CHECK(editor.Commit()->empty());
  editor.MutableNode(Node(editor, "second"));
  editor.MutableNode(Node(editor, "choose"));
  editor.MutableInitializer(Value(editor, "w"));
  editor.SetInput(Node(editor, "second"), 0, "a");
  editor.RenameValue(Value(editor, "a"), "a");
  editor.ReplaceUses(Value(editor, "b"), "b");
  editor.EraseValueInfo(0, "not there");
  editor.MutableModel("nothing");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{});
  CHECK(Bytes(model) == before);
}

TEST_CASE("bypass a node: uses in bodies follow") {
  Model model = LoadText(kChain);
  Editor editor(model);
  editor.ReplaceUses(Value(editor, "c"), "b");
  editor.EraseNode(Node(editor, "third"));
  CheckCommit(model, editor, R"(
g (float[N] x, bool cond) => (float[N] y) <float[1] w = {2}, float[1] unused = {3}> {
  [first] a = Mul(x, w)
  [second] b = Relu(a)
  [choose] d = If(cond) <
    then_branch = t () => (float[N] t_out) { [inner] t_out = Add(b, b) },
    else_branch = e () => (float[N] e_out) {
      [nested] e_out = If(cond) <
        then_branch = tt () => (float[N] tt_out) { [innermost] tt_out = Neg(b) },
        else_branch = te () => (float[N] te_out) { te_out = Identity(w) }
      >
    }
  >
  [last] y = Add(d, b)
}
)",
              {"erased node third (Identity)", "replaced c by b (3 uses)"});
  // The editor reads the new model now.
  CHECK(editor.index().FindValue(0, "c") == kNone);
  CHECK(editor.Commit()->empty());
}

TEST_CASE("replacements chain, a swap doesn't") {
  const char* text = R"(
g (float[N] x, float[N] z) => (float[N] y) {
  a = Identity(x)
  b = Identity(a)
  c = Identity(b)
  p = Neg(c)
  q = Abs(p)
  y = Sub(q, z)
}
)";
  Model model = LoadText(text);
  Editor editor(model);
  editor.ReplaceUses(Value(editor, "c"), "b");
  editor.ReplaceUses(Value(editor, "b"), "a");
  editor.ReplaceUses(Value(editor, "a"), "x");
  for (const char* node : {"#0", "#1", "#2"}) {
    editor.EraseNode(Node(editor, node));
  }
  CheckCommit(model, editor, "g (float[N] x, float[N] z) => (float[N] y) { p = Neg(x)  q = Abs(p)  y = Sub(q, z) }",
              {"erased node #0 (Identity)", "erased node #1 (Identity)", "erased node #2 (Identity)",
               "replaced c by x (1 use)"});
  editor.ReplaceUses(Value(editor, "q"), "z");
  editor.ReplaceUses(Value(editor, "z"), "q");
  CheckCommit(model, editor, "g (float[N] x, float[N] z) => (float[N] y) { p = Neg(x)  q = Abs(p)  y = Sub(z, q) }",
              {"replaced z by q (1 use)", "replaced q by z (1 use)"});
}

TEST_CASE("insert after a value: its old readers read the new one") {
  Model model = LoadText("g (float[N] x) => (float[N] y, float[N] z) { a = Neg(x)  y = Abs(a)  z = Relu(a) }");
  Editor editor(model);
  onnx::NodeProto cast;
  cast.set_op_type("Cast");
  cast.set_domain("");  // as the text parser does
  cast.add_input("a");
  cast.add_output(editor.FreshName("a"));
  CHECK(cast.output(0) == "a_1");
  CHECK(editor.FreshName("a") == "a_2");
  CHECK(editor.FreshName("new") == "new");
  editor.ReplaceUses(Value(editor, "a"), cast.output(0));
  editor.InsertNode(0, cast, Node(editor, "Abs"));
  CheckCommit(model, editor,
              "g (float[N] x) => (float[N] y, float[N] z) { a = Neg(x)  a_1 = Cast(a)  y = Abs(a_1)  z = Relu(a_1) }",
              {"inserted node a_1 (Cast)", "replaced a by a_1 (2 uses)"});
}

TEST_CASE("an insertion at the wrong place sorts, and only that scope") {
  Model model = LoadText(R"(
g (float[N] x) => (float[N] y) { b = Abs(x)  a = Neg(x)  y = Add(a, b) }
)");
  Editor editor(model);
  onnx::NodeProto node;
  node.set_op_type("Relu");
  node.set_domain("");
  node.add_input("x");
  node.add_output("r");
  editor.InsertNode(0, node);
  editor.SetInput(Node(editor, "Add"), 0, "r");
  CheckCommit(
      model, editor, "g (float[N] x) => (float[N] y) { b = Abs(x)  a = Neg(x)  r = Relu(x)  y = Add(r, b) }",
      {"changed node #2 (Add): input 0 \"a\" -> \"r\"", "inserted node r (Relu)", "sorted the nodes of main graph"});
}

TEST_CASE("change a node's own fields") {
  Model model = LoadText(
      "g (float[N] x, float[N] z) => (float[N] y) { [p] a = MaxPool <kernel_shape = [1, 1]> (x)  y = Neg(a) }");
  Editor editor(model);
  onnx::NodeProto& node = editor.MutableNode(Node(editor, "p"));
  node.mutable_attribute(0)->set_ints(0, 3);
  node.set_op_type("AveragePool");
  node.set_input(0, "z");
  CheckCommit(
      model, editor,
      "g (float[N] x, float[N] z) => (float[N] y) { [p] a = AveragePool <kernel_shape = [3, 1]> (z)  y = Neg(a) }",
      {"changed node p (MaxPool): op type \"MaxPool\" -> \"AveragePool\", input 0 \"x\" -> \"z\", "
       "attribute kernel_shape [1, 1] -> [3, 1]"});
}

TEST_CASE("a node and what is inside its bodies, in one commit") {
  Model model = LoadText(kChain);
  Editor editor(model);
  editor.MutableNode(Node(editor, "choose")).set_name("pick");
  editor.MutableNode(Node(editor, "nested")).set_name("sub");
  editor.SetInput(Node(editor, "innermost"), 0, "a");
  onnx::NodeProto& inner = editor.MutableNode(Node(editor, "inner"));
  inner.set_op_type("Sub");
  CheckCommit(model, editor, R"(
g (float[N] x, bool cond) => (float[N] y) <float[1] w = {2}, float[1] unused = {3}> {
  [first] a = Mul(x, w)
  [second] b = Relu(a)
  [third] c = Identity(b)
  [pick] d = If(cond) <
    then_branch = t () => (float[N] t_out) { [inner] t_out = Sub(b, c) },
    else_branch = e () => (float[N] e_out) {
      [sub] e_out = If(cond) <
        then_branch = tt () => (float[N] tt_out) { [innermost] tt_out = Neg(a) },
        else_branch = te () => (float[N] te_out) { te_out = Identity(w) }
      >
    }
  >
  [last] y = Add(d, c)
}
)",
              {"changed node choose (If): name \"choose\" -> \"pick\"",
               "changed node choose::then_branch::inner (Add): op type \"Add\" -> \"Sub\"",
               "changed node choose::else_branch::nested (If): name \"nested\" -> \"sub\"",
               "changed node choose::else_branch::nested::then_branch::innermost (Neg): input 0 \"c\" -> \"a\""});
}

TEST_CASE("a body replaced as a whole can't be edited by id as well") {
  Model model = LoadText(kChain);
  Editor editor(model);
  editor.MutableNode(Node(editor, "choose")).mutable_attribute(0)->mutable_g()->mutable_node(0)->set_op_type("Mul");
  editor.SetInput(Node(editor, "inner"), 0, "a");
  CheckRefused(
      model, editor, absl::StatusCode::kInvalidArgument,
      "choose::then_branch::inner (Add) is edited, but MutableNode gave an enclosing node another body; do one "
      "of both");
  editor.MutableNode(Node(editor, "choose")).mutable_attribute(0)->mutable_g()->mutable_node(0)->set_op_type("Mul");
  editor.SetInput(Node(editor, "innermost"), 0, "a");  // the other body
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{"changed node choose (If): attribute then_branch changed",
                                "changed node choose::else_branch::nested::then_branch::innermost (Neg): input 0 \"c\" "
                                "-> \"a\""});
  CHECK(editor.index().node(Node(editor, "choose::then_branch::inner")).proto->op_type() == "Mul");
}

constexpr const char* kSiblings = R"(
g (float[N] x, bool cond) => (float[N] y) {
  v = Neg(x)
  y = If(cond) <
    then_branch = t () => (float[N] o) { local = Abs(v)  o = Relu(local) },
    else_branch = e () => (float[N] o) { local = Exp(v)  o = Neg(local) }
  >
}
)";

TEST_CASE("rename follows the meaning through scopes") {
  Model model = LoadText(kSiblings);
  onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
  graph.add_value_info()->set_name("v");
  onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("v");
  onnx::StringStringEntryProto& entry = *annotation.add_quant_parameter_tensor_names();
  entry.set_key("SCALE_TENSOR");
  entry.set_value("x");
  Editor editor(model);
  const ScopeId then_scope = editor.index().node(Node(editor, "If")).bodies[0];
  editor.RenameValue(Value(editor, "v"), "renamed");
  editor.RenameValue(Value(editor, "x"), "image");
  editor.RenameValue(Value(editor, "y"), "result");
  editor.RenameValue(Value(editor, "local", then_scope), "mine");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{"renamed x -> image (1 use)", "renamed v -> renamed (2 uses)",
                                "renamed y -> result (0 uses)", "renamed local -> mine (1 use)"});
  onnx::ModelProto expected = ParseGraph(R"(
g (float[N] image, bool cond) => (float[N] result) {
  renamed = Neg(image)
  result = If(cond) <
    then_branch = t () => (float[N] o) { mine = Abs(renamed)  o = Relu(mine) },
    else_branch = e () => (float[N] o) { local = Exp(renamed)  o = Neg(local) }
  >
}
)");
  expected.mutable_graph()->add_value_info()->set_name("renamed");
  onnx::TensorAnnotation& expected_annotation = *expected.mutable_graph()->add_quantization_annotation();
  expected_annotation.set_tensor_name("renamed");
  onnx::StringStringEntryProto& expected_entry = *expected_annotation.add_quant_parameter_tensor_names();
  expected_entry.set_key("SCALE_TENSOR");
  expected_entry.set_value("image");
  CHECK(Bytes(model) == Bytes(expected));
}

TEST_CASE("rename refuses names in use wherever they would be seen") {
  for (const auto& [from, to, message] : std::vector<std::tuple<const char*, const char*, const char*>>{
           {"v", "x", "\"x\" in main graph (again as output of a node)"},
           {"v", "y", "\"y\" in main graph (again as output of a node)"},
           {"v", "local",
            "\"local\" in #1::then_branch (also in main graph), \"local\" in #1::else_branch (also in main graph)"}}) {
    Model model = LoadText(kSiblings);
    Editor editor(model);
    editor.RenameValue(Value(editor, from), to);
    CheckRefused(
        model, editor, absl::StatusCode::kInvalidArgument,
        fmt::format("the edit gives a name that is in use where it would be seen: {}; choose another", message));
  }
  Model model = LoadText(kSiblings);
  Editor editor(model);
  const ScopeId then_scope = editor.index().node(Node(editor, "If")).bodies[0];
  editor.RenameValue(Value(editor, "local", then_scope), "v");
  CHECK(editor.Commit().status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("two names can be swapped, and a freed name taken") {
  Model model = LoadText("g (float[N] x) => (float[N] y) { a = Neg(x)  b = Abs(a)  c = Sub(a, b)  y = Identity(c) }");
  Editor editor(model);
  editor.RenameValue(Value(editor, "a"), "b");
  editor.RenameValue(Value(editor, "b"), "a");
  // An Identity before an output goes: its input is made under the output's name.
  editor.EraseNode(Node(editor, "Identity"));
  editor.RenameValue(Value(editor, "c"), "y");
  CheckCommit(
      model, editor, "g (float[N] x) => (float[N] y) { b = Neg(x)  a = Abs(b)  y = Sub(b, a) }",
      {"erased node #3 (Identity)", "renamed a -> b (2 uses)", "renamed b -> a (1 use)", "renamed c -> y (0 uses)"});
}

TEST_CASE("names given follow a rename in the same commit") {
  Model model = LoadText("g (float[N] x) => (float[N] y) { a = Neg(x)  b = Abs(x)  y = Sub(a, b) }");
  Editor editor(model);
  editor.RenameValue(Value(editor, "a"), "neg");
  editor.ReplaceUses(Value(editor, "b"), "a");
  CheckCommit(model, editor, "g (float[N] x) => (float[N] y) { neg = Neg(x)  b = Abs(x)  y = Sub(neg, neg) }",
              {"renamed a -> neg (1 use)", "replaced b by neg (1 use)"});
}

TEST_CASE("renaming in functions") {
  Model model = Model::FromProto(ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
g (float[N] i) => (float[N] y) { y = local.F(i) }
<domain: "local", opset_import: ["" : 17]> F (i) => (o) { t = Neg(i)  o = Abs(t) }
)"));
  Editor editor(model);
  editor.RenameValue(Value(editor, "i", 1), "in");
  editor.RenameValue(Value(editor, "o", 1), "out");
  REQUIRE(editor.Commit().ok());
  CHECK(Bytes(model) == Bytes(ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
g (float[N] i) => (float[N] y) { y = local.F(i) }
<domain: "local", opset_import: ["" : 17]> F (in) => (out) { t = Neg(in)  out = Abs(t) }
)")));
}

TEST_CASE("dangling uses are refused with their addresses") {
  Model model = LoadText(kChain);
  Editor editor(model);
  editor.EraseNode(Node(editor, "third"));
  CheckRefused(
      model, editor, absl::StatusCode::kFailedPrecondition,
      "the edit would leave uses of what nothing defines: choose::then_branch::inner (Add) input 1 \"c\", "
      "choose::else_branch::nested::then_branch::innermost (Neg) input 0 \"c\", last (Add) input 1 \"c\"; rewire "
      "or erase these too");
  editor.EraseInitializer(Value(editor, "w"));
  editor.EraseNode(Node(editor, "first"));
  editor.ReplaceUses(Value(editor, "a"), "x");
  CheckRefused(model, editor, absl::StatusCode::kFailedPrecondition,
               "the edit would leave uses of what nothing defines: choose::else_branch::nested::else_branch::#0 "
               "(Identity) input 0 \"w\"; rewire or erase these too");
  editor.EraseNode(Node(editor, "last"));
  CheckRefused(
      model, editor, absl::StatusCode::kFailedPrecondition,
      "the edit would leave outputs that nothing defines: main graph output \"y\"; keep what makes them, or let "
      "another node make them under that name");
  editor.SetInput(Node(editor, "last"), 0, "nowhere");
  CheckRefused(
      model, editor, absl::StatusCode::kFailedPrecondition,
      "the edit would leave uses of what nothing defines: last (Add) input 0 \"nowhere\"; rewire or erase these "
      "too");
  editor.ReplaceUses(Value(editor, "y"), "c");
  CheckRefused(
      model, editor, absl::StatusCode::kFailedPrecondition,
      "y is an output of main graph and keeps its name, so its uses can't be replaced there; let the new value "
      "be made under that name, or replace single inputs");
  editor.SetInput(Node(editor, "second"), 0, "d");
  CheckRefused(model, editor, absl::StatusCode::kFailedPrecondition,
               "the edit would make main graph: a cycle through second (Relu), third (Identity), choose (If); no order "
               "exists in which each node comes after what it reads");
}

TEST_CASE("a replacement hidden by an inner name is refused") {
  Model model = LoadText(kSiblings);
  Editor editor(model);
  onnx::NodeProto node;
  node.set_op_type("Neg");
  node.add_input("x");
  node.add_output("fresh");
  editor.InsertNode(0, node, Node(editor, "If"));
  onnx::NodeProto& inner = editor.MutableNode(Node(editor, "Abs"));
  inner.set_output(0, "fresh");
  editor.ReplaceUses(Value(editor, "v"), "fresh");
  CHECK(editor.Commit().status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("calls that make no sense are errors of Commit") {
  Model model = LoadText(kChain);
  Editor editor(model);
  const auto refused = [&](std::string_view message) {
    CheckRefused(model, editor, absl::StatusCode::kInvalidArgument, message);
  };
  editor.EraseNode(99);
  refused("EraseNode: no node 99");
  editor.MutableNode(-1).set_name("lost");
  refused("MutableNode: no node -1");
  editor.MutableInitializer(Value(editor, "a")).set_name("lost");
  refused(fmt::format("MutableInitializer: value {} has no dense initializer", Value(editor, "a")));
  editor.EraseInitializer(Value(editor, "x"));
  refused(fmt::format("EraseInitializer: value {} has no initializer", Value(editor, "x")));
  editor.AddInitializer(0, {});
  refused("AddInitializer: '' needs a name and a graph; functions hold no initializers");
  editor.RenameValue(Value(editor, "a"), "");
  refused(fmt::format("RenameValue: no value {}, or an empty name", Value(editor, "a")));
}

TEST_CASE("initializers") {
  Model model = LoadText(kChain);
  onnx::SparseTensorProto& sparse = *model.mutable_proto().mutable_graph()->add_sparse_initializer();
  sparse.mutable_values()->set_name("sparse");
  Editor editor(model);
  onnx::TensorProto& w = editor.MutableInitializer(Value(editor, "w"));
  w.set_doc_string("two");
  editor.EraseInitializer(Value(editor, "unused"));
  editor.EraseInitializer(Value(editor, "sparse"));
  onnx::TensorProto added;
  added.set_name("added");
  added.set_data_type(onnx::TensorProto::FLOAT);
  added.add_float_data(1);
  editor.AddInitializer(0, added);
  editor.SetInput(Node(editor, "first"), 1, "added");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{"changed node first (Mul): input 1 \"w\" -> \"added\"", "erased initializer unused",
                                "erased initializer sparse", "changed initializer w", "added initializer added"});
  const onnx::GraphProto& graph = model.proto().graph();
  REQUIRE(graph.initializer_size() == 2);
  CHECK(graph.initializer(0).doc_string() == "two");
  CHECK(graph.initializer(1).name() == "added");
  CHECK(graph.sparse_initializer_size() == 0);
  editor.AddInitializer(0, added);
  CheckRefused(model, editor, absl::StatusCode::kInvalidArgument,
               "the edit gives a name that is in use where it would be seen: \"added\" in main graph (again as "
               "initializer); choose another");
}

TEST_CASE("graph outputs and value_info") {
  Model model = LoadText(kChain);
  model.mutable_proto().mutable_graph()->add_value_info()->set_name("a");
  model.mutable_proto().mutable_graph()->add_value_info()->set_name("b");
  Editor editor(model);
  onnx::ValueInfoProto info;
  info.set_name("b");
  editor.AddGraphOutput(info);
  editor.EraseValueInfo(0, "b");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{"added output b", "erased value_info b"});
  CHECK(model.proto().graph().output_size() == 2);
  CHECK(model.proto().graph().value_info_size() == 1);
  editor.AddGraphOutput(info);
  CheckRefused(model, editor, absl::StatusCode::kInvalidArgument, "'b' is an output already");
  info.set_name("tt_out");
  editor.AddGraphOutput(info);
  CheckRefused(model, editor, absl::StatusCode::kNotFound,
               "no tensor 'tt_out' in the main graph; it is inside choose::else_branch::nested::then_branch");
}

TEST_CASE("direct changes are compared, not believed") {
  Model model = LoadText(kChain);
  Editor editor(model);
  editor.MutableModel("removed the doc string").clear_doc_string();
  CHECK(editor.Commit()->empty());
  editor.MutableModel("wrote a doc string").set_doc_string("fish");
  editor.RenameValue(Value(editor, "a"), "z");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{"wrote a doc string", "renamed a -> z (1 use)"});
  CHECK(model.proto().doc_string() == "fish");
  editor.MutableModel("took a node away").mutable_graph()->mutable_node()->RemoveLast();
  CHECK(editor.Commit().status().code() == absl::StatusCode::kFailedPrecondition);
  editor.MutableModel("took a node away").mutable_graph()->mutable_node()->RemoveLast();
  editor.EraseNode(0);
  CHECK(editor.Commit().status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("what an edit doesn't name keeps its bytes") {
  absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  onnx::ModelProto expected = model->proto();
  Editor editor(*model);
  const NodeId node = 5;
  editor.MutableNode(node).set_doc_string("seen");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  REQUIRE(changes.ok());
  CHECK(changes->lines.size() == 1);
  expected.mutable_graph()->mutable_node(5)->set_doc_string("seen");
  CHECK(Bytes(*model) == Bytes(expected));
}

TEST_CASE("nodes are sorted where it is asked for, and only there") {
  constexpr const char* kUnsorted = R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
g (float[N] x) => (float[N] y) { y = Neg(a) a = local.F(x) }
<domain: "local", opset_import: ["" : 17]>
F (v) => (r) { r = Neg(u) u = Abs(v) }
)";
  Model model = Model::FromProto(ParseModel(kUnsorted));
  Editor editor(model);
  editor.SortNodes(editor.index().main_scope());
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  REQUIRE(changes.ok());
  CHECK(changes->lines == Lines{"sorted the nodes of main graph"});
  CHECK(model.proto().graph().node(0).op_type() == "F");
  CHECK(model.proto().functions(0).node(0).op_type() == "Neg");
  editor.SortNodes(editor.index().main_scope());
  CHECK(editor.Commit()->empty());
  editor.SortNodes(1);
  CHECK(editor.Commit()->lines == Lines{"sorted the nodes of function F"});
  editor.SortNodes(7);
  CHECK(editor.Commit().status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a function's description of a value follows its rename, unless the new name has one") {
  onnx::ModelProto proto = ParseModel(R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
g (float[N] x) => (float[N] y) { y = local.F(x) }
<domain: "local", opset_import: ["" : 17]>
F (v) => (r) { a = Neg(v) r = Identity(a) }
)");
  proto.mutable_functions(0)->add_value_info()->set_name("a");
  Model lone = Model::FromProto(proto);
  proto.mutable_functions(0)->add_value_info()->set_name("r");
  Model both = Model::FromProto(proto);
  for (Model* model : {&lone, &both}) {
    Editor editor(*model);
    editor.RenameValue(editor.index().FindValue(1, "a"), "r");
    editor.EraseNode(editor.index().scope(1).nodes[1]);
    const absl::StatusOr<ChangeSet> changes = editor.Commit();
    INFO(changes.status());
    REQUIRE(changes.ok());
    REQUIRE(model->proto().functions(0).value_info_size() == 1);
    CHECK(model->proto().functions(0).value_info(0).name() == "r");
  }
}

TEST_CASE("erasing half of 100,000 nodes is linear") {
  onnx::ModelProto proto = ParseGraph("g (float[N] v0) => (float[N] v100000) { }");
  for (int i = 0; i < 100000; ++i) {
    onnx::NodeProto& node = *proto.mutable_graph()->add_node();
    node.set_op_type(i % 2 == 0 ? "Identity" : "Neg");
    node.add_input(fmt::format("v{}", i));
    node.add_output(fmt::format("v{}", i + 1));
  }
  Model model = Model::FromProto(std::move(proto));
  const auto start = std::chrono::steady_clock::now();
  Editor editor(model);
  for (NodeId id = 0; id < 100000; id += 2) {
    editor.ReplaceUses(editor.index().node(id).outputs[0], fmt::format("v{}", id));
    editor.EraseNode(id);
  }
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  CHECK(changes->lines.size() == 100000);
  REQUIRE(model.proto().graph().node_size() == 50000);
  CHECK(model.proto().graph().node(49999).input(0) == "v99998");
  CHECK(model.proto().graph().node(0).input(0) == "v0");
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 5);
}

}  // namespace
}  // namespace gomai
