// A comparison as text and as JSON; see diff_report.h. In text, both sides of a long value are cut around the place
// where they part: their common beginning says nothing.
#include "tools/common/diff_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tools/common/info_text.h"

namespace gomai {
namespace {

using Kind = Difference::Kind;
using Section = Difference::Section;

constexpr size_t kShownLines = 40;  // of one group
constexpr size_t kShownText = 100;  // of one value, in bytes
constexpr size_t kBeforePart = 40;  // of what both sides share before they part
constexpr size_t kDigestDigits = 12;

const char* SectionName(Section section) {
  switch (section) {
    case Section::kModel:
      return "model";
    case Section::kInterface:
      return "inputs and outputs";
    case Section::kNodes:
      return "nodes";
    case Section::kValues:
      return "declared types";
    case Section::kWeights:
      return "weights";
  }
  return "";
}

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kChanged:
      return "changed";
    case Kind::kAdded:
      return "added";
    case Kind::kRemoved:
      return "removed";
    case Kind::kOrder:
      return "order";
  }
  return "";
}

bool InCharacter(const std::string& text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

std::string Cut(const std::string& text, size_t from, bool all) {
  if (all || text.size() <= kShownText) {
    return text;
  }
  size_t begin = from > kBeforePart ? from - kBeforePart : 0;
  begin = std::min(begin, text.size() - std::min(text.size(), kShownText));
  while (InCharacter(text, begin)) {
    ++begin;
  }
  size_t end = std::min(text.size(), begin + kShownText);
  while (InCharacter(text, end)) {
    ++end;
  }
  return fmt::format("{}{}{}", begin > 0 ? "…" : "", text.substr(begin, end - begin), end < text.size() ? "…" : "");
}

std::string ShortDigest(const std::string& digest) {
  const size_t colon = digest.find(':');
  return digest.substr(colon == std::string::npos ? 0 : colon + 1, kDigestDigits);
}

std::string Line(const Difference& d, bool all) {
  const char sign = d.kind == Kind::kAdded ? '+' : d.kind == Kind::kRemoved ? '-' : '~';
  std::string line = fmt::format("  {} ", sign);
  if (d.kind == Kind::kOrder) {
    return line + fmt::format("order of {}: {}", d.what, d.after);
  }
  line += d.where;
  if (!d.what.empty()) {
    line += (d.where.empty() ? "" : ": ") + d.what;
  }
  if (d.kind == Kind::kChanged) {
    const auto part = std::mismatch(d.before.begin(), d.before.end(), d.after.begin(), d.after.end());
    const auto from = static_cast<size_t>(part.first - d.before.begin());
    const std::string_view between = d.what.find(", first at") != std::string::npos ? ":" : "";
    line += fmt::format("{} {} -> {}", between, Cut(d.before, from, all), Cut(d.after, from, all));
    if (!d.digest_before.empty()) {
      line += fmt::format("; sha256 {} -> {}", all ? d.digest_before.substr(7) : ShortDigest(d.digest_before),
                          all ? d.digest_after.substr(7) : ShortDigest(d.digest_after));
    }
  } else if (d.section == Section::kNodes && d.what.empty() && !all) {
    return line;  // what it reads and makes fills lines, and can be looked up
  } else if (const std::string& text = d.kind == Kind::kAdded ? d.after : d.before; !text.empty()) {
    line += (d.where.empty() && d.what.empty() ? "" : " ") + Cut(text, 0, all);
  }
  return line;
}

std::string Ignored(const DiffOptions& options) {
  std::string text;
  for (const auto& [flag, name] :
       {std::pair(options.ignore_names, "names"), std::pair(options.ignore_docs, "docs"),
        std::pair(options.ignore_order, "order"), std::pair(options.ignore_weights, "weights")}) {
    text += flag ? fmt::format("{}{}", text.empty() ? "" : ", ", name) : "";
  }
  return text;
}

std::string Summary(const ModelDiff& diff, const DiffOptions& options, bool all) {
  const std::string ignored = Ignored(options);
  const std::string aside = ignored.empty() ? "" : fmt::format(" ({} aside)", ignored);
  if (diff.equal()) {
    return fmt::format("equal{}{}\n", aside,
                       diff.storage.empty() || !all
                           ? ""
                           : fmt::format(", {} stored otherwise", Plural(diff.storage.size(), "tensor", "tensors")));
  }
  std::array<size_t, 5> counts{};
  size_t added = 0;
  size_t removed = 0;
  for (const Difference& d : diff.differences) {
    ++counts[static_cast<size_t>(d.section)];
    const bool whole_node = d.section == Section::kNodes && d.what.empty();
    added += whole_node && d.kind == Kind::kAdded ? 1 : 0;
    removed += whole_node && d.kind == Kind::kRemoved ? 1 : 0;
  }
  std::string parts;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) {
      continue;
    }
    const auto section = static_cast<Section>(i);
    parts += fmt::format("{}{} in {}", parts.empty() ? "" : ", ", Grouped(counts[i]),
                         section == Section::kModel ? "the model" : SectionName(section));
    if (section == Section::kNodes && added + removed > 0) {
      parts += fmt::format(" ({} added, {} removed)", Grouped(added), Grouped(removed));
    }
  }
  const bool renamed = added > 0 && removed > 0 && !options.ignore_names;
  return fmt::format("{}{}: {}; {} matched{}\n", Plural(diff.differences.size(), "difference", "differences"), aside,
                     parts, Plural(diff.nodes_matched, "node", "nodes"),
                     renamed ? "; --ignore names matches renamed ones too" : "");
}

}  // namespace

