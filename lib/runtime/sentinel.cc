// See sentinel.h.
#include "lib/runtime/sentinel.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace gomai {
namespace {

constexpr size_t kLeastBytes = 16;  // of narrow types

// Eight bytes, little-endian, that repeat.
std::array<uint8_t, 8> Pattern(int dtype) {
  uint64_t bits = 0xA5A5A5A5A5A5A5A5;
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::COMPLEX64:
      bits = 0x7FC5A5C37FC5A5C3;
      break;
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::COMPLEX128:
      bits = 0x7FFDA5C3A5C3A5C3;
      break;
    case onnx::TensorProto::FLOAT16:
      bits = 0x7EA57EA57EA57EA5;
      break;
    case onnx::TensorProto::BFLOAT16:
      bits = 0x7FE57FE57FE57FE5;
      break;
    default:
      break;
  }
  std::array<uint8_t, 8> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(bits >> (8 * i));
  }
  return bytes;
}

bool IsNarrow(int dtype) { return PackedBytes(dtype, 1) <= 1; }

}  // namespace

void FillSentinel(int dtype, std::span<uint8_t> bytes) {
  const std::array<uint8_t, 8> pattern = Pattern(dtype);
  for (size_t i = 0; i < bytes.size(); i += pattern.size()) {
    std::memcpy(bytes.data() + i, pattern.data(), std::min(pattern.size(), bytes.size() - i));
  }
}

std::vector<int64_t> UnwrittenSlots(const HostTensor& tensor) {
  std::vector<int64_t> unwritten;
  const int64_t slots = tensor.shape().empty() ? 1 : tensor.shape().front();
  const std::span<const uint8_t> bytes = tensor.bytes();
  if (tensor.is_string() || slots == 0 || bytes.empty() || bytes.size() % static_cast<size_t>(slots) != 0) {
    return unwritten;
  }
  const size_t size = bytes.size() / static_cast<size_t>(slots);
  if (IsNarrow(tensor.dtype()) && size < kLeastBytes) {
    return unwritten;
  }
  const std::array<uint8_t, 8> pattern = Pattern(tensor.dtype());
  for (int64_t slot = 0; slot < slots; ++slot) {
    const size_t begin = static_cast<size_t>(slot) * size;
    size_t i = begin;
    while (i < begin + size && bytes[i] == pattern[i % pattern.size()]) {
      ++i;
    }
    if (i == begin + size) {
      unwritten.push_back(slot);
    }
  }
  return unwritten;
}

std::string DescribeRuns(const std::vector<int64_t>& ascending) {
  constexpr size_t kMost = 10;
  std::vector<std::string> runs;
  for (size_t i = 0; i < ascending.size();) {
    size_t end = i + 1;
    while (end < ascending.size() && ascending[end] == ascending[end - 1] + 1) {
      ++end;
    }
    if (runs.size() == kMost) {
      runs.emplace_back("…");
      break;
    }
    runs.push_back(end - i == 1 ? fmt::to_string(ascending[i])
                                : fmt::format("{}..{}", ascending[i], ascending[end - 1]));
    i = end;
  }
  return fmt::format("{}", fmt::join(runs, ", "));
}

std::string DescribeUnwritten(const HostTensor& tensor) {
  const std::vector<int64_t> slots = UnwrittenSlots(tensor);
  if (slots.empty()) {
    return "";
  }
  if (tensor.shape().empty() || slots.size() == static_cast<size_t>(tensor.shape().front())) {
    return "it was never written";
  }
  return fmt::format("{} {} of {} {} never written", slots.size() == 1 ? "slot" : "slots", DescribeRuns(slots),
                     tensor.shape().front(), slots.size() == 1 ? "was" : "were");
}

}  // namespace gomai
