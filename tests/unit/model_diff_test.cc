// Model comparison: one planted change at a time must be found, where it is, and nothing else; equal models in other
// clothes must be equal. Changes are planted twice over: by hand, with the words that a report must use, and by
// reflection in every single field that ONNX's messages have.
#include "lib/compare/model_diff.h"

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <functional>
#include <random>

#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "tests/support/mutate.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using google::protobuf::FieldDescriptor;

using google::protobuf::Reflection;
using testing::ParseModel;
using testing::TemporaryFolder;
using Kind = Difference::Kind;
using Section = Difference::Section;

constexpr char kBase[] = R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1], producer_name: "maker", producer_version: "1", domain: "d",
 model_version: 3, doc_string: "about", metadata_props: ["author" : "me", "licence" : "free"]>
g (float[N, 3] x, bool c) => (float[N, 3] y, float[N, 3] z)
  <float[3] w = {1, 2, 3}, float[3] v = {4, 5, 6}, float[N, 3] a> {
  [first] a = Add(x, w)
  [second] b = LeakyRelu <alpha = 0.5> (a)
  [call] f = local.F(b)
  [konst] k = Constant <value = float[3] {7, 8, 9}> ()
  [third] m = Mul(f, k)
  [iffy] y = If(c) <
    then_branch = t () => (float[N, 3] o) <float[3] inner = {1, 1, 1}> { [deep] p = Add(m, inner)  [deeper] o = Abs(p) },
    else_branch = e () => (float[N, 3] q) { [other] q = Neg(m) } >
  [last] z = Sub(m, v)
}
<domain: "local", opset_import: ["" : 17], doc_string: "does"> F (i) => (j) { h = Exp(i)  j = Neg(h) }
)";

onnx::ModelProto Base() {
  onnx::ModelProto model = ParseModel(kBase);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_doc_string("graph doc");
  graph.mutable_node(0)->set_doc_string("node doc");
  onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("a");
  annotation.add_quant_parameter_tensor_names()->set_key("SCALE_TENSOR");
  annotation.mutable_quant_parameter_tensor_names(0)->set_value("w");
  testing::AddSparse(&graph, "s", 10, 4, 5);
  onnx::TrainingInfoProto& training = *model.add_training_info();
  *training.mutable_algorithm() = ParseModel(kBase).graph();
  training.add_update_binding()->set_key("w");
  training.mutable_update_binding(0)->set_value("y");
  return model;
}

ModelDiff Diff(const onnx::ModelProto& before, const onnx::ModelProto& after, const DiffOptions& options = {}) {
  const absl::StatusOr<ModelDiff> diff = DiffModels(Model::FromProto(before), Model::FromProto(after), options);
  INFO(diff.status().ToString());
  REQUIRE(diff.ok());
  return *diff;
}

std::string Text(const Difference& d) {
  static constexpr const char* kSections[] = {"model", "interface", "nodes", "values", "weights"};
  static constexpr const char* kSigns[] = {"~", "+", "-", "order"};
  return fmt::format("{} {} |{}|{}|{}|{} -> {}", kSections[static_cast<size_t>(d.section)],
                     kSigns[static_cast<size_t>(d.kind)], d.scope, d.where, d.what, d.before, d.after);
}

std::vector<std::string> Texts(const ModelDiff& diff) {
  std::vector<std::string> texts;
  for (const Difference& difference : diff.differences) {
    texts.push_back(Text(difference));
  }
  return texts;
}

using Lines = std::vector<std::string>;
using Change = std::function<void(onnx::ModelProto&)>;

onnx::GraphProto& Then(onnx::ModelProto& m) {
  return *m.mutable_graph()->mutable_node(5)->mutable_attribute(0)->mutable_g();
}

