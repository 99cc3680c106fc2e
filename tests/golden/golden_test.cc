// Every golden case (tests/support/golden.h says what one looks like), and what is checked for each besides its text:
// the result is sound, the change set is empty if and only if no byte changed, a second run changes nothing, a rerun
// gives the same bytes, ONNX's own checker takes the result if it took the input, and the numbers are the same as far
// as the passes' effects promise. GOMAI_UPDATE_GOLDEN=1 rewrites the expected sections.
#include "tests/support/golden.h"

#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <set>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/compare/tensors.h"
#include "lib/graph/verify.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/shape/infer.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::GoldenCase;

bool Updating() {
  const char* update = std::getenv("GOMAI_UPDATE_GOLDEN");
  return update != nullptr && std::string_view(update) == "1";
}

using testing::Bytes;

struct Outcome {
  absl::Status status;
  std::string bytes;
  std::string changes;
  std::string diagnostics;
  onnx::ModelProto proto;
};

Outcome Transform(const GoldenCase& golden, const onnx::ModelProto& input) {
  Outcome outcome;
  std::vector<Diagnostic> collected;
  Model model = Model::FromProto(input);
  absl::StatusOr<Pipeline> pipeline = ParsePipeline(golden.Directive("pipeline", ""));
  outcome.status = pipeline.status();
  if (pipeline.ok()) {
    CHECK(ParsePipeline(pipeline->Text())->Text() == pipeline->Text());
    PipelineOptions options;
    options.verify_each = true;
    options.allow_shape_change = golden.Directive("allow-shape-change", "false") == "true";
    const auto reports = RunPipeline(*pipeline, model, options, Diagnostics::Collect(&collected));
    outcome.status = reports.status();
    if (reports.ok()) {
      for (const PassReport& report : *reports) {
        for (const std::string& line : report.changes.lines) {
          outcome.changes += line + "\n";
        }
        for (const ShapeChange& change : report.shape_changes) {
          outcome.changes += fmt::format("shape of {}: {} -> {}\n", change.value, change.before, change.after);
        }
      }
    }
  }
  for (const Diagnostic& diagnostic : collected) {
    outcome.diagnostics +=
        fmt::format("{}: {}{}{}\n", diagnostic.severity == Severity::kNote ? "note" : "warning", diagnostic.location,
                    diagnostic.location.empty() ? "" : ": ", diagnostic.message);
  }
  outcome.bytes = Bytes(model);
  outcome.proto = model.proto();
  return outcome;
}

std::string ErrorText(const absl::Status& status) {
  return fmt::format("{}: {}\n", absl::StatusCodeToString(status.code()), Message(status));
}

void CheckSection(const GoldenCase& golden, const std::string& heading, const std::string& got) {
  const std::string* expected = golden.Section(heading);
  INFO("section '" << heading << "'; GOMAI_UPDATE_GOLDEN=1 rewrites it");
  CHECK((expected == nullptr ? "" : *expected) == got);
}

// What the result has in common with every other, whatever the pass.
void CheckLaws(const GoldenCase& golden, const onnx::ModelProto& input, const Outcome& outcome) {
  const Model before = Model::FromProto(input);
  CHECK(outcome.changes.empty() == (Bytes(before) == outcome.bytes));

  const Outcome rerun = Transform(golden, input);
  CHECK(rerun.bytes == outcome.bytes);
  CHECK(rerun.changes == outcome.changes);

  const std::string again = golden.Directive("again", "same");
  const Outcome second = Transform(golden, outcome.proto);
  if (again == "same") {
    CHECK(second.status.ok());
    CHECK(second.bytes == outcome.bytes);
  } else if (again == "changes") {
    CHECK(second.status.ok());
  } else {
    CHECK_FALSE(second.status.ok());
    INFO(ErrorText(second.status));
    CHECK(ErrorText(second.status).find(again) != std::string::npos);
  }
}

bool HasExternalData(const onnx::ModelProto& model) {
  bool external = false;
  ForEachTensor(model, [&](const onnx::TensorProto& tensor, TensorPlace) { external |= IsExternal(tensor); });
  return external;
}

absl::Status CheckByOnnx(const onnx::ModelProto& model, const testing::TemporaryFolder& folder) {
  const std::filesystem::path file = folder / "model.onnx";
  const absl::StatusOr<SaveReport> saved = Save(Model::FromProto(model), file, SaveOptions());
  return saved.ok() ? CheckModelFile(file) : saved.status();
}

}  // namespace

