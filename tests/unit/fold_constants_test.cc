// fold-constants where a golden text can't say it: weights in files, large ones, and limits over several rounds.
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/onnxruntime.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

struct Folded {
  absl::Status status;
  std::vector<Diagnostic> diagnostics;
};

Folded Fold(Model& model, const std::string& pipeline = "fold-constants") {
  if (const auto backend = LoadOnnxRuntime({}); !backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  Folded folded;
  folded.status = RunPipeline(*ParsePipeline(pipeline), model, {}, Diagnostics::Collect(&folded.diagnostics)).status();
  return folded;
}

const onnx::TensorProto* FindInitializer(const Model& model, std::string_view name) {
  for (const onnx::TensorProto& tensor : model.proto().graph().initializer()) {
    if (tensor.name() == name) {
      return &tensor;
    }
  }
  return nullptr;
}

// y = x * (w + w), and the shape of w besides, with w of 2000 floats in a file.
onnx::ModelProto WithExternalWeight() {
  onnx::ModelProto proto = testing::ParseGraph(R"(g (float[2000] x) => (float[2000] y, float[2000] z) {
    a = Add (w, w)
    y = Mul (x, a)
    s = Shape (w)
    z = Reshape (x, s)
  })");
  onnx::TensorProto& weight = *proto.mutable_graph()->add_initializer();
  weight.set_name("w");
  weight.set_data_type(onnx::TensorProto::FLOAT);
  weight.add_dims(2000);
  SetExternal(weight, "w.bin", 0, 8000);
  return proto;
}

TEST_CASE("weights in a file that isn't there are missed only by what needs them") {
  const testing::TemporaryFolder folder;
  Model model = Model::FromProto(WithExternalWeight(), folder.path());
  const Folded folded = Fold(model);
  INFO(folded.status.ToString());
  REQUIRE(folded.status.ok());
  CHECK(FindInitializer(model, "s") != nullptr);
  CHECK(FindInitializer(model, "a") == nullptr);
  CHECK(FindInitializer(model, "w") != nullptr);
  REQUIRE(folded.diagnostics.size() == 1);
  CHECK(folded.diagnostics[0].message.find("w.bin") != std::string::npos);
  CHECK(folded.diagnostics[0].location == "#0 (Add)");
}

TEST_CASE("nothing is said of a file that isn't there and that nothing needs") {
  const testing::TemporaryFolder folder;
  onnx::ModelProto proto = WithExternalWeight();
  for (std::string& input : *proto.mutable_graph()->mutable_node(0)->mutable_input()) {
    input = proto.graph().input(0).name();  // Shape alone reads the weight now
  }
  Model model = Model::FromProto(std::move(proto), folder.path());
  const Folded folded = Fold(model);
  REQUIRE(folded.status.ok());
  CHECK(folded.diagnostics.empty());
  CHECK(FindInitializer(model, "s") != nullptr);
}

TEST_CASE("weights in a file, in the model's own file and in a body are computed with; results stay out of memory") {
  const testing::TemporaryFolder folder;
  onnx::ModelProto proto = WithExternalWeight();
  // Another way to the same weight: an If with a large one of its own, under a condition that is known.
  const onnx::ModelProto inner = testing::ParseGraph(R"(g (float[2000] x, bool c) => (float[2000] v) <bool yes = {1}> {
    b = If (yes) <then_branch = t () => (float[2000] p) { p = Add (own, own) },
                  else_branch = e () => (float[2000] q) { q = Abs (own2) }>
    v = Mul (x, b)
  })");
  onnx::GraphProto& graph = *proto.mutable_graph();
  graph.mutable_node()->MergeFrom(inner.graph().node());
  graph.mutable_initializer()->MergeFrom(inner.graph().initializer());
  graph.mutable_output()->MergeFrom(inner.graph().output());
  for (int i = 0; i < 2; ++i) {
    onnx::GraphProto& body = *graph.mutable_node(4)->mutable_attribute(i)->mutable_g();
    onnx::TensorProto& own = *body.add_initializer();
    own.set_name(body.node(0).op_type() == "Add" ? "own" : "own2");
    own.set_data_type(onnx::TensorProto::FLOAT);
    own.add_dims(2000);
    std::vector<float> values(2000, 1.5F);
    SetRawData(own, std::string(reinterpret_cast<const char*>(values.data()), 8000));
  }
  std::vector<float> values(2000);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i) / 8;
  }
  std::ofstream(folder / "w.bin", std::ios::binary).write(reinterpret_cast<const char*>(values.data()), 8000);
  std::ofstream(folder / "m.onnx", std::ios::binary) << proto.SerializeAsString();
  for (const char* pipeline : {"fold-constants", "fold-constants{inline-if=false}"}) {
    absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
    REQUIRE(model.ok());
    const Folded folded = Fold(*model, pipeline);
    INFO(pipeline << ": " << folded.status.ToString());
    REQUIRE(folded.status.ok());
    CHECK(folded.diagnostics.empty());
    const onnx::TensorProto* sum = FindInitializer(*model, "a");
    REQUIRE(sum != nullptr);
    CHECK(FindMarker(*sum).has_value());
    const auto sums = ReadTensor(*sum, *model);
    REQUIRE(sums.ok());
    CHECK(sums->As<float>()[1001] == 2 * values[1001]);
    const onnx::TensorProto* own = FindInitializer(*model, "b");
    REQUIRE(own != nullptr);
    const auto doubled = ReadTensor(*own, *model);
    REQUIRE(doubled.ok());
    CHECK(doubled->As<float>()[1999] == 3.0F);
    CHECK(FindInitializer(*model, "w") == nullptr);
    const auto saved = Save(*model, folder / "out.onnx", SaveOptions());
    INFO(saved.status().ToString());
    CHECK(saved.ok());
  }
}

TEST_CASE("the limit holds over all rounds together") {
  // `a` is computed in the first round; the size of `b` is known only then, and so `b` follows in the second.
  const char* text =
      R"(g (float[100] x, float[R] z) => (float[100] y, float[R] v) <float[1] n = {99.5}, float[1] one = {1.0}, int64[1] h = {100}> {
    a = Expand (one, h)
    y = Add (x, a)
    f = Floor (n)
    m = Cast <to = 7> (f)
    b = Expand (one, m)
    v = Add (z, b)
  })";
  for (const auto& [limit, both] : {std::pair("500", false), std::pair("1000", true)}) {
    Model model = testing::LoadText(text);
    const Folded folded = Fold(model, fmt::format("fold-constants{{limit={}}}", limit));
    REQUIRE(folded.status.ok());
    INFO(limit);
    CHECK(FindInitializer(model, "a") != nullptr);
    CHECK((FindInitializer(model, "b") != nullptr) == both);
    CHECK(folded.diagnostics.empty() == both);
    if (!both) {
      CHECK(folded.diagnostics.front().message.find("limit") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace gomai
