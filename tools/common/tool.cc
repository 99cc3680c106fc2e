// The main wrapper of every tool: arguments in, exit code out, and everything that is said in between.
#include "tools/common/tool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/runtime/worker.h"
#include "tools/common/completion.h"
#include "tools/common/help.h"
#include "tools/common/signals.h"

namespace gomai {
namespace {

constexpr int kTrouble = 2;
constexpr const char* kWorkerFlag = "--runtime-worker";
constexpr long long kPlainLineSeconds = 10;

// Arguments with every "@file" replaced by that file's lines. "@" inside an argument, and all after "--", are left
// alone.
absl::StatusOr<std::vector<std::string>> ExpandResponseFiles(int argc, char** argv) {
  std::vector<std::string> arguments;
  bool literal = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    literal = literal || argument == "--";
    if (literal || argument.size() < 2 || argument[0] != '@') {
      arguments.push_back(argument);
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(argument.substr(1)));
    for (std::string& line : SplitList(text, '\n')) {
      if (line.ends_with('\r')) {
        line.pop_back();
      }
      if (!line.empty()) {
        arguments.push_back(std::move(line));
      }
    }
  }
  return arguments;
}

// The first argument that CLI11 took for a flag and doesn't know, or "".
std::string UnknownFlag(const CLI::App& app) {
  for (const std::string& extra : app.remaining()) {
    if (extra.size() > 1 && extra.starts_with("-")) {
      return extra.substr(0, extra.find('='));
    }
  }
  return "";
}

absl::Status UnknownFlagError(const CLI::App& app, const std::string& flag) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return InvalidArgument("there is no flag {}{} (--help shows what there is)", flag,
                         DidYouMean(flag, {names.begin(), names.end()}));
}

int ExitCode(const absl::Status& status) {
  return status.code() == absl::StatusCode::kFailedPrecondition ? 1 : kTrouble;
}

// For scripts, which can't go by the message.
const char* FailureClass(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kFailedPrecondition:
      return "refused";
    case absl::StatusCode::kInvalidArgument:
      return "invalid-argument";
    case absl::StatusCode::kNotFound:
      return "not-found";
    case absl::StatusCode::kDataLoss:
      return "broken-file";
    case absl::StatusCode::kUnavailable:
      return "unavailable";
    case absl::StatusCode::kResourceExhausted:
      return "limit";
    default:
      return "internal";
  }
}

// Ends the process without taking down what the system takes anyway: destroying ONNX's schemas one by one takes longer
// than all that gomai-info does. Not under AddressSanitizer, which looks for leaks at an orderly exit.
void Leave([[maybe_unused]] int code) {
#ifndef __SANITIZE_ADDRESS__
  std::_Exit(code);
#endif
}

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "";
}

}  // namespace

Tool::Tool(std::string name, std::string summary, std::string examples)
    : name_(std::move(name)), app_(std::move(summary), name_), started_(std::chrono::steady_clock::now()) {
  app_.formatter(MakeHelpFormatter());
  app_.footer("Examples:\n" + std::move(examples) +
              "\n\nExit code: 0 done, equal or supported; 1 a negative verdict; 2 trouble. @FILE stands for the\n"
              "arguments in that file, one a line.");
  app_.option_defaults()->group(kCommonFlags);
  app_.set_help_flag("-h,--help", "this text");
  app_.set_version_flag("--version", name_ + " " + GOMAI_VERSION, "the version");
  app_.add_flag("--json", json_, "one JSON document on stdout, nothing else");
  app_.add_flag("-v,--verbose", verbosity_, "notes too");
  app_.add_flag("-q,--quiet", quiet_, "errors only");
  app_.add_option("--completion", completion_, "print a completion script for a shell (bash or zsh) and stop")
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->type_name("SHELL");
  app_.option_defaults()->group("Flags");
}

