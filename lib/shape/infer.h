#pragma once

// Shapes and types of every value, inferred without touching the model; and ONNX's own checker, wrapped so that
// nothing throws.
//
// InferShapes calls the inference and data propagation that ONNX's schemas define for each operator, one node after
// another, and infers further where that leaves a value without a rank: the length of a Reshape, Expand or
// ConstantOfShape operand gives the rank, branches of one rank give an If's, a Loop's body is run to a fixed point, and
// so on (lib/shape/rules.h). Weights are never read; constants under 4 KiB are, wherever they are stored. Declared
// shapes of values that nodes produce aren't trusted, since an edit may have made them false: only where inference
// finds no rank, the declared shape is taken and marked.
//
//   GOMAI_ASSIGN_OR_RETURN(Shapes shapes, InferShapes(model, index));
//   const onnx::TypeProto* type = shapes.Find("features");
//
// Cost: O(nodes) calls of schema functions, some 10 ms for 2,500 nodes. Thread-safe on models that nobody edits.

#include <onnx/onnx_pb.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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

  // True if the shape (or the whole type) isn't inferred but what the model declares.
  bool IsDeclared(std::string_view value) const { return declared_.count(std::string(value)) != 0; }
  void MarkDeclared(std::string_view value) { declared_.emplace(value); }

  // For each dim that isn't fixed the most that it can be (fixed ones: their size), INT64_MAX if nothing bounds it: a
  // Slice [:100], a TopK, a NonMaxSuppression upstream. nullptr: nothing bounds any.
  const std::vector<int64_t>* Limits(std::string_view value) const;
  void SetLimits(std::string_view value, std::vector<int64_t> limits);

  // Nodes whose inference failed (inconsistent shapes, a broken attribute), as "ADDRESS (Op): message"; in node order.
  const std::vector<std::string>& problems() const { return problems_; }
  void AddProblem(std::string problem) { problems_.push_back(std::move(problem)); }

 private:
  std::unordered_map<std::string, onnx::TypeProto> types_;
  std::unordered_set<std::string> declared_;
  std::unordered_map<std::string, std::vector<int64_t>> limits_;
  std::vector<std::string> problems_;
};

// Errors: kDataLoss for a main graph with a cycle. Nodes that fail are no error: see Shapes::problems().
absl::StatusOr<Shapes> InferShapes(const Model& model, const Index& index);

// The same for every scope that inference reaches, by ValueId: the main graph and the bodies in it. A body that runs
// several times has the types that hold each time. Types of values in functions, and of what nothing is known of, are
// unset (value_case() is VALUE_NOT_SET). `problems`, if given: Shapes::problems().
absl::StatusOr<std::vector<onnx::TypeProto>> InferTypes(const Model& model, const Index& index,
                                                        std::vector<std::string>* problems = nullptr);

// All that inference finds, by ValueId: types as InferTypes gives them, and
struct Facts {
  std::vector<onnx::TypeProto> types;
  // Does the type follow from inputs and constants alone? Else it rests on what a model declares of a value in between,
  // which may be false.
  std::vector<bool> proven;
  // Integer and bool tensors that are computed from fixed sizes, proven ones (Shape of a fixed shape and what follows):
  // their values, inline and without a name.
  std::vector<std::optional<onnx::TensorProto>> computed;
  // For each dim that isn't fixed the most that it can be, INT64_MAX if nothing bounds it. Empty: no rank, or no bound.
  std::vector<std::vector<int64_t>> limits;
  std::vector<std::string> problems;  // Shapes::problems()
};
absl::StatusOr<Facts> InferFacts(const Model& model, const Index& index);

// ONNX's full checker (schemas, types, shapes) on a file, by path. kDataLoss with its message. Runs Gomai's own
// verifier first, since a hostile graph can crash ONNX's code. It refuses a file with hard links or symlinks to
// external data, as ONNX's loader does.
absl::Status CheckModelFile(const std::filesystem::path& file);

// "1x3x480x640", "?x4", "[N,4]": rank known; "?" alone: rank unknown. A scalar is "[]".
std::string ShapeText(const onnx::TypeProto& type);
// The other way round, for a known rank: "1x3x480x640", "[1,3,H,W]"; "?" or a symbol for an open dim ("[]" and "" are
// scalars). kInvalidArgument.
absl::StatusOr<onnx::TensorShapeProto> ParseShapeText(std::string_view text);

// The tensor shape in a type, or nullptr: not a tensor, or its rank is unknown.
const onnx::TensorShapeProto* FindShape(const onnx::TypeProto& type);
onnx::TensorShapeProto* MutableShape(onnx::TypeProto& type);

}  // namespace gomai