TEST_CASE("each planted change is found, where it is, and nothing else") {
  struct Case {
    const char* name;
    Change change;
    Lines expected;
  };
  const Case cases[] = {
      {"ir", [](auto& m) { m.set_ir_version(10); }, {"model ~ |||ir_version|9 -> 10"}},
      {"opset", [](auto& m) { m.mutable_opset_import(0)->set_version(18); }, {"model ~ |||opset ai.onnx|17 -> 18"}},
      {"opset added",
       [](auto& m) {
         auto& o = *m.add_opset_import();
         o.set_domain("new");
         o.set_version(2);
       },
       {"model + |||opset new| -> 2"}},
      {"producer", [](auto& m) { m.set_producer_name("other"); }, {"model ~ |||producer_name|\"maker\" -> \"other\""}},
      {"version", [](auto& m) { m.set_model_version(4); }, {"model ~ |||model_version|3 -> 4"}},
      {"domain", [](auto& m) { m.clear_domain(); }, {"model ~ |||domain|\"d\" -> \"\""}},
      {"doc", [](auto& m) { m.set_doc_string("more"); }, {"model ~ |||doc string|\"about\" -> \"more\""}},
      {"metadata",
       [](auto& m) { m.mutable_metadata_props(0)->set_value("you"); },
       {"model ~ |||metadata \"author\"|\"me\" -> \"you\""}},
      {"metadata gone",
       [](auto& m) { m.mutable_metadata_props()->RemoveLast(); },
       {"model - |||metadata \"licence\"|\"free\" -> "}},
      {"metadata order",
       [](auto& m) { m.mutable_metadata_props()->SwapElements(0, 1); },
       {"model order |||metadata_props| -> 1 of 2 moved"}},
      {"graph name",
       [](auto& m) { m.mutable_graph()->set_name("h"); },
       {"model ~ |main graph||graph name|\"g\" -> \"h\""}},
      {"graph doc",
       [](auto& m) { m.mutable_graph()->clear_doc_string(); },
       {"model ~ |main graph||graph doc string|\"graph doc\" -> \"\""}},
      {"unknown",
       [](auto& m) { m.GetReflection()->MutableUnknownFields(&m)->AddVarint(4000, 7); },
       {"model ~ |||unknown fields|none -> 4000: 7"}},
      {"unknown in a node",
       [](auto& m) {
         auto& n = *m.mutable_graph()->mutable_node(1);
         n.GetReflection()->MutableUnknownFields(&n)->AddLengthDelimited(4001, "x");
       },
       {"nodes ~ |main graph|second (LeakyRelu)|unknown fields|none -> 4001: \"x\""}},
      {"input type",
       [](auto& m) {
         m.mutable_graph()
             ->mutable_input(0)
             ->mutable_type()
             ->mutable_tensor_type()
             ->mutable_shape()
             ->mutable_dim(0)
             ->set_dim_value(1);
       },
       {"interface ~ |main graph|input \"x\"|type|float32 [N, 3] -> float32 [1, 3]"}},
      {"input order",
       [](auto& m) { m.mutable_graph()->mutable_input()->SwapElements(0, 1); },
       {"interface order |main graph||inputs| -> 1 of 2 moved"}},
      {"input added",
       [](auto& m) { m.mutable_graph()->add_input()->set_name("i"); },
       {"interface + |main graph|input \"i\"|| -> none"}},
      {"denotation",
       [](auto& m) { m.mutable_graph()->mutable_input(0)->mutable_type()->set_denotation("IMAGE"); },
       {"interface ~ |main graph|input \"x\"|type.denotation|\"\" -> \"IMAGE\""}},
      {"output gone",
       [](auto& m) { m.mutable_graph()->mutable_output()->RemoveLast(); },
       {"interface - |main graph|output \"z\"||float32 [N, 3] -> "}},
      {"output order",
       [](auto& m) { m.mutable_graph()->mutable_output()->SwapElements(0, 1); },
       {"interface order |main graph||outputs| -> 1 of 2 moved"}},
      {"attribute",
       [](auto& m) { m.mutable_graph()->mutable_node(1)->mutable_attribute(0)->set_f(0.25f); },
       {"nodes ~ |main graph|second (LeakyRelu)|attribute alpha|0.5 -> 0.25"}},
      {"attribute type",
       [](auto& m) {
         auto& a = *m.mutable_graph()->mutable_node(1)->mutable_attribute(0);
         a.clear_f();
         a.set_type(onnx::AttributeProto::INT);
         a.set_i(1);
       },
       {"nodes ~ |main graph|second (LeakyRelu)|attribute alpha|0.5 (FLOAT) -> 1 (INT)"}},
      {"attribute gone",
       [](auto& m) { m.mutable_graph()->mutable_node(1)->clear_attribute(); },
       {"nodes - |main graph|second (LeakyRelu)|attribute alpha|0.5 -> "}},
      {"constant",
       [](auto& m) { m.mutable_graph()->mutable_node(3)->mutable_attribute(0)->mutable_t()->set_float_data(1, 80); },
       {"nodes ~ |main graph|konst (Constant)|attribute value values|[7, 8, 9] -> [7, 80, 9]"}},
      {"op",
       [](auto& m) { m.mutable_graph()->mutable_node(4)->set_op_type("Div"); },
       {"nodes ~ |main graph|third (Mul)|op type|Mul -> Div"}},
      {"node name",
       [](auto& m) { m.mutable_graph()->mutable_node(4)->set_name("3rd"); },
       {"nodes ~ |main graph|third (Mul)|name|\"third\" -> \"3rd\""}},
      {"node doc",
       [](auto& m) { m.mutable_graph()->mutable_node(0)->clear_doc_string(); },
       {"nodes ~ |main graph|first (Add)|doc string|\"node doc\" -> \"\""}},
      {"input rewired",
       [](auto& m) { m.mutable_graph()->mutable_node(6)->set_input(0, "f"); },
       {"nodes ~ |main graph|last (Sub)|input 0|\"m\" -> \"f\""}},
      {"input left out",
       [](auto& m) { m.mutable_graph()->mutable_node(6)->set_input(1, ""); },
       {"nodes ~ |main graph|last (Sub)|input 1|\"v\" -> absent"}},
      {"value renamed: its readers follow",
       [](auto& m) {
         m.mutable_graph()->mutable_node(2)->set_output(0, "ff");
         m.mutable_graph()->mutable_node(4)->set_input(0, "ff");
       },
       {"nodes ~ |main graph|call (F)|output 0|\"f\" -> \"ff\""}},
      {"node gone",
       [](auto& m) {
         m.mutable_graph()->mutable_node()->DeleteSubrange(2, 1);
         m.mutable_graph()->mutable_node(3)->set_input(0, "b");
       },
       {"nodes - |main graph|call (F)||(b) => (f) -> ", "nodes ~ |main graph|third (Mul)|input 0|\"f\" -> \"b\""}},
      {"node inserted before an output",
       [](auto& m) {
         m.mutable_graph()->mutable_node(6)->set_output(0, "raw");
         auto& n = *m.mutable_graph()->add_node();
         n.set_op_type("Identity");
         n.add_input("raw");
         n.add_output("z");
       },
       {"nodes ~ |main graph|last (Sub)|output 0|\"z\" -> \"raw\"",
        "nodes + |main graph|#7 (Identity)|| -> (raw) => (z)"}},
      {"node order",
       [](auto& m) { m.mutable_graph()->mutable_node()->SwapElements(2, 3); },
       {"nodes order |main graph||nodes| -> 1 of 7 moved"}},
      {"in a body",
       [](auto& m) { Then(m).mutable_node(1)->set_op_type("Neg"); },
       {"nodes ~ |iffy::then_branch|iffy::then_branch::deeper (Abs)|op type|Abs -> Neg"}},
      {"weight in a body",
       [](auto& m) { Then(m).mutable_initializer(0)->set_float_data(0, 2); },
       {"weights ~ |iffy::then_branch|\"inner\"|values|[1, 1, 1] -> [2, 1, 1]"}},
      {"body output type",
       [](auto& m) { Then(m).mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(10); },
       {"nodes ~ |iffy::then_branch||output 0 type|float32 [N, 3] -> float16 [N, 3]"}},
      {"body name", [](auto& m) { Then(m).set_name("u"); }, {"nodes ~ |iffy::then_branch||name|\"t\" -> \"u\""}},
      {"in a function",
       [](auto& m) { m.mutable_functions(0)->mutable_node(0)->set_op_type("Log"); },
       {"nodes ~ |function F|F()::#0 (Exp)|op type|Exp -> Log"}},
      {"function doc",
       [](auto& m) { m.mutable_functions(0)->set_doc_string("did"); },
       {"nodes ~ |function F||doc string|\"does\" -> \"did\""}},
      {"function opset",
       [](auto& m) { m.mutable_functions(0)->mutable_opset_import(0)->set_version(18); },
       {"nodes ~ |function F||opset ai.onnx|17 -> 18"}},
      {"function gone", [](auto& m) { m.clear_functions(); }, {"model - ||function F||2 nodes -> "}},
      {"declared type",
       [](auto& m) { m.mutable_graph()->mutable_value_info(0)->mutable_type()->mutable_tensor_type()->clear_shape(); },
       {"values ~ |main graph|\"a\"|type|float32 [N, 3] -> float32 of any rank"}},
      {"declared type gone",
       [](auto& m) { m.mutable_graph()->clear_value_info(); },
       {"values - |main graph|\"a\"||float32 [N, 3] -> "}},
      {"annotation",
       [](auto& m) {
         m.mutable_graph()->mutable_quantization_annotation(0)->mutable_quant_parameter_tensor_names(0)->set_value("v");
       },
       {"values ~ |main graph|\"a\"|quantization quant_parameter_tensor_names[SCALE_TENSOR]|\"w\" -> \"v\""}},
      {"weight values",
       [](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_float_data(2, 30); },
       {"weights ~ |main graph|\"w\"|values|[1, 2, 3] -> [1, 2, 30]"}},
      {"weight type",
       [](auto& m) { m.mutable_graph()->mutable_initializer(0)->add_dims(1); },
       {"weights ~ |main graph|\"w\"|type|float32 [3] -> float32 [3, 1]"}},
      {"weight doc",
       [](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_doc_string("new"); },
       {"weights ~ |main graph|\"w\"|doc string|\"\" -> \"new\""}},
      {"weight renamed: its readers follow",
       [](auto& m) {
         m.mutable_graph()->mutable_initializer(1)->set_name("vv");
         m.mutable_graph()->mutable_node(6)->set_input(1, "vv");
       },
       {"weights ~ |main graph|\"v\"|name|\"v\" -> \"vv\""}},
      {"weight order",
       [](auto& m) { m.mutable_graph()->mutable_initializer()->SwapElements(0, 1); },
       {"weights order |main graph||initializers| -> 1 of 2 moved"}},
      {"sparse weight",
       [](auto& m) { m.mutable_graph()->mutable_sparse_initializer(0)->mutable_indices()->set_int64_data(0, 5); },
       {"weights ~ |main graph|\"s\"|indices values|[4] -> [5]"}},
      {"sparse size",
       [](auto& m) { m.mutable_graph()->mutable_sparse_initializer(0)->set_dims(0, 11); },
       {"weights ~ |main graph|\"s\"|dims|[10] -> [11]"}},
      {"training binding",
       [](auto& m) { m.mutable_training_info(0)->mutable_update_binding(0)->set_value("z"); },
       {"model ~ ||training_info[0]|update_binding[w]|\"y\" -> \"z\""}},
      {"training graph",
       [](auto& m) { m.mutable_training_info(0)->mutable_algorithm()->mutable_node(4)->set_op_type("Div"); },
       {"nodes ~ |training_info[0].algorithm main graph|training_info[0].algorithm third (Mul)|op type|Mul -> Div"}},
  };
  const onnx::ModelProto base = Base();
  REQUIRE(Texts(Diff(base, base)).empty());
  for (const Case& c : cases) {
    CAPTURE(c.name);
    onnx::ModelProto changed = base;
    c.change(changed);
    CHECK(Texts(Diff(base, changed)) == c.expected);
    CHECK(Diff(changed, base).differences.size() == c.expected.size());
    CHECK(Texts(Diff(changed, changed)).empty());
  }
}