int Tool::Main(int argc, char** argv, const std::function<absl::StatusOr<int>()>& run) {
  if (argc == 3 && std::string_view(argv[1]) == kWorkerFlag) {
    return WorkerMain(ParseInt64(argv[2]).value_or(0));  // no handlers: its end is told by the signal
  }
  HandleSignals(name_.c_str());
  try {
    // --completion needs no model, so it is looked for before required arguments are.
    for (int i = 1; i + 1 < argc; ++i) {
      if (std::string_view(argv[i]) == "--completion") {
        const absl::StatusOr<std::string> script = CompletionScript(app_, name_, argv[i + 1]);
        if (!script.ok()) {
          return Fail(script.status(), kTrouble);
        }
        std::fputs(script->c_str(), stdout);
        return 0;
      }
    }
    absl::StatusOr<std::vector<std::string>> arguments = ExpandResponseFiles(argc, argv);
    if (arguments.ok() && translate_) {
      arguments = translate_(*arguments);
    }
    if (!arguments.ok()) {
      return Fail(arguments.status(), kTrouble);
    }
    // Whether errors of the arguments themselves go to stdout as JSON can't wait for these to parse.
    const bool wants_json = std::find(arguments->begin(), arguments->end(), "--json") != arguments->end();
    try {
      std::vector<std::string> reversed(arguments->rbegin(), arguments->rend());
      app_.parse(std::move(reversed));
    } catch (const CLI::Success& success) {
      app_.exit(success);
      return 0;
    } catch (const CLI::Error& error) {
      json_ = json_ || wants_json;
      // A misspelt flag is said before what it may have caused: that something required is missing.
      if (const std::string flag = UnknownFlag(app_); !flag.empty()) {
        return Fail(UnknownFlagError(app_, flag), kTrouble);
      }
      return Fail(InvalidArgument("{} (--help shows how)", error.what()), kTrouble);
    }
    absl::StatusOr<int> code = run();
    ClearProgress();
    if (!code.ok()) {
      return Fail(code.status(), ExitCode(code.status()));
    }
    if (json_ && !document_printed_) {
      document_["exit_code"] = *code;
      PrintJson();
    }
    if (std::fflush(out_) != 0 || std::ferror(out_) != 0) {
      return Fail(Internal("can't write to stdout"), kTrouble);
    }
    Leave(*code);
    return *code;
  } catch (const std::bad_alloc&) {
    return Fail(ResourceExhausted("out of memory"), kTrouble);
  } catch (const std::exception& error) {
    return Fail(Internal("{}; please report this", error.what()), kTrouble);
  }
}

int Tool::Fail(const absl::Status& status, int code) {
  ClearProgress();
  std::string message(Message(status));
  std::fprintf(stderr, "%s: %s\n", name_.c_str(), message.c_str());
  if (json_ && !document_printed_) {
    document_["error"] = {{"class", FailureClass(status.code())}, {"message", message}};
    document_["exit_code"] = code;
    PrintJson();
  }
  return code;
}

void Tool::PrintJson() {
  document_printed_ = true;
  document_["diagnostics"] = diagnostics_;
  // Names in a model may be any bytes; what isn't UTF-8 is replaced rather than refused.
  const std::string text = document_.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fputc('\n', out_);
}

void Tool::Print(std::string_view text) {
  if (!json_ && !quiet_) {
    ClearProgress();
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
  }
}

void Tool::PrintDocument(std::string_view text) {
  ClearProgress();
  document_printed_ = true;
  std::fwrite(text.data(), 1, text.size(), out_);
}

Diagnostics Tool::diagnostics() {
  return Diagnostics([this](const Diagnostic& diagnostic) {
    if (json_) {
      diagnostics_.push_back({{"severity", SeverityName(diagnostic.severity)},
                              {"location", diagnostic.location},
                              {"message", diagnostic.message}});
    }
    if (diagnostic.severity == Severity::kNote && verbosity_ == 0) {
      return;
    }
    if (quiet_ && diagnostic.severity != Severity::kError) {
      return;
    }
    ClearProgress();
    std::fprintf(stderr, "%s: %s: %s%s%s\n", name_.c_str(), SeverityName(diagnostic.severity),
                 diagnostic.location.c_str(), diagnostic.location.empty() ? "" : ": ", diagnostic.message.c_str());
  });
}

std::vector<std::string> Tool::WorkerCommand() { return {"/proc/self/exe", kWorkerFlag}; }

void Tool::KeepStdout() {
  if (out_ != stdout) {
    return;
  }
  std::fflush(stdout);
  const int kept = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
  std::FILE* file = kept >= 0 ? ::fdopen(kept, "w") : nullptr;
  if (file != nullptr && ::dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) {
    out_ = file;
  }
}

void Tool::FinishOnInterrupt() { AskOnInterrupt(); }

bool Tool::Interrupted() { return InterruptAsked(); }

void Tool::Progress(std::string_view what) {
  progress_ = what;
  ShowProgress(true);
}

void Tool::Tick() {
  if (!progress_.empty()) {
    ShowProgress(false);
  }
}

void Tool::ShowProgress(bool changed) {
  if (quiet_ || json_) {
    return;
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count();
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  if (terminal ? seconds < 2 || (!changed && seconds == progress_told_)
               : seconds < progress_told_ + kPlainLineSeconds) {
    return;
  }
  std::fprintf(stderr, "%s%s: %s (%lld s)%s", terminal ? "\r\033[2K" : "", name_.c_str(), progress_.c_str(),
               static_cast<long long>(seconds), terminal ? "" : "\n");
  progress_told_ = seconds;
  progress_shown_ = terminal;
}

void Tool::ClearProgress() {
  if (progress_shown_) {
    std::fputs("\r\033[2K", stderr);
    progress_shown_ = false;
  }
}

}  // namespace gomai
