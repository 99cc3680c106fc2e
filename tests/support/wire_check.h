#pragma once

// The wire layer's promise, checked on any bytes.

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/wire/deflate.h"

namespace gomai::testing {

// The bytes that a gather list stands for, when its one source is `source`.
std::string Assemble(const wire::GatherList& list, std::string_view source);

// What is wrong with deflating and inflating `bytes`, or "":
//   - Deflate refuses only what protobuf refuses too, or what carries the marker key
//   - Inflate(Deflate(x)) == x
//   - the skeleton parses if and only if x does, and inflated in field order after a trip through protobuf it is what
//     protobuf makes of x itself
// `left_out`, if given, grows by the number of payloads.
std::string CheckRoundTrip(std::string_view bytes, uint64_t threshold, size_t* left_out = nullptr);

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, std::string_view bytes);

}  // namespace gomai::testing
