// The fill's pattern goes by the position of a byte in the tensor, never in a slot, so that a slot may begin anywhere.
#include "lib/runtime/sentinel.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>

#include "lib/model/dtype.h"
#include "lib/model/numbers.h"

namespace gomai {
namespace {

static_assert(std::endian::native == std::endian::little);  // the fill is laid down byte by byte

using Pattern = std::array<uint8_t, 8>;

Pattern PatternOf(int dtype) {
  const auto repeated = [](uint64_t bits, size_t width) {
    Pattern pattern;
    for (size_t i = 0; i < pattern.size(); ++i) {
      pattern[i] = static_cast<uint8_t>(bits >> (i % width * 8));
    }
    return pattern;
  };
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::COMPLEX64:
      return repeated(0x7fd5a3c7, 4);
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::COMPLEX128:
      return repeated(0x7ffd5a3c69a5c3e7, 8);
    case onnx::TensorProto::FLOAT16:
      return repeated(0x7f5a, 2);
    case onnx::TensorProto::BFLOAT16:
      return repeated(0x7fd5, 2);
    case onnx::TensorProto::BOOL:
      return repeated(0xa5, 1);
    default:
      return {0xa5, 0x5a, 0xc3, 0x3c, 0x96, 0x69, 0xb4, 0x4b};
  }
}

// How many elements in a row can't be a result by chance.
int64_t SureRun(int dtype) {
  if (dtype == onnx::TensorProto::BOOL || IsFloatDtype(dtype) || BitsPerElement(dtype) > 16) {
    return 1;
  }
  return BitsPerElement(dtype) == 16 ? 4 : 16;
}

bool HoldsFill(const uint8_t* data, const Pattern& pattern, int64_t element, int bits) {
  const auto first = static_cast<size_t>(element) * static_cast<size_t>(bits);  // bit
  const size_t byte = first / 8;
  if (bits < 8) {
    const unsigned other = static_cast<unsigned>(data[byte] ^ pattern[byte % pattern.size()]);
    return ((other >> (first % 8)) & ((1u << bits) - 1)) == 0;
  }
  for (size_t i = byte; i < byte + static_cast<size_t>(bits) / 8; ++i) {
    if (data[i] != pattern[i % pattern.size()]) {
      return false;
    }
  }
  return true;
}

}  // namespace

int64_t SlotCount(const HostTensor& tensor) { return tensor.shape().empty() ? 1 : tensor.shape()[0]; }
int64_t SlotSize(const HostTensor& tensor) {
  return tensor.shape().empty()
             ? 1
             : std::accumulate(tensor.shape().begin() + 1, tensor.shape().end(), int64_t{1}, std::multiplies<>());
}

std::string SlotList(const std::vector<int64_t>& slots, size_t max_runs) {
  std::string text = slots.size() == 1 ? "slot " : "slots ";
  size_t runs = 0;
  for (size_t i = 0; i < slots.size();) {
    size_t end = i + 1;
    while (end < slots.size() && slots[end] == slots[end - 1] + 1) {
      ++end;
    }
    const bool range = end - i > 2;
    if (runs++ >= max_runs) {
      return fmt::format("{}, … ({} in all)", text, slots.size());
    }
    text += fmt::format("{}{}", i == 0 ? "" : ", ", slots[i]);
    if (range) {
      text += fmt::format("..{}", slots[end - 1]);
    }
    i = range ? end : i + 1;
  }
  return text;
}

void FillSentinel(std::span<uint8_t> bytes, int dtype) {
  const Pattern pattern = PatternOf(dtype);
  for (size_t i = 0; i < bytes.size(); i += pattern.size()) {
    std::memcpy(bytes.data() + i, pattern.data(), std::min(pattern.size(), bytes.size() - i));
  }
}

UnwrittenReport UnwrittenSlots(const HostTensor& result) {
  UnwrittenReport report;
  const int bits = BitsPerElement(result.dtype());
  if (result.is_string() || bits == 0) {
    report.problem = fmt::format("what wasn't written can't be told for dtype {}", DtypeName(result.dtype()));
    return report;
  }
  const int64_t count = result.count();
  if (result.bytes().size() < PackedBytes(result.dtype(), static_cast<uint64_t>(count))) {
    report.problem = fmt::format("{} bytes are too few for {}", result.bytes().size(), result.Describe());
    return report;
  }
  report.slot_count = SlotCount(result);
  const int64_t size = SlotSize(result);
  const int64_t sure = SureRun(result.dtype());
  const Pattern pattern = PatternOf(result.dtype());
  const uint8_t* data = result.bytes().data();
  for (int64_t at = 0; at < count;) {
    int64_t end = at;
    while (end < count && HoldsFill(data, pattern, end, bits)) {
      ++end;
    }
    if (const int64_t run = end - at; run > 0 && run >= sure) {
      report.elements += run;
      for (int64_t slot = (at + size - 1) / size; size >= sure && (slot + 1) * size <= end; ++slot) {
        report.slots.push_back(slot);
        report.elements -= size;
      }
    }
    at = end + 1;
  }
  return report;
}

std::string UnwrittenReport::Why(size_t max_runs) const {
  if (!problem.empty()) {
    return problem;
  }
  const char* noun = elements == 1 ? "element" : "elements";
  if (slots.empty()) {
    return elements == 0 ? "" : fmt::format("{} {} {} written", elements, noun, elements == 1 ? "wasn't" : "weren't");
  }
  if (static_cast<int64_t>(slots.size()) == slot_count) {
    return slot_count == 1 ? "the one slot wasn't written" : fmt::format("none of {} slots was written", slot_count);
  }
  std::string text = fmt::format("{} of {} {} written", SlotList(slots, max_runs), slot_count,
                                 slots.size() == 1 ? "wasn't" : "weren't");
  if (elements > 0) {
    text += fmt::format(", nor {} {} {} of others", elements == 1 ? "was" : "were", elements, noun);
  }
  return text;
}

}  // namespace gomai
