#pragma once

// The files of a manifest's parts, and whether what lies there is what the manifest says.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/split/manifest.h"

namespace gomai {

using Replacements = std::map<std::string, std::filesystem::path>;  // part -> file in its place

// "PART=FILE" each, as --replace has them; kInvalidArgument for another form, or a part named twice.
absl::StatusOr<Replacements> ParseReplacements(const std::vector<std::string>& texts);

// kNotFound for a part that the manifest doesn't have, with the nearest names.
absl::Status CheckReplacements(const Manifest& manifest, const std::filesystem::path& manifest_file,
                               const Replacements& replace);

// The part's file, in the manifest's `folder`, or what replaces it. Errors: kNotFound for a missing file;
// kInvalidArgument for one that leads out of the folder; kFailedPrecondition for one that was changed after the split
// (not asked of replacements, nor without `check_digest`).
absl::StatusOr<std::filesystem::path> FindPartFile(const ManifestPart& part, const std::filesystem::path& folder,
                                                   const Replacements& replace, bool check_digest);

// kFailedPrecondition naming all differences in names, dtypes and known dims.
absl::Status CheckInterface(const ManifestPart& part, const std::filesystem::path& file,
                            const std::vector<ManifestTensor>& inputs, const std::vector<ManifestTensor>& outputs);

}  // namespace gomai
