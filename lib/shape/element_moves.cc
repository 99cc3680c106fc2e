// The rules that move elements: shapes, slices, gathers, joins.
#include <algorithm>

#include "lib/shape/element_rules.h"
#include "lib/shape/infer.h"

namespace gomai::shape {
namespace {

// The sizes of the first input's dims. nullopt: no rank.
std::optional<std::vector<Interval>> Dims(const ElementNode& in) {
  const Known* known = in.Find(0);
  const auto limits = known == nullptr ? std::nullopt : DimLimits(*known);
  if (!limits) {
    return std::nullopt;
  }
  const onnx::TensorShapeProto& shape = *FindShape(known->type);
  std::vector<Interval> dims;
  for (int i = 0; i < shape.dim_size(); ++i) {
    const int64_t limit = (*limits)[static_cast<size_t>(i)];
    dims.push_back({shape.dim(i).has_dim_value() ? limit : 0, limit});
  }
  return dims;
}

MaybeElements ShapeRule(const ElementNode& in) {
  const auto dims = Dims(in);
  if (!dims) {
    return std::nullopt;
  }
  const auto rank = static_cast<int64_t>(dims->size());
  int64_t start = in.Int("start", 0);
  int64_t end = in.Gives("end") ? in.Int("end", 0) : rank;
  start = std::clamp(start < 0 ? start + rank : start, int64_t{0}, rank);
  end = std::clamp(end < 0 ? end + rank : end, int64_t{0}, rank);
  Elements elements;
  for (int64_t i = start; i < end; ++i) {
    elements.at.push_back((*dims)[static_cast<size_t>(i)]);
  }
  elements.shape = {static_cast<int64_t>(elements.at.size())};
  return elements;
}

MaybeElements SizeRule(const ElementNode& in) {
  const auto dims = Dims(in);
  if (!dims) {
    return std::nullopt;
  }
  Interval size = Interval::Of(1);
  for (const Interval& dim : *dims) {
    size = Combine(size, dim, [](int64_t a, int64_t b, int64_t* r) { return __builtin_mul_overflow(a, b, r); });
  }
  return Elements{{}, {size}};
}

// The same elements under the shape of the output.
MaybeElements SameElements(const ElementNode& in) {
  const Elements* data = in.In(0);
  auto shape = in.OutputShape();
  if (data == nullptr || !shape || CountOf(*shape) != static_cast<int64_t>(data->at.size())) {
    return std::nullopt;
  }
  return Elements{*std::move(shape), data->at};
}

// By what `source(position)` says each element of the output is.
template <typename Source>
MaybeElements Fill(const ElementNode& in, const Source& source) {
  auto shape = in.OutputShape();
  if (!shape) {
    return std::nullopt;
  }
  Elements elements{*std::move(shape), {}};
  const auto count = static_cast<size_t>(CountOf(elements.shape));
  elements.at.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    elements.at.push_back(source(elements.shape, i));
  }
  return elements;
}

// Coordinates of a position in a shape, and back.
std::vector<int64_t> Coordinates(const std::vector<int64_t>& shape, size_t position) {
  std::vector<int64_t> coordinates(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    coordinates[i] = static_cast<int64_t>(position % static_cast<size_t>(shape[i]));
    position /= static_cast<size_t>(shape[i]);
  }
  return coordinates;
}

size_t Position(const std::vector<int64_t>& shape, const std::vector<int64_t>& coordinates) {
  int64_t position = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    position = position * shape[i] + coordinates[i];
  }
  return static_cast<size_t>(position);
}

