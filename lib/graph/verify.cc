// Verify: one look at every scope, node, attribute and tensor. Works on what the index makes of a broken graph: it
// keeps the first definition of a name and marks unresolved inputs, and the rest is read off the proto. All walks are
// over lists or by worklist, and each fault is reported where it is, so time is linear in the model and its faults.
#include "lib/graph/verify.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "lib/graph/order.h"
#include "lib/graph/verify_attributes.h"
#include "lib/graph/verify_tensors.h"
#include "lib/model/domain.h"

namespace gomai {
namespace {

constexpr size_t kListed = 8;

class Verifier {
 public:
  Verifier(const Model& model, const Index& index) : proto_(model.proto()), index_(index), tensors_(model) {}

  std::vector<Fault> Run() {
    CheckModel();
    CheckFunctions();
    for (ScopeId id = 0; id < static_cast<ScopeId>(index_.scopes().size()); ++id) {
      const ScopeId parent = index_.scope(id).parent;
      roots_.push_back(parent == kNone ? id : roots_[static_cast<size_t>(parent)]);
    }
    CheckRecursion();
    CheckOpsets();
    for (ScopeId id = 0; id < static_cast<ScopeId>(index_.scopes().size()); ++id) {
      CheckScope(id);
    }
    return std::move(faults_);
  }

 private:
  void Report(FaultKind kind, std::string location, std::string message) {
    faults_.push_back({kind, std::move(location), std::move(message)});
  }

  std::string InScope(ScopeId id, std::string_view what) const {
    return id == index_.main_scope() ? std::string(what) : fmt::format("{} {}", index_.ScopeName(id), what);
  }

  void CheckModel() {
    if (!proto_.has_ir_version()) {
      Report(FaultKind::kBadStructure, "model", "has no IR version");
    }
    if (!proto_.has_graph()) {
      Report(FaultKind::kBadStructure, "model", "has no graph");
    }
    CheckImports(proto_.opset_import(), "model");
  }

  void CheckImports(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports,
                    const std::string& where) {
    std::map<std::string_view, int64_t> versions;
    for (const onnx::OperatorSetIdProto& import : imports) {
      const auto [entry, is_new] = versions.try_emplace(NormalDomain(import.domain()), import.version());
      if (!is_new && entry->second != import.version()) {
        Report(FaultKind::kBadStructure, where,
               fmt::format("imports opset {} and {} of domain {}", entry->second, import.version(),
                           DomainText(entry->first)));
      }
    }
  }

  void CheckFunctions() {
    std::set<std::string> keys;
    for (int i = 0; i < proto_.functions_size(); ++i) {
      const onnx::FunctionProto& function = proto_.functions(i);
      const std::string where = fmt::format("function {}", function.name());
      if (function.name().empty()) {
        Report(FaultKind::kBadStructure, fmt::format("function #{}", i), "has no name");
      } else if (!keys.insert(FunctionKey(function.domain(), function.name(), function.overload())).second) {
        Report(FaultKind::kDuplicateDefinition, where,
               fmt::format("is defined more than once in domain {}", DomainText(function.domain())));
      }
      CheckImports(function.opset_import(), where);
      CheckAttributes(function.attribute_proto(), where, nullptr);
    }
  }

  void CheckRecursion() {
    std::vector<std::vector<int32_t>> calls(index_.scopes().size());
    for (const Index::Node& node : index_.nodes()) {
      if (const ScopeId callee = index_.CalledFunction(*node.proto); callee != kNone) {
        calls[static_cast<size_t>(roots_[static_cast<size_t>(node.scope)])].push_back(callee);
      }
    }
    for (const std::vector<int32_t>& cycle : FindCycles(calls)) {
      std::string names;
      for (size_t i = 0; i < std::min(cycle.size(), kListed); ++i) {
        names += fmt::format("{}{}", i == 0 ? "" : ", ", index_.scope(cycle[i]).function->name());
      }
      if (cycle.size() > kListed) {
        names += fmt::format(" and {} more", cycle.size() - kListed);
      }
      Report(FaultKind::kRecursiveFunction, index_.ScopeName(cycle.front()),
             cycle.size() == 1 ? "calls itself" : fmt::format("calls itself through {}", names));
    }
  }

