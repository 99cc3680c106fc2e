// pad-into-conv: a Pad of zeros becomes the pads of the Conv that reads it; so do those of average and max pooling
// where that is the same.
//
// What an operator pads with: Conv with zeros; AveragePool with zeros that count only if count_include_pad is set;
// MaxPool with less than everything, so never with zeros: only a Pad of -infinity (or of the lowest number) may go into
// it. A ConvTranspose's pads cut its result, so it is none of them. A Pad may have several readers: all of them take
// the pads, or none does.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/model/attribute.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

class Pads {
 public:
  explicit Pads(Rewriter& rewriter) : rewriter_(rewriter) {}

  bool Applies(NodeId id) const {
    if (!rewriter_.Is(id, "Pad")) {
      return false;
    }
    const std::vector<Reader> readers = Readers(id, 0);
    return std::any_of(readers.begin(), readers.end(),
                       [&](const Reader& r) { return IsTaker(r.node) && r.input == 0; });
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    if (rewriter_.String(id, "mode", "constant") != "constant") {
      return fmt::format("it pads by {}", rewriter_.String(id, "mode", "constant"));
    }
    std::vector<int64_t> begin;
    std::vector<int64_t> end;
    if (std::string reason = ReadPads(id, &begin, &end); !reason.empty()) {
      return reason;
    }
    double number = 0;
    if (std::string reason = ReadNumber(id, &number); !reason.empty()) {
      return reason;
    }
    for (const Reader& reader : Readers(id, number)) {
      if (std::string reason = Fits(id, reader, begin, end); !reason.empty()) {
        return fmt::format("{} {}", reader.node == id ? "its result" : rewriter_.index().Describe(reader.node), reason);
      }
    }
    Fold(id, begin, end);
    return "";
  }

 private:
  struct Reader {
    NodeId node = kNone;  // the Pad itself: a value that more than nodes read
    int input = 0;
    std::optional<double> number;  // that it sees at the pads; unknown behind a quantisation that doesn't keep zero
  };

  bool IsTaker(NodeId id) const {
    return rewriter_.Is(id, "Conv") || rewriter_.Is(id, "AveragePool") || rewriter_.Is(id, "MaxPool");
  }

  // What reads the Pad's result, through QuantizeLinear and DequantizeLinear too.
  std::vector<Reader> Readers(NodeId pad, double number) const {
    std::vector<Reader> readers;
    std::vector<std::pair<ValueId, std::optional<double>>> values = {{rewriter_.Output(pad, 0), number}};
    for (size_t i = 0; i < values.size(); ++i) {
      const auto [id, seen] = values[i];
      const Index::Value& value = rewriter_.index().value(id);
      if (value.is_graph_output || rewriter_.IsHeld(id)) {
        readers.push_back({.node = pad, .input = -1, .number = seen});
      }
      for (const Index::Use& use : value.uses) {
        const bool quantize = rewriter_.Is(use.node, "QuantizeLinear");
        if (use.input == 0 && (quantize || rewriter_.Is(use.node, "DequantizeLinear"))) {
          values.emplace_back(rewriter_.Output(use.node, 0), Through(use.node, quantize, seen));
        } else {
          readers.push_back({.node = use.node, .input = use.input, .number = seen});
        }
      }
    }
    return readers;
  }

  // Zero goes to the zero point and back, whatever the scale; nothing else is followed.
  std::optional<double> Through(NodeId id, bool quantize, std::optional<double> number) const {
    const ValueId scale = rewriter_.Input(id, 1);
    const onnx::TensorProto* tensor = rewriter_.Constant(scale);
    const ValueId zero = rewriter_.Input(id, 2);
    const std::optional<double> zero_point = zero == kNone ? std::optional<double>(0) : rewriter_.Number(zero);
    const bool one =
        tensor != nullptr && (tensor->dims_size() == 0 || (tensor->dims_size() == 1 && tensor->dims(0) == 1));
    if (!one || !zero_point || number != (quantize ? std::optional<double>(0) : zero_point)) {
      return std::nullopt;
    }
    return quantize ? *zero_point : 0;
  }

