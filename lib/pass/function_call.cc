// One call expanded: first what the function's own names mean outside, then node by node, bodies from a list of pending
// ones. See function_call.h.
#include "lib/pass/function_call.h"

#include <algorithm>
#include <set>

#include "lib/model/attribute.h"

namespace gomai {
namespace {

std::string CallText(const onnx::NodeProto& call, std::string_view function) {
  if (!call.name().empty()) {
    return fmt::format("the call {} of {}", call.name(), function);
  }
  return call.output_size() == 0 ? fmt::format("a call of {}", function)
                                 : fmt::format("the call of {} that gives '{}'", function, call.output(0));
}

}  // namespace

std::string TakenNames::Fresh(const std::string& stem) {
  std::string name = stem;
  if (taken_.insert(name).second) {
    return name;
  }
  int& i = next_[stem];
  do {
    name = fmt::format("{}_{}", stem, ++i);
  } while (!taken_.insert(name).second);
  return name;
}

std::vector<onnx::GraphProto*> BodiesOf(onnx::AttributeProto& attribute) {
  std::vector<onnx::GraphProto*> bodies;
  if (attribute.has_g()) {
    bodies.push_back(attribute.mutable_g());
  }
  for (onnx::GraphProto& graph : *attribute.mutable_graphs()) {
    bodies.push_back(&graph);
  }
  return bodies;
}

FunctionCall::FunctionCall(const onnx::NodeProto& call, const onnx::FunctionProto& function,
                           std::string_view function_name, InlineNames& names)
    : call_(call), function_(function), where_(CallText(call, function_name)), names_(names) {}

absl::Status FunctionCall::Expand(std::vector<onnx::NodeProto>* nodes) {
  if (call_.input_size() > function_.input_size() || call_.output_size() > function_.output_size()) {
    return FailedPrecondition("{} has {} inputs and {} outputs, and the function {} and {}", where_, call_.input_size(),
                              call_.output_size(), function_.input_size(), function_.output_size());
  }
  if (call_.device_configurations_size() > 0) {
    return FailedPrecondition("{} has device configurations, which would be lost", where_);
  }
  for (int i = 0; i < function_.input_size(); ++i) {
    env_.names[function_.input(i)] = i < call_.input_size() ? call_.input(i) : "";
  }
  std::unordered_set<std::string_view> made;
  for (const onnx::NodeProto& node : function_.node()) {
    made.insert(node.output().begin(), node.output().end());
  }
  std::vector<std::pair<std::string, std::string>> passed_on;  // name in the function, name outside
  for (int i = 0; i < call_.output_size(); ++i) {
    const std::string& inner = function_.output(i);
    if (call_.output(i).empty()) {
      continue;
    }
    if (!made.contains(inner) || !env_.names.emplace(inner, call_.output(i)).second) {
      passed_on.emplace_back(inner, call_.output(i));
    }
  }
  for (const onnx::NodeProto& node : function_.node()) {
    for (const std::string& output : node.output()) {
      if (!output.empty() && !env_.names.contains(output)) {
        env_.names.emplace(output, names_.values.Fresh(output));
      }
    }
  }
  for (const onnx::NodeProto& node : function_.node()) {
    nodes->push_back(node);
    GOMAI_RETURN_IF_ERROR(Adapt(nodes->back()));
  }
  for (const auto& [inner, outer] : passed_on) {
    const auto from = env_.names.find(inner);
    if (from == env_.names.end() || from->second.empty()) {
      return FailedPrecondition("{} reads output '{}', which the function gives no value there", where_, inner);
    }
    onnx::NodeProto& identity = nodes->emplace_back();
    identity.set_op_type("Identity");
    identity.set_name(names_.nodes.Fresh(outer + "_Identity"));
    identity.add_input(from->second);
    identity.add_output(outer);
    *identity.mutable_metadata_props() = call_.metadata_props();
  }
  return absl::OkStatus();
}

std::vector<onnx::ValueInfoProto> FunctionCall::Infos() {
  std::vector<onnx::ValueInfoProto> infos;
  for (const onnx::ValueInfoProto& info : function_.value_info()) {
    const auto name = env_.names.find(info.name());
    if (name == env_.names.end() || name->second.empty() ||
        std::find(function_.input().begin(), function_.input().end(), info.name()) != function_.input().end()) {
      continue;
    }
    onnx::ValueInfoProto& copy = infos.emplace_back(info);
    copy.set_name(name->second);
    RenameSymbols(copy);
  }
  return infos;
}

void FunctionCall::RenameSymbols(onnx::ValueInfoProto& info) {
  ForEachSymbol(info, [&](auto& dim) {
    auto entry = symbols_.find(dim.dim_param());
    if (entry == symbols_.end()) {
      entry = symbols_.emplace(dim.dim_param(), names_.symbols.Fresh(dim.dim_param())).first;
    }
    dim.set_dim_param(entry->second);
  });
}

// nullptr: nothing in the function has that name.
const std::string* FunctionCall::Look(const Env& env, const std::string& name) {
  for (const Env* at = &env; at != nullptr; at = at->outer) {
    if (const auto entry = at->names.find(name); entry != at->names.end()) {
      return &entry->second;
    }
  }
  return nullptr;
}

// A node of the function, with all that is in it, as it stands where the function is called.
absl::Status FunctionCall::Adapt(onnx::NodeProto& root) {
  std::deque<Env> envs;  // of bodies; addresses stay
  std::vector<std::pair<onnx::NodeProto*, const Env*>> pending = {{&root, &env_}};
  while (!pending.empty()) {
    onnx::NodeProto& node = *pending.back().first;
    const Env& scope = *pending.back().second;
    pending.pop_back();
    for (auto* list : {node.mutable_input(), node.mutable_output()}) {
      for (std::string& name : *list) {
        GOMAI_RETURN_IF_ERROR(Rename(scope, name));
      }
    }
    for (onnx::NodeDeviceConfigurationProto& device : *node.mutable_device_configurations()) {
      for (onnx::ShardingSpecProto& sharding : *device.mutable_sharding_spec()) {
        GOMAI_RETURN_IF_ERROR(Rename(scope, *sharding.mutable_tensor_name()));
      }
    }
    if (!node.name().empty()) {
      node.set_name(names_.nodes.Fresh(node.name()));
    }
    if (!node.has_doc_string() && call_.has_doc_string()) {
      node.set_doc_string(call_.doc_string());
    }
    AddMetadata(node);
    GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::GraphProto*> bodies, GiveAttributes(node));
    for (onnx::GraphProto* body : bodies) {
      envs.push_back({{}, &scope});
      GOMAI_RETURN_IF_ERROR(AdaptBody(*body, envs.back()));
      for (onnx::NodeProto& inner : *body->mutable_node()) {
        pending.emplace_back(&inner, &envs.back());
      }
    }
  }
  return absl::OkStatus();
}

