#pragma once

// Target: what the parts for an NPU run on, with what options, and how far that is trusted. A target file is JSON with
// the keys below, spelt as the flags; format: docs/formats.md.
//
//   {"gomai_target": 1, "ep": "VitisAIExecutionProvider", "ep_library": "libonnxruntime_vitisai.so",
//    "ep_options": {"config_file": "${RYZEN_AI}/vaip_config.json", "cache_key": "${part}"},
//    "parts": {"mask": {"ep_options": {"target": "X2"}}, "box": {"device": "cpu"}}}
//
// ${NAME} is the environment's variable of that name, ${part} the part's name ("model" for a whole model), ${folder}
// the target file's. Paths that aren't absolute are taken from the target file's folder.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/runtime/worker.h"

namespace gomai {

struct Target {
  std::filesystem::path ort_library;  // "": the tool's own
  SessionOptions session;
  bool allow_fallback = false;  // nodes may land on the CPU, and are told
  bool isolate = true;
  ProcessLimits limits;
  std::filesystem::path context;        // folder of compiled models; "": none are kept
  std::filesystem::path vendor_report;  // "": where the provider's options say
  struct Override {
    std::string device;  // "cpu", "npu"; "": as the manifest says
    std::string text;    // a target file's JSON, what differs
  };
  std::map<std::string, Override> parts;
  std::filesystem::path folder;  // of the file

  // With what the file says of this part, and ${…} filled in. kInvalidArgument for a variable that isn't set.
  absl::StatusOr<Target> For(const std::string& part) const;
};

// kInvalidArgument for unknown keys and wrong types, naming them, with the nearest.
absl::StatusOr<Target> ReadTarget(const std::filesystem::path& file);
absl::StatusOr<Target> ParseTarget(std::string_view json, const std::string& origin,
                                   const std::filesystem::path& folder);

// Sets or replaces an option.
void SetOption(std::vector<std::pair<std::string, std::string>>* options, const std::string& key,
               const std::string& value);

}  // namespace gomai
