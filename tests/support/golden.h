#pragma once

// Golden cases of passes: a model, a pipeline, and what becomes of it, in one text file.
//
//   # What the case shows.
//   pipeline: prune
//   --- in
//   <ir_version: 8, opset_import: ["" : 17]>
//   main (float[2] x) => (float[2] y) { ... }
//   --- out
//   ...
//   --- changes
//   erased node ...
//
// `in` is ONNX's text form, or protobuf's with the heading "--- in (proto)" for what ONNX's can't say (doc strings,
// sparse tensors, metadata). `out` is written in ONNX's form if that says all of the result, else in protobuf's, so a
// case holds the result exactly. Sections that the harness writes (GOMAI_UPDATE_GOLDEN=1): out, changes, diagnostics,
// error. Directives before the first section, one a line:
//
//   pipeline: TEXT     required
//   again: same        (default) a second run changes nothing
//   again: changes     a second run may change something
//   again: TEXT        a second run fails, and the message holds TEXT
//   numbers: by-name   (default) inputs and outputs are compared by name; outputs that only one side has aren't
//   numbers: by-position   ... by position
//   numbers: shapes    by name, dtype and shape alone; only for passes that change values
//   numbers: none: WHY     not compared; only for passes that change values or the interface
//   numbers: refused: TEXT not compared, since the runtime refuses the input, and the message holds TEXT
//   shapes: x:2x3 y:4  sizes of inputs with dynamic dims
//   checker: TEXT      ONNX's checker refuses the result, and its message holds TEXT
//   allow-shape-change: true

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/model/model.h"

namespace gomai::testing {

struct GoldenCase {
  std::filesystem::path file;
  std::string name;      // "prune/dead_nodes"
  std::string comments;  // with their '#'
  std::vector<std::pair<std::string, std::string>> directives;
  std::vector<std::pair<std::string, std::string>> sections;  // heading without "--- ", text

  std::string Directive(const std::string& key, const std::string& absent) const;
  const std::string* Section(const std::string& heading) const;   // nullptr: none
  void Set(const std::string& heading, const std::string& text);  // "" removes it
  std::string Text() const;                                       // the file's
};

// All of tests/golden, by name. Throws std::runtime_error for a file that isn't of this form.
std::vector<GoldenCase> GoldenCases();

onnx::ModelProto GoldenInput(const GoldenCase& golden);
// Heading and text of the section that holds this model.
std::pair<std::string, std::string> PrintModel(const onnx::ModelProto& model);

}  // namespace gomai::testing
