#pragma once

// Declared shapes of a model whose inputs were opened: what was a number may be none any more.
//
//   GOMAI_ASSIGN_OR_RETURN(const Facts before, InferFacts(model, index));
//   ... dims of inputs of `edited`, a copy of it, become symbols ...
//   GOMAI_ASSIGN_OR_RETURN(auto changes, OpenDeclaredShapes(before, index, edited));

#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/pass/pass.h"
#include "lib/shape/infer.h"

namespace gomai {

// Each number in value_info, in a graph output or in what a body declares that inference proved before the edit and no
// longer finds is opened: it gets the symbol that inference finds, or none. The main graph's inputs stay. `before` and
// `index` are of the model before, whose scopes are those of `edited`; values are found by name. Cost: one shape
// inference.
absl::StatusOr<std::vector<ShapeChange>> OpenDeclaredShapes(const Facts& before, const Index& index, Model& edited);

}  // namespace gomai
