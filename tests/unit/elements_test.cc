// What inference knows of the elements of small tensors, and how large open dims can get: rule by rule, by hand.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "lib/model/tensor.h"
#include "lib/shape/infer.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

using testing::LoadText;

struct Inferred {
  explicit Inferred(Model loaded) : model(std::move(loaded)), index(model.proto()) {
    absl::StatusOr<Facts> inferred = InferFacts(model, index);
    REQUIRE(inferred.ok());
    facts = *std::move(inferred);
  }
  explicit Inferred(const std::string& graph) : Inferred(LoadText(graph.c_str())) {}

  size_t At(std::string_view name) const {
    const ValueId id = index.FindValue(index.main_scope(), name);
    REQUIRE(id != kNone);
    return static_cast<size_t>(id);
  }
  // "1,2,3", or "?" if they aren't known.
  std::string Values(std::string_view name = "y") const {
    const auto& computed = facts.computed[At(name)];
    if (!computed) {
      return "?";
    }
    const auto bytes = ReadTensor(*computed, model);
    REQUIRE(bytes.ok());
    std::string text;
    const auto add = [&](const auto& values) {
      for (const auto value : values) {
        text += fmt::format("{}{}", text.empty() ? "" : ",", static_cast<int64_t>(value));
      }
    };
    switch (computed->data_type()) {
      case onnx::TensorProto::INT64:
        add(bytes->As<int64_t>());
        break;
      case onnx::TensorProto::INT32:
        add(bytes->As<int32_t>());
        break;
      default:
        REQUIRE(computed->data_type() == onnx::TensorProto::BOOL);
        add(bytes->bytes());
    }
    return text;
  }
  // Of the open dims: "1000,?"; "" if nothing bounds any.
  std::string Limits(std::string_view name = "y") const {
    const std::vector<int64_t>& limits = facts.limits[At(name)];
    std::string text;
    bool any = false;
    for (const int64_t limit : limits) {
      any = any || limit != INT64_MAX;
      text += fmt::format("{}{}", text.empty() ? "" : ",", limit == INT64_MAX ? "?" : std::to_string(limit));
    }
    return any ? text : "";
  }

  Model model;
  Index index;
  Facts facts;
};

// A graph over x of [2,3,N,8], whose sizes are in `s`.
std::string OfSizes(const std::string& type, const std::string& constants, const std::string& nodes) {
  return "g (float[2, 3, N, 8] x) => (" + type + " y) <" + constants + "> { s = Shape (x) " + nodes + " }";
}

std::string ValuesOf(const std::string& type, const std::string& constants, const std::string& nodes) {
  return Inferred(OfSizes(type, constants, nodes)).Values();
}

TEST_CASE("sizes are gathered, sliced, joined and reshaped") {
  CHECK(ValuesOf("int64[4]", "int64 i = {0}", "y = Identity (s)") == "?");  // N isn't known
  CHECK(ValuesOf("int64[2]", "int64[2] i = {1, -1}", "y = Gather (s, i)") == "3,8");
  CHECK(ValuesOf("int64[2]", "int64[2] i = {1, 2}", "y = Gather (s, i)") == "?");
  CHECK(ValuesOf("int64[2]", "int64[2] i = {1, 9}", "y = Gather (s, i)") == "?");  // out of range
  CHECK(ValuesOf("int64[2]", "int64[1] a = {0}, int64[1] b = {2}", "y = Slice (s, a, b)") == "2,3");
  CHECK(ValuesOf("int64[2]", "int64[1] a = {-1}, int64[1] b = {-9}, int64[1] z = {0}, int64[1] t = {-2}",
                 "y = Slice (s, a, b, z, t)") == "8,3");
  CHECK(ValuesOf("int64[3]", "int64[1] i = {3}, int64[2] k = {7, 9}",
                 "e = Gather (s, i) y = Concat <axis = 0> (e, k)") == "8,7,9");
  CHECK(ValuesOf("int64[2, 1]", "int64[2] i = {0, 1}, int64[2] t = {2, 1}", "e = Gather (s, i) y = Reshape (e, t)") ==
        "2,3");
  CHECK(ValuesOf("int64[2, 2]", "int64[2] i = {0, 1}, int64[2] t = {2, 2}", "e = Gather (s, i) y = Expand (e, t)") ==
        "2,3,2,3");
  CHECK(ValuesOf("int64[2, 2]", "int64[4] i = {0, 1, 3, 3}, int64[2] t = {2, 2}",
                 "e = Gather (s, i) f = Reshape (e, t) y = Transpose (f)") == "2,8,3,8");
}

