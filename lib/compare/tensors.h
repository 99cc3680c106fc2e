#pragma once

// Comparing two tensors of the same name: exact, by bits, or within tolerances; and what the difference looks like.
//
// Exact means equal in value: -0.0 equals +0.0 (counted), NaN equals NaN at the same place only. |a-b| <= atol +
// rtol*|b| with b the reference; an infinity equals only itself. Metrics are in double (64-bit types: long double) over
// finite pairs; cosine of two zero vectors is 1, of one is 0; SNR in dB is 10 log10(sum b^2 / sum (a-b)^2), infinite
// for no difference. All conditions that a tolerance states must hold. A tolerance that states only a cosine or an SNR
// leaves single elements alone, but NaNs and infinities must be where the reference has them.
//
//   TensorComparison c = CompareTensors(candidate, reference, {.rtol = 1e-5});
//   if (!c.equal) fmt::print("{} at [{}]\n", c.Why(), fmt::join(c.worst_index, ","));
//
// Complex numbers are compared by their real and imaginary parts, and counts count those. Cost: one pass; tensors that
// are equal bit for bit are found so at the speed of memory.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/tensor.h"

namespace gomai {

struct Tolerance {
  bool bits = false;  // bit for bit
  double rtol = 0;
  double atol = 0;
  double range = 0;  // added to atol: this share of the reference's range of finite values
  std::optional<double> min_cosine = std::nullopt;
  std::optional<double> min_snr_db = std::nullopt;
  bool exact() const { return !bits && rtol == 0 && atol == 0 && range == 0 && !min_cosine && !min_snr_db; }
};

struct TensorComparison {
  bool equal = false;   // within the tolerance
  std::string problem;  // why not comparable: "dtype float16, reference float32", "shape [3,4], reference [2,4]"
  int64_t count = 0;
  int64_t differing = 0;  // elements that aren't equal in value
  int64_t differing_bits = 0;
  int64_t out_of_tolerance = 0;
  int64_t zero_signs = 0;  // -0.0 against +0.0
  int64_t nan_candidate = 0, nan_reference = 0, nan_mismatch = 0, inf_candidate = 0, inf_reference = 0;
  double max_abs = 0, mean_abs = 0, rmse = 0, max_rel = 0, cosine = 1, snr_db = 0, psnr_db = 0;
  std::vector<int64_t> worst_index;  // of the largest absolute difference; of the first mismatch where a NaN or
                                     // infinity is involved, for strings, and for bits that differ in equal values
  std::string worst_candidate, worst_reference;  // both values there, as text that reads back exactly

  // Why it isn't equal, in a few words: "12 of 30 elements differ"; "" if it is.
  std::string Why() const;
  std::string failure;  // of the tolerance's conditions, the first that doesn't hold
};

// Why two tensors can't be compared: another dtype or shape; "" if they can.
std::string Incomparable(const HostTensor& candidate, const HostTensor& reference);

TensorComparison CompareTensors(const HostTensor& candidate, const HostTensor& reference, const Tolerance& tolerance);

}  // namespace gomai
