#pragma once

// Completion scripts, made from a tool's declared options.

#include <CLI/CLI.hpp>
#include <string>

#include "lib/base/status.h"

namespace gomai {

// For "bash" or "zsh"; kInvalidArgument for another shell. Flags complete to flags, all else to files.
absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& program, const std::string& shell);

}  // namespace gomai