  std::string ReadPads(NodeId id, std::vector<int64_t>* begin, std::vector<int64_t>* end) const {
    const int rank = rewriter_.Rank(rewriter_.Input(id, 0));
    if (rank < 3) {
      return rank == -1 ? "the rank of what it pads isn't known" : "what it pads is no image";
    }
    const int opset = rewriter_.Opset(id);
    const auto pads =
        opset >= 11 ? rewriter_.Integers(rewriter_.Input(id, 1)) : rewriter_.Ints(id, opset >= 2 ? "pads" : "paddings");
    if (!pads) {
      return "its pads aren't constant";
    }
    std::vector<int64_t> axes;
    if (const ValueId given = rewriter_.Input(id, 3); given != kNone) {
      const auto constant = rewriter_.Integers(given);
      if (!constant) {
        return "its axes aren't constant";
      }
      axes = *constant;
    } else {
      for (int i = 0; i < rank; ++i) {
        axes.push_back(i);
      }
    }
    if (pads->size() != axes.size() * 2) {
      return "its pads don't fit its axes";
    }
    begin->assign(static_cast<size_t>(rank), 0);
    end->assign(static_cast<size_t>(rank), 0);
    std::vector<bool> seen(static_cast<size_t>(rank));
    for (size_t i = 0; i < axes.size(); ++i) {
      const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
      if (axis < 0 || axis >= rank || seen[static_cast<size_t>(axis)]) {
        return "its axes aren't those of what it pads, each once";
      }
      seen[static_cast<size_t>(axis)] = true;
      (*begin)[static_cast<size_t>(axis)] = (*pads)[i];
      (*end)[static_cast<size_t>(axis)] = (*pads)[i + axes.size()];
    }
    for (size_t i = 0; i < begin->size(); ++i) {
      if ((*begin)[i] < 0 || (*end)[i] < 0) {
        return "negative pads cut off";
      }
      if (i < 2 && ((*begin)[i] != 0 || (*end)[i] != 0)) {
        return i == 0 ? "it pads the batch" : "it pads channels";
      }
      if ((*begin)[i] > kMost || (*end)[i] > kMost) {
        return "its pads are too large";
      }
    }
    begin->erase(begin->begin(), begin->begin() + 2);
    end->erase(end->begin(), end->begin() + 2);
    return "";
  }

  std::string ReadNumber(NodeId id, double* number) const {
    if (rewriter_.Opset(id) < 11) {
      *number = static_cast<double>(rewriter_.Float(id, "value", 0));
      return "";
    }
    const ValueId given = rewriter_.Input(id, 2);
    const std::optional<double> constant = given == kNone ? std::optional<double>(0) : rewriter_.Number(given);
    *number = constant.value_or(0);
    return constant ? "" : fmt::format("the value '{}' that it pads with isn't constant", rewriter_.Name(given));
  }

  // "" or why the reader can't take the pads.
  std::string Fits(NodeId pad, const Reader& reader, const std::vector<int64_t>& begin,
                   const std::vector<int64_t>& end) const {
    const NodeId id = reader.node;
    if (id == pad) {
      return "is read by more than nodes";
    }
    if (reader.input != 0 || !IsTaker(id)) {
      return "reads its result too, and takes no pads";
    }
    for (const onnx::AttributeProto& attribute : rewriter_.proto(id).attribute()) {
      if (!attribute.ref_attr_name().empty()) {
        return fmt::format("has its {} from the function's caller", attribute.name());
      }
    }
    const std::string automatic = rewriter_.String(id, "auto_pad", "NOTSET");
    if (automatic != "NOTSET" && automatic != "VALID" && !automatic.empty()) {
      return fmt::format("pads by itself, by auto_pad {}", automatic);
    }
    if (!reader.number) {
      return "sees it quantised, and the number that is padded with isn't the zero point";
    }
    const std::vector<int64_t> pads = Sum(id, begin, end);
    if (pads.empty()) {
      return "has pads of another rank, or negative ones";
    }
    const double number = *reader.number;
    if (rewriter_.Is(id, "Conv")) {
      return number == 0 ? "" : fmt::format("pads with zeros, not with {}", number);
    }
    return rewriter_.Is(id, "MaxPool") ? FitsMaxPool(pad, id, number, pads) : FitsAveragePool(id, number, pads);
  }

  std::string FitsWindows(NodeId id, const std::vector<int64_t>& pads) const {
    if (rewriter_.Int(id, "ceil_mode", 0) != 0) {
      return "rounds the number of its windows up, and they may reach beyond its pads";
    }
    const std::vector<int64_t> kernel = rewriter_.Ints(id, "kernel_shape").value_or(std::vector<int64_t>());
    for (size_t i = 0; i < pads.size(); ++i) {
      if (kernel.size() * 2 != pads.size() || pads[i] >= kernel[i % kernel.size()]) {
        return "would have windows of nothing but pads";
      }
    }
    return "";
  }

  std::string FitsMaxPool(NodeId pad, NodeId id, double number, const std::vector<int64_t>& pads) const {
    if (!(number <= Lowest(rewriter_.Dtype(rewriter_.Input(pad, 0))))) {
      return fmt::format("pads with less than all numbers, not with {}", number);
    }
    if (rewriter_.Output(id, 1) != kNone) {
      return "gives indices, which count what is padded";
    }
    const std::vector<int64_t> dilations = rewriter_.Ints(id, "dilations").value_or(std::vector<int64_t>());
    if (std::any_of(dilations.begin(), dilations.end(), [](int64_t d) { return d != 1; })) {
      return "has dilated windows, which may see nothing but pads";
    }
    return FitsWindows(id, pads);
  }

