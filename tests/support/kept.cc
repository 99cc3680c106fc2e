// Sums in another order differ by some units in the last place of what was summed, so a tolerance relative to the
// largest value of the tensor is allowed for.
#include "tests/support/kept.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <vector>

#include "lib/compare/tensors.h"
#include "lib/model/save.h"
#include "lib/shape/infer.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

namespace gomai::testing {

bool CheckKept(const Model& before, const Model& after, Effect effect, const NamedTensors* feeds) {
  const TemporaryFolder folder;
  const std::filesystem::path original = folder / "before.onnx";
  const std::filesystem::path changed = folder / "after.onnx";
  REQUIRE(Save(before, original, SaveOptions()).ok());
  REQUIRE(Save(after, changed, SaveOptions()).ok());
  if (CheckModelFile(original).ok()) {
    const absl::Status checked = CheckModelFile(changed);
    INFO(checked);
    CHECK(checked.ok());
  }
  const auto reference = RuntimeOrSkip().Open(original, SessionOptions());
  if (!reference.ok()) {
    return false;
  }
  const auto candidate = RuntimeOrSkip().Open(changed, SessionOptions());
  if (Message(candidate.status()).find("Could not find an implementation") != std::string_view::npos) {
    return false;
  }
  INFO(candidate.status());
  REQUIRE(candidate.ok());
  NamedTensors made_up;
  if (feeds == nullptr) {
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const ValueSpec& input : (*reference)->inputs()) {
      if (input.name == "image") {
        shapes["image"] = {3, 128, 192};
      }
    }
    auto random = RandomInputs((*reference)->inputs(), 1, shapes, {});
    if (!random.ok()) {
      return false;
    }
    made_up = *std::move(random);
    feeds = &made_up;
  }
  const auto expected = (*reference)->Run(*feeds, {});
  if (!expected.ok()) {
    return false;
  }
  const auto got = (*candidate)->Run(*feeds, {});
  INFO(got.status());
  REQUIRE(got.ok());
  Tolerance tolerance{.bits = effect == Effect::kBitExact};
  if (effect == Effect::kReassociates) {
    tolerance.rtol = 1e-3;
    tolerance.atol = 1e-4;
  }
  for (const auto& [name, tensor] : *expected) {
    const TensorComparison comparison = CompareTensors(got->at(name), tensor, tolerance);
    INFO("output " << name << " " << comparison.problem << " " << comparison.Why());
    CHECK(comparison.problem.empty());
    CHECK((comparison.equal || effect == Effect::kApproximate));
  }
  return true;
}

}  // namespace gomai::testing
