// ONNX Runtime computes the same bits from a random graph (tests/support/random_graph.h) before and after each pass
// that promises so, wherever its weights are stored, and cut into parts.
#include <catch2/catch_test_macros.hpp>

#include "lib/compare/tensors.h"
#include "lib/model/save.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/split/chain.h"
#include "lib/split/merge.h"
#include "tests/support/random_check.h"
#include "tests/support/random_plan.h"

namespace gomai {
namespace {

using testing::StoredGraph;

SessionOptions Reference() {
  SessionOptions options;
  options.threads = 1;
  return options;
}

absl::StatusOr<NamedTensors> Feeds(const std::vector<ValueSpec>& inputs, const StoredGraph& stored) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const ValueSpec& input : inputs) {
    if (input.name == "x") {
      shapes["x"] = {stored.graph.rows, 4};
    }
  }
  return RandomInputs(inputs, stored.graph.rows == 0 ? 1 : 2, shapes, {});
}

absl::StatusOr<NamedTensors> Compute(Backend& backend, const std::filesystem::path& file, const StoredGraph& stored) {
  GOMAI_ASSIGN_OR_RETURN(const auto session, backend.Open(file, Reference()));
  GOMAI_ASSIGN_OR_RETURN(const NamedTensors feeds, Feeds(session->inputs(), stored));
  return session->Run(feeds, {});
}

// "" if `after` has the tensors of `before`, bit for bit.
std::string Compare(const NamedTensors& before, const absl::StatusOr<NamedTensors>& after) {
  if (!after.ok()) {
    return after.status().ToString();
  }
  if (after->size() != before.size()) {
    return fmt::format("{} outputs, not {}", after->size(), before.size());
  }
  Tolerance bits;
  bits.bits = true;
  for (const auto& [name, tensor] : before) {
    const auto other = after->find(name);
    if (other == after->end()) {
      return fmt::format("no output '{}'", name);
    }
    if (const TensorComparison compared = CompareTensors(other->second, tensor, bits); !compared.equal) {
      return fmt::format("output '{}': {} {}", name, compared.Why(), compared.problem);
    }
  }
  return "";
}

std::unique_ptr<Backend> Runtime() {
  absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  return *std::move(backend);
}

void CheckGraphs(int count, const testing::GraphProperty& property) {
  const std::string wrong = testing::CheckRandomGraphs(count, testing::kRunnableFeatures, property);
  INFO(wrong);
  CHECK(wrong.empty());
}

TEST_CASE("the runtime computes the same bits from a random graph before and after passes") {
  const std::unique_ptr<Backend> backend = Runtime();
  CheckGraphs(150, [&](const StoredGraph& stored, std::mt19937_64& random) -> std::string {
    const absl::StatusOr<NamedTensors> before = Compute(*backend, stored.file, stored);
    if (!before.ok()) {
      return "before: " + before.status().ToString();
    }
    for (const char* pass : {"prune", "sort", "dedupe-initializers", "fold-identity", "lift-constants",
                             "name-nodes{duplicates=true}", "inline-functions", "fold-constants", "remove-no-ops",
                             "dedupe-nodes", "fold-constants,fold-identity,remove-no-ops,dedupe-nodes,prune",
                             "lift-constants,dedupe-initializers,fold-identity,sort,prune"}) {
      absl::StatusOr<Model> model = Model::Load(stored.file);
      const absl::StatusOr<Pipeline> pipeline = ParsePipeline(pass);
      if (!model.ok() || !pipeline.ok()) {
        return model.status().ToString() + pipeline.status().ToString();
      }
      if (const auto report = RunPipeline(*pipeline, *model, {}, Diagnostics()); !report.ok()) {
        return fmt::format("{}: {}", pass, report.status().ToString());
      }
      if (model->Unchanged()) {
        continue;
      }
      SaveOptions options;
      options.weights = std::array{Weights::kKeep, Weights::kInline, Weights::kExternal}[random() % 3];
      const std::filesystem::path out = stored.folder / fmt::format("{}.onnx", std::string_view(pass).substr(0, 20));
      if (const auto report = Save(*model, out, options); !report.ok()) {
        return fmt::format("{}: {}", pass, report.status().ToString());
      }
      if (const std::string wrong = Compare(*before, Compute(*backend, out, stored)); !wrong.empty()) {
        return fmt::format("{}: {}", pass, wrong);
      }
    }
    return "";
  });
}

TEST_CASE("the parts of a random graph compute its bits as a chain, and merged again") {
  const std::unique_ptr<Backend> backend = Runtime();
  int chains = 0;
  CheckGraphs(200, [&](const StoredGraph& stored, std::mt19937_64& random) -> std::string {
    const absl::StatusOr<Model> model = Model::Load(stored.file);
    if (!model.ok()) {
      return model.status().ToString();
    }
    bool applies = false;
    const absl::Status split = testing::SplitAtRandom(*model, stored.folder / "parts", random, &applies);
    if (!split.ok() || !applies) {
      return split.ok() ? "" : split.ToString();
    }
    const absl::StatusOr<NamedTensors> before = Compute(*backend, stored.file, stored);
    if (!before.ok()) {
      return "before: " + before.status().ToString();
    }
    const std::filesystem::path manifest = stored.folder / "parts/manifest.json";
    ChainOptions options;
    options.session = Reference();
    const absl::StatusOr<std::unique_ptr<Chain>> chain = Chain::Open(manifest, *backend, options);
    if (!chain.ok()) {
      return "chain: " + chain.status().ToString();
    }
    const absl::StatusOr<NamedTensors> feeds = Feeds((*chain)->inputs(), stored);
    if (!feeds.ok()) {
      return "chain: " + feeds.status().ToString();
    }
    if (const std::string wrong = Compare(*before, (*chain)->Run(*feeds, nullptr)); !wrong.empty()) {
      return "chain: " + wrong;
    }
    ++chains;
    const absl::StatusOr<Model> merged = MergeParts(manifest, {}, Diagnostics());
    if (!merged.ok()) {
      return "merged: " + merged.status().ToString();
    }
    const std::filesystem::path out = stored.folder / "parts/merged.onnx";
    if (const auto report = Save(*merged, out, {}); !report.ok()) {
      return "merged: " + report.status().ToString();
    }
    const std::string wrong = Compare(*before, Compute(*backend, out, stored));
    return wrong.empty() ? "" : "merged: " + wrong;
  });
  CHECK(chains > 100);
}

}  // namespace
}  // namespace gomai
