#include "tests/sim_npu/faults.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

namespace gomai::sim {
namespace {

[[noreturn]] void Hang() {
  while (true) {
    sleep(1);
  }
}

// Ends when the memory does: with bad_alloc, or by the kernel's hand.
[[noreturn]] void UseUpMemory() {
  constexpr size_t kStep = size_t{64} << 20;
  std::vector<std::unique_ptr<char[]>> taken;
  while (true) {
    taken.push_back(std::make_unique_for_overwrite<char[]>(kStep));
    std::memset(taken.back().get(), 1, kStep);
  }
}

// Uniform in [-1, 1), from two counters.
float Noise(uint64_t run, uint64_t index) {
  uint64_t bits = (run + 1) * 0x9E3779B97F4A7C15U + index * 0xBF58476D1CE4E5B9U;
  bits = (bits ^ bits >> 29) * 0x94D049BB133111EBU;
  return static_cast<float>(bits >> 40) / static_cast<float>(1 << 23) - 1;
}

void SwapBytes(std::span<char> a, std::span<char> b) { std::swap_ranges(a.begin(), a.end(), b.begin()); }

// The first two outputs that could be taken for one another; failing these, the first two slots of a batch.
void Swap(std::vector<OutputView>& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (size_t j = i + 1; j < outputs.size(); ++j) {
      if (outputs[i].dtype == outputs[j].dtype && outputs[i].shape == outputs[j].shape) {
        SwapBytes(outputs[i].bytes, outputs[j].bytes);
        return;
      }
    }
  }
  for (const OutputView& output : outputs) {
    if (!output.shape.empty() && output.shape[0] >= 2) {
      const size_t slot = WrittenBytes(output, 1);
      SwapBytes(output.bytes.subspan(0, slot), output.bytes.subspan(slot, slot));
      return;
    }
  }
}

}  // namespace

bool IsFaulty(const Options& options, const std::vector<NodeLabel>& nodes) {
  return options.fault != Fault::kNone && std::any_of(nodes.begin(), nodes.end(), [&](const NodeLabel& node) {
           return node.name.find(options.fault_node) != std::string::npos &&
                  (options.fault_op.empty() || node.op == options.fault_op);
         });
}

void FailToCompile(const Options& options) {
  switch (options.fault) {
    case Fault::kCompileError:
      throw Failure("sim_npu: the compiler gives up, as asked to");
    case Fault::kCompileCrash:
      std::raise(SIGSEGV);
      break;
    case Fault::kCompileHang:
      Hang();
    case Fault::kCompileOom:
      UseUpMemory();
    default:
      break;
  }
}

void FailToRun(const Options& options) {
  switch (options.fault) {
    case Fault::kError:
      throw Failure("sim_npu: the device gives up, as asked to");
    case Fault::kCrash:
      std::raise(SIGSEGV);
      break;
    case Fault::kAbort:
      std::abort();
    case Fault::kHang:
      Hang();
    case Fault::kOom:
      UseUpMemory();
    case Fault::kExit:
      _exit(options.exit_code);
    default:
      break;
  }
}

void PrintJunk(std::string_view where) {
  std::printf("[sim_npu] %.*s: {\"status\": \"ok\"}\n%%%%PROGRESS 100%%\n", static_cast<int>(where.size()),
              where.data());
  std::fflush(stdout);
  std::fprintf(stderr, "[sim_npu] %.*s: WARNING: everything is fine\n", static_cast<int>(where.size()), where.data());
}

std::span<float> OutputView::floats() const {
  if (dtype != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
    return {};
  }
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

void RoundToInt8(std::span<float> values) {
  float largest = 0;
  for (const float value : values) {
    largest = std::max(largest, std::abs(value));  // NaN doesn't pass
  }
  const float step = largest / 127;
  if (step == 0 || !std::isfinite(step)) {
    return;
  }
  for (float& value : values) {
    value = std::round(value / step) * step;
  }
}

void Spoil(Fault fault, uint64_t run, std::vector<OutputView>& outputs) {
  if (fault == Fault::kSwap) {
    Swap(outputs);
    return;
  }
  for (const OutputView& output : outputs) {
    if (fault == Fault::kZero) {
      std::fill(output.bytes.begin(), output.bytes.end(), '\0');
    }
    const std::span<float> values = output.floats();
    if (values.empty()) {
      continue;
    }
    float& middle = values[values.size() / 2];
    if (fault == Fault::kNan) {
      middle = std::numeric_limits<float>::quiet_NaN();
    } else if (fault == Fault::kInf) {
      middle = std::numeric_limits<float>::infinity();
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (fault == Fault::kBias) {
        values[i] += 0.25F;
      } else if (fault == Fault::kNondeterministic) {
        values[i] += 0.01F * Noise(run, i);
      }
    }
  }
}

size_t WrittenBytes(const OutputView& output, int64_t first_unwritten_slot) {
  const int64_t slots = output.shape.empty() ? 1 : output.shape[0];
  if (slots <= 0) {
    return 0;
  }
  const auto written = static_cast<size_t>(std::clamp<int64_t>(first_unwritten_slot, 0, slots));
  return output.bytes.size() / static_cast<size_t>(slots) * written;
}

}  // namespace gomai::sim