absl::Status FunctionCall::Rename(const Env& env, std::string& name) const {
  if (name.empty()) {
    return absl::OkStatus();
  }
  const std::string* renamed = Look(env, name);
  if (renamed == nullptr) {
    return FailedPrecondition("{} can't be inlined: the function reads '{}', which nothing in it defines", where_,
                              name);
  }
  name = *renamed;
  return absl::OkStatus();
}

void FunctionCall::AddMetadata(onnx::NodeProto& node) const {
  const int own = node.metadata_props_size();
  for (const onnx::StringStringEntryProto& entry : call_.metadata_props()) {
    bool there = false;
    for (int i = 0; i < own; ++i) {
      there = there || node.metadata_props(i).key() == entry.key();
    }
    if (!there) {
      *node.add_metadata_props() = entry;
    }
  }
}

// Attributes that the caller gives, or the function's defaults; absent ones go. Gives the bodies that are the
// function's own: those that the caller gives read what the caller has.
absl::StatusOr<std::vector<onnx::GraphProto*>> FunctionCall::GiveAttributes(onnx::NodeProto& node) const {
  google::protobuf::RepeatedPtrField<onnx::AttributeProto> old;
  old.Swap(node.mutable_attribute());
  std::set<const onnx::AttributeProto*> given;
  for (onnx::AttributeProto& attribute : old) {
    if (attribute.ref_attr_name().empty()) {
      node.add_attribute()->Swap(&attribute);
      continue;
    }
    const onnx::AttributeProto* value = FindAttribute(call_, attribute.ref_attr_name());
    for (int i = 0; value == nullptr && i < function_.attribute_proto_size(); ++i) {
      if (function_.attribute_proto(i).name() == attribute.ref_attr_name()) {
        value = &function_.attribute_proto(i);
      }
    }
    if (value == nullptr) {
      continue;
    }
    if (attribute.type() != value->type() && attribute.type() != onnx::AttributeProto::UNDEFINED &&
        value->type() != onnx::AttributeProto::UNDEFINED) {
      return FailedPrecondition("{} gives attribute '{}' the type {}, and {} in the function needs {}", where_,
                                value->name(), onnx::AttributeProto::AttributeType_Name(value->type()), node.op_type(),
                                onnx::AttributeProto::AttributeType_Name(attribute.type()));
    }
    onnx::AttributeProto& copy = *node.add_attribute();
    copy = *value;
    copy.set_name(attribute.name());
    if (attribute.has_doc_string()) {
      copy.set_doc_string(attribute.doc_string());
    }
    given.insert(&copy);
  }
  std::vector<onnx::GraphProto*> bodies;
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (!given.contains(&attribute)) {
      const std::vector<onnx::GraphProto*> own = BodiesOf(attribute);
      bodies.insert(bodies.end(), own.begin(), own.end());
    }
  }
  return bodies;
}

