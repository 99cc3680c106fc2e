// Resolving a plan: which nodes, inputs and outputs each part gets; see split.h.
//
// The parts are filled in the plan's order by walking backwards from what each must produce, stopping at nodes that an
// earlier part has, at constants and at the model's inputs. Everything else follows from that one assignment: inputs
// are what a part's nodes read from elsewhere, outputs what others read. `rest` is the part that produces the model's
// outputs.
#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/shape/interval.h"
#include "lib/split/presets.h"
#include "lib/split/rules.h"
#include "lib/split/selector.h"
#include "lib/split/split.h"

namespace gomai {
namespace {

constexpr int kUnassigned = -2;
constexpr int kCopied = -1;

class Resolver {
 public:
  Resolver(const Plan& plan, const Model& model, const Index& index, const Shapes& shapes,
           const ResolveOptions& options, const Diagnostics& diagnostics)
      : plan_(plan), model_(model), index_(index), shapes_(shapes), options_(options), diagnostics_(diagnostics) {}

  absl::StatusOr<Split> Resolve() {
    GOMAI_RETURN_IF_ERROR(CheckPlanNames(plan_));
    GOMAI_ASSIGN_OR_RETURN(order_, TopologicalOrder(index_, index_.main_scope()));
    if (order_ != index_.scope(index_.main_scope()).nodes) {
      diagnostics_.Warn(model_.path().string(),
                        "its nodes are out of order: some stand before what they read; the parts "
                        "are written in order");
    }
    part_of_.assign(index_.nodes().size(), kUnassigned);
    GOMAI_ASSIGN_OR_RETURN(aliases_, ResolveAliasNames());
    for (size_t k = 0; k < plan_.parts.size(); ++k) {
      GOMAI_RETURN_IF_ERROR(Assign(k));
    }
    AssignRest();
    MoveShapes();
    FillNodes();
    GOMAI_RETURN_IF_ERROR(FillInputs());
    FillOutputs();
    DropEmptyRest();
    GOMAI_RETURN_IF_ERROR(CheckRules(plan_, split_, index_, aliases_));
    GOMAI_RETURN_IF_ERROR(FillTypes(index_, shapes_, options_, diagnostics_, split_));
    GOMAI_RETURN_IF_ERROR(FillRows());
    split_.aliases = aliases_;
    split_.part_of_node.reserve(index_.scope(index_.main_scope()).nodes.size());
    for (const NodeId node : index_.scope(index_.main_scope()).nodes) {
      split_.part_of_node.push_back(PartOf(node));
    }
    return std::move(split_);
  }

 private:
  int& PartOf(NodeId node) { return part_of_[static_cast<size_t>(node)]; }
  std::string Name(ValueId value) const { return std::string(index_.value(value).name); }

  // All that a node of the main graph reads: its inputs and what its bodies capture.
  template <typename Visit>
  void ForEachRead(NodeId node, const Visit& visit) const {
    for (const ValueId input : index_.node(node).inputs) {
      if (input != kNone) {
        visit(input);
      }
    }
    for (const ValueId capture : index_.node(node).captures) {
      visit(capture);
    }
  }

  absl::StatusOr<std::map<std::string, std::string>> ResolveAliasNames() {
    const bool any_selector = std::any_of(plan_.aliases.begin(), plan_.aliases.end(), [](const auto& alias) {
      return alias.second.starts_with(kScopePrefix) || alias.first.find("{i}") != std::string::npos;
    });
    if (any_selector) {
      return gomai::ResolveAliases(plan_.aliases, index_, /*optional=*/false);
    }
    for (const auto& [friendly, tensor] : plan_.aliases) {
      if (const auto value = index_.RequireValue(tensor); !value.ok()) {
        return Annotate(value.status(), fmt::format("alias '{}'", friendly));
      }
    }
    return plan_.aliases;
  }

