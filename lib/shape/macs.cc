// Counting is on shapes and dims: no weight, no run.
#include "lib/shape/macs.h"

#include <algorithm>
#include <array>

#include "lib/base/text.h"
#include "lib/model/attribute.h"
#include "lib/model/domain.h"

namespace gomai {
namespace {

enum class Kind { kConvolution, kTransposedConvolution, kProduct };

// Which inputs hold the data and the weight (or the two factors).
struct Operator {
  std::string_view name;
  Kind kind;
  size_t data;
  size_t weight;
};

constexpr std::array<Operator, 9> kOperators = {{{"Conv", Kind::kConvolution, 0, 1},
                                                 {"ConvInteger", Kind::kConvolution, 0, 1},
                                                 {"QLinearConv", Kind::kConvolution, 0, 3},
                                                 {"DeformConv", Kind::kConvolution, 0, 1},
                                                 {"ConvTranspose", Kind::kTransposedConvolution, 0, 1},
                                                 {"Gemm", Kind::kProduct, 0, 1},
                                                 {"MatMul", Kind::kProduct, 0, 1},
                                                 {"MatMulInteger", Kind::kProduct, 0, 1},
                                                 {"QLinearMatMul", Kind::kProduct, 0, 3}}};

const Operator* Find(const Index& index, NodeId id) {
  const Index::Node& node = index.node(id);
  if (!IsDefaultDomain(node.proto->domain()) || index.CalledFunction(*node.proto) != kNone) {
    return nullptr;
  }
  const auto found = std::find_if(kOperators.begin(), kOperators.end(),
                                  [&](const Operator& op) { return op.name == node.proto->op_type(); });
  const auto has = [](const std::vector<ValueId>& values, size_t i) { return i < values.size() && values[i] != kNone; };
  return found != kOperators.end() && has(node.inputs, found->data) && has(node.inputs, found->weight) &&
                 has(node.outputs, 0)
             ? &*found
             : nullptr;
}

std::string CountText(int64_t value, bool bytes) {
  if (bytes) {
    return FormatBytes(static_cast<uint64_t>(value));
  }
  const double v = static_cast<double>(value);
  if (value >= 1'000'000'000) {
    return fmt::format("{:.1f} G", v / 1e9);
  }
  if (value >= 1'000'000) {
    return fmt::format("{:.1f} M", v / 1e6);
  }
  return value >= 1000 ? fmt::format("{:.1f} K", v / 1e3) : fmt::format("{}", value);
}

}  // namespace

std::string Amount::Text(bool bytes) const {
  std::vector<std::string> terms;
  if (fixed > 0 || (per_row == 0 && unknown == 0)) {
    terms.push_back(CountText(fixed, bytes));
  }
  if (per_row > 0) {
    terms.push_back(CountText(per_row, bytes) + "/row");
  }
  if (unknown > 0) {
    terms.emplace_back("?");
  }
  return fmt::format("{}", fmt::join(terms, " + "));
}

void Amount::Add(const std::optional<std::vector<int64_t>>& dims, int64_t factor) {
  if (!dims) {
    ++unknown;
    return;
  }
  int64_t product = factor;
  bool open_first = false;
  for (size_t i = 0; i < dims->size(); ++i) {
    const int64_t dim = (*dims)[i];
    if (dim < 0 && i == 0) {
      open_first = true;
    } else if (dim < 0 || __builtin_mul_overflow(product, dim, &product)) {
      ++unknown;
      return;
    }
  }
  int64_t& sum = open_first ? per_row : fixed;
  int64_t added = 0;
  if (__builtin_add_overflow(sum, product, &added)) {
    ++unknown;
  } else {
    sum = added;
  }
}

std::optional<MacCounter::Dims> MacCounter::DimsOf(ValueId id) const {
  const Index::Value& value = index_.value(id);
  if (value.initializer != nullptr) {
    return Dims(value.initializer->dims().begin(), value.initializer->dims().end());
  }
  return dims_(id);
}

bool MacCounter::Counts(NodeId id) const { return Find(index_, id) != nullptr; }

void MacCounter::Add(NodeId id, Amount& amount) const {
  const Operator* op = Find(index_, id);
  if (op == nullptr) {
    return;
  }
  const Index::Node& node = index_.node(id);
  const std::optional<Dims> weight = DimsOf(node.inputs[op->weight]);
  if (op->kind != Kind::kProduct) {
    // Conv: each output element costs C/group * kernel; ConvTranspose: each input element costs M/group * kernel.
    // Both are the weight's elements divided by its first dim.
    if (!weight || weight->empty()) {
      ++amount.unknown;
      return;
    }
    int64_t cost = 1;
    for (size_t i = 1; i < weight->size(); ++i) {
      if ((*weight)[i] < 0 || __builtin_mul_overflow(cost, (*weight)[i], &cost)) {
        ++amount.unknown;
        return;
      }
    }
    amount.Add(DimsOf(op->kind == Kind::kConvolution ? node.outputs[0] : node.inputs[op->data]), cost);
    return;
  }
  const std::optional<Dims> a = DimsOf(node.inputs[op->data]);
  if (!a || a->empty()) {
    ++amount.unknown;
    return;
  }
  const auto transposed = [&](const char* name) {
    const onnx::AttributeProto* attribute = op->name == "Gemm" ? FindAttribute(*node.proto, name) : nullptr;
    return attribute != nullptr && attribute->i() != 0;
  };
  int64_t inner = transposed("transA") ? a->front() : a->back();
  if (inner < 0 && weight && !weight->empty()) {
    inner = transposed("transB") ? weight->back()
            : weight->size() > 1 ? (*weight)[weight->size() - 2]
                                 : weight->front();
  }
  if (inner < 0) {
    ++amount.unknown;
    return;
  }
  amount.Add(DimsOf(node.outputs[0]), inner);
}

std::optional<uint64_t> MacCounter::Macs(NodeId id) const {
  Amount amount;
  Add(id, amount);
  return amount.unknown == 0 && amount.per_row == 0 ? std::optional(static_cast<uint64_t>(amount.fixed)) : std::nullopt;
}

std::optional<std::vector<int64_t>> KnownDims(const onnx::TypeProto* type) {
  const onnx::TensorShapeProto* shape = type == nullptr ? nullptr : FindShape(*type);
  if (shape == nullptr) {
    return std::nullopt;
  }
  std::vector<int64_t> dims;
  for (const auto& dim : shape->dim()) {
    dims.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : -1);
  }
  return dims;
}

Amount CountMacs(const Index& index, const Shapes& shapes) {
  const MacCounter counter(index, [&](ValueId id) { return KnownDims(shapes.Find(index.value(id).name)); });
  Amount total;
  for (const NodeId id : index.scope(index.main_scope()).nodes) {
    counter.Add(id, total);
  }
  return total;
}

}  // namespace gomai
