#pragma once

// Deflate: the bytes of an ONNX model without its weights, and back.
//
// An ONNX file is one protobuf message whose bytes are nearly all weights. Deflate walks its wire format along the path
// from ModelProto to every TensorProto and leaves out each *plain* payload of at least a threshold; what remains, the
// *skeleton*, is some hundred KB for a model of hundreds of MB and is all that protobuf ever parses. In the place of
// each payload stands a *marker*: external_data entries of the same TensorProto
//
//     location = "<source id>"   offset = "<file offset>"   length = "<bytes>"   gomai.inline = "<field>[,location]"
//
// with data_location = EXTERNAL, so that the reference travels with its TensorProto when a pass moves it or a split
// copies it. A marker never leaves the process: Inflate turns it into the payload again before bytes go to a file or a
// runtime.
//
//   plain: exactly one occurrence of raw_data (9), or of packed float_data (4) or double_data (10), and no other
//   payload field; no external_data; data_location absent or once DEFAULT; no segment; every singular message on the
//   path from the root present once; all lengths on that path minimal varints. Anything else stays in the skeleton as
//   it is.
//
// Inflate(Deflate(x)) == x, byte for byte, for every well-formed x, unknown fields and odd field orders included.
// Cost: O(structure): payload bytes are skipped, never read. Memory: the skeleton.
// Source: onnx/onnx.proto (IR), Protocol Buffers "Encoding".

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/wire/source.h"

namespace gomai::wire {

inline constexpr std::string_view kMarkerKey = "gomai.inline";
inline constexpr uint64_t kDefaultThreshold = 4096;

// A payload that Deflate left out: where it lies in the input.
struct Payload {
  uint64_t offset = 0;  // in the input's bytes
  uint64_t length = 0;  // > 0
};

struct Skeleton {
  std::string bytes;              // a well-formed ModelProto with markers
  std::vector<Payload> payloads;  // in file order
};

// `source_id` is what markers carry as location: the caller's name for these bytes, digits only, unique in the process.
// Errors: kDataLoss naming the byte offset for bytes that aren't well-formed protobuf (truncated, impossible lengths,
// groups unclosed); kInvalidArgument if a tensor already carries kMarkerKey, or the skeleton itself passes 2 GiB.
absl::StatusOr<Skeleton> Deflate(std::span<const uint8_t> model, uint64_t source_id,
                                 uint64_t threshold = kDefaultThreshold);
// The same from a file, of which only the skeleton is read.
absl::StatusOr<Skeleton> Deflate(const ByteSource& model, uint64_t source_id, uint64_t threshold = kDefaultThreshold);

// A reference that a marker holds.
struct Marker {
  uint64_t source_id = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  int field = 0;                   // 4 float_data, 9 raw_data or 10 double_data
  bool explicit_location = false;  // data_location = DEFAULT was written out in the file
};

// One piece of an inflated model: literal bytes of `literals`, or a payload.
struct Piece {
  bool is_payload = false;
  uint64_t source_id = 0;  // payload: of which source
  uint64_t offset = 0;     // payload: in that source; literal: in GatherList::literals
  uint64_t length = 0;
};

// An inflated model as byte ranges, to be written one after another.
struct GatherList {
  std::string literals;
  std::vector<Piece> pieces;
  uint64_t size = 0;  // of the whole, bytes
};

enum class PayloadPlace {
  kAtMarker,   // where the marker stands: exact for what Deflate made
  kCanonical,  // in field order, as protobuf serialises: for skeletons that protobuf has serialised again
};

// Errors: kResourceExhausted if the whole would pass protobuf's limit of 2^31 - 1 bytes.
absl::StatusOr<GatherList> Inflate(std::string_view skeleton, PayloadPlace place);

}  // namespace gomai::wire
