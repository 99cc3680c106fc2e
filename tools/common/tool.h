#pragma once

// What every tool shares: one main wrapper, one set of common flags, one reporter. A tool is: declare flags, call the
// library, report.
//
//   int main(int argc, char** argv) {
//     gomai::Tool tool("gomai-info", "what an ONNX model holds, without reading its weights", kExamples);
//     std::string model;
//     tool.app().add_option("model", model, "…")->required();
//     return tool.Main(argc, argv, [&] { return Run(tool, model); });
//   }
//
// Exit codes: the run function gives absl::StatusOr<int> (0 or 1); an error status becomes 1 (kFailedPrecondition) or
// 2, printed to stderr as "gomai-info: what; where; what to do". Common flags: --version, -v, -q, --json, @file
// response files,
// --completion bash|zsh. An unknown flag names the nearest. Catches std::bad_alloc and anything else at the outermost
// level: exit 2. With --json there is one document on stdout whatever happens; after an error it holds
// {"error": {"class": "not-found", "message": …}, "exit_code": 2, "diagnostics": […]}.

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/model/save.h"
#include "lib/runtime/backend.h"
#include "lib/runtime/onnxruntime.h"

namespace gomai {

class Tool {
 public:
  Tool(std::string name, std::string summary, std::string examples);

  CLI::App& app() { return app_; }
  // Looks at the arguments before they are parsed, response files filled in: for other spellings.
  void TranslateArguments(
      std::function<absl::StatusOr<std::vector<std::string>>(const std::vector<std::string>&)> translate) {
    translate_ = std::move(translate);
  }
  int Main(int argc, char** argv, const std::function<absl::StatusOr<int>()>& run);

  // The command of a worker process of this program; Main runs as one if it is started so. See lib/runtime/worker.h.
  static std::vector<std::string> WorkerCommand();
  // From here on what libraries print to stdout goes to stderr; what the tool prints still goes to stdout.
  void KeepStdout();
  // From here on the first Ctrl-C only asks to finish, which Interrupted() tells; the second ends the process.
  void FinishOnInterrupt();
  static bool Interrupted();

  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  int verbosity() const { return verbosity_; }

  // Human text to stdout, unless --json or -q.
  void Print(std::string_view text);
  // The --json document, printed at the end of Main; exactly one.
  nlohmann::ordered_json& document() { return document_; }
  // This text to stdout, as it is, in place of the document: for output that is itself a file format (a plan).
  void PrintDocument(std::string_view text);
  // Warnings and errors to stderr as "gomai-x: warning: location: message"; notes with -v only. Also collected into
  // document()["diagnostics"].
  Diagnostics diagnostics();
  // What goes on: one line on stderr that overwrites itself, after two seconds; where stderr is no terminal, a plain
  // line at most every ten seconds. Never with -q or --json.
  void Progress(std::string_view what);
  // The same is still going on: the seconds move. May be called often.
  void Tick();

 private:
  void ShowProgress(bool changed);
  int Fail(const absl::Status& status, int code);
  void PrintJson();
  void ClearProgress();

  std::string name_;
  CLI::App app_;
  std::string completion_;
  std::function<absl::StatusOr<std::vector<std::string>>(const std::vector<std::string>&)> translate_;
  bool json_ = false;
  bool quiet_ = false;
  int verbosity_ = 0;
  bool document_printed_ = false;
  bool progress_shown_ = false;
  std::string progress_;
  long long progress_told_ = 0;  // seconds, of the last line
  std::FILE* out_ = stdout;
  std::chrono::steady_clock::time_point started_;
  nlohmann::ordered_json document_;
  nlohmann::ordered_json diagnostics_ = nlohmann::ordered_json::array();
};

// --weights=…; --ort-library, --session-option, --threads: the same in every tool that has them. What has --ep too:
// tools/common/target_flags.h.
void AddWeightsFlag(CLI::App& app, Weights* weights);
struct RuntimeFlags {
  SessionOptions session;
  OnnxRuntimeOptions runtime;
};
void AddRuntimeFlags(CLI::App& app, RuntimeFlags* flags);

// "--flag k=v", repeated, into a list of pairs.
void AddPairs(CLI::App& app, const std::string& name, std::vector<std::pair<std::string, std::string>>* pairs,
              const std::string& text);

// "name=path" -> tensors: npy, npz (name=file.npz or file.npz alone: all members by name), pb.
absl::StatusOr<NamedTensors> ReadInputs(const std::vector<std::string>& arguments);

// A table as text: columns aligned, numbers to the right; `rows` hold as many cells as `header`.
std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& right_aligned);

}  // namespace gomai
