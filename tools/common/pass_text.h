#pragma once

// Passes in words, made from their declarations: for --list-passes, --help-pass and docs/passes.md.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/pass/pass.h"

namespace gomai {

std::string PassTable(const std::vector<const PassInfo*>& passes);
std::string PassHelp(const PassInfo& pass);
nlohmann::ordered_json PassJson(const PassInfo& pass);
// The whole of docs/passes.md.
std::string PassDocs(const std::vector<const PassInfo*>& passes);

}  // namespace gomai
