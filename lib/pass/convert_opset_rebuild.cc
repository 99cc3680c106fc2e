// What ONNX's converter changed, put into the model as it is; see convert_opset.h.
//
// Two results of the converter are compared: of the stand-in at its own opset, which shows what its representation
// alone does, and at the new one. A tagged node that is alike in both wasn't touched. A tag that is gone needs an
// explanation: a constant that an adapter made an attribute of, or a node that a new one stands for, with the same
// outputs; anything else would be a loss.
#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "lib/model/domain.h"
#include "lib/pass/convert_opset_internal.h"

namespace gomai::opset {
namespace {

using Names = std::unordered_map<std::string, std::string>;

std::string Bytes(const google::protobuf::MessageLite& message) { return message.SerializeAsString(); }

class Rebuilder {
 public:
  Rebuilder(const Model& model, const Index& index, const onnx::ModelProto& same, const onnx::ModelProto& converted,
            int64_t from, int64_t to)
      : model_(model),
        index_(index),
        repair_resize_(from <= 10 && to >= 11),
        same_(Look(index, same)),
        converted_(Look(index, converted)) {
    for (const Index::Value& value : index.values()) {
      taken_.emplace(value.name);
    }
    for (const Index::Node& node : index.nodes()) {
      node_names_.insert(node.proto->name());
    }
  }

  absl::StatusOr<onnx::ModelProto> Run() {
    results_.resize(index_.scopes().size());
    for (ScopeId scope = static_cast<ScopeId>(results_.size()) - 1; scope >= 0; --scope) {  // bodies first
      GOMAI_RETURN_IF_ERROR(BuildGraph(scope));
    }
    onnx::ModelProto model = model_.proto();
    *model.mutable_graph() = std::move(results_[0]);
    DropUnread(maybe_unread_, &model);  // they only became attributes
    return model;
  }

 private:
  absl::Status BuildGraph(ScopeId scope) {
    const onnx::GraphProto* same = same_.graphs[static_cast<size_t>(scope)];
    const onnx::GraphProto* converted = converted_.graphs[static_cast<size_t>(scope)];
    if (same == nullptr || converted == nullptr) {
      return FailedPrecondition("ONNX's converter loses {}", index_.ScopeName(scope));
    }
    onnx::GraphProto& result = results_[static_cast<size_t>(scope)];
    result = *index_.scope(scope).graph;
    result.clear_node();
    names_.clear();
    read_by_new_.clear();
    moved_.clear();
    for (const onnx::NodeProto& node : converted->node()) {
      const NodeId id = FromTag(node.name());
      if (id == kNone) {
        read_by_new_.insert(node.input().begin(), node.input().end());
        continue;
      }
      for (const std::string& output : node.output()) {
        if (!Makes(same_.nodes[static_cast<size_t>(id)], output)) {
          moved_.emplace(output, id);
        }
      }
    }
    GOMAI_RETURN_IF_ERROR(CheckInterface(scope, *same, *converted));
    NameNewValues(scope, *converted);
    GOMAI_RETURN_IF_ERROR(TakeInitializers(scope, *same, *converted, &result));
    return TakeNodes(scope, *converted, &result);
  }

  static bool Makes(const onnx::NodeProto* node, const std::string& output) {
    return node != nullptr && std::count(node->output().begin(), node->output().end(), output) > 0;
  }

  // The main graph's inputs and outputs, and a body's, are whoever feeds and reads them counts on.
  absl::Status CheckInterface(ScopeId scope, const onnx::GraphProto& same, const onnx::GraphProto& converted) const {
    const onnx::GraphProto& graph = *index_.scope(scope).graph;
    for (const onnx::GraphProto* other : {&same, &converted}) {
      for (const auto& [own, theirs, what] : {std::tuple{&graph.input(), &other->input(), "input"},
                                              std::tuple{&graph.output(), &other->output(), "output"}}) {
        for (int i = 0; i < std::max(own->size(), theirs->size()); ++i) {
          if (i >= own->size() || i >= theirs->size() || own->Get(i).name() != theirs->Get(i).name()) {
            return FailedPrecondition("ONNX's converter changes the {}s of {}, from '{}' on", what,
                                      index_.ScopeName(scope), (i < own->size() ? own : theirs)->Get(i).name());
          }
        }
      }
    }
    return absl::OkStatus();
  }

