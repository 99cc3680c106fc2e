// All readers are looked at before anything is planned: one that needs the old order, and the order must stay.
#include "lib/pass/channel_fold.h"

#include <algorithm>
#include <cstring>

#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/pass/tensor_spool.h"

namespace gomai {

std::string ChannelFold::Plan(ValueId value, int64_t axis) {
  const std::set<ValueId> before = weights_;
  std::vector<std::pair<ValueId, int64_t>> pending = {{value, axis}};
  while (!pending.empty()) {
    const auto [at, channels] = pending.back();
    pending.pop_back();
    const Index::Value& v = rewriter_.index().value(at);
    std::string reason;
    if (v.is_graph_output || rewriter_.IsHeld(at)) {
      reason = fmt::format("'{}' is an output, or named by more than nodes", v.name);
    }
    for (size_t i = 0; reason.empty() && i < v.uses.size(); ++i) {
      reason = PlanReader(v.uses[i], channels, &pending);
    }
    if (!reason.empty()) {
      weights_ = before;
      return reason;
    }
  }
  return "";
}

std::string ChannelFold::PlanReader(const Index::Use& use, int64_t axis,
                                    std::vector<std::pair<ValueId, int64_t>>* pending) {
  const std::string reader = rewriter_.index().Describe(use.node);
  if (rewriter_.Is(use.node, "Shape") || rewriter_.Is(use.node, "Size")) {
    return "";  // of the order of values they see nothing
  }
  if (use.input != 0) {
    return fmt::format("{} reads it otherwise than as its data", reader);
  }
  if (rewriter_.Is(use.node, "Conv")) {
    return axis == 1 ? PlanWeight(use.node) : fmt::format("{} has the channels in axis {}, not 1", reader, axis);
  }
  if (rewriter_.Is(use.node, "Transpose")) {
    const std::optional<std::vector<int64_t>> perm = rewriter_.Ints(use.node, "perm");
    const auto at = perm ? std::find(perm->begin(), perm->end(), axis) : std::vector<int64_t>::const_iterator();
    if (!perm || at == perm->end()) {
      return fmt::format("{} has no perm that says where the channels go", reader);
    }
    pending->emplace_back(rewriter_.Output(use.node, 0), at - perm->begin());
    return "";
  }
  const bool quantises = rewriter_.Is(use.node, "QuantizeLinear") || rewriter_.Is(use.node, "DequantizeLinear");
  if (quantises) {
    for (const size_t i : {size_t{1}, size_t{2}}) {
      const ValueId parameter = rewriter_.Input(use.node, i);
      if (parameter != kNone && rewriter_.Rank(parameter) != 0) {
        return fmt::format("{} may have a scale for each channel", reader);
      }
    }
  } else if (!rewriter_.Is(use.node, "Identity") && !rewriter_.Is(use.node, "Cast")) {
    return fmt::format("{} is no Conv", reader);
  }
  pending->emplace_back(rewriter_.Output(use.node, 0), axis);
  return "";
}

std::string ChannelFold::PlanWeight(NodeId conv) {
  const std::string reader = rewriter_.index().Describe(conv);
  if (rewriter_.Int(conv, "group", 1) != 1) {
    return fmt::format("{} has several groups", reader);
  }
  ValueId weight = rewriter_.Input(conv, 1);
  NodeId owner = conv;
  if (const NodeId dequantises = rewriter_.Producer(weight, "DequantizeLinear"); dequantises != kNone) {
    const int scales = rewriter_.Rank(rewriter_.Input(dequantises, 1));
    if (!rewriter_.IsReadOnlyBy(weight, conv) || rewriter_.Int(dequantises, "block_size", 0) != 0 ||
        (scales != 0 && rewriter_.Int(dequantises, "axis", 1) != 0)) {
      return fmt::format("{} has dequantised weights that others read, or scales along their channels", reader);
    }
    owner = dequantises;
    weight = rewriter_.Input(dequantises, 0);
  }
  if (weight == kNone || rewriter_.index().value(weight).origin != Index::Origin::kInitializer ||
      rewriter_.index().value(weight).initializer == nullptr) {
    return fmt::format(
        "the weights of {} are no initializer that callers can't override (lift-constants makes initializers of "
        "Constant nodes)",
        reader);
  }
  if (!rewriter_.IsReadOnlyBy(weight, owner)) {
    return fmt::format("the weights of {} are read elsewhere too", reader);
  }
  const onnx::TensorProto& tensor = *rewriter_.index().value(weight).initializer;
  const int bits = BitsPerElement(tensor.data_type());
  if (tensor.dims_size() < 3 || bits < 8) {
    return fmt::format("the weights of {} are of rank {} and of dtype {}", reader, tensor.dims_size(),
                       DtypeName(tensor.data_type()));
  }
  weights_.insert(weight);
  return "";
}

absl::Status ChannelFold::Apply(PassContext& context) {
  TensorSpool spool("weights with reversed channels");
  for (const ValueId weight : weights_) {
    const onnx::TensorProto& old = *rewriter_.index().value(weight).initializer;
    GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(old, context.model()));
    const std::span<const uint8_t> in = bytes.bytes();
    const size_t channels = static_cast<size_t>(old.dims(1));
    const size_t rows = static_cast<size_t>(old.dims(0));
    const size_t plane = rows * channels == 0 ? 0 : in.size() / (rows * channels);
    std::string out(in.size(), '\0');
    for (size_t row = 0; row < rows && plane > 0; ++row) {
      for (size_t channel = 0; channel < channels; ++channel) {
        std::memcpy(out.data() + (row * channels + channel) * plane,
                    in.data() + (row * channels + channels - 1 - channel) * plane, plane);
      }
    }
    onnx::TensorProto& tensor = context.editor().MutableInitializer(weight);
    onnx::TensorProto made = RawTensor(old.data_type(), {old.dims().begin(), old.dims().end()}, "");
    made.set_name(old.name());
    if (old.has_doc_string()) {
      made.set_doc_string(old.doc_string());
    }
    *made.mutable_metadata_props() = old.metadata_props();
    tensor.Swap(&made);
    if (TensorSpool::Takes(out.size())) {
      GOMAI_RETURN_IF_ERROR(spool.Begin(&tensor, out.size()));
      GOMAI_RETURN_IF_ERROR(spool.Append(out));
    } else {
      tensor.set_raw_data(std::move(out));
    }
  }
  return spool.Finish(context);
}

}  // namespace gomai
