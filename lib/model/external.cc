// External data: what its entries say and whether its location stays inside the model's folder; see tensor.h. Symlinks
// are followed before the check, so that what is opened later is what was judged.
#include <filesystem>

#include "lib/base/text.h"
#include "lib/model/tensor.h"
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

// The path with all symlinks followed, existing or not.
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
  const fs::path base = fs::weakly_canonical(folder.empty() ? fs::path(".") : folder, error);
  if (error) {
    return Internal("can't resolve the folder '{}': {}", folder.string(), error.message());
  }
  // weakly_canonical of a relative path that doesn't exist stays relative.
  const fs::path absolute_base = base.is_absolute() ? base : fs::absolute(base, error).lexically_normal();
  const fs::path resolved = fs::weakly_canonical(absolute_base / relative, error);
  if (error) {
    return Escapes(location, fmt::format("can't be followed ({})", error.message()));
  }
  if (!Contains(absolute_base, resolved)) {
    return Escapes(location, "is a symlink that leads out of the model's folder");
  }
  return resolved;
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

}  // namespace gomai
