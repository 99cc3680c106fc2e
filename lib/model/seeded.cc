// Made-up weights; see seeded.h. lib/CMakeLists.txt compiles this file without contraction of a*b+c to one rounding,
// since that would give other bytes on machines that have such an instruction.
#include "lib/model/seeded.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "lib/base/text.h"

namespace gomai {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

constexpr std::string_view kWord = "seeded-uniform";

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return hash;
}

uint64_t SplitMix(uint64_t z) {
  z += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

bool IsSeededText(std::string_view doc_string) {
  return doc_string.starts_with(kWord) && (doc_string.size() == kWord.size() || doc_string[kWord.size()] == ' ');
}

absl::StatusOr<SeededRule> ParseSeededRule(std::string_view doc_string) {
  const std::vector<std::string> words = SplitList(doc_string, ' ');
  if (words.size() == 3 && words[0] == kWord && words[1].starts_with("mean=") && words[2].starts_with("std=")) {
    const std::optional<double> mean = ParseDouble(std::string_view(words[1]).substr(5));
    const std::optional<double> std = ParseDouble(std::string_view(words[2]).substr(4));
    if (mean && std && std::isfinite(*mean) && std::isfinite(*std) && *std >= 0) {
      return SeededRule{*mean, *std};
    }
  }
  return DataLoss("the doc string '{}' isn't of the form '{} mean=M std=S' with finite M and S >= 0",
                  doc_string.substr(0, 100), kWord);
}

std::string SeededText(const SeededRule& rule) {
  return fmt::format("{} mean={:.9g} std={:.9g}", kWord, rule.mean, rule.std);
}

SeededRule Rounded(const SeededRule& rule) { return *ParseSeededRule(SeededText(rule)); }

std::string SeededBytes(std::string_view name, uint64_t first, uint64_t count, const SeededRule& rule, uint64_t seed) {
  const uint64_t start = (Fnv1a(name) ^ seed) + first;
  const double scale = rule.std * std::sqrt(3.0);
  std::string bytes(count * sizeof(float), '\0');
  char* to = bytes.data();
  for (uint64_t i = 0; i < count; ++i, to += sizeof(float)) {
    const double u = static_cast<double>(SplitMix(start + i) >> 40) * 0x1p-24;
    const auto value = static_cast<float>(rule.mean + scale * (2.0 * u - 1.0));
    std::memcpy(to, &value, sizeof(float));
  }
  return bytes;
}

}  // namespace gomai
