// inflate(deflate(x)) == x: on every model at hand and on thousands of files made by breaking small ones.
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "tests/support/mutate.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

using testing::CheckRoundTrip;
using testing::Mutate;
using testing::Reorder;
using testing::RichModel;

TEST_CASE("every model at hand comes back byte for byte") {
  size_t left_out = 0;
  for (const std::filesystem::path& path : testing::AllModels()) {
    const std::string bytes = testing::ReadFile(path.string());
    for (const uint64_t threshold : {1, 64, 4096}) {
      INFO(path << ", threshold " << threshold);
      REQUIRE(CheckRoundTrip(bytes, threshold, &left_out) == "");
    }
  }
  CHECK(left_out > 1000);
}

TEST_CASE("a tensor is left out wherever it stands") {
  size_t left_out = 0;
  REQUIRE(CheckRoundTrip(RichModel(), 16, &left_out) == "");
  CHECK(left_out == 18);
}

TEST_CASE("cut at every byte") {
  const std::string model = RichModel();
  for (size_t size = 0; size <= model.size(); ++size) {
    INFO("cut to " << size << " bytes");
    REQUIRE(CheckRoundTrip(std::string_view(model).substr(0, size), 16) == "");
  }
}

TEST_CASE("broken files are refused or come back byte for byte") {
  std::vector<std::string> seeds = {RichModel()};
  for (const std::filesystem::path& path : testing::AllModels()) {
    if (std::filesystem::file_size(path) < 3000 && seeds.size() < 60) {
      seeds.push_back(testing::ReadFile(path.string()));
    }
  }
  std::mt19937_64 random(20240229);
  size_t left_out = 0;
  for (int i = 0; i < 30000; ++i) {
    const std::string bytes = Mutate(seeds[i % 3 == 0 ? 0 : random() % seeds.size()], random);
    const std::string fault = CheckRoundTrip(bytes, 1 + random() % 32, &left_out);
    INFO("mutation " << i);
    REQUIRE(fault == "");
  }
  CHECK(left_out > 10000);
}

TEST_CASE("fields in any order come back byte for byte") {
  const std::string model = RichModel();
  std::mt19937_64 random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = model;
    for (int k = 0; k < 5; ++k) {
      bytes = Reorder(bytes, random);
    }
    size_t left_out = 0;
    INFO("reordering " << i);
    REQUIRE(CheckRoundTrip(bytes, 16, &left_out) == "");
    REQUIRE(left_out > 0);
  }
}

}  // namespace
}  // namespace gomai