  // Gives part k every node that the values need and that no part has yet; returns how many.
  size_t Claim(int k, std::vector<ValueId> wanted) {
    size_t claimed = 0;
    while (!wanted.empty()) {
      const ValueId value = wanted.back();
      wanted.pop_back();
      const NodeId producer = index_.value(value).producer;
      if (producer == kNone || index_.IsConstant(value) || PartOf(producer) != kUnassigned) {
        continue;
      }
      PartOf(producer) = k;
      ++claimed;
      ForEachRead(producer, [&](ValueId read) { wanted.push_back(read); });
    }
    return claimed;
  }

  absl::Status Assign(size_t k) {
    const PlanPart& plan_part = plan_.parts[k];
    SplitPart part{.name = plan_part.name, .device = plan_part.device, .pipeline = plan_part.pipeline};
    std::set<ValueId> seen;
    for (const std::string& selector : plan_part.outputs) {
      const bool scope = selector.starts_with(kScopePrefix) && index_.FindValue(index_.main_scope(), selector) == kNone;
      const absl::StatusOr<std::vector<ValueId>> values = SelectNamed(index_, aliases_, selector);
      if (!values.ok()) {
        return Annotate(values.status(), fmt::format("part '{}'", plan_part.name));
      }
      for (const ValueId id : *values) {
        const Index::Value& value = index_.value(id);
        if (index_.IsConstant(id)) {
          return InvalidArgument(
              "part '{}' asks for '{}', which is a constant: constants are copied to where they are read "
              "and never cross a cut",
              plan_part.name, value.name);
        }
        if (value.producer == kNone) {
          return InvalidArgument("part '{}' asks for '{}', which no node produces: it is an input of the model",
                                 plan_part.name, value.name);
        }
        if (const int owner = PartOf(value.producer); owner >= 0) {
          // What a scope yields may have been needed earlier; a tensor asked for by name was meant to be made here.
          if (!scope) {
            return InvalidArgument(
                "part '{}' asks for '{}', which the earlier part '{}' already produces; ask for it there",
                plan_part.name, value.name, split_.parts[static_cast<size_t>(owner)].name);
          }
          diagnostics_.Note(plan_part.name, "'{}' is already produced by the earlier part '{}'", value.name,
                            split_.parts[static_cast<size_t>(owner)].name);
          continue;
        }
        if (seen.insert(id).second) {
          part.outputs.push_back(id);
        } else if (!scope) {
          return InvalidArgument("part '{}' asks for '{}' twice", plan_part.name, value.name);
        }
      }
    }
    const size_t claimed = Claim(static_cast<int>(k), part.outputs);
    if (claimed == 0) {
      return InvalidArgument("part '{}' would get no node: earlier parts already produce all that it asks for",
                             plan_part.name);
    }
    split_.parts.push_back(std::move(part));
    return absl::OkStatus();
  }

  void AssignRest() {
    const int rest = static_cast<int>(plan_.parts.size());
    std::vector<ValueId> wanted;
    for (const onnx::ValueInfoProto& output : model_.proto().graph().output()) {
      if (const ValueId value = index_.FindValue(index_.main_scope(), output.name()); value != kNone) {
        wanted.push_back(value);
      }
    }
    Claim(rest, wanted);
    split_.parts.push_back({.name = "rest", .device = "cpu"});
    // The model's outputs that rest itself must give, in the model's order: produced here, or passed through.
    for (const ValueId value : wanted) {
      const NodeId producer = index_.value(value).producer;
      const bool constant_output = producer != kNone && index_.IsConstant(value);
      if (producer == kNone || constant_output || PartOf(producer) == rest) {
        split_.parts.back().outputs.push_back(value);
      }
    }
  }

