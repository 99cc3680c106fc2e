// Inference beyond ONNX's, declared shapes that lie, hostile graphs, and the real models.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>

#include "lib/shape/infer.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::LoadText;

Shapes Infer(const Model& model) {
  const Index index(model.proto());
  absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  REQUIRE(shapes.ok());
  return *std::move(shapes);
}

std::string TextOf(const Shapes& shapes, std::string_view name) {
  const onnx::TypeProto* type = shapes.Find(name);
  return type == nullptr ? "nothing" : ShapeText(*type);
}

std::string Inferred(const char* graph, std::string_view name = "y") {
  const Model model = LoadText(graph);
  return TextOf(Infer(model), name);
}

TEST_CASE("shapes as text") {
  onnx::TypeProto type;
  CHECK(ShapeText(type) == "?");
  type.mutable_tensor_type()->set_elem_type(1);
  CHECK(ShapeText(type) == "?");
  auto* shape = type.mutable_tensor_type()->mutable_shape();
  CHECK(ShapeText(type) == "[]");
  shape->add_dim();
  CHECK(ShapeText(type) == "[?]");
  shape->add_dim()->set_dim_value(4);
  CHECK(ShapeText(type) == "?x4");
  shape->mutable_dim(0)->set_dim_param("N");
  CHECK(ShapeText(type) == "[N,4]");
}

TEST_CASE("values that nodes compute from shapes give shapes") {
  CHECK(Inferred(R"(g (float[N, 3, H, 8] x) => (float[] y) <int64[1] two = {2}, int64[1] m = {-1}> {
    s = Shape (x)
    a = Constant <value = int64 {1}> ()
    c = Gather (s, a)
    z = Constant <value = int64[1] {0}> ()
    u = Unsqueeze (c, z)
    t = Concat <axis = 0> (u, m)
    y = Reshape (x, t)
  })") == "3x?");
}

TEST_CASE("ONNX Runtime's own QuantizeLinear and DequantizeLinear are ONNX's") {
  const char* text = R"(
    <ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (float[1, 3, N, 8] x) => (float y) <float scale = {0.1}, int16 zero = {0}> {
      q = com.microsoft.QuantizeLinear (x, scale, zero)
      d = com.microsoft.DequantizeLinear (q, scale, zero)
      y = MaxPool <kernel_shape = [1, 1], strides = [2, 2]> (d)
    })";
  const Model model = Model::FromProto(testing::ParseModel(text));
  const Shapes shapes = Infer(model);
  REQUIRE(shapes.Find("q") != nullptr);
  CHECK(shapes.Find("q")->tensor_type().elem_type() == onnx::TensorProto::INT16);
  CHECK(TextOf(shapes, "q") == "[1,3,N,8]");
  CHECK(shapes.Find("d")->tensor_type().elem_type() == onnx::TensorProto::FLOAT);
  CHECK(TextOf(shapes, "y") == "1x3x?x4");
}

TEST_CASE("an operand's length gives the rank") {
  CHECK(Inferred("g (float[N, M] x, int64[3] s) => (float[] y) { y = Reshape (x, s) }") == "?x?x?");
  CHECK(Inferred("g (float[2, M] x, int64[3] s) => (float[] y) { y = Expand (x, s) }") == "?x2x?");
  CHECK(Inferred("g (int64[3] s) => (float[] y) { y = ConstantOfShape (s) }") == "?x?x?");
  // Of an operand of unknown rank, Expand can only be said to have at least that rank.
  CHECK(Inferred(R"(g (float[N] x, int64[n] s, int64[2] t) => (float[] y) { r = Reshape (x, s)
    y = Expand (r, t) })") == "?");
  CHECK(Inferred("g (float[N, 1, 8, 8] x, int64[4] s) => (float[] y) { y = Resize (x, , , s) }") == "?x?x?x?");
}

TEST_CASE("one operand's rank is the others'") {
  constexpr char kGraph[] = R"(g (float[N] x, int64[n] s, float[2, 3] z, int64[2, 3] i) => (float[] y, float[] c) {
    r = Reshape (x, s)
    y = ScatterElements (r, i, z)
    c = Concat <axis = 1> (r, z)
    k = Conv (r, w)
    p = MaxPool <kernel_shape = [2, 2]> (r)
    t = Transpose <perm = [2, 0, 1]> (r)
    e = Flatten (r)
    q, b = TopK (r, one)
  })";
  onnx::ModelProto proto = testing::ParseGraph(kGraph);
  auto* weight = proto.mutable_graph()->add_input();
  weight->set_name("w");
  for (const int64_t dim : {16, 3, 3, 3}) {
    weight->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(dim);
  }
  weight->mutable_type()->mutable_tensor_type()->set_elem_type(1);
  const Model model = Model::FromProto(proto);
  const Shapes shapes = Infer(model);
  CHECK(TextOf(shapes, "r") == "?");
  CHECK(TextOf(shapes, "y") == "?x?");
  CHECK(TextOf(shapes, "c") == "2x?");
  CHECK(TextOf(shapes, "k") == "?x16x?x?");
  CHECK(TextOf(shapes, "p") == "?x?x?x?");
  CHECK(TextOf(shapes, "t") == "?x?x?");
  CHECK(TextOf(shapes, "e") == "?x?");
  CHECK(TextOf(shapes, "q") == "?");
}

