// Random arithmetic on sizes, of which some are known: what inference says of values and of dims is what a run gives.
//
// Every value is a vector of four numbers. Some of them follow from fixed dims, some from open ones, some from
// constants, so that intervals of all kinds meet in every rule. What is known of a vector's bounds shows in the limits
// of a tensor that has it for a shape.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <random>

#include "lib/model/tensor.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/shape/infer.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

using Random = std::mt19937_64;

class Drawer {
 public:
  explicit Drawer(Random& random) : random_(random) {
    text_ = "  s = Shape (x)\n  sf = Cast <to = 1> (s)\n  sb = Greater (s, k0)\n";
    ints_ = {"s", "k0", "k1", "k2"};
    floats_ = {"sf", "f0", "f1"};
    bools_ = {"sb"};
    for (int i = 0; i < 25; ++i) {
      Draw();
    }
    // Bounds show as limits of dims.
    for (int i = 0; i < 4; ++i) {
      const std::string a = Name("a");
      text_ += fmt::format(
          "  {0} = Abs ({1})\n  {0}m = Min ({0}, cap)\n  {0}o = Max ({0}m, none)\n  {0}t = ConstantOfShape ({0}o)\n", a,
          Pick(ints_));
      tensors_.push_back(a + "t");
    }
  }

  std::string Graph() {
    std::string outputs;
    for (const auto& [names, type] : {std::pair(&ints_, "int64[4]"), {&floats_, "float[4]"}, {&bools_, "bool[4]"}}) {
      for (const std::string& name : *names) {
        if (name[0] != 'k' && name[0] != 'f' && name != "s") {
          outputs += fmt::format("{}{} {}", outputs.empty() ? "" : ", ", type, name);
        }
      }
    }
    for (const std::string& name : tensors_) {
      outputs += fmt::format(", float[A, B, C, D] {}", name);
    }
    return fmt::format(
        "g (float[N, 3, M, 8] x) => ({}) <int64[4] k0 = {{0, 1, 5, -3}}, int64[4] k1 = {{3, -2, 7, 1}}, int64[4] k2 = "
        "{{{}, {}, {}, {}}}, float[4] f0 = {{0.5, 2.0, -1.0, 3.0}}, float[4] f1 = {{1.0, 4.0, 0.25, 16777216.0}}, "
        "int64[4] cap = {{3, 4, 2, 5}}, int64[4] none = {{0, 0, 0, 0}}, int64[1] four = {{4}}, int64[4] perm = {{3, 1, "
        "-4, 2}}, int64[1] b0 = {{-1}}, "
        "int64[1] b1 = {{-9}}, int64[1] b2 = {{0}}, int64[2] sq = {{2, 2}}> {{\n{}}}",
        outputs, Small(), Small(), Small(), Small(), text_);
  }

 private:
  int Small() { return static_cast<int>(random_() % 9) - 4; }
  std::string Name(const char* stem) { return fmt::format("{}v{}", stem, ++next_); }
  const std::string& Pick(const std::vector<std::string>& from) { return from[random_() % from.size()]; }