MaybeElements GatherRule(const ElementNode& in) {
  const Elements* data = in.In(0);
  const Elements* indices = in.In(1);
  if (data == nullptr || indices == nullptr || data->shape.empty()) {
    return std::nullopt;
  }
  const auto axis = NormalAxis(in.Int("axis", 0), static_cast<int64_t>(data->shape.size()));
  if (!axis) {
    return std::nullopt;
  }
  const auto at = static_cast<size_t>(*axis);
  const size_t index_rank = indices->shape.size();
  return Fill(in, [&](const std::vector<int64_t>& shape, size_t position) -> Interval {
    if (shape.size() != data->shape.size() - 1 + index_rank) {
      return {};
    }
    const std::vector<int64_t> place = Coordinates(shape, position);
    const auto first = place.begin() + *axis;
    const auto last = first + static_cast<std::ptrdiff_t>(index_rank);
    const Interval index = indices->at[Position(indices->shape, std::vector<int64_t>(first, last))];
    std::vector<int64_t> source(place.begin(), first);
    source.push_back(0);
    source.insert(source.end(), last, place.end());
    const auto chosen = index.known() ? NormalAxis(index.low, data->shape[at]) : std::nullopt;
    if (index.known() && !chosen) {
      return {};
    }
    std::optional<Interval> hull;
    for (int64_t i = chosen.value_or(0); i < (chosen ? *chosen + 1 : data->shape[at]); ++i) {
      source[at] = i;
      const Interval& element = data->at[Position(data->shape, source)];
      hull = hull ? Hull(*hull, element) : element;
    }
    return hull.value_or(Interval{});
  });
}

MaybeElements SliceRule(const ElementNode& in) {
  const Elements* data = in.In(0);
  if (data == nullptr) {
    return std::nullopt;
  }
  auto starts = in.List("starts", 1);
  auto axes = in.List("axes", 3);
  auto steps = in.List("steps", 4);
  if (!starts || !axes || !steps) {
    return std::nullopt;
  }
  const auto rank = static_cast<int64_t>(data->shape.size());
  std::vector<int64_t> start(data->shape.size(), 0);
  std::vector<int64_t> step(data->shape.size(), 1);
  for (size_t i = 0; i < starts->size(); ++i) {
    const auto axis = NormalAxis(i < axes->size() ? (*axes)[i] : static_cast<int64_t>(i), rank);
    if (!axis || (!axes->empty() && i >= axes->size()) || (!steps->empty() && i >= steps->size())) {
      return std::nullopt;
    }
    const auto at = static_cast<size_t>(*axis);
    const int64_t size = data->shape[at];
    step[at] = steps->empty() ? 1 : (*steps)[i];
    const int64_t from = (*starts)[i] < 0 ? std::max((*starts)[i], -size - 1) + size : (*starts)[i];
    start[at] = step[at] > 0 ? std::clamp(from, int64_t{0}, size)
                             : std::clamp(from, int64_t{0}, std::max(size - 1, int64_t{0}));
    if (step[at] == 0 || step[at] < -kLongestVector || step[at] > kLongestVector) {
      step[at] = step[at] > 0 ? kLongestVector : step[at] < 0 ? -kLongestVector : 0;
    }
  }
  return Fill(in, [&](const std::vector<int64_t>& shape, size_t position) -> Interval {
    if (shape.size() != data->shape.size()) {
      return {};
    }
    std::vector<int64_t> place = Coordinates(shape, position);
    for (size_t i = 0; i < place.size(); ++i) {
      place[i] = start[i] + place[i] * step[i];
      if (place[i] < 0 || place[i] >= data->shape[i]) {
        return {};
      }
    }
    return data->at[Position(data->shape, place)];
  });
}

MaybeElements ConcatRule(const ElementNode& in) {
  auto shape = in.OutputShape();
  const auto axis = shape ? NormalAxis(in.Int("axis", 1), static_cast<int64_t>(shape->size())) : std::nullopt;
  if (!axis) {
    return std::nullopt;
  }
  Elements elements{*shape, std::vector<Interval>(static_cast<size_t>(CountOf(*shape)))};
  int64_t offset = 0;
  for (int i = 0; i < in.count(); ++i) {
    const Elements* part = in.In(i);
    if (part == nullptr || part->shape.size() != shape->size()) {
      return std::nullopt;
    }
    for (size_t p = 0; p < part->at.size(); ++p) {
      std::vector<int64_t> place = Coordinates(part->shape, p);
      place[static_cast<size_t>(*axis)] += offset;
      const size_t target = Position(*shape, place);
      if (target >= elements.at.size()) {
        return std::nullopt;
      }
      elements.at[target] = part->at[p];
    }
    offset += part->shape[static_cast<size_t>(*axis)];
  }
  return offset == (*shape)[static_cast<size_t>(*axis)] ? MaybeElements(std::move(elements)) : std::nullopt;
}

