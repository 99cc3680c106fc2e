// explicit-attributes: what an operator leaves to its defaults, written out.
//
// auto_pad is resolved to what ONNX's formula gives, and only where that is sure: with windows that overlap or touch.
// With a stride above the window's width the formula gives negative padding, of which runtimes make what they like.
#include <algorithm>
#include <set>

#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

constexpr std::string_view kWindowed[] = {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"};

constexpr int64_t kLargest = int64_t{1} << 24;  // of what makes sense as a window

class Writer {
 public:
  Writer(Rewriter& rewriter, const PassOptions& options)
      : rewriter_(rewriter), all_(options.Bool("all")), operators_(options.List("operators")) {}

  bool Applies(NodeId id) const {
    const onnx::NodeProto& node = rewriter_.proto(id);
    if (!rewriter_.Is(id, node.op_type())) {
      return false;
    }
    return operators_.empty() ? all_ || IsWindowed(node)
                              : std::find(operators_.begin(), operators_.end(), node.op_type()) != operators_.end();
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const onnx::NodeProto& node = rewriter_.proto(id);
    const absl::StatusOr<const onnx::OpSchema*> schema = RequireSchema(
        rewriter_.context().model().proto(), rewriter_.index(), rewriter_.index().node(id).scope, "", node.op_type());
    if (!schema.ok()) {
      return std::string(Message(schema.status()));
    }
    std::vector<onnx::AttributeProto> added;
    bool drop_auto_pad = false;
    if (IsWindowed(node)) {
      const std::string why = AddWindow(id, **schema, &added, &drop_auto_pad);
      if (!why.empty()) {
        return why;
      }
    }
    for (const auto& [name, attribute] : (*schema)->attributes()) {
      const bool plain = name == "group" || name == "ceil_mode" || name == "count_include_pad" ||
                         name == "storage_order" || name == "p";
      if ((all_ || plain) && name != "auto_pad" && FindAttribute(node, name) == nullptr &&
          attribute.default_value.type() != onnx::AttributeProto::UNDEFINED) {
        added.push_back(attribute.default_value);
        added.back().set_name(name);
      }
    }
    if (added.empty() && !drop_auto_pad) {
      return "";
    }
    std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.name() < b.name(); });
    onnx::NodeProto& edited = rewriter_.editor().MutableNode(id);
    if (drop_auto_pad) {
      auto& attributes = *edited.mutable_attribute();
      attributes.erase(std::remove_if(attributes.begin(), attributes.end(),
                                      [](const onnx::AttributeProto& a) { return a.name() == "auto_pad"; }),
                       attributes.end());
    }
    for (onnx::AttributeProto& attribute : added) {
      SetAttribute(edited, std::move(attribute));
    }
    return "";
  }

 private:
  static bool IsWindowed(const onnx::NodeProto& node) {
    return std::find(std::begin(kWindowed), std::end(kWindowed), node.op_type()) != std::end(kWindowed);
  }

  // kernel_shape, strides, dilations and pads; why not, or "".
  std::string AddWindow(NodeId id, const onnx::OpSchema& schema, std::vector<onnx::AttributeProto>* added,
                        bool* drop_auto_pad) {
    const onnx::NodeProto& node = rewriter_.proto(id);
    std::optional<std::vector<int64_t>> kernel = rewriter_.Ints(id, "kernel_shape");
    const bool has_weight = node.op_type().starts_with("Conv");
    if (!kernel && has_weight) {
      const std::optional<std::vector<int64_t>> weight = rewriter_.FixedShape(rewriter_.Input(id, 1));
      if (!weight || weight->size() < 3) {
        return fmt::format("the shape of its weight '{}' isn't known", rewriter_.Name(rewriter_.Input(id, 1)));
      }
      kernel.emplace(weight->begin() + 2, weight->end());
      added->push_back(IntsAttribute("kernel_shape", *kernel));
    }
    if (!kernel) {
      return "it has no kernel_shape";
    }
    const size_t axes = kernel->size();
    const auto fill = [&](const char* name, size_t count, int64_t value) {
      std::optional<std::vector<int64_t>> present = rewriter_.Ints(id, name);
      if (!present) {
        present.emplace(count, value);
        if (schema.attributes().contains(name)) {
          added->push_back(IntsAttribute(name, *present));
        }
      }
      return *present;
    };
    const std::vector<int64_t> strides = fill("strides", axes, 1);
    const std::vector<int64_t> dilations = fill("dilations", axes, 1);
    if (strides.size() != axes || dilations.size() != axes) {
      return "its strides or dilations don't have one value for each spatial axis";
    }
    for (const std::vector<int64_t>& values : {*kernel, strides, dilations}) {
      if (std::any_of(values.begin(), values.end(), [](int64_t value) { return value < 1 || value > kLargest; })) {
        return fmt::format("a kernel, stride or dilation of it isn't between 1 and {}", kLargest);
      }
    }
    const std::string auto_pad = rewriter_.String(id, "auto_pad", "NOTSET");
    if (node.op_type() == "ConvTranspose") {
      if (FindAttribute(node, "output_shape") != nullptr) {
        return "its padding follows from output_shape, which runtimes read differently; give pads instead";
      }
      fill("output_padding", axes, 0);
    }
    if (auto_pad.empty() || auto_pad == "NOTSET") {
      fill("pads", 2 * axes, 0);
      return "";
    }
    if (FindAttribute(node, "pads") != nullptr) {
      const std::vector<int64_t> pads = *rewriter_.Ints(id, "pads");
      if (std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad != 0; })) {
        return fmt::format("it has pads beside auto_pad {}, and ONNX forbids both", auto_pad);
      }
    }
    std::vector<int64_t> pads(2 * axes, 0);
    if (const std::string why = Pads(id, auto_pad, *kernel, strides, dilations, &pads); !why.empty()) {
      return why;
    }
    added->push_back(IntsAttribute("pads", pads));
    *drop_auto_pad = true;
    return "";
  }

  std::string Pads(NodeId id, const std::string& auto_pad, const std::vector<int64_t>& kernel,
                   const std::vector<int64_t>& strides, const std::vector<int64_t>& dilations,
                   std::vector<int64_t>* pads) const {
    const onnx::NodeProto& node = rewriter_.proto(id);
    const bool valid = auto_pad == "VALID";
    if (node.op_type() == "ConvTranspose" && !valid) {
      return fmt::format("runtimes read auto_pad {} of a ConvTranspose differently; give pads instead", auto_pad);
    }
    if (!valid && auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER") {
      return fmt::format("its auto_pad is '{}', which ONNX doesn't know", auto_pad);
    }
    const bool ceil = rewriter_.Int(id, "ceil_mode", 0) != 0;
    for (size_t i = 0; i < kernel.size(); ++i) {
      const int64_t window = (kernel[i] - 1) * dilations[i] + 1;
      const std::optional<int64_t> size = rewriter_.Dim(rewriter_.Input(id, 0), static_cast<int>(i) + 2);
      if (valid) {
        if (ceil && strides[i] > 1 && (!size || (*size - window) % strides[i] != 0)) {
          return fmt::format("with ceil_mode its auto_pad VALID may leave out a window along axis {} that pads don't",
                             i + 2);
        }
        continue;
      }
      if ((!size || *size > (int64_t{1} << 48)) && strides[i] > 1) {
        return fmt::format("its padding depends on the size of axis {}, which isn't known; freeze-shapes may settle it",
                           i + 2);
      }
      if (dilations[i] != 1 && node.op_type() != "Conv") {
        return fmt::format("runtimes read auto_pad {} of a pool with dilations differently; give pads instead",
                           auto_pad);
      }
      const int64_t out = strides[i] == 1 ? 0 : (*size + strides[i] - 1) / strides[i];
      const int64_t total = strides[i] == 1 ? window - 1 : (out - 1) * strides[i] + window - *size;
      if (total < 0) {
        return fmt::format(
            "its windows of {} stand {} apart along axis {}, and {} would begin behind the first element", window,
            strides[i], i + 2, auto_pad);
      }
      const int64_t less = total / 2;
      (*pads)[i] = auto_pad == "SAME_LOWER" ? total - less : less;
      (*pads)[kernel.size() + i] = total - (*pads)[i];
    }
    return "";
  }

  Rewriter& rewriter_;
  const bool all_;
  const std::vector<std::string> operators_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Writer writer(rewriter, context.options());
  return rewriter.Run({.what = "one of the operators whose attributes are written out",
                       .applies = [&](NodeId id) { return writer.Applies(id); },
                       .rewrite = [&](NodeId id) { return writer.Rewrite(id); }});
}

}  // namespace