// Gives what a body defines fresh names, in `env`, and renames all in it but its nodes.
absl::Status FunctionCall::AdaptBody(onnx::GraphProto& graph, Env& env) {
  const auto define = [&](const std::string& name) {
    if (!name.empty() && !env.names.contains(name)) {
      env.names.emplace(name, names_.values.Fresh(name));
    }
  };
  for (const onnx::ValueInfoProto& input : graph.input()) {
    define(input.name());
  }
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    define(tensor.name());
  }
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
    define(tensor.values().name());
  }
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) {
      define(output);
    }
  }
  for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
    GOMAI_RETURN_IF_ERROR(Rename(env, *tensor.mutable_name()));
  }
  for (onnx::SparseTensorProto& tensor : *graph.mutable_sparse_initializer()) {
    GOMAI_RETURN_IF_ERROR(Rename(env, *tensor.mutable_values()->mutable_name()));
  }
  for (auto* list : {graph.mutable_input(), graph.mutable_output()}) {
    for (onnx::ValueInfoProto& info : *list) {
      GOMAI_RETURN_IF_ERROR(Rename(env, *info.mutable_name()));
      RenameSymbols(info);
      if (info.name().empty()) {
        return FailedPrecondition("{} can't be inlined: a body in it gives an input that the call leaves out", where_);
      }
    }
  }
  for (onnx::ValueInfoProto& info : *graph.mutable_value_info()) {
    if (const std::string* name = Look(env, info.name()); name != nullptr && !name->empty()) {
      info.set_name(*name);
    } else {
      info.set_name(names_.values.Fresh(info.name()));  // of no value: it must not become one's
    }
    RenameSymbols(info);
  }
  for (onnx::TensorAnnotation& annotation : *graph.mutable_quantization_annotation()) {
    GOMAI_RETURN_IF_ERROR(Rename(env, *annotation.mutable_tensor_name()));
    for (onnx::StringStringEntryProto& entry : *annotation.mutable_quant_parameter_tensor_names()) {
      GOMAI_RETURN_IF_ERROR(Rename(env, *entry.mutable_value()));
    }
  }
  return absl::OkStatus();
}

}  // namespace gomai
