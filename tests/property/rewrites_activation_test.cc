// Rewrites of activations, of LayerNormalization and of inputs' layouts against ONNX Runtime: random shapes, opsets,
// dtypes and orders of operands, each computed before and after and compared as the pass's effect promises.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "tests/support/compute.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::CheckClose;
using testing::Compute;
using testing::LoadModelText;
using testing::MakeTensor;
using testing::RunPasses;
using testing::UniformTensor;
using testing::ValuesOf;
using Shape = std::vector<int64_t>;

constexpr Tolerance kRounding = {.rtol = 1e-5, .atol = 2e-6};

// x * gate in every order that is promised.
const std::vector<std::string>& SwishForms() {
  static const std::vector<std::string> forms = {
      "g = HardSigmoid <alpha = 0.16666667> (x) y = Mul(x, g)",
      "g = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul(g, x)",
      "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)",
      "a = Add(three, x) c = Clip(a, zero, six) m = Mul(c, x) y = Div(m, six)",
      "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Mul(m, sixth)",
      "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Mul(sixth, m)",
      "a = Add(x, three) c = Clip(a, zero, six) d = Div(c, six) y = Mul(x, d)",
      "a = Add(x, three) c = Clip(a, zero, six) d = Mul(c, sixth) y = Mul(d, x)",
      "a = Add(x, three) c = Clip(a, zero, six) d = Div(x, six) y = Mul(d, c)",
      "a = Add(x, three) c = Clip(a, zero, six) d = Mul(sixth, x) y = Mul(c, d)",
      "a = Add(x, three) r = Relu(a) c = Min(r, six) m = Mul(x, c) y = Div(m, six)",
      "a = Add(x, three) r = Relu(a) c = Min(six, r) d = Div(c, six) y = Mul(d, x)"};
  return forms;
}

std::string SwishText(int opset, const Shape& shape, const std::string& body) {
  return fmt::format(
      "<ir_version: 8, opset_import: [\"\" : {}]>\nmain (float[{}] x) => (float[{}] y)\n"
      "<float three = {{3}}, float zero = {{0}}, float six = {{6}}, float sixth = {{0.16666667}}> {{ {} }}",
      opset, fmt::join(shape, ","), fmt::join(shape, ","), body);
}

TEST_CASE("HardSwish in every spelling, there and back") {
  std::mt19937_64 random(1);
  int done = 0;
  for (const int opset : {14, 17, 21, 22}) {
    for (const Shape& shape : {Shape{2000}, Shape{}, Shape{2, 3, 4, 5}, Shape{0, 3}}) {
      for (const std::string& form : SwishForms()) {
        INFO("opset " << opset << ": " << form);
        Model model = LoadModelText(SwishText(opset, shape, form));
        const NamedTensors feeds = {{"x", UniformTensor(onnx::TensorProto::FLOAT, shape, -6, 6, random)}};
        const auto expected = Compute(model, feeds);
        REQUIRE(expected.ok());
        REQUIRE(RunPasses(model, "hardsigmoid-mul-to-hardswish").ok());
        REQUIRE(model.proto().graph().node_size() == 1);
        CHECK(model.proto().graph().node(0).op_type() == "HardSwish");
        const auto swish = Compute(model, feeds);
        INFO(swish.status());
        REQUIRE(swish.ok());
        CheckClose(*swish, *expected, kRounding);
        REQUIRE(RunPasses(model, "hardswish-to-hardsigmoid-mul").ok());
        REQUIRE(model.proto().graph().node_size() == 2);
        const auto back = Compute(model, feeds);
        REQUIRE(back.ok());
        CheckClose(*back, *expected, kRounding);
        ++done;
      }
    }
  }
  CHECK(done == 4 * 4 * 12);
}

TEST_CASE("NaN and infinities go through HardSwish as through its steps") {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> odd = {inf, -inf, -0.0, 0, -3, 3, 1e30, -1e30, 1e-40};
  for (const std::string& form : {SwishForms()[0], SwishForms()[2]}) {
    Model model = LoadModelText(SwishText(17, {9}, form));
    const NamedTensors feeds = {{"x", MakeTensor(onnx::TensorProto::FLOAT, {9}, odd)}};
    const auto expected = Compute(model, feeds);
    REQUIRE(RunPasses(model, "hardsigmoid-mul-to-hardswish").ok());
    const auto got = Compute(model, feeds);
    REQUIRE(expected.ok());
    REQUIRE(got.ok());
    const std::vector<double> a = ValuesOf(expected->at("y"));
    const std::vector<double> b = ValuesOf(got->at("y"));
    for (size_t i = 0; i < odd.size(); ++i) {
      INFO(form << " of " << odd[i] << ": " << a[i] << ", " << b[i]);
      CHECK((std::isnan(a[i]) ? std::isnan(b[i]) : std::abs(a[i] - b[i]) <= 1e-5 * std::abs(a[i]) || a[i] == b[i]));
    }
  }
}