const PassInfo& ExplicitAttributesPass() {
  static const PassInfo info = {
      .name = "explicit-attributes",
      .summary = "write out the attributes that operators leave to their defaults",
      .description =
          "Some compilers take a Conv or a pool only if its attributes are all there. For Conv, ConvTranspose, "
          "MaxPool, "
          "AveragePool and LpPool this writes kernel_shape (from the weight), strides, dilations, pads, group, "
          "output_padding, ceil_mode, count_include_pad, storage_order and p, as far as the model's opset has them; "
          "what "
          "is there stays. auto_pad VALID, SAME_UPPER and SAME_LOWER become pads. operators= names the operators to "
          "look "
          "at; all=true writes every default that ONNX's schemas declare, for every operator.\n\n"
          "Not rewritten: SAME_UPPER and SAME_LOWER where an unknown size decides the padding, or with a stride above "
          "the window's width, for which the padding would be negative; such of a ConvTranspose, and its output_shape, "
          "since runtimes differ, as they do about pools with dilations; VALID with ceil_mode where that may matter; "
          "an unknown shape of the weight.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options = RewriteOptions({{.name = "operators",
                                  .type = OptionType::kList,
                                  .help = "the operators to look at, separated by ';' (default: those with windows)"},
                                 {.name = "all",
                                  .type = OptionType::kBool,
                                  .default_value = "false",
                                  .help = "every default of every operator"}}),
      .examples = {"explicit-attributes", "explicit-attributes{operators=Conv;MaxPool}",
                   "explicit-attributes{all=true}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
