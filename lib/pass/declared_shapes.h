#pragma once

// Declared shapes against inferred ones, in the main graph and in all bodies: what an edit made false is brought up to
// date, and, if asked for, what is declared open is completed.
//
//   GOMAI_ASSIGN_OR_RETURN(auto changes, RefreshDeclaredShapes(model, {.complete = CompleteShapes::kNumbers}));
//
// Cost: one shape inference (lib/shape/infer.h). Declarations inside functions aren't looked at: they must hold for
// every call.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/pass/pipeline.h"

namespace gomai {

enum class CompleteShapes {
  kNo,
  kNumbers,  // an open or symbolic dim that is inferred as a number becomes it; so does a wholly known missing shape
  kAll,      // and what lacks a type, a rank or a dim gets what is inferred, symbols too
};

struct RefreshOptions {
  bool correct = true;         // dtypes, ranks and numbers that are provably false
  bool allow_outputs = false;  // those of the model's outputs too; else kFailedPrecondition names one
  CompleteShapes complete = CompleteShapes::kNo;
  bool add = false;  // value_info for every value of a node that has none
};

// Corrects each declaration (value_info, graph outputs, inputs and outputs of bodies) whose dtype, rank or a known dim
// is now provably another; a false dim gets the inferred value, everything else of the declaration stays. The main
// graph's inputs are what all is inferred from, so they stay. Declarations of values that no longer exist aren't
// touched: they are prune's. A value in a body is reported as "NAME in BODY".
absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, const RefreshOptions& options);

// The same where the model's types are inferred already: by InferTypes, of this model, which `index` is of. Both hold
// afterwards too, unless options.add.
absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, const Index& index,
                                                               const std::vector<onnx::TypeProto>& types,
                                                               const RefreshOptions& options);

// The corrections alone.
absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, bool allow_outputs);

// Two lists as one: a value in both is reported once, from its first shape to its last.
std::vector<ShapeChange> MergeShapeChanges(std::vector<ShapeChange> changes, std::vector<ShapeChange> more);

// "float32 [3,height,width]": a declaration in reports.
std::string DeclaredText(const onnx::TypeProto& type);

}  // namespace gomai
