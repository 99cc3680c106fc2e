// maxpool-1x1: a MaxPool whose kernel is all ones picks every stride-th element, and another operator can do that.
//
// What such a node picks is read once (lib/pass/unit_pool.h); each form is then a question (may it stand here?
// lib/pass/unit_pool_forms.h) and a rewrite (Write). The node itself is changed, so its name, results, place, doc
// string and metadata stay. With form=auto the first form that may stand there is written; with a form that the user
// named, what forbids it is the error. One that picks all elements goes, in every form.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "lib/graph/bypass.h"
#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/pass/identity_weight.h"
#include "lib/pass/new_constants.h"
#include "lib/pass/pass.h"
#include "lib/pass/unit_pool_forms.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

using Form = UnitPoolForm;
constexpr std::array<std::pair<std::string_view, Form>, 5> kForms = {{{"conv", Form::kConv},
                                                                      {"depthwise", Form::kDepthwise},
                                                                      {"slice", Form::kSlice},
                                                                      {"avgpool", Form::kAveragePool},
                                                                      {"maxpool3x3", Form::kMaxPool3x3}}};
// What auto tries, in this order.
constexpr std::array<Form, 3> kExactForms = {Form::kConv, Form::kSlice, Form::kAveragePool};
std::string_view FormName(Form form) {
  return std::find_if(kForms.begin(), kForms.end(), [&](const auto& each) { return each.second == form; })->first;
}

Effect EffectOfForm(const PassOptions& options) {
  const std::string& form = options.String("form");
  return form == "maxpool3x3" ? Effect::kApproximate : form == "slice" ? Effect::kBitExact : Effect::kExactFinite;
}

class Replacer {
 public:
  Replacer(PassContext& context, std::vector<onnx::TypeProto> types)
      : context_(context),
        index_(context.index()),
        editor_(context.editor()),
        types_(std::move(types)),
        bypass_(context.model().proto(), context.editor()),
        constants_(context) {
    for (const auto& [name, form] : kForms) {
      if (context.options().String("form") == name) {
        form_ = form;
      }
    }
  }

  absl::Status Run(NodeId only) {
    return VisitNodes(index_, [&](NodeId id) {
      return (only == kNone ? IsUnitPool(index_, id) : id == only) ? Replace(id) : absl::OkStatus();
    });
  }

 private:
  absl::Status Replace(NodeId id) {
    const std::vector<ValueId>& inputs = index_.node(id).inputs;
    const bool has_input = !inputs.empty() && inputs[0] != kNone;
    GOMAI_ASSIGN_OR_RETURN(
        const UnitPoolSite site,
        LookAtUnitPool(index_, id, has_input ? types_[static_cast<size_t>(inputs[0])] : onnx::TypeProto()));
    GOMAI_RETURN_IF_ERROR(DropIndices(id));
    if (site.pool.PicksAll()) {
      if (!has_input || !bypass_.Remove(id, {{bypass_.Origin(inputs[0]), index_.node(id).outputs[0]}})) {
        onnx::NodeProto& node = Emptied(id);  // something must make this output
        node.set_op_type("Identity");
      }
      return absl::OkStatus();
    }
    if (form_) {
      GOMAI_ASSIGN_OR_RETURN(const std::string unfit, Unfit(*form_, site));
      if (!unfit.empty()) {
        return FailedPrecondition("{} can't be replaced by form={}: {}{}", index_.Describe(id), FormName(*form_), unfit,
                                  OtherForms(site));
      }
      Write(*form_, site);
      return absl::OkStatus();
    }
    std::string reasons;
    for (const Form form : kExactForms) {
      GOMAI_ASSIGN_OR_RETURN(const std::string unfit, Unfit(form, site));
      if (unfit.empty()) {
        if (form != kExactForms[0]) {
          context_.diagnostics().Note(index_.Describe(id), "replaced by form={}, since{}", FormName(form), reasons);
        }
        Write(form, site);
        return absl::OkStatus();
      }
      reasons += fmt::format("{} form={} can't be: {}", reasons.empty() ? "" : ";", FormName(form), unfit);
    }
    return FailedPrecondition("{} can't be replaced exactly:{}", index_.Describe(id), reasons);
  }

