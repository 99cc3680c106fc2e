// Survey of a split; see survey.h. Everything is read from shapes and dims: no weight, no run.
#include "lib/split/survey.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "lib/base/text.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

// Operators that NPU compilers take as plain CNN layers. Reshape only with a constant operand.
constexpr std::array<std::string_view, 33> kPlainOps = {"Add",
                                                        "AveragePool",
                                                        "BatchNormalization",
                                                        "Clip",
                                                        "Concat",
                                                        "Constant",
                                                        "Conv",
                                                        "ConvTranspose",
                                                        "DepthToSpace",
                                                        "DequantizeLinear",
                                                        "Div",
                                                        "Elu",
                                                        "Flatten",
                                                        "Gemm",
                                                        "GlobalAveragePool",
                                                        "GlobalMaxPool",
                                                        "HardSigmoid",
                                                        "HardSwish",
                                                        "Identity",
                                                        "LeakyRelu",
                                                        "MatMul",
                                                        "MaxPool",
                                                        "Mul",
                                                        "PRelu",
                                                        "Pad",
                                                        "QuantizeLinear",
                                                        "Relu",
                                                        "Reshape",
                                                        "Resize",
                                                        "Sigmoid",
                                                        "Sub",
                                                        "Tanh",
                                                        "Transpose"};

struct Dims {
  std::vector<int64_t> dims;  // -1: open
};

class Surveyor {
 public:
  Surveyor(const Split& split, const Index& index, const Shapes& shapes)
      : split_(split), index_(index), shapes_(shapes) {}

  PartSurvey Survey(const SplitPart& part) const {
    PartSurvey survey;
    survey.name = part.name;
    survey.device = part.device;
    survey.copied_constants = static_cast<int64_t>(part.constants.size());
    survey.plain_cnn = !part.nodes.empty();
    std::set<const onnx::TensorProto*> weights;
    for (const NodeId id : part.nodes) {
      survey.nodes += CountWithBodies(id);
      AddMacs(id, survey.macs);
      if (survey.plain_cnn && !IsPlain(id)) {
        survey.plain_cnn = false;
        survey.not_plain = index_.Describe(id);
      }
    }
    for (const NodeId id : part.order) {
      CollectWeights(id, weights);
    }
    for (const onnx::TensorProto* weight : weights) {
      survey.weight_bytes += TensorByteSize(*weight);
    }
    for (const ValueId value : part.inputs) {
      AddBytes(value, survey.bytes_in);
    }
    for (const ValueId value : part.outputs) {
      AddBytes(value, survey.bytes_out);
    }
    survey.dynamic = WhyDynamic(part);
    return survey;
  }

