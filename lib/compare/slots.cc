// A slot is compared as a tensor of its own, so that tolerances mean here what they mean there.
#include "lib/compare/slots.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/model/dtype.h"
#include "lib/model/numbers.h"
#include "lib/runtime/sentinel.h"

namespace gomai {
namespace {

// One slot as a tensor, which lives no longer than its origin.
HostTensor SlotOf(const HostTensor& tensor, int64_t slot) {
  std::vector<int64_t> shape = tensor.shape();
  if (!shape.empty()) {
    shape.erase(shape.begin());
  }
  const int64_t size = SlotSize(tensor);
  if (tensor.is_string()) {
    const auto begin = tensor.strings().begin() + slot * size;
    return HostTensor::Strings(std::move(shape), {begin, begin + size});
  }
  const auto bits = static_cast<uint64_t>(BitsPerElement(tensor.dtype()));
  const uint64_t from = static_cast<uint64_t>(slot * size) * bits;
  const uint64_t length = static_cast<uint64_t>(size) * bits;
  if (from % 8 == 0 && length % 8 == 0) {
    return HostTensor::Wrap(tensor.dtype(), std::move(shape), tensor.bytes().subspan(from / 8, length / 8), nullptr);
  }
  // Begins or ends inside a byte.
  auto moved = std::make_shared<std::vector<uint8_t>>((length + 7) / 8, uint8_t{0});
  for (uint64_t bit = 0; bit < length; ++bit) {
    const int on = (tensor.bytes()[(from + bit) / 8] >> ((from + bit) % 8)) & 1;
    (*moved)[bit / 8] = static_cast<uint8_t>((*moved)[bit / 8] | (on << (bit % 8)));
  }
  return HostTensor::Wrap(tensor.dtype(), std::move(shape), *moved, moved);
}

const char* Are(size_t count) { return count == 1 ? "is" : "are"; }

std::string HowFar(const SlotComparison& comparison) {
  double max_abs = 0;
  int64_t nonfinite = 0;
  int64_t differing = 0;
  for (const SlotDifference& slot : comparison.slots) {
    if (!slot.equal) {
      max_abs = std::max(max_abs, slot.max_abs);
      nonfinite += slot.nonfinite;
      differing += slot.differing;
    }
  }
  std::vector<std::string> parts;
  if (max_abs > 0) {
    parts.push_back(fmt::format("max abs {:.4g}", max_abs));
  }
  if (nonfinite > 0) {
    parts.push_back(fmt::format("{} not finite", nonfinite));
  }
  if (parts.empty()) {
    parts.push_back(fmt::format("{} {}", differing, differing == 1 ? "element" : "elements"));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

SlotComparison CompareSlots(const HostTensor& candidate, const HostTensor& reference, const Tolerance& tolerance) {
  SlotComparison result;
  result.problem = Incomparable(candidate, reference);
  if (!result.problem.empty()) {
    return result;
  }
  const uint64_t needed = PackedBytes(reference.dtype(), static_cast<uint64_t>(reference.count()));
  if (!reference.is_string() && (candidate.bytes().size() < needed || reference.bytes().size() < needed)) {
    result.problem = fmt::format("{} bytes, reference {} bytes", candidate.bytes().size(), reference.bytes().size());
    return result;
  }
  const int64_t count = SlotCount(reference);
  result.slots.reserve(static_cast<size_t>(count));
  for (int64_t slot = 0; slot < count; ++slot) {
    const TensorComparison c = CompareTensors(SlotOf(candidate, slot), SlotOf(reference, slot), tolerance);
    if (!c.problem.empty()) {
      SlotComparison broken;
      broken.problem = c.problem;
      return broken;
    }
    if (!c.equal) {
      result.bad.push_back(slot);
    }
    result.slots.push_back({.slot = slot,
                            .equal = c.equal,
                            .max_abs = c.max_abs,
                            .rmse = c.rmse,
                            .differing = c.differing,
                            .nonfinite = c.nan_candidate + c.inf_candidate});
  }
  result.equal = result.bad.empty();
  return result;
}

std::string DescribeSlots(const SlotComparison& comparison, size_t max_runs) {
  if (!comparison.problem.empty()) {
    return comparison.problem;
  }
  const size_t count = comparison.slots.size();
  if (count == 0) {
    return "there are no slots";
  }
  if (comparison.equal) {
    return count == 1 ? "the one slot is equal" : fmt::format("all {} slots are equal", count);
  }
  const std::string far = HowFar(comparison);
  if (comparison.bad.size() == count) {
    return count == 1 ? fmt::format("the one slot differs ({})", far)
                      : fmt::format("all {} slots differ ({})", count, far);
  }
  std::vector<int64_t> good;
  for (const SlotDifference& slot : comparison.slots) {
    if (slot.equal) {
      good.push_back(slot.slot);
    }
  }
  return fmt::format("{} of {} {} ({}); {} {} equal", SlotList(comparison.bad, max_runs), count,
                     comparison.bad.size() == 1 ? "differs" : "differ", far, SlotList(good, max_runs),
                     Are(good.size()));
}

}  // namespace gomai
