// transpose-input: inputs and outputs of the model in another layout, or with their channels in another order.
//
// An input gets its new shape, and what read it reads a Transpose (and a Gather) of it. An output's old value gets a
// fresh name, which its other readers follow, and the added nodes make the output.
#include <algorithm>
#include <array>
#include <numeric>

#include "lib/base/text.h"
#include "lib/model/attribute.h"
#include "lib/pass/channel_fold.h"
#include "lib/pass/declared_shapes.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

using Perm = std::vector<int64_t>;

// How a tensor is to lie afterwards: axis i is axis perm[i] of what the model reads (or makes) now, whose channels are
// at `channel_axis` (-1: unknown).
struct Layout {
  Perm perm;
  int64_t channel_axis = -1;
};

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kCounterparts = {
    {{"nchw", "nhwc"}, {"chw", "hwc"}, {"ncw", "nwc"}, {"ncdhw", "ndhwc"}}};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

absl::StatusOr<Layout> ByNames(const std::string& name, const std::string& from, const std::string& to) {
  std::string a = from;
  std::string b = to;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  if (a != b || a.empty() || std::adjacent_find(a.begin(), a.end()) != a.end()) {
    return InvalidArgument("'{}->{}' for '{}': both must have the same letters, each once", from, to, name);
  }
  Layout layout;
  for (const char axis : to) {
    layout.perm.push_back(static_cast<int64_t>(from.find(axis)));
  }
  const size_t channels = from.find('c');
  layout.channel_axis = channels == std::string::npos ? -1 : static_cast<int64_t>(channels);
  return layout;
}

// "nhwc" (from its counterpart), "nchw->nhwc", "[0,2,3,1]" or "same".
absl::StatusOr<Layout> ParseLayout(const std::string& name, const std::string& value, int rank) {
  const std::string text = Lower(value);
  Layout layout;
  if (text == "same") {
    layout.perm.resize(static_cast<size_t>(rank));
    std::iota(layout.perm.begin(), layout.perm.end(), 0);
    layout.channel_axis = rank == 3 ? 0 : rank > 3 ? 1 : -1;
  } else if (const size_t arrow = text.find("->"); arrow != std::string::npos) {
    GOMAI_ASSIGN_OR_RETURN(layout, ByNames(name, std::string(Trim(std::string_view(text).substr(0, arrow))),
                                           std::string(Trim(std::string_view(text).substr(arrow + 2)))));
  } else if (text.starts_with('[') && text.ends_with(']')) {
    for (const std::string& item : SplitList(std::string_view(text).substr(1, text.size() - 2), ',')) {
      const std::optional<int64_t> axis = ParseInt64(Trim(item));
      if (!axis) {
        return InvalidArgument("'{}' for '{}': '{}' is no axis", value, name, item);
      }
      layout.perm.push_back(*axis);
    }
    Perm sorted = layout.perm;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<int64_t>(i)) {
        return InvalidArgument("'{}' for '{}' must name each axis from 0 to {} once", value, name, sorted.size() - 1);
      }
    }
    layout.channel_axis = sorted.size() == 3 ? 0 : sorted.size() > 3 ? 1 : -1;
  } else {
    std::string from;
    for (const auto& [first, last] : kCounterparts) {
      from = text == first ? last : text == last ? first : from;
    }
    if (from.empty()) {
      return InvalidArgument(
          "'{}' for '{}' is no layout: write nhwc, nchw, hwc, chw, nwc, ncw, ndhwc or ncdhw, FROM->TO in any letters, "
          "[0,2,3,1] or same",
          value, name);
    }
    GOMAI_ASSIGN_OR_RETURN(layout, ByNames(name, from, text));
  }
  if (static_cast<int>(layout.perm.size()) != rank) {
    return FailedPrecondition("'{}' has {} dims, and '{}' speaks of {}", name, rank, value, layout.perm.size());
  }
  return layout;
}

bool IsIdentity(const Perm& perm) { return std::is_sorted(perm.begin(), perm.end()); }

Perm Inverse(const Perm& perm) {
  Perm inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return inverse;
}

class Transposer {
 public:
  Transposer(PassContext& context, Rewriter& rewriter)
      : context_(context),
        rewriter_(rewriter),
        constants_(context),
        fold_(rewriter),
        reverse_(context.options().String("channels") == "reverse"),
        folds_(context.options().Bool("fold")) {}

