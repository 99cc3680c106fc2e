// ONNX's own test models say what their outputs' shapes are: what is inferred without looking at that must agree.
#include <catch2/catch_test_macros.hpp>

#include "lib/shape/infer.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

// "" if what both know is the same.
std::string Contradiction(const onnx::TypeProto& inferred, const onnx::TypeProto& declared) {
  if (inferred.value_case() != declared.value_case()) {
    return inferred.value_case() == onnx::TypeProto::VALUE_NOT_SET ? "" : "another kind of type";
  }
  if (!inferred.has_tensor_type()) {
    return "";
  }
  if (inferred.tensor_type().elem_type() != declared.tensor_type().elem_type()) {
    return "another element type";
  }
  const onnx::TensorShapeProto* a = FindShape(inferred);
  const onnx::TensorShapeProto* b = FindShape(declared);
  if (a == nullptr || b == nullptr) {
    return "";
  }
  if (a->dim_size() != b->dim_size()) {
    return "another rank";
  }
  for (int i = 0; i < a->dim_size(); ++i) {
    if (a->dim(i).has_dim_value() && b->dim(i).has_dim_value() && a->dim(i).dim_value() != b->dim(i).dim_value()) {
      return "another dim";
    }
  }
  return "";
}

TEST_CASE("inferred outputs agree with what ONNX's test models declare") {
  int64_t outputs = 0;
  int64_t ranked = 0;
  for (const std::filesystem::path& file : testing::AllModels()) {
    absl::StatusOr<Model> model = Model::Load(file);
    if (!model.ok() || !model->proto().has_graph()) {
      continue;
    }
    onnx::ModelProto proto = model->proto();
    for (auto& output : *proto.mutable_graph()->mutable_output()) {
      output.clear_type();
    }
    proto.mutable_graph()->clear_value_info();
    Model bare = Model::FromProto(std::move(proto), model->folder());
    bare.Adopt(*model);
    const Index index(bare.proto());
    const absl::StatusOr<Shapes> shapes = InferShapes(bare, index);
    if (!shapes.ok()) {
      continue;
    }
    for (const auto& output : model->proto().graph().output()) {
      ++outputs;
      const onnx::TypeProto* type = shapes->Find(output.name());
      if (type == nullptr) {
        continue;
      }
      ranked += FindShape(*type) != nullptr ? 1 : 0;
      if (const std::string problem = Contradiction(*type, output.type()); !problem.empty()) {
        FAIL_CHECK(file.string() << ": " << output.name() << " has " << problem << ": inferred " << ShapeText(*type)
                                 << ", declared " << ShapeText(output.type()));
      }
    }
  }
  INFO(ranked << " of " << outputs << " outputs ranked");
  CHECK(outputs > 1000);
  CHECK(ranked * 10 > outputs * 8);
}

}  // namespace
}  // namespace gomai
