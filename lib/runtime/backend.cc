// What holds for every backend: feeds are checked against what the model declares before a runtime sees them, so that a
// wrong one is named in the model's own words, and shows what would have been right.
#include "lib/runtime/backend.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "lib/base/text.h"

namespace gomai {
namespace {

std::string ShapeText(const ValueSpec& spec) {
  std::vector<std::string> dims;
  for (size_t i = 0; i < spec.shape.size(); ++i) {
    if (spec.shape[i] >= 0) {
      dims.push_back(std::to_string(spec.shape[i]));
    } else {
      dims.push_back(i < spec.symbols.size() && !spec.symbols[i].empty() ? spec.symbols[i] : "?");
    }
  }
  return fmt::format("[{}]", fmt::join(dims, ","));
}

// What the model has, for a name that it doesn't: the near ones, else all when they are few.
std::string Suggest(std::string_view name, const std::vector<ValueSpec>& inputs) {
  std::vector<std::string_view> names;
  for (const ValueSpec& spec : inputs) {
    names.push_back(spec.name);
  }
  std::string near = DidYouMean(name, names);
  if (!near.empty()) {
    return near;
  }
  if (names.empty()) {
    return "; it has none";
  }
  const size_t shown = std::min<size_t>(names.size(), 8);
  return fmt::format("; it has {}{}", fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(shown), ", "),
                     shown < names.size() ? fmt::format(" and {} more", names.size() - shown) : "");
}

absl::StatusOr<std::pair<std::string, std::vector<int64_t>>> ParseInputShape(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return InvalidArgument("'{}' is no input with its shape; write it as image:1x3x4 or image:[1,3,4]", text);
  }
  std::string_view dims = std::string_view(text).substr(colon + 1);
  char separator = 'x';
  if (dims.size() >= 2 && dims.front() == '[' && dims.back() == ']') {
    dims = dims.substr(1, dims.size() - 2);
    separator = ',';
  }
  std::vector<int64_t> shape;
  for (const std::string& dim : SplitList(dims, separator)) {
    const std::optional<int64_t> value = ParseInt64(Trim(dim));
    if (!value || *value < 0) {
      return InvalidArgument("'{}' has the dimension '{}'; whole numbers >= 0 are wanted, as in image:1x3x4", text,
                             dim);
    }
    shape.push_back(*value);
  }
  return std::pair(text.substr(0, colon), std::move(shape));
}

}  // namespace

std::string DescribeSpec(const ValueSpec& spec) {
  return spec.has_shape ? fmt::format("{} {}", spec.type, ShapeText(spec)) : spec.type;
}

absl::Status CheckFeeds(const std::vector<ValueSpec>& inputs, const NamedTensors& feeds) {
  std::map<std::string_view, const ValueSpec*> by_name;
  for (const ValueSpec& spec : inputs) {
    by_name.emplace(spec.name, &spec);
  }
  for (const auto& [name, tensor] : feeds) {
    if (!by_name.contains(name)) {
      return InvalidArgument("the model has no input '{}'{}", name, Suggest(name, inputs));
    }
  }
  for (const ValueSpec& spec : inputs) {
    const auto found = feeds.find(spec.name);
    if (spec.dtype == 0) {
      return InvalidArgument("input '{}' is a {}; gomai feeds tensors only", spec.name, spec.type);
    }
    if (found == feeds.end()) {
      return InvalidArgument("input '{}' ({}) is missing; give a value for it", spec.name, DescribeSpec(spec));
    }
    const HostTensor& tensor = found->second;
    if (tensor.dtype() != spec.dtype) {
      return InvalidArgument("input '{}' must be {}, and {} was given", spec.name, spec.type, tensor.Describe());
    }
    if (!spec.has_shape) {
      continue;
    }
    if (tensor.shape().size() != spec.shape.size()) {
      return InvalidArgument("input '{}' must have rank {} ({}), and {} was given", spec.name, spec.shape.size(),
                             DescribeSpec(spec), tensor.Describe());
    }
    for (size_t i = 0; i < spec.shape.size(); ++i) {
      if (spec.shape[i] >= 0 && spec.shape[i] != tensor.shape()[i]) {
        return InvalidArgument("input '{}' must have {} at dimension {} ({}), and {} was given", spec.name,
                               spec.shape[i], i, DescribeSpec(spec), tensor.Describe());
      }
    }
  }
  return absl::OkStatus();
}

const Placement& Session::placement() const {
  static const auto& none = *new Placement;
  return none;
}

absl::StatusOr<Optimization> ParseOptimization(std::string_view text) {
  constexpr std::pair<std::string_view, Optimization> kLevels[] = {{"off", Optimization::kDisabled},
                                                                   {"basic", Optimization::kBasic},
                                                                   {"extended", Optimization::kExtended},
                                                                   {"all", Optimization::kAll}};
  for (const auto& [name, level] : kLevels) {
    if (name == text) {
      return level;
    }
  }
  return InvalidArgument("'{}' is no level of optimisation; give off, basic, extended or all", text);
}

absl::StatusOr<std::map<std::string, std::vector<int64_t>>> ParseInputShapes(const std::vector<std::string>& texts) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const std::string& text : texts) {
    GOMAI_ASSIGN_OR_RETURN(auto shape, ParseInputShape(text));
    if (!shapes.insert(shape).second) {
      return InvalidArgument("two shapes are given for the input '{}'", shape.first);
    }
  }
  return shapes;
}

}  // namespace gomai
