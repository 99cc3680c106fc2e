// Part files; see part_file.h. What is at the place of a part may have been quantised, patched or swapped since the
// split: nothing runs or is merged that the manifest doesn't describe.
#include "lib/split/part_file.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/base/text.h"
#include "lib/model/model.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

void Compare(const std::vector<ManifestTensor>& declared, const std::vector<ManifestTensor>& found,
             std::string_view what, std::vector<std::string>& differences) {
  std::map<std::string_view, const ManifestTensor*> by_name;
  for (const ManifestTensor& tensor : found) {
    by_name.emplace(tensor.name, &tensor);
  }
  for (const ManifestTensor& tensor : declared) {
    const auto other = by_name.find(tensor.name);
    if (other == by_name.end()) {
      differences.push_back(fmt::format("it has no {} '{}'", what, tensor.name));
      continue;
    }
    if (other->second->dtype != tensor.dtype || !ShapesAgree(tensor, *other->second)) {
      differences.push_back(fmt::format("its {} '{}' is {}, not {}{}", what, tensor.name, DescribeType(*other->second),
                                        DescribeType(tensor), tensor.shape ? "" : " of unknown rank"));
    }
    by_name.erase(other);
  }
  for (const ManifestTensor& tensor : found) {
    if (by_name.contains(tensor.name)) {
      differences.push_back(fmt::format("it has an {} '{}' that the manifest doesn't know", what, tensor.name));
    }
  }
}

}  // namespace

absl::StatusOr<Replacements> ParseReplacements(const std::vector<std::string>& texts) {
  Replacements replace;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      return InvalidArgument("--replace '{}' must be PART=FILE.onnx", text);
    }
    if (!replace.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
      return InvalidArgument("part '{}' is replaced twice", text.substr(0, equals));
    }
  }
  return replace;
}

absl::Status CheckReplacements(const Manifest& manifest, const std::filesystem::path& manifest_file,
                               const Replacements& replace) {
  std::vector<std::string_view> names;
  for (const ManifestPart& part : manifest.parts) {
    names.push_back(part.name);
  }
  for (const auto& [name, file] : replace) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const std::string near = DidYouMean(name, names);
      return NotFound("'{}' has no part '{}' to replace{}", manifest_file.string(), name,
                      near.empty() ? fmt::format("; its parts: {}", fmt::join(names, ", ")) : near);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::filesystem::path> FindPartFile(const ManifestPart& part, const std::filesystem::path& folder,
                                                   const Replacements& replace, bool check_digest) {
  if (const auto replacement = replace.find(part.name); replacement != replace.end()) {
    return replacement->second;
  }
  absl::StatusOr<std::filesystem::path> file = ResolveExternal(folder, part.file);
  if (!file.ok()) {
    return absl::IsNotFound(file.status())
               ? NotFound("the file '{}' of part '{}' is missing; split the model again, or put it back",
                          (folder / part.file).string(), part.name)
               : Annotate(file.status(), fmt::format("part '{}'", part.name));
  }
  if (check_digest) {
    GOMAI_ASSIGN_OR_RETURN(const std::string digest, SkeletonDigest(*file));
    if (digest != part.digest) {
      return FailedPrecondition(
          "part '{}' ('{}') was changed after the split: its digest is {}, and the manifest says {}; split the "
          "model again, or name the file as the part's replacement (--replace {}={})",
          part.name, file->string(), digest, part.digest, part.name, file->string());
    }
  }
  return file;
}

absl::Status CheckInterface(const ManifestPart& part, const std::filesystem::path& file,
                            const std::vector<ManifestTensor>& inputs, const std::vector<ManifestTensor>& outputs) {
  std::vector<std::string> differences;
  Compare(part.inputs, inputs, "input", differences);
  Compare(part.outputs, outputs, "output", differences);
  if (!differences.empty()) {
    return FailedPrecondition("'{}' doesn't fit as part '{}': {}", file.string(), part.name,
                              fmt::join(differences, "; "));
  }
  return absl::OkStatus();
}

}  // namespace gomai
