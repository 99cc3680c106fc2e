// Wire format, one field at a time; see reader.h. Groups are skipped with a small stack of their own numbers instead of
// recursion, and no deeper than protobuf itself would go, so that a hostile file costs neither stack nor memory.
#include "lib/wire/reader.h"

#include <array>

namespace gomai::wire {
namespace {

constexpr size_t kMaxGroupDepth = 100;  // protobuf's recursion limit, which groups count against

constexpr const char* kUnreadable = "the file can't be read";

}  // namespace

absl::Status Fields::Failure() const { return ok() ? absl::OkStatus() : DataLoss("byte {}: {}", offset_, what_); }

bool Fields::Fail(uint64_t offset, const char* what) {
  offset_ = offset;
  what_ = what;
  return false;
}

bool Fields::ReadVarint(uint64_t* value, bool* minimal) {
  const uint64_t begin = position_;
  uint64_t result = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (position_ == end_) {
      return Fail(begin, "a number is cut off by the end of its message");
    }
    uint8_t byte = 0;
    if (!window_->Get(position_++, &byte)) {
      return Fail(begin, kUnreadable);
    }
    if (shift == 63 && byte > 1) {
      return Fail(begin, "a number doesn't fit in 64 bits");
    }
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = result;
      *minimal = byte != 0 || shift == 0;
      return true;
    }
  }
  return Fail(begin, "a number is longer than 10 bytes");
}

bool Fields::ReadTag(Field* field) {
  field->begin = position_;
  uint64_t tag = 0;
  if (!ReadVarint(&tag, &field->minimal_tag)) {
    return false;
  }
  if (tag > UINT32_MAX) {
    tag &= UINT32_MAX;  // as protobuf does
    field->minimal_tag = false;
  }
  if ((tag >> 3) == 0 || position_ - field->begin > 5) {
    return Fail(field->begin, "a field number is out of range");
  }
  if ((tag & 7) > static_cast<uint64_t>(WireType::kFixed32)) {
    return Fail(field->begin, "a field has an unknown wire type");
  }
  field->number = static_cast<uint32_t>(tag >> 3);
  field->type = static_cast<WireType>(tag & 7);
  field->prefix = position_;
  field->data = position_;
  field->minimal_length = true;
  return true;
}

// Everything but groups.
bool Fields::SkipContents(Field* field) {
  uint64_t length = 0;
  bool minimal = true;
  switch (field->type) {
    case WireType::kVarint: {
      // The value may be any ten bytes: readers take its low 64 bits.
      while (true) {
        if (position_ == end_) {
          return Fail(field->data, "a number is cut off by the end of its message");
        }
        if (position_ - field->data == 10) {
          return Fail(field->data, "a number is longer than 10 bytes");
        }
        uint8_t byte = 0;
        if (!window_->Get(position_++, &byte)) {
          return Fail(field->data, kUnreadable);
        }
        if (byte < 0x80) {
          return true;
        }
      }
    }
    case WireType::kFixed64:
      length = 8;
      break;
    case WireType::kFixed32:
      length = 4;
      break;
    case WireType::kLength:
      if (!ReadVarint(&length, &minimal)) {
        return false;
      }
      field->minimal_length = minimal;
      field->data = position_;
      break;
    case WireType::kGroup:
    case WireType::kEndGroup:
      return Fail(field->begin, "a group ends that didn't begin");
  }
  if (length > end_ - position_) {
    return Fail(field->begin, "a field runs past the end of its message");
  }
  position_ += length;
  return true;
}

bool Fields::SkipGroup(uint32_t number) {
  std::array<uint32_t, kMaxGroupDepth> open;
  size_t depth = 0;
  open[depth++] = number;
  while (depth > 0) {
    if (position_ == end_) {
      return Fail(position_, "a group isn't closed before the end of its message");
    }
    Field inner;
    if (!ReadTag(&inner)) {
      return false;
    }
    if (inner.type == WireType::kGroup) {
      if (depth == kMaxGroupDepth) {
        return Fail(inner.begin, "groups are nested too deep");
      }
      open[depth++] = inner.number;
    } else if (inner.type == WireType::kEndGroup) {
      if (open[--depth] != inner.number) {
        return Fail(inner.begin, "a group ends that didn't begin");
      }
    } else if (!SkipContents(&inner)) {
      return false;
    }
  }
  return true;
}

bool Fields::Next(Field* field) {
  if (position_ == end_ || !ok() || !ReadTag(field)) {
    return false;
  }
  const bool skipped = field->type == WireType::kGroup ? SkipGroup(field->number) : SkipContents(field);
  field->end = position_;
  return skipped;
}

}  // namespace gomai::wire
