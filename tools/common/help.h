#pragma once

// How --help and other running text look: wrapped at 100 columns, flags in one column and their text in another.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace gomai {

// The group of flags that every tool has; shown last.
inline constexpr char kCommonFlags[] = "Common flags";

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter();

// Paragraphs (separated by an empty line) filled up to 100 columns, each line after `indent` blanks.
std::string WrapText(std::string_view text, size_t indent = 0);
// "  left      text", the text in a column of its own and wrapped there.
std::string HelpLine(const std::string& left, std::string_view text);

}  // namespace gomai
