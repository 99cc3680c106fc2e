// Random plans over a real model: every part passes ONNX's full checker, every needed node is in exactly one part
// (constant ones apart), and the chain computes the whole's outputs bit for bit.
#include "lib/split/split.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <set>

#include "lib/compare/tensors.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/split/chain.h"
#include "lib/split/merge.h"
#include "lib/split/presets.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

// The main graph's nodes that the model's outputs need, found without the splitter's help.
std::set<NodeId> NeededNodes(const Model& model, const Index& index) {
  std::set<NodeId> needed;
  std::vector<std::string_view> wanted;
  for (const onnx::ValueInfoProto& output : model.proto().graph().output()) {
    wanted.push_back(output.name());
  }
  while (!wanted.empty()) {
    const ValueId value = index.FindValue(index.main_scope(), wanted.back());
    wanted.pop_back();
    if (value == kNone || index.value(value).producer == kNone || !needed.insert(index.value(value).producer).second) {
      continue;
    }
    const Index::Node& node = index.node(index.value(value).producer);
    for (const std::string& input : node.proto->input()) {
      wanted.push_back(input);
    }
    for (const ValueId capture : node.captures) {
      wanted.push_back(index.value(capture).name);
    }
  }
  return needed;
}

Plan RandomPlan(const Index& index, const Shapes& shapes, const std::set<NodeId>& needed, std::mt19937& random) {
  std::vector<ValueId> candidates;
  for (const NodeId node : needed) {
    for (const ValueId output : index.node(node).outputs) {
      if (output == kNone || index.IsConstant(output)) {
        continue;
      }
      const onnx::TypeProto* type = shapes.Find(index.value(output).name);
      if (type != nullptr && type->has_tensor_type() && type->tensor_type().has_shape()) {
        candidates.push_back(output);
      }
    }
  }
  std::sort(candidates.begin(), candidates.end());
  Plan plan;
  const int parts = static_cast<int>(random() % 5) + 1;
  std::set<ValueId> asked;
  for (int k = 0; k < parts; ++k) {
    PlanPart part;
    part.name = fmt::format("part_{}", k);
    part.device = random() % 2 == 0 ? "cpu" : "npu";
    const size_t low = candidates.size() * static_cast<size_t>(k) / static_cast<size_t>(parts);
    const size_t high = candidates.size() * static_cast<size_t>(k + 1) / static_cast<size_t>(parts);
    const size_t outputs = random() % 4 + 1;
    for (size_t i = 0; i < outputs; ++i) {
      const ValueId value = candidates[low + random() % (high - low)];
      if (asked.insert(value).second) {
        part.outputs.emplace_back(index.value(value).name);
      }
    }
    if (!part.outputs.empty()) {
      plan.parts.push_back(std::move(part));
    }
  }
  return plan;
}

void CheckCover(const Split& split, const Index& index, const std::set<NodeId>& needed) {
  std::map<NodeId, int> times;
  for (const SplitPart& part : split.parts) {
    for (const NodeId node : part.nodes) {
      CHECK_FALSE(index.IsConstantNode(node));
      ++times[node];
    }
    for (const NodeId node : part.constants) {
      CHECK(index.IsConstantNode(node));
    }
  }
  for (const NodeId node : needed) {
    if (!index.IsConstantNode(node)) {
      CAPTURE(index.Address(node));
      CHECK(times[node] == 1);
    }
  }
}

// Byte for byte, whatever the parts' names and wherever their weights lie.
void CheckMergedIsWhole(const std::filesystem::path& folder) {
  const absl::StatusOr<Model> merged = MergeParts(folder / "manifest.json", {}, Diagnostics());
  CAPTURE(merged.status().ToString());
  REQUIRE(merged.ok());
  SaveOptions options;
  options.weights = Weights::kInline;
  REQUIRE(Save(*merged, folder / "merged.onnx", options).ok());
  CHECK(testing::ReadFile(folder / "merged.onnx") == testing::ReadFile(testing::TinyModel()));
}

HostTensor Image(const std::vector<int64_t>& shape, uint64_t seed) {
  ValueSpec spec;
  spec.name = "image";
  spec.dtype = onnx::TensorProto::FLOAT;
  spec.has_shape = true;
  spec.shape = shape;
  return *RandomTensor(spec, seed, shape);
}

