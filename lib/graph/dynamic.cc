// Causes of dynamic shapes, by propagation in topological order.
//
// Each value carries two sets of causes: those that its shape comes from, and those that its content comes from (a
// Shape turns the one into the other). A dynamic output takes the shape causes of its dynamic inputs, and the content
// causes of the inputs whose values decide its shape. One that has neither is a cause itself. Sets are bit rows; a
// model with more causes than kMaxCauses gets the rest counted under the last one.
#include "lib/graph/dynamic.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

namespace gomai {
namespace {

constexpr size_t kMaxCauses = 4096;

using Bits = std::vector<uint64_t>;

void Union(Bits* into, const Bits& other) {
  if (into->size() < other.size()) {
    into->resize(other.size());
  }
  for (size_t i = 0; i < other.size(); ++i) {
    (*into)[i] |= other[i];
  }
}

// Operators whose output shape depends on the data as such: no frozen input helps.
const char* DataDependence(std::string_view op) {
  static const std::map<std::string_view, const char*> kReasons = {
      {"NonZero", "as many columns as non-zero elements"},
      {"NonMaxSuppression", "as many rows as boxes are kept"},
      {"Unique", "as many elements as differ"},
      {"Compress", "as many slices as the condition selects"},
      {"If", "the branch taken decides"},
      {"Loop", "the number of iterations decides"},
      {"Scan", "its body decides"},
      {"SequenceMap", "its body decides"},
      {"StringSplit", "the strings decide"},
      {"ImageDecoder", "the image decides"},
      {"SequenceAt", "a sequence's elements may differ"},
      {"ConcatFromSequence", "a sequence's length decides"},
  };
  const auto reason = kReasons.find(op);
  return reason == kReasons.end() ? nullptr : reason->second;
}

// Does the value of that input decide the output's shape?
bool DecidesShape(std::string_view op, size_t input) {
  static const std::map<std::string_view, uint32_t> kInputs = {
      {"Reshape", 0b10},       {"Expand", 0b10},        {"ConstantOfShape", 0b1},
      {"Tile", 0b10},          {"Range", 0b111},        {"Resize", 0b1110},
      {"Upsample", 0b10},      {"Slice", 0b11110},      {"TopK", 0b10},
      {"Pad", 0b1010},         {"OneHot", 0b10},        {"Squeeze", 0b10},
      {"Unsqueeze", 0b10},     {"Split", 0b10},         {"Col2Im", 0b110},
      {"AffineGrid", 0b10},    {"CenterCropPad", 0b10}, {"MaxUnpool", 0b100},
      {"DFT", 0b10},           {"HannWindow", 0b1},     {"HammingWindow", 0b1},
      {"BlackmanWindow", 0b1}, {"STFT", 0b1010},        {"MelWeightMatrix", 0b11},
  };
  if (op.starts_with("Reduce")) {
    return input == 1;
  }
  const auto inputs = kInputs.find(op);
  return inputs != kInputs.end() && input < 32 && ((inputs->second >> input) & 1U) != 0;
}

// The dims that aren't numbers: "height, width"; "dim 2" for one without a name.
std::string OpenDims(const onnx::TypeProto* type) {
  if (type == nullptr || !type->has_tensor_type()) {
    return "its type";
  }
  if (!type->tensor_type().has_shape()) {
    return "its rank";
  }
  std::string dims;
  const onnx::TensorShapeProto& shape = type->tensor_type().shape();
  for (int i = 0; i < shape.dim_size(); ++i) {
    const onnx::TensorShapeProto::Dimension& dim = shape.dim(i);
    if (!dim.has_dim_value() || dim.dim_value() < 0) {
      dims += fmt::format("{}{}", dims.empty() ? "" : ", ",
                          dim.dim_param().empty() ? fmt::format("dim {}", i) : dim.dim_param());
    }
  }
  return dims;
}

bool IsStatic(const onnx::TypeProto* type) {
  return type != nullptr && type->has_tensor_type() && OpenDims(type).empty();
}

class Analysis {
 public:
  Analysis(const Index& index, const TypeLookup& type_of)
      : index_(index), type_of_(type_of), shape_(index.values().size()), content_(index.values().size()) {}

  absl::StatusOr<DynamicReport> Run() {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index_, index_.main_scope()));
    for (ValueId id = 0; id < static_cast<ValueId>(index_.values().size()); ++id) {
      if (index_.value(id).scope == index_.main_scope() && index_.value(id).origin == Index::Origin::kInput) {
        AddInput(id);
      }
    }
    for (const NodeId id : order) {
      AddNode(id);
    }
    return Report();
  }

 private:
  Bits Cause(DynamicCause cause) {
    if (causes_.size() < kMaxCauses) {
      causes_.push_back(std::move(cause));
    }
    Bits bits((causes_.size() + 63) / 64);
    bits.back() |= uint64_t{1} << ((causes_.size() - 1) % 64);
    return bits;
  }

  void AddInput(ValueId id) {
    const auto at = static_cast<size_t>(id);
    content_[at] = Cause({.kind = DynamicCause::Kind::kInputValues, .input = id, .why = "its values decide a shape"});
    if (const onnx::TypeProto* type = type_of_(id); !IsStatic(type)) {
      const std::string open = OpenDims(type);
      shape_[at] = Cause({.kind = DynamicCause::Kind::kInputShape,
                          .input = id,
                          .why = fmt::format("{} {} open", open, open.find(',') == std::string::npos ? "is" : "are")});
      dynamic_.push_back(id);
    }
    ++values_;
  }