  absl::Status Change(const std::string& name, const std::string& value) {
    const Index& index = context_.index();
    const onnx::GraphProto& graph = context_.model().proto().graph();
    const int input = Find(graph.input(), name);
    const int output = Find(graph.output(), name);
    if (input < 0 && output < 0) {
      std::vector<std::string_view> names;
      for (const auto* list : {&graph.input(), &graph.output()}) {
        for (const onnx::ValueInfoProto& info : *list) {
          names.push_back(info.name());
        }
      }
      return NotFound("the model has no input or output '{}'{}", name, DidYouMean(name, names));
    }
    if (input >= 0 && output >= 0) {
      return FailedPrecondition("'{}' is an input and an output at once; insert an Identity (insert-node) in between",
                                name);
    }
    const ValueId id = index.FindValue(index.main_scope(), name);
    const onnx::ValueInfoProto& info = input >= 0 ? graph.input(input) : graph.output(output);
    const onnx::TensorShapeProto* shape = FindShape(info.type());
    if (id == kNone || shape == nullptr) {
      return FailedPrecondition("'{}' is no tensor of known rank", name);
    }
    if (index.value(id).initializer != nullptr || index.value(id).sparse_initializer != nullptr) {
      return FailedPrecondition("'{}' is an initializer{}, whose values would have to change with it", name,
                                input >= 0 ? " that callers may override" : "");
    }
    if (rewriter_.IsHeld(id)) {
      return FailedPrecondition(
          "'{}' is named by a quantization annotation, training information or as the output of a body", name);
    }
    GOMAI_ASSIGN_OR_RETURN(const Layout layout, ParseLayout(name, value, shape->dim_size()));
    if (reverse_ && layout.channel_axis < 0) {
      return InvalidArgument("'{}' for '{}' names no channels (c) to reverse", value, name);
    }
    if (IsIdentity(layout.perm) && !reverse_) {
      return absl::OkStatus();
    }
    return input >= 0 ? ChangeInput(id, input, layout) : ChangeOutput(id, output, layout);
  }

  absl::Status Finish() {
    if (folds_) {
      GOMAI_RETURN_IF_ERROR(fold_.Apply(context_));
    }
    return absl::OkStatus();
  }

 private:
  static int Find(const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& list, const std::string& name) {
    for (int i = 0; i < list.size(); ++i) {
      if (list.Get(i).name() == name) {
        return i;
      }
    }
    return -1;
  }

  absl::Status ChangeInput(ValueId id, int position, const Layout& layout) {
    const Index& index = context_.index();
    const std::string name(index.value(id).name);
    bool gather = reverse_;
    if (reverse_ && folds_) {
      if (const std::string reason = fold_.Plan(id, layout.channel_axis); !reason.empty()) {
        return FailedPrecondition("the channels of '{}' can't be folded into a Conv: {}", name, reason);
      }
      gather = false;
    }
    Describe(*context_.editor().MutableModel(Text("input", name, layout)).mutable_graph()->mutable_input(position),
             layout.perm);
    if (index.value(id).uses.empty() || (IsIdentity(layout.perm) && !gather)) {
      return absl::OkStatus();
    }
    const NodeId first = index.scope(index.main_scope()).nodes.front();
    std::string value = name;
    if (!IsIdentity(layout.perm)) {
      value = Insert(first, "Transpose", {value}, {IntsAttribute("perm", Inverse(layout.perm))}, name, "");
    }
    if (gather) {
      GOMAI_ASSIGN_OR_RETURN(value, Reverse(first, id, value, layout, name, ""));
    }
    context_.editor().ReplaceUses(id, value);
    return absl::OkStatus();
  }

  absl::Status ChangeOutput(ValueId id, int position, const Layout& layout) {
    const Index& index = context_.index();
    const Index::Value& v = index.value(id);
    const std::string name(v.name);
    if (v.producer == kNone) {
      return FailedPrecondition("no node makes the output '{}'", name);
    }
    for (int i = position + 1; i < context_.model().proto().graph().output_size(); ++i) {
      if (context_.model().proto().graph().output(i).name() == name) {
        return FailedPrecondition("'{}' is an output twice", name);
      }
    }
    if (reverse_ && folds_) {
      return FailedPrecondition("the channels of the output '{}' can't be folded; leave fold out for it", name);
    }
    Describe(*context_.editor().MutableModel(Text("output", name, layout)).mutable_graph()->mutable_output(position),
             layout.perm);
    const std::string own = context_.editor().FreshName(name + "_before");
    context_.editor().MutableNode(v.producer).set_output(v.output, own);
    if (!v.uses.empty()) {
      context_.editor().ReplaceUses(id, own);
    }
    std::string value = own;
    if (reverse_) {
      const bool last = IsIdentity(layout.perm);
      GOMAI_ASSIGN_OR_RETURN(value, Reverse(kNone, id, value, layout, name, last ? name : ""));
    }
    if (!IsIdentity(layout.perm)) {
      Insert(kNone, "Transpose", {value}, {IntsAttribute("perm", layout.perm)}, name, name);
    }
    return absl::OkStatus();
  }

  // The channels in reverse, by a Gather in the layout that the model has inside.
  absl::StatusOr<std::string> Reverse(NodeId before, ValueId id, const std::string& value, const Layout& layout,
                                      const std::string& stem, const std::string& output) {
    const onnx::TensorShapeProto* shape = FindShape(context_.index().value(id).info->type());
    const auto& dim = shape->dim(static_cast<int>(layout.channel_axis));
    constexpr int64_t kMost = 1 << 20;
    if (!dim.has_dim_value() || dim.dim_value() < 0 || dim.dim_value() > kMost) {
      return FailedPrecondition("the channels of '{}' (axis {}) have no fixed number", stem, layout.channel_axis);
    }
    Perm order(static_cast<size_t>(dim.dim_value()));
    std::iota(order.rbegin(), order.rend(), 0);
    const Index& index = context_.index();
    const std::string constant =
        constants_.Add(index.scope(index.main_scope()).nodes.front(), stem + "_channels", IntVector(order));
    return Insert(before, "Gather", {value, constant}, {IntAttribute("axis", layout.channel_axis)}, stem, output);
  }