  std::string Fresh(std::string stem) {
    std::string name = stem;
    for (int i = 1; !taken_.insert(name).second; ++i) {
      name = fmt::format("{}_{}", stem, i);
    }
    return name;
  }

  // Values that the converter made have numbers for names, which may be anyone's elsewhere in the model.
  void NameNewValues(ScopeId scope, const onnx::GraphProto& converted) {
    for (int i = 0; i < converted.node_size(); ++i) {
      const onnx::NodeProto& node = converted.node(i);
      const NodeId id = FromTag(node.name());
      const onnx::NodeProto* before = id == kNone ? nullptr : same_.nodes[static_cast<size_t>(id)];
      for (const std::string& output : node.output()) {
        if (output.empty() || Makes(before, output) || StandsForGone(scope, node, output)) {
          continue;
        }
        const onnx::NodeProto* owner = Owner(scope, converted, i);
        const std::string stem = owner == nullptr || owner->output().empty() ? "" : owner->output(0) + "_";
        std::string op = node.op_type();
        std::transform(op.begin(), op.end(), op.begin(), [](unsigned char c) { return static_cast<char>(tolower(c)); });
        names_[output] = Fresh(stem + op);
      }
    }
  }

  // Is it the model's value of that name, which another node makes now?
  bool StandsForGone(ScopeId scope, const onnx::NodeProto& node, const std::string& output) const {
    const ValueId value = index_.FindValue(scope, output);
    if (value == kNone || index_.value(value).origin != Index::Origin::kNode) {
      return false;
    }
    const onnx::NodeProto* producer = converted_.nodes[static_cast<size_t>(index_.value(value).producer)];
    return &node != producer && !Makes(producer, output);
  }

  // The model's node that a new one was made for: one that makes another value than before for the new one to read, or
  // else the next one that is the model's, or stands for one of the model's.
  const onnx::NodeProto* Owner(ScopeId scope, const onnx::GraphProto& converted, int position) const {
    for (const std::string& input : converted.node(position).input()) {
      if (const auto owner = moved_.find(input); owner != moved_.end()) {
        return index_.node(owner->second).proto;
      }
    }
    for (int i = position; i < converted.node_size(); ++i) {
      const NodeId tagged = FromTag(converted.node(i).name());
      const NodeId id = tagged == kNone ? Gone(scope, converted.node(i)) : tagged;
      if (id != kNone) {
        return index_.node(id).proto;
      }
    }
    return nullptr;
  }

  // The node that isn't there any more whose outputs this new one makes; kNone if there is none.
  NodeId Gone(ScopeId scope, const onnx::NodeProto& node) const {
    for (const std::string& output : node.output()) {
      const ValueId value = index_.FindValue(scope, output);
      const NodeId producer = value == kNone ? kNone : index_.value(value).producer;
      if (producer != kNone && converted_.nodes[static_cast<size_t>(producer)] == nullptr &&
          std::equal(node.output().begin(), node.output().end(), index_.node(producer).proto->output().begin(),
                     index_.node(producer).proto->output().end())) {
        return producer;
      }
    }
    return kNone;
  }

  // A value of the result, as the model calls it.
  std::string Now(const std::string& name) const {
    if (!name.empty() && name[0] == kCapturedPrefix) {
      return name.substr(1);
    }
    const auto found = names_.find(name);
    return found == names_.end() ? name : found->second;
  }

