#pragma once

// manifest.json: what ties the parts of a split together. Format: docs/formats.md.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

inline constexpr int64_t kManifestVersion = 1;

// One dimension: known, a symbol, or null.
struct Dim {
  std::optional<int64_t> value;
  std::string symbol;  // "" with no value: null
  bool operator==(const Dim&) const = default;
};

struct ManifestTensor {
  std::string name;
  std::string dtype;                      // "float32", "sequence(float32)"
  std::optional<std::vector<Dim>> shape;  // nullopt: unknown rank
  std::string from;                       // inputs: "input" or the producing part
  std::vector<std::string> to;            // outputs: the parts that read it, in order
  bool model_output = false;              // outputs
};

struct ManifestPart {
  std::string name;
  std::string file;         // relative to the manifest
  std::string digest;       // of the skeleton
  std::string file_digest;  // with --digest=full
  std::string device;       // "cpu", "npu"
  std::vector<ManifestTensor> inputs;
  std::vector<ManifestTensor> outputs;
};

struct Manifest {
  std::string source_file;
  std::string source_digest;
  std::vector<ManifestTensor> inputs;  // the model's own, in its order (name, dtype, shape)
  std::vector<std::string> outputs;    // the model's own, in its order
  std::vector<ManifestPart> parts;
  std::map<std::string, std::string> aliases;  // friendly -> tensor
  bool aliased = false;                        // --use-aliases: parts carry the friendly names
  std::vector<std::string>
      node_order;  // per node of the source's main graph: the part that holds it; run-length coded in the file
};

absl::StatusOr<Manifest> ParseManifest(std::string_view json, const std::string& origin);
absl::StatusOr<Manifest> ReadManifest(const std::filesystem::path& file);
std::string PrintManifest(const Manifest& manifest);

// Is this path a manifest (by its content: JSON with gomai_manifest)?
bool LooksLikeManifest(const std::filesystem::path& file);

}  // namespace gomai
