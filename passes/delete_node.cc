// delete-node: one node goes, and what read its result reads its input.
//
// Which input is the point: the one that isn't constant, or the one that the user names. Types are compared before
// anything is changed, so a node that changes dtype or shape is refused rather than cut out of a model that then no
// longer fits together. The name of a graph output is kept by the node that makes the input, which makes the output
// instead; where no node can (the input is an input of the graph, say), an Identity takes the deleted node's place.
#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/reach.h"
#include "lib/model/dtype.h"
#include "lib/pass/pass.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

std::string InputList(const Index& index, const std::vector<ValueId>& values) {
  std::string text;
  for (const ValueId id : values) {
    text += fmt::format("{}'{}'", text.empty() ? "" : ", ", index.value(id).name);
  }
  return text;
}

// The input that the option names: a name of an input, else a position.
absl::StatusOr<ValueId> NamedInput(const Index& index, NodeId id, const std::string& keep) {
  const Index::Node& node = index.node(id);
  std::vector<std::string_view> names;
  for (const ValueId input : node.inputs) {
    if (input != kNone) {
      names.push_back(index.value(input).name);
      if (names.back() == keep) {
        return input;
      }
    }
  }
  if (const std::optional<int64_t> position = ParseInt64(keep)) {
    if (*position < 0 || *position >= static_cast<int64_t>(node.inputs.size())) {
      return InvalidArgument("{} has no input {}; it has {}, counted from 0", index.Describe(id), *position,
                             node.inputs.size());
    }
    if (node.inputs[static_cast<size_t>(*position)] == kNone) {
      return InvalidArgument("input {} of {} is absent; keep another", *position, index.Describe(id));
    }
    return node.inputs[static_cast<size_t>(*position)];
  }
  return NotFound("{} has no input '{}'{} (it reads: {})", index.Describe(id), keep, DidYouMean(keep, names),
                  fmt::join(names, ", "));
}

absl::StatusOr<ValueId> ChooseInput(const Index& index, NodeId id, const std::string& keep) {
  if (!keep.empty()) {
    return NamedInput(index, id, keep);
  }
  std::vector<ValueId> candidates;
  for (const ValueId input : index.node(id).inputs) {
    if (input != kNone && !index.IsConstant(input) &&
        std::find(candidates.begin(), candidates.end(), input) == candidates.end()) {
      candidates.push_back(input);
    }
  }
  if (candidates.size() == 1) {
    return candidates[0];
  }
  if (candidates.empty()) {
    return InvalidArgument("{} has no input that isn't constant, so nothing could be read in its place{}",
                           index.Describe(id),
                           index.node(id).inputs.empty() ? "" : "; name the one to keep with keep-input");
  }
  return InvalidArgument("{} has {} inputs that aren't constant: {}; name the one to keep with keep-input",
                         index.Describe(id), candidates.size(), InputList(index, candidates));
}

// The one output that something reads, kNone if nothing reads any.
absl::StatusOr<ValueId> UsedOutput(const Index& index, NodeId id, const std::vector<bool>& held) {
  std::vector<ValueId> used;
  for (const ValueId output : index.node(id).outputs) {
    if (output != kNone && index.value(output).producer == id &&
        (!index.value(output).uses.empty() || index.value(output).is_graph_output ||
         held[static_cast<size_t>(output)])) {
      used.push_back(output);
    }
  }
  if (used.size() > 1) {
    return InvalidArgument("{} outputs of {} are read ({}), and one input can't stand for them all", used.size(),
                           index.Describe(id), InputList(index, used));
  }
  return used.empty() ? kNone : used[0];
}

// Could readers tell the types apart? Dims that aren't known are taken for equal.
bool Contradict(const onnx::TypeProto& a, const onnx::TypeProto& b) {
  if (a.value_case() == onnx::TypeProto::VALUE_NOT_SET || b.value_case() == onnx::TypeProto::VALUE_NOT_SET) {
    return false;
  }
  if (TypeName(a) != TypeName(b)) {
    return true;
  }
  const onnx::TensorShapeProto* left = FindShape(a);
  const onnx::TensorShapeProto* right = FindShape(b);
  if (left == nullptr || right == nullptr) {
    return false;
  }
  if (left->dim_size() != right->dim_size()) {
    return true;
  }
  for (int i = 0; i < left->dim_size(); ++i) {
    if (left->dim(i).has_dim_value() && right->dim(i).has_dim_value() &&
        left->dim(i).dim_value() != right->dim(i).dim_value()) {
      return true;
    }
  }
  return false;
}

