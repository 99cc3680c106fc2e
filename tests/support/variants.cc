// A model is given as it is, with all inputs but the first as constants, and with all of them.
#include "tests/support/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <optional>

#include "lib/graph/verify.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/runtime/npy.h"
#include "tests/support/paths.h"

namespace gomai::testing {
namespace {

namespace fs = std::filesystem;

bool DrawsNumbers(const Model& model) {
  const Index index(model.proto());
  return std::any_of(index.nodes().begin(), index.nodes().end(),
                     [](const Index::Node& node) { return IsRandomOp(*node.proto); });
}

// Inputs as the test data beside the model has them, else made up; nullopt: neither can be had.
std::optional<NamedTensors> FeedsFor(const fs::path& file, const std::vector<ValueSpec>& inputs) {
  NamedTensors feeds;
  const fs::path data = file.parent_path() / "test_data_set_0";
  if (fs::exists(data)) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto tensor = ReadTensorFile(data / fmt::format("input_{}.pb", i));
      if (inputs[i].dtype == 0 || !tensor.ok() || tensor->dtype() != inputs[i].dtype) {
        return std::nullopt;
      }
      feeds[inputs[i].name] = *tensor;
    }
    return feeds;
  }
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const ValueSpec& input : inputs) {
    if (input.dtype == 0 || !input.has_shape) {
      return std::nullopt;
    }
    std::vector<int64_t> shape = input.shape;
    for (size_t i = 0; i < shape.size(); ++i) {
      shape[i] = shape[i] >= 0 ? shape[i] : 64 + 32 * static_cast<int64_t>(i);
    }
    if (shape != input.shape) {
      shapes[input.name] = shape;
    }
  }
  auto random = RandomInputs(inputs, 7, shapes, {});
  return random.ok() ? std::optional(*std::move(random)) : std::nullopt;
}

// The model with the inputs from `first` on as initializers, and what is left to feed.
Model WithConstants(const Model& model, const NamedTensors& feeds, int first, NamedTensors* left) {
  onnx::ModelProto proto = model.proto();
  proto.set_ir_version(std::max<int64_t>(proto.ir_version(), 4));
  auto& inputs = *proto.mutable_graph()->mutable_input();
  *left = feeds;
  for (int i = inputs.size() - 1; i >= first; --i) {
    if (const auto feed = feeds.find(inputs[i].name()); feed != feeds.end()) {
      onnx::TensorProto& initializer = *proto.mutable_graph()->add_initializer();
      initializer = ToTensorProto(feed->second);
      initializer.set_name(feed->first);
      left->erase(feed->first);
      inputs.DeleteSubrange(i, 1);
    }
  }
  Model variant = Model::FromProto(std::move(proto), model.folder());
  variant.Adopt(model);
  return variant;
}

}  // namespace

size_t ForEachVariant(Backend& backend, const std::function<void(const Variant&, const fs::path&)>& check) {
  SessionOptions options;
  options.threads = 1;
  size_t count = 0;
  for (const fs::path& file : AllModels()) {
    const absl::StatusOr<Model> model = Model::Load(file);
    if (!model.ok() || !VerifyForWriting(*model, Index(model->proto())).ok() || DrawsNumbers(*model)) {
      continue;
    }
    const absl::StatusOr<std::string> bytes = SerializeInline(*model);
    const auto session = bytes.ok() ? backend.OpenBytes(*bytes, options) : bytes.status();
    if (!session.ok()) {
      continue;
    }
    const std::optional<NamedTensors> feeds = FeedsFor(file, (*session)->inputs());
    if (!feeds) {
      continue;
    }
    const int inputs = model->proto().graph().input_size();
    for (int first = inputs; first >= 0; first = first > 1 ? 1 : first - 1) {
      NamedTensors left;
      const Model variant = WithConstants(*model, *feeds, first, &left);
      INFO(file.string() << ", with constants for the inputs from " << first << " on");
      check(Variant{variant, left}, file);
      ++count;
    }
  }
  return count;
}

}  // namespace gomai::testing
