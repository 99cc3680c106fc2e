// Bounds of dims, by family of operators. A rule gives a bound for each dim of the first output; the dims' own values
// come first, and a rule that knows nothing of a dim says kHighest. Long because it is one table of small rules.
#include "lib/shape/limits.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "lib/model/domain.h"
#include "lib/shape/element_rules.h"
#include "lib/shape/infer.h"
#include "lib/shape/inference.h"

namespace gomai::shape {
namespace {

constexpr int64_t kNone = Interval::kHighest;
using Limits = std::vector<int64_t>;
using MaybeLimits = std::optional<Limits>;

int64_t Times(int64_t a, int64_t b) {
  int64_t product = 0;
  return a == 0 || b == 0 ? 0 : a == kNone || b == kNone || __builtin_mul_overflow(a, b, &product) ? kNone : product;
}

int64_t Plus(int64_t a, int64_t b) {
  int64_t sum = 0;
  return a == kNone || b == kNone || __builtin_add_overflow(a, b, &sum) ? kNone : sum;
}

// Of an input. nullopt: no rank.
MaybeLimits Of(const ElementNode& in, int input) {
  const Known* known = in.Find(input);
  return known == nullptr ? std::nullopt : DimLimits(*known);
}

MaybeLimits First(const ElementNode& in) { return Of(in, 0); }
MaybeLimits Second(const ElementNode& in) { return Of(in, 1); }

MaybeLimits Broadcast(const ElementNode& in) {
  Limits limits;
  for (int i = 0; i < in.count(); ++i) {
    const MaybeLimits operand = Of(in, i);
    if (!operand) {
      return std::nullopt;
    }
    if (operand->size() > limits.size()) {
      limits.insert(limits.begin(), operand->size() - limits.size(), 0);
    }
    for (size_t d = 0; d < operand->size(); ++d) {
      int64_t& limit = limits[limits.size() - operand->size() + d];
      limit = std::max(limit, (*operand)[d]);
    }
  }
  return limits;
}

// An operand's elements are the result's dims; `data`: also an operand whose dims may be wider (Expand).
MaybeLimits FromElements(const ElementNode& in, int input) {
  const Elements* sizes = in.In(input);
  if (sizes == nullptr) {
    return std::nullopt;
  }
  Limits limits;
  for (const Interval& size : sizes->at) {
    limits.push_back(std::max(size.high, int64_t{0}));
  }
  return limits;
}

MaybeLimits ConstantOfShape(const ElementNode& in) { return FromElements(in, 0); }

MaybeLimits Expand(const ElementNode& in) {
  MaybeLimits sizes = FromElements(in, 1);
  const MaybeLimits data = Of(in, 0);
  if (!sizes || !data) {
    return std::nullopt;
  }
  if (data->size() > sizes->size()) {
    sizes->insert(sizes->begin(), data->size() - sizes->size(), 0);
  }
  for (size_t d = 0; d < data->size(); ++d) {
    int64_t& limit = (*sizes)[sizes->size() - data->size() + d];
    limit = std::max(limit, (*data)[d]);
  }
  return sizes;
}

// What is given is given; -1 is the input's elements over the other sizes, where these are known; 0 copies a dim.
MaybeLimits Reshape(const ElementNode& in) {
  const Elements* sizes = in.In(1);
  const MaybeLimits data = Of(in, 0);
  if (sizes == nullptr || !data) {
    return std::nullopt;
  }
  int64_t elements = 1;
  for (const int64_t dim : *data) {
    elements = Times(elements, dim);
  }
  const bool zero_copies = in.Int("allowzero", 0) == 0;
  int64_t others = 1;
  int open = 0;  // sizes that may be 0, of which the other sizes then say nothing
  for (const Interval& size : sizes->at) {
    if (size.known() && size.low > 0) {
      others = Times(others, size.low);
    }
    open += size.low <= 0 && size != Interval::Of(-1) ? 1 : 0;
  }
  Limits limits;
  for (size_t i = 0; i < sizes->at.size(); ++i) {
    const Interval& size = sizes->at[i];
    const int64_t copied = i < data->size() ? (*data)[i] : kNone;
    int64_t limit = elements == kNone || others == kNone ? kNone : elements / others;
    if (size.low > 0 || (size.low == 0 && !zero_copies)) {
      limit = size.high;
    } else if (size == Interval::Of(0)) {
      limit = copied;
    } else if (size != Interval::Of(-1)) {
      limit = open > 1 ? kNone : zero_copies ? std::max(limit, copied) : limit;
    }
    limits.push_back(limit);
  }
  return limits;
}

MaybeLimits Transpose(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  const onnx::AttributeProto* perm = FindAttribute(in.node(), "perm");
  if (!data || (perm != nullptr && perm->ints_size() != static_cast<int>(data->size()))) {
    return std::nullopt;
  }
  Limits limits(data->rbegin(), data->rend());
  for (int i = 0; perm != nullptr && i < perm->ints_size(); ++i) {
    if (perm->ints(i) < 0 || perm->ints(i) >= static_cast<int64_t>(data->size())) {
      return std::nullopt;
    }
    limits[static_cast<size_t>(i)] = (*data)[static_cast<size_t>(perm->ints(i))];
  }
  return limits;
}

MaybeLimits Unsqueeze(const ElementNode& in) {
  MaybeLimits limits = Of(in, 0);
  auto axes = in.List("axes", 1);
  if (!limits || !axes) {
    return std::nullopt;
  }
  const auto rank = static_cast<int64_t>(limits->size() + axes->size());
  for (int64_t& axis : *axes) {
    axis += axis < 0 ? rank : 0;
  }
  std::sort(axes->begin(), axes->end());
  for (const int64_t axis : *axes) {
    if (axis < 0 || axis > static_cast<int64_t>(limits->size())) {
      return std::nullopt;
    }
    limits->insert(limits->begin() + axis, 1);
  }
  return limits;
}

MaybeLimits Squeeze(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  const auto axes = in.List("axes", 1);
  if (!data || !axes || axes->empty()) {
    return std::nullopt;
  }
  std::unordered_set<int64_t> gone;
  for (const int64_t axis : *axes) {
    gone.insert(axis < 0 ? axis + static_cast<int64_t>(data->size()) : axis);
  }
  Limits limits;
  for (size_t i = 0; i < data->size(); ++i) {
    if (!gone.contains(static_cast<int64_t>(i))) {
      limits.push_back((*data)[i]);
    }
  }
  return limits;
}

MaybeLimits Concat(const ElementNode& in) {
  MaybeLimits limits;
  for (int i = 0; i < in.count(); ++i) {
    const MaybeLimits part = Of(in, i);
    const auto axis = part ? NormalAxis(in.Int("axis", 1), static_cast<int64_t>(part->size())) : std::nullopt;
    if (!axis || (limits && limits->size() != part->size())) {
      return std::nullopt;
    }
    for (size_t d = 0; limits && d < part->size(); ++d) {
      int64_t& limit = (*limits)[d];
      limit = static_cast<int64_t>(d) == *axis ? Plus(limit, (*part)[d]) : std::min(limit, (*part)[d]);
    }
    limits = limits ? limits : part;
  }
  return limits;
}

MaybeLimits Gather(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  const MaybeLimits indices = Of(in, 1);
  const auto axis = data ? NormalAxis(in.Int("axis", 0), static_cast<int64_t>(data->size())) : std::nullopt;
  if (!axis || !indices) {
    return std::nullopt;
  }
  Limits limits(data->begin(), data->begin() + *axis);
  limits.insert(limits.end(), indices->begin(), indices->end());
  limits.insert(limits.end(), data->begin() + *axis + 1, data->end());
  return limits;
}

MaybeLimits GatherNd(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  const MaybeLimits indices = Of(in, 1);
  if (!data || !indices || indices->empty() || in.Int("batch_dims", 0) != 0 || indices->back() == kNone ||
      indices->back() > static_cast<int64_t>(data->size())) {
    return std::nullopt;
  }
  Limits limits(indices->begin(), indices->end() - 1);
  limits.insert(limits.end(), data->begin() + indices->back(), data->end());
  return limits;
}

// At most what the data has, and at most from start to end where both count from the same side.
MaybeLimits Slice(const ElementNode& in) {
  MaybeLimits limits = Of(in, 0);
  const auto axes = in.List("axes", 3);
  const auto steps = in.List("steps", 4);
  if (!limits || !axes || !steps) {
    return limits;
  }
  const auto list = [&](std::string_view attribute, int input) -> MaybeElements {
    if (const auto values = in.List(attribute, input); values) {
      Elements elements{{static_cast<int64_t>(values->size())}, {}};
      for (const int64_t value : *values) {
        elements.at.push_back(Interval::Of(value));
      }
      return elements;
    }
    const Elements* elements = in.In(input);
    return elements == nullptr ? std::nullopt : MaybeElements(*elements);
  };
  const MaybeElements starts = list("starts", 1);
  const MaybeElements ends = list("ends", 2);
  for (size_t i = 0; starts && ends && i < std::min(starts->at.size(), ends->at.size()); ++i) {
    const auto axis =
        NormalAxis(i < axes->size() ? (*axes)[i] : static_cast<int64_t>(i), static_cast<int64_t>(limits->size()));
    const Interval& start = starts->at[i];
    const Interval& end = ends->at[i];
    const int64_t step = i < steps->size() ? (*steps)[i] : 1;
    if (!axis || step <= 0) {
      continue;
    }
    int64_t& limit = (*limits)[static_cast<size_t>(*axis)];
    if (start.low >= 0 && end.low >= 0 && end.high != kNone) {
      const int64_t span = std::max(end.high - start.low, int64_t{0});
      limit = std::min(limit, span / step + (span % step != 0 ? 1 : 0));
    } else if (start.low < 0 && start.low != Interval::kLowest && start.high < 0) {
      limit = std::min(limit, -start.low);
    }
  }
  return limits;
}

MaybeLimits TopK(const ElementNode& in) {
  MaybeLimits limits = Of(in, 0);
  if (!limits) {
    return std::nullopt;
  }
  const auto axis = NormalAxis(in.Int("axis", -1), static_cast<int64_t>(limits->size()));
  int64_t k = kNone;
  if (const Elements* given = in.In(1); given != nullptr && given->at.size() == 1) {
    k = given->at[0].high;
  } else if (!in.Has(1)) {
    k = in.Int("k", kNone);
  }
  if (axis && k >= 0) {
    int64_t& limit = (*limits)[static_cast<size_t>(*axis)];
    limit = std::min(limit, k);
  }
  return limits;
}

MaybeLimits NonZero(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  if (!data) {
    return std::nullopt;
  }
  int64_t elements = 1;
  for (const int64_t dim : *data) {
    elements = Times(elements, dim);
  }
  // A scalar counts as a vector of one element.
  return Limits{std::max(static_cast<int64_t>(data->size()), int64_t{1}), elements};
}

// For each batch and class at most the given number, which is 0 unless given, and at most all boxes.
MaybeLimits NonMaxSuppression(const ElementNode& in) {
  const MaybeLimits scores = Of(in, 1);
  if (!scores || scores->size() != 3) {
    return std::nullopt;
  }
  int64_t most = 0;
  if (in.Has(2)) {
    const Elements* given = in.In(2);
    most = given != nullptr && given->at.size() == 1 ? std::max(given->at[0].high, int64_t{0}) : kNone;
  }
  return Limits{Times(Times((*scores)[0], (*scores)[1]), std::min(most, (*scores)[2])), 3};
}

MaybeLimits RoiAlign(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  const MaybeLimits rois = Of(in, 1);
  if (!data || !rois || data->size() < 2 || rois->empty()) {
    return std::nullopt;
  }
  return Limits{(*rois)[0], (*data)[1], in.Int("output_height", 1), in.Int("output_width", 1)};
}

// The batch of the wider operand; of two that are equally wide, the larger, since 1 is broadcast.
MaybeLimits MatMul(const ElementNode& in) {
  const MaybeLimits a = Of(in, 0);
  const MaybeLimits b = Of(in, 1);
  if (!a || !b || a->size() < 2 || a->size() < b->size()) {
    return std::nullopt;
  }
  return Limits{a->size() == 2 || b->size() < a->size() ? a->front() : std::max(a->front(), b->front())};
}

// The sizes if they are given so, else what isn't scaled.
MaybeLimits Resize(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  if (!data || in.Gives("axes") || in.Gives("keep_aspect_ratio_policy")) {
    return std::nullopt;
  }
  if (in.Has(3)) {
    return FromElements(in, 3);
  }
  const Elements* scales = in.In(2);
  if (scales == nullptr || scales->at.size() != data->size()) {
    return std::nullopt;
  }
  Limits limits;
  for (size_t i = 0; i < data->size(); ++i) {
    limits.push_back(scales->at[i] == Interval::Of(1) ? (*data)[i] : kNone);
  }
  return limits;
}

// Without an axis, of all elements in a row.
MaybeLimits Compress(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  if (!data || in.Gives("axis")) {
    return data;
  }
  int64_t elements = 1;
  for (const int64_t dim : *data) {
    elements = Times(elements, dim);
  }
  return Limits{elements};
}

// Only the leading dims, which such operators keep.
MaybeLimits Leading(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  return data && !data->empty() ? MaybeLimits(Limits{data->front()}) : std::nullopt;
}

MaybeLimits Gemm(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  return data && data->size() == 2 ? MaybeLimits(Limits{(*data)[in.Int("transA", 0) != 0 ? 1 : 0]}) : std::nullopt;
}

MaybeLimits Flatten(const ElementNode& in) {
  const MaybeLimits data = Of(in, 0);
  const int64_t given = in.Int("axis", 1);
  if (!data) {
    return std::nullopt;
  }
  const int64_t axis = given < 0 ? given + static_cast<int64_t>(data->size()) : given;
  Limits limits{1, 1};
  for (size_t i = 0; i < data->size(); ++i) {
    int64_t& limit = limits[static_cast<int64_t>(i) < axis ? 0 : 1];
    limit = Times(limit, (*data)[i]);
  }
  return limits;
}

MaybeLimits Range(const ElementNode& in) {
  const Elements* start = in.In(0);
  const Elements* end = in.In(1);
  const Elements* delta = in.In(2);
  if (start == nullptr || end == nullptr || delta == nullptr || start->at.size() != 1 || end->at.size() != 1 ||
      delta->at.size() != 1 || !delta->at[0].known() || delta->at[0].low <= 0 || start->at[0].low < 0 ||
      end->at[0].high == kNone) {
    return std::nullopt;
  }
  const int64_t span = std::max(end->at[0].high - start->at[0].low, int64_t{0});
  return Limits{span / delta->at[0].low + (span % delta->at[0].low != 0 ? 1 : 0)};
}

using Rule = MaybeLimits (*)(const ElementNode&);

const std::unordered_map<std::string_view, Rule>& Table() {
  static const auto* const kTable = [] {
    auto* table = new std::unordered_map<std::string_view, Rule>{
        {"ConstantOfShape", ConstantOfShape},
        {"Expand", Expand},
        {"Reshape", Reshape},
        {"Transpose", Transpose},
        {"Unsqueeze", Unsqueeze},
        {"Squeeze", Squeeze},
        {"Concat", Concat},
        {"Gather", Gather},
        {"GatherND", GatherNd},
        {"GatherElements", Second},
        {"Slice", Slice},
        {"Split", First},
        {"TopK", TopK},
        {"NonZero", NonZero},
        {"NonMaxSuppression", NonMaxSuppression},
        {"RoiAlign", RoiAlign},
        {"Gemm", Gemm},
        {"Flatten", Flatten},
        {"Range", Range},
        {"Compress", Compress},
        {"MatMul", MatMul},
        {"Resize", Resize},
    };
    for (const char* op : {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}) {
      table->emplace(op, Leading);
    }
    for (const char* op : {"Abs",
                           "BatchNormalization",
                           "Cast",
                           "Ceil",
                           "Clip",
                           "CumSum",
                           "Dropout",
                           "Elu",
                           "Erf",
                           "Exp",
                           "Floor",
                           "HardSigmoid",
                           "HardSwish",
                           "Identity",
                           "IsInf",
                           "IsNaN",
                           "LeakyRelu",
                           "Log",
                           "LogSoftmax",
                           "Neg",
                           "Not",
                           "Reciprocal",
                           "Relu",
                           "Round",
                           "Scatter",
                           "ScatterElements",
                           "ScatterND",
                           "Sigmoid",
                           "Sign",
                           "Softmax",
                           "Sqrt",
                           "Tanh",
                           "Trilu",
                           "QuantizeLinear",
                           "DequantizeLinear"}) {
      table->emplace(op, First);
    }
    for (const char* op :
         {"Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max",   "Mean",
          "Min", "Mod", "Mul", "Or",    "Pow",     "PRelu",          "Sub",  "Sum",         "Where", "Xor"}) {
      table->emplace(op, Broadcast);
    }
    return table;
  }();
  return *kTable;
}

}  // namespace

std::optional<std::vector<int64_t>> DimLimits(const Known& known) {
  const onnx::TensorShapeProto* shape = FindShape(known.type);
  if (shape == nullptr) {
    return std::nullopt;
  }
  Limits limits = known.limits;
  limits.resize(static_cast<size_t>(shape->dim_size()), kNone);
  for (int i = 0; i < shape->dim_size(); ++i) {
    if (shape->dim(i).has_dim_value()) {
      limits[static_cast<size_t>(i)] = shape->dim(i).dim_value();
    }
  }
  return limits;
}

void PropagateLimits(Graph& graph, const onnx::NodeProto& node) {
  const auto rule = IsDefaultDomain(node.domain()) ? Table().find(node.op_type()) : Table().end();
  if (rule == Table().end()) {
    return;
  }
  // Further results are as the first one, of these; of others they have shapes of their own.
  static const auto* const kAlike = new std::unordered_set<std::string_view>{"Dropout", "MaxPool", "Split", "TopK"};
  std::optional<MaybeLimits> found;
  for (int i = 0; i < (kAlike->contains(node.op_type()) ? node.output_size() : std::min(node.output_size(), 1)); ++i) {
    const std::string& name = node.output(i);
    Known* output = name.empty() ? nullptr : graph.Find(name);
    const onnx::TensorShapeProto* shape = output == nullptr ? nullptr : FindShape(output->type);
    const auto open = [](const auto& dim) { return !dim.has_dim_value(); };
    if (shape == nullptr || std::none_of(shape->dim().begin(), shape->dim().end(), open)) {
      continue;
    }
    if (!found) {
      found = rule->second(ElementNode(graph, node));
    }
    if (*found) {
      Limits limits = **found;
      limits.resize(static_cast<size_t>(shape->dim_size()), kNone);
      output->limits = std::move(limits);
    }
  }
}

}  // namespace gomai::shape
