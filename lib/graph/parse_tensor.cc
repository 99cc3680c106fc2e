// One pass over the text: a stack of how many elements each open bracket has so far, and the shape that the first row
// at each depth set for the others.
#include "lib/graph/parse_tensor.h"

#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/model/numbers.h"

namespace gomai {
namespace {

constexpr size_t kDeepest = 64;  // dims

class TextReader {
 public:
  explicit TextReader(std::string_view text) : text_(text) {}

  absl::StatusOr<TensorText> Read() {
    bool wants_element = true;  // after '[' or ','
    for (SkipBlanks(); at_ < text_.size(); SkipBlanks()) {
      const char c = text_[at_];
      if (c == '[' && wants_element) {
        if (counts_.empty() && !tensor_.elements.empty()) {
          return Error("numbers and lists stand side by side");
        }
        if (counts_.size() == kDeepest) {
          return Error("brackets are nested too deeply");
        }
        counts_.push_back(0);
        ++at_;
        SkipBlanks();
        if (at_ < text_.size() && text_[at_] == ']') {
          wants_element = false;  // an empty list
        }
      } else if (c == ']' && !counts_.empty() && !wants_element) {
        GOMAI_RETURN_IF_ERROR(Close());
        ++at_;
      } else if (c == ',' && !wants_element && !done_) {
        wants_element = true;
        ++at_;
        continue;
      } else if (wants_element && c != ']' && c != ',') {
        GOMAI_RETURN_IF_ERROR(Element());
        wants_element = false;
      } else {
        return Error(fmt::format("unexpected '{}'", c));
      }
    }
    if (!counts_.empty()) {
      return Error("']' is missing");
    }
    if (wants_element) {
      return Error("a value is missing");
    }
    if (!done_ && tensor_.elements.size() > 1) {
      tensor_.shape = {static_cast<int64_t>(tensor_.elements.size())};
    }
    return std::move(tensor_);
  }

 private:
  absl::Status Close() {
    const size_t depth = counts_.size() - 1;
    if (sizes_.size() <= depth) {
      sizes_.resize(depth + 1, -1);
    }
    if (sizes_[depth] >= 0 && sizes_[depth] != counts_[depth]) {
      return Error(fmt::format("a row of {} beside one of {}", counts_[depth], sizes_[depth]));
    }
    sizes_[depth] = counts_[depth];
    counts_.pop_back();
    if (!counts_.empty()) {
      return Count(depth - 1, /*leaf=*/false);
    }
    tensor_.shape = sizes_;
    done_ = true;
    return absl::OkStatus();
  }

  absl::Status Element() {
    if (done_) {
      return Error("something after the last ']'");
    }
    std::string element;
    if (const char quote = text_[at_]; quote == '"' || quote == '\'') {
      const size_t end = text_.find(quote, at_ + 1);
      if (end == std::string_view::npos) {
        return Error("the quotes aren't closed");
      }
      element = std::string(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end + 1;
    } else {
      const size_t end = std::min(text_.find_first_of(",[]", at_), text_.size());
      element = std::string(Trim(text_.substr(at_, end - at_)));
      at_ = end;
    }
    tensor_.elements.push_back(std::move(element));
    return counts_.empty() ? absl::OkStatus() : Count(counts_.size() - 1, /*leaf=*/true);
  }

  // One more at this depth, and all at a depth are elements or all are rows.
  absl::Status Count(size_t depth, bool leaf) {
    if (leaf ? leaf_depth_ != 0 && leaf_depth_ != depth + 1 : leaf_depth_ == depth + 1) {
      return Error("numbers and lists stand side by side");
    }
    leaf_depth_ = leaf ? depth + 1 : leaf_depth_;
    ++counts_[depth];
    return absl::OkStatus();
  }

  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) {
      ++at_;
    }
  }
  absl::Status Error(std::string_view what) const {
    return InvalidArgument("'{}' is no tensor: {} at position {}; write 5, [1,2] or [[1,2],[3,4]]", text_, what,
                           at_ + 1);
  }

