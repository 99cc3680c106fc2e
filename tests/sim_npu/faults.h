#pragma once

// What goes wrong on purpose.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim_npu/options.h"

namespace gomai::sim {

// A node of a group as faults and reports know it.
struct NodeLabel {
  std::string name;
  std::string op;
  std::string domain;
};

// Whether a group of these nodes is one that the fault is for.
bool IsFaulty(const Options& options, const std::vector<NodeLabel>& nodes);

// Throws, or doesn't come back, if the fault is one of compiling.
void FailToCompile(const Options& options);
// The same for a run.
void FailToRun(const Options& options);
void PrintJunk(std::string_view where);

struct OutputView {
  int dtype = 0;
  std::vector<int64_t> shape;
  std::span<char> bytes;

  std::span<float> floats() const;  // empty unless it is a tensor of these
};

// Steps of max|x| / 127.
void RoundToInt8(std::span<float> values);
// kNan, kInf, kZero, kBias, kNondeterministic, kSwap: in what the group computed. `run` counts from 0.
void Spoil(Fault fault, uint64_t run, std::vector<OutputView>& outputs);
// How many bytes of an output kUnwritten writes.
size_t WrittenBytes(const OutputView& output, int64_t first_unwritten_slot);

}  // namespace gomai::sim
