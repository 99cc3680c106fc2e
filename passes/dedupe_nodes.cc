// dedupe-nodes: of nodes that compute the same from the same, one is enough.
//
// Each scope is walked in topological order, and each node gets a key: operator, attributes, and what it reads, where
// that is resolved to what stays (lib/graph/bypass.h) and small constants count by content. A node whose key was seen
// goes. Since whatever a node reads was looked at before, equal chains collapse from their beginnings in one walk.
#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/bypass.h"
#include "lib/graph/constants.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

constexpr uint64_t kSmall = 4096;  // bytes; larger constants are equal only if they are the same one

class Deduper {
 public:
  explicit Deduper(PassContext& context)
      : context_(context),
        model_(context.model()),
        index_(context.index()),
        bypass_(model_.proto(), context.editor()),
        impure_(FindImpureNodes(index_)),
        contents_(index_.values().size()) {}

  absl::Status Run() {
    for (ScopeId scope = 0; scope < static_cast<ScopeId>(index_.scopes().size()); ++scope) {
      GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index_, scope));
      std::unordered_map<std::string, NodeId> seen;
      for (const NodeId id : order) {
        if (!MayGo(id)) {
          continue;
        }
        const auto [first, inserted] = seen.emplace(Key(id), id);
        if (!inserted) {
          Replace(id, first->second);
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  // Nothing is known of operators of other domains: they may count their calls.
  bool MayGo(NodeId id) const {
    const Index::Node& node = index_.node(id);
    const std::string& domain = node.proto->domain();
    const bool known = IsDefaultDomain(domain) || domain == "ai.onnx.ml" || domain == "com.microsoft" ||
                       index_.CalledFunction(*node.proto) != kNone;
    return known && !impure_[static_cast<size_t>(id)] && node.proto->device_configurations_size() == 0 &&
           !node.outputs.empty();
  }

  static void Append(std::string* key, std::string_view part) {
    *key += fmt::format("{}:", part.size());
    *key += part;
  }

  std::string Key(NodeId id) {
    const onnx::NodeProto& proto = *index_.node(id).proto;
    std::string key;
    Append(&key, IsDefaultDomain(proto.domain()) ? "" : proto.domain());
    Append(&key, proto.op_type());
    Append(&key, proto.overload());
    for (int i = 0; i < proto.input_size(); ++i) {
      const ValueId input = index_.node(id).inputs[static_cast<size_t>(i)];
      Append(&key, input == kNone ? proto.input(i) : Operand(bypass_.Origin(input)));
    }
    key += '>';
    for (const std::string& output : proto.output()) {
      key += output.empty() ? '-' : '+';
    }
    std::vector<const onnx::AttributeProto*> attributes;
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      attributes.push_back(&attribute);
    }
    std::sort(attributes.begin(), attributes.end(), [](const auto* a, const auto* b) { return a->name() < b->name(); });
    for (const onnx::AttributeProto* attribute : attributes) {
      const bool constant = proto.op_type() == "Constant" && attribute->name() == "value" && attribute->has_t();
      const std::string content = constant ? Content(attribute->t()) : "";
      Append(&key, content.empty() ? attribute->SerializeAsString() : content);
    }
    return key;
  }

  // What stands for an operand: its content, if it is a small constant, else itself.
  const std::string& Operand(ValueId value) {
    std::string& content = contents_[static_cast<size_t>(value)];
    if (content.empty()) {
      const Index::Value& operand = index_.value(value);
      if (operand.origin == Index::Origin::kInitializer && operand.initializer != nullptr) {
        content = Content(*operand.initializer);
      }
      if (content.empty()) {
        content = fmt::format("#{}", value);
      }
    }
    return content;
  }

  // dtype, dims and values, wherever they are stored; empty for large ones, strings and what can't be read.
  std::string Content(const onnx::TensorProto& tensor) const {
    if (tensor.data_type() == onnx::TensorProto::STRING || TensorByteSize(tensor) > kSmall || FindMarker(tensor) ||
        IsExternal(tensor)) {
      return "";
    }
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model_);
    if (!bytes.ok()) {
      return "";
    }
    std::string content = fmt::format("={}[{}]", tensor.data_type(), fmt::join(tensor.dims(), ","));
    content.append(reinterpret_cast<const char*>(bytes->bytes().data()), bytes->bytes().size());
    return content;
  }

  void Replace(NodeId id, NodeId first) {
    std::vector<std::pair<ValueId, ValueId>> equal;
    for (size_t i = 0; i < index_.node(id).outputs.size(); ++i) {
      const ValueId from = index_.node(first).outputs[i];
      const ValueId to = index_.node(id).outputs[i];
      if (to != kNone && from != kNone && index_.value(from).producer == first) {
        equal.emplace_back(from, to);
      }
    }
    if (bypass_.Remove(id, equal) && index_.node(id).scope != index_.main_scope()) {
      context_.RunAgain();  // nodes around two bodies may be equal now
    }
  }

  PassContext& context_;
  const Model& model_;
  const Index& index_;
  Bypass bypass_;
  const std::vector<bool> impure_;
  std::vector<std::string> contents_;  // by ValueId; made when needed
};

absl::Status Run(PassContext& context) { return Deduper(context).Run(); }

}  // namespace

const PassInfo& DedupeNodesPass() {
  static const PassInfo info = {
      .name = "dedupe-nodes",
      .summary = "keep one of several nodes that compute the same",
      .description =
          "Removes each node that has the operator, the attributes and the inputs of an earlier one in the same graph, "
          "body or function: its readers read the earlier one's results. Chains of equal nodes go as a whole. "
          "Constants up to 4 KiB are equal if their values are, wherever they are; larger ones if they are the same "
          "initializer. A node with bodies needs the same bodies, byte for byte.\n\n"
          "Outputs of graphs keep their names; of two equal nodes that both make outputs, both stay. So do nodes that "
          "draw random numbers, operators of domains that aren't known, and nodes whose results an annotation or "
          "training information names. Nodes' own names and words go with them.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .examples = {"dedupe-nodes", "dedupe-initializers,dedupe-nodes,prune"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