// The number behind "by up to" in the only warning.
double WarnedError(const std::vector<Diagnostic>& diagnostics) {
  REQUIRE(diagnostics.size() == 1);
  const std::string& message = diagnostics[0].message;
  const size_t at = message.find("by up to ");
  REQUIRE(at != std::string::npos);
  return std::stod(message.substr(at + 9));
}

TEST_CASE("approximations are off by what is warned of, and not by more") {
  std::vector<double> grid(40'001);
  for (size_t i = 0; i < grid.size(); ++i) {
    grid[i] = (static_cast<double>(i) - 20'000) / 1000;
  }
  const NamedTensors feeds = {{"x", MakeTensor(onnx::TensorProto::FLOAT, {40'001}, grid)}};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"y = Sigmoid(x)", "sigmoid-to-hardsigmoid"},
      {"y = Sigmoid(x)", "sigmoid-to-hardsigmoid{alpha=0.2}"},
      {"y = Sigmoid(x)", "sigmoid-to-hardsigmoid{alpha=0.25}"},
      {"y = Sigmoid(x)", "sigmoid-to-hardsigmoid{alpha=0.05}"},
      {"y = HardSwish(x)", "hardswish-to-hardsigmoid-mul{alpha=0.1667}"},
      {"y = HardSwish(x)", "hardswish-to-hardsigmoid-mul{alpha=0.1666}"},
      {"y = HardSwish(x)", "hardswish-to-hardsigmoid-mul{alpha=0.2}"},
      {"y = HardSwish(x)", "hardswish-to-hardsigmoid-mul{alpha=0.1}"},
      {"g = HardSigmoid(x) y = Mul(x, g)", "hardsigmoid-mul-to-hardswish{approximate=true}"},
      {"g = HardSigmoid <alpha = 0.125, beta = 0.45> (x) y = Mul(x, g)",
       "hardsigmoid-mul-to-hardswish{approximate=true}"},
      {"g = HardSigmoid <alpha = 0.166667> (x) y = Mul(x, g)", "hardsigmoid-mul-to-hardswish{approximate=true}"}};
  for (const auto& [body, pipeline] : cases) {
    INFO(body << " / " << pipeline);
    Model model = LoadModelText(SwishText(17, {40'001}, body));
    const auto expected = Compute(model, feeds);
    std::vector<Diagnostic> diagnostics;
    const auto reports = RunPasses(model, pipeline, &diagnostics);
    REQUIRE(reports.ok());
    CHECK(reports->at(0).effect == Effect::kApproximate);
    const auto got = Compute(model, feeds);
    REQUIRE(expected.ok());
    REQUIRE(got.ok());
    const std::vector<double> a = ValuesOf(expected->at("y"));
    const std::vector<double> b = ValuesOf(got->at("y"));
    double largest = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(a[i] - b[i]));
    }
    const double warned = WarnedError(diagnostics);
    INFO("off by " << largest << ", warned of " << warned);
    CHECK(largest <= warned * 1.005 + 2e-6);
    CHECK(largest >= warned * 0.98 - 2e-6);
  }
}

TEST_CASE("of a quantised input the change is told over its 256 values") {
  std::vector<double> all(256);
  std::iota(all.begin(), all.end(), 0);
  for (const char* scale : {"0.004", "0.03", "0.2"}) {
    Model model = LoadModelText(
        fmt::format("<ir_version: 8, opset_import: [\"\" : 17]>\nmain (uint8[256] x) => (float[256] y)\n"
                    "<float s = {{{}}}, uint8 z = {{100}}> {{ a = DequantizeLinear(x, s, z) y = Sigmoid(a) }}",
                    scale));
    const NamedTensors feeds = {{"x", MakeTensor(onnx::TensorProto::UINT8, {256}, all)}};
    const auto expected = Compute(model, feeds);
    std::vector<Diagnostic> diagnostics;
    REQUIRE(RunPasses(model, "sigmoid-to-hardsigmoid", &diagnostics).ok());
    const auto got = Compute(model, feeds);
    REQUIRE(expected.ok());
    REQUIRE(got.ok());
    double largest = 0;
    for (size_t i = 0; i < 256; ++i) {
      largest = std::max(largest, std::abs(ValuesOf(expected->at("y"))[i] - ValuesOf(got->at("y"))[i]));
    }
    INFO(scale << ": " << largest << " / " << diagnostics[0].message);
    CHECK(std::abs(largest - WarnedError(diagnostics)) <= 0.01 * largest + 1e-6);
  }
}

struct NormCase {
  int opset = 17;
  std::string dtype = "float";
  Shape shape;
  int64_t axis = -1;
  bool bias = false;
  bool statistics = false;
  std::string more;  // attributes
};

std::string NormText(const NormCase& c) {
  const size_t first = static_cast<size_t>(c.axis < 0 ? c.axis + static_cast<int64_t>(c.shape.size()) : c.axis);
  const Shape normal(c.shape.begin() + static_cast<int64_t>(first), c.shape.end());
  Shape reduced = c.shape;
  std::fill(reduced.begin() + static_cast<int64_t>(first), reduced.end(), 1);
  const std::string shape = fmt::format("{}[{}]", c.dtype, fmt::join(c.shape, ","));
  const std::string statistic = fmt::format("float[{}]", fmt::join(reduced, ","));
  return fmt::format(
      "<ir_version: 8, opset_import: [\"\" : {}]>\nmain ({} x, {}[{}] s{}) => ({} y{}) {{\n"
      "  y{} = LayerNormalization <axis = {}{}> (x, s{})\n}}",
      c.opset, shape, c.dtype, fmt::join(normal, ","),
      c.bias ? fmt::format(", {}[{}] b", c.dtype, fmt::join(normal, ",")) : "", shape,
      c.statistics ? fmt::format(", {} mean, {} inverse", statistic, statistic) : "",
      c.statistics ? ", mean, inverse" : "", c.axis, c.more, c.bias ? ", b" : "");
}

TEST_CASE("LayerNormalization in steps gives what the operator gives") {
  std::mt19937_64 random(2);
  int done = 0;
  for (int i = 0; i < 240; ++i) {
    NormCase c;
    const int rank = static_cast<int>(random() % 4) + 1;
    for (int axis = 0; axis < rank; ++axis) {
      c.shape.push_back(static_cast<int64_t>(random() % 6) + 2);
    }
    c.opset = std::vector<int>{17, 18, 20}[random() % 3];
    c.dtype = std::vector<std::string>{"float", "float", "double", "float16"}[random() % 4];
    c.axis = static_cast<int64_t>(random() % static_cast<uint64_t>(2 * rank)) - rank;
    c.bias = random() % 2 == 0;
    c.statistics = c.dtype == "float" && random() % 3 == 0;
    c.more = std::vector<std::string>{"", ", epsilon = 0.01", ", epsilon = 0.0001, stash_type = 1"}[random() % 3];
    INFO(NormText(c));
    Model model = LoadModelText(NormText(c));
    NamedTensors feeds;
    for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
      Shape shape;
      for (const auto& dim : input.type().tensor_type().shape().dim()) {
        shape.push_back(dim.dim_value());
      }
      feeds[input.name()] = UniformTensor(input.type().tensor_type().elem_type(), shape, -1, 1, random);
    }
    const auto expected = Compute(model, feeds);
    INFO(expected.status());
    REQUIRE(expected.ok());
    REQUIRE(RunPasses(model, "decompose-layernorm").ok());
    for (const onnx::NodeProto& node : model.proto().graph().node()) {
      CHECK(node.op_type() != "LayerNormalization");
    }
    const auto got = Compute(model, feeds);
    INFO(got.status());
    REQUIRE(got.ok());
    // Data that is nearly constant along the axis loses digits in any kernel, float16 ends at 2^-11.
    CheckClose(*got, *expected,
               c.dtype == "float16" ? Tolerance{.rtol = 4e-3, .atol = 4e-3} : Tolerance{.rtol = 1e-3, .atol = 1e-4});
    ++done;
  }
  CHECK(done == 240);
}

// A tensor with axis i of the result at axis perm[i] of the input.
HostTensor Transposed(const HostTensor& tensor, const Shape& perm) {
  Shape shape;
  for (const int64_t axis : perm) {
    shape.push_back(tensor.shape()[static_cast<size_t>(axis)]);
  }
  const std::vector<double> in = ValuesOf(tensor);
  std::vector<double> out(in.size());
  for (size_t i = 0; i < out.size(); ++i) {
    Shape at(shape.size());
    for (size_t axis = shape.size(), rest = i; axis-- > 0; rest /= static_cast<size_t>(shape[axis])) {
      at[static_cast<size_t>(perm[axis])] = static_cast<int64_t>(rest % static_cast<size_t>(shape[axis]));
    }
    size_t from = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      from = from * static_cast<size_t>(tensor.shape()[axis]) + static_cast<size_t>(at[axis]);
    }
    out[i] = in[from];
  }
  return MakeTensor(tensor.dtype(), shape, out);
}

HostTensor Reversed(const HostTensor& tensor, size_t axis) {
  Shape shape = tensor.shape();
  size_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) {
    inner *= static_cast<size_t>(shape[i]);
  }
  const size_t channels = static_cast<size_t>(shape[axis]);
  const std::vector<double> in = ValuesOf(tensor);
  std::vector<double> out(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t channel = i / inner % channels;
    out[i] = in[i + (channels - 1 - channel) * inner - channel * inner];
  }
  return MakeTensor(tensor.dtype(), shape, out);
}

TEST_CASE("inputs and outputs in any layout and order of channels give the same bits") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 120; ++i) {
    const size_t rank = random() % 3 + 3;
    Shape shape;
    for (size_t axis = 0; axis < rank; ++axis) {
      shape.push_back(static_cast<int64_t>(random() % 4) + 1);
    }
    Shape perms[2];
    for (Shape& perm : perms) {
      perm.resize(rank);
      std::iota(perm.begin(), perm.end(), 0);
      std::shuffle(perm.begin(), perm.end(), random);
    }
    const bool reverse = random() % 2 == 0;
    const std::string text = fmt::format(
        "<ir_version: 8, opset_import: [\"\" : 17]>\nmain (bool c, float[{0}] x) => (float[{0}] y, float[{0}] z) {{\n"
        "  y = If(c) <then_branch = t () => (float[{0}] a) {{ a = Abs(x) }}, else_branch = e () => (float[{0}] b) "
        "{{ b = Neg(x) }}>\n  z = Add(x, y)\n}}",
        fmt::join(shape, ","));
    const std::string pipeline = fmt::format("transpose-input{{x=[{}],y=[{}]{}}}", fmt::join(perms[0], ","),
                                             fmt::join(perms[1], ","), reverse ? ",channels=reverse" : "");
    INFO(text << pipeline);
    Model model = LoadModelText(text);
    const size_t axis = rank == 3 ? 0 : 1;
    const HostTensor x = UniformTensor(onnx::TensorProto::FLOAT, shape, -1, 1, random);
    const HostTensor c = MakeTensor(onnx::TensorProto::BOOL, {}, {static_cast<double>(random() % 2)});
    const auto expected = Compute(model, {{"c", c}, {"x", x}});
    REQUIRE(expected.ok());
    const auto reports = RunPasses(model, pipeline);
    INFO(reports.status());
    REQUIRE(reports.ok());
    const auto swap = [&](const HostTensor& tensor, const Shape& perm) {
      return Transposed(reverse ? Reversed(tensor, axis) : tensor, perm);
    };
    const auto got = Compute(model, {{"c", c}, {"x", swap(x, perms[0])}});
    INFO(got.status());
    REQUIRE(got.ok());
    CheckClose(*got, {{"y", swap(expected->at("y"), perms[1])}, {"z", expected->at("z")}}, {.bits = true});
  }
}

TEST_CASE("reversed channels fold into Convs, quantised ones too") {
  std::mt19937_64 random(4);
  for (int i = 0; i < 60; ++i) {
    const int64_t channels = static_cast<int64_t>(random() % 4) + 1;
    const int64_t kernel = static_cast<int64_t>(random() % 3) + 1;
    const bool quantised = i % 3 == 0;
    std::vector<int> weights(static_cast<size_t>(2 * channels * kernel * kernel));
    for (int& weight : weights) {
      weight = static_cast<int>(random() % 200) - 100;
    }
    const std::string text = fmt::format(
        "<ir_version: 8, opset_import: [\"\" : 17]>\nmain (float[1,{0},6,6] x) => (float[1,2,H,W] y)\n"
        "<{1}[2,{0},{2},{2}] w = {{{3}}}, float[2] s = {{0.5,0.25}}> {{ {4} y = Conv(x, {5}) }}",
        channels, quantised ? "int8" : "float", kernel, fmt::join(weights, ","),
        quantised ? "v = DequantizeLinear <axis = 0> (w, s)" : "", quantised ? "v" : "w");
    INFO(text);
    Model model = LoadModelText(text);
    const HostTensor x = UniformTensor(onnx::TensorProto::FLOAT, {1, channels, 6, 6}, 0, 1, random);
    const auto expected = Compute(model, {{"x", x}});
    REQUIRE(expected.ok());
    const int nodes = model.proto().graph().node_size();
    REQUIRE(RunPasses(model, "transpose-input{x=same,channels=reverse,fold=true}").ok());
    CHECK(model.proto().graph().node_size() == nodes);
    const auto got = Compute(model, {{"x", Reversed(x, 1)}});
    REQUIRE(got.ok());
    CheckClose(*got, *expected, {.rtol = 1e-5, .atol = 1e-3});
  }
}

}  // namespace
}  // namespace gomai