  void CheckOpsets() {
    std::map<ScopeId, std::set<std::string_view>> imported;  // by main graph or function
    for (ScopeId id = 0; id < static_cast<ScopeId>(index_.scopes().size()); ++id) {
      const Index::Scope& scope = index_.scope(id);
      if (scope.parent == kNone) {
        for (const onnx::OperatorSetIdProto& import :
             scope.function != nullptr ? scope.function->opset_import() : proto_.opset_import()) {
          imported[id].insert(NormalDomain(import.domain()));
        }
      }
    }
    // Up to IR 2 there were no imports: version 1 of ONNX's own operators was meant.
    const bool implicit = proto_.has_ir_version() && proto_.ir_version() < 3;
    for (NodeId id = 0; id < static_cast<NodeId>(index_.nodes().size()); ++id) {
      const Index::Node& node = index_.node(id);
      const std::string_view domain = NormalDomain(node.proto->domain());
      const ScopeId root = roots_[static_cast<size_t>(node.scope)];
      if ((!implicit || !domain.empty()) && imported[root].insert(domain).second) {
        Report(FaultKind::kMissingOpset, index_.Describe(id),
               fmt::format("is of domain {}, for which {} imports no opset", DomainText(domain),
                           root == index_.main_scope() ? "the model" : index_.ScopeName(root)));
      }
    }
  }

  void CheckScope(ScopeId id) {
    const Index::Scope& scope = index_.scope(id);
    CheckGraphDefinitions(id);
    FindScopeCycles(id);
    for (const NodeId node : scope.nodes) {
      CheckNode(node);
    }
    if (scope.graph != nullptr) {
      for (int i = 0; i < scope.graph->output_size(); ++i) {
        CheckOutput(id, i, scope.graph->output(i).name());
      }
    } else {
      for (int i = 0; i < scope.function->output_size(); ++i) {
        CheckOutput(id, i, scope.function->output(i));
      }
    }
  }

  // Inputs and initializers; node outputs are checked with their nodes.
  void CheckGraphDefinitions(ScopeId id) {
    const Index::Scope& scope = index_.scope(id);
    std::unordered_set<std::string_view> seen;
    const auto input = [&](int i, const std::string& name) {
      const std::string where = fmt::format("{} input {} \"{}\"", index_.ScopeName(id), i, name);
      if (name.empty()) {
        Report(FaultKind::kBadStructure, fmt::format("{} input {}", index_.ScopeName(id), i), "has no name");
      } else if (!seen.insert(name).second) {
        Report(FaultKind::kDuplicateDefinition, where, "is an input already");
      } else {
        CheckShadowing(id, name, where);
      }
    };
    if (scope.function != nullptr) {
      for (int i = 0; i < scope.function->input_size(); ++i) {
        input(i, scope.function->input(i));
      }
      return;
    }
    for (int i = 0; i < scope.graph->input_size(); ++i) {
      input(i, scope.graph->input(i).name());
    }
    for (int i = 0; i < scope.graph->initializer_size(); ++i) {
      const onnx::TensorProto& tensor = scope.graph->initializer(i);
      const ValueId value = index_.FindValue(id, tensor.name());
      CheckInitializer(id, i, "initializer", tensor.name(),
                       value == kNone || index_.value(value).initializer == &tensor);
      ReportTensor(tensors_.Check(tensor), InScope(id, Quote("initializer", tensor.name(), i)));
    }
    for (int i = 0; i < scope.graph->sparse_initializer_size(); ++i) {
      const onnx::SparseTensorProto& tensor = scope.graph->sparse_initializer(i);
      const std::string& name = tensor.values().name();
      const ValueId value = index_.FindValue(id, name);
      CheckInitializer(id, i, "sparse initializer", name,
                       value == kNone || (index_.value(value).sparse_initializer == &tensor &&
                                          index_.value(value).initializer == nullptr));
      ReportTensor(tensors_.Check(tensor), InScope(id, Quote("sparse initializer", name, i)));
    }
  }

  static std::string Quote(std::string_view what, const std::string& name, int position) {
    return name.empty() ? fmt::format("{} #{}", what, position) : fmt::format("{} \"{}\"", what, name);
  }

