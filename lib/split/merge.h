#pragma once

// Merge: the parts of a split put together again, and models joined.
//
// MergeParts is the inverse of a split: nodes, values, names, opsets, metadata and their order are the model's again
// (what no output needed is in no part, so it stays away; what the model says of an input that nothing reads is in the
// manifest). A constant that several parts carry is there once. A
// part that was changed since has to be named as its own replacement; a name that its new insides share with another
// part gets the prefix "PART/".
//
//   GOMAI_ASSIGN_OR_RETURN(Model model, MergeParts("parts/manifest.json", {}, diagnostics));
//
// JoinModels puts models one behind another: outputs of earlier ones feed inputs of later ones. A name of a later model
// that is in use already gets the prefix "STEM/", its file's stem.
//
// Cost: O(nodes); weights aren't read, but those of constants that several models carry under one name.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/split/part_file.h"

namespace gomai {

// Errors: those of ReadManifest and FindPartFile; kFailedPrecondition for a part whose interface isn't the manifest's;
// kInvalidArgument for parts of different opsets.
absl::StatusOr<Model> MergeParts(const std::filesystem::path& manifest_file, const Replacements& replace,
                                 const Diagnostics& diagnostics);

struct Join {
  std::string output;  // of an earlier model, by its own name or by the one it has in the result
  std::string input;   // of a later one; "STEM/INPUT" where several have an input of that name
};

struct JoinOptions {
  std::vector<Join> joins;
  bool keep_joined = false;  // joined outputs stay outputs
  // Models at another opset of ONNX's own domain are converted to this one first (lib/pass/convert_opset.h).
  std::optional<int64_t> convert_opset = std::nullopt;
};

// Errors: kNotFound for an output or input that isn't there, with the nearest names; kInvalidArgument for one that
// several models have, for two joins into one input, for a dtype or a known dim that differs, for opsets that differ;
// kFailedPrecondition for a model that can't be converted, naming it.
absl::StatusOr<Model> JoinModels(const std::vector<std::filesystem::path>& files, const JoinOptions& options,
                                 const Diagnostics& diagnostics);

}  // namespace gomai
