#pragma once

// Running a program under limits, for tests of what a process does: exit code, signal, peak memory, time.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gomai::testing {

// Is this build instrumented by AddressSanitizer? Its shadow memory makes limits and measures of memory meaningless.
bool UnderAddressSanitizer();

std::filesystem::path Program(const std::string& name);  // of this build

struct ProcessLimits {
  uint64_t address_space = 0;  // bytes; 0: none. Not set under AddressSanitizer
  double seconds = 60;         // then it is killed
};
struct ProcessResult {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;
  bool timed_out = false;
  uint64_t peak_memory = 0;  // bytes resident at most
  double seconds = 0;
  std::string output;  // stdout and stderr together, up to 1 MiB
};
// `environment` holds "NAME=VALUE" to be set besides this process's own. stdin is empty.
ProcessResult RunProgram(const std::vector<std::string>& command, const ProcessLimits& limits = {},
                         const std::vector<std::string>& environment = {});

}  // namespace gomai::testing