TEST_CASE("branches of an If give what they have in common") {
  constexpr char kIf[] = R"(g (bool c, float[2, 3] a, float[2, 4] b) => (float[] y) {
    y = If (c) <then_branch = t () => (float[] p) { p = Relu (a) }, else_branch = e () => (float[] q) { q = Relu (b) }>
  })";
  CHECK(Inferred(kIf) == "2x?");
  CHECK(Inferred(R"(g (bool c, float[2, 3] a, float[6] b) => (float[] y) {
    y = If (c) <then_branch = t () => (float[] p) { p = Relu (a) }, else_branch = e () => (float[] q) { q = Relu (b) }>
  })") == "?");
}

TEST_CASE("sibling bodies may use one name for values of their own") {
  CHECK(Inferred(R"(g (bool c, float[2, 3, 4] a, float[5, 6] b) => (float[] y) {
    y = If (c) <then_branch = t () => (float[] p) { s = Shape (a) p = ConstantOfShape (s) },
                else_branch = e () => (float[] p) { s = Shape (b) p = ConstantOfShape (s) }>
  })") == "?");
}

TEST_CASE("a Loop's carried values keep what its body keeps") {
  constexpr char kLoop[] = R"(g (int64 n, bool c, float[2, K] x, float[1, 3] z) => (float[] y, float[] w, float[] s) {
    y, w, s = Loop (n, c, x, z) <body = b (int64 i, bool d, float[] u, float[] v) => (bool e, float[] p, float[] q, float[] r) {
      e = Identity (d)
      p = Relu (u)
      q = Concat <axis = 0> (v, v)
      r = Identity (u)
    }>
  })";
  const Model model = LoadText(kLoop);
  const Shapes shapes = Infer(model);
  CHECK(TextOf(shapes, "y") == "[2,K]");
  CHECK(TextOf(shapes, "w") == "?x3");
  CHECK(TextOf(shapes, "s") == "[?,2,K]");
  // Rank changes from one iteration to the next: nothing can be said.
  CHECK(Inferred(R"(g (int64 n, bool c, float[2] x, int64[1] axes) => (float[] y) {
    y = Loop (n, c, x) <body = b (int64 i, bool d, float[] u) => (bool e, float[] p) {
      e = Identity (d)
      p = Unsqueeze (u, axes)
    }>
  })") == "?");
}

TEST_CASE("values of local functions, with attributes of the call") {
  const onnx::ModelProto proto = testing::ParseModel(R"(<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[2, 3] x) => (float[] y, float[] z) {
      y = own.twice <axis = 1> (x)
      z = own.twice <axis = 0> (x)
    }
    <domain: "own", opset_import: ["" : 17]> twice <axis> (a) => (b) { b = Concat <axis: int = @axis> (a, a) })");
  const Model model = Model::FromProto(proto);
  const Shapes shapes = Infer(model);
  CHECK(TextOf(shapes, "y") == "2x6");
  CHECK(TextOf(shapes, "z") == "4x3");
}

TEST_CASE("declared shapes of what nodes produce aren't trusted, but better than nothing") {
  const onnx::ModelProto proto = testing::ParseModel(R"(<ir_version: 8, opset_import: ["" : 17, "vendor" : 1]>
    g (float[2, 3] x) => (float[9, 9] y, float[N, 7] z, float[M, 3] w)
    <float[5, 5, 5] r, float[4, 4] v> {
      r = Relu (x)
      y = Abs (r)
      v = vendor.Secret (x)
      z = Abs (v)
      w = Abs (x)
    })");
  const Model model = Model::FromProto(proto);
  const Shapes shapes = Infer(model);
  CHECK(TextOf(shapes, "r") == "2x3");
  CHECK(TextOf(shapes, "y") == "2x3");
  CHECK_FALSE(shapes.IsDeclared("y"));
  CHECK(TextOf(shapes, "v") == "4x4");
  CHECK(shapes.IsDeclared("v"));
  CHECK(TextOf(shapes, "z") == "4x4");
  CHECK(TextOf(shapes, "w") == "2x3");
}

