#pragma once

// Constants that a pass adds: as initializers, or as Constant nodes where a graph can't hold one.
//
//   NewConstants constants(context);
//   const std::string name = constants.Add(node, "steps", IntVector({2, 2}));
//
// Equal tensors of one scope and stem become one constant. Functions hold no initializers, and in a model of an IR
// version below 4 initializers must be inputs as well: there a Constant node is inserted before the node that asks
// first.

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "lib/pass/pass.h"

namespace gomai {

class NewConstants {
 public:
  explicit NewConstants(PassContext& context);

  // The name under which `node` reads the tensor; a fresh one made of `stem`, or that of an equal tensor of the
  // same stem.
  std::string Add(NodeId node, std::string_view stem, onnx::TensorProto tensor);

 private:
  bool MustBeNode(ScopeId scope) const;

  const Index& index_;
  Editor& editor_;
  const bool old_ir_;
  std::map<std::tuple<ScopeId, std::string, std::string>, std::string> names_;  // by stem and the tensor's bytes
};

// A Constant that gives the tensor as `output`; the tensor's own name goes.
onnx::NodeProto ConstantNode(std::string name, std::string output, onnx::TensorProto tensor);

// Tensors without a name.
onnx::TensorProto IntVector(const std::vector<int64_t>& values);
// raw_data of the given dims; the bytes are little-endian and row-major.
onnx::TensorProto RawTensor(int dtype, const std::vector<int64_t>& dims, std::string bytes);

}  // namespace gomai