TEST_CASE("every golden case gives its expected result") {
  const std::vector<GoldenCase> cases = testing::GoldenCases();
  REQUIRE(cases.size() >= 40);
  for (GoldenCase golden : cases) {
    DYNAMIC_SECTION(golden.name) {
      const onnx::ModelProto input = testing::GoldenInput(golden);
      const Outcome outcome = Transform(golden, input);
      const auto [heading, text] =
          outcome.status.ok() ? testing::PrintModel(outcome.proto) : std::pair<std::string, std::string>("out", "");
      const std::string error = outcome.status.ok() ? "" : ErrorText(outcome.status);
      const std::string result = text.empty() || text.ends_with('\n') ? text : text + "\n";
      if (Updating()) {
        golden.Set("out", "");
        golden.Set("out (proto)", "");
        golden.Set(heading, result);
        golden.Set("changes", outcome.status.ok() ? outcome.changes : "");
        golden.Set("diagnostics", outcome.diagnostics);
        golden.Set("error", error);
        REQUIRE(WriteTextFile(golden.file, golden.Text()).ok());
      }
      CheckSection(golden, "error", error);
      CheckSection(golden, "out", heading == "out" ? result : "");
      CheckSection(golden, "out (proto)", heading == "out" ? "" : result);
      CheckSection(golden, "changes", outcome.status.ok() ? outcome.changes : "");
      CheckSection(golden, "diagnostics", outcome.diagnostics);
      if (outcome.status.ok()) {
        CheckLaws(golden, input, outcome);
      }
    }
  }
}

TEST_CASE("every pass has golden cases, for what it does and for what it refuses") {
  std::set<std::string> done;
  for (const GoldenCase& golden : testing::GoldenCases()) {
    const absl::StatusOr<Pipeline> pipeline = ParsePipeline(golden.Directive("pipeline", ""));
    if (pipeline.ok() && golden.Section("changes") != nullptr) {
      for (const PassInstance& pass : pipeline->passes) {
        done.insert(pass.info->name);
      }
    }
  }
  for (const PassInfo* pass : AllPasses()) {
    INFO(pass->name);
    CHECK(done.contains(pass->name));
  }
}

TEST_CASE("every declaration is complete, and its examples parse") {
  for (const PassInfo* pass : AllPasses()) {
    INFO(pass->name);
    CHECK(pass->run != nullptr);
    if (const absl::StatusOr<PassOptions> defaults = PassOptions::Make(*pass, {}); defaults.ok()) {
      CHECK(EffectOf(*pass, *defaults) == pass->effect);
    }
    CHECK_FALSE(pass->summary.empty());
    CHECK_FALSE(pass->summary.ends_with('.'));
    CHECK(pass->summary.find('\n') == std::string::npos);
    CHECK(pass->description.ends_with('.'));
    CHECK_FALSE(pass->examples.empty());
    for (const std::string& example : pass->examples) {
      const absl::StatusOr<Pipeline> pipeline = ParsePipeline(example);
      INFO(example << ": " << pipeline.status());
      REQUIRE(pipeline.ok());
      CHECK(pipeline->Text() == example);
    }
    for (const OptionSpec& option : pass->options) {
      INFO(option.name);
      CHECK_FALSE(option.help.empty());
    }
  }
}

TEST_CASE("ONNX's checker takes what the passes give, if it took what they got") {
  const testing::TemporaryFolder folder;
  int checked = 0;
  for (const GoldenCase& golden : testing::GoldenCases()) {
    const onnx::ModelProto input = testing::GoldenInput(golden);
    const Outcome outcome = Transform(golden, input);
    if (!outcome.status.ok() || HasExternalData(input) || HasExternalData(outcome.proto) ||
        !CheckByOnnx(input, folder).ok()) {
      continue;
    }
    const absl::Status status = CheckByOnnx(outcome.proto, folder);
    INFO(golden.name << ": " << status);
    if (const std::string refusal = golden.Directive("checker", ""); !refusal.empty()) {
      CHECK(std::string(Message(status)).find(refusal) != std::string::npos);
    } else {
      CHECK(status.ok());
    }
    ++checked;
  }
  CHECK(checked >= 20);
}

