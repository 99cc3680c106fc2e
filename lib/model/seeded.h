#pragma once

// Made-up weights by rule: how a model can be passed on without its weights and still behave.
//
// A tensor's doc string "seeded-uniform mean=M std=S" stands for its values: value i of the tensor `name` is
//   mean + std * sqrt(3) * (2 * u - 1),  u = (splitmix64(h + i) >> 40) * 2^-24,  h = fnv1a64(name) xor seed
// in double, rounded once to float32. Every machine gets the same bytes. Seeded tensors are float32 initializers of the
// main graph; the passes strip-weights and fill-weights make and use them.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace gomai {

struct SeededRule {
  double mean = 0;
  double std = 0;
  bool operator==(const SeededRule&) const = default;
};

// Does a doc string begin as a rule does?
bool IsSeededText(std::string_view doc_string);
// kDataLoss, saying what is wrong, for a text that begins like a rule and isn't one.
absl::StatusOr<SeededRule> ParseSeededRule(std::string_view doc_string);
std::string SeededText(const SeededRule& rule);  // nine digits a number, as Python's %.9g
// The rule as read back from its text.
SeededRule Rounded(const SeededRule& rule);

// The values [first, first + count) as little-endian float32 bytes; 2 ns a value.
std::string SeededBytes(std::string_view name, uint64_t first, uint64_t count, const SeededRule& rule, uint64_t seed);

}  // namespace gomai
