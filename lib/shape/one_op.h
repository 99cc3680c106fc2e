#pragma once

// Models of a single operator: the smallest that there are, to see what a runtime or a device makes of it.
//
//   OneOp op{.op_type = "Conv", .opset = 17};
//   op.inputs.push_back({.name = "x", .type = float 1x3x8x8});
//   op.inputs.push_back({.name = "w", .value = tensor});
//   op.attributes = {{"kernel_shape", "[3,3]"}};
//   GOMAI_ASSIGN_OR_RETURN(Model model, MakeOneOp(op));

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

struct OneOpInput {
  std::string name;                        // "": absent
  onnx::TypeProto type;                    // of an input of the model
  std::optional<onnx::TensorProto> value;  // an initializer
};

struct OneOp {
  std::string op_type;
  std::string domain;
  int64_t opset = 17;
  int64_t ir_version = 0;  // 0: that of the time of the opset
  std::string name;        // of the node
  std::vector<OneOpInput> inputs;
  std::vector<std::pair<std::string, std::string>> attributes;  // as text; the schema gives the type
  std::vector<std::string> outputs;                             // empty: as many as the operator must have
};

// Output types are inferred. Errors: kNotFound for an operator or attribute that ONNX doesn't know at that opset, with
// the nearest names; kInvalidArgument for a number or a type of inputs that it doesn't take, a required attribute that
// lacks, and shapes that inference finds impossible.
absl::StatusOr<Model> MakeOneOp(const OneOp& op);

}  // namespace gomai