TEST_CASE("what is ignored doesn't count, and all else still does") {
  const onnx::ModelProto base = Base();
  struct Case {
    const char* name;
    Change change;
    DiffOptions ignore;
  };
  const Case cases[] = {
      {"docs",
       [](auto& m) {
         m.set_doc_string("");
         m.mutable_graph()->set_doc_string("");
         m.mutable_graph()->mutable_node(0)->set_doc_string("q");
         m.mutable_graph()->mutable_initializer(0)->set_doc_string("q");
         m.mutable_graph()->mutable_input(0)->set_doc_string("q");
         m.mutable_graph()->mutable_node(1)->mutable_attribute(0)->set_doc_string("q");
         m.mutable_functions(0)->clear_doc_string();
       },
       {.ignore_docs = true}},
      {"order",
       [](auto& m) {
         m.mutable_graph()->mutable_node()->SwapElements(2, 6);
         m.mutable_graph()->mutable_initializer()->SwapElements(0, 1);
         m.mutable_metadata_props()->SwapElements(0, 1);
         m.mutable_opset_import()->SwapElements(0, 1);
         m.mutable_graph()->mutable_node(5)->mutable_attribute()->SwapElements(0, 1);
       },
       {.ignore_order = true}},
      {"weights",
       [](auto& m) {
         m.mutable_graph()->mutable_initializer(0)->set_float_data(0, 9);
         m.mutable_graph()->mutable_sparse_initializer(0)->mutable_values()->set_float_data(0, 9);
         Then(m).mutable_initializer(0)->set_float_data(0, 9);
       },
       {.ignore_weights = true}},
      {"names",
       [](auto& m) {
         std::string text = kBase;
         for (const char* name : {"first", "third", "deep", "konst"}) {
           text.replace(text.find(fmt::format("[{}]", name)), std::string_view(name).size() + 2, "[n]");
         }
         const auto rename = [&](std::string_view old_name, std::string_view new_name) {
           for (size_t at = 0; (at = text.find(old_name, at)) != std::string::npos; at += new_name.size()) {
             const auto word = [&](size_t i) { return std::isalnum(static_cast<unsigned char>(text[i])) != 0; };
             if (!word(at - 1) && !word(at + old_name.size())) {
               text.replace(at, old_name.size(), new_name);
             }
           }
         };
         // Swapped names, so that matching by name would go wrong; then everything else that is inner.
         rename("w", "tmp");
         rename("v", "w");
         rename("tmp", "v");
         for (const char* name : {"a", "b", "f", "k", "m", "inner", "p", "o", "q", "i", "j", "h"}) {
           rename(name, fmt::format("{}_other", name));
         }
         const onnx::ModelProto renamed = ParseModel(text.c_str());
         onnx::GraphProto graph = renamed.graph();
         graph.set_doc_string("graph doc");
         graph.mutable_node(0)->set_doc_string("node doc");
         *graph.mutable_quantization_annotation() = m.graph().quantization_annotation();
         graph.mutable_quantization_annotation(0)->set_tensor_name("a_other");
         graph.mutable_quantization_annotation(0)->mutable_quant_parameter_tensor_names(0)->set_value("v");
         *graph.mutable_sparse_initializer() = m.graph().sparse_initializer();
         graph.mutable_initializer()->SwapElements(0, 1);
         graph.mutable_initializer()->SwapElements(0, 1);
         *m.mutable_graph() = graph;
         *m.mutable_functions() = renamed.functions();
       },
       {.ignore_names = true}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    onnx::ModelProto changed = base;
    c.change(changed);
    CHECK(Texts(Diff(base, changed, c.ignore)).empty());
    CHECK(Texts(Diff(changed, base, c.ignore)).empty());
    CHECK_FALSE(Diff(base, changed).equal());
    changed.mutable_graph()->mutable_node(1)->mutable_attribute(0)->set_f(2);
    const Lines texts = Texts(Diff(base, changed, c.ignore));
    CHECK(texts == Lines{"nodes ~ |main graph|second (LeakyRelu)|attribute alpha|0.5 -> 2"});
  }
}

TEST_CASE("with names ignored, wiring, values and the model's own names still count") {
  const onnx::ModelProto base = Base();
  const DiffOptions ignore{.ignore_names = true};
  const std::pair<Change, Lines> cases[] = {
      {[](auto& m) { m.mutable_graph()->mutable_node(6)->set_input(0, "f"); },
       {"nodes ~ |main graph|last (Sub)|input 0|\"m\" -> \"f\""}},
      {[](auto& m) { m.mutable_graph()->mutable_initializer(0)->set_float_data(2, 30); },
       {"weights ~ |main graph|\"w\"|values|[1, 2, 3] -> [1, 2, 30]"}},
      {[](auto& m) {
         m.mutable_graph()->mutable_input(0)->set_name("xx");
         m.mutable_graph()->mutable_node(0)->set_input(0, "xx");
       },
       {"interface ~ |main graph|input \"x\"|name|\"x\" -> \"xx\""}},
      {[](auto& m) { m.mutable_graph()->mutable_node(6)->mutable_input()->SwapElements(0, 1); },
       {"nodes ~ |main graph|last (Sub)|input 0|\"m\" -> \"v\"",
        "nodes ~ |main graph|last (Sub)|input 1|\"v\" -> \"m\""}},
      {[](auto& m) { Then(m).mutable_node(0)->set_input(0, "f"); },
       {"nodes ~ |iffy::then_branch|iffy::then_branch::deep (Add)|input 0|\"m\" -> \"f\""}},
      {[](auto& m) { Then(m).mutable_output(0)->set_name("p"); },
       {"nodes ~ |iffy::then_branch||output 0|\"o\" -> \"p\""}},
  };
  for (const auto& [change, expected] : cases) {
    onnx::ModelProto changed = base;
    change(changed);
    CHECK(Texts(Diff(base, changed, ignore)) == expected);
  }
  // Outputs that exchanged their makers.
  const onnx::ModelProto a = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[N] x) => (float[N] y, float[N] z) { y = Abs(x)  z = Neg(x) })");
  const onnx::ModelProto b = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[N] x) => (float[N] y, float[N] z) { z = Abs(x)  y = Neg(x) })");
  CHECK_FALSE(Diff(a, b, {.ignore_names = true, .ignore_order = true}).equal());
}

