// Differences in quantisation steps, and where the steps of a model's outputs are found.
#include "lib/compare/steps.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "tests/support/compute.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using Catch::Approx;
using onnx::TensorProto;
using testing::MakeTensor;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

StepComparison Compare(const std::vector<double>& candidate, const std::vector<double>& reference, double step,
                       int dtype = TensorProto::FLOAT) {
  const auto n = static_cast<int64_t>(reference.size());
  return CompareSteps(MakeTensor(dtype, {n}, candidate), MakeTensor(dtype, {n}, reference), step);
}

double Range(const std::vector<double>& values, int dtype = TensorProto::FLOAT) {
  return RangeStep(MakeTensor(dtype, {static_cast<int64_t>(values.size())}, values));
}

TEST_CASE("differences in steps") {
  const StepComparison c = Compare({1, 2.5, 3, 5.25}, {1, 2, 3.5, 4}, 0.5);
  CHECK(c.problem.empty());
  CHECK(c.step == 0.5);
  CHECK(c.count == 4);
  CHECK(c.max_steps == 2.5);
  CHECK(c.mean_steps == Approx((0 + 1 + 1 + 2.5) / 4));
  CHECK(c.over_one == 1);
  CHECK(c.nonfinite == 0);
  const StepComparison same = Compare({1, kNan, kInf}, {1, kNan, kInf}, 0.5);
  CHECK(same.max_steps == 0);
  CHECK(same.over_one == 0);
  CHECK(Compare({}, {}, 1).mean_steps == 0);
}

TEST_CASE("one step stays one step in every dtype") {
  for (const int dtype : {static_cast<int>(TensorProto::FLOAT), static_cast<int>(TensorProto::DOUBLE),
                          static_cast<int>(TensorProto::FLOAT16)}) {
    CAPTURE(dtype);
    const double scale = 0.1;
    std::vector<double> a, b, far;
    for (int q = -128; q < 127; ++q) {
      a.push_back(q * scale);
      b.push_back((q + 1) * scale);
      far.push_back((q + 2) * scale);
    }
    CHECK(Compare(a, b, scale, dtype).over_one == 0);
    CHECK(Compare(b, a, scale, dtype).max_steps == Approx(1).margin(0.25));
    CHECK(Compare(a, far, scale, dtype).over_one == 255);
    CHECK(Compare({1000.1}, {1000}, 0.04, TensorProto::DOUBLE).over_one == 1);
  }
  // Rounding is no excuse for more than half a step, however coarse the dtype.
  CHECK(Compare({1024}, {1016}, 4, TensorProto::BFLOAT16).over_one == 1);
  CHECK(Compare({-128, 5, 4}, {127, 4, 2}, 1, TensorProto::INT8).over_one == 2);
  CHECK(Compare({-128, 5, 4}, {127, 4, 2}, 1, TensorProto::INT8).max_steps == 255);
}

TEST_CASE("what isn't finite on one side is infinitely far") {
  for (const auto& [a, b] : {std::pair(kNan, 1.0), {1.0, kNan}, {kInf, 1.0}, {kInf, -kInf}, {kNan, kInf}}) {
    CAPTURE(a, b);
    const StepComparison c = Compare({a, 1, 3}, {b, 1, 2}, 1);
    CHECK(c.nonfinite == 1);
    CHECK(c.over_one == 1);
    CHECK(c.max_steps == kInf);
    CHECK(c.mean_steps == 0.5);
  }
}

TEST_CASE("no step, and tensors that don't belong together") {
  for (const int dtype : {static_cast<int>(TensorProto::FLOAT), static_cast<int>(TensorProto::INT32)}) {
    const StepComparison c = Compare({1, 3}, {1, 2}, 0, dtype);
    CHECK(c.max_steps == kInf);
    CHECK(c.over_one == 1);
    CHECK(Compare({1, 2}, {1, 2}, 0, dtype).max_steps == 0);
  }
  CHECK(Compare({1}, {1}, kNan).problem == "a step of nan");
  CHECK(Compare({1}, {1}, kInf).problem == "a step of inf");
  CHECK(Compare({1}, {1}, -0.5).problem == "a step of -0.5");
  const HostTensor two = MakeTensor(TensorProto::FLOAT, {2}, {1, 2});
  CHECK(CompareSteps(two, MakeTensor(TensorProto::FLOAT, {2, 1}, {1, 2}), 1).problem == "shape [2], reference [2,1]");
  CHECK(CompareSteps(two, MakeTensor(TensorProto::DOUBLE, {2}, {1, 2}), 1).problem ==
        "dtype float32, reference float64");
  const HostTensor text = HostTensor::Strings({1}, {"a"});
  CHECK(CompareSteps(text, text, 1).problem == "dtype string has no steps");
}

TEST_CASE("a step from the range of values") {
  CHECK(Range({-1, 0, 4.1}) == Approx(0.02));
  CHECK(Range({-1, kNan, kInf, 1.55, -kInf}) == Approx(0.01));
  CHECK(Range({3, 3}) == 0);
  CHECK(Range({}) == 0);
  CHECK(Range({kNan}) == 0);
  CHECK(Range({0, 510}, TensorProto::INT32) == 2);
  CHECK(std::isfinite(Range({-1.7e308, 1.7e308}, TensorProto::DOUBLE)));
  CHECK(RangeStep(HostTensor::Strings({1}, {"a"})) == 0);
}

