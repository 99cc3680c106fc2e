#pragma once

// Every TensorProto of a model, wherever it stands: initializers, attributes, bodies, functions, training info.
//
//   ForEachTensor(model.proto(), [&](const onnx::TensorProto& tensor, TensorPlace place) { ... });
//
// In a fixed order (a graph's initializers, then its nodes' attributes, then bodies in the order they were met).
// Iterative: depth of bodies costs no machine stack.

#include <onnx/onnx_pb.h>

#include <deque>
#include <type_traits>

namespace gomai {

enum class TensorPlace { kInitializer, kSparseInitializer, kAttribute, kSparseAttribute };

// Proto: onnx::ModelProto or const onnx::ModelProto.
template <typename Proto, typename Visit>
void ForEachTensor(Proto& model, const Visit& visit) {
  constexpr bool kConst = std::is_const_v<Proto>;
  using Graph = std::conditional_t<kConst, const onnx::GraphProto, onnx::GraphProto>;
  std::deque<Graph*> graphs;
  const auto sparse = [&](auto& tensor, TensorPlace place) {
    if constexpr (kConst) {
      if (tensor.has_values()) visit(tensor.values(), place);
      if (tensor.has_indices()) visit(tensor.indices(), place);
    } else {
      if (tensor.has_values()) visit(*tensor.mutable_values(), place);
      if (tensor.has_indices()) visit(*tensor.mutable_indices(), place);
    }
  };
  const auto attribute = [&](auto& a) {
    if constexpr (kConst) {
      if (a.has_t()) visit(a.t(), TensorPlace::kAttribute);
      for (const auto& t : a.tensors()) visit(t, TensorPlace::kAttribute);
      if (a.has_sparse_tensor()) sparse(a.sparse_tensor(), TensorPlace::kSparseAttribute);
      for (const auto& t : a.sparse_tensors()) sparse(t, TensorPlace::kSparseAttribute);
      if (a.has_g()) graphs.push_back(&a.g());
      for (const auto& g : a.graphs()) graphs.push_back(&g);
    } else {
      if (a.has_t()) visit(*a.mutable_t(), TensorPlace::kAttribute);
      for (auto& t : *a.mutable_tensors()) visit(t, TensorPlace::kAttribute);
      if (a.has_sparse_tensor()) sparse(*a.mutable_sparse_tensor(), TensorPlace::kSparseAttribute);
      for (auto& t : *a.mutable_sparse_tensors()) sparse(t, TensorPlace::kSparseAttribute);
      if (a.has_g()) graphs.push_back(a.mutable_g());
      for (auto& g : *a.mutable_graphs()) graphs.push_back(&g);
    }
  };
  const auto node = [&](auto& n) {
    if constexpr (kConst) {
      for (const auto& a : n.attribute()) attribute(a);
    } else {
      for (auto& a : *n.mutable_attribute()) attribute(a);
    }
  };
  const auto drain = [&] {
    while (!graphs.empty()) {
      Graph& graph = *graphs.front();
      graphs.pop_front();
      if constexpr (kConst) {
        for (const auto& t : graph.initializer()) visit(t, TensorPlace::kInitializer);
        for (const auto& t : graph.sparse_initializer()) sparse(t, TensorPlace::kSparseInitializer);
        for (const auto& n : graph.node()) node(n);
      } else {
        for (auto& t : *graph.mutable_initializer()) visit(t, TensorPlace::kInitializer);
        for (auto& t : *graph.mutable_sparse_initializer()) sparse(t, TensorPlace::kSparseInitializer);
        for (auto& n : *graph.mutable_node()) node(n);
      }
    }
  };
  if constexpr (kConst) {
    if (model.has_graph()) graphs.push_back(&model.graph());
    drain();
    for (const auto& f : model.functions()) {
      for (const auto& a : f.attribute_proto()) attribute(a);
      for (const auto& n : f.node()) node(n);
      drain();
    }
    for (const auto& t : model.training_info()) {
      if (t.has_initialization()) graphs.push_back(&t.initialization());
      if (t.has_algorithm()) graphs.push_back(&t.algorithm());
      drain();
    }
  } else {
    if (model.has_graph()) graphs.push_back(model.mutable_graph());
    drain();
    for (auto& f : *model.mutable_functions()) {
      for (auto& a : *f.mutable_attribute_proto()) attribute(a);
      for (auto& n : *f.mutable_node()) node(n);
      drain();
    }
    for (auto& t : *model.mutable_training_info()) {
      if (t.has_initialization()) graphs.push_back(t.mutable_initialization());
      if (t.has_algorithm()) graphs.push_back(t.mutable_algorithm());
      drain();
    }
  }
}

}  // namespace gomai