namespace {

// The strongest claim that holds for all passes of the pipeline.
Effect EffectOf(const GoldenCase& golden) {
  Effect effect = Effect::kBitExact;
  const absl::StatusOr<Pipeline> pipeline = ParsePipeline(golden.Directive("pipeline", ""));
  REQUIRE(pipeline.ok());
  for (const PassInstance& pass : pipeline->passes) {
    effect = std::max(effect, EffectOf(*pass.info, pass.options));
  }
  return effect;
}

Tolerance ToleranceOf(Effect effect) {
  Tolerance tolerance;
  tolerance.bits = effect == Effect::kBitExact || effect == Effect::kChangesInterface;
  if (effect == Effect::kReassociates) {
    tolerance.rtol = 1e-5;
    tolerance.atol = 1e-6;
  }
  return tolerance;
}

std::unique_ptr<Session> Open(Backend& backend, const onnx::ModelProto& proto) {
  const absl::StatusOr<std::string> bytes = SerializeInline(Model::FromProto(proto));
  INFO(bytes.status());
  REQUIRE(bytes.ok());
  absl::StatusOr<std::unique_ptr<Session>> session = backend.OpenBytes(*bytes, SessionOptions());
  INFO(session.status());
  REQUIRE(session.ok());
  return *std::move(session);
}

std::map<std::string, std::vector<int64_t>> ShapesOf(const GoldenCase& golden) {
  const auto shapes = ParseInputShapes(SplitList(golden.Directive("shapes", ""), ' '));
  REQUIRE(shapes.ok());
  return *shapes;
}

// The result's name of the input's i-th value `name`.
std::string Counterpart(const std::vector<ValueSpec>& after, size_t i, const std::string& name, bool by_position) {
  if (by_position) {
    REQUIRE(i < after.size());
    return after[i].name;
  }
  const bool there = std::any_of(after.begin(), after.end(), [&](const ValueSpec& spec) { return spec.name == name; });
  return there ? name : "";
}

int CompareNumbers(const GoldenCase& golden, Backend& backend, const Outcome& outcome, const std::string& numbers) {
  const bool by_position = numbers == "by-position";
  const std::unique_ptr<Session> before = Open(backend, testing::GoldenInput(golden));
  const std::unique_ptr<Session> after = Open(backend, outcome.proto);
  int compared = 0;
  for (const uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{3}}) {
    const auto feeds = RandomInputs(before->inputs(), seed, ShapesOf(golden), {});
    INFO(feeds.status());
    REQUIRE(feeds.ok());
    NamedTensors feeds_after;
    for (size_t i = 0; i < before->inputs().size(); ++i) {
      const std::string& name = before->inputs()[i].name;
      if (const std::string other = Counterpart(after->inputs(), i, name, by_position); !other.empty()) {
        feeds_after[other] = feeds->at(name);
      }
    }
    const auto expected = before->Run(*feeds, {});
    const auto got = after->Run(feeds_after, {});
    INFO(expected.status() << " / " << got.status());
    REQUIRE(expected.ok());
    REQUIRE(got.ok());
    for (size_t i = 0; i < before->outputs().size(); ++i) {
      const std::string& name = before->outputs()[i].name;
      const std::string other = Counterpart(after->outputs(), i, name, by_position);
      if (other.empty()) {
        CHECK(EffectOf(golden) == Effect::kChangesInterface);
        continue;
      }
      const TensorComparison comparison =
          CompareTensors(got->at(other), expected->at(name), ToleranceOf(EffectOf(golden)));
      INFO("output " << name << ": " << comparison.problem << " " << comparison.differing_bits << " differ");
      CHECK((numbers == "shapes" ? comparison.problem.empty() : comparison.equal));
      ++compared;
    }
  }
  return compared;
}

}  // namespace

TEST_CASE("numbers are what the effects of the passes promise") {
  const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no numbers are compared without a runtime: " << Message(backend.status()));
  }
  int compared = 0;
  for (const GoldenCase& golden : testing::GoldenCases()) {
    if (golden.Section("error") != nullptr) {
      continue;
    }
    DYNAMIC_SECTION(golden.name) {
      const Outcome outcome = Transform(golden, testing::GoldenInput(golden));
      REQUIRE(outcome.status.ok());
      const std::string numbers = golden.Directive("numbers", "by-name");
      if (numbers.starts_with("none: ")) {
        CHECK(EffectOf(golden) >= Effect::kApproximate);
        CHECK(numbers.size() > 10);
      } else if (numbers.starts_with("refused: ")) {
        const absl::StatusOr<std::string> bytes = SerializeInline(Model::FromProto(testing::GoldenInput(golden)));
        REQUIRE(bytes.ok());
        const absl::Status refusal = (*backend)->OpenBytes(*bytes, SessionOptions()).status();
        INFO(refusal);
        CHECK(std::string(Message(refusal)).find(numbers.substr(9)) != std::string::npos);
      } else {
        REQUIRE((numbers == "by-name" || numbers == "by-position" || numbers == "shapes"));
        CHECK((numbers != "shapes" || EffectOf(golden) >= Effect::kApproximate));
        CHECK(CompareNumbers(golden, **backend, outcome, numbers) > 0);
      }
    }
    ++compared;
  }
  CHECK(compared > 0);
}

}  // namespace gomai
