// The pipeline's runner: reports, declared shapes kept true, refusals that name the pass, and options by type.
#include <catch2/catch_test_macros.hpp>

#include "lib/pass/declared_shapes.h"
#include "lib/pass/pipeline.h"
#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::LoadText;

constexpr char kChain[] = R"(
main (float[2,3] x) => (float[2,3] y) <float[2,3] a, float[2,3] b> {
  a = Relu (x)
  y = Sigmoid (a)
  b = Tanh (a)
}
)";

absl::StatusOr<std::vector<PassReport>> Run(Model& model, std::string_view text, const PipelineOptions& options = {},
                                            std::vector<Diagnostic>* diagnostics = nullptr) {
  const absl::StatusOr<Pipeline> pipeline = ParsePipeline(text);
  REQUIRE(pipeline.ok());
  std::vector<Diagnostic> dropped;
  return RunPipeline(*pipeline, model, options, Diagnostics::Collect(diagnostics != nullptr ? diagnostics : &dropped));
}

using testing::Bytes;

TEST_CASE("each pass reports its text, effect, changes and node counts, in order") {
  Model model = LoadText(kChain);
  std::vector<std::string> seen;
  PipelineOptions options;
  options.verify_each = true;
  options.after_each = [&](const PassReport& report) { seen.push_back(report.pass); };
  const auto reports = Run(model, "prune{value-info=true}, rename{x=input} ,prune", options);
  REQUIRE(reports.ok());
  REQUIRE(reports->size() == 3);
  CHECK(seen == std::vector<std::string>{"prune{value-info=true}", "rename{x=input}", "prune"});
  CHECK((*reports)[0].effect == Effect::kBitExact);
  CHECK((*reports)[0].nodes_before == 3);
  CHECK((*reports)[0].nodes_after == 2);
  CHECK((*reports)[0].changes.lines.size() == 2);  // the node and what was said of its value
  CHECK((*reports)[0].seconds > 0);
  CHECK((*reports)[1].effect == Effect::kChangesInterface);
  CHECK((*reports)[2].changes.empty());
  CHECK(model.proto().graph().input(0).name() == "input");
}

TEST_CASE("an empty pipeline changes nothing") {
  Model model = LoadText(kChain);
  const std::string before = Bytes(model);
  const auto reports = Run(model, "");
  REQUIRE(reports.ok());
  CHECK(reports->empty());
  CHECK(Bytes(model) == before);
}

TEST_CASE("an error names the pass that it comes from") {
  Model model = LoadText(kChain);
  const absl::Status status = Run(model, "prune,expose-outputs{tensors=nowhere}").status();
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(Message(status).starts_with("expose-outputs: "));
}

TEST_CASE("verify-each names the pass after which the structure is broken") {
  // The fault is there from the start; the runner can only say after which pass it saw it first.
  Model model = LoadText("main (float[2] x) => (float[2] y) { y = Add (x, nothing) }");
  PipelineOptions options;
  options.verify_each = true;
  const absl::Status status = Run(model, "strip-doc-strings", options).status();
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(Message(status).starts_with("strip-doc-strings: "));
  CHECK(Message(status).find("nothing") != std::string_view::npos);
}

TEST_CASE("a declared shape that is false is brought up to date and reported; nothing else of value_info changes") {
  Model model = LoadText(R"(
main (float[2,3] x) => (float[n,3] y) <float[9,3] a, float[p,q] b, float[2,3] c, int64[2,3] d> {
  a = Relu (x)
  b = Relu (a)
  c = Relu (b)
  d = Relu (c)
  y = Relu (d)
})");
  model.mutable_proto().mutable_graph()->mutable_value_info(0)->set_doc_string("kept");
  const auto changes = RefreshDeclaredShapes(model, false);
  REQUIRE(changes.ok());
  REQUIRE(changes->size() == 2);
  CHECK((*changes)[0].value == "a");
  CHECK((*changes)[0].before == "float32 9x3");
  CHECK((*changes)[0].after == "float32 2x3");
  CHECK((*changes)[1].value == "d");
  CHECK((*changes)[1].before == "int64 2x3");
  CHECK((*changes)[1].after == "float32 2x3");
  const onnx::GraphProto& graph = model.proto().graph();
  CHECK(graph.value_info(0).doc_string() == "kept");
  CHECK(graph.value_info(1).type().tensor_type().shape().dim(0).dim_param() == "p");  // says less, but nothing false
  CHECK(graph.output(0).type().tensor_type().shape().dim(0).dim_param() == "n");
}

TEST_CASE("a declared rank that is false is replaced as a whole") {
  Model model = LoadText("main (float[2,3] x) => (float[2,3] y) <float[6] a> { a = Relu (x) y = Relu (a) }");
  const auto changes = RefreshDeclaredShapes(model, false);
  REQUIRE(changes.ok());
  REQUIRE(changes->size() == 1);
  CHECK((*changes)[0].after == "float32 2x3");
}

TEST_CASE("a model output's shape changes only when that is allowed") {
  constexpr char kFalseOutput[] = "main (float[2,3] x) => (float[5,3] y) { y = Relu (x) z = Relu (x) }";
  {
    Model model = LoadText(kFalseOutput);
    const absl::Status status = Run(model, "prune").status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Message(status).find("output 'y' would become float32 2x3 (declared: float32 5x3)") !=
          std::string_view::npos);
    CHECK(Message(status).find("--allow-shape-change") != std::string_view::npos);
  }
  {
    Model model = LoadText(kFalseOutput);
    PipelineOptions options;
    options.allow_shape_change = true;
    const auto reports = Run(model, "prune", options);
    REQUIRE(reports.ok());
    REQUIRE(reports->at(0).shape_changes.size() == 1);
    CHECK(reports->at(0).shape_changes[0].value == "y");
    CHECK(model.proto().graph().output(0).type().tensor_type().shape().dim(0).dim_value() == 2);
  }
}