  void AddNode(NodeId id) {
    const Index::Node& node = index_.node(id);
    const std::string& op = node.proto->op_type();
    const bool reads_shape = op == "Shape" || op == "Size";
    Bits shape;
    Bits content;
    bool decided = false;  // by the value of an input
    for (const std::vector<ValueId>* reads : {&node.inputs, &node.captures}) {
      for (size_t i = 0; i < reads->size(); ++i) {
        const ValueId value = (*reads)[i];
        if (value == kNone) {
          continue;
        }
        const auto at = static_cast<size_t>(value);
        Union(&shape, shape_[at]);
        Union(&content, reads_shape ? shape_[at] : content_[at]);
        if (reads == &node.inputs && DecidesShape(op, i)) {
          Union(&shape, content_[at]);
          decided = true;
        }
      }
    }
    const char* reason = DataDependence(op);
    Bits own;
    for (const ValueId output : node.outputs) {
      if (output == kNone || index_.value(output).producer != id) {
        continue;
      }
      const auto at = static_cast<size_t>(output);
      ++values_;
      content_[at] = content;
      if (IsStatic(type_of_(output))) {
        continue;
      }
      dynamic_.push_back(output);
      shape_[at] = shape;
      const bool unexplained = std::all_of(shape.begin(), shape.end(), [](uint64_t bits) { return bits == 0; });
      if (own.empty() && reason != nullptr) {
        own = Cause({.kind = DynamicCause::Kind::kData, .node = id, .why = Reason(id, reason)});
      } else if (own.empty() && unexplained && decided) {
        own = Cause(
            {.kind = DynamicCause::Kind::kFoldable, .node = id, .why = "computed from fixed shapes: can be folded"});
      } else if (own.empty() && unexplained) {
        own = Cause({.kind = DynamicCause::Kind::kUnknown, .node = id, .why = "no rule gives its shape"});
      }
      if (reason != nullptr && node.bodies.empty()) {
        shape_[at] = own;  // whatever its input's shape
      } else {
        Union(&shape_[at], own);
      }
    }
  }

  // For a node with bodies also what in them depends on data: "the branch taken decides; NonMaxSuppression in it".
  std::string Reason(NodeId id, const char* reason) const {
    std::vector<std::string> inside;
    for (NodeId inner = id + 1; inner < static_cast<NodeId>(index_.nodes().size()); ++inner) {
      const Index::Node& node = index_.node(inner);
      if (!std::any_of(index_.node(id).bodies.begin(), index_.node(id).bodies.end(),
                       [&](ScopeId body) { return index_.IsInside(node.scope, body); })) {
        break;  // ids are a depth-first walk: what is inside follows at once
      }
      if (DataDependence(node.proto->op_type()) != nullptr &&
          std::find(inside.begin(), inside.end(), node.proto->op_type()) == inside.end()) {
        inside.push_back(node.proto->op_type());
      }
    }
    return inside.empty() ? reason : fmt::format("{}; in it: {}", reason, fmt::join(inside, ", "));
  }

  DynamicReport Report() {
    DynamicReport report;
    report.values = values_;
    std::sort(dynamic_.begin(), dynamic_.end());
    for (const ValueId id : dynamic_) {
      const onnx::TypeProto* type = type_of_(id);
      const bool ranked = type != nullptr && type->has_tensor_type() && type->tensor_type().has_shape();
      report.unranked += ranked ? 0 : 1;
      DynamicValue value{.value = id, .ranked = ranked, .causes = {}};
      const Bits& bits = shape_[static_cast<size_t>(id)];
      for (size_t i = 0; i < bits.size() * 64; ++i) {
        if (((bits[i / 64] >> (i % 64)) & 1U) != 0) {
          value.causes.push_back(static_cast<int>(i));
          ++causes_[i].values;
        }
      }
      if (value.causes.size() == 1) {
        ++causes_[static_cast<size_t>(value.causes.front())].alone;
      }
      report.dynamic.push_back(std::move(value));
    }
    // Widest first; causes that reach nothing (an input whose values decide no shape) go.
    std::vector<int> order(causes_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return causes_[static_cast<size_t>(a)].values > causes_[static_cast<size_t>(b)].values;
    });
    std::vector<int> place(causes_.size(), -1);
    for (const int old : order) {
      if (causes_[static_cast<size_t>(old)].values > 0) {
        place[static_cast<size_t>(old)] = static_cast<int>(report.causes.size());
        report.causes.push_back(std::move(causes_[static_cast<size_t>(old)]));
      }
    }
    for (DynamicValue& value : report.dynamic) {
      for (int& cause : value.causes) {
        cause = place[static_cast<size_t>(cause)];
      }
      std::sort(value.causes.begin(), value.causes.end());
    }
    return report;
  }

  const Index& index_;
  const TypeLookup& type_of_;
  std::vector<Bits> shape_;
  std::vector<Bits> content_;
  std::vector<DynamicCause> causes_;
  std::vector<ValueId> dynamic_;
  uint64_t values_ = 0;
};

}  // namespace

absl::StatusOr<DynamicReport> FindDynamic(const Index& index, const TypeLookup& type_of) {
  return Analysis(index, type_of).Run();
}

}  // namespace gomai
