// Made-up weights against values that numpy computed by the same rule.
#include "lib/model/seeded.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <vector>

#include "lib/base/digest.h"

namespace gomai {
namespace {

std::vector<uint32_t> Bits(std::string_view name, uint64_t count, SeededRule rule, uint64_t seed) {
  const std::string bytes = SeededBytes(name, 0, count, rule, seed);
  std::vector<uint32_t> bits(bytes.size() / sizeof(uint32_t));
  if (!bytes.empty()) {  // memcpy takes no null pointer, not even for nothing
    std::memcpy(bits.data(), bytes.data(), bytes.size());
  }
  return bits;
}

}  // namespace

TEST_CASE("values are numpy's, bit for bit") {
  using List = std::vector<uint32_t>;
  CHECK(Bits("w", 5, {0.5, 0.25}, 0) == List{0x3f580727, 0x3e9e634e, 0x3dbfd24c, 0x3f01165b, 0x3eb08866});
  CHECK(Bits("w", 5, {0.5, 0.25}, 7) == List{0x3ed2ca01, 0x3f5e7425, 0x3ef64e43, 0x3f08090d, 0x3f1e48b5});
  CHECK(Bits("conv.weight", 0, {0, 1}, 0).empty());
  CHECK(Bits("rpn.head.conv.0.0.weight", 4, {0, 0.020865237}, 0) ==
        List{0xbbadab5c, 0x3cc40beb, 0x3be2b73b, 0xbbcea707});
  CHECK(Bits("\xc3\xa9t\xc3\xa9", 3, {-1e-3, 1.5}, 123456789012345) == List{0xbf5428f6, 0x3ff7c541, 0x400a8fa4});
  CHECK(Bits("", 2, {0, 1}, 0) == List{0x3f69d8d1, 0x3fd30233});
  const std::string many = SeededBytes("big", 0, 100000, {0.1, 0.3}, 5);
  Sha256 digest;
  digest.Update({reinterpret_cast<const uint8_t*>(many.data()), many.size()});
  CHECK(SeededBytes("big", 777, 1000, {0.1, 0.3}, 5) == many.substr(777 * 4, 1000 * 4));
  CHECK(digest.Hex() == "f179984c56da355a6c1dd37eb225d0406d37f9ee794e2b6f7d660b98b885b53e");
}

TEST_CASE("rules print and read back") {
  CHECK(SeededText({0, 0.020865237}) == "seeded-uniform mean=0 std=0.020865237");
  CHECK(SeededText({-1.0 / 3, 1e-12}) == "seeded-uniform mean=-0.333333333 std=1e-12");
  for (const SeededRule rule : {SeededRule{0, 0}, SeededRule{-1.0 / 3, 2.0 / 3}, SeededRule{1e30, 1e-30}}) {
    const absl::StatusOr<SeededRule> read = ParseSeededRule(SeededText(rule));
    REQUIRE(read.ok());
    CHECK(SeededText(*read) == SeededText(rule));
  }
}

TEST_CASE("texts that are no rules") {
  CHECK_FALSE(IsSeededText(""));
  CHECK_FALSE(IsSeededText("seeded"));
  CHECK_FALSE(IsSeededText("seeded-uniformly mean=0 std=1"));
  CHECK_FALSE(IsSeededText(" seeded-uniform mean=0 std=1"));
  CHECK(IsSeededText("seeded-uniform"));
  for (const char* text :
       {"seeded-uniform", "seeded-uniform mean=0", "seeded-uniform std=1 mean=0", "seeded-uniform mean= std=1",
        "seeded-uniform mean=0 std=1 ", "seeded-uniform  mean=0 std=1", "seeded-uniform mean=0 std=-1",
        "seeded-uniform mean=nan std=1", "seeded-uniform mean=0 std=inf", "seeded-uniform mean=0x std=1"}) {
    INFO(text);
    CHECK(IsSeededText(text));
    CHECK(ParseSeededRule(text).status().code() == absl::StatusCode::kDataLoss);
  }
}

}  // namespace gomai
