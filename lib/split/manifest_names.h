#pragma once

// Names in a manifest: what may be one, and what a part's name for a tensor is in the model.

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/split/manifest.h"

namespace gomai {

// [A-Za-z0-9_.-]+, and not "." or "..": it is a file's stem and a folder's name.
inline bool IsPartFileStem(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed) && name != "." && name != "..";
}

// A relative path without "..".
inline bool StaysInFolder(const std::string& file) {
  const std::filesystem::path path(file);
  return !file.empty() && file.find('\0') == std::string::npos && path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const std::filesystem::path& step) { return step == ".."; });
}

// The model's own name of a graph input or output that a part may know by a friendly one.
std::string ModelName(const Manifest& manifest, const std::string& name);

}  // namespace gomai