  // A value that part k reads only through Shape crosses as its Shape: those Shape nodes go to the part that makes it.
  void MoveShapes() {
    const int parts = static_cast<int>(split_.parts.size());
    for (size_t v = 0; v < index_.values().size(); ++v) {
      const Index::Value& value = index_.value(static_cast<ValueId>(v));
      if (value.scope != index_.main_scope() || value.producer == kNone || index_.IsConstant(static_cast<ValueId>(v))) {
        continue;
      }
      const int home = PartOf(value.producer);
      if (home < 0 || split_.parts[static_cast<size_t>(home)].device == "npu") {
        continue;
      }
      std::vector<std::vector<NodeId>> shapes(static_cast<size_t>(parts));
      std::vector<bool> otherwise(static_cast<size_t>(parts), false);
      for (const Index::Use& use : value.uses) {
        const Index::Node& user = index_.node(use.node);
        if (user.scope != index_.main_scope()) {
          continue;  // its enclosing node of the main graph has a use of its own
        }
        const int k = PartOf(use.node);
        if (k < 0 || k == home) {
          continue;
        }
        if (use.input == 0 && user.proto->op_type() == "Shape" && user.proto->domain().empty()) {
          shapes[static_cast<size_t>(k)].push_back(use.node);
        } else {
          otherwise[static_cast<size_t>(k)] = true;
        }
      }
      for (int k = 0; k < parts; ++k) {
        const std::vector<NodeId>& moved = shapes[static_cast<size_t>(k)];
        // What part k was asked for stays its own.
        const bool asked = std::any_of(moved.begin(), moved.end(), [&](NodeId node) {
          const auto& outputs = split_.parts[static_cast<size_t>(k)].outputs;
          return std::find(outputs.begin(), outputs.end(), index_.node(node).outputs.front()) != outputs.end();
        });
        if (!otherwise[static_cast<size_t>(k)] && !asked) {
          for (const NodeId node : moved) {
            PartOf(node) = home;
          }
        }
      }
    }
  }

  // Own nodes, and the constant nodes that they read, each in topological order.
  void FillNodes() {
    std::vector<size_t> position(index_.nodes().size(), 0);
    for (size_t i = 0; i < order_.size(); ++i) {
      position[static_cast<size_t>(order_[i])] = i;
      if (const int k = PartOf(order_[i]); k >= 0) {
        split_.parts[static_cast<size_t>(k)].nodes.push_back(order_[i]);
      }
    }
    for (SplitPart& part : split_.parts) {
      std::set<NodeId> constants;
      std::vector<ValueId> wanted;
      for (const NodeId node : part.nodes) {
        ForEachRead(node, [&](ValueId read) { wanted.push_back(read); });
      }
      if (part.name == "rest") {
        wanted.insert(wanted.end(), part.outputs.begin(), part.outputs.end());
      }
      while (!wanted.empty()) {
        const ValueId value = wanted.back();
        wanted.pop_back();
        const NodeId producer = index_.value(value).producer;
        if (producer == kNone || !index_.IsConstant(value) || !constants.insert(producer).second) {
          continue;
        }
        ForEachRead(producer, [&](ValueId read) { wanted.push_back(read); });
      }
      part.constants.assign(constants.begin(), constants.end());
      std::sort(part.constants.begin(), part.constants.end(), [&](NodeId a, NodeId b) {
        return position[static_cast<size_t>(a)] < position[static_cast<size_t>(b)];
      });
      for (const NodeId node : part.constants) {
        PartOf(node) = kCopied;
      }
      part.order = part.nodes;
      part.order.insert(part.order.end(), part.constants.begin(), part.constants.end());
      std::sort(part.order.begin(), part.order.end(), [&](NodeId a, NodeId b) {
        return position[static_cast<size_t>(a)] < position[static_cast<size_t>(b)];
      });
    }
  }

