// Freezing every model at hand whose inputs have open dims, to made-up sizes: the frozen model computes what the model
// did at that size, bit for bit; ONNX's checker takes it if it took the model; a second run changes nothing; and so for
// the batch, where fix-batch finds one.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>

#include "lib/compare/tensors.h"
#include "lib/graph/verify.h"
#include "lib/model/save.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/shape/infer.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

std::string Bytes(const Model& model) {
  std::string bytes;
  REQUIRE(SerializeDeterministic(model.proto(), &bytes));
  return bytes;
}

Model Copy(const Model& model) {
  Model copy = Model::FromProto(model.proto(), model.folder());
  copy.Adopt(model);
  return copy;
}

absl::StatusOr<std::vector<PassReport>> Run(Model& model, std::string_view text) {
  const absl::StatusOr<Pipeline> pipeline = ParsePipeline(text);
  INFO(text);
  REQUIRE(pipeline.ok());
  PipelineOptions options;
  options.allow_shape_change = true;  // some test models declare shapes that are false
  options.verify_each = true;
  return RunPipeline(*pipeline, model, options, Diagnostics());
}

// Sizes that fit the constants of most of ONNX's test models are small; equal symbols get equal sizes.
int64_t SizeOf(const std::string& symbol, size_t i, int64_t scale) {
  return symbol.empty() ? 2 + static_cast<int64_t>(i) % 3
                        : (2 + static_cast<int64_t>(std::hash<std::string>()(symbol) % 3)) * scale;
}

// "freeze-shapes{...}" for all tensor inputs with open dims, by input and in brackets; "" if there are none.
std::string FreezeAll(const Model& model, int64_t scale) {
  std::string keys;
  const onnx::GraphProto& graph = model.proto().graph();
  for (const onnx::ValueInfoProto& input : graph.input()) {
    const onnx::TensorShapeProto* shape = FindShape(input.type());
    const bool has_default = std::any_of(graph.initializer().begin(), graph.initializer().end(),
                                         [&](const auto& tensor) { return tensor.name() == input.name(); });
    if (shape == nullptr || has_default || input.name().find_first_of("{}\"\\=") != std::string::npos) {
      continue;
    }
    std::string text;
    bool open = false;
    for (int i = 0; i < shape->dim_size(); ++i) {
      const auto& dim = shape->dim(i);
      const bool fixed = dim.has_dim_value() && dim.dim_value() > 0;
      open = open || !fixed;
      text += fmt::format("{}{}", i == 0 ? "" : ",",
                          fixed ? dim.dim_value() : SizeOf(dim.dim_param(), static_cast<size_t>(i), scale));
    }
    if (open) {
      keys += fmt::format("{}\"{}\"=[{}]", keys.empty() ? "" : ",", input.name(), text);
    }
  }
  return keys.empty() ? "" : "freeze-shapes{" + keys + "}";
}

bool Checks(const Model& model, const testing::TemporaryFolder& folder, std::string* message) {
  SaveOptions inline_all;
  inline_all.weights = Weights::kInline;
  if (!Save(Copy(model), folder / "m.onnx", inline_all).ok()) {
    return false;
  }
  const absl::Status status = CheckModelFile(folder / "m.onnx");
  *message = std::string(Message(status));
  return status.ok();
}

std::unique_ptr<Session> Open(Backend& backend, const Model& model) {
  const absl::StatusOr<std::string> bytes = SerializeInline(model);
  if (!bytes.ok()) {
    return nullptr;
  }
  auto session = backend.OpenBytes(*bytes, SessionOptions());
  return session.ok() ? *std::move(session) : nullptr;
}

// 1 if both run and all outputs are equal, 0 if the original doesn't run at the size.
int SameNumbers(Backend& backend, const Model& before, const Model& after) {
  const std::unique_ptr<Session> original = Open(backend, before);
  const std::unique_ptr<Session> frozen = Open(backend, after);
  if (original == nullptr) {
    return 0;
  }
  REQUIRE(frozen != nullptr);
  const auto feeds = RandomInputs(frozen->inputs(), 7, {}, {});
  if (!feeds.ok()) {
    return 0;
  }
  const auto expected = original->Run(*feeds, {});
  if (!expected.ok()) {
    return 0;
  }
  const auto got = frozen->Run(*feeds, {});
  INFO(got.status());
  REQUIRE(got.ok());
  for (const auto& [name, tensor] : *expected) {
    INFO("output " << name);
    REQUIRE(got->contains(name));
    REQUIRE(CompareTensors(got->at(name), tensor, {.bits = true}).equal);
  }
  return 1;
}

