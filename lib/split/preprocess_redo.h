#pragma once

// A preprocessing done again from its description alone, as the proof that the description is right. Internal to
// lib/split; use preprocess_rule.h.

#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/split/image_layout.h"

namespace gomai {

// What a resize or pad of this description makes of an image of this size. nullopt: the rule is unknown.
std::optional<ImageSize> ResizedSize(const nlohmann::ordered_json& step, const ImageSize& image);
std::optional<ImageSize> PaddedSize(const nlohmann::ordered_json& step, const ImageSize& image);

// The network's input that `steps` of a preprocess.json make of this image. Leading dims may differ from the model's.
// Errors: kFailedPrecondition for steps that can't be redone (unknown ones), the runtime's.
absl::StatusOr<HostTensor> RedoPreprocess(const nlohmann::ordered_json& steps, const HostTensor& image,
                                          Backend& backend);

// The largest difference between what the model makes and what was redone, in their unit; `largest` is raised to the
// largest of the model's values. kFailedPrecondition if dtype or shape differ, leading dims of 1 aside.
absl::StatusOr<double> DifferenceOf(const HostTensor& made, const HostTensor& redone, double* largest);

}  // namespace gomai