  std::string Insert(NodeId before, const char* op_type, const std::vector<std::string>& inputs,
                     const std::vector<onnx::AttributeProto>& attributes, const std::string& stem,
                     const std::string& output) {
    onnx::NodeProto node;
    node.set_op_type(op_type);
    node.set_name(context_.editor().FreshName(fmt::format("{}_{}", stem, op_type)));
    for (const std::string& input : inputs) {
      node.add_input(input);
    }
    for (const onnx::AttributeProto& attribute : attributes) {
      *node.add_attribute() = attribute;
    }
    const std::string result =
        output.empty() ? context_.editor().FreshName(fmt::format("{}_{}_output", stem, op_type)) : output;
    node.add_output(result);
    context_.editor().InsertNode(context_.index().main_scope(), std::move(node), before);
    return result;
  }

  // Dims move with their symbols and denotations.
  void Describe(onnx::ValueInfoProto& info, const Perm& perm) {
    const std::string before = DeclaredText(info.type());
    onnx::TensorShapeProto& shape = *MutableShape(*info.mutable_type());
    const onnx::TensorShapeProto old = shape;
    shape.clear_dim();
    for (const int64_t axis : perm) {
      *shape.add_dim() = old.dim(static_cast<int>(axis));
    }
    if (std::string after = DeclaredText(info.type()); after != before) {
      context_.ReportShapes({{info.name(), before, std::move(after)}});
    }
  }

  std::string Text(const char* what, const std::string& name, const Layout& layout) const {
    std::vector<std::string> changes;
    if (!IsIdentity(layout.perm)) {
      changes.push_back(fmt::format("transposed {} {} by [{}]", what, name, fmt::join(layout.perm, ",")));
    }
    if (reverse_) {
      changes.push_back(fmt::format("reversed the channels of {} {}", what, name));
    }
    return fmt::format("{}", fmt::join(changes, ", "));
  }

  PassContext& context_;
  Rewriter& rewriter_;
  NewConstants constants_;
  ChannelFold fold_;
  const bool reverse_;
  const bool folds_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  if (context.options().Bool("fold") && context.options().String("channels") != "reverse") {
    return InvalidArgument("fold=true is for channels=reverse");
  }
  Transposer transposer(context, rewriter);
  for (const auto& [name, value] : context.options().Map("NAME=LAYOUT")) {
    GOMAI_RETURN_IF_ERROR(transposer.Change(name, value));
  }
  return transposer.Finish();
}

}  // namespace

const PassInfo& TransposeInputPass() {
  static const PassInfo info = {
      .name = "transpose-input",
      .summary = "give inputs and outputs another layout, or their channels another order",
      .description =
          "Gives each input or output that is named another layout: image=nhwc makes an input of NCHW one of NHWC. Its "
          "declared shape is permuted, symbols and denotations with it, and a Transpose leads to what the model read; "
          "an output's Transpose comes behind what the model made, which other nodes go on reading. Layouts are nhwc, "
          "nchw, hwc, chw, nwc, ncw, ndhwc and ncdhw, each from its counterpart; FROM->TO in letters of one's own "
          "(nchw->nwhc, tnc->ntc); a permutation, by which axis i of the new layout is the axis of the present one "
          "that stands at i; or same. Names with ',', '=', '{' or '}' go in quotes.\n\n"
          "channels=reverse takes the channels of everything named in reverse, RGB for BGR: by a Gather with constant "
          "indices, which moves values and changes none. The channels are the c of the present layout; of a "
          "permutation or same, axis 1, or 0 in three dims. fold=true reverses the weights of the Convs that read "
          "an input instead (float, or quantised per tensor or per output channel; Transpose, Cast, Identity and "
          "quantisation "
          "with one scale may lie between), so that nothing is added; sums round in another order then.\n\n"
          "Refused: a name that is both an input and an output, or an initializer; unknown rank or a layout of another "
          "rank; channels of no fixed number; what quantization annotations or training information name; fold=true "
          "where a reader is anything else, has groups, or has weights that others read.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kMain,
      .options =
          {
              {.name = "NAME=LAYOUT",
               .type = OptionType::kMap,
               .required = true,
               .help = "an input or output and its new layout, as often as needed"},
              {.name = "channels",
               .default_value = "keep",
               .help = "the order of the channels of all that is named",
               .choices = {"keep", "reverse"}},
              {.name = "fold",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "reverse the weights of the Convs behind an input, not the input"},
          },
      .examples = {"transpose-input{image=nhwc}", "transpose-input{image=nchw->nhwc,channels=reverse}",
                   "transpose-input{frames=[1,0,2],masks=hwc}",
                   "transpose-input{image=same,channels=reverse,fold=true}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
