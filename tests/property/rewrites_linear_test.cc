// gemm-to-conv, flatten-gemm-to-conv, matmul-to-gemm, pad-into-conv and fold-batchnorm against ONNX Runtime: random
// sizes, flags, forms of the bias, opsets and quantisation. Each model is computed before and after; the numbers must
// be close, as sums in another order are, and enough of the models must have been rewritten.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <catch2/catch_test_macros.hpp>
#include <random>

#include "lib/compare/tensors.h"
#include "lib/model/save.h"
#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::RunPasses;
using testing::RuntimeOrSkip;

absl::StatusOr<NamedTensors> Compute(const Model& model, const NamedTensors& feeds) {
  const absl::StatusOr<std::string> bytes = SerializeInline(model);
  REQUIRE(bytes.ok());
  SessionOptions options;
  options.optimization = Optimization::kDisabled;
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, RuntimeOrSkip().OpenBytes(*bytes, options));
  return session->Run(feeds, {});
}

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  int64_t Roll(int64_t from, int64_t to) {
    return from + static_cast<int64_t>(engine_() % static_cast<uint64_t>(to - from + 1));
  }
  bool Coin() { return Roll(0, 1) == 1; }
  // `count` small integers, or such by the step.
  std::string Numbers(int64_t count, double step) {
    std::vector<std::string> all;
    for (int64_t i = 0; i < count; ++i) {
      all.push_back(step == 1 ? fmt::format("{}", Roll(-9, 9))
                              : fmt::format("{}", static_cast<double>(Roll(-9, 9)) * step));
    }
    return fmt::format("{{{}}}", fmt::join(all, ","));
  }

 private:
  std::mt19937_64 engine_;
};

std::string Head(int64_t opset) {
  return fmt::format("<ir_version: {}, opset_import: [\"\" : {}]>\n", opset < 13 ? 5 : 8, opset);
}

// A weight named w of these dims: floats, or integers behind DequantizeLinear. {initializers, nodes}.
std::pair<std::string, std::string> WeightText(Dice& dice, const std::vector<int64_t>& dims, int64_t opset) {
  int64_t count = 1;
  for (const int64_t dim : dims) {
    count *= dim;
  }
  const std::string shape = fmt::format("[{}]", fmt::join(dims, ","));
  const int64_t kind = dice.Roll(0, 3);
  if (kind < 2 || opset < 13) {
    return {fmt::format("float{} w = {}", shape, dice.Numbers(count, 0.125)), ""};
  }
  const int64_t axis = dice.Roll(0, static_cast<int64_t>(dims.size()) - 1);
  const int64_t scales = kind == 2 ? 1 : dims[static_cast<size_t>(axis)];
  std::vector<std::string> sizes, zeros;
  for (int64_t i = 0; i < scales; ++i) {
    sizes.push_back(fmt::format("{}", 0.25 * static_cast<double>(dice.Roll(1, 8))));
    zeros.push_back(fmt::format("{}", dice.Roll(-3, 3)));
  }
  return {fmt::format("int8{0} wq = {1}, float[{2}] ws = {{{3}}}, int8[{2}] wz = {{{4}}}", shape,
                      dice.Numbers(count, 1), scales, fmt::join(sizes, ","), fmt::join(zeros, ",")),
          fmt::format("  w = DequantizeLinear <axis = {}> (wq, ws, wz)\n", axis)};
}

// Runs the pipeline and compares; was anything rewritten?
bool Check(const std::string& text, const std::string& pipeline, const std::vector<int64_t>& shape, unsigned seed) {
  INFO(text << pipeline);
  Model model = Model::FromProto(testing::ParseModel(text.c_str()));
  ValueSpec spec;
  spec.name = "x";
  spec.dtype = model.proto().graph().input(0).type().tensor_type().elem_type();
  spec.has_shape = true;
  spec.shape = shape;
  spec.symbols.assign(shape.size(), "");
  const absl::StatusOr<HostTensor> x = RandomTensor(spec, seed, shape);
  REQUIRE(x.ok());
  const auto expected = Compute(model, {{"x", *x}});
  INFO(expected.status());
  REQUIRE(expected.ok());
  const auto reports = RunPasses(model, pipeline);
  INFO(reports.status());
  if (!reports.ok()) {
    CHECK(reports.status().code() == absl::StatusCode::kFailedPrecondition);
    return false;
  }
  const auto got = Compute(model, {{"x", *x}});
  INFO(got.status());
  REQUIRE(got.ok());
  const TensorComparison comparison = CompareTensors(got->at("y"), expected->at("y"), {.rtol = 1e-4, .atol = 1e-4});
  INFO(comparison.problem << " " << comparison.Why());
  CHECK(comparison.equal);
  return !reports->at(0).changes.empty();
}