TEST_CASE("nodes alike are matched by what they feed") {
  const onnx::ModelProto a = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[N] x) => (float[N] y) { a = Relu(x)  b = Relu(x)  c = Abs(a)  d = Neg(b)  y = Add(c, d) })");
  const onnx::ModelProto b = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[N] x) => (float[N] y) { q = Relu(x)  r = Relu(x)  s = Neg(q)  t = Abs(r)  y = Add(t, s) })");
  CHECK(Texts(Diff(a, b, {.ignore_names = true, .ignore_order = true})).empty());
  const onnx::ModelProto shared = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[N] x) => (float[N] y) { q = Relu(x)  r = Relu(x)  s = Neg(q)  t = Abs(q)  y = Add(t, s) })");
  CHECK_FALSE(Diff(a, shared, {.ignore_names = true, .ignore_order = true}).equal());
}

// --- every field that there is

// Values in all fields of a message, one entry a list; graphs within graphs twice only.
void Fill(google::protobuf::Message& message, int depth, int* number) {
  const std::string type(message.GetDescriptor()->full_name());
  if (type == "onnx.TensorProto") {
    auto& tensor = static_cast<onnx::TensorProto&>(message);
    tensor.set_name(fmt::format("t{}", ++*number));
    tensor.set_doc_string("tensor");
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(2);
    tensor.set_raw_data("abcdefgh");
    tensor.mutable_segment()->set_begin(1);
    tensor.mutable_segment()->set_end(2);
    auto& entry = *tensor.add_metadata_props();
    entry.set_key("k");
    entry.set_value("v");
    return;
  }
  const Reflection& r = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const bool list = field->is_repeated();
    const std::string text = fmt::format("n{}", ++*number);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth > 0) {
          Fill(list ? *r.AddMessage(&message, field) : *r.MutableMessage(&message, field), depth - 1, number);
        }
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        list ? r.AddString(&message, field, text) : r.SetString(&message, field, text);
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        list ? r.AddInt32(&message, field, 3) : r.SetInt32(&message, field, 3);
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        list ? r.AddInt64(&message, field, 3) : r.SetInt64(&message, field, 3);
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        list ? r.AddFloat(&message, field, 3) : r.SetFloat(&message, field, 3);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        r.SetEnumValue(&message, field, 2);
        break;
      default:
        FAIL("a kind of field that this test doesn't know: " << field->full_name());
    }
  }
  r.MutableUnknownFields(&message)->AddVarint(5000, static_cast<uint64_t>(++*number));
}

