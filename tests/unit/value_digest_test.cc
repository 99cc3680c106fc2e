// Equal values give equal digests wherever they are stored; what is stored is checked before it is read.
#include "lib/model/value_digest.h"

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

onnx::TensorProto Floats(const std::string& name, int count, float last) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.add_dims(count);
  for (int i = 0; i < count; ++i) {
    tensor.add_float_data(i + 1 == count ? last : static_cast<float>(i % 1000));
  }
  return tensor;
}

std::string RawBytes(const onnx::TensorProto& tensor) {
  return {reinterpret_cast<const char*>(tensor.float_data().data()),
          static_cast<size_t>(tensor.float_data_size()) * sizeof(float)};
}

// A model that reads all of its float vectors.
onnx::ModelProto Reader(const std::vector<onnx::TensorProto>& tensors) {
  onnx::ModelProto model = testing::ParseGraph("g () => (float y) { y = Sum() }");
  onnx::GraphProto& graph = *model.mutable_graph();
  onnx::NodeProto& node = *graph.mutable_node(0);
  for (const onnx::TensorProto& tensor : tensors) {
    *graph.add_initializer() = tensor;
    node.add_input(tensor.name());
  }
  graph.mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  return model;
}

TEST_CASE("raw, typed, left out of memory and external: the same values give the same digest") {
  const testing::TemporaryFolder folder;
  constexpr int kCount = 700000;  // 2.8 MB: several buffers
  const onnx::TensorProto typed = Floats("typed", kCount, 1);
  onnx::TensorProto raw = typed;
  SetRawData(raw, RawBytes(typed));
  raw.set_name("raw");
  onnx::TensorProto other = Floats("other", kCount, 2);
  onnx::TensorProto external = typed;
  external.set_name("external");
  SetExternal(external, "data.bin", 64, static_cast<uint64_t>(kCount) * 4);
  {
    std::ofstream file(folder / "data.bin", std::ios::binary);
    file << std::string(64, 'x') << RawBytes(typed);
  }
  const std::filesystem::path path = folder / "m.onnx";
  {
    std::ofstream file(path, std::ios::binary);
    REQUIRE(Reader({typed, raw, other, external}).SerializeToOstream(&file));
  }
  const absl::StatusOr<Model> model = Model::Load(path);
  REQUIRE(model.ok());
  const auto& tensors = model->proto().graph().initializer();
  REQUIRE(FindMarker(tensors[0]));
  REQUIRE(FindMarker(tensors[1]));
  ValueDigests digests(*model);
  const std::string whole = digests.Whole(tensors[0]).value();
  CHECK(digests.Whole(tensors[1]).value() == whole);
  CHECK(digests.Whole(tensors[2]).value() != whole);
  CHECK(digests.Whole(tensors[3]).value() == whole);
  CHECK(digests.Whole(typed).value() == whole);
  const std::string start = digests.Start(tensors[0]).value();
  CHECK(start != whole);
  CHECK(digests.Start(tensors[2]).value() == start);  // they differ in the last value only
  CHECK(digests.Start(tensors[3]).value() == start);
  CHECK(digests.Start(typed).value() == start);
}

TEST_CASE("values that aren't there, or aren't what dims say, are errors") {
  const testing::TemporaryFolder folder;
  { std::ofstream(folder / "short.bin", std::ios::binary) << "short"; }
  const Model model = Model::FromProto({}, folder.path());
  ValueDigests digests(model);
  onnx::TensorProto tensor = Floats("t", 4, 1);
  SetExternal(tensor, "absent.bin", 0, 16);
  CHECK(digests.Whole(tensor).status().code() == absl::StatusCode::kNotFound);
  SetExternal(tensor, "short.bin", 0, 16);
  CHECK(digests.Whole(tensor).status().code() == absl::StatusCode::kDataLoss);
  SetExternal(tensor, "short.bin", 0, 4);
  CHECK(digests.Whole(tensor).status().code() == absl::StatusCode::kDataLoss);
  SetExternal(tensor, "../short.bin", 0, 16);
  CHECK(digests.Whole(tensor).status().code() == absl::StatusCode::kInvalidArgument);
}

std::string Dedupe(Model& model, std::vector<Diagnostic>* diagnostics) {
  const auto reports = RunPipeline(*ParsePipeline("dedupe-initializers"), model, {}, Diagnostics::Collect(diagnostics));
  INFO(reports.status().ToString());
  REQUIRE(reports.ok());
  std::string names;
  for (const onnx::TensorProto& tensor : model.proto().graph().initializer()) {
    names += fmt::format("{} ", tensor.name());
  }
  for (const std::string& input : model.proto().graph().node(0).input()) {
    names += fmt::format(":{}", input);
  }
  return names;
}

TEST_CASE("dedupe-initializers: large weights are compared to the last byte, and those left out of memory stay there") {
  const testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / "m.onnx";
  onnx::TensorProto raw = Floats("raw", 5000, 1);
  SetRawData(raw, RawBytes(Floats("", 5000, 1)));
  {
    std::ofstream file(path, std::ios::binary);
    REQUIRE(Reader({Floats("a", 5000, 1), Floats("b", 5000, 2), raw}).SerializeToOstream(&file));
  }
  absl::StatusOr<Model> model = Model::Load(path);
  REQUIRE(model.ok());
  std::vector<Diagnostic> diagnostics;
  CHECK(Dedupe(*model, &diagnostics) == "a b :a:b:a");
  CHECK(FindMarker(model->proto().graph().initializer(0)));
  CHECK(diagnostics.empty());
}

TEST_CASE("dedupe-initializers: with the data file absent only the same bytes of it are equal, and that is said") {
  const testing::TemporaryFolder folder;
  std::vector<onnx::TensorProto> tensors = {Floats("a", 4, 1), Floats("b", 4, 1), Floats("c", 4, 1)};
  SetExternal(tensors[0], "absent.bin", 0, 16);
  SetExternal(tensors[1], "absent.bin", 64, 16);
  SetExternal(tensors[2], "absent.bin", 0, 16);
  Model model = Model::FromProto(Reader(tensors), folder.path());
  std::vector<Diagnostic> diagnostics;
  CHECK(Dedupe(model, &diagnostics) == "a b :a:b:a");
  REQUIRE(diagnostics.size() == 1);
  CHECK(diagnostics[0].severity == Severity::kWarning);
  CHECK(diagnostics[0].message.find("'absent.bin'") != std::string::npos);
}

}  // namespace
}  // namespace gomai
