// inline-functions on random models of functions that call one another: every bit as before, the operators that ONNX's
// own inliner gives, and all that an inliner may forget.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/inliner/inliner.h>

#include <catch2/catch_test_macros.hpp>
#include <random>

#include "lib/graph/verify.h"
#include "tests/support/compute.h"
#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::CheckClose;
using testing::Compute;
using testing::LoadModelText;
using testing::RunPasses;
using testing::UniformTensor;

// Names are few on purpose, so that those of callers, functions and bodies collide everywhere.
class RandomFunctions {
 public:
  explicit RandomFunctions(uint64_t seed) : random_(seed) {}

  std::string Text() {
    functions_ = Pick(4) + 1;
    std::string text =
        "<ir_version: 8, opset_import: [\"\" : 17, \"local\" : 1]>\n"
        "main (bool c, float[2,3] v0, float[2,3] v1) => (float[2,3] v7, float[2,3] v8) {\n";
    text += Body(functions_, Pick(5) + 1, {"v0", "v1"}, "v7", "v8", "c", false) + "}\n";
    for (int i = 0; i < functions_; ++i) {
      text += fmt::format(
          "<domain: \"local\", opset_import: [\"\" : 17, \"local\" : 1]>\nF{} <alpha: float = 0.25, beta> (v3, p, v1, "
          "low) => (r, v2) {{\n{}}}\n",
          i, Body(i, Pick(4) + 1, {"v3", "v1"}, "r", "v2", "p", true));
    }
    return text;
  }

 private:
  int Pick(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }
  std::string Choose(const std::vector<std::string>& values) {
    return values[static_cast<size_t>(Pick(static_cast<int>(values.size())))];
  }

  // `size` statements on the values, of which the last two define the results; calls go to functions below `callable`.
  std::string Body(int callable, int size, std::vector<std::string> values, const std::string& first,
                   const std::string& second, const std::string& condition, bool inside) {
    std::string text;
    for (int i = 0; i < size + 2; ++i) {
      const std::string name = i == size ? first : i == size + 1 ? second : fmt::format("v{}", 10 + i);
      const std::string a = Choose(values);
      const std::string b = Choose(values);
      const std::string label = Pick(2) == 0 ? fmt::format("[n{}] ", i) : "";
      const int kind = Pick(callable > 0 ? 7 : 4);
      if (kind == 0) {
        text += fmt::format("  {}{} = Add({}, {})\n", label, name, a, b);
      } else if (kind == 1 && inside) {
        text += fmt::format("  {}{} = LeakyRelu <alpha: float = @{}> ({})\n", label, name,
                            Pick(2) == 0 ? "alpha" : "beta", a);
      } else if (kind == 2 && inside) {
        text += fmt::format("  {}{} = Clip({}, low)\n", label, name, a);
      } else if (kind <= 3) {
        text += fmt::format(
            "  {}{} = If ({}) <then_branch = then_graph () => (float[2,3] t) {{ v20 = Neg({}) t = Sub(v20, {}) }}, "
            "else_branch = else_graph () => (float[2,3] e) {{ [n0] e = {} }}>\n",
            label, name, condition, a, b,
            callable > 0 ? fmt::format("local.F{}({}, {}, {}, \"\")", Pick(callable), b, condition, a)
                         : fmt::format("Tanh({})", b));
        if (callable > 0) {  // a call has two results; the second needs a name of its own
          const size_t at = text.rfind("e = local");
          text.replace(at, 3, fmt::format("e, u{} =", Pick(2)));
        }
      } else {
        const std::string attributes = Pick(3) == 0   ? ""
                                       : Pick(2) == 0 ? "<alpha = 0.5, beta = 0.75> "
                                       : inside       ? "<beta: float = @alpha> "
                                                      : "<beta = 0.125> ";
        const std::string low = inside && Pick(2) == 0 ? "low" : "\"\"";
        text += fmt::format("  {}{}, x{} = local.F{} {}({}, {}, {}, {})\n", label, name, i, Pick(callable), attributes,
                            a, condition, b, low);
        values.push_back(fmt::format("x{}", i));
      }
      values.push_back(name);
    }
    return text;
  }

  std::mt19937_64 random_;
  int functions_ = 0;
};

