// Every rewrite on every model at hand, the project's own and ONNX's test models: where it applies, outputs are what
// its effect promises, ONNX's checker takes the result, and a second run changes nothing.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "tests/support/kept.h"
#include "tests/support/run_pass.h"
#include "tests/support/variants.h"

namespace gomai {
namespace {

struct Case {
  const char* pipeline;
  int changed;   // so many models at least are changed by it
  int compared;  // ... and computed before and after
};

constexpr Case kCases[] = {
    {"clip-to-relu{unfit=keep}", 2, 2},
    {"explicit-attributes{unfit=keep}", 116, 116},
    {"explicit-attributes{all=true,unfit=keep}", 760, 760},
    {"split-to-slice{unfit=keep}", 18, 18},
    {"slice-negative-steps{unfit=keep}", 4, 4},
    {"expand-to-tile{unfit=keep}", 18, 18},
    {"reducemean-to-globalaveragepool{unfit=keep}", 0, 0},
    {"large-kernel-pool-split{max-kernel=2,unfit=keep}", 48, 48},
    {"resize-to-supported{unfit=keep}", 2, 2},
    {"resize-to-supported{operand=sizes,unfit=keep}", 12, 12},
    {"resize-to-supported{form=convtranspose,unfit=keep}", 2, 2},
    {"convtranspose-to-depthtospace{unfit=keep}", 2, 2},
    {"gemm-to-conv{unfit=keep}", 21, 21},
    {"gemm-to-conv{rows=spatial,unfit=keep}", 21, 21},
    {"flatten-gemm-to-conv{unfit=keep}", 2, 2},
    {"matmul-to-gemm{unfit=keep}", 3, 3},
    {"fold-batchnorm{unfit=keep}", 0, 0},
    {"pad-into-conv{unfit=keep}", 0, 0},
    {"inline-functions", 0, 0},
    {"sigmoid-to-hardsigmoid{unfit=keep}", 9, 9},
    {"hardsigmoid-mul-to-hardswish{unfit=keep}", 2, 2},
    {"hardswish-to-hardsigmoid-mul{unfit=keep}", 2, 2},
    {"decompose-layernorm{unfit=keep}", 51, 51},
};

TEST_CASE("rewrites keep what every model computes, and settle after one run") {
  std::map<std::string_view, int> changed;
  std::map<std::string_view, int> compared;
  testing::ForEachVariant(testing::RuntimeOrSkip(), [&](const testing::Variant& variant, const auto&) {
    for (const Case& c : kCases) {
      INFO(c.pipeline);
      Model copy = variant.model.Copy();
      std::vector<Diagnostic> kept;  // what can't be rewritten is a warning
      const auto reports = testing::RunPasses(copy, c.pipeline, &kept);
      INFO(reports.status());
      CHECK((reports.ok() || reports.status().code() == absl::StatusCode::kFailedPrecondition));
      if (!reports.ok() || reports->at(0).changes.empty()) {
        continue;
      }
      ++changed[c.pipeline];
      Model second = copy.Copy();
      const auto again = testing::RunPasses(second, c.pipeline, &kept);
      REQUIRE(again.ok());
      CHECK(again->at(0).changes.empty());
      compared[c.pipeline] += testing::CheckKept(variant.model, copy, reports->at(0).effect, &variant.feeds) ? 1 : 0;
    }
  });
  for (const Case& c : kCases) {
    INFO(c.pipeline << ": " << changed[c.pipeline] << " models changed, " << compared[c.pipeline] << " compared");
    CHECK(changed[c.pipeline] >= c.changed);
    CHECK(compared[c.pipeline] >= c.compared);
  }
}

}  // namespace
}  // namespace gomai