  absl::Status FillInputs() {
    for (size_t k = 0; k < split_.parts.size(); ++k) {
      SplitPart& part = split_.parts[k];
      std::set<ValueId> seen;
      const auto read = [&](ValueId value) {
        const Index::Value& v = index_.value(value);
        if (index_.IsConstant(value) || v.initializer != nullptr || v.sparse_initializer != nullptr) {
          return;  // constants are copied; overridable initializers stay what they are
        }
        if (v.producer != kNone && PartOf(v.producer) == static_cast<int>(k)) {
          return;
        }
        if (seen.insert(value).second) {
          part.inputs.push_back(value);
          if (v.producer != kNone) {
            split_.producer[value] = PartOf(v.producer);
          }
        }
      };
      for (const NodeId node : part.nodes) {
        ForEachRead(node, read);
      }
      if (part.name == "rest") {
        for (const ValueId output : part.outputs) {
          if (index_.value(output).producer == kNone) {
            read(output);
          }
        }
      }
      for (const ValueId value : part.inputs) {
        const auto producer = split_.producer.find(value);
        if (producer != split_.producer.end() && producer->second > static_cast<int>(k)) {
          return Internal("part '{}' reads '{}', which the later part '{}' makes", part.name, Name(value),
                          split_.parts[static_cast<size_t>(producer->second)].name);
        }
      }
    }
    return absl::OkStatus();
  }

  void FillOutputs() {
    std::vector<std::set<ValueId>> read_later(split_.parts.size());
    for (const auto& [value, producer] : split_.producer) {
      read_later[static_cast<size_t>(producer)].insert(value);
    }
    for (size_t k = 0; k < split_.parts.size(); ++k) {
      SplitPart& part = split_.parts[k];
      std::set<ValueId> listed(part.outputs.begin(), part.outputs.end());
      for (const ValueId value : part.outputs) {
        if (index_.value(value).producer != kNone) {
          split_.producer[value] = static_cast<int>(k);
        }
      }
      for (const NodeId node : part.nodes) {
        for (const ValueId output : index_.node(node).outputs) {
          if (output == kNone) {
            continue;
          }
          const bool model_output = index_.value(output).is_graph_output;
          if ((read_later[k].contains(output) || model_output) && listed.insert(output).second) {
            part.outputs.push_back(output);
            split_.producer[output] = static_cast<int>(k);
          }
        }
      }
    }
  }

  // How many rows batched parts take: as asked, or the most that the model lets their lists have.
  absl::Status FillRows() {
    for (size_t k = 0; k < plan_.parts.size(); ++k) {
      const std::optional<PlanBatching>& batching = plan_.parts[k].batching;
      SplitPart& part = split_.parts[k];
      if (!batching || batching->size) {
        part.rows = batching ? batching->size : std::nullopt;
        continue;
      }
      for (const ValueId input : part.inputs) {
        const std::vector<int64_t>* limits = shapes_.Limits(index_.value(input).name);
        if (limits != nullptr && !limits->empty() && limits->front() != Interval::kHighest) {
          part.rows = std::min(part.rows.value_or(limits->front()), limits->front());
        }
      }
      if (!part.rows || *part.rows < 1) {
        return InvalidArgument(
            "nothing in the model limits how many rows go into part '{}'; say how many it takes at a time with "
            "--batching {}=K",
            part.name, part.name);
      }
    }
    return absl::OkStatus();
  }

  void DropEmptyRest() {
    if (split_.parts.back().nodes.empty() && split_.parts.back().outputs.empty()) {
      split_.parts.pop_back();
    }
  }

  const Plan& plan_;
  const Model& model_;
  const Index& index_;
  const Shapes& shapes_;
  const ResolveOptions& options_;
  const Diagnostics& diagnostics_;
  std::map<std::string, std::string> aliases_;
  std::vector<NodeId> order_;
  std::vector<int> part_of_;
  Split split_;
};

}  // namespace

absl::StatusOr<Split> ResolvePlan(const Plan& plan, const Model& model, const Index& index, const Shapes& shapes,
                                  const ResolveOptions& options, const Diagnostics& diagnostics) {
  return Resolver(plan, model, index, shapes, options, diagnostics).Resolve();
}

}  // namespace gomai
