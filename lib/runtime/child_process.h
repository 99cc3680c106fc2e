#pragma once

// Internal to lib/runtime: a child process that may crash, hang or take all memory: started without a copy of this one,
// held to limits, ended with all of its own children, and its end told in words.
//
//   GOMAI_ASSIGN_OR_RETURN(auto child, ChildProcess::Start({"/proc/self/exe", "--flag"}, socket));
//   if (absl::Status ok = child->CheckMemory(limit); !ok.ok()) child->Kill();
//   child->Wait();  // "killed by SIGSEGV"

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

class ChildProcess {
 public:
  // `socket` becomes the child's descriptor 3 (and is closed here); what it prints goes to a log of its own.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const std::vector<std::string>& command, int socket);
  ~ChildProcess();  // kills it
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  uint64_t ResidentBytes() const;  // 0 if it is gone
  void Kill();                     // it and what it started
  // Waits for its end and says what that was: "killed by SIGSEGV", "ended with exit code 3". May be called again.
  std::string Wait();
  // The last lines that it printed since this was asked last, at most some kilobytes.
  std::string TakeLog();
  void TrimLog();  // so that one that prints without end doesn't fill memory

 private:
  ChildProcess() = default;

  pid_t pid_ = -1;
  bool ended_ = false;
  std::string end_;
  int log_ = -1;
};

}  // namespace gomai