TEST_CASE("an output's declared dims fill what inference leaves open, unless they contradict") {
  constexpr char kGraph[] = R"(g (float[N, 3] x, int64[2] s) => (float[8, M] y, float[K, 4] z) {
    y = Reshape (x, s)
    z = Abs (x)
  })";
  const Model model = LoadText(kGraph);
  const Shapes shapes = Infer(model);
  CHECK(TextOf(shapes, "y") == "[8,M]");
  CHECK(TextOf(shapes, "z") == "[N,3]");
}

TEST_CASE("small constants count wherever they are stored, absent ones don't matter") {
  const testing::TemporaryFolder folder;
  onnx::ModelProto proto =
      testing::ParseGraph("g (float[N] x) => (float[] y, float[] z) { y = Reshape (x, s) z = Reshape (x, t) }");
  for (const char* name : {"s", "t"}) {
    auto* tensor = proto.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(2);
    tensor->set_data_location(onnx::TensorProto::EXTERNAL);
    auto* entry = tensor->add_external_data();
    entry->set_key("location");
    entry->set_value(std::string(name) + ".bin");
  }
  const int64_t values[] = {7, -1};
  std::ofstream(folder / "s.bin", std::ios::binary).write(reinterpret_cast<const char*>(values), sizeof values);
  const Model model = Model::FromProto(proto, folder.path());
  const std::string before = model.proto().SerializeAsString();
  const Shapes shapes = Infer(model);
  CHECK(TextOf(shapes, "y") == "7x?");
  CHECK(TextOf(shapes, "z") == "?x?");
  CHECK(model.proto().SerializeAsString() == before);
}

TEST_CASE("a node that can't be inferred is named, and the others go on") {
  const Model model = LoadText(R"(g (float[2, 3] x, float[4, 5] w) => (float[] y, float[] z) {
    m = MatMul (x, w)
    y = Relu (m)
    z = Relu (x)
  })");
  const Shapes shapes = Infer(model);
  REQUIRE(shapes.problems().size() == 1);
  CHECK(shapes.problems()[0].find("#0 (MatMul): ") == 0);
  CHECK(shapes.problems()[0].find('\n') == std::string::npos);
  CHECK(TextOf(shapes, "y") == "?");
  CHECK(shapes.Find("y")->tensor_type().elem_type() == onnx::TensorProto::FLOAT);
  CHECK(TextOf(shapes, "z") == "2x3");
}