TEST_CASE("Shape takes part of the dims, from either side, within what there is") {
  const std::string graph = "g (float[2, 3, 4] x) => (int64[R] y) { y = Shape <start = ";
  CHECK(Inferred(graph + "1> (x) }").Values() == "3,4");
  CHECK(Inferred(graph + "-2, end = -1> (x) }").Values() == "3");
  CHECK(Inferred(graph + "-9, end = 9> (x) }").Values() == "2,3,4");
  CHECK(Inferred(graph + "2, end = 1> (x) }").Values().empty());
  CHECK(Inferred(graph + "0, end = 0> (x) }").Values().empty());
}

TEST_CASE("integers divide towards zero, and not by zero") {
  const std::string numbers =
      "int64[4] a = {7, -7, 7, -7}, int64[4] b = {2, 2, -2, -2}, int64[4] z = {1, 1, 0, 1}, int64 i = {0}";
  // `o` is 0, found from a size, so that nothing here is a constant of the model.
  const std::string zero = "d = Gather (s, i) o = Sub (d, d) c = Add (a, o) ";
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Div (c, b)") == "3,-3,-3,3");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Mod (c, b)") == "1,1,-1,-1");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Mod <fmod = 1> (c, b)") == "1,-1,1,-1");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Div (c, z)") == "?");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Mod (c, z)") == "?");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Neg (c)") == "-7,7,-7,7");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Abs (c)") == "7,7,7,7");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Min (c, b)") == "2,-7,-2,-7");
  CHECK(ValuesOf("int64[4]", numbers, zero + "y = Max (c, b, o)") == "7,2,7,0");
}

TEST_CASE("what overflows is unknown, and harms nobody") {
  const std::string numbers =
      "int64 lowest = {-9223372036854775808}, int64 highest = {9223372036854775807}, int64 minus = {-1}, "
      "int64 i = {0}, int64 two = {2}";
  const std::string zero = "d = Gather (s, i) o = Sub (d, d) low = Add (lowest, o) high = Add (highest, o) ";
  for (const char* op : {"y = Neg (low)", "y = Abs (low)", "y = Div (low, minus)", "y = Mod (low, minus)",
                         "y = Sub (low, two)", "y = Add (high, two)", "y = Mul (high, two)", "y = Mul (low, minus)"}) {
    INFO(op);
    CHECK(ValuesOf("int64", numbers, zero + op) == "?");
  }
  CHECK(ValuesOf("int32", "int64 big = {4294967297}, int64 i = {0}",
                 zero.substr(0, 36) + "b = Add (big, o) y = Cast <to = 6> (b)") == "?");
  CHECK(ValuesOf("int64", "int64 big = {4294967297}, int64 i = {0}",
                 zero.substr(0, 36) + "b = Add (big, o) n = Cast <to = 6> (b) y = Cast <to = 7> (n)") == "?");
  CHECK(ValuesOf("int32", "int32 most = {2147483647}, int64 i = {0}",
                 "d = Gather (s, i) n = Cast <to = 6> (d) y = Add (most, n)") == "?");
}

TEST_CASE("floats are followed while they are exact integers") {
  const std::string size = "d = Gather (s, i) f = Cast <to = 1> (d) ";
  const auto values = [&](const std::string& constants, const std::string& nodes) {
    return ValuesOf("int64", "int64 i = {3}, " + constants, size + nodes);
  };
  CHECK(values("float h = {2.0}", "g = Mul (f, h) y = Cast <to = 7> (g)") == "16");
  CHECK(values("float h = {2.0}", "g = Div (f, h) y = Cast <to = 7> (g)") == "4");
  CHECK(values("float h = {3.0}", "g = Div (f, h) y = Cast <to = 7> (g)") == "?");  // 2.67
  CHECK(values("float h = {0.5}", "g = Mul (f, h) y = Cast <to = 7> (g)") == "?");
  CHECK(values("float h = {0.5}", "y = Cast <to = 7> (h)") == "?");                        // never 0
  CHECK(values("float h = {16777216.0}", "g = Add (f, h) y = Cast <to = 7> (g)") == "?");  // 2^24: not exact beyond
  CHECK(values("float h = {-8.0}", "g = Add (f, h) y = Cast <to = 7> (g)") == "0");
  CHECK(values("float[3] h = {16777216.0, 1.0, -16777216.0}",
               "o = Sub (f, f) g = Add (h, o) r = ReduceSum <keepdims = 0> (g) y = Cast <to = 7> (r)") == "?");
  CHECK(values("float[3] h = {5.0, 1.0, -3.0}",
               "o = Sub (f, f) g = Add (h, o) r = ReduceSum <keepdims = 0> (g) y = Cast <to = 7> (r)") == "3");
}

