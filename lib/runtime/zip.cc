// Zip files; see zip.h. Members are found through the central directory at the end, since a streamed archive's local
// headers lack sizes. Every offset and length is checked against the file before use.
#include "lib/runtime/zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <optional>

namespace gomai {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint64_t kEndSize = 22;
constexpr uint64_t kZip64LocatorSize = 20;
constexpr uint64_t kZip64EndSize = 56;
constexpr uint64_t kCentralSize = 46;
constexpr uint64_t kLocalSize = 30;
// Deflate gives at most 1032 bytes for one.
constexpr uint64_t kMostPerByte = 1032;

uint64_t Little(std::span<const uint8_t> bytes, uint64_t offset, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    value |= static_cast<uint64_t>(bytes[offset + i]) << (8 * i);
  }
  return value;
}
uint16_t U16(std::span<const uint8_t> bytes, uint64_t at) { return static_cast<uint16_t>(Little(bytes, at, 2)); }
uint32_t U32(std::span<const uint8_t> bytes, uint64_t at) { return static_cast<uint32_t>(Little(bytes, at, 4)); }
uint64_t U64(std::span<const uint8_t> bytes, uint64_t at) { return Little(bytes, at, 8); }

bool Inside(std::span<const uint8_t> file, uint64_t offset, uint64_t length) {
  return offset <= file.size() && length <= file.size() - offset;
}

struct Directory {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t count = 0;
};

absl::StatusOr<Directory> FindDirectory(std::span<const uint8_t> file) {
  if (file.size() < kEndSize) {
    return DataLoss("too short for a zip file ({} bytes)", file.size());
  }
  // A comment of up to 65535 bytes may follow the end record.
  const uint64_t last = file.size() - kEndSize;
  const uint64_t first = last > 65535 ? last - 65535 : 0;
  std::optional<uint64_t> end;
  for (uint64_t at = last + 1; at-- > first;) {
    if (U32(file, at) == kEndSignature && at + kEndSize + U16(file, at + 20) == file.size()) {
      end = at;
      break;
    }
  }
  if (!end) {
    return DataLoss("not a zip file, or cut short: it has no end record");
  }
  Directory directory{U32(file, *end + 16), U32(file, *end + 12), U16(file, *end + 10)};
  const bool zip64 = directory.count == 0xffff || directory.size == 0xffffffff || directory.offset == 0xffffffff;
  if (zip64 && *end >= kZip64LocatorSize && U32(file, *end - kZip64LocatorSize) == kZip64LocatorSignature) {
    const uint64_t at = U64(file, *end - kZip64LocatorSize + 8);
    if (!Inside(file, at, kZip64EndSize) || U32(file, at) != kZip64EndSignature) {
      return DataLoss("its zip64 end record isn't where it should be");
    }
    directory = {U64(file, at + 48), U64(file, at + 40), U64(file, at + 32)};
  }
  if (!Inside(file, directory.offset, directory.size)) {
    return DataLoss("its directory lies outside of the file; it is probably cut short");
  }
  return directory;
}

