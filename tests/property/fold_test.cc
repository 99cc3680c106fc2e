// fold-constants, remove-no-ops and dedupe-nodes, on every model at hand and on variants of it in which some or all
// inputs are constants, so that each operator is computed ahead: the outputs are those of the model itself, bit for
// bit, ONNX's checker takes the result if it took the model, and a second run changes nothing. And inference, whose
// sizes are folded without a runtime: what it says of types, values and bounds is what a run gives.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "lib/compare/tensors.h"
#include "lib/graph/verify.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/npy.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/shape/infer.h"
#include "tests/support/paths.h"
#include "tests/support/variants.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Backend> Runtime() {
  absl::StatusOr<std::unique_ptr<Backend>> backend =
      LoadOnnxRuntime({.library = {}, .log_severity = 4, .diagnostics = {}});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  return *std::move(backend);
}

SessionOptions Reference() {
  SessionOptions options;
  options.threads = 1;
  options.session_options = {{"session.disable_prepacking", "1"}};
  return options;
}

absl::StatusOr<NamedTensors> Compute(Backend& backend, const Model& model, const NamedTensors& feeds) {
  GOMAI_ASSIGN_OR_RETURN(const std::string bytes, SerializeInline(model));
  GOMAI_ASSIGN_OR_RETURN(const auto session, backend.OpenBytes(bytes, Reference()));
  return session->Run(feeds, {});
}

absl::Status CheckByOnnx(const Model& model, const testing::TemporaryFolder& folder) {
  const fs::path file = folder / "model.onnx";
  SaveOptions options;
  options.weights = Weights::kInline;
  const absl::StatusOr<SaveReport> saved = Save(model, file, options);
  return saved.ok() ? CheckModelFile(file) : saved.status();
}

absl::StatusOr<std::vector<PassReport>> RunPasses(const std::string& text, Model& model) {
  GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, ParsePipeline(text));
  PipelineOptions options;
  options.allow_shape_change = true;  // some test models declare shapes that are false
  options.verify_each = true;
  return RunPipeline(pipeline, model, options, Diagnostics());
}

// The outputs must be equal bit for bit; gives their number.
size_t CheckSame(const NamedTensors& expected, const absl::StatusOr<NamedTensors>& got) {
  INFO(got.status().ToString());
  REQUIRE(got.ok());
  REQUIRE(got->size() == expected.size());
  Tolerance bits;
  bits.bits = true;
  for (const auto& [name, tensor] : expected) {
    REQUIRE(got->contains(name));
    const TensorComparison comparison = CompareTensors(got->at(name), tensor, bits);
    INFO("output " << name << ": " << comparison.Why() << " " << comparison.problem);
    CHECK(comparison.equal);
  }
  return expected.size();
}

struct Tally {
  size_t variants = 0;
  size_t changed = 0;
  size_t compared = 0;
};

// Runs a pipeline on every variant, and holds its result against what the passes promise.
Tally CheckPipeline(const std::string& text) {
  const std::unique_ptr<Backend> backend = Runtime();
  const testing::TemporaryFolder folder;
  Tally tally;
  tally.variants = testing::ForEachVariant(*backend, [&](const testing::Variant& variant, const fs::path&) {
    Model result = variant.model.Copy();
    const auto reports = RunPasses(text, result);
    INFO(reports.status().ToString());
    REQUIRE(reports.ok());
    const auto changes = [](const std::vector<PassReport>& of) {
      std::vector<std::string> lines;
      for (const PassReport& report : of) {
        lines.insert(lines.end(), report.changes.lines.begin(), report.changes.lines.end());
      }
      return lines;
    };
    if (changes(*reports).empty()) {
      return;
    }
    ++tally.changed;
    const auto again = RunPasses(text, result);
    REQUIRE(again.ok());
    CHECK(changes(*again) == std::vector<std::string>());
    if (CheckByOnnx(variant.model, folder).ok()) {
      const absl::Status checked = CheckByOnnx(result, folder);
      INFO(checked.ToString());
      CHECK(checked.ok());
    }
    const auto expected = Compute(*backend, variant.model, variant.feeds);
    if (!expected.ok()) {
      return;  // a sequence among the outputs, say
    }
    tally.compared += CheckSame(*expected, Compute(*backend, result, variant.feeds));
  });
  return tally;
}

TEST_CASE("folding changes no bit of any output, and leaves nothing to fold") {
  const Tally tally = CheckPipeline("fold-constants");
  INFO(tally.variants << " variants, " << tally.changed << " changed, " << tally.compared << " outputs compared");
  CHECK(tally.variants > 1000);
  CHECK(tally.changed > 500);
  CHECK(tally.compared > 500);
}

TEST_CASE("removing nodes that do nothing or do it again changes no bit of any output") {
  const Tally tally = CheckPipeline("remove-no-ops,dedupe-nodes");
  INFO(tally.variants << " variants, " << tally.changed << " changed, " << tally.compared << " outputs compared");
  CHECK(tally.changed > 10);
  CHECK(tally.compared > 10);
}

