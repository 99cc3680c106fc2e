#pragma once

// The main graph and every body in it, of whatever node and depth; graphs inside functions and training information
// aren't visited.
//
//   ForEachGraph(*model.mutable_proto(), [&](onnx::GraphProto& graph) { ... });
//
// An outer graph comes before its bodies. Iterative: depth costs no machine stack. A visitor may change anything but
// the lists of nodes and attributes.

#include <onnx/onnx_pb.h>

#include <deque>
#include <type_traits>

namespace gomai {

// Proto: onnx::ModelProto or const onnx::ModelProto.
template <typename Proto, typename Visit>
void ForEachGraph(Proto& model, const Visit& visit) {
  constexpr bool kConst = std::is_const_v<Proto>;
  using Graph = std::conditional_t<kConst, const onnx::GraphProto, onnx::GraphProto>;
  std::deque<Graph*> graphs;
  const auto bodies = [&](auto& attribute) {
    if constexpr (kConst) {
      if (attribute.has_g()) graphs.push_back(&attribute.g());
      for (const auto& g : attribute.graphs()) graphs.push_back(&g);
    } else {
      if (attribute.has_g()) graphs.push_back(attribute.mutable_g());
      for (auto& g : *attribute.mutable_graphs()) graphs.push_back(&g);
    }
  };
  if (!model.has_graph()) {
    return;
  }
  if constexpr (kConst) {
    graphs.push_back(&model.graph());
  } else {
    graphs.push_back(model.mutable_graph());
  }
  while (!graphs.empty()) {
    Graph& graph = *graphs.front();
    graphs.pop_front();
    visit(graph);
    if constexpr (kConst) {
      for (const auto& node : graph.node()) {
        for (const auto& attribute : node.attribute()) bodies(attribute);
      }
    } else {
      for (auto& node : *graph.mutable_node()) {
        for (auto& attribute : *node.mutable_attribute()) bodies(attribute);
      }
    }
  }
}

}  // namespace gomai