// Calls try_it after each single change to `message` or what is in it; all are undone.
void ChangeEach(google::protobuf::Message& message, const std::string& path,
                const std::function<void(const std::string&)>& try_it) {
  const Reflection& r = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const std::string name = path + "." + std::string(field->name());
    if (field->is_repeated() ? r.FieldSize(message, field) == 0 : !r.HasField(message, field)) {
      continue;
    }
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (is_message) {
      ChangeEach(
          field->is_repeated() ? *r.MutableRepeatedMessage(&message, field, 0) : *r.MutableMessage(&message, field),
          name, try_it);
    }
    const std::unique_ptr<google::protobuf::Message> before(message.New());
    before->CopyFrom(message);
    r.ClearField(&message, field);
    try_it(name + " cleared");
    message.CopyFrom(*before);
    if (is_message) {
      continue;
    }
    const bool list = field->is_repeated();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string text = list ? r.GetRepeatedString(message, field, 0) : r.GetString(message, field);
        text[0] = '!';
        list ? r.SetRepeatedString(&message, field, 0, text) : r.SetString(&message, field, text);
        break;
      }
      case FieldDescriptor::CPPTYPE_INT32:
        list ? r.SetRepeatedInt32(&message, field, 0, 6) : r.SetInt32(&message, field, 6);
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        list ? r.SetRepeatedInt64(&message, field, 0, 4) : r.SetInt64(&message, field, 4);
        break;
      case FieldDescriptor::CPPTYPE_FLOAT:
        list ? r.SetRepeatedFloat(&message, field, 0, 4) : r.SetFloat(&message, field, 4);
        break;
      default:
        r.SetEnumValue(&message, field, 3);
        break;
    }
    try_it(name + " changed");
    message.CopyFrom(*before);
  }
  if (auto* unknown = r.MutableUnknownFields(&message); unknown->field_count() > 0) {
    const uint64_t before = unknown->field(0).varint();
    unknown->mutable_field(0)->set_varint(before + 1000);
    try_it(path + " unknown field changed");
    unknown->mutable_field(0)->set_varint(before);
  }
}

