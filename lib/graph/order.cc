// Topological order and cycles. Kahn's algorithm with a heap of positions: of the nodes that are ready the first in
// file order goes next, so a graph in a right order stays as it is and one in a wrong order changes little.
#include "lib/graph/order.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace gomai {
namespace {

constexpr size_t kListed = 8;

std::string CycleText(const Index& index, ScopeId scope, const std::vector<int32_t>& positions) {
  std::string text;
  for (size_t i = 0; i < std::min(positions.size(), kListed); ++i) {
    const NodeId id = index.scope(scope).nodes[static_cast<size_t>(positions[i])];
    text += fmt::format("{}{}", i == 0 ? "" : ", ", index.Describe(id));
  }
  if (positions.size() > kListed) {
    text += fmt::format(" and {} more", positions.size() - kListed);
  }
  return text;
}

}  // namespace

std::vector<std::vector<int32_t>> FindCycles(const std::vector<std::vector<int32_t>>& edges) {
  struct Frame {
    int32_t vertex;
    size_t next_edge;
  };
  const size_t count = edges.size();
  std::vector<int32_t> number(count, 0);  // 0: not met
  std::vector<int32_t> low(count, 0);
  std::vector<bool> on_path(count);
  std::vector<int32_t> path;
  std::vector<Frame> stack;
  std::vector<std::vector<int32_t>> cycles;
  int32_t last = 0;
  const auto enter = [&](int32_t vertex) {
    const auto v = static_cast<size_t>(vertex);
    number[v] = low[v] = ++last;
    path.push_back(vertex);
    on_path[v] = true;
    stack.push_back({vertex, 0});
  };
  for (size_t root = 0; root < count; ++root) {
    if (number[root] == 0) {
      enter(static_cast<int32_t>(root));
    }
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const int32_t vertex = frame.vertex;
      const auto v = static_cast<size_t>(vertex);
      if (frame.next_edge < edges[v].size()) {
        const int32_t target = edges[v][frame.next_edge++];
        const auto t = static_cast<size_t>(target);
        if (number[t] == 0) {
          enter(target);
        } else if (on_path[t]) {
          low[v] = std::min(low[v], number[t]);
        }
        continue;
      }
      stack.pop_back();
      if (!stack.empty()) {
        const auto up = static_cast<size_t>(stack.back().vertex);
        low[up] = std::min(low[up], low[v]);
      }
      if (low[v] == number[v]) {
        std::vector<int32_t> component;
        do {
          component.push_back(path.back());
          on_path[static_cast<size_t>(path.back())] = false;
          path.pop_back();
        } while (component.back() != vertex);
        if (component.size() > 1 || std::find(edges[v].begin(), edges[v].end(), vertex) != edges[v].end()) {
          std::sort(component.begin(), component.end());
          cycles.push_back(std::move(component));
        }
      }
    }
  }
  std::sort(cycles.begin(), cycles.end());
  return cycles;
}

std::vector<std::vector<int32_t>> Dependencies(const Index& index, ScopeId scope) {
  const std::vector<NodeId>& nodes = index.scope(scope).nodes;
  std::vector<std::vector<int32_t>> needs(nodes.size());
  for (size_t position = 0; position < nodes.size(); ++position) {
    const Index::Node& node = index.node(nodes[position]);
    std::vector<int32_t>& list = needs[position];
    for (const std::vector<ValueId>* reads : {&node.inputs, &node.captures}) {
      for (const ValueId value : *reads) {
        if (value != kNone && index.value(value).scope == scope && index.value(value).producer != kNone) {
          list.push_back(index.node(index.value(value).producer).position);
        }
      }
    }
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  return needs;
}

absl::StatusOr<std::vector<NodeId>> TopologicalOrder(const Index& index, ScopeId scope) {
  const std::vector<NodeId>& nodes = index.scope(scope).nodes;
  const std::vector<std::vector<int32_t>> needs = Dependencies(index, scope);
  std::vector<std::vector<int32_t>> feeds(nodes.size());
  std::vector<size_t> waiting(nodes.size());
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ready;
  for (size_t position = 0; position < nodes.size(); ++position) {
    waiting[position] = needs[position].size();
    for (const int32_t need : needs[position]) {
      feeds[static_cast<size_t>(need)].push_back(static_cast<int32_t>(position));
    }
    if (waiting[position] == 0) {
      ready.push(static_cast<int32_t>(position));
    }
  }
  std::vector<NodeId> order;
  order.reserve(nodes.size());
  while (!ready.empty()) {
    const auto position = static_cast<size_t>(ready.top());
    ready.pop();
    order.push_back(nodes[position]);
    for (const int32_t reader : feeds[position]) {
      if (--waiting[static_cast<size_t>(reader)] == 0) {
        ready.push(reader);
      }
    }
  }
  if (order.size() != nodes.size()) {
    std::string text;
    for (const std::vector<int32_t>& cycle : FindCycles(needs)) {
      text += fmt::format("{}{}", text.empty() ? "" : "; another: ", CycleText(index, scope, cycle));
    }
    return DataLoss("{}: a cycle through {}; no order exists in which each node comes after what it reads",
                    index.ScopeName(scope), text);
  }
  return order;
}

}  // namespace gomai
