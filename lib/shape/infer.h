#pragma once

// Shapes and types of every value, inferred on a copy; and ONNX's own checker, both wrapped so that nothing throws.
//
// InferShapes runs ONNX's inference with data propagation on a copy of the skeleton (small external and inline
// constants included), then infers further what ONNX leaves without a rank: the length of a Reshape, Expand or
// ConstantOfShape operand gives the rank, branches of one rank give an If's, and so on to a fixed point. The model
// isn't touched.
//
//   GOMAI_ASSIGN_OR_RETURN(Shapes shapes, InferShapes(model, index));
//   const onnx::TypeProto* type = shapes.Find("/backbone/Conv_output_0");

#include <onnx/onnx_pb.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"

namespace gomai {

class Shapes {
 public:
  // The main graph's values (inputs, outputs, initializers too). nullptr: nothing known.
  const onnx::TypeProto* Find(std::string_view value) const;
  void Set(std::string_view value, onnx::TypeProto type);
  size_t size() const { return types_.size(); }

 private:
  std::unordered_map<std::string, onnx::TypeProto> types_;
};

// Errors: kDataLoss with ONNX's message if inference itself fails (inconsistent shapes): callers warn and go on.
absl::StatusOr<Shapes> InferShapes(const Model& model, const Index& index);

// ONNX's full checker (schemas, types, shapes) on a file, by path. kDataLoss with its message. Runs Gomai's own
// verifier first on what would crash it. Only on files this library wrote or has verified.
absl::Status CheckModelFile(const std::filesystem::path& file);

// "1x3x544x960", "?x4", "[N,4]": rank known; "?" alone: rank unknown.
std::string ShapeText(const onnx::TypeProto& type);

}  // namespace gomai
