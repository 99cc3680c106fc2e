#pragma once

// Reading protobuf's wire format field by field, without classes and without touching contents.
//
//   Window window(source);
//   Fields fields(&window, begin, end);
//   Field field;
//   while (fields.Next(&field)) { ... }
//   if (!fields.ok()) return fields.Failure();
//
// Every length is checked against the end of the enclosing message before it is used; contents of length-delimited
// fields are never read. Groups (obsolete, but legal in unknown fields) count as one field.
// Source: Protocol Buffers documentation, "Encoding".

#include <bit>
#include <cstdint>
#include <string>

#include "lib/base/status.h"
#include "lib/wire/source.h"

namespace gomai::wire {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kLength = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

// Offsets count from the start of the whole input. [begin, end) is the field with its tag; [data, end) its contents:
// after the length for kLength, after the tag for others.
struct Field {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t begin = 0;
  uint64_t prefix = 0;  // where the tag ends: kLength's length varint is [prefix, data)
  uint64_t data = 0;
  uint64_t end = 0;
  bool minimal_tag = true;     // the tag varint has no superfluous byte
  bool minimal_length = true;  // kLength: the length varint has none
};

constexpr uint64_t VarintSize(uint64_t value) {
  return value == 0 ? 1 : (static_cast<uint64_t>(std::bit_width(value)) + 6) / 7;
}

inline void AppendVarint(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

constexpr uint64_t Tag(uint32_t number, WireType type) {
  return (static_cast<uint64_t>(number) << 3) | static_cast<uint64_t>(type);
}

inline void AppendLengthField(std::string* out, uint32_t number, std::string_view contents) {
  AppendVarint(out, Tag(number, WireType::kLength));
  AppendVarint(out, contents.size());
  out->append(contents);
}

class Fields {
 public:
  // The fields of the message at [begin, end); requires begin <= end <= window->size().
  Fields(Window* window, uint64_t begin, uint64_t end) : window_(window), position_(begin), end_(end) {}

  // False at the end and on an error, which ok() tells apart.
  bool Next(Field* field);
  bool ok() const { return what_ == nullptr; }
  // kDataLoss: "byte 123: a length runs past the end of the message".
  absl::Status Failure() const;
  uint64_t position() const { return position_; }

 private:
  bool Fail(uint64_t offset, const char* what);
  bool ReadVarint(uint64_t* value, bool* minimal);
  bool ReadTag(Field* field);
  bool SkipContents(Field* field);
  bool SkipGroup(uint32_t number);

  Window* window_;
  uint64_t position_;
  uint64_t end_;
  uint64_t offset_ = 0;  // of the fault
  const char* what_ = nullptr;
};

}  // namespace gomai::wire