  std::string FitsAveragePool(NodeId id, double number, const std::vector<int64_t>& pads) const {
    if (number != 0) {
      return fmt::format("pads with zeros, not with {}", number);
    }
    if (rewriter_.Opset(id) < 7) {
      return "can't count what it pads before opset 7";
    }
    const std::vector<int64_t> own =
        Sum(id, std::vector<int64_t>(pads.size() / 2), std::vector<int64_t>(pads.size() / 2));
    if (rewriter_.Int(id, "count_include_pad", 0) == 0 &&
        std::any_of(own.begin(), own.end(), [](int64_t p) { return p != 0; })) {
      return "has pads of its own that don't count, while the Pad's do";
    }
    return FitsWindows(id, pads);
  }

  // The reader's own pads and these. Empty: they don't go together.
  std::vector<int64_t> Sum(NodeId id, const std::vector<int64_t>& begin, const std::vector<int64_t>& end) const {
    std::vector<int64_t> pads(begin.size() * 2, 0);
    if (const auto own = rewriter_.Ints(id, "pads"); own && rewriter_.String(id, "auto_pad", "NOTSET") != "VALID") {
      if (own->size() != pads.size() ||
          std::any_of(own->begin(), own->end(), [](int64_t p) { return p < 0 || p > kMost; })) {
        return {};
      }
      pads = *own;
    }
    for (size_t i = 0; i < begin.size(); ++i) {
      pads[i] += begin[i];
      pads[i + begin.size()] += end[i];
    }
    return pads;
  }

  // What counts as less than all numbers; an unknown type has none.
  static double Lowest(int dtype) {
    switch (dtype) {
      case onnx::TensorProto::FLOAT:
        return static_cast<double>(std::numeric_limits<float>::lowest());
      case onnx::TensorProto::DOUBLE:
        return std::numeric_limits<double>::lowest();
      case onnx::TensorProto::FLOAT16:
        return -65504;
      case onnx::TensorProto::INT8:
        return -128;
      default:
        return -std::numeric_limits<double>::infinity();
    }
  }

  void Fold(NodeId pad, const std::vector<int64_t>& begin, const std::vector<int64_t>& end) {
    for (const Reader& reader : Readers(pad, 0)) {
      const std::vector<int64_t> pads = Sum(reader.node, begin, end);
      onnx::NodeProto& node = rewriter_.editor().MutableNode(reader.node);
      SetAttribute(node, IntsAttribute("pads", pads));
      if (FindAttribute(node, "auto_pad") != nullptr) {
        SetAttribute(node, StringAttribute("auto_pad", "NOTSET"));
      }
      const bool some = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
      if (some && node.op_type() == "AveragePool") {
        SetAttribute(node, IntAttribute("count_include_pad", 1));
      }
    }
    for (const Index::Use& use : rewriter_.index().value(rewriter_.Output(pad, 0)).uses) {
      rewriter_.editor().MutableNode(use.node).set_input(0, rewriter_.Name(rewriter_.Input(pad, 0)));
    }
    rewriter_.Erase(pad);
  }

  static constexpr int64_t kMost = int64_t{1} << 30;
  Rewriter& rewriter_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Pads pads(rewriter);
  return rewriter.Run({.what = "a Pad that a Conv, AveragePool or MaxPool reads",
                       .applies = [&](NodeId id) { return pads.Applies(id); },
                       .rewrite = [&](NodeId id) { return pads.Rewrite(id); }});
}

}  // namespace

const PassInfo& PadIntoConvPass() {
  static const PassInfo info = {
      .name = "pad-into-conv",
      .summary = "let Conv and pooling do the padding of a Pad before them",
      .description =
          "Removes each Pad with constant zeros along height and width (of images of any number of axes) and adds its "
          "pads to those of the Conv that reads it. An AveragePool takes them too, and counts them "
          "(count_include_pad) from then on; so it must have no pads of its own that don't count. Several readers all "
          "take the pads.\n\n"
          "A MaxPool pads with less than all numbers, so a Pad of zeros never goes into it, which would change what is "
          "picked from negative numbers; a Pad of -infinity, or of the lowest number of the type, does.\n\n"
          "QuantizeLinear and DequantizeLinear with one scale may stand in between, and a Pad may pad integers with "
          "the zero point. As many multiplications as before; a runtime may add a Conv's products in another order "
          "for other pads.\n\n"
          "Not rewritten: other modes; numbers that aren't constant; negative pads; padded batches or channels; a "
          "reader that isn't one of these (a ConvTranspose's pads cut its result off), or that pads by auto_pad; "
          "pooling with ceil_mode, or whose windows would hold nothing but pads; a MaxPool with dilations or indices.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options = RewriteOptions(),
      .examples = {"pad-into-conv", "pad-into-conv{unfit=keep}", "pad-into-conv{node=Pad_12}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