TEST_CASE("a float that isn't known may be NaN: no comparison with it is certain") {
  const std::string graph =
      R"(g (float x, int64[2] n) => (bool y, int64 z) <float nine = {9.0}, int64 one = {1}, int64 two = {2}> {
    low = Min (x, nine)
    y = LessOrEqual (low, nine)
    eq = Equal (x, x)
    z = Where (eq, one, two)
  })";
  CHECK(Inferred(graph).Values("y") == "?");
  CHECK(Inferred(graph).Values("eq") == "?");
  CHECK(Inferred(graph).Values("z") == "?");
}

TEST_CASE("comparisons and choices") {
  const std::string numbers = "int64[2] i = {1, 3}, int64[2] k = {3, 9}";
  const std::string pair = "e = Gather (s, i) ";
  CHECK(ValuesOf("bool[2]", numbers, pair + "y = Equal (e, k)") == "1,0");
  CHECK(ValuesOf("bool[2]", numbers, pair + "y = Less (e, k)") == "0,1");
  CHECK(ValuesOf("bool[2]", numbers, pair + "y = GreaterOrEqual (e, k)") == "1,0");
  CHECK(ValuesOf("bool[2]", numbers, pair + "l = Less (e, k) y = Not (l)") == "1,0");
  CHECK(ValuesOf("bool[2]", numbers, pair + "l = Less (e, k) n = Not (l) y = And (l, n)") == "0,0");
  CHECK(ValuesOf("bool[2]", numbers, pair + "l = Less (e, k) n = Not (l) y = Or (l, n)") == "1,1");
  CHECK(ValuesOf("bool[2]", numbers, pair + "l = Less (e, k) n = Not (l) y = Xor (l, n)") == "1,1");
  CHECK(ValuesOf("int64[2]", numbers, pair + "l = Less (e, k) y = Where (l, e, k)") == "3,8");
  // A size is never negative, whatever it is.
  CHECK(ValuesOf("bool", "int64 i = {2}, int64 m = {-1}", "n = Gather (s, i) y = Greater (n, m)") == "1");
  CHECK(ValuesOf("bool", "int64 i = {2}, int64 m = {0}", "n = Gather (s, i) y = Greater (n, m)") == "?");
}

TEST_CASE("reductions, ranges and filled tensors") {
  const std::string numbers = "int64[2] i = {1, 3}, int64 one = {1}, int64 j = {1}";
  const std::string pair = "e = Gather (s, i) ";
  CHECK(ValuesOf("int64", numbers, pair + "y = ReduceProd <keepdims = 0> (e)") == "24");
  CHECK(ValuesOf("int64[1]", numbers, pair + "y = ReduceSum (e)") == "11");
  CHECK(ValuesOf("int64[1]", numbers, pair + "y = ReduceMax (e)") == "8");
  CHECK(ValuesOf("int64[1]", numbers, pair + "y = ReduceMin (e)") == "3");
  CHECK(ValuesOf("int64[2]", numbers, pair + "y = ReduceSum <noop_with_empty_axes = 1> (e)") == "?");
  CHECK(ValuesOf("int64[2]", numbers, "n = Gather (s, j) y = Range (one, n, one)") == "1,2");
  CHECK(ValuesOf("int64[A, B]", "int64[2] i = {0, 1}",
                 "e = Gather (s, i) y = ConstantOfShape <value = int64[1] {4}> (e)") == "4,4,4,4,4,4");
  CHECK(ValuesOf("int64", "int64 i = {0}", "y = Size (s)") == "4");
}

TEST_CASE("lists are bounded by what cuts them") {
  CHECK(Inferred(R"(g (float[N, 4] x) => (float[M, 4] y) <int64[1] a = {0}, int64[1] b = {1000}> {
    y = Slice (x, a, b) })")
            .Limits() == "1000,4");
  CHECK(Inferred(R"(g (float[N, 4] x) => (float[M, 4] y) <int64[1] a = {-5}, int64[1] b = {9223372036854775807}> {
    y = Slice (x, a, b) })")
            .Limits() == "5,4");
  CHECK(Inferred(R"(g (float[N, 4] x) => (float[M, 4] y) <int64[1] a = {0}, int64[1] b = {-1}> {
    y = Slice (x, a, b) })")
            .Limits() == "?,4");
  // A TopK of at most so many, as exporters write it: min(k, size).
  const std::string top = R"(g (float[1, N] x) => (float[1, K] y) <int64[1] i = {1}, int64[1] most = {1000}> {
    s = Shape (x) n = Gather (s, i) k = Min (n, most) y, which = TopK (x, k) gone = Squeeze (which, i) })";
  CHECK(Inferred(top).Limits() == "1,1000");
  CHECK(Inferred(top).Limits("which") == "1,1000");
  const std::string nms =
      R"(g (float[1, N, 4] b, float[1, 7, N] c) => (int64[M, 3] y) <int64 most = {10}, float t = {0.5}> {
    y = NonMaxSuppression (b, c, most, t) })";
  CHECK(Inferred(nms).Limits() == "70,3");
  CHECK(Inferred(R"(g (bool[5, 6] x) => (int64[2, M] y) { y = NonZero (x) })").Limits() == "2,30");
  CHECK(Inferred(R"(g (bool x) => (int64[R, M] y) { y = NonZero (x) })").Limits().starts_with("1,1"));
}