// In order, with the bodies between. Attributes aside: ONNX's inliner forgets the functions' defaults.
std::vector<std::string> Operators(const onnx::ModelProto& model) {
  std::vector<std::string> operators;
  std::vector<const onnx::GraphProto*> graphs = {&model.graph()};
  while (!graphs.empty()) {
    const onnx::GraphProto& graph = *graphs.back();
    graphs.pop_back();
    for (const onnx::NodeProto& node : graph.node()) {
      operators.push_back(node.op_type());
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) {
          operators.push_back(attribute.name());
          graphs.push_back(&attribute.g());
        }
      }
    }
  }
  return operators;
}

TEST_CASE("random functions inlined compute every bit as before") {
  std::mt19937_64 random(1);
  int inlined = 0;
  int compared = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const std::string text = RandomFunctions(seed).Text();
    INFO(text);
    Model model = LoadModelText(text);
    const NamedTensors feeds = {
        {"c", testing::MakeTensor(onnx::TensorProto::BOOL, {}, {static_cast<double>(seed % 2)})},
        {"v0", UniformTensor(onnx::TensorProto::FLOAT, {2, 3}, -2, 2, random)},
        {"v1", UniformTensor(onnx::TensorProto::FLOAT, {2, 3}, -2, 2, random)}};
    onnx::ModelProto oracle = model.proto();
    onnx::inliner::InlineLocalFunctions(oracle);
    const auto expected = Compute(model, feeds);
    const auto reports = RunPasses(model, "inline-functions");
    INFO(reports.status());
    REQUIRE(reports.ok());
    CHECK(model.proto().functions_size() == 0);
    CHECK(model.proto().opset_import_size() == 1);
    CHECK(Verify(model, Index(model.proto())).empty());
    CHECK(Operators(model.proto()) == Operators(oracle));
    inlined += reports->at(0).changes.lines.size() > 2 ? 1 : 0;
    const auto got = Compute(model, feeds);
    INFO(got.status());
    REQUIRE(got.ok());
    if (expected.ok()) {
      CheckClose(*got, *expected, {.bits = true});
      ++compared;
    }
    const auto again = RunPasses(model, "inline-functions");
    REQUIRE(again.ok());
    CHECK(again->at(0).changes.empty());
  }
  INFO(inlined << " inlined, " << compared << " compared");
  CHECK(inlined > 100);
  CHECK(compared > 100);
}

TEST_CASE("what the text form can't say comes along") {
  onnx::ModelProto proto = testing::ParseModel(R"(
<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
main (float[4] x) => (float[4] y, float[N] z) { [one] y, "" = local.F(x) [two] z = local.F(y) }
<domain: "local", opset_import: ["" : 17]>
F (v) => (w, o) { [neg] t = Neg(v) w = Abs(t) o = Exp(t) }
)");
  onnx::FunctionProto& function = *proto.mutable_functions(0);
  function.set_doc_string("of the function");
  onnx::ValueInfoProto& info = *function.add_value_info();
  info.set_name("t");
  info.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  info.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_param("N");
  const auto add = [](onnx::NodeProto& node, const char* key, const char* value) {
    onnx::StringStringEntryProto& entry = *node.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  };
  add(*function.mutable_node(0), "source", "function");
  add(*proto.mutable_graph()->mutable_node(0), "source", "call");
  add(*proto.mutable_graph()->mutable_node(0), "layer", "7");
  proto.mutable_graph()->mutable_node(0)->set_doc_string("of the call");
  onnx::ValueInfoProto& stale = *proto.mutable_graph()->add_value_info();
  stale.set_name("t_1");
  stale.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::INT64);
  Model model = Model::FromProto(proto);
  std::vector<Diagnostic> diagnostics;
  REQUIRE(RunPasses(model, "inline-functions", &diagnostics).ok());
  REQUIRE(diagnostics.size() == 1);
  CHECK(diagnostics[0].location == "function F");
  const onnx::GraphProto& graph = model.proto().graph();
  REQUIRE(graph.node_size() == 6);
  CHECK(graph.node(0).name() == "neg");
  CHECK(graph.node(0).doc_string() == "of the call");
  REQUIRE(graph.node(0).metadata_props_size() == 2);  // its own source, and the call's layer
  CHECK(graph.node(0).metadata_props(0).value() == "function");
  CHECK(graph.node(0).metadata_props(1).value() == "7");
  CHECK(graph.node(1).metadata_props_size() == 2);
  CHECK(graph.node(3).name() == "neg_1");
  CHECK(graph.node(3).output(0) == "t_2");  // a stale declaration has t_1
  CHECK_FALSE(graph.node(3).has_doc_string());
  CHECK(graph.node(2).output(0) == "o");
  std::map<std::string, std::string> symbols;
  for (const onnx::ValueInfoProto& declared : graph.value_info()) {
    if (declared.type().tensor_type().shape().dim_size() > 0) {
      symbols[declared.name()] = declared.type().tensor_type().shape().dim(0).dim_param();
    }
  }
  REQUIRE(symbols.contains("t"));
  REQUIRE(symbols.contains("t_2"));
  CHECK(symbols["t"] != "N");  // the model's own
  CHECK(symbols["t_2"] != "N");
}