TEST_CASE("random plans cover every node once and their parts pass the checker and compute the whole") {
  const absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  const Index index(model->proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  REQUIRE(shapes.ok());
  const std::set<NodeId> needed = NeededNodes(*model, index);
  absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  SessionOptions session_options;
  session_options.threads = 1;
  absl::StatusOr<std::unique_ptr<Session>> whole = (*backend)->Open(testing::TinyModel(), session_options);
  REQUIRE(whole.ok());
  const NamedTensors feeds = {{"image", Image({3, 96, 160}, 5)}};
  absl::StatusOr<NamedTensors> expected = (*whole)->Run(feeds, {});
  REQUIRE(expected.ok());

  Tolerance bit_for_bit;
  bit_for_bit.bits = true;
  int resolved = 0;
  int run = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const Plan plan = RandomPlan(index, *shapes, needed, random);
    const absl::StatusOr<Split> split = ResolvePlan(plan, *model, index, *shapes, {}, Diagnostics());
    if (!split.ok()) {
      // Random plans may ask for what an earlier part has, or cut at a value of unknown type; nothing else may go
      // wrong.
      const std::string message(Message(split.status()));
      CAPTURE(message);
      CHECK(split.status().code() == absl::StatusCode::kInvalidArgument);
      CHECK((message.find("already produces") != std::string::npos || message.find("is unknown") != std::string::npos));
      continue;
    }
    ++resolved;
    CheckCover(*split, index, needed);
    // A value of unknown rank may cross; the checker would refuse it, and the split has warned of it.
    const bool ranked = std::all_of(split->types.begin(), split->types.end(), [](const auto& entry) {
      return !entry.second.has_tensor_type() || entry.second.tensor_type().has_shape();
    });
    const testing::TemporaryFolder folder;
    WriteSplitOptions options;
    options.folder = folder.path();
    options.use_aliases = seed % 3 == 0;
    options.save.weights = std::array{Weights::kKeep, Weights::kExternal, Weights::kShared}[seed % 3];
    const absl::StatusOr<WriteSplitReport> report = WriteSplit(*split, *model, index, options, Diagnostics());
    CAPTURE(report.status().ToString());
    REQUIRE(report.ok());
    CheckMergedIsWhole(folder.path());
    if (run >= 12) {
      continue;
    }
    if (ranked) {
      for (const ManifestPart& part : report->manifest.parts) {
        const absl::Status status = CheckModelFile(folder / part.file);
        CAPTURE(status.ToString());
        CHECK(status.ok());
      }
    }
    ChainOptions chain_options;
    chain_options.session = session_options;
    absl::StatusOr<std::unique_ptr<Chain>> chain = Chain::Open(folder / "manifest.json", **backend, chain_options);
    CAPTURE(chain.status().ToString());
    REQUIRE(chain.ok());
    absl::StatusOr<NamedTensors> outputs = (*chain)->Run(feeds, nullptr);
    CAPTURE(outputs.status().ToString());
    REQUIRE(outputs.ok());
    REQUIRE(outputs->size() == expected->size());
    for (const auto& [name, tensor] : *expected) {
      CAPTURE(name);
      CHECK(CompareTensors(outputs->at(name), tensor, bit_for_bit).equal);
    }
    ++run;
  }
  CHECK(resolved >= 20);
  CHECK(run == 12);
}

TEST_CASE("every part of every preset split passes the full checker, under all weights policies and both namings") {
  const absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  const Index index(model->proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  REQUIRE(shapes.ok());
  int checked = 0;
  // A model with masks has all the scopes of one without.
  for (const char* preset : {"torchvision-maskrcnn", "torchvision-fasterrcnn"}) {
    const absl::StatusOr<Plan> plan = PlanFromPreset(preset, index, nullptr);
    REQUIRE(plan.ok());
    const absl::StatusOr<Split> split = ResolvePlan(*plan, *model, index, *shapes, {}, Diagnostics());
    CAPTURE(split.status().ToString());
    REQUIRE(split.ok());
    for (const Weights weights : {Weights::kKeep, Weights::kInline, Weights::kExternal, Weights::kShared}) {
      for (const bool aliases : {false, true}) {
        const testing::TemporaryFolder folder;
        WriteSplitOptions options;
        options.folder = folder.path();
        options.use_aliases = aliases;
        options.save.weights = weights;
        const absl::StatusOr<WriteSplitReport> report = WriteSplit(*split, *model, index, options, Diagnostics());
        REQUIRE(report.ok());
        for (const ManifestPart& part : report->manifest.parts) {
          const absl::Status status = CheckModelFile(folder / part.file);
          CAPTURE(preset, part.name, status.ToString());
          CHECK(status.ok());
          ++checked;
        }
      }
    }
  }
  CHECK(checked == 8 * 7 + 8 * 5);
}

}  // namespace
}  // namespace gomai
