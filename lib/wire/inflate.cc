// Inflate; see deflate.h. The walk finds tensors that carry a marker and turns it into tag, length and a reference to
// the payload. Where the payload goes depends on who wrote the skeleton: Deflate left the marker in its place, protobuf
// sorts fields by number, and so does this then.
#include <climits>

#include "lib/wire/deflate.h"
#include "lib/wire/marker.h"
#include "lib/wire/reader.h"
#include "lib/wire/walk.h"

namespace gomai::wire {
namespace {

struct Entry {
  std::string_view key;
  std::string_view value;
};

absl::StatusOr<Entry> ReadEntry(std::string_view skeleton, Window* bytes, const Field& field) {
  Entry entry;
  Fields fields(bytes, field.data, field.end);
  Field part;
  while (fields.Next(&part)) {
    if (part.type == WireType::kLength && part.number <= 2) {
      (part.number == 1 ? entry.key : entry.value) = skeleton.substr(part.data, part.end - part.data);
    }
  }
  GOMAI_RETURN_IF_ERROR(fields.Failure());
  return entry;
}

// A tensor's fields, as far as its marker is concerned.
struct Markings {
  std::vector<Field> entries;  // external_data
  std::optional<Field> location;
  std::string_view location_text, offset_text, length_text, inlined_text;
  bool has_key = false;
};

absl::StatusOr<Markings> LookAt(std::string_view skeleton, Window* bytes, const PathNode& tensor) {
  Markings markings;
  Fields fields(bytes, tensor.data, tensor.end);
  Field field;
  while (fields.Next(&field)) {
    if (field.number == kDataLocationField && field.type == WireType::kVarint) {
      markings.location = field;
    }
    if (field.number != kExternalDataField || field.type != WireType::kLength) {
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(skeleton, bytes, field));
    markings.entries.push_back(field);
    if (entry.key == kMarkerKey) {
      markings.inlined_text = entry.value;
      markings.has_key = true;
    } else if (entry.key == "location") {
      markings.location_text = entry.value;
    } else if (entry.key == "offset") {
      markings.offset_text = entry.value;
    } else if (entry.key == "length") {
      markings.length_text = entry.value;
    }
  }
  GOMAI_RETURN_IF_ERROR(fields.Failure());
  return markings;
}

// Where a field of this number belongs among fields that are in order.
absl::StatusOr<uint64_t> PlaceInOrder(Window* bytes, const PathNode& tensor, uint32_t number) {
  Fields fields(bytes, tensor.data, tensor.end);
  Field field;
  while (fields.Next(&field)) {
    if (field.number > number) {
      return field.begin;
    }
  }
  GOMAI_RETURN_IF_ERROR(fields.Failure());
  return tensor.end;
}

}  // namespace

absl::StatusOr<GatherList> Inflate(std::string_view skeleton, PayloadPlace place) {
  const MemoryBytes bytes({reinterpret_cast<const uint8_t*>(skeleton.data()), skeleton.size()});
  Window window(bytes);
  const auto on_tensor = [&](const PathNode& tensor, size_t index, std::vector<Edit>* edits) -> absl::Status {
    GOMAI_ASSIGN_OR_RETURN(const Markings markings, LookAt(skeleton, &window, tensor));
    if (!markings.has_key) {
      return absl::OkStatus();
    }
    const std::optional<Marker> marker =
        MarkerFromTexts(markings.location_text, markings.offset_text, markings.length_text, markings.inlined_text);
    if (!marker || !markings.location || markings.location->end - markings.location->data != 1) {
      return Internal("a left-out payload's marker is damaged (byte {} of the skeleton)", tensor.data);
    }
    Edit payload;
    payload.node = index;
    AppendVarint(&payload.literal, Tag(static_cast<uint32_t>(marker->field), WireType::kLength));
    AppendVarint(&payload.literal, marker->length);
    payload.payload = Piece{true, marker->source_id, marker->offset, marker->length};
    const Field& location = *markings.location;
    if (place == PayloadPlace::kAtMarker) {
      payload.begin = markings.entries.front().begin;
      payload.end = marker->explicit_location ? markings.entries.back().end : location.end;
      edits->push_back(std::move(payload));
    } else {
      GOMAI_ASSIGN_OR_RETURN(payload.begin, PlaceInOrder(&window, tensor, static_cast<uint32_t>(marker->field)));
      payload.end = payload.begin;
      edits->push_back(std::move(payload));
      for (const Field& entry : markings.entries) {
        edits->push_back({index, entry.begin, entry.end, {}, std::nullopt, 0});
      }
      if (!marker->explicit_location) {
        edits->push_back({index, location.begin, location.end, {}, std::nullopt, 0});
      }
    }
    if (marker->explicit_location) {
      edits->push_back({index, location.data, location.end, std::string(1, '\0'), std::nullopt, 0});
    }
    return absl::OkStatus();
  };
  // What Deflate passed over has no marker; below so many levels of an edited model one could hide.
  const TooDeep too_deep = place == PayloadPlace::kAtMarker ? TooDeep::kSkip : TooDeep::kFail;
  GOMAI_ASSIGN_OR_RETURN(Changes changes, Walk(&window, too_deep, on_tensor));
  GOMAI_ASSIGN_OR_RETURN(GatherList list, Apply(bytes, std::move(changes)));
  if (list.size > INT_MAX) {
    return ResourceExhausted(
        "the model would be {} bytes, beyond protobuf's limit of 2 GiB for one file; write the weights beside it with "
        "--weights=external",
        list.size);
  }
  return list;
}

}  // namespace gomai::wire
