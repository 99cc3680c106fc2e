// Freezing every model at hand: those with open inputs to made-up sizes, the others opened first and frozen at the size
// that they had. The frozen model computes what the model did at that size, bit for bit; ONNX's checker takes it if it
// took the model; a second run changes nothing. A model whose batch was fixed at another size computes of items given
// twice what it computed of them, twice.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>

#include "lib/compare/tensors.h"
#include "lib/graph/verify.h"
#include "lib/model/dtype.h"
#include "lib/model/save.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/shape/infer.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::Bytes;

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
  int64_t sum = 0;
  for (const char c : symbol) {
    sum += c;
  }
  return symbol.empty() ? 2 + static_cast<int64_t>(i) % 3 : (2 + sum % 3) * scale;
}

// The model with a symbol for each dim of its inputs and nothing declared of what follows from them; and the pipeline
// that freezes it at the sizes that it had.
std::pair<Model, std::string> Opened(const Model& original) {
  Model model = original.Copy();
  onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
  std::string keys;
  for (onnx::ValueInfoProto& input : *graph.mutable_input()) {
    const onnx::TensorShapeProto* had = FindShape(input.type());
    const bool has_default = std::any_of(graph.initializer().begin(), graph.initializer().end(),
                                         [&](const auto& tensor) { return tensor.name() == input.name(); });
    if (had == nullptr || !input.type().has_tensor_type() || has_default || had->dim_size() == 0 ||
        input.name().find_first_of("{}\"\\=") != std::string::npos ||
        std::any_of(had->dim().begin(), had->dim().end(), [](const auto& dim) { return dim.dim_value() < 1; })) {
      continue;
    }
    onnx::TensorShapeProto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
    std::vector<int64_t> sizes;
    for (int i = 0; i < shape.dim_size(); ++i) {
      sizes.push_back(shape.dim(i).dim_value());
      shape.mutable_dim(i)->set_dim_param(fmt::format("{}_{}", input.name(), i));
    }
    keys += fmt::format("{}\"{}\"=[{}]", keys.empty() ? "" : ",", input.name(), fmt::join(sizes, ","));
  }
  graph.clear_value_info();
  for (onnx::ValueInfoProto& output : *graph.mutable_output()) {
    if (output.type().has_tensor_type() && output.type().tensor_type().has_shape()) {
      for (auto& dim : *output.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
        dim.clear_value();
      }
    }
  }
  return {std::move(model), keys.empty() ? "" : "freeze-shapes{" + keys + "}"};
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
  if (!Save(model.Copy(), folder / "m.onnx", inline_all).ok()) {
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

// The same items again, behind themselves.
HostTensor Twice(const HostTensor& tensor) {
  std::vector<int64_t> shape = tensor.shape();
  shape[0] *= 2;
  auto made = HostTensor::Create(tensor.dtype(), shape);
  REQUIRE(made.ok());
  const std::span<uint8_t> to = made->mutable_bytes();
  REQUIRE(to.size() == 2 * tensor.bytes().size());
  std::copy(tensor.bytes().begin(), tensor.bytes().end(), to.begin());
  std::copy(tensor.bytes().begin(), tensor.bytes().end(),
            to.begin() + static_cast<std::ptrdiff_t>(tensor.bytes().size()));
  return *std::move(made);
}

// Do outputs hold positions within the whole batch?
bool CountsItems(const Model& model) {
  const auto& nodes = model.proto().graph().node();
  return std::any_of(nodes.begin(), nodes.end(), [](const onnx::NodeProto& node) {
    return (node.op_type() == "MaxPool" && node.output_size() > 1) || node.op_type() == "NonMaxSuppression" ||
           node.op_type() == "NonZero" || node.op_type() == "MaxUnpool";
  });
}

// `after` has twice the batch of `before`. 1 if both run and agree, 0 if the original doesn't run, or holds other
// types.
int SameItems(Backend& backend, const Model& before, const Model& after) {
  if (CountsItems(before)) {
    return 0;
  }
  const std::unique_ptr<Session> original = Open(backend, before);
  const std::unique_ptr<Session> fixed = Open(backend, after);
  if (original == nullptr) {
    return 0;
  }
  REQUIRE(fixed != nullptr);
  const auto feeds = RandomInputs(original->inputs(), 7, {}, {});
  const auto expected = feeds.ok() ? original->Run(*feeds, {}) : feeds.status();
  if (!expected.ok()) {
    return 0;
  }
  NamedTensors doubled = *feeds;
  for (const ValueSpec& input : fixed->inputs()) {
    HostTensor& tensor = doubled.at(input.name);
    if (tensor.shape() != input.shape) {
      if (BitsPerElement(tensor.dtype()) < 8 || input.shape[0] != 2 * tensor.shape()[0]) {
        return 0;
      }
      tensor = Twice(tensor);
    }
  }
  const auto got = fixed->Run(doubled, {});
  INFO(got.status());
  REQUIRE(got.ok());
  for (const auto& [name, tensor] : *expected) {
    INFO("output " << name);
    const bool follows = got->at(name).shape() != tensor.shape();
    REQUIRE(CompareTensors(got->at(name), follows ? Twice(tensor) : tensor, {.rtol = 1e-5, .atol = 1e-6}).equal);
  }
  return 1;
}

bool IsRandom(const Model& model) {
  const Index index(model.proto());
  return std::any_of(index.nodes().begin(), index.nodes().end(),
                     [](const Index::Node& node) { return IsRandomOp(*node.proto); });
}

using Compare = int (*)(Backend&, const Model&, const Model&);

struct Counts {
  size_t applied = 0;
  size_t refused = 0;
  size_t compared = 0;
};

// The laws for one model and one pipeline.
void Check(const Model& original, const std::string& pipeline, Backend* backend, const testing::TemporaryFolder& folder,
           Compare compare, Counts& counts) {
  Model model = original.Copy();
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
  Model again = model.Copy();
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
    counts.compared += static_cast<size_t>(compare(*backend, original, model));
  }
}

// `prepare` gives a model and the pipeline for it.
template <typename Prepare>
Counts CheckAll(const Prepare& prepare, Compare compare) {
  const testing::TemporaryFolder folder;
  const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  Counts counts;
  for (const std::filesystem::path& path : testing::AllModels()) {
    const absl::StatusOr<Model> model = Model::Load(path);
    if (!model.ok() || !VerifyForWriting(*model, Index(model->proto())).ok()) {
      continue;
    }
    const std::pair<Model, std::string> prepared = prepare(*model);
    const auto& [candidate, pipeline] = prepared;
    if (!pipeline.empty()) {
      INFO("model " << path.string() << ", " << pipeline);
      Check(candidate, pipeline, backend.ok() ? backend->get() : nullptr, folder, compare, counts);
    }
  }
  if (!backend.ok()) {
    SKIP("no numbers are compared without a runtime: " << Message(backend.status()));
  }
  return counts;
}

TEST_CASE("a frozen model computes what the model does at that size, on every model with open inputs") {
  for (const int64_t scale : {1, 64}) {
    const Counts counts =
        CheckAll([&](const Model& model) { return std::pair(model.Copy(), FreezeAll(model, scale)); }, SameNumbers);
    INFO(counts.applied << " frozen, " << counts.refused << " refused, " << counts.compared << " compared");
    CHECK(counts.applied > 10);
    CHECK(counts.compared > 0);
  }
}

TEST_CASE("a model whose inputs were opened and frozen again computes the same, on every model") {
  const Counts counts = CheckAll(Opened, SameNumbers);
  INFO(counts.applied << " frozen, " << counts.refused << " refused, " << counts.compared << " compared");
  CHECK(counts.applied > 100);
  CHECK(counts.refused == 0);
  CHECK(counts.compared > 100);
}

TEST_CASE("fix-batch leaves what has no batch, and items are computed as before, on every model") {
  const Counts counts =
      CheckAll([](const Model& model) { return std::pair(model.Copy(), std::string("fix-batch{size=2}")); }, SameItems);
  INFO(counts.applied << " fixed, " << counts.refused << " refused, " << counts.compared << " compared");
  CHECK(counts.applied > 10);
  CHECK(counts.compared > 10);
}

// The model with one symbol as the leading dim of its inputs, where that is one size; and the pipeline that fixes it.
std::pair<Model, std::string> OpenBatch(const Model& original) {
  Model model = original.Copy();
  int64_t size = 0;
  for (onnx::ValueInfoProto& input : *model.mutable_proto().mutable_graph()->mutable_input()) {
    const auto& initializers = original.proto().graph().initializer();
    const onnx::TensorShapeProto* shape = FindShape(input.type());
    if (shape == nullptr || !input.type().has_tensor_type() || shape->dim_size() < 2 ||
        std::any_of(initializers.begin(), initializers.end(),
                    [&](const auto& tensor) { return tensor.name() == input.name(); })) {
      continue;
    }
    const int64_t dim = shape->dim(0).dim_value();
    if (dim < 1 || (size != 0 && size != dim)) {
      return {std::move(model), ""};
    }
    size = dim;
    input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_param("a_batch");
  }
  return {std::move(model), size == 0 ? "" : fmt::format("fix-batch{{size={}}}", size)};
}

TEST_CASE("fix-batch finds a batch that was opened, on every model") {
  const Counts counts = CheckAll(OpenBatch, SameNumbers);
  INFO(counts.applied << " fixed, " << counts.refused << " refused, " << counts.compared << " compared");
  CHECK(counts.applied > 100);
  CHECK(counts.compared > 100);
}

TEST_CASE("refresh-shapes changes declarations only, on every model") {
  const Counts counts = CheckAll(
      [](const Model& model) { return std::pair(model.Copy(), std::string("refresh-shapes{add=true}")); }, SameNumbers);
  INFO(counts.applied << " refreshed, " << counts.compared << " compared");
  CHECK(counts.applied > 100);
  CHECK(counts.compared > 50);
}

}  // namespace
}  // namespace gomai
