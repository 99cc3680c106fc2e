// insert-node: one operator on a value, between what makes it and what reads it.
//
// Everything is looked up before anything is changed: the value, the operator and its attributes in ONNX's schemas, the
// other inputs. If the value is an output of its graph, the new node takes the output's name over and the old producer
// gets another one, since it is the name that callers know.
#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/parse_attribute.h"
#include "lib/graph/reach.h"
#include "lib/pass/pass.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

constexpr std::string_view kAttributePrefix = "attr.";

// Where the node goes: on which value, and whether for one reader only.
struct Place {
  ValueId value = kNone;
  NodeId reader = kNone;       // kNone: for all
  ScopeId scope = kNone;       // of the new node
  std::vector<int> positions;  // inputs of the reader that read the value
};

absl::StatusOr<Place> FindPlace(const Index& index, const std::string& on, const std::string& before) {
  Place place;
  std::vector<std::string_view> names;
  if (!before.empty()) {
    GOMAI_ASSIGN_OR_RETURN(place.reader, index.FindNode(before));
    const Index::Node& reader = index.node(place.reader);
    place.scope = reader.scope;
    for (size_t i = 0; i < reader.inputs.size(); ++i) {
      if (reader.inputs[i] != kNone) {
        names.push_back(index.value(reader.inputs[i]).name);
        if (names.back() == on) {
          place.value = reader.inputs[i];
          place.positions.push_back(static_cast<int>(i));
        }
      }
    }
    if (place.value == kNone) {
      return NotFound("{} doesn't read '{}'{} (it reads: {})", index.Describe(place.reader), on, DidYouMean(on, names),
                      fmt::join(names, ", "));
    }
    return place;
  }
  std::vector<std::string> scopes;
  for (ValueId id = 0; id < static_cast<ValueId>(index.values().size()); ++id) {
    const Index::Value& value = index.value(id);
    names.push_back(value.name);
    if (value.name == on) {
      place.value = id;
      place.scope = value.scope;
      scopes.push_back(index.ScopeName(value.scope));
    }
  }
  if (scopes.empty()) {
    return NotFound("there is no value '{}'{}", on, DidYouMean(on, names));
  }
  if (scopes.size() > 1) {
    return InvalidArgument("'{}' is the name of several values, each its own: in {}; choose by a reader, with before",
                           on, fmt::join(scopes, ", "));
  }
  return place;
}

// The new node's inputs by name; `self` stands for the value. `values` gets what they are.
absl::Status AddInputs(const PassContext& context, const Place& place, const std::string& self, onnx::NodeProto* node,
                       std::vector<ValueId>* values) {
  const Index& index = context.index();
  bool reads_value = false;
  for (const std::string& input : context.options().List("inputs")) {
    if (input == ".") {
      reads_value = true;
      node->add_input(self);
      values->push_back(place.value);
      continue;
    }
    const ValueId value = input.empty() ? kNone : index.Resolve(place.scope, input);
    if (!input.empty() && value == kNone) {
      std::vector<std::string_view> names;
      for (ScopeId scope = place.scope; scope != kNone; scope = index.scope(scope).parent) {
        for (const Index::Value& each : index.values()) {
          if (each.scope == scope) {
            names.push_back(each.name);
          }
        }
      }
      return NotFound("no value '{}' is seen in {}{}", input, index.ScopeName(place.scope), DidYouMean(input, names));
    }
    node->add_input(value == place.value && value != kNone ? self : input);
    reads_value = reads_value || (value == place.value && value != kNone);
    values->push_back(value);
  }
  return reads_value ? absl::OkStatus()
                     : InvalidArgument("the option 'inputs' must hold '.', which stands for the value '{}'",
                                       index.value(place.value).name);
}

