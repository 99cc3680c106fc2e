#pragma once

// What ONNX's schema functions see of a node: its attributes, input types and values; and where they put results.
// Internal to lib/shape; use infer.h.

#include <onnx/defs/shape_inference.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/shape/inference.h"

namespace gomai::shape {

class NodeContext final : public onnx::InferenceContext {
 public:
  NodeContext(Graph& graph, const onnx::NodeProto& node);

  const onnx::AttributeProto* getAttribute(const std::string& name) const override;
  size_t getNumInputs() const override { return inputs_.size(); }
  const onnx::TypeProto* getInputType(size_t index) const override;
  bool hasInput(size_t index) const override;
  const onnx::TensorProto* getInputData(size_t index) const override;
  const onnx::SparseTensorProto* getInputSparseData(size_t index) const override;
  const onnx::TensorShapeProto* getSymbolicInput(size_t index) const override;
  size_t getNumOutputs() const override { return outputs_.size(); }
  onnx::TypeProto* getOutputType(size_t index) override;
  bool hasOutput(size_t index) override;
  onnx::GraphInferencer* getGraphAttributeInferencer(const std::string& name) override;
  std::string getDisplayName() const override { return node_.op_type(); }

  std::vector<onnx::TypeProto>& outputs() { return outputs_; }

 private:
  const Known* Input(size_t index) const;

  Graph& graph_;
  const onnx::NodeProto& node_;
  std::vector<const Known*> inputs_;
  std::vector<onnx::TypeProto> outputs_;
  std::map<std::string, std::unique_ptr<onnx::GraphInferencer>> bodies_;
};

class ValueContext final : public onnx::DataPropagationContext {
 public:
  ValueContext(Graph& graph, const onnx::NodeProto& node);

  const onnx::AttributeProto* getAttribute(const std::string& name) const override;
  size_t getNumInputs() const override { return static_cast<size_t>(node_.input_size()); }
  const onnx::TypeProto* getInputType(size_t index) const override;
  size_t getNumOutputs() const override { return static_cast<size_t>(node_.output_size()); }
  const onnx::TypeProto* getOutputType(size_t index) const override;
  const onnx::TensorShapeProto* getInputData(size_t index) override;
  void addOutputData(size_t index, onnx::TensorShapeProto&& values) override;

 private:
  Graph& graph_;
  const onnx::NodeProto& node_;
};

// The values of an integer scalar or vector, as far as they are known: propagated, constant, or so many unknown ones.
// nullptr: nothing is known, or there are too many.
const onnx::TensorShapeProto* KnownValues(Known& known);

}  // namespace gomai::shape
