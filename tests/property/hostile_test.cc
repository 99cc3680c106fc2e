// Whatever a file holds, the library answers with a result or a status, in bounded time: files cut anywhere, broken
// anyhow, and those made to do harm.
#include "tests/support/hostile.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <random>

#include "lib/compare/model_diff.h"
#include "lib/graph/index.h"
#include "lib/graph/verify.h"
#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/shape/infer.h"
#include "lib/split/extract.h"
#include "lib/split/merge.h"
#include "lib/split/split.h"
#include "tests/support/mutate.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

// How far a file came.
struct Journey {
  bool loaded = false;
  bool sound = false;
  bool extracted = false;
  bool merged = false;
};

// Seconds: far beyond what anything takes, far below what a walk without bounds would.
double Patience() { return testing::UnderAddressSanitizer() ? 200 : 20; }

#define EXPECT_REASON(status)                  \
  do {                                         \
    INFO((status).ToString().substr(0, 2000)); \
    CHECK_FALSE(Message(status).empty());      \
    CHECK_FALSE(absl::IsInternal(status));     \
    CHECK_FALSE(absl::IsUnknown(status));      \
  } while (false)

void SplitAndMerge(const Model& model, const Index& index, const Shapes& shapes, const fs::path& folder,
                   Journey* journey) {
  // Each node's first output alone would be a part; the first that may be one will do.
  for (const NodeId node : index.scope(index.main_scope()).nodes) {
    const std::vector<ValueId>& outputs = index.node(node).outputs;
    if (outputs.empty() || outputs[0] == kNone || node > 2) {
      continue;
    }
    Plan plan;
    PlanPart part;
    part.name = "first";
    part.outputs = {std::string(index.value(outputs[0]).name)};
    plan.parts = {part};
    const absl::StatusOr<Split> split = ResolvePlan(plan, model, index, shapes, {}, Diagnostics());
    if (!split.ok()) {
      EXPECT_REASON(split.status());
      continue;
    }
    WriteSplitOptions options;
    options.folder = folder / "parts";
    const absl::StatusOr<WriteSplitReport> written = WriteSplit(*split, model, index, options, Diagnostics());
    if (!written.ok()) {
      EXPECT_REASON(written.status());
      continue;
    }
    const absl::StatusOr<Model> merged = MergeParts(folder / "parts" / "manifest.json", {}, Diagnostics());
    if (!merged.ok()) {
      EXPECT_REASON(merged.status());
      continue;
    }
    journey->merged = true;
    return;
  }
}

// Everything that a tool would do with it.
Journey Travel(const fs::path& file, const fs::path& folder) {
  Journey journey;
  absl::StatusOr<Model> model = Model::Load(file);
  if (!model.ok()) {
    EXPECT_REASON(model.status());
    CHECK((absl::IsDataLoss(model.status()) || absl::IsInvalidArgument(model.status()) ||
           absl::IsResourceExhausted(model.status())));
    return journey;
  }
  journey.loaded = true;
  const Index index(model->proto());
  for (const Fault& fault : Verify(*model, index)) {
    CHECK_FALSE(fault.message.empty());
  }
  const absl::StatusOr<ModelDiff> same = DiffModels(*model, *model, {});
  if (same.ok()) {
    CHECK(same->equal());
  } else {
    EXPECT_REASON(same.status());
  }
  const absl::Status writable = VerifyForWriting(*model, index);
  if (!writable.ok()) {
    EXPECT_REASON(writable);
    return journey;
  }
  journey.sound = true;
  fs::remove_all(folder / "parts");  // replacing a file makes some file systems write it out at once
  fs::remove(folder / "extracted.onnx");
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  if (!shapes.ok()) {
    EXPECT_REASON(shapes.status());
    return journey;
  }
  ExtractOptions extract;
  for (const onnx::ValueInfoProto& output : model->proto().graph().output()) {
    extract.outputs.push_back(output.name());
  }
  absl::StatusOr<Model> part = Extract(*model, index, *shapes, extract, Diagnostics());
  if (part.ok()) {
    const absl::StatusOr<SaveReport> saved = Save(*part, folder / "extracted.onnx", {});
    if (!saved.ok()) {
      EXPECT_REASON(saved.status());
    }
    journey.extracted = saved.ok();
  } else {
    EXPECT_REASON(part.status());
  }
  SplitAndMerge(*model, index, *shapes, folder, &journey);
  return journey;
}

