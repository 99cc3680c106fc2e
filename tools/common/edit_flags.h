#pragma once

// The flags of gomai-edit, as a pipeline of passes: each edit is one, in the order in which its flags stand.
//
//   EditFlags flags(app);
//   ... parse ...
//   GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, flags.MakePipeline());
//
// Flags that say more of another one (--attr of a --node, --keep-input of a --delete-node, --match of a --rename)
// belong to the last such flag before them; an --attr or --const before the first --node belongs to that one.

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "lib/pass/pipeline.h"

namespace gomai {

class EditFlags {
 public:
  explicit EditFlags(CLI::App& app);

  // kInvalidArgument: no edit at all, a flag without the one that it belongs to, a value of the wrong form; and what
  // the passes' own options say.
  absl::StatusOr<Pipeline> MakePipeline() const;

 private:
  enum class Kind {
    kNode,
    kAttr,
    kDeleteAttr,
    kConst,
    kThisUseOnly,
    kForce,
    kRewire,
    kDeleteNode,
    kKeepInput,
    kInsert,
    kRename,
    kMatch,
    kWhat,
    kShape,
    kOutput,
    kDropOutput,
    kLayout,
    kReverseChannels,
    kBatch,
    kOpset,
    kIrVersion
  };
  void Add(const std::string& flag, Kind kind, const std::string& type, const std::string& help);
  void AddSwitch(const std::string& flag, Kind kind, const std::string& help);

  CLI::App& app_;
  std::map<const CLI::Option*, Kind> kinds_;
  std::map<const CLI::Option*, std::vector<std::string>> values_;
};

// sam4onnx's own spelling of its command line, as gomai-edit's: -if, -of, -on, -a NAME DTYPE VALUE, -da NAME..., -ic
// NAME DTYPE VALUE, -os NAME SHAPE, -n, and their long forms, in any order. Arguments that aren't of that spelling
// stay. kInvalidArgument for a flag that lacks some of its values.
absl::StatusOr<std::vector<std::string>> TranslateSamFlags(const std::vector<std::string>& arguments);

}  // namespace gomai