TEST_CASE("bounds go through what selects, joins, broadcasts and branches") {
  const std::string cut = R"(g (float[N, 4] x, bool[100] m, bool c) => (float[M, 4] y)
    <int64[1] a = {0}, int64[1] b = {100}, int64[1] h = {50}, float[1, 4] row = {1, 1, 1, 1}, int64[2] flat = {-1, 2}> {
    u = Slice (x, a, b)
    v = Slice (x, a, h)
    )";
  CHECK(Inferred(cut + "y = Concat <axis = 0> (u, v) }").Limits() == "150,4");
  CHECK(Inferred(cut + "y = Add (u, row) }").Limits() == "100,4");
  CHECK(Inferred(cut + "z = Reshape (u, flat) y = Identity (z) }").Limits("z") == "200,2");
  CHECK(Inferred(cut + "z = Compress (u, m) y = Identity (u) }").Limits("z") == "400");
  CHECK(Inferred(cut + "z = Compress <axis = 0> (u, m) y = Identity (u) }").Limits("z") == "100,4");
  CHECK(Inferred(cut + R"(y = If (c) <then_branch = t () => (float[P, 4] p) { p = Neg (u) },
                                      else_branch = e () => (float[Q, 4] q) { q = Neg (v) }> })")
            .Limits() == "100,4");
}

TEST_CASE("MatMul and Resize bound only what they keep") {
  CHECK(Inferred(R"(g (float[M, 5] x, float[B, 5, 6] w) => (float[B, M, 6] y) <int64[1] a = {0}, int64[1] b = {7}> {
    u = Slice (x, a, b) y = MatMul (u, w) })")
            .Limits()
            .empty());
  CHECK(Inferred(R"(g (float[M, 5] x, float[5, 6] w) => (float[M, 6] y) <int64[1] a = {0}, int64[1] b = {7}> {
    u = Slice (x, a, b) y = MatMul (u, w) })")
            .Limits()
            .starts_with("7,"));
  CHECK(Inferred(R"(g (float[N, 4] x) => (float[M, 8] y) <int64[1] a = {0}, int64[1] b = {7}, float[2] s = {2.0, 2.0}> {
    u = Slice (x, a, b) y = Resize (u, , s) })")
            .Limits()
            .empty());
}

TEST_CASE("what rests on a declared shape is not computed from") {
  onnx::ModelProto proto = testing::ParseModel(R"(<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[2] x) => (int64[2] y, int64[1] z) <float[2, 3] u> {
      u = own.Unknown (x)
      y = Shape (u)
      z = Shape (x)
    })");
  const Inferred inferred(Model::FromProto(proto));
  CHECK(inferred.Values("y") == "?");
  CHECK_FALSE(inferred.facts.proven[inferred.At("u")]);
  CHECK(inferred.facts.proven[inferred.At("z")]);
  CHECK(inferred.Values("z") == "2");
}

TEST_CASE("a Loop's body is known for all iterations, or not at all") {
  const Inferred inferred(std::string(
      R"(g (int64 n, bool c, float[2, 3] x, float[1, 3] z) => (float[2, 3] y, float[M, 3] w, int64[A, 2] p, int64[B, 2] q) {
    y, w, p, q = Loop (n, c, x, z) <body = b (int64 i, bool d, float[2, 3] u, float[1, 3] v)
        => (bool e, float[2, 3] r, float[K, 3] t, int64[2] su, int64[2] sv) {
      e = Identity (d)
      r = Relu (u)
      t = Concat <axis = 0> (v, v)
      su = Shape (u)
      sv = Shape (v)
    }>
  })"));
  const auto& scopes = inferred.index.scopes();
  REQUIRE(scopes.size() == 2);
  const auto in_body = [&](const char* name) {
    return inferred.facts.computed[static_cast<size_t>(inferred.index.FindValue(1, name))].has_value();
  };
  CHECK(in_body("su"));
  CHECK_FALSE(in_body("sv"));
}

}  // namespace
}  // namespace gomai
