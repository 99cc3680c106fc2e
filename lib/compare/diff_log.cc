// Collecting differences; see diff_log.h. Entries are sorted once at the end, stably: parts find them in the order of
// their own walks (bodies after the graph that holds them), readers want all of a section and scope together.
#include "lib/compare/diff_log.h"

#include <fmt/format.h>

#include <algorithm>

namespace gomai {
namespace {

constexpr size_t kLongestText = 4096;  // of one value; more says nothing to people, and scripts have the models

}  // namespace

Difference& DiffLog::New(const SpotFunction& spot, Difference::Kind kind) {
  Spot at = spot();
  Difference& difference = diff_.differences.emplace_back();
  difference.section = at.section;
  difference.kind = kind;
  difference.scope = std::move(at.scope);
  if (at.where_after != at.where) {
    difference.where_after = std::move(at.where_after);
  }
  difference.where = std::move(at.where);
  return difference;
}

void DiffLog::Changed(const SpotFunction& spot, std::string what, std::string before, std::string after) {
  Difference& difference = New(spot, Difference::Kind::kChanged);
  difference.what = std::move(what);
  difference.before = LimitedText(std::move(before));
  difference.after = LimitedText(std::move(after));
}

void DiffLog::Added(const SpotFunction& spot, std::string what, std::string after) {
  Difference& difference = New(spot, Difference::Kind::kAdded);
  difference.what = std::move(what);
  difference.after = LimitedText(std::move(after));
}

void DiffLog::Removed(const SpotFunction& spot, std::string what, std::string before) {
  Difference& difference = New(spot, Difference::Kind::kRemoved);
  difference.what = std::move(what);
  difference.before = LimitedText(std::move(before));
}

void DiffLog::Order(const SpotFunction& spot, const std::string& list, size_t moved, size_t of, bool always) {
  if (moved == 0 || (options_.ignore_order && !always)) {
    return;
  }
  Difference& difference = New(spot, Difference::Kind::kOrder);
  difference.what = list;
  difference.after = fmt::format("{} of {} moved", moved, of);
}

void DiffLog::Storage(const SpotFunction& spot, const std::string& what, std::string before, std::string after) {
  const Spot at = spot();
  std::string where = at.where;
  if (!at.scope.empty() && at.scope != "main graph") {
    where = fmt::format("{} {}", at.scope, where);
  }
  diff_.storage.push_back(
      {where + (what.empty() ? "" : (where.empty() ? "" : " ") + what), std::move(before), std::move(after)});
}

ModelDiff DiffLog::Finish() {
  std::unordered_map<std::string_view, int> scopes;  // by first mention
  for (const Difference& difference : diff_.differences) {
    scopes.try_emplace(difference.scope, static_cast<int>(scopes.size()));
  }
  std::vector<std::pair<std::pair<int, int>, size_t>> order;
  order.reserve(diff_.differences.size());
  for (size_t i = 0; i < diff_.differences.size(); ++i) {
    const Difference& difference = diff_.differences[i];
    order.push_back({{static_cast<int>(difference.section), scopes.at(difference.scope)}, i});
  }
  std::sort(order.begin(), order.end());
  std::vector<Difference> sorted;
  sorted.reserve(order.size());
  for (const auto& [key, i] : order) {
    sorted.push_back(std::move(diff_.differences[i]));
  }
  diff_.differences = std::move(sorted);
  return std::move(diff_);
}

ListMatch MatchLists(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  struct Waiting {
    std::vector<int> entries;
    size_t next = 0;
  };
  std::unordered_map<std::string_view, Waiting> by_key;
  by_key.reserve(after.size());
  for (size_t i = 0; i < after.size(); ++i) {
    by_key[after[i]].entries.push_back(static_cast<int>(i));
  }
  ListMatch match;
  std::vector<bool> taken(after.size());
  std::vector<int> positions;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto entry = by_key.find(before[i]);
    if (entry == by_key.end() || entry->second.next == entry->second.entries.size()) {
      match.removed.push_back(static_cast<int>(i));
      continue;
    }
    const int other = entry->second.entries[entry->second.next++];
    taken[static_cast<size_t>(other)] = true;
    match.both.emplace_back(static_cast<int>(i), other);
    positions.push_back(other);
  }
  for (size_t i = 0; i < after.size(); ++i) {
    if (!taken[i]) {
      match.added.push_back(static_cast<int>(i));
    }
  }
  match.moved = CountMoved(positions);
  return match;
}

size_t CountMoved(const std::vector<int>& positions) {
  std::vector<int> tails;  // the smallest end of an ascending run of each length
  for (const int position : positions) {
    const auto place = std::lower_bound(tails.begin(), tails.end(), position);
    if (place == tails.end()) {
      tails.push_back(position);
    } else {
      *place = position;
    }
  }
  return positions.size() - tails.size();
}

std::string LimitedText(std::string text) {
  if (text.size() > kLongestText) {
    size_t end = kLongestText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
      --end;  // not within a character
    }
    text = fmt::format("{}… ({} bytes in all)", text.substr(0, end), text.size());
  }
  return text;
}

std::string QuotedText(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, kLongestText)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '\n') {
      shown += "\\n";
    } else {
      shown += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
    }
  }
  shown += '"';
  return text.size() > kLongestText ? fmt::format("{}… ({} bytes in all)", shown, text.size()) : shown;
}

}  // namespace gomai
