// Looking into a converter's result by the model's ids, and clearing up behind it; see convert_opset.h.
#include <algorithm>

#include "lib/pass/convert_opset_internal.h"

namespace gomai::opset {

View Look(const Index& index, const onnx::ModelProto& result) {
  View view;
  view.graphs.resize(index.scopes().size());
  view.nodes.resize(index.nodes().size());
  std::vector<std::pair<ScopeId, const onnx::GraphProto*>> pending{{index.main_scope(), &result.graph()}};
  while (!pending.empty()) {
    const auto [scope, graph] = pending.back();
    pending.pop_back();
    view.graphs[static_cast<size_t>(scope)] = graph;
    for (const onnx::NodeProto& node : graph->node()) {
      const NodeId id = FromTag(node.name());
      if (id == kNone || static_cast<size_t>(id) >= view.nodes.size() || index.node(id).scope != scope) {
        continue;
      }
      view.nodes[static_cast<size_t>(id)] = &node;
      for (const ScopeId body : index.node(id).bodies) {
        for (const onnx::AttributeProto& attribute : node.attribute()) {
          if (attribute.name() == index.scope(body).attribute && attribute.has_g()) {
            pending.emplace_back(body, &attribute.g());
          }
        }
      }
    }
  }
  return view;
}

onnx::NodeProto Shell(const onnx::NodeProto& node) {
  onnx::NodeProto shell = node;
  for (onnx::AttributeProto& attribute : *shell.mutable_attribute()) {
    attribute.clear_g();
  }
  return shell;
}

bool HoldsStandIn(const onnx::AttributeProto& attribute) {
  return (attribute.has_t() && IsStandIn(attribute.t())) ||
         std::any_of(attribute.tensors().begin(), attribute.tensors().end(), IsStandIn);
}

void DropUnread(const std::unordered_set<std::string>& candidates, onnx::ModelProto* model) {
  if (candidates.empty()) {
    return;
  }
  std::unordered_set<std::string> read;
  std::vector<onnx::GraphProto*> graphs{model->mutable_graph()};
  for (size_t i = 0; i < graphs.size(); ++i) {
    for (onnx::NodeProto& node : *graphs[i]->mutable_node()) {
      read.insert(node.input().begin(), node.input().end());
      for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) {
          graphs.push_back(attribute.mutable_g());
        }
      }
    }
    for (const onnx::ValueInfoProto& output : graphs[i]->output()) {
      read.insert(output.name());
    }
    for (const onnx::TensorAnnotation& annotation : graphs[i]->quantization_annotation()) {
      read.insert(annotation.tensor_name());
      for (const onnx::StringStringEntryProto& entry : annotation.quant_parameter_tensor_names()) {
        read.insert(entry.value());
      }
    }
  }
  for (onnx::GraphProto* graph : graphs) {
    auto& nodes = *graph->mutable_node();
    std::unordered_set<std::string> dropped;
    nodes.erase(std::remove_if(nodes.begin(), nodes.end(),
                               [&](const onnx::NodeProto& node) {
                                 const bool unread = node.op_type() == "Constant" && node.output_size() == 1 &&
                                                     candidates.contains(node.output(0)) &&
                                                     !read.contains(node.output(0));
                                 if (unread) {
                                   dropped.insert(node.output(0));
                                 }
                                 return unread;
                               }),
                nodes.end());
    auto& tensors = *graph->mutable_initializer();
    tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                                 [&](const onnx::TensorProto& tensor) {
                                   const bool unread =
                                       candidates.contains(tensor.name()) && !read.contains(tensor.name());
                                   if (unread) {
                                     dropped.insert(tensor.name());
                                   }
                                   return unread;
                                 }),
                  tensors.end());
    auto& infos = *graph->mutable_value_info();
    infos.erase(std::remove_if(infos.begin(), infos.end(),
                               [&](const onnx::ValueInfoProto& info) { return dropped.contains(info.name()); }),
                infos.end());
  }
}

}  // namespace gomai::opset
