// External data: what its entries say and whether its location stays inside the model's folder; see tensor.h. Symlinks
// are followed before the check, and the path without them is what is opened.
#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "lib/base/text.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/wire/marker.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

std::string_view Entry(const onnx::TensorProto& tensor, std::string_view key) {
  std::string_view value;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == key) {
      value = entry.value();
    }
  }
  return value;
}

bool HasEntry(const onnx::TensorProto& tensor, std::string_view key) {
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == key) {
      return true;
    }
  }
  return false;
}

// Is `path` `folder` itself or in it? Both are free of symlinks and dots.
bool Contains(const fs::path& folder, const fs::path& path) {
  auto inner = path.begin();
  for (const fs::path& part : folder) {
    if (part.empty()) {
      continue;  // a trailing slash
    }
    if (inner == path.end() || *inner != part) {
      return false;
    }
    ++inner;
  }
  return true;
}

absl::Status Escapes(std::string_view location, std::string_view how) {
  return InvalidArgument(
      "external data location '{}' {}; it has to lie in the model's folder: move the file there and correct the "
      "location",
      location, how);
}

// `base` (free of symlinks) with `relative` after it and all symlinks followed, whether or not something is there: the
// standard library's weakly_canonical stops at a symlink that dangles. nullopt: symlinks in a circle.
std::optional<fs::path> Follow(const fs::path& base, const fs::path& relative) {
  constexpr int kMaxLinks = 40;  // as Linux
  fs::path path = base;
  std::vector<fs::path> ahead(relative.begin(), relative.end());
  std::reverse(ahead.begin(), ahead.end());
  for (int links = 0; !ahead.empty();) {
    const fs::path part = ahead.back();
    ahead.pop_back();
    if (part.empty() || part == ".") {
      continue;
    }
    if (part == "..") {
      path = path.parent_path();
      continue;
    }
    std::error_code error;
    const fs::path next = path / part;
    const fs::path target = fs::read_symlink(next, error);
    if (error) {  // not a symlink
      path = next;
      continue;
    }
    if (++links > kMaxLinks) {
      return std::nullopt;
    }
    if (target.is_absolute()) {
      path = target.root_path();
    }
    const fs::path tail = target.relative_path();
    const std::vector<fs::path> parts(tail.begin(), tail.end());
    ahead.insert(ahead.end(), parts.rbegin(), parts.rend());
  }
  return path;
}

absl::StatusOr<fs::path> Resolve(const fs::path& folder, const std::string& location) {
  if (location.empty()) {
    return InvalidArgument("an external data location is empty; it has to name a file in the model's folder");
  }
  if (location.find('\0') != std::string::npos) {
    return Escapes(location, "holds a zero byte");
  }
  const fs::path relative(location);
  if (relative.is_absolute()) {
    return Escapes(location, "is an absolute path");
  }
  for (const fs::path& part : relative) {
    if (part == "..") {
      return Escapes(location, "goes through '..'");
    }
  }
  std::error_code error;
  const fs::path absolute = fs::absolute(folder.empty() ? fs::path(".") : folder, error);
  const std::optional<fs::path> base = error ? std::nullopt : Follow(absolute.root_path(), absolute.relative_path());
  if (!base) {
    return Internal("can't resolve the folder '{}'", folder.string());
  }
  const std::optional<fs::path> resolved = Follow(*base, relative);
  if (!resolved) {
    return Escapes(location, "goes through symlinks that form a circle");
  }
  if (!Contains(*base, *resolved)) {
    return Escapes(location, "is a symlink that leads out of the model's folder");
  }
  return *resolved;
}

}  // namespace

std::optional<wire::Marker> FindMarker(const onnx::TensorProto& tensor) {
  if (tensor.external_data().empty() || !HasEntry(tensor, wire::kMarkerKey)) {
    return std::nullopt;
  }
  return wire::MarkerFromTexts(Entry(tensor, "location"), Entry(tensor, "offset"), Entry(tensor, "length"),
                               Entry(tensor, wire::kMarkerKey));
}

bool IsExternal(const onnx::TensorProto& tensor) {
  return tensor.data_location() == onnx::TensorProto::EXTERNAL && !HasEntry(tensor, wire::kMarkerKey);
}

absl::StatusOr<ExternalReference> ReadExternalReference(const onnx::TensorProto& tensor) {
  const auto number = [&](std::string_view key) -> absl::StatusOr<uint64_t> {
    const std::string_view text = Entry(tensor, key);
    const std::optional<int64_t> value = ParseInt64(text);
    if (!value || *value < 0) {
      return DataLoss("tensor '{}': the external data {} '{}' is not a number of bytes", tensor.name(), key, text);
    }
    return static_cast<uint64_t>(*value);
  };
  ExternalReference reference;
  reference.location = std::string(Entry(tensor, "location"));
  if (reference.location.empty()) {
    return DataLoss("tensor '{}': its data is external, but no location says where", tensor.name());
  }
  if (HasEntry(tensor, "offset")) {
    GOMAI_ASSIGN_OR_RETURN(reference.offset, number("offset"));
  }
  if (HasEntry(tensor, "length")) {
    GOMAI_ASSIGN_OR_RETURN(reference.length, number("length"));
  }
  return reference;
}

absl::Status CheckExternalLocation(const std::filesystem::path& folder, const std::string& location) {
  return Resolve(folder, location).status();
}

absl::StatusOr<std::filesystem::path> ResolveExternal(const std::filesystem::path& folder,
                                                      const std::string& location) {
  GOMAI_ASSIGN_OR_RETURN(fs::path path, Resolve(folder, location));
  std::error_code error;
  if (!fs::exists(path, error)) {
    return NotFound("the external data file '{}' is not in '{}'; put it beside the model", location,
                    folder.empty() ? "." : folder.string());
  }
  return path;
}

absl::StatusOr<std::shared_ptr<const MappedFile>> OpenExternal(const std::filesystem::path& folder,
                                                               const std::string& location) {
  GOMAI_ASSIGN_OR_RETURN(const fs::path path, ResolveExternal(folder, location));
  return MappedFile::OpenResolved(path);
}

absl::StatusOr<std::vector<std::string>> ExternalLocations(const Model& model) {
  std::vector<std::string> locations;
  std::set<std::string> seen;
  absl::Status status;
  ForEachTensor(model.proto(), [&](const onnx::TensorProto& tensor, TensorPlace) {
    if (!status.ok() || !IsExternal(tensor)) {
      return;
    }
    const absl::StatusOr<ExternalReference> reference = ReadExternalReference(tensor);
    if (!reference.ok()) {
      status = reference.status();
    } else if (seen.insert(reference->location).second) {
      status = Annotate(CheckExternalLocation(model.folder(), reference->location),
                        fmt::format("tensor '{}'", tensor.name()));
      locations.push_back(reference->location);
    }
  });
  GOMAI_RETURN_IF_ERROR(status);
  return locations;
}

bool SameReference(const onnx::TensorProto& a, const onnx::TensorProto& b) {
  if (!IsExternal(a) || !IsExternal(b)) {
    return false;
  }
  const absl::StatusOr<ExternalReference> place_a = ReadExternalReference(a);
  const absl::StatusOr<ExternalReference> place_b = ReadExternalReference(b);
  return place_a.ok() && place_b.ok() && place_a->location == place_b->location && place_a->offset == place_b->offset &&
         place_a->length.value_or(TensorByteSize(a)) == place_b->length.value_or(TensorByteSize(b));
}

}  // namespace gomai
