#pragma once

// What a removed preprocessing does, as data: so that it can be redone outside, in a few lines of any language.
//
// The path of the image through the model gives the steps and their constants (normalisation, interpolation); how sizes
// follow from sizes (shorter side to so many pixels, padding to a multiple) is found by running it on a few images and
// fitting the rules that are in use, and what each size that crosses means likewise. Then the description is put to the
// proof: it alone is run on some of the images, and what comes out compared with what the model makes. What isn't
// recognised, or differs, is listed under "unknown" and not guessed at. Format: docs/formats.md.

#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/split/strip.h"

namespace gomai {

// JSON. `file`: the preprocessing model's file name. Errors: the runtime's, for a model that it doesn't load.
absl::StatusOr<std::string> DescribePreprocess(const Stripped& stripped, const std::string& file, Backend& backend);

// Is this text such a description, of any version?
bool IsPreprocessDescription(std::string_view text);

}  // namespace gomai