TEST_CASE("a small model cut at every byte") {
  const testing::TemporaryFolder folder;
  const std::string model = testing::SoundModel();
  int loaded = 0;
  for (size_t size = 0; size <= model.size(); ++size) {
    INFO("cut to " << size << " of " << model.size() << " bytes");
    fs::remove(folder / "m.onnx");
    testing::WriteFile(folder / "m.onnx", std::string_view(model).substr(0, size));
    const Journey journey = Travel(folder / "m.onnx", folder.path());
    loaded += journey.loaded ? 1 : 0;
    if (size == model.size()) {
      CHECK(journey.sound);
      CHECK(journey.extracted);
      CHECK(journey.merged);
    }
  }
  CHECK(loaded >= 3);  // between two fields of the model itself
}

TEST_CASE("a real model cut at every 4 KiB") {
  const testing::TemporaryFolder folder;
  const std::string model = testing::ReadFile(testing::TinyModel().string());
  for (size_t size = 0; size < model.size(); size += 4096) {
    INFO("cut to " << size << " of " << model.size() << " bytes");
    fs::remove(folder / "m.onnx");
    testing::WriteFile(folder / "m.onnx", std::string_view(model).substr(0, size));
    CHECK_FALSE(Travel(folder / "m.onnx", folder.path()).sound);
  }
}

TEST_CASE("a small model broken in thousands of ways") {
  const testing::TemporaryFolder folder;
  const std::string seed = testing::SoundModel();
  std::mt19937_64 random(4711);
  int loaded = 0;
  int sound = 0;
  int merged = 0;
  for (int i = 0; i < 3000; ++i) {
    INFO("mutation " << i);
    fs::remove(folder / "m.onnx");
    testing::WriteFile(folder / "m.onnx", testing::Mutate(seed, random));
    const Journey journey = Travel(folder / "m.onnx", folder.path());
    loaded += journey.loaded ? 1 : 0;
    sound += journey.sound ? 1 : 0;
    merged += journey.merged ? 1 : 0;
  }
  CHECK(loaded > 500);
  CHECK(sound > 100);
  CHECK(merged > 100);
}

TEST_CASE("hostile models") {
  const testing::TemporaryFolder folder;
  testing::WriteHostileData(folder.path());
  for (const testing::HostileModel& model : testing::HostileModels()) {
    INFO(model.name);
    const auto start = std::chrono::steady_clock::now();
    fs::remove(folder / "m.onnx");
    testing::WriteFile(folder / "m.onnx", model.bytes);
    const Journey journey = Travel(folder / "m.onnx", folder.path());
    CHECK(journey.sound == model.sound);
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < Patience());
  }
}

TEST_CASE("hostile manifests") {
  const testing::TemporaryFolder folder;
  testing::WriteHostileData(folder.path());
  testing::WriteFile(folder / "a.onnx", testing::SoundModel());
  for (const testing::HostileManifest& manifest : testing::HostileManifests()) {
    INFO(manifest.name);
    const auto start = std::chrono::steady_clock::now();
    testing::WriteFile(folder / "manifest.json", manifest.text);
    const absl::StatusOr<Model> merged = MergeParts(folder / "manifest.json", {}, Diagnostics());
    CHECK_FALSE(merged.ok());
    EXPECT_REASON(merged.status());
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < Patience());
  }
}

}  // namespace
}  // namespace gomai
