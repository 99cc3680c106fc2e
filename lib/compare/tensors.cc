// One template over loaders (elements.h) does the work for every dtype. Tensors whose bytes are equal, the common case
// when a split is verified, take a short cut that only counts what isn't finite.
#include "lib/compare/tensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "lib/model/elements.h"

namespace gomai {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<int64_t> Coordinates(int64_t flat, const std::vector<int64_t>& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}

// Sums over finite pairs and the place of the worst.
template <typename Value>
struct Sums {
  int64_t finite = 0;
  Value candidate2 = 0, reference2 = 0, product = 0, difference = 0, difference2 = 0;
  Value peak = 0;  // largest |b|
  Value max_abs = -1;
  Value max_rel = 0;
  int64_t worst = -1;           // of the largest finite difference that isn't 0
  int64_t first_mismatch = -1;  // where one side isn't finite
  int64_t first_bits = -1;
};

template <typename Value>
void FillMetrics(const Sums<Value>& sums, TensorComparison& result) {
  if (sums.finite > 0) {
    const Value n = static_cast<Value>(sums.finite);
    result.max_abs = static_cast<double>(std::max(sums.max_abs, Value{0}));
    result.max_rel = static_cast<double>(sums.max_rel);
    result.mean_abs = static_cast<double>(sums.difference / n);
    result.rmse = static_cast<double>(std::sqrt(sums.difference2 / n));
  }
  if (sums.candidate2 == 0 || sums.reference2 == 0) {
    result.cosine = sums.candidate2 == sums.reference2 ? 1 : 0;
  } else {
    const Value cosine = sums.product / (std::sqrt(sums.candidate2) * std::sqrt(sums.reference2));
    result.cosine = static_cast<double>(std::clamp(cosine, Value{-1}, Value{1}));
  }
  if (sums.difference2 == 0) {
    result.snr_db = result.psnr_db = kInfinity;
  } else {
    result.snr_db = static_cast<double>(10 * std::log10(sums.reference2 / sums.difference2));
    const Value mean2 = sums.difference2 / static_cast<Value>(sums.finite);
    result.psnr_db = static_cast<double>(10 * std::log10(sums.peak * sums.peak / mean2));
  }
}

// For equal bytes: what isn't finite, and nothing else to find.
template <typename Loader>
void CountSpecial(const Loader& values, int64_t count, TensorComparison& result) {
  result.snr_db = result.psnr_db = kInfinity;
  if constexpr (Loader::kFloat) {
    int64_t nan = 0;
    int64_t infinite = 0;
    for (int64_t i = 0; i < count; ++i) {
      const auto value = values.ValueAt(i);
      nan += value != value ? 1 : 0;
      infinite += std::abs(value) > std::numeric_limits<decltype(value)>::max() ? 1 : 0;
    }
    result.nan_candidate = result.nan_reference = nan;
    result.inf_candidate = result.inf_reference = infinite;
  }
}

// The largest finite value less the smallest; 0 without any.
template <typename Loader>
typename Loader::Value RangeOf(const Loader& values, int64_t count) {
  using Value = typename Loader::Value;
  Value least = 0;
  Value most = 0;
  bool any = false;
  for (int64_t i = 0; i < count; ++i) {
    const Value value = values.ValueAt(i);
    if (std::isfinite(value)) {
      least = any ? std::min(least, value) : value;
      most = any ? std::max(most, value) : value;
      any = true;
    }
  }
  return most - least;
}

template <typename Loader>
void CompareElements(const Loader& candidate, const Loader& reference, int64_t count, int components,
                     const std::vector<int64_t>& shape, const Tolerance& tolerance, TensorComparison& result) {
  using Value = typename Loader::Value;
  const Value rtol = static_cast<Value>(tolerance.rtol);
  Value atol = static_cast<Value>(tolerance.atol);
  if (tolerance.range > 0) {
    atol += static_cast<Value>(tolerance.range) * RangeOf(reference, count);
  }
  const bool elementwise = tolerance.rtol != 0 || tolerance.atol != 0 || tolerance.range != 0 ||
                           (!tolerance.min_cosine && !tolerance.min_snr_db);
  Sums<Value> sums;
  for (int64_t i = 0; i < count; ++i) {
    const bool other_bits = candidate.BitsAt(i) != reference.BitsAt(i);
    const Value a = candidate.ValueAt(i);
    const Value b = reference.ValueAt(i);
    if (other_bits) {
      ++result.differing_bits;
      if (sums.first_bits < 0) {
        sums.first_bits = i;
      }
    }
    if (!std::isfinite(a) || !std::isfinite(b)) {
      const bool nan_a = std::isnan(a);
      const bool nan_b = std::isnan(b);
      result.nan_candidate += nan_a ? 1 : 0;
      result.nan_reference += nan_b ? 1 : 0;
      result.nan_mismatch += nan_a != nan_b ? 1 : 0;
      result.inf_candidate += std::isinf(a) ? 1 : 0;
      result.inf_reference += std::isinf(b) ? 1 : 0;
      const bool same = (nan_a && nan_b) || a == b;
      if (!same) {
        ++result.differing;
        if (sums.first_mismatch < 0) {
          sums.first_mismatch = i;
        }
      }
      result.out_of_tolerance += (tolerance.bits ? other_bits : !same) ? 1 : 0;
      continue;
    }
    const Value difference = std::abs(a - b);
    const Value size = std::abs(b);
    ++sums.finite;
    sums.candidate2 += a * a;
    sums.reference2 += b * b;
    sums.product += a * b;
    sums.difference += difference;
    sums.difference2 += difference * difference;
    sums.peak = std::max(sums.peak, size);
    if (difference != 0) {
      ++result.differing;
      sums.max_rel = std::max(sums.max_rel, size == 0 ? std::numeric_limits<Value>::infinity() : difference / size);
      if (difference > sums.max_abs) {
        sums.max_abs = difference;
        sums.worst = i;
      }
    } else if (other_bits && a == 0) {
      ++result.zero_signs;
    }
    // Written so that a tolerance that isn't a number lets nothing pass.
    const bool inside = tolerance.bits ? !other_bits : !elementwise || difference <= atol + rtol * size;
    result.out_of_tolerance += inside ? 0 : 1;
  }
  FillMetrics(sums, result);
  const int64_t worst = sums.first_mismatch >= 0 ? sums.first_mismatch : sums.worst >= 0 ? sums.worst : sums.first_bits;
  if (worst >= 0) {
    result.worst_index = Coordinates(worst / components, shape);
    if (components == 2) {
      const int64_t first = worst / 2 * 2;
      const auto text = [first](const Loader& from) {
        return fmt::format("({},{})", from.Text(first), from.Text(first + 1));
      };
      result.worst_candidate = text(candidate);
      result.worst_reference = text(reference);
    } else {
      result.worst_candidate = candidate.Text(worst);
      result.worst_reference = reference.Text(worst);
    }
  }
}

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void CompareStrings(const HostTensor& candidate, const HostTensor& reference, TensorComparison& result) {
  const std::vector<std::string>& a = candidate.strings();
  const std::vector<std::string>& b = reference.strings();
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) {
      continue;
    }
    if (result.differing++ == 0) {
      result.worst_index = Coordinates(static_cast<int64_t>(i), reference.shape());
      result.worst_candidate = Quoted(a[i]);
      result.worst_reference = Quoted(b[i]);
    }
  }
  result.differing_bits = result.out_of_tolerance = result.differing;
  result.cosine = result.differing == 0 ? 1 : 0;
  result.snr_db = result.psnr_db = result.differing == 0 ? kInfinity : -kInfinity;
}

