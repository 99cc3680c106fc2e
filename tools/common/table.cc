// Tables as text. Widths count characters, not bytes: a node's name may hold any UTF-8.
#include <algorithm>

#include "tools/common/tool.h"

namespace gomai {
namespace {

size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string Table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& right_aligned) {
  std::vector<size_t> widths(header.size(), 0);
  for (size_t c = 0; c < header.size(); ++c) {
    widths[c] = Width(header[c]);
    for (const std::vector<std::string>& row : rows) {
      widths[c] = std::max(widths[c], c < row.size() ? Width(row[c]) : 0);
    }
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t c = 0; c < header.size(); ++c) {
      const std::string cell = c < cells.size() ? cells[c] : "";
      const std::string padding(widths[c] - Width(cell), ' ');
      const bool right = c < right_aligned.size() && right_aligned[c];
      text += (c == 0 ? "" : "  ") + (right ? padding + cell : cell + padding);
    }
    while (text.ends_with(' ')) {
      text.pop_back();
    }
    return text + "\n";
  };
  std::string text = line(header);
  std::string rule;
  for (size_t c = 0; c < header.size(); ++c) {
    rule += (c == 0 ? "" : "  ") + std::string(widths[c], '-');
  }
  text += rule + "\n";
  for (const std::vector<std::string>& row : rows) {
    text += line(row);
  }
  return text;
}

}  // namespace gomai
