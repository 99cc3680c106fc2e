#pragma once

// The graphs of two models, scope by scope: inputs and outputs, nodes, declared types, initializers. Internal to
// lib/compare; use model_diff.h.

#include <deque>
#include <string>
#include <utility>

#include "lib/compare/node_match.h"

namespace gomai {

class GraphDiffer {
 public:
  // `prefix` stands before scopes' names and addresses: where these graphs lie, if not in the model itself.
  GraphDiffer(const Index& before, const Index& after, TensorDiffer& tensors, DiffLog& log, std::string prefix = "");

  // Two graphs or functions that belong together, and all bodies in them.
  absl::Status Diff(ScopeId before, ScopeId after);
  uint64_t nodes_matched() const { return nodes_matched_; }

 private:
  using Section = Difference::Section;
  struct Sides {
    ScopeId before;
    ScopeId after;
  };

  SpotFunction ScopeSpot(const Sides& scope, Section section) const;
  SpotFunction NodeSpot(NodeId before, NodeId after) const;
  SpotFunction NamedSpot(const Sides& scope, Section section, const std::string& name) const;
  std::string Address(const Index& index, NodeId id) const;

  absl::Status One(const Sides& scope);
  absl::Status FunctionDefaults(const onnx::FunctionProto& before, const onnx::FunctionProto& after,
                                const Sides& scope);
  void Interface(const Sides& scope);
  void MainList(const Sides& scope, const char* what, bool outputs);
  void BodyList(const Sides& scope, const char* what, bool outputs);
  void FunctionList(const Sides& scope, const char* what, bool outputs);
  void OutputMaker(const Sides& scope, const std::string& name);
  absl::Status Nodes(const Sides& scope);
  absl::Status Node(const Sides& scope, NodeId before, NodeId after);
  void Inputs(NodeId before, NodeId after, const SpotFunction& spot);
  void Outputs(NodeId before, NodeId after, const SpotFunction& spot);
  absl::Status Attributes(NodeId before, NodeId after, const SpotFunction& spot);
  absl::Status DefaultGraphs(const onnx::AttributeProto& before, const onnx::AttributeProto& after,
                             const std::string& prefix);
  absl::Status Attribute(const onnx::AttributeProto& before, const onnx::AttributeProto& after, const std::string& what,
                         const SpotFunction& spot);
  void QueueBodies(NodeId before, NodeId after, int attribute_before, int attribute_after);
  void ValueInfos(const Sides& scope);
  void Annotations(const Sides& scope);
  absl::Status Initializers(const Sides& scope);
  // A name as the other model's partner would be known: equal for values that are matched, whatever they are called.
  std::string KeyOf(const Index& index, ScopeId scope, const std::string& name, bool is_before) const;
  // Do the names mean matched values?
  bool SameValue(const Sides& scope, const std::string& before, const std::string& after) const;

  const Index& before_;
  const Index& after_;
  TensorDiffer& tensors_;
  DiffLog& log_;
  const DiffOptions& options_;
  std::string prefix_;
  NodeMatcher matcher_;
  const Matching& matching_;
  std::deque<Sides> queue_;      // bodies to come: enclosing graphs first
  size_t attributes_moved_ = 0;  // nodes of the present scope whose attributes are in another order
  uint64_t nodes_matched_ = 0;
};

// Two graphs that no index covers, since nothing runs them (training, defaults of a function's attributes); returns how
// many of their nodes are matched. Copies them.
absl::StatusOr<uint64_t> DiffLooseGraphs(const onnx::GraphProto& before, const onnx::GraphProto& after,
                                         const TensorDiffer& models, DiffLog& log, const std::string& prefix);

}  // namespace gomai
