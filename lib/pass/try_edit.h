#pragma once

// Edits that a user asked for by hand, tried on a copy before they land.
//
//   return EditChecked(context, [&](Editor& editor) { editor.SetInput(node, 0, "x"); }, force);

#include <functional>

#include "lib/pass/pass.h"

namespace gomai {

// Makes the edits through context.editor(). Unless `force`, they are first made on a copy of the model: if inference
// then finds a node impossible that it found possible before (kernel_shape of the wrong length, a Reshape to another
// number of elements), nothing is edited and the error, kInvalidArgument, says which and why. `edit` is called twice
// then, with ids of the same meaning. Cost: two shape inferences.
absl::Status EditChecked(PassContext& context, const std::function<void(Editor&)>& edit, bool force);

}  // namespace gomai