  void CheckInitializer(ScopeId id, int position, std::string_view what, const std::string& name, bool first) {
    const std::string where = InScope(id, Quote(what, name, position));
    if (name.empty()) {
      Report(FaultKind::kBadStructure, where, "has no name");
    } else if (!first) {
      Report(FaultKind::kDuplicateDefinition, where, "is an initializer already");
    } else if (index_.value(index_.FindValue(id, name)).origin == Index::Origin::kInitializer) {
      CheckShadowing(id, name, where);
    }
  }

  void ReportTensor(std::optional<TensorVerifier::Finding> finding, std::string where) {
    if (finding) {
      Report(finding->kind, std::move(where), std::move(finding->message));
    }
  }

  void CheckShadowing(ScopeId id, const std::string& name, const std::string& where) {
    const ScopeId parent = index_.scope(id).parent;
    if (parent == kNone) {
      return;
    }
    if (const ValueId outer = index_.Resolve(parent, name); outer != kNone) {
      Report(
          FaultKind::kDuplicateDefinition, where,
          fmt::format("has the name of a value of {}, which encloses it", index_.ScopeName(index_.value(outer).scope)));
    }
  }

  void FindScopeCycles(ScopeId id) {
    for (const std::vector<int32_t>& cycle : FindCycles(Dependencies(index_, id))) {
      ++cycle_count_;
      std::string names;
      for (size_t k = 0; k < cycle.size(); ++k) {
        const NodeId node = index_.scope(id).nodes[static_cast<size_t>(cycle[k])];
        cycle_of_.emplace(node, cycle_count_);
        if (k < kListed) {
          names += fmt::format("{}{}", k == 0 ? "" : ", ", index_.Describe(node));
        }
      }
      if (cycle.size() > kListed) {
        names += fmt::format(" and {} more", cycle.size() - kListed);
      }
      Report(FaultKind::kCycle, index_.Describe(index_.scope(id).nodes[static_cast<size_t>(cycle.front())]),
             cycle.size() == 1 ? "needs its own output" : fmt::format("needs its own output, in a cycle of {}", names));
    }
  }

  void CheckNode(NodeId id) {
    const Index::Node& node = index_.node(id);
    if (node.proto->op_type().empty()) {
      Report(FaultKind::kBadStructure, index_.Address(id), "has no operator type");
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const std::string& name = node.proto->input(static_cast<int>(i));
      if (name.empty()) {
        continue;
      }
      if (node.inputs[i] == kNone) {
        Report(FaultKind::kUndefinedUse, fmt::format("{} input {} \"{}\"", index_.Describe(id), i, name),
               "is defined nowhere");
      } else if (const NodeId late = ReadsBeforeMade(id, node.inputs[i]); late != kNone) {
        Report(FaultKind::kUseBeforeDefinition, fmt::format("{} input {} \"{}\"", index_.Describe(id), i, name),
               fmt::format("is read before {} makes it", index_.Describe(late)));
      }
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId value = node.outputs[i];
      if (value == kNone) {
        continue;
      }
      const std::string& name = node.proto->output(static_cast<int>(i));
      const Index::Value& defined = index_.value(value);
      if (defined.producer != id || defined.output != static_cast<int>(i)) {
        Report(FaultKind::kDuplicateDefinition, fmt::format("{} output {} \"{}\"", index_.Describe(id), i, name),
               defined.producer != kNone ? fmt::format("is defined already by {}", index_.Describe(defined.producer))
               : defined.origin == Index::Origin::kInput ? "is an input already"
                                                         : "is an initializer already");
      } else if (index_.scope(node.scope).parent != kNone &&
                 index_.Resolve(index_.scope(node.scope).parent, name) != kNone) {
        CheckShadowing(node.scope, name, fmt::format("{} output {} \"{}\"", index_.Describe(id), i, name));
      }
    }
    const Index::Scope& root = index_.scope(roots_[static_cast<size_t>(node.scope)]);
    if (node.proto->attribute_size() > 0) {
      CheckAttributes(node.proto->attribute(), "", root.function, id);
    }
  }

