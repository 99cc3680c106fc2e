#pragma once

// The text parts of .npy files: the header's Python dict, and strings between UTF-8 and numpy's UTF-32.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

struct NpyHeader {
  std::string descr;        // "<f4", as it stands there
  char kind = 0;            // 'f', 'i', 'u', 'b', 'c', 'U', 'S', 'V'
  size_t width = 0;         // bytes, or characters of 'U'
  bool big_endian = false;  //
  bool fortran_order = false;
  std::vector<int64_t> shape;  // dims >= 0
};

// kDataLoss for what numpy wouldn't read either; kInvalidArgument for structured and object arrays.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text);

std::string JoinShape(const std::vector<int64_t>& shape);  // "1, 3, 544"

// nullopt for code points that there aren't. The input is little-endian.
std::optional<std::string> Utf32ToUtf8(std::span<const uint8_t> utf32);
// The width in characters of the longest, and all of them padded to it. kInvalidArgument for text that isn't UTF-8, or
// that ends with a zero, which numpy would take for padding.
absl::StatusOr<std::pair<size_t, std::string>> StringsToUtf32(const std::vector<std::string>& strings);

}  // namespace gomai
