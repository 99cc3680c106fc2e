// rewire: inputs of a node read other values.
//
// The values must be seen where the node is. Commit refuses what would make a cycle, and sorts the scope where the new
// order needs it.
#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/parse_attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/pass.h"
#include "lib/pass/try_edit.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

constexpr std::string_view kPrefix = "in.";

struct Change {
  int input = 0;
  std::string name;
  ValueId value = kNone;  // kNone: absent from now on
};

// The positions that a key means: a number, or the name of what is read there (perhaps several times).
absl::StatusOr<std::vector<int>> Positions(const Index& index, NodeId id, const std::string& key) {
  const Index::Node& node = index.node(id);
  std::vector<int> positions;
  std::vector<std::string_view> names;
  for (int i = 0; i < node.proto->input_size(); ++i) {
    names.push_back(node.proto->input(i));
    if (node.proto->input(i) == key) {
      positions.push_back(i);
    }
  }
  if (!positions.empty()) {
    return positions;
  }
  if (const std::optional<int64_t> position = ParseInt64(key)) {
    if (*position < 0 || *position > node.proto->input_size()) {
      return InvalidArgument("{} has {} inputs, counted from 0, so {} is none of them", index.Describe(id),
                             node.proto->input_size(), *position);
    }
    return std::vector<int>{static_cast<int>(*position)};
  }
  return NotFound("{} doesn't read '{}'{} (it reads: {})", index.Describe(id), key, DidYouMean(key, names),
                  fmt::join(names, ", "));
}

absl::Status CheckSchema(const PassContext& context, NodeId id, const std::vector<Change>& changes) {
  const Index& index = context.index();
  const onnx::NodeProto& node = *index.node(id).proto;
  const absl::StatusOr<const onnx::OpSchema*> schema =
      RequireSchema(context.model().proto(), index, index.node(id).scope, node.domain(), node.op_type());
  if (!schema.ok() || index.CalledFunction(node) != kNone) {
    return absl::OkStatus();  // nothing to go by
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, InferTypes(context.model(), index));
  // Inputs of one type parameter have one type.
  const auto input_at = [&](int input) -> const onnx::OpSchema::FormalParameter& {
    const auto& inputs = (*schema)->inputs();
    return inputs[std::min(static_cast<size_t>(input), inputs.size() - 1)];
  };
  const auto dtype_after = [&](int input) {
    ValueId value = static_cast<size_t>(input) < index.node(id).inputs.size()
                        ? index.node(id).inputs[static_cast<size_t>(input)]
                        : kNone;
    for (const Change& change : changes) {
      value = change.input == input ? change.value : value;
    }
    return value == kNone ? 0 : types[static_cast<size_t>(value)].tensor_type().elem_type();
  };
  for (const Change& change : changes) {
    if (change.input >= (*schema)->max_input()) {
      return InvalidArgument("{} takes at most {} inputs", index.Describe(id), (*schema)->max_input());
    }
    const auto at = static_cast<size_t>(change.input);
    if (change.value == kNone) {
      if (change.input < (*schema)->min_input()) {
        return InvalidArgument("{} needs its input {}, so it can't be absent", index.Describe(id), change.input);
      }
      continue;
    }
    const int dtype = types[static_cast<size_t>(change.value)].tensor_type().elem_type();
    if (!AcceptsDtype(**schema, at, dtype)) {
      return InvalidArgument("input {} of {} can't be a {}, as '{}' is", change.input, index.Describe(id),
                             DtypeName(dtype), change.name);
    }
    for (int other = 0; other < node.input_size() && dtype != 0; ++other) {
      const auto& one = input_at(change.input);
      const bool bound =
          one.GetTypeStr() == input_at(other).GetTypeStr() && (&one != &input_at(other) || one.GetIsHomogeneous());
      if (bound && dtype_after(other) != 0 && dtype_after(other) != dtype) {
        return InvalidArgument("inputs {} and {} of {} must be of one dtype, and '{}' is {} beside {}", change.input,
                               other, index.Describe(id), change.name, DtypeName(dtype), DtypeName(dtype_after(other)));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  GOMAI_ASSIGN_OR_RETURN(const NodeId id, index.FindNode(context.options().String("node")));
  const bool force = context.options().Bool("force");
  std::vector<Change> changes;
  std::set<int> seen;
  for (const auto& [key, name] : context.options().Map("in.INPUT=VALUE")) {
    if (!key.starts_with(kPrefix)) {
      return NotFound("the pass 'rewire' has no option '{}'{}; inputs are given as in.INPUT=VALUE", key,
                      DidYouMean(key, {"node", "force"}));
    }
    GOMAI_ASSIGN_OR_RETURN(const std::vector<int> positions, Positions(index, id, key.substr(kPrefix.size())));
    const ValueId value = name.empty() ? kNone : index.Resolve(index.node(id).scope, name);
    if (!name.empty() && value == kNone) {
      std::vector<std::string_view> names;
      for (ScopeId scope = index.node(id).scope; scope != kNone; scope = index.scope(scope).parent) {
        for (const auto& [each, unused] : index.scope(scope).values) {
          names.push_back(each);
        }
      }
      std::sort(names.begin(), names.end());
      return NotFound("no value '{}' is seen in {}{}", name, index.ScopeName(index.node(id).scope),
                      DidYouMean(name, names));
    }
    for (const int position : positions) {
      if (!seen.insert(position).second) {
        return InvalidArgument("input {} of {} is given twice", position, index.Describe(id));
      }
      changes.push_back({position, name, value});
    }
  }
  if (!force) {
    GOMAI_RETURN_IF_ERROR(CheckSchema(context, id, changes));
  }
  return EditChecked(
      context,
      [&](Editor& editor) {
        for (const Change& change : changes) {
          editor.SetInput(id, change.input, change.name);
        }
      },
      force);
}

}  // namespace

const PassInfo& RewirePass() {
  static const PassInfo info = {
      .name = "rewire",
      .summary = "let inputs of a node read other values",
      .description =
          "Each in.INPUT=VALUE lets an input of the node read another value. INPUT is a position from 0, or the name "
          "of "
          "what it reads now; the position behind the last one adds an input. VALUE must be seen where the node is: in "
          "its graph, or around the body that it lies in; nothing makes the input absent. What was read before stays, "
          "as do its other readers. Nodes are put in order where the new edge needs it.\n\n"
          "Errors: no such input or value; a dtype that the operator doesn't take there; an input that it needs made "
          "absent; a cycle; and what inference then finds impossible (force=true leaves such checks out, a cycle stays "
          "an error). Values that follow are others: the effect is approximate.",
      .effect = Effect::kApproximate,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "node", .required = true, .help = "the address of the node"},
              {.name = "in.INPUT=VALUE", .type = OptionType::kMap, .required = true, .help = "what its inputs read"},
              {.name = "force",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "don't go by the schema or by inference"},
          },
      .examples = {"rewire{node=Add_3,in.1=features}", "rewire{node=Clip_5,in.limit=\"\"}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
