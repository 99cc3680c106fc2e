// Multiply-accumulates, against what each operator's definition says by hand.
#include "lib/shape/macs.h"

#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "tests/support/parse.h"

namespace gomai {
namespace {

struct Counted {
  Amount total;
  std::vector<std::optional<uint64_t>> nodes;
};

Counted CountOf(const char* text) {
  const Model model = Model::FromProto(testing::ParseModel(text));
  const Index index(model.proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  REQUIRE(shapes.ok());
  const MacCounter counter(index, [&](ValueId id) { return KnownDims(shapes->Find(index.value(id).name)); });
  Counted counted{CountMacs(index, *shapes), {}};
  for (const NodeId id : index.scope(index.main_scope()).nodes) {
    counted.nodes.push_back(counter.Macs(id));
  }
  return counted;
}

TEST_CASE("convolutions cost their kernel times the channels of a group") {
  const Counted counted = CountOf(R"(
<ir_version: 8, opset_import: ["" : 17]>
main (float[1,4,8,8] x, float[6,4,3,3] w, float[4,1,3,3] d, float[4,2,2,2] t) => (float[1,6,8,8] a, float[1,4,4,4] b, float[1,4,16,16] c, float[1,4,8,8] e)
{
  a = Conv <pads = [1,1,1,1]> (x, w)
  b = Conv <pads = [1,1,1,1], strides = [2,2], group = 4> (x, d)
  c = ConvTranspose <strides = [2,2], group = 2> (x, t)
  e = Relu(x)
})");
  CHECK(counted.nodes[0] == 6 * 8 * 8 * 4 * 9);
  CHECK(counted.nodes[1] == 4 * 4 * 4 * 9);
  CHECK(counted.nodes[2] == 4 * 8 * 8 * 2 * 4);
  CHECK(counted.nodes[3] == 0);
  CHECK(counted.total.fixed == 6 * 8 * 8 * 4 * 9 + 4 * 4 * 4 * 9 + 4 * 8 * 8 * 2 * 4);
  CHECK(counted.total.unknown == 0);
}

TEST_CASE("products cost their inner dim for each element") {
  const Counted counted = CountOf(R"(
<ir_version: 8, opset_import: ["" : 17]>
main (float[5,3] x, float[3,7] w, float[7,3] v, float[3,5] u, float[2,4,5,3] m, float[3] k, uint8[5,3] q, uint8[3,7] r)
  => (float[5,7] a, float[5,7] b, float[5,7] c, float[2,4,5,7] d, float[5] e, float f, int32[5,7] g)
{
  a = Gemm(x, w)
  b = Gemm <transB = 1> (x, v)
  c = Gemm <transA = 1> (u, w)
  d = MatMul(m, w)
  e = MatMul(x, k)
  f = MatMul(k, k)
  g = MatMulInteger(q, r)
})");
  CHECK(counted.nodes == std::vector<std::optional<uint64_t>>{105, 105, 105, 840, 15, 3, 105});
  CHECK(counted.total.Text(false) == "1.3 K");
}

TEST_CASE("what a quantised convolution multiplies is its fourth input") {
  const Counted counted = CountOf(R"(
<ir_version: 8, opset_import: ["" : 17]>
main (uint8[1,2,4,4] x, float s, uint8 z, uint8[3,2,1,1] w) => (uint8[1,3,4,4] y)
{ y = QLinearConv(x, s, z, w, s, z, s, z) })");
  CHECK(counted.nodes[0] == 3 * 16 * 2);
}

TEST_CASE("open dims: per row, by the weight's side, or unknown") {
  const Counted counted = CountOf(R"(
<ir_version: 8, opset_import: ["" : 17]>
main (float[N,3] x, float[3,7] w, float[7,3] v, float[4,K] o, float[1,3,H,W] i, float[2,3,1,1] c)
  => (float[N,7] a, float[4,7] b, float[4,7] d, float[1,2,H,W] e)
{
  a = MatMul(x, w)
  b = MatMul(o, w)
  d = Gemm <transB = 1> (o, v)
  e = Conv(i, c)
})");
  CHECK(counted.nodes == std::vector<std::optional<uint64_t>>{std::nullopt, 84, 84, std::nullopt});
  CHECK(counted.total.per_row == 21);
  CHECK(counted.total.fixed == 168);
  CHECK(counted.total.unknown == 1);
  CHECK(counted.total.Text(false) == "168 + 21/row + ?");
}

TEST_CASE("bodies, other domains and functions of the same name don't count") {
  const Counted counted = CountOf(R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
main (bool c, float[2,2] x) => (float[2,2] y, float[2,2] z)
{
  y = If (c) <then_branch = t () => (float[2,2] p) { p = MatMul(x, x) }, else_branch = e () => (float[2,2] q) { q = Neg(x) }>
  z = local.MatMul(x, x)
}
<domain: "local", opset_import: ["" : 17]>
MatMul (a, b) => (m) { m = Add(a, b) }
)");
  CHECK(counted.total.fixed == 0);
  CHECK(counted.total.Text(false) == "0");
}

TEST_CASE("sums that don't fit are unknown") {
  Amount amount;
  const int64_t huge = std::numeric_limits<int64_t>::max() / 2 + 1;
  amount.Add(std::vector<int64_t>{huge}, 1);
  CHECK(amount.fixed == huge);
  amount.Add(std::vector<int64_t>{huge}, 2);
  amount.Add(std::vector<int64_t>{huge}, 1);
  CHECK(amount.fixed == huge);
  CHECK(amount.unknown == 2);
}

}  // namespace
}  // namespace gomai
