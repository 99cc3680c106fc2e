#pragma once

// Chain: the parts of a manifest run one after another, each fed by the model's inputs and by earlier parts.
//
// Tensors are dropped after their last reader unless kept. A part may be replaced by another file (--replace).

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/split/manifest.h"

namespace gomai {

struct ChainOptions {
  SessionOptions session;
  std::map<std::string, std::filesystem::path> replace;  // part -> file; names, dtypes and shapes are checked first
  bool check_digests = true;  // a part changed after the split: kFailedPrecondition naming it
  std::function<void(const std::string& what)> progress;  // "opening backbone_rpn", "running box"
};

struct PartRun {
  std::string part;
  NamedTensors inputs;  // kept only if asked for
  NamedTensors outputs;
  double seconds = 0;
};

class Chain {
 public:
  static absl::StatusOr<std::unique_ptr<Chain>> Open(const std::filesystem::path& manifest_file, Backend& backend,
                                                     const ChainOptions& options);
  const Manifest& manifest() const { return manifest_; }
  const std::vector<ValueSpec>& inputs() const { return inputs_; }  // the model's own that the parts need

  // The model's outputs. `after_part` sees each part's tensors when it has run (to dump or compare them).
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds,
                                   const std::function<absl::Status(const PartRun&)>& after_part);
  // One part alone, on the feeds given (for --isolated).
  absl::StatusOr<PartRun> RunPart(size_t part, const NamedTensors& feeds);

 private:
  Chain() = default;
  Manifest manifest_;
  ChainOptions options_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<ValueSpec> inputs_;
};

}  // namespace gomai