TEST_CASE("gemm-to-conv gives what Gemm gives") {
  Dice dice(1);
  int done = 0;
  for (unsigned i = 0; i < 400; ++i) {
    const int64_t opset = std::vector<int64_t>{7, 9, 11, 13, 17, 21}[static_cast<size_t>(dice.Roll(0, 5))];
    const int64_t m = dice.Roll(1, 4), k = dice.Roll(1, 5), n = dice.Roll(1, 5);
    const bool flip_a = dice.Coin(), flip_b = dice.Coin(), bias = opset < 11 || dice.Coin();
    const auto [constants, nodes] =
        WeightText(dice, flip_b ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k, n}, opset);
    const std::vector<std::pair<std::string, int64_t>> forms = {
        {"", 1}, {"[1]", 1}, {fmt::format("[{}]", n), n}, {fmt::format("[1,{}]", n), n}, {fmt::format("[{},1]", m), m}};
    const auto& [form, count] = forms[static_cast<size_t>(dice.Roll(0, 4))];
    const std::vector<int64_t> shape = flip_a ? std::vector<int64_t>{k, m} : std::vector<int64_t>{m, k};
    const std::string text = fmt::format(
        "{}main (float[{}] x) => (float[{},{}] y)\n<{}{}>\n{{\n{}  y = Gemm <transA = {}, transB = {}{}> (x, "
        "w{})\n}}\n",
        Head(opset), fmt::join(shape, ","), m, n, constants,
        bias ? fmt::format(", float{} c = {}", form, dice.Numbers(count, 0.5)) : "", nodes, flip_a ? 1 : 0,
        flip_b ? 1 : 0, dice.Coin() ? ", alpha = 0.5, beta = 3.0" : "", bias ? ", c" : "");
    done += Check(text, dice.Coin() ? "gemm-to-conv" : "gemm-to-conv{rows=spatial}", shape, i) ? 1 : 0;
  }
  CHECK(done > 300);
}

TEST_CASE("flatten-gemm-to-conv gives what the Gemm gives") {
  Dice dice(2);
  int done = 0;
  for (unsigned i = 0; i < 300; ++i) {
    const int64_t opset = std::vector<int64_t>{9, 11, 13, 17, 21}[static_cast<size_t>(dice.Roll(0, 4))];
    std::vector<int64_t> shape = {dice.Roll(1, 3), dice.Roll(1, 3)};
    int64_t k = shape[1];
    for (int64_t axis = dice.Roll(1, 3); axis > 0; --axis) {
      shape.push_back(dice.Roll(1, 3));
      k *= shape.back();
    }
    const int64_t n = dice.Roll(1, 4);
    const bool flip = dice.Coin(), reshape = dice.Coin();
    const auto [constants, nodes] =
        WeightText(dice, flip ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k, n}, opset);
    const std::string text = fmt::format(
        "{}main (float[{}] x) => (float[{},{}] y)\n<{}, float[{}] c = {}, int64[2] s = {{{}}}>\n{{\n{}  f = {}\n"
        "  y = Gemm <transB = {}> (f, w, c)\n}}\n",
        Head(opset), fmt::join(shape, ","), shape[0], n, constants, n, dice.Numbers(n, 0.5),
        dice.Coin() ? "0,-1" : fmt::format("-1,{}", k), nodes, reshape ? "Reshape(x, s)" : "Flatten(x)", flip ? 1 : 0);
    done += Check(text, "flatten-gemm-to-conv,prune", shape, i) ? 1 : 0;
  }
  CHECK(done > 200);
}

TEST_CASE("matmul-to-gemm gives what MatMul and Add give") {
  Dice dice(3);
  int done = 0;
  for (unsigned i = 0; i < 300; ++i) {
    const int64_t opset = std::vector<int64_t>{7, 9, 11, 13, 17, 21}[static_cast<size_t>(dice.Roll(0, 5))];
    std::vector<int64_t> shape;
    for (int64_t axis = dice.Roll(1, 3); axis > 0; --axis) {
      shape.push_back(dice.Roll(1, 3));
    }
    const int64_t k = dice.Roll(1, 4), n = dice.Roll(1, 4);
    std::vector<std::string> dims;
    const int64_t open = dice.Roll(0, 3);
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      dims.push_back(static_cast<int64_t>(axis) == open ? "batch" : fmt::format("{}", shape[axis]));
    }
    const auto [constants, nodes] = WeightText(dice, {k, n}, opset);
    const std::vector<std::pair<std::string, int64_t>> forms = {{"", 1},
                                                                {"[1]", 1},
                                                                {fmt::format("[{}]", n), n},
                                                                {fmt::format("[1,{}]", n), n},
                                                                {fmt::format("[{},1]", shape.back()), shape.back()}};
    const auto& [form, count] = forms[static_cast<size_t>(dice.Roll(0, 4))];
    const std::string text = fmt::format(
        "{}main (float[{},{}] x) => (float[{},{}] y)\n<{}, float{} c = {}>\n{{\n{}  p = MatMul(x, w)\n  y = {}\n}}\n",
        Head(opset), fmt::join(dims, ","), k, fmt::join(dims, ","), n, constants, form, dice.Numbers(count, 0.5), nodes,
        dice.Coin() ? "Add(p, c)" : "Add(c, p)");
    shape.push_back(k);
    done += Check(text, "matmul-to-gemm", shape, i) ? 1 : 0;
  }
  CHECK(done > 250);
}

