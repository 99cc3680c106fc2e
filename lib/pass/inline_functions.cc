// Inlining on a copy of the model: each list of nodes is rebuilt, calls expanded from the outside in, and bodies
// visited from a list of pending ones. What becomes of one call is in function_call.h.
#include "lib/pass/inline_functions.h"

#include <algorithm>
#include <deque>

#include "lib/model/domain.h"
#include "lib/pass/function_call.h"

namespace gomai {
namespace {

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using InfoList = google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>;

std::string KeyOf(const onnx::FunctionProto& function) {
  return FunctionKey(function.domain(), function.name(), function.overload());
}

class Inliner {
 public:
  Inliner(const onnx::ModelProto& model, const Index& index, const std::set<ScopeId>& wanted, InlinedFunctions* result)
      : index_(index), wanted_(wanted), result_(result), work_(model) {
    TakeNames();
  }

  absl::StatusOr<onnx::ModelProto> Run(bool erase) {
    GOMAI_RETURN_IF_ERROR(ExpandHost(*work_.mutable_opset_import(), *work_.mutable_graph()->mutable_node(),
                                     *work_.mutable_graph()->mutable_value_info(), Described(work_.graph())));
    for (ScopeId id = 0; id < static_cast<ScopeId>(index_.scopes().size()); ++id) {
      const onnx::FunctionProto* function = index_.scope(id).function;
      if (function == nullptr || wanted_.contains(id)) {
        continue;
      }
      for (onnx::FunctionProto& copy : *work_.mutable_functions()) {
        if (KeyOf(copy) != KeyOf(*function)) {
          continue;
        }
        std::set<std::string> described(copy.input().begin(), copy.input().end());
        for (const onnx::ValueInfoProto& info : copy.value_info()) {
          described.insert(info.name());
        }
        GOMAI_RETURN_IF_ERROR(ExpandHost(*copy.mutable_opset_import(), *copy.mutable_node(), *copy.mutable_value_info(),
                                         std::move(described)));
      }
    }
    if (erase) {
      EraseFunctions();
    }
    return std::move(work_);
  }

 private:
  void TakeNames() {
    const auto infos = [&](auto& list) {
      for (auto& info : list) {
        names_.values.Take(info.name());
        ForEachSymbol(info, [&](auto& dim) { names_.symbols.Take(dim.dim_param()); });
      }
    };
    for (const Index::Value& value : index_.values()) {
      if (!wanted_.contains(index_.Outermost(value.scope))) {
        names_.values.Take(std::string(value.name));
      }
    }
    std::vector<onnx::GraphProto*> graphs = {work_.mutable_graph()};
    std::vector<NodeList*> lists;
    for (onnx::TrainingInfoProto& training : *work_.mutable_training_info()) {
      if (training.has_initialization()) {
        graphs.push_back(training.mutable_initialization());
      }
      if (training.has_algorithm()) {
        graphs.push_back(training.mutable_algorithm());
      }
    }
    std::set<std::string> inlined;
    for (const ScopeId id : wanted_) {
      inlined.insert(KeyOf(*index_.scope(id).function));
    }
    for (onnx::FunctionProto& function : *work_.mutable_functions()) {
      if (!inlined.contains(KeyOf(function))) {
        infos(*function.mutable_value_info());
        lists.push_back(function.mutable_node());
      }
    }
    while (!graphs.empty() || !lists.empty()) {
      if (!graphs.empty()) {  // stale declarations and annotations count: a value of their name would wake them
        onnx::GraphProto& graph = *graphs.back();
        graphs.pop_back();
        infos(*graph.mutable_input());
        infos(*graph.mutable_output());
        infos(*graph.mutable_value_info());
        for (const onnx::TensorProto& tensor : graph.initializer()) {
          names_.values.Take(tensor.name());
        }
        for (const onnx::TensorAnnotation& annotation : graph.quantization_annotation()) {
          names_.values.Take(annotation.tensor_name());
        }
        lists.push_back(graph.mutable_node());
        continue;
      }
      NodeList& list = *lists.back();
      lists.pop_back();
      for (onnx::NodeProto& node : list) {
        for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
          for (onnx::GraphProto* body : BodiesOf(attribute)) {
            graphs.push_back(body);
          }
        }
      }
    }
    for (const Index::Node& node : index_.nodes()) {
      if (!wanted_.contains(index_.Outermost(node.scope))) {
        names_.nodes.Take(node.proto->name());
      }
    }
  }

  static std::set<std::string> Described(const onnx::GraphProto& graph) {
    std::set<std::string> names;
    for (const auto* list : {&graph.input(), &graph.output(), &graph.value_info()}) {
      for (const onnx::ValueInfoProto& info : *list) {
        names.insert(info.name());
      }
    }
    return names;
  }

  bool IsWantedCall(const onnx::NodeProto& node) const {
    const ScopeId callee = index_.CalledFunction(node);
    return callee != kNone && wanted_.contains(callee);
  }

