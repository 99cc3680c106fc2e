// Flags that several tools have, declared once so that they are spelt and explained alike everywhere.
#include "tools/common/tool.h"

namespace gomai {
namespace {

// "k=v" into a list of pairs; CLI11 reports the message as it does its own.
std::function<bool(const CLI::results_t&)> PairsInto(std::vector<std::pair<std::string, std::string>>* pairs) {
  return [pairs](const CLI::results_t& values) {
    for (const std::string& value : values) {
      const size_t equals = value.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw CLI::ValidationError("'" + value + "' must be KEY=VALUE");
      }
      pairs->emplace_back(value.substr(0, equals), value.substr(equals + 1));
    }
    return true;
  };
}

}  // namespace

void AddPairs(CLI::App& app, const std::string& name, std::vector<std::pair<std::string, std::string>>* pairs,
              const std::string& text) {
  app.add_option(name, PairsInto(pairs), text)
      ->type_name("K=V")
      ->allow_extra_args(false)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void AddWeightsFlag(CLI::App& app, Weights* weights) {
  app.add_option_function<std::string>(
         "--weights",
         [weights](const std::string& text) {
           const absl::StatusOr<Weights> parsed = ParseWeights(text);
           if (!parsed.ok()) {
             throw CLI::ValidationError("--weights", std::string(Message(parsed.status())));
           }
           *weights = *parsed;
         },
         "where weights go: keep (as they are; the default), inline, external (OUT.onnx.data), shared (one data file "
         "for all "
         "outputs), reference (the input's own bytes; outputs must be in its folder)")
      ->type_name("POLICY");
}

void AddRuntimeFlags(CLI::App& app, RuntimeFlags* flags) {
  app.add_option("--ort-library", flags->runtime.library, "the ONNX Runtime library to load")->type_name("PATH");
  AddPairs(app, "--session-option", &flags->session.session_options, "a configuration entry of the session; repeat");
  app.add_option("--threads", flags->session.threads, "threads within an operator (default: one a core)")
      ->check(CLI::Range(0, 4096))
      ->type_name("N");
}

}  // namespace gomai