absl::Status AddAttributes(const PassContext& context, const onnx::OpSchema& schema, onnx::NodeProto* node) {
  for (const auto& [key, value] : context.options().Map("attr.NAME=VALUE")) {
    if (!key.starts_with(kAttributePrefix)) {
      return NotFound("the pass 'insert-node' has no option '{}'{}; attributes are given as attr.NAME=VALUE", key,
                      DidYouMean(key, {"op", "on", "before", "name", "output", "inputs", "domain"}));
    }
    const std::string name = key.substr(kAttributePrefix.size());
    if (std::any_of(node->attribute().begin(), node->attribute().end(),
                    [&](const onnx::AttributeProto& a) { return a.name() == name; })) {
      return InvalidArgument("the attribute '{}' is given twice", name);
    }
    GOMAI_ASSIGN_OR_RETURN(*node->add_attribute(), ParseAttribute(schema, name, value));
  }
  for (const auto& [name, attribute] : schema.attributes()) {
    if (attribute.required &&
        std::none_of(node->attribute().begin(), node->attribute().end(),
                     [&wanted = name](const onnx::AttributeProto& a) { return a.name() == wanted; })) {
      return InvalidArgument("{} needs the attribute '{}'; give it with attr.{}=...", schema.Name(), name, name);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInputs(const PassContext& context, const onnx::OpSchema& schema, const std::vector<ValueId>& inputs) {
  const int count = static_cast<int>(inputs.size());
  if (count < schema.min_input() || count > schema.max_input()) {
    return InvalidArgument(
        "{} takes {} inputs, not {}; give them all with inputs, where '.' stands for the value", schema.Name(),
        schema.min_input() == schema.max_input() ? fmt::to_string(schema.min_input())
                                                 : fmt::format("{} to {}", schema.min_input(), schema.max_input()),
        count);
  }
  if (schema.min_output() > 1 || schema.max_output() < 1) {
    return InvalidArgument("{} has {} results, and one must take the value's place", schema.Name(),
                           schema.min_output());
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, InferTypes(context.model(), context.index()));
  for (size_t i = 0; i < inputs.size() && !schema.inputs().empty(); ++i) {
    if (inputs[i] == kNone) {
      continue;
    }
    const int dtype = types[static_cast<size_t>(inputs[i])].tensor_type().elem_type();
    if (!AcceptsDtype(schema, i, dtype)) {
      return InvalidArgument("input {} of {} can't be a {}, as '{}' is", i, schema.Name(), SchemaType(dtype),
                             context.index().value(inputs[i]).name);
    }
  }
  return absl::OkStatus();
}

// The first place at which all that the node reads is made.
NodeId InsertionPoint(const Index& index, ScopeId scope, const std::vector<ValueId>& inputs) {
  size_t position = 0;
  for (const ValueId id : inputs) {
    if (id != kNone && index.value(id).scope == scope && index.value(id).producer != kNone) {
      position = std::max(position, static_cast<size_t>(index.node(index.value(id).producer).position) + 1);
    }
  }
  const std::vector<NodeId>& nodes = index.scope(scope).nodes;
  return position < nodes.size() ? nodes[position] : kNone;
}

absl::Status CheckFree(const Index& index, const std::string& name) {
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    if (!name.empty() && index.node(id).proto->name() == name) {
      return InvalidArgument("{} has the name '{}' already; choose another", index.Describe(id), name);
    }
  }
  return absl::OkStatus();
}

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  const PassOptions& options = context.options();
  Editor& editor = context.editor();
  GOMAI_ASSIGN_OR_RETURN(const Place place, FindPlace(index, options.String("on"), options.String("before")));
  const Index::Value& value = index.value(place.value);
  GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* schema, RequireSchema(context.model().proto(), index, place.scope,
                                                                     options.String("domain"), options.String("op")));
  GOMAI_RETURN_IF_ERROR(CheckFree(index, options.String("name")));
  const std::string stem = fmt::format("{}_{}", value.name, schema->Name());
  const bool takes_name = place.reader == kNone && value.is_graph_output;
  if (takes_name && value.producer == kNone) {
    return InvalidArgument(
        "'{}' is an output of {} that no node makes, and keeps its name; choose a reader with before", value.name,
        index.ScopeName(value.scope));
  }
  if (takes_name && options.Given("output")) {
    return InvalidArgument("'{}' is an output of {}, so the new node makes it under that name; leave 'output' out",
                           value.name, index.ScopeName(value.scope));
  }
  if (takes_name && HeldByName(context.model().proto(), index)[static_cast<size_t>(place.value)]) {
    context.diagnostics().Warn(std::string(value.name),
                               "what annotations or training information say of it is said of the new node's result "
                               "from now on");
  }
  const std::string self = takes_name ? editor.FreshName(stem + "_input") : std::string(value.name);
  onnx::NodeProto node;
  node.set_op_type(options.String("op"));
  node.set_domain(options.String("domain"));
  if (node.domain().empty()) {
    node.clear_domain();
  }
  std::vector<ValueId> inputs;
  GOMAI_RETURN_IF_ERROR(AddInputs(context, place, self, &node, &inputs));
  GOMAI_RETURN_IF_ERROR(AddAttributes(context, *schema, &node));
  GOMAI_RETURN_IF_ERROR(CheckInputs(context, *schema, inputs));
  node.set_name(options.Given("name") ? options.String("name") : editor.FreshName(stem));
  const std::string output = takes_name                ? std::string(value.name)
                             : options.Given("output") ? options.String("output")
                                                       : editor.FreshName(stem + "_output");
  if (output.empty()) {
    return InvalidArgument("the option 'output' must be a name");
  }
  node.add_output(output);
  if (place.reader != kNone) {
    for (const int position : place.positions) {
      editor.SetInput(place.reader, position, output);
    }
    editor.InsertNode(place.scope, std::move(node), place.reader);
    return absl::OkStatus();
  }
  if (takes_name) {
    editor.MutableNode(value.producer).set_output(value.output, self);
  } else {
    editor.ReplaceUses(place.value, output);
  }
  editor.InsertNode(place.scope, std::move(node), InsertionPoint(index, place.scope, inputs));
  return absl::OkStatus();
}

}  // namespace

