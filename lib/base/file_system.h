#pragma once

// Calls to the system that file.cc and output_file.cc share. Internal to lib/base; use file.h.

#include <filesystem>
#include <string_view>

#include "lib/base/status.h"

namespace gomai {

// "WHAT 'PATH': the system's words"; `error` is errno. kNotFound, kResourceExhausted (no room) or kInternal.
absl::Status SystemError(std::string_view what, const std::filesystem::path& path, int error);
// All of it, however often the system takes less; `path` is for messages.
absl::Status WriteAll(int descriptor, std::string_view data, const std::filesystem::path& path);

}  // namespace gomai
