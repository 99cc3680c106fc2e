#pragma once

// Passes: a declaration (PassInfo) and a function.
//
// The declaration is the only truth about a pass: its option parser, `--list-passes`, `--help-pass` and docs/passes.md
// read it. A pass is one file in passes/ that defines a function returning its PassInfo; the build finds it by the
// file's name.
//
//   absl::Status Run(PassContext& context) { ... context.editor() ... }
//   const PassInfo& StripDocStringsPass() {
//     static const PassInfo info = {.name = "strip-doc-strings", .summary = "remove doc strings", ..., .run = Run};
//     return info;
//   }

#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/editor.h"
#include "lib/model/model.h"

namespace gomai {

// What a pass does to the numbers; the runner compares by it.
enum class Effect {
  kBitExact,          // every output keeps every bit
  kExactFinite,       // equal for finite values; NaN, Inf or the sign of zero may differ
  kReassociates,      // the same sums in another order: rounding differs
  kApproximate,       // other values, by design
  kChangesInterface,  // inputs, outputs or weights are others afterwards
};
std::string_view EffectName(
    Effect effect);  // "bit-exact", "exact-finite", "reassociates", "approximate", "changes-interface"

enum class PassScopes { kMain, kAllGraphs, kAllGraphsAndFunctions };
std::string_view PassScopesName(PassScopes scopes);

enum class OptionType {
  kBool,  // true | false; a bare name means true
  kInt,   // decimal, signed
  kFloat,
  kString,
  kList,  // of strings, separated by ';' (',' separates options)
  kMap,   // the pass takes free keys: key=value pairs besides its named options
};

struct OptionSpec {
  std::string name = {};
  OptionType type = OptionType::kString;
  std::string default_value = {};  // as text; "" with required
  bool required = false;
  std::string help = {};
  std::vector<std::string> choices = {};  // empty: any
};

struct PassInfo;

// Options of one pass instance, as given; typed access falls back to the declared default. Asking for an option that
// the pass doesn't declare is a bug, and ends the process.
class PassOptions {
 public:
  bool Bool(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  double Float(std::string_view name) const;
  const std::string& String(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;
  // The free key=value pairs, in the order given. The kMap option's own name is only what help calls them.
  const std::vector<std::pair<std::string, std::string>>& Map(std::string_view name) const;
  bool Given(std::string_view name) const;

  // As written, in order, free pairs included: what Text() prints.
  const std::vector<std::pair<std::string, std::string>>& given() const { return given_; }

  // Checks `given` against the declaration. Errors (kInvalidArgument, kNotFound): an unknown option with the nearest
  // names, a value of the wrong type, one given twice, a required one missing.
  static absl::StatusOr<PassOptions> Make(const PassInfo& info, std::vector<std::pair<std::string, std::string>> given);

 private:
  const std::string& Value(std::string_view name) const;
  std::map<std::string, std::string, std::less<>> values_;  // every declared option, defaults filled in
  std::vector<std::pair<std::string, std::string>> given_;
  std::vector<std::pair<std::string, std::string>> free_;
};

// What a pass makes besides the edited model: a model of its own, and a text about it. Whoever runs the pipeline writes
// them, as NAME.onnx and NAME.json, beside the output.
struct SideOutput {
  std::string name;
  std::shared_ptr<const Model> model;
  std::string text;
};

struct ShapeChange {
  std::string value;
  std::string before;  // kUndeclared: nothing was
  std::string after;
};
inline constexpr const char* kUndeclared = "undeclared";

class PassContext {
 public:
  // `tally`: see tally(); nullptr: each run has its own.
  PassContext(Model& model, Editor& editor, const PassOptions& options, const Diagnostics& diagnostics,
              bool allow_shape_change = false, int64_t* tally = nullptr)
      : model_(model),
        editor_(editor),
        options_(options),
        diagnostics_(diagnostics),
        tally_(tally),
        allow_shape_change_(allow_shape_change) {}
  const Model& model() const { return model_; }
  Editor& editor() { return editor_; }
  const Index& index() const { return editor_.index(); }
  // New payloads that are too large for the proto: in a file (SpoolFile), referred to by markers (SetMarker).
  uint64_t AddSource(std::shared_ptr<const MappedFile> file) { return model_.AddSource(std::move(file)); }
  const PassOptions& options() const { return options_; }
  const Diagnostics& diagnostics() const { return diagnostics_; }
  // Asks to be run once more on what this run's edits make of the model: for passes whose result shows what else there
  // is to do. Without edits nothing is run again.
  void RunAgain() { again_ = true; }
  bool again() const { return again_; }
  void Emit(SideOutput output) { side_outputs_.push_back(std::move(output)); }
  std::vector<SideOutput>& side_outputs() { return side_outputs_; }
  // May a graph output's known shape or dtype change?
  bool allow_shape_change() const { return allow_shape_change_; }
  // A declared shape that the pass itself changed: for the report, besides those that the runner corrects afterwards.
  void ReportShapes(std::vector<ShapeChange> changes) {
    shape_changes_.insert(shape_changes_.end(), std::make_move_iterator(changes.begin()),
                          std::make_move_iterator(changes.end()));
  }
  std::vector<ShapeChange>& shape_changes() { return shape_changes_; }
  // The pass has corrected declared shapes itself, so the runner needn't infer them once more.
  void DeclareShapesCorrect() { shapes_correct_ = true; }
  bool shapes_correct() const { return shapes_correct_; }
  // A number of the pass's own, 0 at first, that later runs of the same instance find as earlier ones left it.
  int64_t& tally() { return tally_ != nullptr ? *tally_ : own_tally_; }

 private:
  Model& model_;
  Editor& editor_;
  const PassOptions& options_;
  const Diagnostics& diagnostics_;
  int64_t* const tally_;
  int64_t own_tally_ = 0;
  bool again_ = false;
  bool shapes_correct_ = false;
  std::vector<SideOutput> side_outputs_;
  bool allow_shape_change_;
  std::vector<ShapeChange> shape_changes_;
};

struct PassInfo {
  std::string name = {};              // kebab-case, == file stem
  std::string summary = {};           // one line, no full stop
  std::string description = {};       // paragraphs: what, when, what it refuses
  Effect effect = Effect::kBitExact;  // with default options
  // For a pass whose effect depends on its options; else nullptr. With defaults it must give `effect`.
  Effect (*effect_of)(const PassOptions& options) = nullptr;
  PassScopes scopes = PassScopes::kMain;
  // Every value that is left keeps its dtype and shape, so that no declaration becomes false: the runner may then look
  // at declared shapes after a later pass.
  bool keeps_shapes = false;
  std::vector<OptionSpec> options = {};
  std::vector<std::string> examples = {};  // pipeline texts
  // Edits through context.editor(); the runner commits. kFailedPrecondition: refuses to do what was named.
  absl::Status (*run)(PassContext& context) = nullptr;
};

// What this instance of the pass does to the numbers.
Effect EffectOf(const PassInfo& info, const PassOptions& options);

// The options that make the effect another than the default one, as ("form=slice", kBitExact), in the order of the
// declaration: found by asking `effect_of` about each choice of each option. Empty for a pass of one effect.
std::vector<std::pair<std::string, Effect>> OtherEffects(const PassInfo& info);

// All passes, by name; generated by passes/CMakeLists.txt.
const std::vector<const PassInfo*>& AllPasses();
// kNotFound with the nearest names.
absl::StatusOr<const PassInfo*> FindPass(std::string_view name);

}  // namespace gomai