TEST_CASE("pad-into-conv gives what the Pad and its reader give") {
  Dice dice(4);
  int done = 0;
  for (unsigned i = 0; i < 400; ++i) {
    const int64_t opset = std::vector<int64_t>{11, 13, 17, 18, 21}[static_cast<size_t>(dice.Roll(0, 4))];
    const std::vector<int64_t> shape = {dice.Roll(1, 2), dice.Roll(1, 3), dice.Roll(5, 7), dice.Roll(5, 7)};
    const int64_t kernel = dice.Roll(1, 3), reader = dice.Roll(0, 2);
    const std::string own =
        dice.Coin() ? fmt::format(", pads = [{},0,0,{}]", kernel - 1, dice.Roll(0, kernel - 1)) : "";
    const std::string strides =
        fmt::format("kernel_shape = [{0},{0}], strides = [{1},{2}]{3}", kernel, dice.Roll(1, 2), dice.Roll(1, 3), own);
    std::string node = fmt::format("Conv <{}> (a, k)", strides);
    if (reader == 1) {
      node = fmt::format("AveragePool <{}, count_include_pad = {}> (a)", strides, dice.Roll(0, 1));
    } else if (reader == 2) {
      node = fmt::format("MaxPool <{}> (a)", strides);
    }
    const std::string value = reader == 2 && dice.Roll(0, 3) != 0 ? "-inf" : "0";
    const std::string text = fmt::format(
        "{}main (float[{}] x) => (float[b,c,h,w] y)\n<float[2,{},{},{}] k = {}, int64[8] p = {{0,0,{},{},0,0,{},{}}}, "
        "float v = {{{}}}>\n{{\n  a = Pad(x, p, v)\n  y = {}\n}}\n",
        Head(opset), fmt::join(shape, ","), shape[1], kernel, kernel,
        dice.Numbers(2 * shape[1] * kernel * kernel, 0.25), dice.Roll(0, 2), dice.Roll(0, 2), dice.Roll(0, 2),
        dice.Roll(0, 2), value, node);
    const bool rewritten = Check(text, "pad-into-conv", shape, i);
    CHECK((!rewritten || reader != 2 || value != "0"));  // never zeros into MaxPool
    done += rewritten ? 1 : 0;
  }
  CHECK(done > 150);
}

TEST_CASE("fold-batchnorm gives what the layer and its BatchNormalization give") {
  Dice dice(5);
  int done = 0;
  for (unsigned i = 0; i < 300; ++i) {
    const int64_t opset = std::vector<int64_t>{7, 9, 13, 14, 15, 17, 21}[static_cast<size_t>(dice.Roll(0, 6))];
    const int64_t kind = dice.Roll(0, 2), group = kind == 2 ? 1 : dice.Roll(1, 2);
    const int64_t in = group * dice.Roll(1, 2), out = group * dice.Roll(1, 3), kernel = dice.Roll(1, 3);
    std::vector<int64_t> shape = {dice.Roll(1, 2), in, 4, 5};
    std::vector<int64_t> dims = {out, in / group, kernel, kernel};
    std::string layer = fmt::format("Conv <group = {}, pads = [1,0,1,1]> (x, w, c)", group);
    if (kind == 1) {
      dims = {in, out / group, kernel, kernel};
      layer = fmt::format("ConvTranspose <group = {}, strides = [2,1]> (x, w, c)", group);
    } else if (kind == 2) {
      const bool flip = dice.Coin();
      shape.resize(2);
      dims = flip ? std::vector<int64_t>{out, in} : std::vector<int64_t>{in, out};
      layer = fmt::format("Gemm <transB = {}, alpha = 0.5, beta = 2.0> (x, w, c)", flip ? 1 : 0);
    }
    const auto [constants, nodes] = WeightText(dice, dims, opset);
    std::vector<std::string> variances, scales;
    for (int64_t channel = 0; channel < out; ++channel) {
      variances.push_back(fmt::format("{}", 0.5 * static_cast<double>(dice.Roll(1, 9))));
      scales.push_back(fmt::format("{}", 0.5 * static_cast<double>(dice.Roll(dice.Coin() ? -2 : 1, 9))));
    }
    const std::string text = fmt::format(
        "{0}main (float[{1}] x) => (float{9} y)\n<{2}, float[{3}] c = {4}, float[{3}] g = {{{5}}}, float[{3}] b = {4}, "
        "float[{3}] v = {{{6}}}>\n{{\n{7}  p = {8}\n  y = BatchNormalization <epsilon = 0.01> (p, g, b, c, v)\n}}\n",
        Head(opset), fmt::join(shape, ","), constants, out, dice.Numbers(out, 0.5), fmt::join(scales, ","),
        fmt::join(variances, ","), nodes, layer, kind == 2 ? "[n,k]" : "[n,k,h,w0]");
    done += Check(text, "fold-batchnorm", shape, i) ? 1 : 0;
  }
  CHECK(done > 150);
}

}  // namespace
}  // namespace gomai
