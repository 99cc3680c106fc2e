// Passes on every model at hand (the project's own and ONNX's test models): what must hold whatever the model is.
//
//   - the change set is empty if and only if no byte changed
//   - no pass brings a structural fault into a model
//   - a second run of a pass that needs no names finds nothing to do
//   - renaming everything and renaming it back gives the same bytes
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "lib/graph/verify.h"
#include "lib/pass/pipeline.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::Bytes;

std::multiset<FaultKind> Faults(const Model& model) {
  std::multiset<FaultKind> kinds;
  for (const Fault& fault : Verify(model, Index(model.proto()))) {
    kinds.insert(fault.kind);
  }
  return kinds;
}

absl::StatusOr<std::vector<PassReport>> Run(Model& model, std::string_view text) {
  const absl::StatusOr<Pipeline> pipeline = ParsePipeline(text);
  REQUIRE(pipeline.ok());
  PipelineOptions options;
  options.allow_shape_change = true;  // some test models declare shapes that are false
  return RunPipeline(*pipeline, model, options, Diagnostics());
}

// Calls check(model) with each model that loads and whose structure is sound; gives their number.
template <typename Check>
size_t ForEachSoundModel(const Check& check) {
  size_t count = 0;
  for (const std::filesystem::path& path : testing::AllModels()) {
    absl::StatusOr<Model> model = Model::Load(path);
    if (!model.ok() || !VerifyForWriting(*model, Index(model->proto())).ok()) {
      continue;
    }
    INFO("model " << path.string());
    check(*model);
    ++count;
  }
  return count;
}

void CheckSettles(const std::string& pipeline) {
  size_t changed = 0;
  const size_t models = ForEachSoundModel([&](Model& model) {
    const std::string before = Bytes(model);
    const std::multiset<FaultKind> faults = Faults(model);
    const auto first = Run(model, pipeline);
    INFO(first.status().ToString());
    REQUIRE(first.ok());
    const std::string once = Bytes(model);
    REQUIRE(first->at(0).changes.empty() == (once == before));
    changed += once == before ? 0 : 1;
    const std::multiset<FaultKind> after = Faults(model);
    REQUIRE(std::includes(faults.begin(), faults.end(), after.begin(), after.end()));
    const auto second = Run(model, pipeline);
    REQUIRE(second.ok());
    REQUIRE(second->at(0).changes.empty());
    REQUIRE(Bytes(model) == once);
  });
  INFO(models << " models, of which " << changed << " changed");
  CHECK(models > 100);
}

TEST_CASE("prune settles after one run on every model") { CheckSettles("prune"); }
TEST_CASE("strip-doc-strings settles after one run on every model") { CheckSettles("strip-doc-strings"); }

TEST_CASE("sort settles after one run on every model") { CheckSettles("sort"); }
TEST_CASE("fold-constants settles after one run on every model") { CheckSettles("fold-constants"); }
TEST_CASE("fold-identity settles after one run on every model") { CheckSettles("fold-identity"); }
TEST_CASE("remove-no-ops settles after one run on every model") { CheckSettles("remove-no-ops"); }
TEST_CASE("dedupe-nodes settles after one run on every model") { CheckSettles("dedupe-nodes"); }
TEST_CASE("lift-constants settles after one run on every model") { CheckSettles("lift-constants"); }
TEST_CASE("dedupe-initializers settles after one run on every model") { CheckSettles("dedupe-initializers"); }
TEST_CASE("name-nodes settles after one run on every model") { CheckSettles("name-nodes{duplicates=true}"); }

// Outputs of all graphs: what no edit of a single node may rename.
std::vector<std::string> Outputs(const Model& model) {
  std::vector<std::string> names;
  const Index index(model.proto());
  for (const Index::Scope& scope : index.scopes()) {
    if (scope.graph != nullptr) {
      for (const onnx::ValueInfoProto& output : scope.graph->output()) {
        names.push_back(output.name());
      }
    }
  }
  return names;
}

// Inserts an Identity on every value in turn (some of them in large models), then deletes it again: outputs keep their
// names, no fault comes in, and as many nodes are there as before.
TEST_CASE("an inserted Identity can be deleted again, on every model") {
  size_t inserted = 0;
  const size_t models = ForEachSoundModel([&](Model& model) {
    const std::multiset<FaultKind> faults = Faults(model);
    std::vector<std::string> names;
    {
      const Index index(model.proto());
      const size_t step = index.nodes().size() / 8 + 1;
      for (size_t i = 0; i < index.nodes().size(); i += step) {
        for (const std::string& output : index.nodes()[i].proto->output()) {
          if (!output.empty()) {
            names.push_back(output);
          }
        }
      }
    }
    const std::vector<std::string> outputs = Outputs(model);
    for (const std::string& name : names) {
      Model copy = model.Copy();
      const size_t nodes = Index(copy.proto()).nodes().size();
      INFO("value " << name);
      const auto there = Run(copy, fmt::format("insert-node{{op=Identity,on=\"{}\",name=the/inserted}}", name));
      if (!there.ok()) {
        INFO(there.status().ToString());
        // Several bodies define it; no default opset; or the model is older than Identity's support of the type.
        CHECK(there.status().code() != absl::StatusCode::kInternal);
        continue;
      }
      ++inserted;
      REQUIRE(Index(copy.proto()).nodes().size() == nodes + 1);
      REQUIRE(Outputs(copy) == outputs);
      REQUIRE(Faults(copy) == faults);
      const auto back = Run(copy, "delete-node{node=the/inserted}");
      // On a constant the input is to be named; an Identity may also be what keeps two names apart.
      const auto kept = back.ok() ? back : Run(copy, "delete-node{node=the/inserted,keep-input=0}");
      INFO(kept.status().ToString());
      REQUIRE(kept.ok());
      REQUIRE(Index(copy.proto()).nodes().size() == nodes);
      REQUIRE(Outputs(copy) == outputs);
      REQUIRE(Faults(copy) == faults);
    }
  });
  INFO(models << " models, " << inserted << " insertions");
  CHECK(models > 100);
  CHECK(inserted > 1000);
}

TEST_CASE("renaming everything and back gives the same bytes on every model") {
  const size_t models = ForEachSoundModel([&](Model& model) {
    const Index index(model.proto());
    if (index.values().empty()) {
      return;
    }
    const std::string before = Bytes(model);
    const auto there = Run(model, "rename{*=away/*,match=glob,what=both}");
    INFO(there.status().ToString());
    REQUIRE(there.ok());
    const std::string renamed = Bytes(model);
    REQUIRE(renamed != before);
    const absl::Status sound = VerifyForWriting(model, Index(model.proto()));
    INFO(sound.ToString());
    REQUIRE(sound.ok());
    const auto back = Run(model, "rename{away/=,match=prefix,what=both}");
    INFO(back.status().ToString());
    REQUIRE(back.ok());
    REQUIRE(Bytes(model) == before);
  });
  CHECK(models > 100);
}

}  // namespace
}  // namespace gomai
