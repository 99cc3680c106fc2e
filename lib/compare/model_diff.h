#pragma once

// What differs between two models: every field, in every scope; weights by value, streamed.
//
//   GOMAI_ASSIGN_OR_RETURN(const ModelDiff diff, DiffModels(a, b, {.ignore_docs = true}));
//   for (const Difference& d : diff.differences) Show(d.where, d.what, d.before, d.after);
//
// Nodes are matched by the names of what they make and their operator, then by their own name and operator; with
// ignore_names by structure: operators, attributes and what they read, from the inputs down and from the outputs up,
// and by names only where that leaves several. A value that a matched node makes under another name is one difference;
// its readers, which follow, are none.
// Two tensors are equal if type, shape and bits of their values are, wherever these are stored (raw_data, a typed
// field, external data): a difference in storage alone is a note. Ranges of one file are equal unread; all others are
// read in windows of 256 KiB. A field that is absent equals one that holds its default.
//
// Errors: kNotFound or kDataLoss for external data that is needed and can't be read, kInvalidArgument for a location
// that escapes the model's folder. Cost: near-linear in the structure, plus one reading of weights that may differ
// (three of those that do: their digests). Memory: the structure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

struct DiffOptions {
  bool ignore_names = false;    // of nodes and inner values; those of the model's inputs and outputs count
  bool ignore_docs = false;     // doc strings
  bool ignore_order = false;    // of all lists but inputs and outputs
  bool ignore_weights = false;  // values of initializers, whose data needn't be there then; types and shapes count
};

// "names,docs": kInvalidArgument for an unknown item, with the nearest.
absl::Status ParseIgnored(std::string_view list, DiffOptions* options);

struct Difference {
  enum class Section { kModel, kInterface, kNodes, kValues, kWeights };
  enum class Kind { kChanged, kAdded, kRemoved, kOrder };
  Section section = Section::kModel;
  Kind kind = Kind::kChanged;
  std::string scope;        // as Index::ScopeName; "" for the model itself
  std::string where;        // a node as Index::Describe, a value's name in quotes; "" for the scope or model as a whole
  std::string where_after;  // the same in the second model, if it is another
  std::string what;         // the field: "attribute kernel_shape"; "" for the whole thing
  std::string before;       // "" if added
  std::string after;        // "" if removed
  std::string digest_before, digest_after;  // "sha256:…" of values that differ
};

// Equal values that are stored otherwise.
struct StorageNote {
  std::string where;
  std::string before;
  std::string after;
};

struct ModelDiff {
  std::vector<Difference> differences;  // by section, then scope, then place in the first model
  std::vector<StorageNote> storage;
  uint64_t nodes_matched = 0;  // in all scopes
  uint64_t tensors_compared = 0;
  bool equal() const { return differences.empty(); }
};

absl::StatusOr<ModelDiff> DiffModels(const Model& before, const Model& after, const DiffOptions& options);

}  // namespace gomai
