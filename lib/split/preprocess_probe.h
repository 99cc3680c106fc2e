#pragma once

// Runs of a removed preprocessing on images of several sizes: what each led to. Internal to lib/split; use
// preprocess_rule.h.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/shape/infer.h"
#include "lib/split/preprocess_steps.h"

namespace gomai {

// What one image led to. Of large tensors only the sizes are kept.
struct Probe {
  ImageSize image;
  std::map<std::string, std::vector<int64_t>> shapes;  // of the steps' tensors and the outputs
  std::map<std::string, std::vector<int64_t>> values;  // of the sizes that cross, if they are int64
  // Is what a Pad reads found again at the beginning of what it makes? By the Pad's result.
  std::map<std::string, bool> kept_at_start;
};

class Prober {
 public:
  // Errors: the runtime's, for a model that it doesn't load.
  static absl::StatusOr<std::unique_ptr<Prober>> Open(const Stripped& stripped,
                                                      const std::vector<PreprocessStep>& steps, const Shapes& shapes,
                                                      Backend& backend);

  const ValueSpec& image() const { return image_; }

  // Images of ten sizes, or of the one that the model takes. Those that it can't run are left out; if it can run none,
  // the image of stripped.image_shape is tried. Empty: `failure` says why.
  std::vector<Probe> Run(absl::Status* failure);

  // The image that such a run is made with, its values in [0, most), and what comes out at the network's input.
  absl::StatusOr<NamedTensors> Feeds(const std::vector<int64_t>& image, double most) const;
  absl::StatusOr<HostTensor> Output(const NamedTensors& feeds) const;

 private:
  Prober(const Stripped& stripped, const std::vector<PreprocessStep>& steps) : stripped_(stripped), steps_(steps) {}
  absl::StatusOr<Probe> RunOne(const std::vector<int64_t>& image) const;

  const Stripped& stripped_;
  const std::vector<PreprocessStep>& steps_;
  ValueSpec image_;
  std::unique_ptr<Session> session_;
};

}  // namespace gomai
