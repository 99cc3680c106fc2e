// maxpool-1x1 on every model at hand: the project's own and ONNX's test models. Where it applies, outputs are equal
// under the form's effect, ONNX's checker takes the result, and a second run changes nothing.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <optional>

#include "lib/graph/verify.h"
#include "tests/support/kept.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::RunPasses;

constexpr const char* kForms[] = {"auto", "conv", "depthwise", "slice", "avgpool", "maxpool3x3"};

// The model with every MaxPool's kernel made 1, as far as such a node can be; nothing if it has none, or is large.
std::optional<Model> WithUnitKernels(const Model& model) {
  if (model.proto().graph().node_size() > 20) {
    return std::nullopt;
  }
  Model unit = model.Copy();
  bool any = false;
  for (onnx::NodeProto& node : *unit.mutable_proto().mutable_graph()->mutable_node()) {
    if (node.op_type() != "MaxPool") {
      continue;
    }
    any = true;
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.name() == "kernel_shape" || attribute.name() == "pads") {
        for (int i = 0; i < attribute.ints_size(); ++i) {
          attribute.set_ints(i, attribute.name() == "pads" ? 0 : 1);
        }
      }
    }
  }
  unit.mutable_proto().mutable_graph()->clear_value_info();
  int dims = 0;
  for (onnx::ValueInfoProto& output : *unit.mutable_proto().mutable_graph()->mutable_output()) {
    for (auto& dim : *output.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
      dim.set_dim_param(fmt::format("d{}", dims++));
    }
  }
  return any ? std::optional<Model>(std::move(unit)) : std::nullopt;
}

// What a form refuses, it refuses with a reason; what it changes, ONNX's checker takes if it took the original, and the
// numbers are equal. Few models have such a MaxPool, so those of small models are given a kernel of 1 too.
TEST_CASE("maxpool-1x1 keeps what every model computes, and settles after one run") {
  std::map<std::string, int> changed;
  std::map<std::string, int> refused;
  size_t models = 0;
  const auto check = [&](const Model& model, bool runs) {
    for (const char* form : kForms) {
      INFO("form " << form);
      Model copy = model.Copy();
      const std::string text = fmt::format("maxpool-1x1{{form={}}}", form);
      const auto reports = RunPasses(copy, text);
      if (!reports.ok()) {
        CHECK(reports.status().code() == absl::StatusCode::kFailedPrecondition);
        ++refused[form];
        continue;
      }
      if (reports->at(0).changes.empty()) {
        continue;
      }
      ++changed[form];
      const auto again = RunPasses(copy, text);
      REQUIRE(again.ok());
      CHECK(again->at(0).changes.empty());
      if (runs) {
        testing::CheckKept(model, copy, reports->at(0).effect);
      }
    }
  };
  for (const std::filesystem::path& path : testing::AllModels()) {
    const absl::StatusOr<Model> model = Model::Load(path);
    if (!model.ok() || !VerifyForWriting(*model, Index(model->proto())).ok()) {
      continue;
    }
    ++models;
    INFO("model " << path.string());
    check(*model, path != testing::StrippedModel());  // the weights of that one are absent
    if (const std::optional<Model> unit = WithUnitKernels(*model); unit) {
      INFO("with kernels of 1");
      check(*unit, true);
    }
  }
  for (const char* form : kForms) {
    INFO(form << ": " << changed[form] << " models changed, " << refused[form] << " refused, of " << models);
    CHECK(changed[form] >= 10);
  }
  CHECK(refused["auto"] > 0);  // indices
  CHECK(models > 100);
}

}  // namespace
}  // namespace gomai
