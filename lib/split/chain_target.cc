// Which parts of a chain run on its target, and opening them there; see chain.h.
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/base/text.h"
#include "lib/split/chain.h"

namespace gomai {

absl::Status Chain::ChooseParts() {
  const std::vector<ManifestPart>& parts = manifest_.parts;
  sessions_.resize(parts.size());
  failures_.resize(parts.size());
  evidence_.resize(parts.size());
  on_target_.resize(parts.size());
  if (!options_.target) {
    return absl::OkStatus();
  }
  std::vector<std::string_view> names;
  for (const ManifestPart& part : parts) {
    names.push_back(part.name);
  }
  const auto check = [&](const std::string& name) -> absl::Status {
    return std::find(names.begin(), names.end(), name) != names.end()
               ? absl::OkStatus()
               : NotFound("the split has no part '{}'{}", name, DidYouMean(name, names));
  };
  for (const auto& [name, override] : options_.target->parts) {
    // A target file may serve several splits, and a whole model.
    if (!check(name).ok()) {
      options_.opening.diagnostics.Note(name, "the target file speaks of this part, and the split has none such");
    }
  }
  const bool all = options_.on == std::vector<std::string>{"all"};
  for (const std::string& name : all ? std::vector<std::string>() : options_.on) {
    GOMAI_RETURN_IF_ERROR(check(name));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string device = parts[i].device;
    if (const auto own = options_.target->parts.find(parts[i].name);
        own != options_.target->parts.end() && !own->second.device.empty()) {
      device = own->second.device;
    }
    on_target_[i] = all || (options_.on.empty() ? !device.empty() && device != "cpu"
                                                : std::find(options_.on.begin(), options_.on.end(), parts[i].name) !=
                                                      options_.on.end());
    if (on_target_[i]) {
      evidence_[i] = std::make_unique<Evidence>();
      evidence_[i]->part = parts[i].name;
    }
  }
  if (std::none_of(on_target_.begin(), on_target_.end(), [](bool on) { return on; })) {
    return InvalidArgument(
        "no part of this split is for an NPU; say with --on which of {} are to run there, or --on all",
        fmt::join(names, ", "));
  }
  return absl::OkStatus();
}

std::vector<const Evidence*> Chain::evidence() const {
  std::vector<const Evidence*> all;
  for (const auto& evidence : evidence_) {
    if (evidence != nullptr) {
      all.push_back(evidence.get());
    }
  }
  return all;
}

absl::Status Chain::failure() const {
  for (const absl::Status& failure : failures_) {
    GOMAI_RETURN_IF_ERROR(failure);
  }
  return absl::OkStatus();
}

absl::Status Chain::OpenOnTargetNow(size_t index) {
  const ManifestPart& part = manifest_.parts[index];
  if (options_.progress) {
    options_.progress(fmt::format("opening {}", part.name));
  }
  absl::StatusOr<std::unique_ptr<Session>> session =
      OpenOnTarget(files_[index], part.name, *options_.target, options_.opening, evidence_[index].get());
  failures_[index] = session.ok() ? absl::OkStatus() : Annotate(session.status(), fmt::format("part '{}'", part.name));
  if (!session.ok()) {
    return failures_[index];
  }
  sessions_[index] = *std::move(session);
  return absl::OkStatus();
}

absl::Status Chain::OpenEach() {
  for (size_t i = 0; i < sessions_.size(); ++i) {
    if (on_target_[i] && sessions_[i] == nullptr && failures_[i].ok()) {
      const absl::Status opened = OpenOnTargetNow(i);
      if (!opened.ok() && !absl::IsInternal(opened) && !absl::IsFailedPrecondition(opened)) {
        return opened;
      }
      if (opened.ok()) {
        GOMAI_RETURN_IF_ERROR(CheckOpened(i));
      }
      sessions_[i].reset();
    }
  }
  return absl::OkStatus();
}

}  // namespace gomai