  std::string_view text_;
  size_t at_ = 0;
  TensorText tensor_;
  std::vector<int64_t> counts_;  // of each open bracket
  std::vector<int64_t> sizes_;   // of the rows at each depth
  size_t leaf_depth_ = 0;        // 1-based; 0: not seen yet
  bool done_ = false;            // the outermost bracket is closed
};

template <typename Integer>
bool AppendInteger(std::string_view text, std::string* bytes) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// A number of a float type, or an integer of 32 bits or fewer; nullopt: none, or not one of that type.
std::optional<double> NumberOf(int dtype, std::string_view text) {
  if (dtype == onnx::TensorProto::BOOL) {
    if (text == "true" || text == "True" || text == "1") {
      return 1;
    }
    return text == "false" || text == "False" || text == "0" ? std::optional<double>(0) : std::nullopt;
  }
  const std::optional<double> number = ParseDouble(text);
  if (!number || !std::isfinite(*number)) {
    return number;
  }
  // A finite number that would become infinite is an error, not a value.
  const std::optional<std::string> packed = PackNumbers(dtype, {*number});
  const auto back = !packed
                        ? std::nullopt
                        : UnpackNumbers(dtype, {reinterpret_cast<const uint8_t*>(packed->data()), packed->size()}, 1);
  return back && std::isfinite((*back)[0]) ? number : std::nullopt;
}

// "1+2j", "3", "-4j".
std::optional<std::pair<double, double>> ComplexOf(std::string_view text) {
  if (!text.ends_with('j')) {
    const std::optional<double> real = ParseDouble(text);
    return real ? std::optional(std::pair(*real, 0.0)) : std::nullopt;
  }
  text.remove_suffix(1);
  size_t split = text.size();
  for (size_t i = text.size(); i-- > 1 && split == text.size();) {
    if ((text[i] == '+' || text[i] == '-') && text[i - 1] != 'e' && text[i - 1] != 'E') {
      split = i;
    }
  }
  if (split == text.size()) {
    const std::optional<double> imaginary = ParseDouble(text);
    return imaginary ? std::optional(std::pair(0.0, *imaginary)) : std::nullopt;
  }
  const std::optional<double> real = ParseDouble(text.substr(0, split));
  const std::optional<double> imaginary = ParseDouble(text.substr(text[split] == '+' ? split + 1 : split));
  return real && imaginary ? std::optional(std::pair(*real, *imaginary)) : std::nullopt;
}

}  // namespace

absl::StatusOr<TensorText> ParseTensorText(std::string_view text) { return TextReader(text).Read(); }

absl::StatusOr<onnx::TensorProto> TensorOfText(int dtype, const TensorText& text) {
  onnx::TensorProto tensor;
  tensor.set_data_type(dtype);
  tensor.mutable_dims()->Add(text.shape.begin(), text.shape.end());
  std::string bytes;
  std::vector<double> numbers;
  for (const std::string& element : text.elements) {
    bool fits = true;
    switch (dtype) {
      case onnx::TensorProto::STRING:
        tensor.add_string_data(element);
        break;
      case onnx::TensorProto::INT64:
        fits = AppendInteger<int64_t>(element, &bytes);
        break;
      case onnx::TensorProto::UINT64:
        fits = AppendInteger<uint64_t>(element, &bytes);
        break;
      case onnx::TensorProto::COMPLEX64:
      case onnx::TensorProto::COMPLEX128: {
        const auto number = ComplexOf(element);
        fits = number.has_value();
        if (fits) {
          numbers.insert(numbers.end(), {number->first, number->second});
        }
        break;
      }
      default: {
        const std::optional<double> number = NumberOf(dtype, element);
        fits = number.has_value();
        numbers.push_back(number.value_or(0));
      }
    }
    if (!fits) {
      return InvalidArgument("'{}' is no {}", element, DtypeName(dtype));
    }
  }
  if (dtype == onnx::TensorProto::STRING) {
    return tensor;
  }
  if (bytes.empty()) {
    const int scalar = dtype == onnx::TensorProto::COMPLEX64    ? static_cast<int>(onnx::TensorProto::FLOAT)
                       : dtype == onnx::TensorProto::COMPLEX128 ? static_cast<int>(onnx::TensorProto::DOUBLE)
                                                                : dtype;
    std::optional<std::string> packed = PackNumbers(scalar, numbers);
    if (!packed) {
      return InvalidArgument("there are no tensors of {} that text can give", DtypeName(dtype));
    }
    bytes = *std::move(packed);
  }
  tensor.set_raw_data(std::move(bytes));
  return tensor;
}

}  // namespace gomai
