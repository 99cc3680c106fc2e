#pragma once

// Runner: a whole model or a chain of parts behind one face, and timed runs of it.
//
//   GOMAI_ASSIGN_OR_RETURN(auto runner, Runner::Open("parts/manifest.json", *backend, {}));  // or "model.onnx"
//   GOMAI_ASSIGN_OR_RETURN(RunReport report, RunTimed(*runner, feeds, {.runs = 5, .warmup = 1}));

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/split/chain.h"

namespace gomai {

class Runner {
 public:
  // `path`: a model, a manifest, or a folder with a manifest.json in it. Errors: those of Chain::Open or Backend::Open.
  static absl::StatusOr<std::unique_ptr<Runner>> Open(const std::filesystem::path& path, Backend& backend,
                                                      const ChainOptions& options);

  const std::vector<ValueSpec>& inputs() const;
  std::vector<std::string> output_names() const;  // in the model's order
  std::vector<std::string> parts() const;         // empty for a model
  // Of what runs on ChainOptions::target, in order; and what couldn't be opened there.
  std::vector<const Evidence*> evidence() const;
  absl::Status failure() const;
  absl::Status OpenEach();  // see Chain
  // `after_part` is for chains.
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds,
                                   const std::function<absl::Status(const PartRun&)>& after_part);

 private:
  Runner() = default;
  Evidence evidence_;  // of a model; before session_, which adds to it
  bool on_target_ = false;
  absl::Status failure_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Chain> chain_;
};

struct RunOptions {
  int runs = 1;
  int warmup = 0;
  std::filesystem::path dump_parts;  // "": none. FOLDER/<part>/<tensor>.npy, inputs and outputs of each part
  std::function<void(const std::string& what)> progress;
  std::function<absl::Status(const PartRun& run)>
      check;                        // of each part's first run, and a model's; ends it by an error
  std::function<bool()> cancelled;  // asked between runs; what is done so far is the report then
};

struct RunReport {
  bool cancelled = false;                                          // before all runs were done; there may be no outputs
  NamedTensors outputs;                                            // of the last run
  std::vector<double> seconds;                                     // of each counted run
  std::vector<std::pair<std::string, std::vector<double>>> parts;  // the same of each part, in order
};

// Runs warm-ups, then counted runs. Parts are dumped in the first run of all, as each has run, so that what led to a
// failure is there to look at. kInvalidArgument if parts are to be dumped of a model that has none.
absl::StatusOr<RunReport> RunTimed(Runner& runner, const NamedTensors& feeds, const RunOptions& options);

double Minimum(const std::vector<double>& values);  // of at least one value
double Median(std::vector<double> values);

}  // namespace gomai