std::map<std::string, double> Scales(const char* graph) {
  const onnx::ModelProto model = testing::ParseModel(
      (std::string("<ir_version: 10, opset_import: [\"\" : 21, \"com.microsoft\" : 1]>\n") + graph).c_str());
  const auto of_graph = OutputScales(model.graph());
  CHECK(OutputScales(Model::FromProto(model)) == of_graph);
  return of_graph;
}
using ScaleMap = std::map<std::string, double>;

TEST_CASE("scales from initializers and constants") {
  CHECK(Scales(R"(
    main (uint8[2, 3] q) => (float[2, 3] a, float[2, 3] b, float[2, 3] c, float[2, 3] d, float[2, 3] e, float16[2, 3] w)
      <float s = {0.25}, float[1] one = {0.75}, uint8 z = {3}, float[3] axis = {0.5, 2, 1}, float16 half = {14336}> {
      a = DequantizeLinear (q, s, z)
      b = DequantizeLinear (q, one)
      k = Constant <value_float = 0.125> ()
      same = Identity (k)
      c = DequantizeLinear (q, same, z)
      d = DequantizeLinear <axis = 1> (q, axis)
      w = DequantizeLinear (q, half)
      e = Cast <to = 1> (w)
    })") == ScaleMap{{"a", 0.25}, {"b", 0.75}, {"c", 0.125}, {"d", 2}, {"w", 0.5}});
}

TEST_CASE("scales behind what moves elements only") {
  CHECK(Scales(R"(
    main (int8[1, 2, 3] q) => (float[6] a, float[3, 2] b, float[1, 6] c, float[1, 1, 2, 3] d, float[1, 2, 3] e,
                               float[1, 2, 3] f)
      <float s = {0.25}, int64[1] flat = {-1}, int64[1] zero = {0}> {
      x = DequantizeLinear (q, s)
      i = Identity (x)
      a = Reshape (i, flat)
      y = Squeeze (x, zero)
      b = Transpose (y)
      c = Flatten (x)
      d = Unsqueeze (x, zero)
      e = Relu (x)
      f = com.microsoft.DequantizeLinear (q, s)
    })") == ScaleMap{{"a", 0.25}, {"b", 0.25}, {"c", 0.25}, {"d", 0.25}, {"f", 0.25}});
}

TEST_CASE("quantised outputs count by ones") {
  CHECK(Scales(R"(
    main (float[4] x) => (uint8[4] a, int8[2, 2] b, float8e4m3fn[4] c, float8e5m2[4] d, float[4] e, uint8[4] g)
      <float s = {0.25}, int8 z = {0}, int64[2] square = {2, 2}, float8e4m3fn z8 = {0}> {
      a = QuantizeLinear (x, s)
      h = QuantizeLinear (x, s, z)
      b = Reshape (h, square)
      c = QuantizeLinear (x, s, z8)
      d = QuantizeLinear <output_dtype = 19> (x, s)
      e = DequantizeLinear (c, s, z8)
      t = Abs (a)
      g = Identity (t)
    })") == ScaleMap{{"a", 1}, {"b", 1}});
}

TEST_CASE("scales that are none, and outputs without") {
  CHECK(Scales(R"(
    main (uint8[4] q, float s, uint8[4] r) => (float[4] a, float[4] b, float[4] c, float[4] d, uint8[4] r, uint8[4] lost)
      <float zero = {0}, float[2] mixed = {1, -1}> {
      a = DequantizeLinear (q, s)
      b = DequantizeLinear (q, zero)
      c = DequantizeLinear <axis = 0> (q, mixed)
      d = Identity (missing)
      t = Identity (u)
      u = Identity (t)
      lost = Identity (u)
    })")
            .empty());
  // A default that callers may override is the best guess there is.
  CHECK(Scales("main (uint8[4] q, float s) => (float[4] a) <float s = {0.5}> { a = DequantizeLinear (q, s) }") ==
        ScaleMap{{"a", 0.5}});
}

TEST_CASE("scales that stay in the file or beside it") {
  const testing::TemporaryFolder folder;
  onnx::ModelProto proto = testing::ParseGraph(R"(
    main (uint8[2000, 1] q, uint8[4] p) => (float[2000, 1] many, float[4] one) <float[1] s = {0.5}> {
      many = DequantizeLinear <axis = 0> (q, axis)
      one = DequantizeLinear (p, s)
    })");
  std::vector<double> scales(2000, 0.25);
  scales[1234] = 3;
  *proto.mutable_graph()->add_initializer() = ToTensorProto(MakeTensor(TensorProto::FLOAT, {2000}, scales));
  proto.mutable_graph()->mutable_initializer(1)->set_name("axis");
  {
    std::ofstream file(folder / "m.onnx", std::ios::binary);
    REQUIRE(proto.SerializeToOstream(&file));
  }
  absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
  REQUIRE(model.ok());
  REQUIRE(FindMarker(model->proto().graph().initializer(1)));
  CHECK(OutputScales(*model) == ScaleMap{{"many", 3}, {"one", 0.5}});
  CHECK(OutputScales(model->proto().graph()) == ScaleMap{{"one", 0.5}});
  {
    std::ofstream data(folder / "scales.bin", std::ios::binary);
    const std::string bytes(4, '\x3f');
    data << bytes;
  }
  SetExternal(*model->mutable_proto().mutable_graph()->mutable_initializer(0), "scales.bin", 0, 4);
  CHECK(OutputScales(*model).at("one") == Approx(0.7470588));
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());  // where a graph alone doesn't look either
  CHECK(OutputScales(model->proto().graph()).empty());
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace gomai
