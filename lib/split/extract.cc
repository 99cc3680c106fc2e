// Extracting; see extract.h. A walk backwards from the outputs that stops at the inputs; the rest is BuildPart's, as
// for one part of a split.
#include "lib/split/extract.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lib/graph/editor.h"
#include "lib/split/rules.h"
#include "lib/split/selector.h"

namespace gomai {
namespace {

class Extractor {
 public:
  Extractor(const Model& model, const Index& index, const ExtractOptions& options, const Diagnostics& diagnostics)
      : model_(model), index_(index), options_(options), diagnostics_(diagnostics) {}

  absl::StatusOr<Model> Run(const Shapes& shapes) {
    if (options_.outputs.empty()) {
      return InvalidArgument("which outputs? Name at least one tensor");
    }
    GOMAI_ASSIGN_OR_RETURN(const std::vector<ValueId> outputs, Named(options_.outputs, "output"));
    GOMAI_ASSIGN_OR_RETURN(const std::vector<ValueId> inputs, Named(options_.inputs, "input"));
    cut_.insert(inputs.begin(), inputs.end());
    for (const std::string& selector : options_.inputs) {
      named_.insert(index_.FindValue(index_.main_scope(), selector));
    }
    Walk(outputs);
    SplitPart part{.name = "the extracted model"};
    part.outputs = outputs;
    GOMAI_RETURN_IF_ERROR(ChooseInputs(inputs, &part));
    GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index_, index_.main_scope()));
    for (const NodeId node : order) {
      if (nodes_.contains(node)) {
        part.nodes.push_back(node);
      }
    }
    part.order = part.nodes;
    Split split;
    split.parts.push_back(std::move(part));
    GOMAI_RETURN_IF_ERROR(FillTypes(index_, shapes, options_.types, diagnostics_, split));
    GOMAI_ASSIGN_OR_RETURN(Model built, BuildPart(split, 0, model_, index_, {}));
    Detach(built);
    if (options_.inputs.empty()) {
      RestoreInputOrder(*built.mutable_proto().mutable_graph());
    }
    return built;
  }

 private:
  std::string Name(ValueId value) const { return std::string(index_.value(value).name); }

  absl::StatusOr<std::vector<ValueId>> Named(const std::vector<std::string>& selectors, std::string_view what) const {
    std::vector<ValueId> values;
    std::set<ValueId> seen;
    for (const std::string& selector : selectors) {
      const absl::StatusOr<std::vector<ValueId>> selected = Select(index_, selector, ValueOrder::kNode);
      if (!selected.ok()) {
        return Annotate(selected.status(), fmt::format("{}s", what));
      }
      for (const ValueId value : *selected) {
        if (!seen.insert(value).second) {
          return InvalidArgument("the {} '{}' is named twice", what, Name(value));
        }
        values.push_back(value);
      }
    }
    return values;
  }

  void Walk(std::vector<ValueId> wanted) {
    while (!wanted.empty()) {
      const ValueId id = wanted.back();
      wanted.pop_back();
      if (!reached_.insert(id).second || cut_.contains(id)) {
        continue;
      }
      const NodeId producer = index_.value(id).producer;
      if (producer == kNone || !nodes_.insert(producer).second) {
        continue;
      }
      const Index::Node& node = index_.node(producer);
      const auto read = [&](ValueId value) {
        readers_.emplace(value, producer);
        wanted.push_back(value);
      };
      for (const ValueId input : node.inputs) {
        if (input != kNone) {
          read(input);
        }
      }
      std::for_each(node.captures.begin(), node.captures.end(), read);
    }
  }

