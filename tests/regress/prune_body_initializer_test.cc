// Other tools look for uses in the main graph only: an initializer that just a body reads is pruned, and the model no
// longer loads. The same for a value that a body two levels down captures, and for one that only a body returns.
#include <catch2/catch_test_macros.hpp>

#include "lib/graph/verify.h"
#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

TEST_CASE("what only bodies read is needed") {
  Model model = testing::LoadText(R"(
main (bool c, float[2] x) => (float[2] y) <float[2] deep = {1, 2}, float[2] returned = {3, 4}, float[2] unused = {5, 6}> {
  between = Neg (x)
  y = If (c) <
    then_branch = outer () => (float[2] t) {
      t = If (c) <
        then_branch = inner () => (float[2] i) { i = Add (between, deep) },
        else_branch = other () => (float[2] o) { o = Abs (x) }
      >
    },
    else_branch = passing () => (float[2] p) { p = Identity (returned) }
  >
})");
  const auto reports = RunPipeline(*ParsePipeline("prune"), model, {}, Diagnostics());
  REQUIRE(reports.ok());
  std::vector<std::string> names;
  for (const onnx::TensorProto& tensor : model.proto().graph().initializer()) {
    names.push_back(tensor.name());
  }
  CHECK(names == std::vector<std::string>{"deep", "returned"});
  CHECK(model.proto().graph().node_size() == 2);
  CHECK(Verify(model, Index(model.proto())).empty());
}

TEST_CASE("renaming what bodies capture renames it there too, and only where the name means it") {
  Model model = testing::LoadText(R"(
main (bool c, float[2] x) => (float[2] y) {
  a = Neg (x)
  y = If (c) <
    then_branch = captures () => (float[2] t) { b = Exp (a) t = Neg (b) },
    else_branch = apart () => (float[2] e) { b = Abs (x) e = Add (a, b) }
  >
})");
  const auto reports = RunPipeline(*ParsePipeline("rename{a=renamed}"), model, {}, Diagnostics());
  REQUIRE(reports.ok());
  const onnx::NodeProto& choice = model.proto().graph().node(1);
  CHECK(choice.attribute(0).g().node(0).input(0) == "renamed");
  CHECK(choice.attribute(1).g().node(1).input(0) == "renamed");
  CHECK(choice.attribute(1).g().node(1).input(1) == "b");
  // Two bodies define `b` apart: the name alone doesn't say which is meant.
  CHECK(RunPipeline(*ParsePipeline("rename{b=z}"), model, {}, Diagnostics()).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace gomai
