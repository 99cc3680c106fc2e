#pragma once

// Writing models: where weights go, and nothing half-written.
//
// SaveAll writes several outputs of one command together: all temporary files are complete before the first rename, so
// an error (a full disk, an unwritable folder) leaves every target as it was.
//
//   keep       inline stays inline, external stays external; into another folder each data file referred to is copied
//              beside the output, unchanged (a different file of that name there: kInvalidArgument)
//   inline     everything inline; kResourceExhausted past 2 GiB, naming --weights=external
//   external   payloads >= 1 KiB go to OUT.onnx.data, 64-byte aligned. A data file of that name that an input or the
//              model at the target uses is never replaced: if it holds just the bytes wanted it is taken as it is, else
//              the next name (OUT.onnx.1.data) is that is free or holds these bytes (left by a run that was killed),
//              and the old file, if this save made it unused, removed last
//   shared     like external, but one data file for all outputs of the command: `shared_data_name` in their folder
//   reference  outputs refer to the input's own bytes; needs outputs in the input's folder, else kInvalidArgument
//              naming -o and shared

#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

enum class Weights { kKeep, kInline, kExternal, kShared, kReference };

absl::StatusOr<Weights> ParseWeights(std::string_view text);

struct SaveOptions {
  Weights weights = Weights::kKeep;
  std::string shared_data_name = "weights.data";  // kShared: file name, in the outputs' folder
  bool in_place = false;                          // the target may be an input file
  bool digests = false;                           // SkeletonDigest of each model file, taken while it is written
};

struct SaveItem {
  const Model* model = nullptr;
  std::filesystem::path target;
};

struct SaveReport {
  uint64_t bytes_written = 0;
  std::vector<std::filesystem::path> files;  // all that were written, targets first
  std::vector<std::string> digests;          // if asked for: of each item's file
};

// Errors, besides the above: kInvalidArgument if a target is one of the models' own input files (or their data) and
// in_place is false; kNotFound for a missing folder; kResourceExhausted for a full disk.
absl::StatusOr<SaveReport> SaveAll(const std::vector<SaveItem>& items, const SaveOptions& options);
absl::StatusOr<SaveReport> Save(const Model& model, const std::filesystem::path& target, const SaveOptions& options);

// The same model without external data: what was external is a payload of this model, wherever it will be saved.
// Nothing is read. Errors: those of external data that is absent, out of range or out of the folder.
absl::StatusOr<Model> Internalised(const Model& model);

// The model's bytes with everything inline (kInline), for a runtime that takes bytes; reads all weights.
absl::StatusOr<std::string> SerializeInline(const Model& model);

}  // namespace gomai
