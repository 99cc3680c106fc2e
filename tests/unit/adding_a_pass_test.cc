// docs/adding-a-pass.md: its pass compiles (the build takes it out of the page), its golden case is what the pass does,
// and the numbers are as the page promises.
#include <catch2/catch_test_macros.hpp>

#include "lib/base/file.h"
#include "lib/compare/tensors.h"
#include "lib/pass/pipeline.h"
#include "tests/support/golden.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

namespace gomai {

const PassInfo& PowToMulPass();

namespace {

// What stands in the page between these two.
std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  REQUIRE(from != std::string::npos);
  const size_t to = text.find(end, from + begin.size());
  REQUIRE(to != std::string::npos);
  return text.substr(from + begin.size(), to - from - begin.size());
}

TEST_CASE("the pass of the guide does what the guide says") {
  const absl::StatusOr<std::string> page = ReadTextFile(testing::SourceDir() / "docs/adding-a-pass.md");
  REQUIRE(page.ok());
  const std::string golden = Between(*page, "```golden\n", "```");
  const onnx::ModelProto before = testing::ParseModel(Between(golden, "--- in\n", "--- out\n").c_str());
  CHECK(Between(golden, "pipeline: ", "\n") == PowToMulPass().name);

  Model model = Model::FromProto(before);
  const absl::StatusOr<PassOptions> options = PassOptions::Make(PowToMulPass(), {});
  REQUIRE(options.ok());
  Pipeline pipeline;
  pipeline.passes.push_back({&PowToMulPass(), *options});
  PipelineOptions verified;
  verified.verify_each = true;
  const auto reports = RunPipeline(pipeline, model, verified, Diagnostics());
  INFO(reports.status().ToString());
  REQUIRE(reports.ok());
  CHECK(testing::PrintModel(model.proto()).second + "\n" == Between(golden, "--- out\n", "--- changes\n"));
  std::string changes;
  for (const std::string& line : reports->front().changes.lines) {
    changes += line + "\n";
  }
  CHECK(changes == golden.substr(golden.find("--- changes\n") + 12));

  // The numbers, on both sides of zero.
  Backend& backend = testing::RuntimeOrSkip();
  absl::StatusOr<HostTensor> x = HostTensor::Create(onnx::TensorProto::FLOAT, {2});
  REQUIRE(x.ok());
  const float values[] = {-1.75F, 3.5F};
  std::copy_n(reinterpret_cast<const uint8_t*>(values), sizeof(values), x->mutable_bytes().begin());
  std::vector<HostTensor> results;
  for (const onnx::ModelProto* proto : {&before, &model.proto()}) {
    const auto session = backend.OpenBytes(proto->SerializeAsString(), {});
    REQUIRE(session.ok());
    auto outputs = (*session)->Run({{"x", *x}}, {});
    REQUIRE(outputs.ok());
    results.push_back(outputs->at("y"));
  }
  const TensorComparison compared = CompareTensors(results[1], results[0], {.rtol = 1e-6});
  INFO(compared.Why());
  CHECK(compared.equal);

  // A second run finds nothing to do.
  const auto again = RunPipeline(pipeline, model, {}, Diagnostics());
  REQUIRE(again.ok());
  CHECK(again->front().changes.empty());
}

}  // namespace
}  // namespace gomai