TEST_CASE("nodes in a wrong order are inferred all the same, a cycle is refused") {
  CHECK(Inferred("g (float[2, 3] x) => (float[] y) { y = Relu (a) a = Abs (x) }") == "2x3");
  const Model cycle = LoadText("g (float[2, 3] x) => (float[] y) { y = Add (x, a) a = Abs (y) }");
  const Index index(cycle.proto());
  CHECK(InferShapes(cycle, index).status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("functions that call themselves, or explode, end") {
  std::string text = R"(<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[2] x) => (float[] y) { y = own.f0 (x) }
)";
  for (int i = 0; i < 40; ++i) {
    text += fmt::format(
        "<domain: \"own\", opset_import: [\"\" : 17, \"own\" : 1]> f{} (a) => (b) {{ c = own.f{} (a) b = own.f{} (c) "
        "}}\n",
        i, i + 1, i + 1);
  }
  text += "<domain: \"own\", opset_import: [\"\" : 17, \"own\" : 1]> f40 (a) => (b) { b = own.f40 (a) }\n";
  const Model model = Model::FromProto(testing::ParseModel(text.c_str()));
  const auto start = std::chrono::steady_clock::now();
  CHECK(TextOf(Infer(model), "y") == "?");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

TEST_CASE("a vector said to be enormous costs nothing") {
  CHECK(Inferred(R"(g (int64[4611686018427387904] x) => (int64[] y) {
    a = Add (x, x)
    y = Concat <axis = 0> (a, a)
  })") == "[?]");
}

TEST_CASE("dims that make no sense are unknown") {
  CHECK(Inferred("g (float[-1, 0, 3] x) => (float[] y) { y = Relu (x) }") == "?x?x3");
}

TEST_CASE("ONNX's checker, by path") {
  const testing::TemporaryFolder folder;
  const auto check = [&](const onnx::ModelProto& proto) {
    std::ofstream(folder / "m.onnx", std::ios::binary) << proto.SerializeAsString();
    return CheckModelFile(folder / "m.onnx");
  };
  CHECK(CheckModelFile(testing::TinyModel()).ok());
  CHECK(check(testing::ParseGraph("g (float[2] x) => (float[2] y) { y = Relu (x) }")).ok());
  const auto fails = [&](const onnx::ModelProto& proto, std::string_view text) {
    const absl::Status status = check(proto);
    CHECK(status.code() == absl::StatusCode::kDataLoss);
    INFO(Message(status));
    CHECK(Message(status).find(text) != std::string_view::npos);
    CHECK(Message(status).find('\n') == std::string_view::npos);
  };
  fails(testing::ParseGraph("g (float[2] x) => (float[2] y) { [two] y = Relu (x, x) }"), "Relu");
  fails(testing::ParseGraph("g (float[2] x) => (float[3] y) { y = Relu (x) }"), "m.onnx: ONNX's checker: ");
  // What would crash or loop in ONNX's code never gets there.
  fails(testing::ParseGraph("g (float[2] x) => (float[2] y) { y = Add (x, a) a = Relu (y) }"), "#");
  fails(testing::ParseModel(R"(<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[2] x) => (float[2] y) { y = own.f (x) }
    <domain: "own", opset_import: ["" : 17, "own" : 1]> f (a) => (b) { b = own.f (a) })"),
        "f");
  CHECK(CheckModelFile(folder / "absent.onnx").code() == absl::StatusCode::kNotFound);
}

// Where the parts of detection models are cut: tensors that lie between the stages of a network.
TEST_CASE("the detection models' values have ranks") {
  for (const auto& file : {testing::TinyModel(), testing::StrippedModel()}) {
    CAPTURE(file.string());
    absl::StatusOr<Model> model = Model::Load(file);
    REQUIRE(model.ok());
    const Index index(model->proto());
    const auto start = std::chrono::steady_clock::now();
    const Shapes shapes = Infer(*model);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    int64_t values = 0;
    int64_t ranked = 0;
    for (const Index::Value& value : index.values()) {
      if (value.scope == index.main_scope()) {
        ++values;
        const onnx::TypeProto* type = shapes.Find(value.name);
        REQUIRE(type != nullptr);
        ranked += FindShape(*type) != nullptr ? 1 : 0;
      }
    }
    // ONNX's own inference leaves 274 values without a rank. The 16 that remain are a Squeeze under an If whose
    // condition is data, and the Cast behind it.
    INFO(ranked << " of " << values << " ranked in " << seconds << " s");
    CHECK(values > 2400);
    CHECK(values - ranked <= 16);
    CHECK(shapes.problems().empty());
    CHECK(seconds < 2);
    CHECK(TextOf(shapes, "/transform/Concat_8_output_0") == "1x?x?x?");
    CHECK(TextOf(shapes, "/rpn/Gather_79_output_0") == "?x4");
    CHECK(TextOf(shapes, "/roi_heads/box_roi_pool/Concat_output_0") == "?x4");
    CHECK(TextOf(shapes, "/rpn/head/bbox_pred_4/Conv_output_0") == "1x12x?x?");
    CHECK(TextOf(shapes, "/roi_heads/mask_predictor/mask_fcn_logits/Conv_output_0").find("?x") == 0);
    for (const char* name : {"/roi_heads/box_roi_pool/ScatterElements_3_output_0",
                             "/roi_heads/mask_roi_pool/ScatterElements_3_output_0"}) {
      REQUIRE(shapes.Find(name) != nullptr);
      REQUIRE(FindShape(*shapes.Find(name)) != nullptr);
      CHECK(FindShape(*shapes.Find(name))->dim_size() == 4);
    }
    CHECK(TextOf(shapes, "/roi_heads/box_predictor/cls_score/Gemm_output_0").find("?x") == 0);
  }
}

TEST_CASE("types in bodies: of each branch, and those that hold in every round of a loop") {
  const Model model = testing::LoadText(R"(
g (bool c, float[2] x, int64 n) => (float[k] y, float[m] z) <bool always = {1}> {
  y = If (c) <
    then_branch = then_graph () => (float[a] t) { u = Concat <axis = 0> (x, x) t = Neg(u) },
    else_branch = else_graph () => (float[b] e) { u = Cast <to = 11> (x) e = Cast <to = 1> (u) }
  >
  z = Loop (n, always, x) <
    body = loop_body (int64 i, bool cond, state) => (bool cond_out, next)
    {
      cond_out = Identity(cond)
      same = Neg(state)
      next = Concat <axis = 0> (same, x)
    }
  >
}
)");
  const Index index(model.proto());
  const absl::StatusOr<std::vector<onnx::TypeProto>> types = InferTypes(model, index);
  REQUIRE(types.ok());
  REQUIRE(types->size() == index.values().size());
  const auto text = [&](ScopeId scope, const char* name) {
    const onnx::TypeProto& type = (*types)[static_cast<size_t>(index.FindValue(scope, name))];
    return fmt::format("{} {}", type.tensor_type().elem_type(), ShapeText(type));
  };
  CHECK(text(0, "x") == "1 2");
  CHECK(text(1, "u") == "1 4");
  CHECK(text(2, "u") == "11 2");
  CHECK(text(3, "same") == "1 [?]");  // it grows: a vector of unknown length
  CHECK(FindShape((*types)[static_cast<size_t>(index.FindValue(3, "same"))])->dim_size() == 1);
}

}  // namespace
}  // namespace gomai
