#pragma once

// What is said of passes, from their declarations: the help of one, and docs/passes.md.

#include <nlohmann/json.hpp>
#include <string>

#include "lib/pass/pass.h"

namespace gomai {

// For a terminal: at most 100 columns wide.
std::string PassHelp(const PassInfo& pass);
// The declaration as data.
nlohmann::ordered_json PassJson(const PassInfo& pass);
// The whole of docs/passes.md.
std::string PassesMarkdown();

}  // namespace gomai