const PassInfo& InsertNodePass() {
  static const PassInfo info = {
      .name = "insert-node",
      .summary = "insert an operator on a value",
      .description =
          "Inserts a node of the operator 'op' that reads the value 'on'. All that read the value, in bodies too, read "
          "the node's result instead; with before=NODE only that node does, and the new one stands before it, in its "
          "graph. inputs lists all inputs of the operator by name, '.' for the value and nothing for an absent one. "
          "Attributes are given as attr.NAME=VALUE and have the type that the operator's schema says: numbers or "
          "strings, lists in brackets (attr.axes=[0,1]).\n\n"
          "An output of a graph keeps its name: the new node makes it, and what made it before makes "
          "VALUE_OP_input. Names that aren't given are VALUE_OP for the node and VALUE_OP_output for its result.\n\n"
          "Errors: an operator that ONNX's schemas don't know at the model's opset, an attribute that it doesn't have "
          "or that it needs, a value of the wrong type, another number of inputs than it takes; a value that doesn't "
          "exist or that several bodies define; a name in use. The values that follow are others: the effect is "
          "approximate whatever the operator is.",
      .effect = Effect::kApproximate,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "op", .required = true, .help = "the operator, say Relu"},
              {.name = "on", .required = true, .help = "the value that it reads"},
              {.name = "before", .help = "the address of the one reader that is to read the result"},
              {.name = "inputs", .type = OptionType::kList, .default_value = ".", .help = "all inputs of the node"},
              {.name = "name", .help = "of the node"},
              {.name = "output", .help = "the name of its result"},
              {.name = "domain", .help = "of the operator, if it isn't ONNX's own"},
              {.name = "attr.NAME=VALUE", .type = OptionType::kMap, .help = "attributes of the node"},
          },
      .examples = {"insert-node{op=Relu,on=features}",
                   "insert-node{op=Clip,on=features,inputs=.;low;high,before=Conv_3}",
                   "insert-node{op=Transpose,on=image,attr.perm=[0,2,3,1],output=image_nhwc}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
