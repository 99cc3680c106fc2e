#pragma once

// Markers in wire format: what stands in a skeleton in the place of a payload (see deflate.h).

#include <optional>
#include <string>
#include <string_view>

#include "lib/wire/deflate.h"

namespace gomai::wire {

inline constexpr uint32_t kExternalDataField = 13;
inline constexpr uint32_t kDataLocationField = 14;

// The four values of a marker's entries: location, offset, length, gomai.inline.
struct MarkerTexts {
  std::string location;
  std::string offset;
  std::string length;
  std::string inlined;
};

MarkerTexts MarkerToTexts(const Marker& marker);
// nullopt for texts that MarkerToTexts can't have made.
std::optional<Marker> MarkerFromTexts(std::string_view location, std::string_view offset, std::string_view length,
                                      std::string_view inlined);

// The four external_data fields, and data_location = EXTERNAL unless the marker says that one stands elsewhere.
std::string MarkerToWire(const Marker& marker);

}  // namespace gomai::wire
