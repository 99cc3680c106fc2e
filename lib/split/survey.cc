// Survey of a split; see survey.h. Everything is read from shapes and dims: no weight, no run.
#include "lib/split/survey.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

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

class Surveyor {
 public:
  Surveyor(const Split& split, const Index& index, const Shapes& shapes)
      : split_(split), index_(index), shapes_(shapes), macs_(index, [this](ValueId id) { return Known(id); }) {}

  PartSurvey Survey(const SplitPart& part) const {
    PartSurvey survey;
    survey.name = part.name;
    survey.device = part.device;
    survey.copied_constants = static_cast<int64_t>(part.constants.size());
    survey.plain_cnn = !part.nodes.empty();
    std::set<const onnx::TensorProto*> weights;
    for (const NodeId id : part.nodes) {
      survey.nodes += CountWithBodies(id);
      macs_.Add(id, survey.macs);
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
  std::optional<std::vector<int64_t>> Known(ValueId id) const {
    if (const auto boundary = split_.types.find(id); boundary != split_.types.end()) {
      return KnownDims(&boundary->second);
    }
    return KnownDims(shapes_.Find(index_.value(id).name));
  }

  void AddBytes(ValueId id, Amount& amount) const {
    const onnx::TypeProto& type = split_.types.at(id);
    const int bits = type.has_tensor_type() ? BitsPerElement(type.tensor_type().elem_type()) : 0;
    if (bits == 0) {
      ++amount.unknown;
      return;
    }
    amount.Add(macs_.DimsOf(id), std::max(1, bits / 8));
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
    const std::optional<std::vector<int64_t>> dims = macs_.DimsOf(id);
    return dims && std::none_of(dims->begin(), dims->end(), [](int64_t dim) { return dim < 0; });
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
  const MacCounter macs_;
};

}  // namespace

std::vector<PartSurvey> SurveySplit(const Split& split, const Index& index, const Shapes& shapes) {
  const Surveyor surveyor(split, index, shapes);
  std::vector<PartSurvey> surveys;
  for (const SplitPart& part : split.parts) {
    surveys.push_back(surveyor.Survey(part));
  }
  return surveys;
}

}  // namespace gomai
