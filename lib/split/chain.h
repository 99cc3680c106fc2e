#pragma once

// Chain: the parts of a manifest run one after another, each fed by the model's inputs and by earlier parts.
//
//   GOMAI_ASSIGN_OR_RETURN(auto chain, Chain::Open("parts/manifest.json", *backend, {}));
//   GOMAI_ASSIGN_OR_RETURN(NamedTensors outputs, chain->Run({{"image", image}}, nullptr));
//
// Tensors are dropped after their last reader, unless `after_part` keeps them. Each part is opened once. A part may be
// replaced by another file (--replace). Values change hands between parts without a copy.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/runtime/target_session.h"
#include "lib/split/manifest.h"
#include "lib/split/part_file.h"

namespace gomai {

struct ChainOptions {
  SessionOptions session;
  Replacements replace;       // names, dtypes and shapes are checked first
  bool check_digests = true;  // a part changed after the split: kFailedPrecondition naming it
  std::function<void(const std::string& what)> progress;  // "opening stem", "running body"
  // Where parts for an NPU run, if anywhere else than the others: those whose device isn't the CPU, or those in `on`.
  // What goes wrong there ends no other part: it is told when the part is to run, and by failures().
  std::optional<Target> target = std::nullopt;
  std::vector<std::string> on = {};  // "all": every part
  TargetOpening opening = {};
  bool one_by_one = false;  // on the target a session is opened when its part runs, and closed after it
};

struct PartRun {
  std::string part;
  NamedTensors inputs;
  NamedTensors outputs;
  double seconds = 0;  // the session's runs alone
  bool on_target = false;
  int64_t calls = 1;  // more for a part that takes its rows in fixed numbers; 0 if there is none
};

class Chain {
 public:
  // Errors: what ReadManifest says; a missing part file (kNotFound); a changed part, or a replacement that differs in
  // names, dtypes or shapes (kFailedPrecondition naming all differences); an unknown name in `replace` (kNotFound); a
  // boundary value that is no tensor (kInvalidArgument).
  static absl::StatusOr<std::unique_ptr<Chain>> Open(const std::filesystem::path& manifest_file, Backend& backend,
                                                     const ChainOptions& options);
  const Manifest& manifest() const { return manifest_; }
  bool on_target(size_t part) const { return on_target_[part]; }
  const std::vector<std::filesystem::path>& files() const { return files_; }  // the parts', or what replaces them
  // Of the parts on the target, in order.
  std::vector<const Evidence*> evidence() const;
  Evidence* evidence_of(size_t part) { return evidence_[part].get(); }  // nullptr: it runs on the CPU
  // The first part of the target that couldn't be opened; OK if all could, or weren't tried yet.
  absl::Status failure() const;
  const std::vector<ValueSpec>& inputs() const { return inputs_; }  // the model's own that the parts need

  // Which parts run, and what is to be fed, if values of these names (inputs, or values that cross) are at hand.
  std::vector<bool> PartsFor(const std::vector<std::string>& names) const;
  std::vector<ValueSpec> InputsFor(const std::vector<std::string>& names) const;

  // Feeds are the model's inputs; and any value that crosses between parts may be fed in place of them, under the
  // model's own name: parts all of whose results are fed or unread don't run, and inputs that only they read needn't be
  // fed. So preprocessing may be done outside. The model's outputs under the model's own names. `after_part` (may be
  // null) sees each part's tensors, under the part's names, when it has run, to dump or compare them; an error that it
  // gives ends the run.
  absl::StatusOr<NamedTensors> Run(const NamedTensors& given,
                                   const std::function<absl::Status(const PartRun&)>& after_part);
  // Opens what runs on the target and isn't open, and closes it again: to compile one by one.
  absl::Status OpenEach();
  // One part alone, on the feeds given under the part's names (for --isolated).
  absl::StatusOr<PartRun> RunPart(size_t part, const NamedTensors& feeds);

 private:
  using Key = std::pair<std::string, std::string>;  // producing part or "input", tensor as the readers name it

  Chain() = default;
  absl::Status ChooseParts();
  absl::Status OpenPart(size_t part, Backend& backend);
  absl::Status OpenOnTargetNow(size_t part);
  absl::Status CheckOpened(size_t part) const;  // does the session have what the manifest says?
  absl::Status Wire();
  // Values that cross may be fed under their friendly names, too.
  NamedTensors ByModelNames(const NamedTensors& given) const;
  // Which parts must run, if these are fed.
  std::vector<bool> Needed(const NamedTensors& feeds) const;
  // What must, and what may be fed then.
  std::vector<ValueSpec> Expected(const NamedTensors& feeds, const std::vector<bool>& needed) const;

  Manifest manifest_;
  ChainOptions options_;
  std::vector<std::filesystem::path> files_;
  std::vector<bool> on_target_;
  std::vector<std::unique_ptr<Evidence>> evidence_;  // before sessions_, which add to it
  std::vector<absl::Status> failures_;
  std::vector<std::unique_ptr<Session>> sessions_;  // nullptr: not open now
  std::vector<ValueSpec> inputs_;
  std::vector<ValueSpec> unread_inputs_;  // the model's own that no part reads; they may be fed all the same
  std::map<Key, size_t> last_reader_;
  std::map<std::string, ValueSpec> crossing_;  // what parts hand on, by the model's name
};

}  // namespace gomai