// Sizes and offset that don't fit 32 bits stand in an extra field, in a fixed order, those that are needed only.
absl::Status ReadZip64(std::span<const uint8_t> extra, ZipMember& member) {
  uint64_t at = 0;
  while (extra.size() - at >= 4) {
    const uint16_t id = U16(extra, at);
    const uint16_t size = U16(extra, at + 2);
    at += 4;
    if (size > extra.size() - at) {
      break;
    }
    if (id == 1) {
      const std::span<const uint8_t> field = extra.subspan(at, size);
      uint64_t position = 0;
      for (uint64_t* value : {&member.size, &member.compressed_size, &member.header_offset}) {
        if (*value == 0xffffffff) {
          if (!Inside(field, position, 8)) {
            return DataLoss("member '{}' has a broken zip64 field", member.name);
          }
          *value = U64(field, position);
          position += 8;
        }
      }
      return absl::OkStatus();
    }
    at += size;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ZipMember>> ListZip(std::span<const uint8_t> file) {
  GOMAI_ASSIGN_OR_RETURN(const Directory directory, FindDirectory(file));
  const std::span<const uint8_t> records = file.subspan(directory.offset, directory.size);
  std::vector<ZipMember> members;
  uint64_t at = 0;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (!Inside(records, at, kCentralSize) || U32(records, at) != kCentralSignature) {
      return DataLoss("its directory is broken at entry {}", i);
    }
    const uint16_t name_size = U16(records, at + 28);
    const uint16_t extra_size = U16(records, at + 30);
    const uint16_t comment_size = U16(records, at + 32);
    const uint64_t whole = kCentralSize + name_size + uint64_t{extra_size} + comment_size;
    if (!Inside(records, at, whole)) {
      return DataLoss("its directory is broken at entry {}", i);
    }
    ZipMember member;
    member.name.assign(reinterpret_cast<const char*>(records.data() + at + kCentralSize), name_size);
    if ((U16(records, at + 8) & 1) != 0) {
      return DataLoss("member '{}' is encrypted", member.name);
    }
    member.method = U16(records, at + 10);
    member.crc = U32(records, at + 16);
    member.compressed_size = U32(records, at + 20);
    member.size = U32(records, at + 24);
    member.header_offset = U32(records, at + 42);
    GOMAI_RETURN_IF_ERROR(ReadZip64(records.subspan(at + kCentralSize + name_size, extra_size), member));
    members.push_back(std::move(member));
    at += whole;
  }
  return members;
}

absl::StatusOr<std::vector<uint8_t>> ReadZipMember(std::span<const uint8_t> file, const ZipMember& member) {
  if (!Inside(file, member.header_offset, kLocalSize) || U32(file, member.header_offset) != kLocalSignature) {
    return DataLoss("member '{}' isn't where the directory says", member.name);
  }
  const uint64_t start =
      member.header_offset + kLocalSize + U16(file, member.header_offset + 26) + U16(file, member.header_offset + 28);
  if (!Inside(file, start, member.compressed_size)) {
    return DataLoss("member '{}' reaches past the end of the file", member.name);
  }
  const std::span<const uint8_t> packed = file.subspan(start, member.compressed_size);
  std::vector<uint8_t> bytes;
  if (member.method == 0) {
    if (member.size != member.compressed_size) {
      return DataLoss("member '{}' says two different sizes", member.name);
    }
    bytes.assign(packed.begin(), packed.end());
  } else if (member.method == 8) {
    if (member.size / kMostPerByte > packed.size()) {
      return DataLoss("member '{}' claims {} bytes, more than its {} compressed bytes can hold", member.name,
                      member.size, packed.size());
    }
    bytes.resize(member.size);
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
      return ResourceExhausted("no memory to decompress member '{}'", member.name);
    }
    // zlib counts in 32 bits, so both sides are fed in pieces.
    uint64_t in = 0;
    uint64_t out = 0;
    int result = Z_OK;
    constexpr uint64_t kPiece = uint64_t{1} << 30;
    uint8_t spare = 0;  // an empty member still needs an address, and one byte too many is noticed
    while (result == Z_OK) {
      const uint64_t give = std::min(kPiece, packed.size() - in);
      const uint64_t take = std::min(kPiece, bytes.size() - out);
      stream.next_in = const_cast<Bytef*>(packed.data() + in);
      stream.avail_in = static_cast<uInt>(give);
      stream.next_out = take > 0 ? bytes.data() + out : &spare;
      stream.avail_out = take > 0 ? static_cast<uInt>(take) : 1;
      result = inflate(&stream, Z_NO_FLUSH);
      in += give - stream.avail_in;
      const uint64_t made = (take > 0 ? take : 1) - stream.avail_out;
      if (take == 0 && made > 0) {
        result = Z_DATA_ERROR;  // more than was claimed
      } else {
        out += made;
      }
    }
    inflateEnd(&stream);
    if (result != Z_STREAM_END || out != bytes.size()) {
      return DataLoss("member '{}' can't be decompressed; the file is damaged", member.name);
    }
  } else {
    return DataLoss("member '{}' is compressed by method {}, which isn't supported; save it with numpy", member.name,
                    member.method);
  }
  uLong crc = crc32(0, nullptr, 0);
  for (uint64_t at = 0; at < bytes.size();) {
    const uint64_t piece = std::min<uint64_t>(bytes.size() - at, uint64_t{1} << 30);
    crc = crc32(crc, bytes.data() + at, static_cast<uInt>(piece));
    at += piece;
  }
  if (static_cast<uint32_t>(crc) != member.crc) {
    return DataLoss("member '{}' fails its checksum; the file is damaged", member.name);
  }
  return bytes;
}

}  // namespace gomai
