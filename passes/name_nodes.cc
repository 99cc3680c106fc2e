// name-nodes: a name for every node.
//
// The number in a name is the node's place in its graph, as in addresses ("#12"), so a name also says where a node
// stood. Names that exist are all taken into account before the first is given, so that none of them must yield.
#include <unordered_set>

#include "lib/pass/pass.h"

namespace gomai {
namespace {

absl::Status Run(PassContext& context) {
  const std::string& prefix = context.options().String("prefix");
  const bool duplicates = context.options().Bool("duplicates");
  const Index& index = context.index();
  Editor& editor = context.editor();
  std::unordered_set<std::string_view> seen;
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const Index::Node& node = index.node(id);
    const std::string& name = node.proto->name();
    if (name.empty()) {
      editor.MutableNode(id).set_name(
          editor.FreshName(fmt::format("{}{}_{}", prefix, node.proto->op_type(), node.position)));
    } else if (!seen.insert(name).second && duplicates) {
      editor.MutableNode(id).set_name(editor.FreshName(name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& NameNodesPass() {
  static const PassInfo info = {
      .name = "name-nodes",
      .summary = "give nodes without a name one, and duplicates one of their own",
      .description =
          "Gives each node without a name the name PREFIXOpType_INDEX, in the main graph, in bodies and in functions; "
          "INDEX is its place among the nodes of its graph, from 0. Where that name is in use anywhere in the model, "
          "for a node or for a value, _1, _2, ... follow.\n\n"
          "Names that exist stay, even if several nodes have the same one. With duplicates=true the first node of a "
          "name, in file order with bodies after the node that holds them, keeps it, and the later ones get _1, _2, "
          "... appended, wherever in the model they are: afterwards each name is the address of one node.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options =
          {
              {.name = "prefix", .help = "what names begin with, say 'model/'"},
              {.name = "duplicates",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "also rename nodes whose name an earlier node has"},
          },
      .examples = {"name-nodes", "name-nodes{prefix=encoder/,duplicates=true}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