TEST_CASE("bodies that a call hands over read what the caller has") {
  Model model = LoadModelText(R"(
<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
main (bool c, float[2] v, float[2] t) => (float[2] y, float[2] z)
{
  y = local.F <body = g () => (float[2] a) { a = Add(v, t) }> (c, t)
  z = local.F <body = g () => (float[2] b) { b = Sub(v, t) }> (c, v)
}
<domain: "local", opset_import: ["" : 17]>
F <body> (p, v) => (w) { t = Abs(v) w = If (p) <then_branch: graph = @body, else_branch = e () => (float[2] n) { n = Neg(t) }> }
)");
  REQUIRE(RunPasses(model, "inline-functions").ok());
  CHECK(Verify(model, Index(model.proto())).empty());
  const auto tensor = [](double a, double b) { return testing::MakeTensor(onnx::TensorProto::FLOAT, {2}, {a, b}); };
  for (const bool taken : {false, true}) {
    const auto got = Compute(model, {{"c", testing::MakeTensor(onnx::TensorProto::BOOL, {}, {taken ? 1.0 : 0.0})},
                                     {"v", tensor(-1, 2)},
                                     {"t", tensor(10, -20)}});
    INFO(got.status());
    REQUIRE(got.ok());
    CheckClose(*got,
               {{"y", taken ? tensor(9, -18) : tensor(-10, -20)}, {"z", taken ? tensor(-11, 22) : tensor(-1, -2)}},
               {.bits = true});
  }
}

TEST_CASE("overloads are functions of their own") {
  onnx::ModelProto proto = testing::ParseModel(R"(
<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
main (float[2] x) => (float[2] y, float[2] z) { y = local.F(x) z = local.F(x) }
<domain: "local", opset_import: ["" : 17]>
F (v) => (w) { w = Neg(v) }
<domain: "local", opset_import: ["" : 17]>
G (v) => (w) { w = Abs(v) }
)");
  proto.mutable_functions(0)->set_overload("a");
  proto.mutable_functions(1)->set_name("F");
  proto.mutable_functions(1)->set_overload("b");
  proto.mutable_graph()->mutable_node(0)->set_overload("b");
  proto.mutable_graph()->mutable_node(1)->set_overload("a");
  Model one = Model::FromProto(proto);
  REQUIRE(RunPasses(one, "inline-functions{functions=local/F:b}").ok());
  CHECK(one.proto().graph().node(0).op_type() == "Abs");
  CHECK(one.proto().graph().node(1).op_type() == "F");
  REQUIRE(one.proto().functions_size() == 1);
  CHECK(one.proto().functions(0).overload() == "a");
  CHECK(one.proto().opset_import_size() == 2);  // the other is still called
  Model both = Model::FromProto(proto);
  REQUIRE(RunPasses(both, "inline-functions{functions=F}").ok());
  CHECK(both.proto().graph().node(1).op_type() == "Neg");
  CHECK(both.proto().functions_size() == 0);
}

TEST_CASE("functions that double at every level are refused before they fill the memory") {
  std::string text =
      "<ir_version: 8, opset_import: [\"\" : 17, \"local\" : 1]>\nmain (float[2] x) => (float[2] y) { y = local.F40(x) "
      "}\n"
      "<domain: \"local\", opset_import: [\"\" : 17]> F0 (v) => (w) { w = Neg(v) }\n";
  for (int i = 1; i <= 40; ++i) {
    text += fmt::format(
        "<domain: \"local\", opset_import: [\"\" : 17, \"local\" : 1]> F{0} (v) => (w) {{ t = local.F{1}(v) w = "
        "local.F{1}(t) }}\n",
        i, i - 1);
  }
  Model model = LoadModelText(text);
  const absl::Status status = RunPasses(model, "inline-functions").status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(Message(status)).find("nodes with all calls inlined") != std::string::npos);
}

}  // namespace
}  // namespace gomai