TEST_CASE("a change in any field of any message is a difference") {
  onnx::ModelProto full;
  int number = 0;
  Fill(full, 7, &number);
  REQUIRE(full.graph().node(0).attribute(0).g().node(0).attribute(0).has_t());
  REQUIRE(Diff(full, full).equal());
  const Model base = Model::FromProto(full);
  onnx::ModelProto& changed = full;
  int tried = 0;
  ChangeEach(changed, "model", [&](const std::string& what) {
    const absl::StatusOr<ModelDiff> diff = DiffModels(base, Model::FromProto(changed), {});
    CAPTURE(what, diff.status().ToString());
    REQUIRE(diff.ok());
    CHECK_FALSE(diff->equal());
    ++tried;
  });
  CHECK(tried > 500);
}

// --- values, however they are stored

onnx::TensorProto Numbers(int count) {
  onnx::TensorProto tensor;
  tensor.set_name("w");
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(count);
  for (int i = 0; i < count; ++i) {
    tensor.add_float_data(static_cast<float>(i) / 8);
  }
  return tensor;
}

onnx::ModelProto WithWeight(const onnx::TensorProto& tensor) {
  onnx::ModelProto model = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17]>
    g (float[N] x) => (float[N] y) { y = Add(x, w) })");
  *model.mutable_graph()->add_initializer() = tensor;
  return model;
}

