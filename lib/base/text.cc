// Text helpers; see text.h. Nearest names cut off what both names share at either end first, so that a model's 10,000
// long slashed names cost little: the quadratic part runs on the differing middle only, and gives up early.
#include "lib/base/text.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <numeric>

namespace gomai {

std::optional<int64_t> ParseInt64(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  uint64_t unit = 1;
  if (!text.empty()) {
    switch (std::toupper(static_cast<unsigned char>(text.back()))) {
      case 'K':
        unit = uint64_t{1} << 10;
        break;
      case 'M':
        unit = uint64_t{1} << 20;
        break;
      case 'G':
        unit = uint64_t{1} << 30;
        break;
      default:
        break;
    }
    if (unit != 1) {
      text.remove_suffix(1);
    }
  }
  const std::optional<int64_t> number = ParseInt64(text);
  if (!number || *number < 0 || static_cast<uint64_t>(*number) > std::numeric_limits<uint64_t>::max() / unit) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(*number) * unit;
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1000) {
    return fmt::format("{} B", bytes);
  }
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"KB", "MB", "GB", "TB"}) {
    value /= 1000;
    unit = next;
    if (value < 999.5) {
      break;
    }
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, unit) : fmt::format("{:.0f} {}", value, unit);
}

std::vector<std::string> SplitList(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) {
    return parts;
  }
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) {
      parts.emplace_back(text.substr(begin));
      return parts;
    }
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

bool GlobMatch(std::string_view pattern, std::string_view text) {
  // Greedy with one point of return: the last star. Earlier stars never need another try.
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}

namespace {

// Edits (insert, delete, replace, swap of neighbours) from a to b; more than `limit` comes back as limit + 1.
size_t EditDistance(std::string_view a, std::string_view b, size_t limit) {
  while (!a.empty() && !b.empty() && a.front() == b.front()) {
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a.remove_suffix(1);
    b.remove_suffix(1);
  }
  if (a.size() > b.size()) {
    std::swap(a, b);
  }
  if (b.size() - a.size() > limit || b.size() > 256) {
    return limit + 1;
  }
  std::vector<size_t> before(a.size() + 1);
  std::vector<size_t> previous(a.size() + 1);
  std::vector<size_t> current(a.size() + 1);
  std::iota(previous.begin(), previous.end(), size_t{0});
  for (size_t j = 1; j <= b.size(); ++j) {
    current[0] = j;
    size_t best = j;
    for (size_t i = 1; i <= a.size(); ++i) {
      const size_t replace = previous[i - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[i] = std::min({replace, previous[i] + 1, current[i - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[i] = std::min(current[i], before[i - 2] + 1);
      }
      best = std::min(best, current[i]);
    }
    if (best > limit) {
      return limit + 1;
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[a.size()];
}

}  // namespace

std::vector<std::string> NearestNames(std::string_view name, const std::vector<std::string_view>& candidates,
                                      size_t count) {
  const size_t limit = std::max<size_t>(2, std::min<size_t>(name.size() / 3, 16));
  std::vector<std::pair<size_t, std::string_view>> near;
  for (const std::string_view candidate : candidates) {
    if (candidate.empty() || candidate == name) {
      continue;
    }
    size_t distance = EditDistance(name, candidate, limit);
    // A forgotten start or end of a path ("MaxPool" for "/a/b/MaxPool", "/a/b" for "/a/b/Conv") is near whatever its
    // length.
    if (distance > limit && name.size() >= 3 && (candidate.ends_with(name) || candidate.starts_with(name))) {
      distance = limit;
    }
    if (distance <= limit) {
      near.emplace_back(distance, candidate);
    }
  }
  std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (const auto& [distance, candidate] : near) {
    if (names.size() == count) {
      break;
    }
    if (std::find(names.begin(), names.end(), candidate) == names.end()) {
      names.emplace_back(candidate);
    }
  }
  return names;
}

std::string DidYouMean(std::string_view name, const std::vector<std::string_view>& candidates) {
  const std::vector<std::string> names = NearestNames(name, candidates);
  if (names.empty()) {
    return "";
  }
  std::string text = "; did you mean ";
  for (size_t i = 0; i < names.size(); ++i) {
    text += fmt::format("{}'{}'", i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", names[i]);
  }
  return text + "?";
}

std::string ToBase64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > (1U << 30)) {
    return std::nullopt;
  }
  const size_t last = text.find_last_not_of('=');
  const size_t padding = last == std::string_view::npos ? text.size() : text.size() - 1 - last;
  const bool clean = std::all_of(text.begin(), text.end() - static_cast<std::ptrdiff_t>(padding),
                                 [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/'; });
  if (padding > 2 || !clean) {
    return std::nullopt;
  }
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) {
    return std::nullopt;
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace gomai
