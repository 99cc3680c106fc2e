// Completion scripts; see completion.h.
#include "tools/common/completion.h"

#include <algorithm>
#include <vector>

namespace gomai {

absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& program,
                                             const std::string& shell) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) {
      continue;  // hidden
    }
    for (const std::string& name : option->get_lnames()) {
      flags.push_back("--" + name);
    }
  }
  std::sort(flags.begin(), flags.end());
  if (shell == "bash") {
    std::string function = "_" + program;
    std::replace(function.begin(), function.end(), '-', '_');
    return fmt::format(
        "{0}() {{\n"
        "  local word=${{COMP_WORDS[COMP_CWORD]}}\n"
        "  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{1}' -- \"$word\"))\n"
        "  else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
        "}}\n"
        "complete -o filenames -F {0} {2}\n",
        function, fmt::join(flags, " "), program);
  }
  if (shell == "zsh") {
    return fmt::format("#compdef {0}\n_arguments '*:file:_files' {1}\n", program, fmt::join(flags, " "));
  }
  return InvalidArgument("--completion knows bash and zsh, not '{}'", shell);
}

}  // namespace gomai