TEST_CASE("equal values are equal under every storage, and a different one is found under every storage") {
  constexpr int kCount = 300000;  // several windows
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const onnx::ModelProto& model) {
    std::ofstream(folder / name, std::ios::binary) << model.SerializeAsString();
    absl::StatusOr<Model> loaded = Model::Load(folder / name);
    REQUIRE(loaded.ok());
    return *std::move(loaded);
  };
  for (const bool planted : {false, true}) {
    onnx::TensorProto typed = Numbers(kCount);
    std::string bytes(reinterpret_cast<const char*>(typed.float_data().data()), size_t{4} * kCount);
    if (planted) {
      typed.set_float_data(kCount - 2, -1);
      bytes.assign(reinterpret_cast<const char*>(typed.float_data().data()), size_t{4} * kCount);
    }
    onnx::TensorProto raw = typed;
    SetRawData(raw, bytes);
    onnx::TensorProto external = raw;
    std::ofstream(folder / (planted ? "planted.bin" : "w.bin"), std::ios::binary) << "12345678" << bytes << "tail";
    SetExternal(external, planted ? "planted.bin" : "w.bin", 8, bytes.size());
    const Model models[] = {Model::FromProto(WithWeight(typed)), Model::FromProto(WithWeight(raw)),
                            write("typed.onnx", WithWeight(typed)), write("raw.onnx", WithWeight(raw)),
                            write("external.onnx", WithWeight(external))};
    const Model original = write("original.onnx", WithWeight(Numbers(kCount)));
    for (const Model& model : models) {
      for (const DiffOptions& options : {DiffOptions(), DiffOptions{.ignore_names = true}}) {
        const absl::StatusOr<ModelDiff> diff = DiffModels(original, model, options);
        REQUIRE(diff.ok());
        CHECK(diff->equal() == !planted);
        if (planted) {
          REQUIRE(diff->differences.size() == 1);
          const Difference& d = diff->differences[0];
          CHECK(Text(d) == "weights ~ |main graph|\"w\"|1 of 300000 values, first at [299998]|37499.75 -> -1");
          CHECK(d.digest_before != d.digest_after);
          CHECK(d.digest_before.size() == 7 + 64);
        }
      }
    }
    const absl::StatusOr<ModelDiff> notes = DiffModels(original, models[4], {});
    REQUIRE(notes.ok());
    REQUIRE(notes->storage.size() == (planted ? 0 : 1));
    if (!planted) {
      CHECK(notes->storage[0].where == "\"w\"");
      CHECK(notes->storage[0].before == "float_data");
      CHECK(notes->storage[0].after == "external, 'w.bin' at 8");
    }
  }
}

TEST_CASE("padding after packed elements is no value") {
  onnx::TensorProto odd;
  odd.set_name("w");
  odd.set_data_type(onnx::TensorProto::INT4);
  odd.add_dims(3);
  odd.set_raw_data(std::string("\x21\x03", 2));
  onnx::TensorProto padded = odd;
  padded.set_raw_data(std::string("\x21\xf3", 2));
  CHECK(Diff(WithWeight(odd), WithWeight(padded)).equal());
  padded.set_raw_data(std::string("\x21\xf4", 2));
  CHECK(Texts(Diff(WithWeight(odd), WithWeight(padded))) ==
        Lines{"weights ~ |main graph|\"w\"|values|[1, 2, 3] -> [1, 2, 4]"});
}

