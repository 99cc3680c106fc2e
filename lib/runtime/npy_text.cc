// The text parts of .npy files; see npy_text.h. The header is a Python dict literal of three known keys; a general
// evaluator of Python isn't needed and would be a risk.
#include "lib/runtime/npy_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "lib/base/text.h"

namespace gomai {
namespace {

// Reads a literal from left to right.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool Take(char c) {
    Skip();
    if (at_ < text_.size() && text_[at_] == c) {
      ++at_;
      return true;
    }
    return false;
  }
  bool Peek(char c) {
    Skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool AtEnd() {
    Skip();
    return at_ == text_.size();
  }
  std::optional<std::string> String() {
    Skip();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) {
      return std::nullopt;
    }
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  std::string_view Word() {
    Skip();
    const size_t start = at_;
    while (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_])) != 0) {
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }

 private:
  void Skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
      ++at_;
    }
  }
  std::string_view text_;
  size_t at_ = 0;
};

std::optional<std::vector<int64_t>> ParseShape(Cursor& cursor) {
  if (!cursor.Take('(')) {
    return std::nullopt;
  }
  std::vector<int64_t> shape;
  while (!cursor.Take(')')) {
    std::string_view digits = cursor.Word();
    if (digits.ends_with('L')) {
      digits.remove_suffix(1);  // Python 2 wrote long integers so
    }
    const std::optional<int64_t> dim = ParseInt64(digits);
    if (!dim || *dim < 0 || (!cursor.Take(',') && !cursor.Peek(')'))) {
      return std::nullopt;
    }
    shape.push_back(*dim);
  }
  return shape;
}

absl::Status ParseDescr(NpyHeader& header) {
  std::string_view rest = header.descr;
  if (!rest.empty() && (rest[0] == '<' || rest[0] == '>' || rest[0] == '|' || rest[0] == '=')) {
    header.big_endian = rest[0] == '>';
    rest.remove_prefix(1);
  }
  if (rest == "?") {
    rest = "b1";
  }
  if (!rest.empty() && rest[0] == 'O') {
    return InvalidArgument("it holds Python objects, which gomai doesn't read; convert them to numbers or strings");
  }
  const std::optional<int64_t> width = rest.size() > 1 ? ParseInt64(rest.substr(1)) : std::nullopt;
  if (!width || *width < 0 || *width > (1 << 30)) {
    return DataLoss("its header's type '{}' makes no sense", header.descr);
  }
  header.kind = rest[0] == 'a' ? 'S' : rest[0];
  header.width = static_cast<size_t>(*width);
  if (header.width == 0 && header.kind != 'U' && header.kind != 'S') {
    return DataLoss("its header's type '{}' makes no sense", header.descr);
  }
  return absl::OkStatus();
}

void AppendUtf8(uint32_t c, std::string& out) {
  const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3f))); };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (c >> 6)));
    tail(0);
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (c >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | (c >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsScalarValue(uint32_t c) { return c < 0xd800 || (c > 0xdfff && c < 0x110000); }

std::optional<std::u32string> DecodeUtf8(std::string_view text) {
  std::u32string result;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || length > text.size() - i) {
      return std::nullopt;
    }
    uint32_t c = length == 1 ? lead : lead & (0x7fU >> length);
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xc0) != 0x80) {
        return std::nullopt;
      }
      c = (c << 6) | (next & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < kLeast[length] || !IsScalarValue(c)) {
      return std::nullopt;
    }
    result.push_back(c);
    i += length;
  }
  return result;
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text) {
  NpyHeader header;
  std::optional<std::vector<int64_t>> shape;
  bool have_descr = false;
  bool have_order = false;
  Cursor cursor(text);
  const auto broken = [] { return DataLoss("its header isn't what numpy writes"); };
  if (!cursor.Take('{')) {
    return broken();
  }
  while (!cursor.Take('}')) {
    const std::optional<std::string> key = cursor.String();
    if (!key || !cursor.Take(':')) {
      return broken();
    }
    if (*key == "descr" && !have_descr) {
      if (cursor.Peek('[')) {
        return InvalidArgument("it is a structured array; give plain numbers or strings");
      }
      std::optional<std::string> descr = cursor.String();
      if (!descr) {
        return broken();
      }
      header.descr = *std::move(descr);
      have_descr = true;
    } else if (*key == "fortran_order" && !have_order) {
      const std::string_view word = cursor.Word();
      if (word != "True" && word != "False") {
        return broken();
      }
      header.fortran_order = word == "True";
      have_order = true;
    } else if (*key == "shape" && !shape) {
      shape = ParseShape(cursor);
      if (!shape) {
        return DataLoss("its header's shape makes no sense");
      }
    } else {
      return broken();
    }
    if (!cursor.Take(',') && !cursor.Peek('}')) {
      return broken();
    }
  }
  if (!cursor.AtEnd() || !have_descr || !have_order || !shape) {
    return broken();
  }
  header.shape = *std::move(shape);
  GOMAI_RETURN_IF_ERROR(ParseDescr(header));
  return header;
}

std::string JoinShape(const std::vector<int64_t>& shape) { return fmt::format("{}", fmt::join(shape, ", ")); }

std::optional<std::string> Utf32ToUtf8(std::span<const uint8_t> utf32) {
  std::string text;
  for (size_t i = 0; i + 4 <= utf32.size(); i += 4) {
    const uint32_t c = static_cast<uint32_t>(utf32[i]) | static_cast<uint32_t>(utf32[i + 1]) << 8 |
                       static_cast<uint32_t>(utf32[i + 2]) << 16 | static_cast<uint32_t>(utf32[i + 3]) << 24;
    if (!IsScalarValue(c)) {
      return std::nullopt;
    }
    AppendUtf8(c, text);
  }
  return text;
}

absl::StatusOr<std::pair<size_t, std::string>> StringsToUtf32(const std::vector<std::string>& strings) {
  std::vector<std::u32string> decoded;
  size_t width = 1;  // numpy gives even empty strings one character
  for (size_t i = 0; i < strings.size(); ++i) {
    std::optional<std::u32string> text = DecodeUtf8(strings[i]);
    if (!text) {
      return InvalidArgument("string {} isn't UTF-8; numpy's strings can't hold it", i);
    }
    if (!text->empty() && text->back() == 0) {
      return InvalidArgument("string {} ends with a zero, which numpy's strings can't hold", i);
    }
    width = std::max(width, text->size());
    decoded.push_back(*std::move(text));
  }
  std::string packed(decoded.size() * width * 4, '\0');
  for (size_t i = 0; i < decoded.size(); ++i) {
    for (size_t k = 0; k < decoded[i].size(); ++k) {
      for (size_t byte = 0; byte < 4; ++byte) {
        packed[(i * width + k) * 4 + byte] = static_cast<char>((decoded[i][k] >> (8 * byte)) & 0xff);
      }
    }
  }
  return std::pair(width, std::move(packed));
}

}  // namespace gomai