  absl::Status ChooseInputs(const std::vector<ValueId>& given, SplitPart* part) const {
    std::vector<std::string> unused;
    for (const ValueId input : given) {
      if (reached_.contains(input)) {
        part->inputs.push_back(input);
      } else if (named_.contains(input)) {  // of what leaves a scope, only what is needed counts
        unused.push_back(fmt::format("'{}'", Name(input)));
      }
    }
    if (!unused.empty() && !options_.drop_unused_inputs) {
      return InvalidArgument("no output needs the {} {}; leave {} out (or let --drop-unused-inputs do it)",
                             unused.size() == 1 ? "input" : "inputs", fmt::join(unused, ", "),
                             unused.size() == 1 ? "it" : "them");
    }
    if (!unused.empty()) {
      diagnostics_.Warn(model_.path().string(), "no output needs {}: left out", fmt::join(unused, ", "));
    }
    std::vector<std::string> missing;
    for (const onnx::ValueInfoProto& input : model_.proto().graph().input()) {
      const ValueId id = index_.FindValue(index_.main_scope(), input.name());
      const Index::Value& value = index_.value(id);
      if (cut_.contains(id) || !reached_.contains(id) || value.initializer != nullptr ||
          value.sparse_initializer != nullptr) {
        continue;
      }
      if (options_.inputs.empty() || options_.add_missing_inputs) {
        part->inputs.push_back(id);
      } else {
        const auto reader = readers_.find(id);
        missing.push_back(fmt::format(
            "'{}' ({})", input.name(),
            reader == readers_.end() ? "an output" : fmt::format("read by {}", index_.Describe(reader->second))));
      }
    }
    if (!missing.empty()) {
      return InvalidArgument("the outputs need {} besides: {}; add to the inputs {}, or give --add-missing-inputs",
                             missing.size() == 1 ? "an input" : fmt::format("{} inputs", missing.size()),
                             fmt::join(missing, ", "),
                             missing.size() == 1 ? "it or what follows from it" : "them or what follows from them");
    }
    return absl::OkStatus();
  }

  // Initializers that are inputs stand behind the others by now.
  void RestoreInputOrder(onnx::GraphProto& graph) const {
    std::unordered_map<std::string_view, int> position;
    for (const onnx::ValueInfoProto& input : model_.proto().graph().input()) {
      position.emplace(input.name(), static_cast<int>(position.size()));
    }
    std::sort(graph.mutable_input()->begin(), graph.mutable_input()->end(),
              [&](const auto& a, const auto& b) { return position.at(a.name()) < position.at(b.name()); });
  }

  // What is fed has no other source: neither a weight of that name nor a node that is there for another output.
  void Detach(Model& built) const {
    onnx::GraphProto& graph = *built.mutable_proto().mutable_graph();
    std::unordered_set<std::string> fed;
    for (const ValueId value : cut_) {
      fed.insert(Name(value));
    }
    std::optional<Editor> names;
    for (onnx::NodeProto& node : *graph.mutable_node()) {
      for (std::string& output : *node.mutable_output()) {
        if (fed.contains(output)) {
          if (!names) {
            names.emplace(built);
          }
          output = names->FreshName(output + "_unused");
        }
      }
    }
    const auto erase = [](auto* list, const auto& gone) {
      list->erase(std::remove_if(list->begin(), list->end(), gone), list->end());
    };
    erase(graph.mutable_initializer(), [&](const auto& tensor) { return fed.contains(tensor.name()); });
    erase(graph.mutable_sparse_initializer(), [&](const auto& tensor) { return fed.contains(tensor.values().name()); });
    std::unordered_set<std::string> listed;
    erase(graph.mutable_input(), [&](const auto& input) { return !listed.insert(input.name()).second; });
  }

  const Model& model_;
  const Index& index_;
  const ExtractOptions& options_;
  const Diagnostics& diagnostics_;
  std::set<ValueId> cut_;
  std::set<ValueId> named_;  // those of them that were named one by one
  std::unordered_set<ValueId> reached_;
  std::unordered_set<NodeId> nodes_;
  std::unordered_map<ValueId, NodeId> readers_;  // one of each value's
};

}  // namespace

absl::StatusOr<Model> Extract(const Model& model, const Index& index, const Shapes& shapes,
                              const ExtractOptions& options, const Diagnostics& diagnostics) {
  return Extractor(model, index, options, diagnostics).Run(shapes);
}

}  // namespace gomai
