// See child_process.h.
#include "lib/runtime/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

extern char** environ;

namespace gomai {
namespace {

constexpr int kSocket = 3;
constexpr off_t kMostLog = off_t{32} << 20;
constexpr off_t kMostTold = 4096;

std::string SignalName(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const std::vector<std::string>& command, int socket) {
  std::unique_ptr<ChildProcess> child(new ChildProcess);
  child->log_ = ::memfd_create("gomai-log", MFD_CLOEXEC);
  if (child->log_ < 0 || ::fcntl(child->log_, F_SETFL, O_APPEND) != 0) {
    ::close(socket);
    return Internal("can't make a log for a child process: {}", std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, child->log_, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, child->log_, STDERR_FILENO);
  // A duplicate onto itself clears close-on-exec, too.
  ::posix_spawn_file_actions_adddup2(&actions, socket, kSocket);
  // A group of its own: what the terminal sends on Ctrl-C is for us, and what the child starts goes with it.
  ::posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> argv;
  for (const std::string& argument : command) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const int error = ::posix_spawn(&child->pid_, argv[0], &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  ::close(socket);
  if (error != 0) {
    child->pid_ = -1;
    return Internal("can't start '{}': {}", command.front(), std::strerror(error));
  }
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended_) {
    Kill();
    Wait();
  }
  if (log_ >= 0) {
    ::close(log_);
  }
}

uint64_t ChildProcess::ResidentBytes() const {
  unsigned long long pages = 0;
  if (std::FILE* file = std::fopen(fmt::format("/proc/{}/statm", pid_).c_str(), "re"); file != nullptr) {
    if (std::fscanf(file, "%*s %llu", &pages) != 1) {
      pages = 0;
    }
    std::fclose(file);
  }
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

void ChildProcess::Kill() {
  if (pid_ > 0 && !ended_) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // should it not have its group yet
  }
}

std::string ChildProcess::Wait() {
  if (ended_ || pid_ <= 0) {
    return end_;
  }
  int status = 0;
  pid_t waited = 0;
  do {
    waited = ::waitpid(pid_, &status, 0);
  } while (waited < 0 && errno == EINTR);
  ended_ = true;
  ::kill(-pid_, SIGKILL);  // what it started and left
  if (waited < 0) {
    end_ = "gone";
  } else if (WIFSIGNALED(status)) {
    end_ = fmt::format("killed by {}", SignalName(WTERMSIG(status)));
  } else {
    end_ = fmt::format("ended with exit code {}", WEXITSTATUS(status));
  }
  return end_;
}

void ChildProcess::TrimLog() {
  struct stat status {};
  if (::fstat(log_, &status) == 0 && status.st_size > kMostLog) {
    [[maybe_unused]] const int cut = ::ftruncate(log_, 0);
  }
}

std::string ChildProcess::TakeLog() {
  struct stat status {};
  if (::fstat(log_, &status) != 0) {
    return "";
  }
  const off_t told = std::min(status.st_size, kMostTold);
  std::string text(static_cast<size_t>(told), '\0');
  const ssize_t n = ::pread(log_, text.data(), text.size(), status.st_size - told);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  if (told < status.st_size) {
    text.erase(0, text.find('\n') + 1);  // not half a line; all of it if there is no line's end
  }
  [[maybe_unused]] const int cut = ::ftruncate(log_, 0);
  return text;
}

}  // namespace gomai