TEST_CASE("data that both models take from one place isn't needed") {
  const TemporaryFolder folder;
  onnx::TensorProto absent;
  absent.set_name("w");
  absent.set_data_type(onnx::TensorProto::FLOAT);
  absent.add_dims(3);
  SetExternal(absent, "nowhere.bin", 0, 12);
  onnx::ModelProto a = WithWeight(absent);
  onnx::ModelProto b = a;
  b.set_producer_name("changed");
  const auto diff = [&](const std::string& second, const DiffOptions& options) {
    return DiffModels(Model::FromProto(a, folder.path()), Model::FromProto(b, second), options);
  };
  const absl::StatusOr<ModelDiff> same = diff(folder.path(), {});
  REQUIRE(same.ok());
  CHECK(same->differences.size() == 1);
  std::filesystem::create_directory(folder / "other");
  const absl::StatusOr<ModelDiff> elsewhere = diff(folder / "other", {});
  CHECK(elsewhere.status().code() == absl::StatusCode::kNotFound);
  CHECK(gomai::Message(elsewhere.status()).find("'w'") != std::string_view::npos);
  const absl::StatusOr<ModelDiff> ignored = diff(folder / "other", {.ignore_weights = true});
  REQUIRE(ignored.ok());
  CHECK(ignored->differences.size() == 1);
  SetExternal(*b.mutable_graph()->mutable_initializer(0), "../out.bin", 0, 12);
  CHECK(diff(folder / "other", {.ignore_weights = true}).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("real models: equal to themselves, and after a save under another policy") {
  const TemporaryFolder folder;
  const absl::StatusOr<Model> tiny = Model::Load(testing::TinyModel());
  REQUIRE(tiny.ok());
  REQUIRE(Save(*tiny, folder / "out.onnx", {.weights = Weights::kExternal}).ok());
  const absl::StatusOr<Model> saved = Model::Load(folder / "out.onnx");
  REQUIRE(saved.ok());
  for (const bool names : {false, true}) {
    const absl::StatusOr<ModelDiff> diff = DiffModels(*tiny, *saved, {.ignore_names = names});
    REQUIRE(diff.ok());
    CHECK(Texts(*diff).empty());
    CHECK(diff->nodes_matched == 2577);
    CHECK_FALSE(diff->storage.empty());
  }
}

TEST_CASE("every model at hand equals itself, whatever is ignored, without its names too") {
  size_t count = 0;
  for (const std::filesystem::path& path : testing::AllModels()) {
    const absl::StatusOr<Model> model = Model::Load(path);
    if (!model.ok()) {
      continue;
    }
    CAPTURE(path.string());
    onnx::ModelProto renamed = model->proto();
    for (onnx::NodeProto& node : *renamed.mutable_graph()->mutable_node()) {
      node.set_name(fmt::format("renamed{}", count));
    }
    Model copy = Model::FromProto(renamed, model->folder());
    copy.Adopt(*model);
    const absl::StatusOr<ModelDiff> diff = DiffModels(*model, copy, {.ignore_names = true});
    CAPTURE(diff.status().ToString());
    REQUIRE(diff.ok());
    CHECK(Texts(*diff).empty());
    ++count;
  }
  CHECK(count > 100);
}

TEST_CASE("damaged models compare without a crash, alike from both sides") {
  std::mt19937_64 random(7);
  const TemporaryFolder folder;
  const std::string bytes = testing::RichModel();
  std::ofstream(folder / "w.bin", std::ios::binary) << "abc";
  std::ofstream(folder / "original.onnx", std::ios::binary) << bytes;
  const absl::StatusOr<Model> original = Model::Load(folder / "original.onnx");
  REQUIRE(original.ok());
  int compared = 0;
  for (int i = 0; i < 3000; ++i) {
    std::ofstream(folder / "damaged.onnx", std::ios::binary) << testing::Mutate(bytes, random);
    const absl::StatusOr<Model> damaged = Model::Load(folder / "damaged.onnx");
    if (!damaged.ok()) {
      continue;
    }
    const DiffOptions options{.ignore_names = i % 2 == 1, .ignore_order = i % 4 > 1, .ignore_weights = i % 8 > 3};
    const absl::StatusOr<ModelDiff> there = DiffModels(*original, *damaged, options);
    const absl::StatusOr<ModelDiff> back = DiffModels(*damaged, *original, options);
    CAPTURE(i, there.status().ToString(), back.status().ToString());
    REQUIRE(there.ok() == back.ok());
    if (there.ok()) {
      CHECK(there->equal() == back->equal());
      CHECK(DiffModels(*damaged, *damaged, options)->equal());
      ++compared;
    }
  }
  CHECK(compared > 300);
}

TEST_CASE("what to ignore is spelt right or refused with the nearest") {
  DiffOptions options;
  CHECK(ParseIgnored("names,order", &options).ok());
  CHECK((options.ignore_names && options.ignore_order && !options.ignore_docs && !options.ignore_weights));
  const absl::Status unknown = ParseIgnored("doc", &options);
  CHECK(unknown.code() == absl::StatusCode::kInvalidArgument);
  CHECK(gomai::Message(unknown).find("did you mean 'docs'?") != std::string_view::npos);
}

}  // namespace
}  // namespace gomai
