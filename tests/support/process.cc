// See process.h. Output goes to a nameless file, not through a pipe: nobody has to read while the program runs.
#include "tests/support/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace gomai::testing {

bool UnderAddressSanitizer() {
#if defined(__SANITIZE_ADDRESS__)
  return true;
#else
  return false;
#endif
}

std::filesystem::path Program(const std::string& name) {
  return std::filesystem::path(GOMAI_BINARY_DIR) / "bin" / name;
}

ProcessResult RunProgram(const std::vector<std::string>& command, const ProcessLimits& limits,
                         const std::vector<std::string>& environment) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  std::string pattern = (std::filesystem::temp_directory_path() / "gomai-output-XXXXXX").string();
  const int output = ::mkstemp(pattern.data());
  if (output < 0) {
    throw std::runtime_error("can't make a temporary file");
  }
  ::unlink(pattern.c_str());
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    const rlimit no_core = {0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    if (limits.address_space != 0 && !UnderAddressSanitizer()) {
      const rlimit space = {limits.address_space, limits.address_space};
      ::setrlimit(RLIMIT_AS, &space);
    }
    for (const std::string& entry : environment) {
      ::putenv(const_cast<char*>(entry.c_str()));
    }
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ProcessResult result;
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, WNOHANG, &usage) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (result.seconds > limits.seconds && !result.timed_out) {
      result.timed_out = true;
      ::kill(child, SIGKILL);
    }
  }
  if (WIFEXITED(status)) {
    result.exit_code = WEXITSTATUS(status);
  } else {
    result.signal = WTERMSIG(status);
  }
  result.peak_memory = static_cast<uint64_t>(usage.ru_maxrss) << 10;
  result.output.resize(size_t{1} << 20);
  const ssize_t n = ::pread(output, result.output.data(), result.output.size(), 0);
  result.output.resize(n < 0 ? 0 : static_cast<size_t>(n));
  ::close(output);
  return result;
}

}  // namespace gomai::testing
