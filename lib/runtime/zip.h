#pragma once

// Reading zip files, as far as .npz needs: stored and deflated members, zip64. No encryption, no multi-volume archives.
//
// Source: PKWARE's APPNOTE 6.3. A member's declared size is checked against what its compressed bytes could give at
// most, so that a small file can't ask for much memory; its CRC is checked.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

struct ZipMember {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t compressed_size = 0;
  uint64_t size = 0;
  uint64_t header_offset = 0;
};

// kDataLoss for what is no zip file, or a broken one.
absl::StatusOr<std::vector<ZipMember>> ListZip(std::span<const uint8_t> file);
absl::StatusOr<std::vector<uint8_t>> ReadZipMember(std::span<const uint8_t> file, const ZipMember& member);

}  // namespace gomai