  void Draw() {
    const std::string i = Name("i");
    switch (random_() % 14) {
      case 0:
        text_ +=
            fmt::format("  {} = {} ({}, {})\n", i, Any({"Add", "Sub", "Mul", "Min", "Max"}), Pick(ints_), Pick(ints_));
        break;
      case 1:
        text_ += fmt::format("  {} = {} ({}, k1)\n", i, Any({"Div", "Mod", "Mod <fmod = 1>"}), Pick(ints_));
        break;
      case 2:
        text_ += fmt::format("  {} = {} ({})\n", i, Any({"Neg", "Abs"}), Pick(ints_));
        break;
      case 3:
        text_ += fmt::format("  {} = Gather ({}, perm)\n", i, Pick(ints_));
        break;
      case 4:
        text_ += fmt::format("  {} = Slice ({}, b0, b1, b2, b0)\n", i, Pick(ints_));
        break;
      case 5:
        text_ += fmt::format("  {0}r = {1} ({2})\n  {0} = Expand ({0}r, four)\n", i,
                             Any({"ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd"}), Pick(ints_));
        break;
      case 6:
        text_ += fmt::format("  {} = Where ({}, {}, {})\n", i, Pick(bools_), Pick(ints_), Pick(ints_));
        break;
      case 7:
        text_ += fmt::format("  {0}n = Cast <to = 6> ({1})\n  {0} = Cast <to = 7> ({0}n)\n", i, Pick(ints_));
        break;
      case 8:
        text_ += fmt::format("  {} = Cast <to = 7> ({})\n", i, Pick(floats_));
        break;
      case 9:
        text_ += fmt::format("  {0}a, {0}b = Split ({1})\n  {0} = Concat <axis = 0> ({0}b, {0}a)\n", i, Pick(ints_));
        break;
      case 10:
        text_ += fmt::format("  {0}a = Reshape ({1}, sq)\n  {0}b = Transpose ({0}a)\n  {0} = Reshape ({0}b, four)\n", i,
                             Pick(ints_));
        break;
      case 11: {
        const std::string b = Name("b");
        text_ +=
            fmt::format("  {} = {} ({}, {})\n", b, Any({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}),
                        Pick(ints_), Pick(ints_));
        bools_.push_back(b);
        return;
      }
      case 12: {
        const std::string b = Name("b");
        if (random_() % 2 == 0) {
          text_ += fmt::format("  {} = {} ({}, {})\n", b, Any({"And", "Or", "Xor"}), Pick(bools_), Pick(bools_));
        } else {
          text_ += fmt::format("  {} = {} ({}, {})\n", b, Any({"Less", "Equal", "GreaterOrEqual"}), Pick(floats_),
                               Pick(floats_));
        }
        bools_.push_back(b);
        return;
      }
      default: {
        const std::string f = Name("g");
        switch (random_() % 4) {
          case 0:
            text_ += fmt::format("  {} = Cast <to = 1> ({})\n", f, Pick(ints_));
            break;
          case 1:
            text_ += fmt::format("  {} = {} ({})\n", f, Any({"Floor", "Ceil", "Round", "Neg"}), Pick(floats_));
            break;
          case 2:
            text_ += fmt::format("  {0}r = ReduceSum ({1})\n  {0} = Expand ({0}r, four)\n", f, Pick(floats_));
            break;
          default:
            text_ += fmt::format("  {} = {} ({}, {})\n", f, Any({"Add", "Sub", "Mul", "Div", "Min", "Max"}),
                                 Pick(floats_), Pick(floats_));
        }
        floats_.push_back(f);
        return;
      }
    }
    ints_.push_back(i);
  }

  std::string_view Any(std::initializer_list<std::string_view> from) {
    return *(from.begin() + static_cast<std::ptrdiff_t>(random_() % from.size()));
  }

  Random& random_;
  std::string text_;
  std::vector<std::string> ints_, floats_, bools_, tensors_;
  int next_ = 0;
};

TEST_CASE("random arithmetic on sizes: values and bounds are what a run gives") {
  auto backend = LoadOnnxRuntime({.library = {}, .log_severity = 4, .diagnostics = {}});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  int computed = 0;
  int bounded = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const std::string graph = Drawer(random).Graph();
    INFO("seed " << seed << "\n" << graph);
    const Model model = testing::LoadText(graph.c_str());
    const Index index(model.proto());
    const absl::StatusOr<Facts> facts = InferFacts(model, index);
    REQUIRE(facts.ok());
    std::string bytes;
    REQUIRE(SerializeDeterministic(model.proto(), &bytes));
    const auto session = (*backend)->OpenBytes(bytes, SessionOptions());
    INFO(session.status().ToString());
    REQUIRE(session.ok());
    for (int run = 0; run < 2; ++run) {
      const std::vector<int64_t> shape = {static_cast<int64_t>(random() % 4), 3, static_cast<int64_t>(random() % 9), 8};
      const auto feed = HostTensor::Create(onnx::TensorProto::FLOAT, shape);
      REQUIRE(feed.ok());
      const auto got = (*session)->Run({{"x", *feed}}, {});
      INFO(got.status().ToString());
      REQUIRE(got.ok());
      for (const auto& [name, tensor] : *got) {
        INFO(name << " with sizes " << shape[0] << " and " << shape[2]);
        const auto at = static_cast<size_t>(index.FindValue(index.main_scope(), name));
        if (const auto& value = facts->computed[at]; value) {
          const auto expected = ReadTensor(*value, model);
          REQUIRE(expected.ok());
          REQUIRE(std::equal(expected->bytes().begin(), expected->bytes().end(), tensor.bytes().begin(),
                             tensor.bytes().end()));
          ++computed;
        }
        const onnx::TensorShapeProto* inferred = FindShape(facts->types[at]);
        for (size_t i = 0; i < tensor.shape().size(); ++i) {
          if (inferred != nullptr && inferred->dim(static_cast<int>(i)).has_dim_value()) {
            REQUIRE(inferred->dim(static_cast<int>(i)).dim_value() == tensor.shape()[i]);
          } else if (i < facts->limits[at].size() && facts->limits[at][i] != INT64_MAX) {
            REQUIRE(tensor.shape()[i] <= facts->limits[at][i]);
            ++bounded;
          }
        }
      }
    }
  }
  INFO(computed << " computed, " << bounded << " bounded");
  CHECK(computed > 200);
  CHECK(bounded > 200);
}

}  // namespace
}  // namespace gomai