  // No form has Indices: an output of them that nothing needs goes.
  absl::Status DropIndices(NodeId id) {
    const Index::Node& node = index_.node(id);
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNone) {
        continue;
      }
      const Index::Value& value = index_.value(node.outputs[i]);
      if (!value.uses.empty() || value.is_graph_output || bypass_.IsHeld(node.outputs[i])) {
        return FailedPrecondition(
            "{} can't be replaced: its second result '{}', the indices of the elements that it picks, is {}, and no "
            "other operator makes it",
            index_.Describe(id), value.name,
            !value.uses.empty()     ? fmt::format("read by {}", index_.Describe(value.uses[0].node))
            : value.is_graph_output ? fmt::format("an output of {}", index_.ScopeName(value.scope))
                                    : "named by an annotation or by training information");
      }
      editor_.EraseValueInfo(value.scope, std::string(value.name));
    }
    return absl::OkStatus();
  }

  // Why the form can't stand in for the node; "" if it can.
  absl::StatusOr<std::string> Unfit(Form form, const UnitPoolSite& site) const {
    if (!form_ && form == Form::kConv && site.dtype == onnx::TensorProto::DOUBLE) {
      return "runtimes lack convolutions of float64";
    }
    return UnfitForm(form, site, context_.model().proto(), index_);
  }

  // "; form=slice could", for an error: what would be exact there.
  std::string OtherForms(const UnitPoolSite& site) const {
    std::vector<std::string_view> fit;
    for (const auto& [name, form] : kForms) {
      if (const absl::StatusOr<std::string> unfit = Unfit(form, site);
          form != Form::kMaxPool3x3 && unfit.ok() && unfit->empty()) {
        fit.push_back(name);
      }
    }
    return fit.empty() ? "; no form could" : fmt::format("; form={} could", fmt::join(fit, " or form="));
  }

  void Write(Form form, const UnitPoolSite& site) {
    const std::string where = index_.Describe(site.id);
    switch (form) {
      case Form::kConv:
        WriteConv(site, true);
        context_.diagnostics().Note(
            where,
            "equal for finite values: in a dense Conv a NaN or an infinity of one channel makes "
            "NaN in all, and -0.0 becomes +0.0");
        return;
      case Form::kDepthwise:
        WriteConv(site, false);
        context_.diagnostics().Note(where,
                                    "equal for finite values: a Conv may change the bits of a NaN, and -0.0 becomes "
                                    "+0.0");
        return;
      case Form::kSlice:
        WriteSlice(site);
        return;
      case Form::kAveragePool: {
        onnx::NodeProto& node = Emptied(site.id);
        node.set_op_type("AveragePool");
        SetAttribute(node, IntsAttribute("kernel_shape", std::vector<int64_t>(site.pool.axes(), 1)));
        SetAttribute(node, IntsAttribute("strides", site.pool.strides));
        return;
      }
      case Form::kMaxPool3x3: {
        WriteMaxPool3x3(site);
        context_.diagnostics().Warn(where,
                                    "values change: each is the largest of {} neighbours now; form=conv or form=slice "
                                    "keeps them",
                                    site.pool.axes() == 1   ? 3
                                    : site.pool.axes() == 2 ? 9
                                                            : 27);
        return;
      }
    }
  }

  // The node with its input and its first output alone.
  onnx::NodeProto& Emptied(NodeId id) {
    onnx::NodeProto& node = editor_.MutableNode(id);
    node.clear_attribute();
    node.mutable_output()->DeleteSubrange(1, node.output_size() - 1);
    return node;
  }

  // The original's attributes stay as far as they mean what they meant; ceil_mode, where it is allowed, does nothing.
  void WriteMaxPool3x3(const UnitPoolSite& site) {
    onnx::NodeProto& node = editor_.MutableNode(site.id);
    node.mutable_output()->DeleteSubrange(1, node.output_size() - 1);
    auto& attributes = *node.mutable_attribute();
    attributes.erase(std::remove_if(attributes.begin(), attributes.end(),
                                    [&](const onnx::AttributeProto& attribute) {
                                      return attribute.name() == "auto_pad" || attribute.name() == "dilations" ||
                                             (attribute.name() == "ceil_mode" && site.pool.ceil_mode);
                                    }),
                     attributes.end());
    SetAttribute(node, IntsAttribute("kernel_shape", std::vector<int64_t>(site.pool.axes(), 3)));
    SetAttribute(node, IntsAttribute("pads", std::vector<int64_t>(2 * site.pool.axes(), 1)));
  }

  void WriteSlice(const UnitPoolSite& site) {
    std::vector<int64_t> starts, ends, axes, steps;
    for (size_t i = 0; i < site.pool.axes(); ++i) {
      if (site.pool.strides[i] > 1 || site.pool.crop_begin[i] > 0 || site.pool.crop_end[i] > 0) {
        starts.push_back(site.pool.crop_begin[i]);
        ends.push_back(site.pool.crop_end[i] > 0 ? -site.pool.crop_end[i] : std::numeric_limits<int64_t>::max());
        axes.push_back(static_cast<int64_t>(i) + 2);
        steps.push_back(site.pool.strides[i]);
      }
    }
    onnx::NodeProto& node = Emptied(site.id);
    node.set_op_type("Slice");
    node.add_input(constants_.Add(site.id, "slice_starts", IntVector(starts)));
    node.add_input(constants_.Add(site.id, "slice_ends", IntVector(ends)));
    node.add_input(constants_.Add(site.id, "slice_axes", IntVector(axes)));
    node.add_input(constants_.Add(site.id, "slice_steps", IntVector(steps)));
  }

  void WriteConv(const UnitPoolSite& site, bool dense) {
    const size_t axes = site.pool.axes();
    onnx::NodeProto& node = Emptied(site.id);
    node.set_op_type("Conv");
    SetAttribute(node, IntsAttribute("dilations", std::vector<int64_t>(axes, 1)));
    SetAttribute(node, IntAttribute("group", dense ? 1 : *site.channels));
    SetAttribute(node, IntsAttribute("kernel_shape", std::vector<int64_t>(axes, 1)));
    SetAttribute(node, IntsAttribute("pads", std::vector<int64_t>(2 * axes, 0)));
    SetAttribute(node, IntsAttribute("strides", site.pool.strides));
    const std::string stem = fmt::format("{}_{}", dense ? "identity" : "ones", *site.channels);
    const IdentityKind kind = {.channels = *site.channels, .axes = axes, .dense = dense};
    node.add_input(IsQuantised(site) ? AddQuantisedWeight(site, kind, stem)
                                     : constants_.Add(site.id, stem + "_weight",
                                                      IdentityWeight(kind, site.dtype, PowerOfTwo(site.dtype, 0))));
  }

  // Between DequantizeLinear and QuantizeLinear? Then compilers want the weight quantised too.
  bool IsQuantised(const UnitPoolSite& site) const {
    const auto is = [&](NodeId id, std::string_view op_type) {
      const onnx::NodeProto& node = *index_.node(id).proto;
      return node.op_type() == op_type && (IsDefaultDomain(node.domain()) || node.domain() == "com.microsoft");
    };
    const Index::Value& input = index_.value(bypass_.Origin(index_.node(site.id).inputs[0]));
    const Index::Value& output = index_.value(index_.node(site.id).outputs[0]);
    const absl::StatusOr<const onnx::OpSchema*> schema =
        RequireSchema(context_.model().proto(), index_, index_.node(site.id).scope, "", "DequantizeLinear");
    return schema.ok() && AcceptsDtype(**schema, 1, site.dtype) && input.producer != kNone &&
           is(input.producer, "DequantizeLinear") && !output.is_graph_output && !output.uses.empty() &&
           std::all_of(output.uses.begin(), output.uses.end(),
                       [&](const Index::Use& use) { return is(use.node, "QuantizeLinear") && use.input == 0; });
  }

  // int8 64 times the scale 1/64: exactly 1, with a power of two for a scale and no zero point.
  std::string AddQuantisedWeight(const UnitPoolSite& site, const IdentityKind& kind, const std::string& stem) {
    onnx::NodeProto dequantize;
    dequantize.set_op_type("DequantizeLinear");
    dequantize.set_name(editor_.FreshName(fmt::format("{}_weight_DequantizeLinear", stem)));
    const auto add = [&](const char* what, onnx::TensorProto tensor) {
      dequantize.add_input(constants_.Add(site.id, stem + what, std::move(tensor)));
    };
    add("_weight_quantized", IdentityWeight(kind, onnx::TensorProto::INT8, std::string(1, '\x40')));
    add("_weight_scale", RawTensor(site.dtype, {}, PowerOfTwo(site.dtype, -6)));
    add("_weight_zero_point", RawTensor(onnx::TensorProto::INT8, {}, std::string(1, '\0')));
    dequantize.add_output(editor_.FreshName(stem + "_weight"));
    std::string name = dequantize.output(0);
    editor_.InsertNode(index_.node(site.id).scope, std::move(dequantize), site.id);
    return name;
  }

  PassContext& context_;
  const Index& index_;
  Editor& editor_;
  const std::vector<onnx::TypeProto> types_;
  Bypass bypass_;
  NewConstants constants_;
  std::optional<Form> form_;  // unset: auto
};

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  const std::string& address = context.options().String("node");
  NodeId only = kNone;
  if (!address.empty()) {
    GOMAI_ASSIGN_OR_RETURN(only, index.FindNode(address));
    if (!IsUnitPool(index, only)) {
      return InvalidArgument("{} is no MaxPool with a kernel of 1 along 1 to 3 axes", index.Describe(only));
    }
  }
  bool any = only != kNone;
  for (NodeId id = 0; !any && id < static_cast<NodeId>(index.nodes().size()); ++id) {
    any = IsUnitPool(index, id);
  }
  if (!any) {
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(std::vector<onnx::TypeProto> types, InferTypes(context.model(), index));
  return Replacer(context, std::move(types)).Run(only);
}

}  // namespace

