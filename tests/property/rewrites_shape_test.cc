// Rewrites of windows, slices, shapes and resizes against ONNX Runtime, on random attributes, sizes, opsets and dtypes.
// Each model is computed before and after; results are equal under the effect that the pass states, a second run
// changes nothing, and enough of the models must have been rewritten.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <catch2/catch_test_macros.hpp>
#include <random>

#include "tests/support/compute.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  int64_t Roll(int64_t from, int64_t to) {
    return from + static_cast<int64_t>(engine_() % static_cast<uint64_t>(to - from + 1));
  }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(Roll(0, static_cast<int64_t>(from.size()) - 1))];
  }
  std::vector<int64_t> Rolls(size_t count, int64_t from, int64_t to) {
    std::vector<int64_t> rolls;
    for (size_t i = 0; i < count; ++i) {
      rolls.push_back(Roll(from, to));
    }
    return rolls;
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

// How often a pass rewrote, refused, and was computed.
struct Tally {
  int rewritten = 0;
  int refused = 0;
  int impossible = 0;  // models that the runtime doesn't take
};

// Outputs have open dims of their own, since ONNX's inference and runtimes differ about ceil_mode and auto_pad.
std::string Open(size_t rank) {
  std::vector<std::string> dims;
  for (size_t i = 0; i < rank; ++i) {
    dims.push_back(fmt::format("d{}", i));
  }
  return fmt::format("{}", fmt::join(dims, ","));
}

void Check(const std::string& text, const std::string& pipeline, const std::vector<int64_t>& shape, Dice& dice,
           Tally* tally) {
  INFO(text << pipeline);
  Model model = testing::LoadModelText(text);
  const int dtype = model.proto().graph().input(0).type().tensor_type().elem_type();
  const NamedTensors feeds = {{"x", testing::UniformTensor(dtype, shape, -9, 9, dice.engine())}};
  const auto expected = testing::Compute(model, feeds);
  if (!expected.ok()) {
    ++tally->impossible;
    return;
  }
  const auto reports = testing::RunPasses(model, pipeline);
  INFO(reports.status());
  if (!reports.ok()) {
    CHECK(reports.status().code() == absl::StatusCode::kFailedPrecondition);
    ++tally->refused;
    return;
  }
  if (reports->at(0).changes.empty()) {
    return;
  }
  const auto got = testing::Compute(model, feeds);
  if (Message(got.status()).find("Could not find an implementation") != std::string_view::npos) {
    ++tally->impossible;  // a dtype that the runtime has no such kernel for
    return;
  }
  ++tally->rewritten;
  INFO(got.status());
  REQUIRE(got.ok());
  Tolerance tolerance{.bits = reports->at(0).effect == Effect::kBitExact};
  if (reports->at(0).effect == Effect::kReassociates) {
    tolerance.rtol = 1e-4;
    tolerance.atol = 1e-4;
  }
  testing::CheckClose(*got, *expected, tolerance);
  const auto again = testing::RunPasses(model, pipeline);
  REQUIRE(again.ok());
  CHECK(again->at(0).changes.empty());
}

void Judge(const Tally& tally, int rewritten) {
  INFO(tally.rewritten << " rewritten, " << tally.refused << " refused, " << tally.impossible << " impossible");
  CHECK(tally.rewritten >= rewritten);
}

std::string Head(int64_t opset) { return fmt::format("<ir_version: 8, opset_import: [\"\" : {}]>\n", opset); }

std::string Numbers(Dice& dice, int64_t count) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(static_cast<double>(dice.Roll(-9, 9)) / 8);
  }
  return fmt::format("{{{}}}", fmt::join(numbers, ","));
}

int64_t Product(const std::vector<int64_t>& dims) {
  int64_t product = 1;
  for (const int64_t dim : dims) {
    product *= dim;
  }
  return product;
}