absl::Status CheckTypes(PassContext& context, NodeId node, ValueId input, ValueId output) {
  const Index& index = context.index();
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, InferTypes(context.model(), index));
  const auto type_of = [&](ValueId id) {
    onnx::TypeProto type = types[static_cast<size_t>(id)];
    if (type.value_case() == onnx::TypeProto::VALUE_NOT_SET && index.value(id).info != nullptr) {
      type = index.value(id).info->type();
    }
    return type;
  };
  const onnx::TypeProto before = type_of(output);
  const onnx::TypeProto after = type_of(input);
  if (Contradict(before, after)) {
    return InvalidArgument("{} makes {} {} of {} {}; its readers would get another {}, so it can't be deleted",
                           index.Describe(node), TypeName(before), ShapeText(before), TypeName(after), ShapeText(after),
                           TypeName(before) != TypeName(after) ? "dtype" : "shape");
  }
  if (TypeName(before).empty() || TypeName(after).empty()) {
    context.diagnostics().Warn(index.Describe(node),
                               "the type of its {} is unknown, so whether readers get what they "
                               "need wasn't checked",
                               TypeName(before).empty() ? "result" : "input");
  }
  return absl::OkStatus();
}

// Lets the deleted node's place in the outputs of its graph be taken by what makes `input`.
absl::Status KeepOutputName(PassContext& context, NodeId id, ValueId input, ValueId output, bool may_rename) {
  const Index& index = context.index();
  const Index::Value& from = index.value(input);
  const Index::Value& to = index.value(output);
  if (may_rename && from.producer != kNone && from.scope == to.scope && !from.is_graph_output &&
      ReadersSee(index, input, output)) {
    context.editor().RenameValue(input, std::string(to.name));
    return absl::OkStatus();
  }
  if (index.node(id).proto->op_type() == "Identity") {
    return FailedPrecondition("{} is what lets '{}' and '{}' both keep their names; it can't be deleted",
                              index.Describe(id), from.name, to.name);
  }
  onnx::NodeProto identity;
  identity.set_name(context.editor().FreshName(fmt::format("{}_Identity", to.name)));
  identity.set_op_type("Identity");
  identity.add_input(std::string(from.name));
  identity.add_output(std::string(to.name));
  context.diagnostics().Note(index.Describe(id),
                             "an Identity stands in its place, since '{}' and '{}' both keep their "
                             "names",
                             from.name, to.name);
  context.editor().InsertNode(to.scope, std::move(identity), id);
  return absl::OkStatus();
}

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  Editor& editor = context.editor();
  GOMAI_ASSIGN_OR_RETURN(const NodeId id, index.FindNode(context.options().String("node")));
  const Index::Node& node = index.node(id);
  const std::vector<bool> held = HeldByName(context.model().proto(), index);
  GOMAI_ASSIGN_OR_RETURN(const ValueId output, UsedOutput(index, id, held));
  if (output != kNone || context.options().Given("keep-input")) {
    GOMAI_ASSIGN_OR_RETURN(const ValueId input, ChooseInput(index, id, context.options().String("keep-input")));
    if (output != kNone) {
      GOMAI_RETURN_IF_ERROR(CheckTypes(context, id, input, output));
      if (std::find(node.outputs.begin(), node.outputs.end(), input) != node.outputs.end()) {
        return DataLoss("{} reads its own result", index.Describe(id));
      }
      const bool is_held = held[static_cast<size_t>(output)];
      if (index.value(output).is_graph_output || is_held) {
        GOMAI_RETURN_IF_ERROR(
            KeepOutputName(context, id, input, output, !is_held && !held[static_cast<size_t>(input)]));
      } else if (ReadersSee(index, output, input)) {
        editor.ReplaceUses(output, std::string(index.value(input).name));
      } else {
        return FailedPrecondition("a reader of '{}' is in a body where '{}' means another value; rename one of them",
                                  index.value(output).name, index.value(input).name);
      }
    }
  }
  editor.EraseNode(id);
  for (const ValueId each : node.outputs) {
    if (each != kNone && !held[static_cast<size_t>(each)] && !index.value(each).is_graph_output) {
      editor.EraseValueInfo(node.scope, std::string(index.value(each).name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& DeleteNodePass() {
  static const PassInfo info = {
      .name = "delete-node",
      .summary = "remove a node and join its input to what read its result",
      .description =
          "Removes the node at an address (its name, #INDEX, or an op type that occurs once; OUTER::ATTRIBUTE::INNER "
          "in "
          "a body). What read its result, in bodies too, reads its one input that isn't constant; if it has several, "
          "keep-input says which, by name or by position. Other readers of that input keep it. What only the deleted "
          "node read stays in the model; prune removes it.\n\n"
          "Outputs of graphs keep their names: the node that makes the input makes the output instead, under the "
          "output's name, or an Identity does where the input's name must stay as well.\n\n"
          "Errors: no node or several at the address; several results that are read; a result whose dtype or known "
          "shape isn't that of the input. The values that follow are others, unless the node did nothing: the effect "
          "is approximate whatever the node is.",
      .effect = Effect::kApproximate,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "node", .required = true, .help = "the address of the node"},
              {.name = "keep-input", .help = "the input to keep, by name or by position from 0"},
          },
      .examples = {"delete-node{node=Relu_12}", "delete-node{node=If_3::then_branch::#4,keep-input=0}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
