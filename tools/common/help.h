#pragma once

// How --help looks: one column of flags, one of text, wrapped at 100 columns.

#include <CLI/CLI.hpp>
#include <memory>

namespace gomai {

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter();

}  // namespace gomai
