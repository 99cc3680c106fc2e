// See random_check.h. A graph's features and size follow from its seed; shrinking keeps the seed, so that smaller
// graphs are other graphs of the same family, which mostly fail in the same way.
#include "tests/support/random_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tests/support/wire_check.h"

namespace gomai::testing {

std::string CheckRandomGraph(const RandomGraphOptions& options, const GraphProperty& property) {
  const RandomGraph graph = MakeRandomGraph(options);
  const TemporaryFolder folder;
  for (const auto& [name, bytes] : graph.files) {
    WriteFile(folder / name, bytes);
  }
  std::string bytes;
  if (!SerializeDeterministic(graph.model, &bytes)) {
    return "can't be serialised";
  }
  WriteFile(folder / "m.onnx", bytes);
  std::mt19937_64 random(options.seed);
  return property({graph, folder, folder / "m.onnx"}, random);
}

std::string CheckRandomGraphs(int count, uint32_t features, const GraphProperty& property) {
  // A longer hunt than each run of the tests can afford.
  const char* times = std::getenv("GOMAI_RANDOM_GRAPHS_TIMES");
  count *= times == nullptr ? 1 : std::max(1, std::atoi(times));
  for (int seed = 0; seed < count; ++seed) {
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    RandomGraphOptions options;
    options.seed = static_cast<uint64_t>(seed);
    // Three of four features each time: which ones there are together matters.
    options.features = features & static_cast<uint32_t>(random() | random());
    options.nodes = static_cast<int>(random() % 24) + 1;
    std::string wrong = CheckRandomGraph(options, property);
    if (wrong.empty()) {
      continue;
    }
    for (bool smaller = true; smaller;) {
      smaller = false;
      const auto attempt = [&](RandomGraphOptions candidate) {
        if (std::string still = CheckRandomGraph(candidate, property); !still.empty()) {
          wrong = std::move(still);
          options = candidate;
          smaller = true;
        }
      };
      for (uint32_t bit = 1; bit <= kAllFeatures; bit <<= 1) {
        if ((options.features & bit) != 0) {
          attempt({options.seed, options.features & ~bit, options.nodes});
        }
      }
      for (int nodes = 0; nodes < options.nodes; ++nodes) {
        attempt({options.seed, options.features, nodes});
      }
    }
    return fmt::format("{}\nof {{.seed = {}, .features = {:#x}, .nodes = {}}} ({})\n{}", wrong, options.seed,
                       options.features, options.nodes, FeatureNames(options.features),
                       MakeRandomGraph(options).model.ShortDebugString());
  }
  return "";
}

}  // namespace gomai::testing