std::string DiffText(const ModelDiff& diff, const DiffOptions& options, bool all) {
  std::string text;
  for (size_t i = 0; i < diff.differences.size();) {
    const Difference& first = diff.differences[i];
    size_t end = i;
    while (end < diff.differences.size() && diff.differences[end].section == first.section &&
           diff.differences[end].scope == first.scope) {
      ++end;
    }
    const bool plain = first.section == Section::kModel || first.section == Section::kInterface;
    text += fmt::format("{}{}\n", SectionName(first.section),
                        first.scope.empty() || (plain && first.scope == "main graph") ? "" : ", " + first.scope);
    const size_t shown = all || end - i <= kShownLines + 1 ? end : i + kShownLines;
    for (size_t j = i; j < shown; ++j) {
      text += Line(diff.differences[j], all) + "\n";
    }
    if (shown < end) {
      text += fmt::format("  … {} more (-v shows all)\n", Grouped(end - shown));
    }
    i = end;
  }
  if (all && !diff.storage.empty()) {
    text += "stored otherwise, equal in value\n";
    for (const StorageNote& note : diff.storage) {
      text += fmt::format("  {}: {} -> {}\n", note.where, note.before, note.after);
    }
  }
  return text + Summary(diff, options, all);
}

nlohmann::ordered_json DiffJson(const ModelDiff& diff, const DiffOptions& options) {
  nlohmann::ordered_json json;
  json["equal"] = diff.equal();
  json["ignored"] = nlohmann::ordered_json::array();
  for (const auto& [flag, name] :
       {std::pair(options.ignore_names, "names"), std::pair(options.ignore_docs, "docs"),
        std::pair(options.ignore_order, "order"), std::pair(options.ignore_weights, "weights")}) {
    if (flag) {
      json["ignored"].push_back(name);
    }
  }
  json["nodes_matched"] = diff.nodes_matched;
  nlohmann::ordered_json& counts = json["counts"];
  for (const Section section :
       {Section::kModel, Section::kInterface, Section::kNodes, Section::kValues, Section::kWeights}) {
    counts[SectionName(section)] =
        std::count_if(diff.differences.begin(), diff.differences.end(),
                      [&](const Difference& difference) { return difference.section == section; });
  }
  json["differences"] = nlohmann::ordered_json::array();
  for (const Difference& d : diff.differences) {
    nlohmann::ordered_json entry = {{"section", SectionName(d.section)}, {"kind", KindName(d.kind)}};
    const auto put = [&](const char* key, const std::string& value) {
      if (!value.empty()) {
        entry[key] = value;
      }
    };
    put("scope", d.scope);
    put("where", d.where);
    put("where_after", d.where_after);
    put("what", d.what);
    if (d.kind == Kind::kChanged || d.kind == Kind::kRemoved) {
      entry["before"] = d.before;
    }
    if (d.kind != Kind::kRemoved) {
      entry["after"] = d.after;
    }
    put("digest_before", d.digest_before);
    put("digest_after", d.digest_after);
    json["differences"].push_back(std::move(entry));
  }
  json["storage"] = nlohmann::ordered_json::array();
  for (const StorageNote& note : diff.storage) {
    json["storage"].push_back({{"where", note.where}, {"before", note.before}, {"after", note.after}});
  }
  return json;
}

}  // namespace gomai