TEST_CASE("a whole detector at a fixed size gives the same bits after all passes, with far fewer nodes") {
  const std::unique_ptr<Backend> backend = Runtime();
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{128, 192}, {96, 160}}) {
    absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
    REQUIRE(model.ok());
    onnx::ModelProto proto = model->proto();
    auto& shape = *proto.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    shape.mutable_dim(1)->set_dim_value(height);
    shape.mutable_dim(2)->set_dim_value(width);
    Model result = Model::FromProto(std::move(proto), model->folder());
    result.Adopt(*model);
    const auto reports =
        RunPasses("fold-constants,lift-constants,fold-identity,remove-no-ops,dedupe-nodes,prune", result);
    INFO(reports.status().ToString());
    REQUIRE(reports.ok());
    const int before = model->proto().graph().node_size();
    const int after = result.proto().graph().node_size();
    INFO(before << " nodes, then " << after);
    CHECK(after * 2 < before);
    for (const uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{3}}) {
      const std::vector<ValueSpec> inputs = {{.name = "image",
                                              .dtype = onnx::TensorProto::FLOAT,
                                              .type = "float32",
                                              .has_shape = true,
                                              .shape = {3, height, width},
                                              .symbols = {}}};
      const auto feeds = RandomInputs(inputs, seed, {}, {});
      REQUIRE(feeds.ok());
      const auto expected = Compute(*backend, *model, *feeds);
      REQUIRE(expected.ok());
      CHECK(CheckSame(*expected, Compute(*backend, result, *feeds)) == 4);
    }
  }
}

// The model with every tensor that a node of the main graph makes as an output.
Model WithAllOutputs(const Model& model, const Index& index, const Facts& facts) {
  onnx::ModelProto proto = model.proto();
  for (ValueId id = 0; id < static_cast<ValueId>(index.values().size()); ++id) {
    const Index::Value& value = index.value(id);
    const onnx::TypeProto& type = facts.types[static_cast<size_t>(id)];
    if (value.scope == index.main_scope() && value.producer != kNone && !value.is_graph_output &&
        type.has_tensor_type() && type.tensor_type().elem_type() != 0) {
      onnx::ValueInfoProto& output = *proto.mutable_graph()->add_output();
      output.set_name(std::string(value.name));
      output.mutable_type()->mutable_tensor_type()->set_elem_type(type.tensor_type().elem_type());
    }
  }
  Model wide = Model::FromProto(std::move(proto), model.folder());
  wide.Adopt(model);
  return wide;
}

// "" if a tensor is as inference says.
std::string Contradiction(const Facts& facts, ValueId id, const HostTensor& tensor, const Model& model) {
  const auto at = static_cast<size_t>(id);
  const onnx::TypeProto& type = facts.types[at];
  if (facts.proven[at] && type.has_tensor_type()) {
    if (type.tensor_type().elem_type() != 0 && type.tensor_type().elem_type() != tensor.dtype()) {
      return "another dtype";
    }
    const onnx::TensorShapeProto* shape = FindShape(type);
    if (shape != nullptr && static_cast<size_t>(shape->dim_size()) != tensor.shape().size()) {
      return "another rank";
    }
    for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
      const int64_t size = tensor.shape()[static_cast<size_t>(i)];
      if (shape->dim(i).has_dim_value() && shape->dim(i).dim_value() != size) {
        return "another dim";
      }
      if (static_cast<size_t>(i) < facts.limits[at].size() && size > facts.limits[at][static_cast<size_t>(i)]) {
        return fmt::format("dim {} beyond its limit", i);
      }
    }
  }
  if (facts.computed[at]) {
    const auto bytes = ReadTensor(*facts.computed[at], model);
    if (!bytes.ok() ||
        !std::equal(bytes->bytes().begin(), bytes->bytes().end(), tensor.bytes().begin(), tensor.bytes().end())) {
      return "other values";
    }
  }
  return "";
}

TEST_CASE("types, values and bounds are what a run gives") {
  const std::unique_ptr<Backend> backend = Runtime();
  size_t tensors = 0;
  size_t computed = 0;
  size_t bounded = 0;
  const size_t variants = testing::ForEachVariant(*backend, [&](const testing::Variant& variant, const fs::path&) {
    const Index index(variant.model.proto());
    const absl::StatusOr<Facts> facts = InferFacts(variant.model, index);
    REQUIRE(facts.ok());
    const auto got = Compute(*backend, WithAllOutputs(variant.model, index, *facts), variant.feeds);
    if (!got.ok()) {
      return;
    }
    for (const auto& [name, tensor] : *got) {
      const ValueId id = index.FindValue(index.main_scope(), name);
      REQUIRE(id != kNone);
      const std::string wrong = Contradiction(*facts, id, tensor, variant.model);
      if (!wrong.empty()) {
        FAIL_CHECK(name << " has " << wrong << ": inferred " << ShapeText(facts->types[static_cast<size_t>(id)])
                        << ", it is " << tensor.Describe());
      }
      ++tensors;
      computed += facts->computed[static_cast<size_t>(id)] ? 1 : 0;
      const auto& limits = facts->limits[static_cast<size_t>(id)];
      bounded += std::any_of(limits.begin(), limits.end(), [](int64_t limit) { return limit != INT64_MAX; }) ? 1 : 0;
    }
  });
  INFO(variants << " variants, " << tensors << " tensors, " << computed << " computed, " << bounded << " bounded");
  CHECK(tensors > 2000);
  CHECK(computed > 200);
  CHECK(bounded > 100);
}

}  // namespace
}  // namespace gomai