void Judge(const Tolerance& tolerance, TensorComparison& result) {
  if (result.nan_mismatch > 0) {
    result.failure = fmt::format("{} NaN on one side only", result.nan_mismatch);
  } else if (result.out_of_tolerance > 0) {
    result.failure =
        fmt::format("{} of {} {} {}", result.out_of_tolerance, result.count, result.count == 1 ? "element" : "elements",
                    tolerance.bits      ? "differ in bits"
                    : tolerance.exact() ? "differ"
                                        : "beyond the tolerance");
  } else if (tolerance.min_cosine && !(result.cosine >= *tolerance.min_cosine)) {
    result.failure = fmt::format("cosine {:.9g}, at least {} asked for", result.cosine, *tolerance.min_cosine);
  } else if (tolerance.min_snr_db && !(result.snr_db >= *tolerance.min_snr_db)) {
    result.failure = fmt::format("SNR {:.2f} dB, at least {} asked for", result.snr_db, *tolerance.min_snr_db);
  }
  result.equal = result.failure.empty();
}

}  // namespace

std::string TensorComparison::Why() const { return problem.empty() ? failure : problem; }

std::string Incomparable(const HostTensor& candidate, const HostTensor& reference) {
  if (candidate.dtype() != reference.dtype()) {
    return fmt::format("dtype {}, reference {}", DtypeName(candidate.dtype()), DtypeName(reference.dtype()));
  }
  if (candidate.shape() != reference.shape()) {
    return fmt::format("shape [{}], reference [{}]", fmt::join(candidate.shape(), ","),
                       fmt::join(reference.shape(), ","));
  }
  return "";
}

TensorComparison CompareTensors(const HostTensor& candidate, const HostTensor& reference, const Tolerance& tolerance) {
  TensorComparison result;
  result.count = reference.count();
  result.problem = Incomparable(candidate, reference);
  if (!result.problem.empty()) {
    return result;
  }
  if (reference.is_string()) {
    CompareStrings(candidate, reference, result);
    Judge(tolerance, result);
    return result;
  }
  const auto a = candidate.bytes();
  const auto b = reference.bytes();
  if (a.size() != b.size() || b.size() < PackedBytes(reference.dtype(), static_cast<uint64_t>(result.count))) {
    result.problem = fmt::format("{} bytes, reference {} bytes", a.size(), b.size());
    return result;
  }
  const bool known = elements::Dispatch(
      reference.dtype(), a.data(), b.data(), [&](const auto& from_a, const auto& from_b, int components) {
        result.count *= components;
        if (b.empty() || std::memcmp(a.data(), b.data(), b.size()) == 0) {
          CountSpecial(from_b, result.count, result);
        } else {
          CompareElements(from_a, from_b, result.count, components, reference.shape(), tolerance, result);
        }
      });
  if (!known) {
    result.problem = fmt::format("dtype {} can't be compared", DtypeName(reference.dtype()));
    return result;
  }
  Judge(tolerance, result);
  return result;
}

}  // namespace gomai