// Random operators and hostile sizes aside: what ONNX's tests hold.
bool IsRandom(const Model& model) {
  const Index index(model.proto());
  return std::any_of(index.nodes().begin(), index.nodes().end(),
                     [](const Index::Node& node) { return IsRandomOp(*node.proto); });
}

struct Counts {
  size_t applied = 0;
  size_t refused = 0;
  size_t compared = 0;
};

// The laws for one model and one pipeline.
void Check(const Model& original, const std::string& pipeline, Backend* backend, const testing::TemporaryFolder& folder,
           Counts& counts) {
  Model model = Copy(original);
  const auto reports = Run(model, pipeline);
  if (!reports.ok()) {
    INFO(reports.status());
    REQUIRE(reports.status().code() == absl::StatusCode::kFailedPrecondition);
    ++counts.refused;
    return;
  }
  const bool changed = Bytes(model) != Bytes(original);
  REQUIRE(changed == !reports->at(0).changes.empty());
  if (!changed) {
    return;
  }
  ++counts.applied;
  Model again = Copy(model);
  const auto second = Run(again, pipeline);
  INFO(second.status());
  REQUIRE(second.ok());
  REQUIRE(Bytes(again) == Bytes(model));
  std::string message;
  if (Checks(original, folder, &message)) {
    const bool checks = Checks(model, folder, &message);
    INFO(message);
    REQUIRE(checks);
  }
  if (backend != nullptr && !IsRandom(original)) {
    counts.compared += static_cast<size_t>(SameNumbers(*backend, original, model));
  }
}

template <typename PipelineFor>
Counts CheckAll(const PipelineFor& pipeline_for) {
  const testing::TemporaryFolder folder;
  const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  Counts counts;
  for (const std::filesystem::path& path : testing::AllModels()) {
    const absl::StatusOr<Model> model = Model::Load(path);
    if (!model.ok() || !VerifyForWriting(*model, Index(model->proto())).ok()) {
      continue;
    }
    const std::string pipeline = pipeline_for(*model);
    if (!pipeline.empty()) {
      INFO("model " << path.string() << ", " << pipeline);
      Check(*model, pipeline, backend.ok() ? backend->get() : nullptr, folder, counts);
    }
  }
  if (!backend.ok()) {
    SKIP("no numbers are compared without a runtime: " << Message(backend.status()));
  }
  return counts;
}

TEST_CASE("a frozen model computes what the model does at that size, on every model with open inputs") {
  for (const int64_t scale : {1, 64}) {
    const Counts counts = CheckAll([&](const Model& model) { return FreezeAll(model, scale); });
    CAPTURE(scale, counts.applied, counts.refused, counts.compared);
    CHECK(counts.applied > 10);
    CHECK(counts.compared > 5);
    WARN(counts.applied << " frozen, " << counts.refused << " refused, " << counts.compared << " compared");
  }
}

TEST_CASE("fix-batch leaves what has no batch and fixes the rest, on every model") {
  const Counts counts = CheckAll([](const Model&) { return "fix-batch{size=2}"; });
  CAPTURE(counts.applied, counts.refused, counts.compared);
  WARN(counts.applied << " fixed, " << counts.refused << " refused, " << counts.compared << " compared");
  CHECK(counts.applied > 10);
}

TEST_CASE("refresh-shapes changes declarations only, on every model") {
  const Counts counts = CheckAll([](const Model&) { return "refresh-shapes{add=true}"; });
  CAPTURE(counts.applied, counts.refused, counts.compared);
  WARN(counts.applied << " refreshed, " << counts.refused << " refused, " << counts.compared << " compared");
  CHECK(counts.applied > 100);
}

}  // namespace
}  // namespace gomai
