// Markers as text and as bytes; see marker.h. Numbers are plain decimal, as ONNX has them in external_data.
#include "lib/wire/marker.h"

#include <charconv>

#include "lib/wire/reader.h"

namespace gomai::wire {
namespace {

constexpr std::string_view kLocationFlag = ",location";

std::optional<uint64_t> ParseUnsigned(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

void AppendEntry(std::string* out, std::string_view key, std::string_view value) {
  std::string entry;
  AppendLengthField(&entry, 1, key);
  AppendLengthField(&entry, 2, value);
  AppendLengthField(out, kExternalDataField, entry);
}

}  // namespace

MarkerTexts MarkerToTexts(const Marker& marker) {
  return {std::to_string(marker.source_id), std::to_string(marker.offset), std::to_string(marker.length),
          fmt::format("{}{}", marker.field, marker.explicit_location ? kLocationFlag : "")};
}

std::optional<Marker> MarkerFromTexts(std::string_view location, std::string_view offset, std::string_view length,
                                      std::string_view inlined) {
  Marker marker;
  if (inlined.ends_with(kLocationFlag)) {
    marker.explicit_location = true;
    inlined.remove_suffix(kLocationFlag.size());
  }
  const std::optional<uint64_t> source = ParseUnsigned(location);
  const std::optional<uint64_t> begin = ParseUnsigned(offset);
  const std::optional<uint64_t> size = ParseUnsigned(length);
  if (!source || !begin || !size || (inlined != "4" && inlined != "9" && inlined != "10")) {
    return std::nullopt;
  }
  marker.source_id = *source;
  marker.offset = *begin;
  marker.length = *size;
  marker.field = inlined == "10" ? 10 : inlined[0] - '0';
  return marker;
}

std::string MarkerToWire(const Marker& marker) {
  const MarkerTexts texts = MarkerToTexts(marker);
  std::string out;
  AppendEntry(&out, "location", texts.location);
  AppendEntry(&out, "offset", texts.offset);
  AppendEntry(&out, "length", texts.length);
  AppendEntry(&out, kMarkerKey, texts.inlined);
  if (!marker.explicit_location) {
    AppendVarint(&out, Tag(kDataLocationField, WireType::kVarint));
    AppendVarint(&out, 1);
  }
  return out;
}

}  // namespace gomai::wire
