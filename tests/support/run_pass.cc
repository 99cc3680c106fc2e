// What tests of passes have in common.
#include "tests/support/run_pass.h"

#include <catch2/catch_test_macros.hpp>

#include "lib/runtime/onnxruntime.h"

namespace gomai::testing {

absl::StatusOr<std::vector<PassReport>> RunPasses(Model& model, const std::string& pipeline,
                                                  std::vector<Diagnostic>* diagnostics) {
  const absl::StatusOr<Pipeline> parsed = ParsePipeline(pipeline);
  REQUIRE(parsed.ok());
  PipelineOptions options;
  options.verify_each = true;
  options.allow_shape_change = true;
  std::vector<Diagnostic> dropped;
  return RunPipeline(*parsed, model, options, Diagnostics::Collect(diagnostics != nullptr ? diagnostics : &dropped));
}

std::string Bytes(const Model& model) {
  std::string bytes;
  REQUIRE(SerializeDeterministic(model.proto(), &bytes));
  return bytes;
}

Backend& RuntimeOrSkip() {
  static const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no numbers are compared without a runtime: " << Message(backend.status()));
  }
  return **backend;
}

}  // namespace gomai::testing
