// Deflate; see deflate.h. A tensor is looked at through its field headers only: one pass over them decides whether its
// payload is plain. Whatever is in doubt stays in the skeleton, where protobuf judges it.
#include "lib/wire/deflate.h"

#include <algorithm>
#include <climits>

#include "lib/wire/marker.h"
#include "lib/wire/reader.h"
#include "lib/wire/walk.h"

namespace gomai::wire {
namespace {

// TensorProto's fields. Source: onnx/onnx.proto.
enum TensorField : uint32_t {
  kSegment = 3,
  kFloatData = 4,
  kInt32Data = 5,
  kStringData = 6,
  kInt64Data = 7,
  kRawData = 9,
  kDoubleData = 10,
  kUint64Data = 11,
};

// Does the StringStringEntryProto at this place have our key, in any of its occurrences?
absl::StatusOr<bool> HasMarkerKey(Window* model, const Field& entry) {
  Fields fields(model, entry.data, entry.end);
  Field field;
  bool found = false;
  while (fields.Next(&field)) {
    if (field.number == 1 && field.type == WireType::kLength && field.end - field.data == kMarkerKey.size()) {
      bool equal = true;
      for (size_t i = 0; i < kMarkerKey.size(); ++i) {
        uint8_t byte = 0;
        equal = equal && model->Get(field.data + i, &byte) && byte == static_cast<uint8_t>(kMarkerKey[i]);
      }
      found = found || equal;
    }
  }
  GOMAI_RETURN_IF_ERROR(fields.Failure());
  return found;
}

// What one pass over a tensor's field headers finds.
struct TensorShape {
  int payload_fields = 0;  // occurrences of any field that holds values
  int locations = 0;       // of data_location
  bool plain = true;       // nothing in the way so far
  Field payload;           // the last one that could be left out
  bool has_payload = false;
  Field location;
};

absl::StatusOr<TensorShape> LookAt(Window* model, const PathNode& tensor) {
  TensorShape shape;
  Fields fields(model, tensor.data, tensor.end);
  Field field;
  while (fields.Next(&field)) {
    const uint64_t length = field.end - field.data;
    switch (field.number) {
      case kRawData:
      case kFloatData:
      case kDoubleData: {
        ++shape.payload_fields;
        const uint64_t element = field.number == kRawData ? 1 : field.number == kFloatData ? 4 : 8;
        if (field.type == WireType::kLength && field.minimal_tag && field.minimal_length && length % element == 0) {
          shape.payload = field;
          shape.has_payload = true;
        }
        break;
      }
      case kInt32Data:
      case kStringData:
      case kInt64Data:
      case kUint64Data:
        ++shape.payload_fields;
        break;
      case kSegment:
        shape.plain = false;
        break;
      case kExternalDataField:
        shape.plain = false;
        if (field.type == WireType::kLength) {
          GOMAI_ASSIGN_OR_RETURN(const bool ours, HasMarkerKey(model, field));
          if (ours) {
            return InvalidArgument(
                "byte {}: a tensor's external_data has the key '{}', which is reserved; remove that entry from the "
                "model",
                field.begin, kMarkerKey);
          }
        }
        break;
      case kDataLocationField: {
        uint8_t value = 1;
        ++shape.locations;
        shape.location = field;
        // The value has to be the single byte 0, which becomes 1 in the skeleton.
        shape.plain = shape.plain && field.type == WireType::kVarint && length == 1 && model->Get(field.data, &value) &&
                      value == 0;
        break;
      }
      default:
        break;
    }
  }
  GOMAI_RETURN_IF_ERROR(fields.Failure());
  shape.plain = shape.plain && shape.payload_fields == 1 && shape.has_payload && shape.locations <= 1;
  return shape;
}

}  // namespace

absl::StatusOr<Skeleton> Deflate(std::span<const uint8_t> model, uint64_t source_id, uint64_t threshold) {
  return Deflate(MemoryBytes(model), source_id, threshold);
}

absl::StatusOr<Skeleton> Deflate(const ByteSource& model, uint64_t source_id, uint64_t threshold) {
  Window window(model);
  const uint64_t least = std::max<uint64_t>(threshold, 1);
  const auto on_tensor = [&](const PathNode& tensor, size_t index, std::vector<Edit>* edits) -> absl::Status {
    GOMAI_ASSIGN_OR_RETURN(const TensorShape shape, LookAt(&window, tensor));
    const uint64_t length = shape.payload.end - shape.payload.data;
    if (!shape.plain || length < least) {
      return absl::OkStatus();
    }
    Marker marker;
    marker.source_id = source_id;
    marker.offset = shape.payload.data;
    marker.length = length;
    marker.field = static_cast<int>(shape.payload.number);
    marker.explicit_location = shape.locations == 1;
    edits->push_back(
        {index, shape.payload.begin, shape.payload.end, MarkerToWire(marker), std::nullopt, marker.offset});
    if (marker.explicit_location) {
      edits->push_back({index, shape.location.data, shape.location.end, "\x01", std::nullopt, 0});
    }
    return absl::OkStatus();
  };
  GOMAI_ASSIGN_OR_RETURN(Changes changes, Walk(&window, TooDeep::kSkip, on_tensor));

  Skeleton skeleton;
  uint64_t kept = model.size();
  for (const Edit& edit : changes.edits) {
    kept -= edit.end - edit.begin;
    kept += edit.literal.size();
    if (edit.contents != 0) {
      skeleton.payloads.push_back({edit.contents, edit.end - edit.contents});
    }
  }
  if (kept > INT_MAX) {
    return InvalidArgument(
        "the model is {} bytes without its plain weights, beyond protobuf's limit of 2 GiB; keep its tensors in "
        "raw_data or in external files",
        kept);
  }
  GOMAI_ASSIGN_OR_RETURN(GatherList list, Apply(model, std::move(changes)));
  skeleton.bytes = std::move(list.literals);
  return skeleton;
}

}  // namespace gomai::wire