const PassInfo& Maxpool1x1Pass() {
  static const PassInfo info = {
      .name = "maxpool-1x1",
      .summary = "replace MaxPool of kernel 1, which NPUs refuse",
      .description =
          "A MaxPool whose kernel_shape is all ones picks every stride-th element along 1 to 3 spatial axes. Many NPU "
          "compilers refuse it. This pass replaces each one, in the main graph, bodies and functions, or the one that "
          "'node' names, by an operator that picks the same elements; the node keeps its name, its place, the name of "
          "its result, its doc string and metadata. One of stride 1 hands its input on and is removed, in every form "
          "(an Identity stays where only a node can make the output).\n\n"
          "Forms. conv: a Conv with an identity weight, which compilers know from residual networks; each output adds "
          "zero times every other channel, so finite values stay, a NaN or an infinity makes NaN in all channels, and "
          "-0.0 becomes +0.0. depthwise: a Conv with group = channels and ones, the same within each channel. slice: a "
          "Slice with steps, exact bit for bit in every type; from opset 10 on. avgpool: an AveragePool of kernel 1; "
          "-0.0 may become +0.0. maxpool3x3: kernel 3 with padding 1, a form that is in use although it is "
          "approximate: the shape is the same, the values are the largest of 3, 9 or 27 neighbours. auto: conv for "
          "float32, float16 and bfloat16 where the number of channels is known and the weight takes at most 64 MiB, "
          "else slice, else avgpool; a note says why.\n\n"
          "Between DequantizeLinear and QuantizeLinear the weight of conv and depthwise is quantised too: int8 64 with "
          "the scale 1/64 and no zero point, which is exactly 1, so that what is quantised again is the same integers. "
          "The quantisation of the input and of the result stays as it is. New weights and lists are initializers, one "
          "for equal ones in a graph; in functions and below IR version 4 they are Constant nodes.\n\n"
          "Dilations mean nothing at kernel 1, auto_pad has nothing to pad, and ceil_mode adds no element. Negative "
          "pads "
          "cut off parts of the input, and so do SAME_UPPER and SAME_LOWER with a stride of 3 or more, as ONNX Runtime "
          "has it; a Slice does that too, if the sizes are known. Other pads are refused. Refused, with the node's "
          "address: a second result Indices that is read or is an output, which no other operator makes; conv and "
          "depthwise of integers or of an unknown number of channels; avgpool of integers; maxpool3x3 where ceil_mode "
          "would change the shape, or the size that decides it isn't known. Where ONNX Runtime's own MaxPool changes "
          "values (its kernels turn NaN, and in some ranks -Inf, into the lowest finite number) the "
          "replacements follow ONNX's definition.",
      .effect = Effect::kExactFinite,
      .effect_of = EffectOfForm,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "form",
               .default_value = "auto",
               .help = "what to replace it by",
               .choices = {"auto", "conv", "depthwise", "slice", "avgpool", "maxpool3x3"}},
              {.name = "node", .help = "the address of the only node to replace"},
          },
      .examples = {"maxpool-1x1", "maxpool-1x1{form=slice}", "maxpool-1x1{form=conv,node=/extra/MaxPool}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