MaybeElements TransposeRule(const ElementNode& in) {
  const Elements* data = in.In(0);
  const onnx::AttributeProto* given = FindAttribute(in.node(), "perm");
  if (data == nullptr || (given != nullptr && given->ints_size() != static_cast<int>(data->shape.size()))) {
    return std::nullopt;
  }
  const auto rank = static_cast<int64_t>(data->shape.size());
  return Fill(in, [&](const std::vector<int64_t>& shape, size_t position) -> Interval {
    if (shape.size() != data->shape.size()) {
      return {};
    }
    const std::vector<int64_t> place = Coordinates(shape, position);
    std::vector<int64_t> source(place.size());
    for (int64_t i = 0; i < rank; ++i) {
      const int64_t axis = given == nullptr ? rank - 1 - i : given->ints(static_cast<int>(i));
      if (axis < 0 || axis >= rank || place[static_cast<size_t>(i)] >= data->shape[static_cast<size_t>(axis)]) {
        return {};
      }
      source[static_cast<size_t>(axis)] = place[static_cast<size_t>(i)];
    }
    return data->at[Position(data->shape, source)];
  });
}

MaybeElements ExpandRule(const ElementNode& in) {
  const Elements* data = in.In(0);
  if (data == nullptr) {
    return std::nullopt;
  }
  return Fill(in, [&](const std::vector<int64_t>& shape, size_t position) -> Interval {
    const bool fits = data->shape.size() <= shape.size();
    const size_t source = fits ? BroadcastPosition(data->shape, shape, position) : data->at.size();
    return source < data->at.size() ? data->at[source] : Interval{};
  });
}

MaybeElements ConstantOfShapeRule(const ElementNode& in) {
  Interval value = Interval::Of(0);
  if (const onnx::AttributeProto* given = FindAttribute(in.node(), "value"); given != nullptr) {
    const MaybeElements parsed = ParseElements(given->t());
    if (!parsed || parsed->at.size() != 1) {
      return std::nullopt;
    }
    value = parsed->at[0];
  }
  return Fill(in, [&](const std::vector<int64_t>&, size_t) { return value; });
}

MaybeElements RangeRule(const ElementNode& in) {
  const auto start = in.Ints(0);
  const auto delta = in.Ints(2);
  if (!start || !delta || start->size() != 1 || delta->size() != 1) {
    return std::nullopt;
  }
  return Fill(in, [&](const std::vector<int64_t>&, size_t i) -> Interval {
    int64_t value = 0;
    if (__builtin_mul_overflow(static_cast<int64_t>(i), delta->front(), &value) ||
        __builtin_add_overflow(value, start->front(), &value)) {
      return {};
    }
    return Interval::Of(value);
  });
}

}  // namespace

const ElementRules& MovingRules() {
  static const auto* const kRules = new ElementRules{
      {"Shape", ShapeRule},         {"Size", SizeRule},
      {"Identity", SameElements},   {"Squeeze", SameElements},
      {"Unsqueeze", SameElements},  {"Reshape", SameElements},
      {"Flatten", SameElements},    {"Gather", GatherRule},
      {"Slice", SliceRule},         {"Concat", ConcatRule},
      {"Transpose", TransposeRule}, {"Expand", ExpandRule},
      {"Range", RangeRule},         {"ConstantOfShape", ConstantOfShapeRule},
  };
  return *kRules;
}

}  // namespace gomai::shape