  absl::Status TakeInitializers(ScopeId scope, const onnx::GraphProto& same, const onnx::GraphProto& converted,
                                onnx::GraphProto* result) {
    std::unordered_map<std::string_view, const onnx::TensorProto*> before;
    for (const onnx::TensorProto& tensor : same.initializer()) {
      before.emplace(tensor.name(), &tensor);
    }
    for (const onnx::TensorProto& tensor : converted.initializer()) {
      const auto old = before.find(tensor.name());
      if (old == before.end()) {
        onnx::TensorProto& added = *result->add_initializer();
        added = tensor;
        added.set_name(names_[tensor.name()] = Fresh("converted_initializer"));
      } else if (Bytes(*old->second) != Bytes(tensor)) {
        return FailedPrecondition("ONNX's converter changes the values of '{}' in {}", tensor.name(),
                                  index_.ScopeName(scope));
      }
    }
    std::unordered_set<std::string_view> still;
    for (const onnx::TensorProto& tensor : converted.initializer()) {
      still.insert(tensor.name());
    }
    for (const auto& [name, tensor] : before) {
      const ValueId value = index_.FindValue(scope, name);
      if (!still.contains(name) && value != kNone && index_.value(value).origin == Index::Origin::kInitializer) {
        maybe_unread_.emplace(name);
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakeNodes(ScopeId scope, const onnx::GraphProto& converted, onnx::GraphProto* result) {
    const std::vector<NodeId>& originals = index_.scope(scope).nodes;
    size_t next = 0;  // of originals: those before it are in the result, or gone
    const auto keep_constants = [&](size_t until) -> absl::Status {
      for (; next < until; ++next) {
        const NodeId id = originals[next];
        if (converted_.nodes[static_cast<size_t>(id)] != nullptr) {
          continue;
        }
        if (index_.node(id).proto->op_type() == "Constant") {
          *result->add_node() = *index_.node(id).proto;
          maybe_unread_.insert(index_.node(id).proto->output().begin(), index_.node(id).proto->output().end());
        } else if (!replaced_.contains(id)) {
          return FailedPrecondition("ONNX's converter drops node {}", index_.Describe(id));
        }
      }
      return absl::OkStatus();
    };
    for (const NodeId id : originals) {
      if (same_.nodes[static_cast<size_t>(id)] == nullptr) {
        return FailedPrecondition("ONNX's converter can't represent node {}", index_.Describe(id));
      }
    }
    for (int i = 0; i < converted.node_size(); ++i) {
      const onnx::NodeProto& node = converted.node(i);
      const NodeId id = FromTag(node.name());
      if (id == kNone) {
        GOMAI_RETURN_IF_ERROR(AddNew(scope, converted, i, result));
        continue;
      }
      GOMAI_RETURN_IF_ERROR(keep_constants(static_cast<size_t>(index_.node(id).position)));
      GOMAI_RETURN_IF_ERROR(AddTagged(id, result));
    }
    return keep_constants(originals.size());
  }

  // A node of the converter's own. One that makes what a node that is gone made has that node's name and words.
  absl::Status AddNew(ScopeId scope, const onnx::GraphProto& converted, int position, onnx::GraphProto* result) {
    const onnx::NodeProto& node = converted.node(position);
    onnx::NodeProto& added = *result->add_node();
    const NodeId gone = Gone(scope, node);
    if (gone != kNone) {
      replaced_.insert(gone);
      added = *index_.node(gone).proto;
      added.clear_attribute();
      added.set_op_type(node.op_type());
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        *added.add_attribute() = attribute;
      }
      if (repair_resize_ && node.op_type() == "Resize") {
        GOMAI_RETURN_IF_ERROR(RepairResize(model_, index_, gone, &added));
      }
    } else {
      added = node;
      added.clear_name();
      if (const onnx::NodeProto* owner = Owner(scope, converted, position)) {
        if (!owner->name().empty()) {
          added.set_name(FreshNodeName(owner->name() + "/" + node.op_type()));
        }
        if (owner->has_domain() && IsDefaultDomain(owner->domain())) {
          added.set_domain(owner->domain());
        }
      }
    }
    SetEnds(node, &added);
    return absl::OkStatus();
  }

  std::string FreshNodeName(const std::string& stem) {
    std::string name = stem;
    for (int i = 1; !node_names_.insert(name).second; ++i) {
      name = fmt::format("{}_{}", stem, i);
    }
    return name;
  }

  void SetEnds(const onnx::NodeProto& from, onnx::NodeProto* to) const {
    to->clear_input();
    to->clear_output();
    for (const std::string& input : from.input()) {
      to->add_input(Now(input));
    }
    for (const std::string& output : from.output()) {
      to->add_output(Now(output));
    }
  }

  absl::Status AddTagged(NodeId id, onnx::GraphProto* result) {
    const onnx::NodeProto& before = *same_.nodes[static_cast<size_t>(id)];
    const onnx::NodeProto& after = *converted_.nodes[static_cast<size_t>(id)];
    onnx::NodeProto& node = *result->add_node();
    node = *index_.node(id).proto;
    if (Bytes(Shell(before)) != Bytes(Shell(after))) {
      GOMAI_RETURN_IF_ERROR(CheckDroppedInputs(id, before, after));
      GOMAI_RETURN_IF_ERROR(TakeAttributes(id, before, after, &node));
      node.set_op_type(after.op_type());
      SetEnds(after, &node);
      if (repair_resize_ && node.op_type() == "Resize") {
        GOMAI_RETURN_IF_ERROR(RepairResize(model_, index_, id, &node));
      }
    }
    for (const ScopeId body : index_.node(id).bodies) {
      for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
        if (attribute.name() == index_.scope(body).attribute) {
          *attribute.mutable_g() = std::move(results_[static_cast<size_t>(body)]);
        }
      }
    }
    return absl::OkStatus();
  }

  // An operand that became an attribute, and isn't just read by a new node in front, must be a constant: one that a
  // caller may override isn't, nor is one whose values the converter wasn't given.
  absl::Status CheckDroppedInputs(NodeId id, const onnx::NodeProto& before, const onnx::NodeProto& after) const {
    for (const std::string& input : before.input()) {
      if (input.empty() || std::count(after.input().begin(), after.input().end(), input) > 0 ||
          read_by_new_.contains(input)) {
        continue;
      }
      const std::string name = input[0] == kCapturedPrefix ? input.substr(1) : input;
      const ValueId value = index_.Resolve(index_.node(id).scope, name);
      if (value == kNone || !index_.IsConstant(value)) {
        return FailedPrecondition(
            "node {} reads '{}', which the opset asked for can only have as an attribute, and it isn't constant",
            index_.Describe(id), name);
      }
      const NodeId producer = index_.value(value).producer;
      const bool hidden =
          producer == kNone ? HiddenInitializer(index_.value(value))
                            : std::any_of(same_.nodes[static_cast<size_t>(producer)]->attribute().begin(),
                                          same_.nodes[static_cast<size_t>(producer)]->attribute().end(), HoldsStandIn);
      if (hidden) {
        return FailedPrecondition("node {} reads '{}', whose values are needed for the opset asked for and aren't here",
                                  index_.Describe(id), name);
      }
    }
    return absl::OkStatus();
  }

  bool HiddenInitializer(const Index::Value& value) const {
    for (const onnx::TensorProto& tensor : same_.graphs[static_cast<size_t>(value.scope)]->initializer()) {
      if (tensor.name() == value.name) {
        return IsStandIn(tensor);
      }
    }
    return true;
  }

  // Attributes that stayed are the model's own, with what ONNX's representation forgets of them.
  absl::Status TakeAttributes(NodeId id, const onnx::NodeProto& before, const onnx::NodeProto& after,
                              onnx::NodeProto* node) const {
    const onnx::NodeProto& original = *index_.node(id).proto;
    node->clear_attribute();
    for (const onnx::AttributeProto& attribute : after.attribute()) {
      const auto named = [&](const onnx::AttributeProto& other) { return other.name() == attribute.name(); };
      const auto old = std::find_if(before.attribute().begin(), before.attribute().end(), named);
      const auto own = std::find_if(original.attribute().begin(), original.attribute().end(), named);
      const bool stayed = old != before.attribute().end() && own != original.attribute().end() &&
                          (attribute.has_g() || Bytes(*old) == Bytes(attribute));
      if (!stayed && HoldsStandIn(attribute)) {
        return FailedPrecondition("ONNX's converter moves the weights in node {}", index_.Describe(id));
      }
      *node->add_attribute() = stayed ? *own : attribute;
    }
    return absl::OkStatus();
  }

  const Model& model_;
  const Index& index_;
  const bool repair_resize_;
  const View same_;
  const View converted_;
  std::vector<onnx::GraphProto> results_;  // by ScopeId
  std::unordered_set<std::string> taken_;  // names of values, of all scopes
  std::unordered_set<std::string> node_names_;
  std::unordered_set<NodeId> replaced_;            // by nodes of the converter's own
  std::unordered_set<std::string> maybe_unread_;   // outputs of constants that the converter dropped
  std::unordered_map<std::string, NodeId> moved_;  // outputs that nodes of the graph at work didn't have before
  std::unordered_set<std::string> read_by_new_;    // by the converter's own nodes in the graph at work
  Names names_;                                    // new values of the graph at work: the converter's names -> ours
};

}  // namespace

absl::StatusOr<onnx::ModelProto> Rebuild(const Model& model, const Index& index, const onnx::ModelProto& same,
                                         const onnx::ModelProto& converted, int64_t from, int64_t to) {
  return Rebuilder(model, index, same, converted, from, to).Run();
}

}  // namespace gomai::opset
