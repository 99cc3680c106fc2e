#pragma once

// Fixing the sizes of a model's inputs: what freeze-shapes and fix-batch share.
//
//   Model copy = model.Copy();
//   BindSymbol(copy.mutable_proto(), "height", 480);
//   GOMAI_ASSIGN_OR_RETURN(Inferred after, InferAll(copy, Index(copy.proto())));
//   NewProblems(before.problems, after.problems);              // why it can't run at that size
//
// A dim counts as open if it has no value, a symbol, an empty symbol, or a value below 1 (exporters write -1 and 0 for
// what they don't know).

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/pass/pass.h"

namespace gomai {

// The number that a dim is fixed at; nullopt if it is open.
std::optional<int64_t> FixedSize(const onnx::TensorShapeProto::Dimension& dim);

// Replaces a symbol by a number in every declaration of the main graph and its bodies, also in elements of sequences
// and optionals. The names of values whose declaration changed, with their shapes before and after.
std::vector<ShapeChange> BindSymbol(onnx::ModelProto& model, std::string_view symbol, int64_t size);

// The symbols in the shapes of the main graph's inputs, in order of first use.
std::vector<std::string> InputSymbols(const onnx::ModelProto& model);

// The initializer that gives an input its default value; nullptr if it has none.
const onnx::TensorProto* FindDefault(const onnx::ModelProto& model, std::string_view input);

// What shape inference finds impossible: its own problems, and what ONNX's inference lets pass: a Reshape to another
// number of elements than it is given, a Conv whose weight is for another number of channels. "ADDRESS (Op): message",
// in node order.
struct Inferred {
  std::vector<onnx::TypeProto> types;  // by ValueId
  std::vector<std::string> problems;
};
absl::StatusOr<Inferred> InferAll(const Model& model, const Index& index);

// Problems of nodes that had none before.
std::vector<std::string> NewProblems(const std::vector<std::string>& before, const std::vector<std::string>& after);

// "a; b and 3 more"
std::string ListProblems(const std::vector<std::string>& problems);

}  // namespace gomai