  // The node that makes `value`, if it stands after `reader` (or after the node that `reader` is inside) and no cycle
  // explains that already.
  NodeId ReadsBeforeMade(NodeId reader, ValueId value) const {
    const Index::Value& read = index_.value(value);
    if (read.producer == kNone) {
      return kNone;
    }
    while (index_.node(reader).scope != read.scope) {
      reader = index_.scope(index_.node(reader).scope).owner;
    }
    if (read.producer < reader || read.producer == reader) {
      return kNone;  // reading its own output is a cycle
    }
    const auto a = cycle_of_.find(reader);
    const auto b = cycle_of_.find(read.producer);
    return a != cycle_of_.end() && b != cycle_of_.end() && a->second == b->second ? kNone : read.producer;
  }

  void CheckOutput(ScopeId id, int position, const std::string& name) {
    const std::string where = fmt::format("{} output {}", index_.ScopeName(id), position);
    if (name.empty()) {
      Report(FaultKind::kBadStructure, where, "has no name");
      return;
    }
    const ValueId value = index_.Resolve(id, name);
    if (value == kNone) {
      Report(FaultKind::kUndefinedOutput, fmt::format("{} \"{}\"", where, name), "is defined nowhere");
    } else if (index_.value(value).scope != id) {
      if (const NodeId late = ReadsBeforeMade(index_.scope(id).owner, value); late != kNone) {
        Report(FaultKind::kUseBeforeDefinition, fmt::format("{} \"{}\"", where, name),
               fmt::format("is read before {} makes it", index_.Describe(late)));
      }
    }
  }

  void CheckAttributes(const google::protobuf::RepeatedPtrField<onnx::AttributeProto>& attributes,
                       const std::string& where, const onnx::FunctionProto* function, NodeId node = kNone) {
    std::unordered_set<std::string_view> names;
    for (int i = 0; i < attributes.size(); ++i) {
      const onnx::AttributeProto& attribute = attributes.Get(i);
      const auto location = [&] {
        return fmt::format("{} {}", node == kNone ? where : index_.Describe(node),
                           Quote("attribute", attribute.name(), i));
      };
      if (attribute.name().empty()) {
        Report(FaultKind::kBadAttribute, location(), "has no name");
      } else if (!names.insert(attribute.name()).second) {
        Report(FaultKind::kBadAttribute, location(), "occurs more than once");
      }
      if (std::string message = AttributeFault(attribute, function, proto_); !message.empty()) {
        Report(FaultKind::kBadAttribute, location(), std::move(message));
      }
      const auto tensor = [&](const auto& payload, const std::string& suffix) {
        if (std::optional<TensorVerifier::Finding> finding = tensors_.Check(payload)) {
          Report(finding->kind, location() + suffix, std::move(finding->message));
        }
      };
      if (attribute.has_t()) {
        tensor(attribute.t(), "");
      }
      if (attribute.has_sparse_tensor()) {
        tensor(attribute.sparse_tensor(), "");
      }
      for (int k = 0; k < attribute.tensors_size(); ++k) {
        tensor(attribute.tensors(k), fmt::format("[{}]", k));
      }
      for (int k = 0; k < attribute.sparse_tensors_size(); ++k) {
        tensor(attribute.sparse_tensors(k), fmt::format("[{}]", k));
      }
    }
  }

  const onnx::ModelProto& proto_;
  const Index& index_;
  TensorVerifier tensors_;
  std::vector<Fault> faults_;
  std::vector<ScopeId> roots_;                // by ScopeId: main graph or function
  std::unordered_map<NodeId, int> cycle_of_;  // for nodes in cycles: which
  int cycle_count_ = 0;
};

}  // namespace

std::vector<Fault> Verify(const Model& model, const Index& index) { return Verifier(model, index).Run(); }

absl::Status VerifyForWriting(const Model& model, const Index& index) {
  std::string text;
  size_t count = 0;
  for (const Fault& fault : Verify(model, index)) {
    if (fault.kind != FaultKind::kUseBeforeDefinition && ++count <= 3) {
      text += fmt::format("{}{} {}", text.empty() ? "" : "; ", fault.location, fault.message);
    }
  }
  if (count == 0) {
    return absl::OkStatus();
  }
  return DataLoss("the model's structure is broken: {}{}; gomai-info lists every fault", text,
                  count > 3 ? fmt::format("; and {} more", count - 3) : "");
}

}  // namespace gomai
