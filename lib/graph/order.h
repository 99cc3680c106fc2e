#pragma once

// Strongly connected components of a small graph of integers: cycles of nodes, and functions that call each other.
//
// Iterative (Tarjan's algorithm with a stack of its own), O(vertices + edges).

#include <cstdint>
#include <vector>

#include "lib/graph/index.h"

namespace gomai {

// `edges[v]` lists where v leads. Only components that hold a cycle: several vertices, or one that leads to itself.
// Vertices of a component ascend, components by their first vertex.
std::vector<std::vector<int32_t>> FindCycles(const std::vector<std::vector<int32_t>>& edges);

// For each node of a scope, by position: the positions of the nodes in the same scope that it needs (inputs and
// captures), ascending, each once.
std::vector<std::vector<int32_t>> Dependencies(const Index& index, ScopeId scope);

}  // namespace gomai