TEST_CASE("a pass that changes nothing leaves false declarations alone") {
  Model model = LoadText("main (float[2,3] x) => (float[5,3] y) { y = Relu (x) }");
  const std::string before = Bytes(model);
  const auto reports = Run(model, "prune");
  REQUIRE(reports.ok());
  CHECK(Bytes(model) == before);
}

absl::Status Nothing(PassContext&) { return absl::OkStatus(); }

TEST_CASE("options give typed values, and defaults for what isn't given") {
  const PassInfo info = {.name = "made-up",
                         .options = {{.name = "flag", .type = OptionType::kBool, .default_value = "false"},
                                     {.name = "count", .type = OptionType::kInt, .default_value = "-3"},
                                     {.name = "scale", .type = OptionType::kFloat, .default_value = "0.5"},
                                     {.name = "names", .type = OptionType::kList, .default_value = ""},
                                     {.name = "KEY=SHAPE", .type = OptionType::kMap}},
                         .run = Nothing};
  const auto options = PassOptions::Make(info, {{"image", "[1,3]"}, {"count", "9000000000"}, {"names", "a;b c"}});
  REQUIRE(options.ok());
  CHECK_FALSE(options->Bool("flag"));
  CHECK(options->Int("count") == 9000000000);
  CHECK(options->Float("scale") == 0.5);
  CHECK(options->List("names") == std::vector<std::string>{"a", "b c"});
  CHECK(options->Map("KEY=SHAPE") == std::vector<std::pair<std::string, std::string>>{{"image", "[1,3]"}});
  CHECK(options->Given("count"));
  CHECK_FALSE(options->Given("scale"));
  CHECK_FALSE(PassOptions::Make(info, {{"count", "1.5"}}).ok());
  CHECK_FALSE(PassOptions::Make(info, {{"scale", "fast"}}).ok());
}

TEST_CASE("the registry is sorted, complete, and every declaration is usable") {
  const std::vector<const PassInfo*>& passes = AllPasses();
  REQUIRE(passes.size() >= 6);
  for (size_t i = 0; i < passes.size(); ++i) {
    const PassInfo& pass = *passes[i];
    CAPTURE(pass.name);
    CHECK((i == 0 || passes[i - 1]->name < pass.name));
    CHECK_FALSE(pass.summary.empty());
    CHECK_FALSE(pass.summary.ends_with('.'));
    CHECK_FALSE(pass.description.empty());
    CHECK(pass.run != nullptr);
    REQUIRE_FALSE(pass.examples.empty());
    for (const std::string& example : pass.examples) {
      const absl::StatusOr<Pipeline> parsed = ParsePipeline(example);
      CAPTURE(example, parsed.status().ToString());
      REQUIRE(parsed.ok());
      CHECK(parsed->Text() == example);
    }
    for (const OptionSpec& option : pass.options) {
      CAPTURE(option.name);
      CHECK_FALSE(option.help.empty());
    }
  }
}

TEST_CASE("false declarations are corrected once for several passes that keep shapes, at the latest after the last") {
  constexpr char kFalse[] =
      "main (float[2,3] x) => (float[2,3] y) <float[5,3] a> { a = Relu (x) y = Relu (a) z = Relu (x) }";
  for (const char* pipeline : {"prune,name-nodes", "prune,sort", "prune,fold-constants", "prune"}) {
    Model model = LoadText(kFalse);
    const auto reports = Run(model, pipeline);
    CAPTURE(pipeline);
    REQUIRE(reports.ok());
    for (size_t i = 0; i + 1 < reports->size(); ++i) {
      CHECK(reports->at(i).shape_changes.empty());
    }
    REQUIRE(reports->back().shape_changes.size() == 1);
    CHECK(reports->back().shape_changes[0].value == "a");
    CHECK(model.proto().graph().value_info(0).type().tensor_type().shape().dim(0).dim_value() == 2);
  }
  // A pass that may change shapes sees to it at once.
  Model model = LoadText(kFalse);
  const auto reports = Run(model, "prune,freeze-shapes{x=2x3},name-nodes");
  REQUIRE(reports.ok());
  CHECK(model.proto().graph().value_info(0).type().tensor_type().shape().dim(0).dim_value() == 2);
}

TEST_CASE("an edit anywhere corrects false declarations in bodies, and only those") {
  Model model = LoadText(R"(
main (bool c, float[2,3] x) => (float[2,3] y) {
  a = Relu (x)
  y = If (c) <
    then_branch = yes () => (float[2,4] t) <float[2,9] u, float[n,3] v> { u = Neg (a) v = Exp (u) t = Neg (v) },
    else_branch = no () => (float[2,3] e) { e = Abs (a) }
  >
}
)");
  const auto reports = Run(model, "name-nodes");
  INFO(reports.status());
  REQUIRE(reports.ok());
  const auto& changes = (*reports)[0].shape_changes;
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].value.starts_with("u in "));
  CHECK(changes[0].before == "float32 2x9");
  CHECK(changes[0].after == "float32 2x3");
  CHECK(changes[1].value.starts_with("t in "));
  const onnx::GraphProto& body = model.proto().graph().node(1).attribute(0).g();
  CHECK(body.value_info(1).type().tensor_type().shape().dim(0).dim_param() == "n");
  CHECK(body.output(0).type().tensor_type().shape().dim(1).dim_value() == 3);
}

}  // namespace
}  // namespace gomai
