#pragma once

// What a session asks of the simulated NPU: session config entries `ep.<lower-case name of the provider>.<key>`.
// README.md lists them.

#include <cstdint>
#include <set>
#include <string>

#include "tests/sim_npu/host.h"

namespace gomai::sim {

enum class Round { kNone, kFp16, kBf16, kInt8 };

enum class Fault {
  kNone,
  // wrong outputs
  kNan,
  kInf,
  kZero,
  kBias,
  kSwap,
  kStale,
  kUnwritten,
  kNondeterministic,
  // no outputs
  kError,
  kCrash,
  kAbort,
  kHang,
  kOom,
  kExit,
  // no session
  kCompileError,
  kCompileCrash,
  kCompileHang,
  kCompileOom,
  // noise on stdout and stderr
  kPrint,
};

struct Options {
  bool claim_all = false;
  std::set<std::string> claim;   // operator types
  std::set<std::string> refuse;  // operator types
  bool static_only = true;
  bool single = false;  // each node a group of its own

  Round round = Round::kNone;
  bool hardsigmoid_bug = false;

  Fault fault = Fault::kNone;
  std::string fault_node;  // part of the name of a node of the group
  std::string fault_op;    // operator type of a node of the group
  int64_t fault_run = -1;  // the group's N-th run from 0; -1: all
  int64_t fault_slot = 1;  // first batch slot that kUnwritten leaves alone
  int exit_code = 0;       // kExit's

  std::string vitisai_report;  // file; "": none
  std::string qnn_folder;      // "": none
  bool report_lies_cpu = false;

  bool context_enable = false;
};

// Failure for a value that an option can't have. Unknown options are ignored, as real providers do; with
// GOMAI_SIM_NPU_IGNORE_OPTIONS=1 in the environment all of the provider's own are.
Options ReadOptions(const Host& host, const OrtSessionOptions* session, const std::string& provider);

}  // namespace gomai::sim
