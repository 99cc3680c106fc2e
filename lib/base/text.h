#pragma once

// Small text helpers: numbers, lists, globs, nearest names.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gomai {

// A whole decimal number, nothing around it; nullopt also when it doesn't fit.
std::optional<int64_t> ParseInt64(std::string_view text);
std::optional<double> ParseDouble(std::string_view text);  // also inf, -inf, nan

// "64K", "50M", "2G" (powers of 1024) or plain bytes.
std::optional<uint64_t> ParseSize(std::string_view text);

// "185.2 MB", "444 KB", "12 B": powers of 1000, as disks and ls -h --si count.
std::string FormatBytes(uint64_t bytes);

// Bytes as text, RFC 4648 with padding, and back; nullopt for what is no such text.
std::string ToBase64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);

std::vector<std::string> SplitList(std::string_view text, char separator);  // "" gives no element
std::string_view Trim(std::string_view text);

// Shell-like: * any run, ? one character; everything else for itself. Linear in practice, never exponential.
bool GlobMatch(std::string_view pattern, std::string_view text);

// Up to `count` of the candidates nearest to `name`, best first: edit distance over the differing middle, with names
// that share the start or the end of a slashed path preferred. Empty when nothing is near.
std::vector<std::string> NearestNames(std::string_view name, const std::vector<std::string_view>& candidates,
                                      size_t count = 3);

// "; did you mean 'a', 'b' or 'c'?" or "" without candidates near enough.
std::string DidYouMean(std::string_view name, const std::vector<std::string_view>& candidates);

}  // namespace gomai