  // The main graph or a function that stays, with its bodies.
  absl::Status ExpandHost(google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports, NodeList& nodes,
                          InfoList& infos, std::set<std::string> described) {
    struct Place {
      NodeList* nodes;
      InfoList* infos;
      std::set<std::string> described;
    };
    imports_ = &imports;
    std::deque<Place> places;
    places.push_back({&nodes, &infos, std::move(described)});
    while (!places.empty()) {
      Place place = std::move(places.front());
      places.pop_front();
      infos_ = place.infos;
      described_ = std::move(place.described);
      GOMAI_RETURN_IF_ERROR(ExpandList(*place.nodes));
      for (onnx::NodeProto& node : *place.nodes) {
        for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
          for (onnx::GraphProto* body : BodiesOf(attribute)) {
            places.push_back({body->mutable_node(), body->mutable_value_info(), Described(*body)});
          }
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status ExpandList(NodeList& nodes) {
    bool any = false;
    for (const onnx::NodeProto& node : nodes) {
      any = any || IsWantedCall(node);
    }
    if (!any) {
      return absl::OkStatus();
    }
    NodeList old;
    old.Swap(&nodes);
    for (onnx::NodeProto& first : old) {
      std::vector<onnx::NodeProto> pending(1);
      pending[0].Swap(&first);
      while (!pending.empty()) {
        onnx::NodeProto node;
        node.Swap(&pending.back());
        pending.pop_back();
        if (!IsWantedCall(node)) {
          nodes.Add()->Swap(&node);
          continue;
        }
        std::vector<onnx::NodeProto> expanded;
        GOMAI_RETURN_IF_ERROR(Expand(node, &expanded));
        for (auto at = expanded.rbegin(); at != expanded.rend(); ++at) {
          pending.emplace_back().Swap(&*at);
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status Expand(const onnx::NodeProto& call, std::vector<onnx::NodeProto>* nodes) {
    const ScopeId function = index_.CalledFunction(call);
    ++result_->calls[function];
    FunctionCall expansion(call, *index_.scope(function).function, index_.ScopeName(function), names_);
    GOMAI_RETURN_IF_ERROR(expansion.Expand(nodes));
    for (onnx::ValueInfoProto& info : expansion.Infos()) {
      if (described_.insert(info.name()).second) {
        infos_->Add()->Swap(&info);
      }
    }
    return AddImports(function);
  }

  absl::Status AddImports(ScopeId function) {
    GOMAI_ASSIGN_OR_RETURN(const auto needed, NeededOpsets(index_, function, wanted_));
    for (const auto& [domain, version] : needed) {
      bool there = false;
      for (const onnx::OperatorSetIdProto& import : *imports_) {
        there = there || NormalDomain(import.domain()) == domain;
      }
      if (!there) {
        onnx::OperatorSetIdProto& import = *imports_->Add();
        import.set_domain(domain);
        import.set_version(version);
      }
    }
    return absl::OkStatus();
  }

  void EraseFunctions() {
    std::set<std::string> keys;
    std::set<std::string> domains;
    for (const ScopeId id : wanted_) {
      const onnx::FunctionProto& function = *index_.scope(id).function;
      keys.insert(KeyOf(function));
      domains.insert(std::string(NormalDomain(function.domain())));
    }
    auto& functions = *work_.mutable_functions();
    functions.erase(std::remove_if(functions.begin(), functions.end(),
                                   [&](const onnx::FunctionProto& function) { return keys.contains(KeyOf(function)); }),
                    functions.end());
    const Index after(work_);
    std::set<std::string> used = {""};
    for (const Index::Node& node : after.nodes()) {
      used.insert(std::string(NormalDomain(node.proto->domain())));
    }
    for (const onnx::FunctionProto& function : functions) {
      used.insert(std::string(NormalDomain(function.domain())));
    }
    if (work_.training_info_size() > 0) {
      return;  // its graphs use the model's imports
    }
    auto& imports = *work_.mutable_opset_import();
    imports.erase(std::remove_if(imports.begin(), imports.end(),
                                 [&](const onnx::OperatorSetIdProto& import) {
                                   const std::string domain(NormalDomain(import.domain()));
                                   const bool goes = domains.contains(domain) && !used.contains(domain);
                                   if (goes) {
                                     result_->domains.push_back(domain);
                                   }
                                   return goes;
                                 }),
                  imports.end());
  }

  const Index& index_;
  const std::set<ScopeId>& wanted_;
  InlinedFunctions* result_;
  onnx::ModelProto work_;
  InlineNames names_;
  google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>* imports_ = nullptr;  // of the host
  InfoList* infos_ = nullptr;                                                        // of the graph at hand
  std::set<std::string> described_;                                                  // there
};

}  // namespace

absl::StatusOr<onnx::ModelProto> InlineFunctions(const onnx::ModelProto& model, const Index& index,
                                                 const std::set<ScopeId>& wanted, bool erase,
                                                 InlinedFunctions* result) {
  return Inliner(model, index, wanted, result).Run(erase);
}

}  // namespace gomai