 private:
  std::optional<Dims> DimsOf(ValueId id) const {
    const Index::Value& value = index_.value(id);
    if (value.initializer != nullptr) {
      return Dims{{value.initializer->dims().begin(), value.initializer->dims().end()}};
    }
    const onnx::TypeProto* type = nullptr;
    if (const auto boundary = split_.types.find(id); boundary != split_.types.end()) {
      type = &boundary->second;
    } else {
      type = shapes_.Find(value.name);
    }
    if (type == nullptr || !type->has_tensor_type() || !type->tensor_type().has_shape()) {
      return std::nullopt;
    }
    Dims dims;
    for (const auto& dim : type->tensor_type().shape().dim()) {
      dims.dims.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : -1);
    }
    return dims;
  }

  // Adds factor * product(dims): fixed, per row if only the first dim is open, else unknown. Saturates.
  static void Add(const std::optional<Dims>& dims, int64_t factor, Amount& amount) {
    if (!dims) {
      ++amount.unknown;
      return;
    }
    int64_t product = factor;
    bool open_first = false;
    for (size_t i = 0; i < dims->dims.size(); ++i) {
      const int64_t dim = dims->dims[i];
      if (dim < 0 && i == 0) {
        open_first = true;
      } else if (dim < 0 || __builtin_mul_overflow(product, dim, &product)) {
        ++amount.unknown;
        return;
      }
    }
    int64_t& sum = open_first ? amount.per_row : amount.fixed;
    if (__builtin_add_overflow(sum, product, &sum)) {
      ++amount.unknown;
    }
  }

  void AddMacs(NodeId id, Amount& macs) const {
    const Index::Node& node = index_.node(id);
    const std::string& op = node.proto->op_type();
    const bool convolution = op == "Conv" || op == "ConvTranspose";
    if ((!convolution && op != "Gemm" && op != "MatMul") || node.inputs.size() < 2 || node.inputs[0] == kNone ||
        node.inputs[1] == kNone || node.outputs.empty() || node.outputs[0] == kNone) {
      return;
    }
    const std::optional<Dims> weight = DimsOf(node.inputs[1]);
    if (convolution) {
      // Conv: each output element costs C/group * kernel; ConvTranspose: each input element costs M/group * kernel.
      // Both are the weight's elements divided by its first dim.
      if (!weight || weight->dims.empty()) {
        ++macs.unknown;
        return;
      }
      int64_t cost = 1;
      for (size_t i = 1; i < weight->dims.size(); ++i) {
        if (weight->dims[i] < 0 || __builtin_mul_overflow(cost, weight->dims[i], &cost)) {
          ++macs.unknown;
          return;
        }
      }
      Add(DimsOf(op == "Conv" ? node.outputs[0] : node.inputs[0]), cost, macs);
      return;
    }
    const std::optional<Dims> a = DimsOf(node.inputs[0]);
    if (!a || a->dims.empty()) {
      ++macs.unknown;
      return;
    }
    bool transposed = false;
    for (const onnx::AttributeProto& attribute : node.proto->attribute()) {
      transposed = transposed || (attribute.name() == "transA" && attribute.i() != 0);
    }
    int64_t inner = transposed ? a->dims.front() : a->dims.back();
    if (inner < 0 && weight && !weight->dims.empty()) {
      inner = weight->dims.size() > 1 ? weight->dims[weight->dims.size() - 2] : weight->dims[0];
    }
    if (inner < 0) {
      ++macs.unknown;
      return;
    }
    Add(DimsOf(node.outputs[0]), inner, macs);
  }

  void AddBytes(ValueId id, Amount& amount) const {
    const onnx::TypeProto& type = split_.types.at(id);
    const int bits = type.has_tensor_type() ? BitsPerElement(type.tensor_type().elem_type()) : 0;
    if (bits == 0) {
      ++amount.unknown;
      return;
    }
    Add(DimsOf(id), std::max(1, bits / 8), amount);
  }

  int64_t CountWithBodies(NodeId id) const {
    int64_t count = 0;
    std::vector<NodeId> pending{id};
    while (!pending.empty()) {
      const NodeId next = pending.back();
      pending.pop_back();
      ++count;
      for (const ScopeId body : index_.node(next).bodies) {
        const std::vector<NodeId>& inner = index_.scope(body).nodes;
        pending.insert(pending.end(), inner.begin(), inner.end());
      }
    }
    return count;
  }

  void CollectWeights(NodeId id, std::set<const onnx::TensorProto*>& weights) const {
    for (const std::vector<ValueId>* reads : {&index_.node(id).inputs, &index_.node(id).captures}) {
      for (const ValueId value : *reads) {
        if (value != kNone && index_.value(value).initializer != nullptr) {
          weights.insert(index_.value(value).initializer);
        }
      }
    }
    for (const onnx::AttributeProto& attribute : index_.node(id).proto->attribute()) {
      if (attribute.has_t()) {
        weights.insert(&attribute.t());
      }
    }
  }

  bool IsPlain(NodeId id) const {
    const Index::Node& node = index_.node(id);
    const std::string& op = node.proto->op_type();
    if (!IsDefaultDomain(node.proto->domain())) {
      return false;
    }
    if (std::find(kPlainOps.begin(), kPlainOps.end(), op) == kPlainOps.end()) {
      return false;
    }
    // A computed size makes the shape depend on the data.
    if (op == "Reshape" || op == "Resize" || op == "Pad") {
      for (size_t i = 1; i < node.inputs.size(); ++i) {
        if (node.inputs[i] != kNone && !index_.IsConstant(node.inputs[i])) {
          return false;
        }
      }
    }
    return true;
  }

  bool IsStatic(ValueId id) const {
    const std::optional<Dims> dims = DimsOf(id);
    return dims && std::none_of(dims->dims.begin(), dims->dims.end(), [](int64_t dim) { return dim < 0; });
  }

  // What makes shapes in a part dynamic: what it is fed, and its own operators that make a dynamic value from static
  // ones or whose result's size is data by definition.
  std::vector<std::string> WhyDynamic(const SplitPart& part) const {
    static const std::set<std::string_view> kDataDependent = {
        "NonMaxSuppression", "NonZero", "Unique", "Compress", "Loop", "If", "Scan", "Range", "StringSplit"};
    std::vector<std::string> reasons;
    std::vector<std::string> fed;
    for (const ValueId input : part.inputs) {
      if (!IsStatic(input)) {
        fed.emplace_back(index_.value(input).name);
      }
    }
    if (fed.size() == 1) {
      reasons.push_back("input " + fed.front());
    } else if (!fed.empty()) {
      reasons.push_back(fmt::format("{} inputs", fed.size()));
    }
    std::map<std::string, int> own;
    for (const NodeId id : part.nodes) {
      const Index::Node& node = index_.node(id);
      const auto dynamic = [&](ValueId value) {
        return value != kNone && !index_.IsConstant(value) && !IsStatic(value);
      };
      const bool makes = std::any_of(node.outputs.begin(), node.outputs.end(), dynamic);
      const bool takes = std::any_of(node.inputs.begin(), node.inputs.end(), dynamic);
      if (makes && (!takes || kDataDependent.contains(node.proto->op_type()))) {
        ++own[node.proto->op_type()];
      }
    }
    for (const auto& [op, count] : own) {
      reasons.push_back(count == 1 ? op : fmt::format("{} {}", count, op));
    }
    return reasons;
  }

  const Split& split_;
  const Index& index_;
  const Shapes& shapes_;
};

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

std::vector<PartSurvey> SurveySplit(const Split& split, const Index& index, const Shapes& shapes) {
  const Surveyor surveyor(split, index, shapes);
  std::vector<PartSurvey> surveys;
  for (const SplitPart& part : split.parts) {
    surveys.push_back(surveyor.Survey(part));
  }
  return surveys;
}

}  // namespace gomai