TEST_CASE("explicit-attributes says what was meant") {
  Dice dice(1);
  Tally tally;
  for (int i = 0; i < 400; ++i) {
    const size_t axes = static_cast<size_t>(dice.Roll(1, 2));
    const int64_t opset = dice.Pick<int64_t>({8, 10, 11, 17, 19, 22});
    const std::string op = dice.Pick<std::string>({"Conv", "MaxPool", "AveragePool", "ConvTranspose"});
    const std::vector<int64_t> kernel = dice.Rolls(axes, 1, 4);
    std::vector<std::string> attributes;
    if (op.find("Pool") != std::string::npos || dice.Roll(0, 1) == 0) {
      attributes.push_back(fmt::format("kernel_shape = [{}]", fmt::join(kernel, ",")));
    }
    if (dice.Roll(0, 2) > 0) {
      attributes.push_back(fmt::format("strides = [{}]", fmt::join(dice.Rolls(axes, 1, 3), ",")));
    }
    if (dice.Roll(0, 3) == 0 && (op.starts_with("Conv") || (op == "MaxPool" && opset >= 10))) {
      attributes.push_back(fmt::format("dilations = [{}]", fmt::join(dice.Rolls(axes, 1, 2), ",")));
    }
    const std::string auto_pad = dice.Pick<std::string>({"", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"});
    if (!auto_pad.empty()) {
      attributes.push_back(fmt::format("auto_pad = \"{}\"", auto_pad));
    }
    if (op == "MaxPool" && opset >= 10 && dice.Roll(0, 3) == 0) {
      attributes.emplace_back("ceil_mode = 1");
    }
    std::vector<int64_t> shape = {1, 2};
    const std::vector<int64_t> sizes = dice.Rolls(axes, 5, 9);
    shape.insert(shape.end(), sizes.begin(), sizes.end());
    std::vector<int64_t> weight = {2, 2};
    weight.insert(weight.end(), kernel.begin(), kernel.end());
    const bool conv = op.starts_with("Conv");
    const std::string text = fmt::format(
        "{}main (float[{}] x) => (float[{}] y)\n{}{{ y = {}{} (x{}) }}", Head(opset), fmt::join(shape, ","),
        Open(shape.size()),
        conv ? fmt::format("<float[{}] w = {}>\n", fmt::join(weight, ","), Numbers(dice, Product(weight))) : "", op,
        attributes.empty() ? "" : fmt::format(" <{}>", fmt::join(attributes, ", ")), conv ? ", w" : "");
    Check(text, "explicit-attributes", shape, dice, &tally);
  }
  Judge(tally, 200);
}

TEST_CASE("split-to-slice takes the same pieces") {
  Dice dice(2);
  Tally tally;
  for (int i = 0; i < 150; ++i) {
    const int64_t opset = dice.Pick<int64_t>({2, 9, 11, 13, 17, 18, 21});
    const std::vector<int64_t> shape = dice.Rolls(static_cast<size_t>(dice.Roll(1, 3)), 1, 8);
    const auto rank = static_cast<int64_t>(shape.size());
    const int64_t axis = opset < 11 ? dice.Roll(0, rank - 1) : dice.Roll(-rank, rank - 1);
    const int64_t size = shape[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
    const int64_t first = dice.Roll(0, size);
    const bool given = dice.Roll(0, 1) == 0;
    std::vector<std::string> attributes = {fmt::format("axis = {}", axis)};
    if (given && opset < 13) {
      attributes.push_back(fmt::format("split = [{}, {}]", first, size - first));
    } else if (!given && opset >= 18) {
      attributes.emplace_back("num_outputs = 2");
    }
    const bool input = given && opset >= 13;
    const std::string text =
        fmt::format("{}main ({}[{}] x) => ({}[{}] y, {}[{}] z)\n{}{{ y, z = Split <{}> (x{}) }}", Head(opset), "float",
                    fmt::join(shape, ","), "float", Open(shape.size()), "float", Open(shape.size()),
                    input ? fmt::format("<int64[2] s = {{{}, {}}}>\n", first, size - first) : "",
                    fmt::join(attributes, ", "), input ? ", s" : "");
    Check(text, "split-to-slice", shape, dice, &tally);
  }
  Judge(tally, 60);
}

TEST_CASE("slice-negative-steps picks the same elements") {
  Dice dice(3);
  Tally tally;
  for (int i = 0; i < 300; ++i) {
    const size_t rank = static_cast<size_t>(dice.Roll(1, 3));
    const std::vector<int64_t> shape = dice.Rolls(rank, 1, 7);
    const std::string dtype = dice.Pick<std::string>({"float", "double"});
    std::vector<int64_t> starts, ends, axes, steps;
    for (size_t axis = 0; axis < rank; ++axis) {
      if (dice.Roll(0, 3) == 0) {
        continue;
      }
      const auto bound = [&] {
        const std::vector<int64_t> odd = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX};
        return dice.Roll(0, 4) == 0 ? dice.Pick(odd) : dice.Roll(-9, 9);
      };
      starts.push_back(bound());
      ends.push_back(bound());
      axes.push_back(dice.Roll(0, 1) == 0 ? static_cast<int64_t>(axis)
                                          : static_cast<int64_t>(axis) - static_cast<int64_t>(rank));
      steps.push_back(dice.Pick<int64_t>({-1, -1, -2, -3, 1, 2, INT64_MIN + 1}));
    }
    if (axes.empty()) {
      continue;
    }
    const auto list = [](const char* name, const std::vector<int64_t>& values) {
      return fmt::format("int64[{}] {} = {{{}}}", values.size(), name, fmt::join(values, ","));
    };
    const std::string text =
        fmt::format("{}main ({}[{}] x) => ({}[{}] y)\n<{}, {}, {}, {}>\n{{ y = Slice(x, a, b, c, d) }}",
                    Head(dice.Pick<int64_t>({10, 13, 17})), dtype, fmt::join(shape, ","), dtype, Open(rank),
                    list("a", starts), list("b", ends), list("c", axes), list("d", steps));
    Check(text, "slice-negative-steps", shape, dice, &tally);
  }
  Judge(tally, 120);
}

TEST_CASE("expand-to-tile repeats the same elements") {
  Dice dice(4);
  Tally tally;
  for (int i = 0; i < 150; ++i) {
    const size_t to = static_cast<size_t>(dice.Roll(1, 4));
    const std::vector<int64_t> result = dice.Rolls(to, 1, 4);
    std::vector<int64_t> shape, target;
    const auto from = static_cast<size_t>(dice.Roll(0, static_cast<int64_t>(to)));
    for (size_t axis = 0; axis < to; ++axis) {
      if (axis >= to - from) {
        shape.push_back(dice.Roll(0, 1) == 0 ? 1 : result[axis]);
        target.push_back(shape.back() != 1 && dice.Roll(0, 1) == 0 ? 1 : result[axis]);
      } else {
        target.push_back(result[axis]);
      }
    }
    const std::string dtype = dice.Pick<std::string>({"float", "double"});
    const std::string text =
        fmt::format("{}main ({}[{}] x) => ({}[{}] y)\n<int64[{}] s = {{{}}}>\n{{ y = Expand(x, s) }}",
                    Head(dice.Pick<int64_t>({8, 13, 17})), dtype, fmt::join(shape, ","), dtype, Open(to), to,
                    fmt::join(target, ","));
    Check(text, "expand-to-tile", shape, dice, &tally);
  }
  Judge(tally, 100);
}

TEST_CASE("reducemean-to-globalaveragepool takes the same mean") {
  Dice dice(5);
  Tally tally;
  for (int i = 0; i < 100; ++i) {
    const size_t rank = static_cast<size_t>(dice.Roll(3, 5));
    const std::vector<int64_t> shape = dice.Rolls(rank, 1, 5);
    const int64_t opset = dice.Pick<int64_t>({11, 13, 17, 18});
    std::vector<int64_t> axes;
    for (size_t axis = rank; axis-- > 2;) {
      axes.push_back(dice.Roll(0, 1) == 0 ? static_cast<int64_t>(axis)
                                          : static_cast<int64_t>(axis) - static_cast<int64_t>(rank));
    }
    const int64_t keep = dice.Roll(0, 1);
    const std::string dtype = dice.Pick<std::string>({"float", "float", "float", "double"});
    const std::string list = fmt::format("{}", fmt::join(axes, ","));
    const std::string text =
        fmt::format("{}main ({}[{}] x) => ({}[{}] y)\n{}{{ y = ReduceMean <keepdims = {}{}> (x{}) }}", Head(opset),
                    dtype, fmt::join(shape, ","), dtype, Open(keep != 0 ? rank : 2),
                    opset >= 18 ? fmt::format("<int64[{}] a = {{{}}}>\n", axes.size(), list) : "", keep,
                    opset >= 18 ? "" : fmt::format(", axes = [{}]", list), opset >= 18 ? ", a" : "");
    Check(text, "reducemean-to-globalaveragepool", shape, dice, &tally);
  }
  Judge(tally, 60);
}

TEST_CASE("large-kernel-pool-split sees the same windows") {
  Dice dice(6);
  Tally tally;
  for (int i = 0; i < 300; ++i) {
    const size_t axes = static_cast<size_t>(dice.Roll(1, 2));
    const std::string op =
        dice.Pick<std::string>({"MaxPool", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"});
    const int64_t opset = dice.Pick<int64_t>({11, 17, 22});
    std::vector<int64_t> shape = {1, 2};
    const std::vector<int64_t> sizes = dice.Rolls(axes, 9, 25);
    shape.insert(shape.end(), sizes.begin(), sizes.end());
    const std::vector<int64_t> kernel = dice.Rolls(axes, 2, 9);
    std::vector<std::string> attributes;
    if (!op.starts_with("Global")) {
      attributes.push_back(fmt::format("kernel_shape = [{}]", fmt::join(kernel, ",")));
      const bool equal = op == "AveragePool" && dice.Roll(0, 2) > 0;
      attributes.push_back(fmt::format("strides = [{}]", fmt::join(equal ? kernel : dice.Rolls(axes, 1, 4), ",")));
      if (op == "MaxPool") {
        std::vector<int64_t> pads;
        for (size_t axis = 0; axis < 2 * axes; ++axis) {
          pads.push_back(dice.Roll(0, kernel[axis % axes] - 1));
        }
        attributes.push_back(fmt::format("pads = [{}]", fmt::join(pads, ",")));
        attributes.push_back(fmt::format("ceil_mode = {}", dice.Roll(0, 1)));
        if (dice.Roll(0, 2) == 0) {
          attributes.push_back(fmt::format("dilations = [{}]", fmt::join(dice.Rolls(axes, 1, 2), ",")));
        }
      }
    }
    const std::string text = fmt::format("{}main (float[{}] x) => (float[{}] y)\n{{ y = {}{} (x) }}", Head(opset),
                                         fmt::join(shape, ","), Open(shape.size()), op,
                                         attributes.empty() ? "" : fmt::format(" <{}>", fmt::join(attributes, ", ")));
    Check(text, fmt::format("large-kernel-pool-split{{max-kernel={}}}", dice.Roll(2, 5)), shape, dice, &tally);
  }
  Judge(tally, 120);
}

TEST_CASE("convtranspose-to-depthtospace makes the same pixels") {
  Dice dice(7);
  Tally tally;
  for (int i = 0; i < 250; ++i) {
    const int64_t stride = dice.Roll(2, 4);
    const bool fits = dice.Roll(0, 2) == 0;
    const std::vector<int64_t> kernel = fits ? std::vector<int64_t>{stride, stride} : dice.Rolls(2, 1, 6);
    const int64_t groups = dice.Pick<int64_t>({1, 1, 2});
    const std::vector<int64_t> weight = {groups * dice.Roll(1, 3), dice.Roll(1, 3), kernel[0], kernel[1]};
    const std::vector<int64_t> shape = {dice.Roll(1, 2), weight[0], dice.Roll(2, 5), dice.Roll(2, 5)};
    std::vector<std::string> attributes = {fmt::format("strides = [{0}, {0}]", stride),
                                           fmt::format("group = {}", groups)};
    if (!fits) {
      attributes.push_back(fmt::format("pads = [{}]", fmt::join(dice.Rolls(4, 0, 1), ",")));
      attributes.push_back(fmt::format("output_padding = [{}]", fmt::join(dice.Rolls(2, 0, 1), ",")));
    }
    const bool bias = dice.Roll(0, 1) == 0;
    const int64_t channels = groups * weight[1];
    const std::string text = fmt::format(
        "{}main (float[{}] x) => (float[{}] y)\n<float[{}] w = {}{}>\n{{ y = ConvTranspose <{}> (x, w{}) }}",
        Head(dice.Pick<int64_t>({8, 11, 13, 17})), fmt::join(shape, ","), Open(4), fmt::join(weight, ","),
        Numbers(dice, Product(weight)),
        bias ? fmt::format(", float[{}] b = {}", channels, Numbers(dice, channels)) : "", fmt::join(attributes, ", "),
        bias ? ", b" : "");
    Check(text, fmt::format("convtranspose-to-depthtospace{{mode={}}}", dice.Pick<std::string>({"dcr", "crd"})), shape,
          dice, &tally);
  }
  Judge(tally, 120);
}

TEST_CASE("resize-to-supported picks the same elements") {
  Dice dice(8);
  Tally tally;
  for (int i = 0; i < 400; ++i) {
    const size_t rank = static_cast<size_t>(dice.Roll(3, 4));
    const std::vector<int64_t> shape = dice.Rolls(rank, 1, 6);
    const int64_t opset = dice.Pick<int64_t>({11, 13, 18, 19});
    const std::string coordinates =
        dice.Pick<std::string>({"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"});
    const std::string nearest = dice.Pick<std::string>({"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
    const std::string mode = dice.Pick<std::string>({"nearest", "nearest", "nearest", "linear"});
    const bool by_sizes = dice.Roll(0, 1) == 0;
    std::vector<int64_t> sizes;
    std::vector<double> scales;
    for (size_t axis = 0; axis < rank; ++axis) {
      const bool batch = axis < 2;
      scales.push_back(batch ? 1 : dice.Pick<double>({1, 2, 2, 3, 4, 0.5, 1.5}));
      sizes.push_back(batch ? shape[axis] : dice.Roll(0, 2) == 0 ? dice.Roll(1, 12) : shape[axis] * dice.Roll(1, 3));
    }
    const std::string operand = by_sizes ? fmt::format("int64[{}] s = {{{}}}", rank, fmt::join(sizes, ","))
                                         : fmt::format("float[{}] s = {{{}}}", rank, fmt::join(scales, ","));
    // Before opset 13 roi and scales are there, if empty.
    const std::string text = fmt::format(
        "{}main (float[{}] x) => (float[{}] y)\n<float[0] none = {{}}, {}>\n{{ y = Resize <mode = \"{}\", "
        "coordinate_transformation_mode = \"{}\", nearest_mode = \"{}\"> (x, none, {}) }}",
        Head(opset), fmt::join(shape, ","), Open(rank), operand, mode, coordinates, nearest,
        by_sizes ? (opset < 13 ? "none, s" : ", s") : "s");
    const std::string option =
        dice.Pick<std::string>({"", "{operand=scales}", "{operand=sizes}", "{form=convtranspose}"});
    Check(text, "resize-to-supported" + option, shape, dice, &tally);
  }
  Judge(tally, 60);
}

}  // namespace
}  // namespace gomai
