#pragma once

// Properties of random graphs: checked on many, and a failure made small.

#include <functional>
#include <random>
#include <string>

#include "lib/model/model.h"
#include "tests/support/paths.h"
#include "tests/support/random_graph.h"

namespace gomai::testing {

// A graph in a folder of its own: "m.onnx" and its data files.
struct StoredGraph {
  const RandomGraph& graph;
  const TemporaryFolder& folder;
  std::filesystem::path file;
};

// "" if the property holds, else what doesn't.
using GraphProperty = std::function<std::string(const StoredGraph&, std::mt19937_64&)>;

// Checks graphs of random size and features out of `features`, `count` of them. "" if all have the property; else the
// seed, the features and the size of a smaller graph that fails too (none of its features can be switched off by
// itself), and what is wrong with that one. GOMAI_RANDOM_GRAPHS_TIMES=10 in the environment checks ten times as many.
std::string CheckRandomGraphs(int count, uint32_t features, const GraphProperty& property);

// The same for one graph: to look at a failure that was reported.
std::string CheckRandomGraph(const RandomGraphOptions& options, const GraphProperty& property);

}  // namespace gomai::testing
