#pragma once

// What gomai-verify is told: its flags, as samples, tolerances and options.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/compare/equivalence.h"
#include "tools/common/target_flags.h"

namespace gomai {

struct VerifyArguments {
  std::string reference;
  std::string candidate;
  std::vector<std::string> inputs;
  std::string random;
  int samples = 1;
  std::vector<std::string> shapes;
  std::vector<std::string> rtol, atol, cosine, snr;
  bool bits = false;
  bool isolated = false;
  bool chained = false;
  std::vector<std::string> replace;
  std::string reference_ep;
  std::string precision;  // "": fp16 on a target
  std::string effect;
  std::string cpu_run = "auto";
  std::optional<double> steps;
  bool no_rerun = false;
  bool metrics = false;
  std::string detections;
  DetectionOptions detection;
  TargetFlags target;
  std::string progress;  // "sample 2 of 3: ", once samples run
};

void AddVerifyFlags(CLI::App& app, VerifyArguments* arguments);

// The samples that are given, and made up where --random says so.
absl::StatusOr<std::vector<NamedTensors>> VerifySamples(const VerifyArguments& arguments,
                                                        const std::vector<ValueSpec>& inputs);
// What --rtol and the others say, for all tensors and for single ones.
absl::Status SetVerifyTolerances(const VerifyArguments& arguments, Equivalence& equivalence);
absl::StatusOr<EquivalenceOptions> VerifyOptions(Tool& tool, const VerifyArguments& arguments);

}  // namespace gomai
