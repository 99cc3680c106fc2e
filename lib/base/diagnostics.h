#pragma once

// Warnings and notes on their way to whoever called the library.
//
// The library doesn't print: whoever calls it hands in a sink. Errors travel as absl::Status; a sink carries what
// doesn't stop the work (a stale declared shape, a wrong node order) and progress.
//
//   Diagnostics diagnostics([](const Diagnostic& d) { Show(d); });
//   diagnostics.Warn(address, "the declared shape {} is false; it is {} now", old_shape, new_shape);

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace gomai {

enum class Severity { kNote, kWarning, kError };

struct Diagnostic {
  Severity severity = Severity::kNote;
  std::string location;  // a node address or a file; may be empty
  std::string message;
};

class Diagnostics {
 public:
  using Sink = std::function<void(const Diagnostic&)>;

  Diagnostics() = default;  // drops everything
  explicit Diagnostics(Sink sink) : sink_(std::move(sink)) {}

  // A sink that keeps all it gets, in order.
  static Diagnostics Collect(std::vector<Diagnostic>* into) {
    return Diagnostics([into](const Diagnostic& diagnostic) { into->push_back(diagnostic); });
  }

  void Report(const Diagnostic& diagnostic) const {
    if (sink_) {
      sink_(diagnostic);
    }
  }

  template <typename... Args>
  void Warn(std::string location, fmt::format_string<Args...> f, Args&&... args) const {
    Report({Severity::kWarning, std::move(location), fmt::format(f, std::forward<Args>(args)...)});
  }
  template <typename... Args>
  void Note(std::string location, fmt::format_string<Args...> f, Args&&... args) const {
    Report({Severity::kNote, std::move(location), fmt::format(f, std::forward<Args>(args)...)});
  }
  template <typename... Args>
  void Error(std::string location, fmt::format_string<Args...> f, Args&&... args) const {
    Report({Severity::kError, std::move(location), fmt::format(f, std::forward<Args>(args)...)});
  }

 private:
  Sink sink_;
};

}  // namespace gomai
