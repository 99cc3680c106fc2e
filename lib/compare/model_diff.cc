// Two models compared: what belongs to the model as a whole, then graph, functions and training graphs; see
// model_diff.h.
#include "lib/compare/model_diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/text.h"
#include "lib/compare/field_diff.h"
#include "lib/compare/graph_diff.h"
#include "lib/model/files.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"

namespace gomai {
namespace {

using Section = Difference::Section;

SpotFunction ModelSpot(std::string where = "") {
  return [where = std::move(where)] { return Spot{Section::kModel, "", where, where}; };
}

// The same bytes, and no data elsewhere that may differ?
absl::StatusOr<bool> SameFile(const Model& before, const Model& after) {
  if (before.file() == nullptr || after.file() == nullptr ||
      before.file()->bytes().size() != after.file()->bytes().size() || !before.Unchanged() || !after.Unchanged()) {
    return false;
  }
  const bool same_folder = SameFolder(before.folder(), after.folder());
  bool external = false;
  ForEachTensor(before.proto(),
                [&](const onnx::TensorProto& tensor, TensorPlace) { external = external || IsExternal(tensor); });
  if (external && !same_folder) {
    return false;
  }
  return Identify(*before.file()) == Identify(*after.file())
             ? absl::StatusOr<bool>(true)
             : EqualRanges(*before.file(), 0, *after.file(), 0, before.file()->bytes().size());
}

class ModelDiffer {
 public:
  ModelDiffer(const Model& before, const Model& after, const DiffOptions& options)
      : before_(before), after_(after), log_(options), index_before_(before.proto()), index_after_(after.proto()) {}

  absl::StatusOr<ModelDiff> Diff() {
    const onnx::ModelProto& a = before_.proto();
    const onnx::ModelProto& b = after_.proto();
    DiffFields(a, b, "", {"graph", "functions", "training_info"}, ModelSpot(), log_);
    TensorDiffer tensors(before_, after_, log_);
    GraphDiffer graphs(index_before_, index_after_, tensors, log_);
    GOMAI_RETURN_IF_ERROR(graphs.Diff(index_before_.main_scope(), index_after_.main_scope()));
    GOMAI_RETURN_IF_ERROR(Functions(graphs));
    nodes_matched_ += graphs.nodes_matched();
    GOMAI_RETURN_IF_ERROR(Training());
    log_.diff().nodes_matched = nodes_matched_;
    return log_.Finish();
  }

 private:
  absl::Status Functions(GraphDiffer& graphs) {
    const auto keys = [](const Index& index, std::vector<ScopeId>* scopes) {
      std::vector<std::string> list;
      for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
        if (const onnx::FunctionProto* function = index.scope(id).function) {
          list.push_back(FunctionKey(function->domain(), function->name(), function->overload()));
          scopes->push_back(id);
        }
      }
      return list;
    };
    std::vector<ScopeId> scopes_a, scopes_b;
    const ListMatch match = MatchLists(keys(index_before_, &scopes_a), keys(index_after_, &scopes_b));
    for (const auto& [i, j] : match.both) {
      GOMAI_RETURN_IF_ERROR(graphs.Diff(scopes_a[static_cast<size_t>(i)], scopes_b[static_cast<size_t>(j)]));
    }
    const auto text = [](const Index& index, ScopeId id) {
      const size_t count = index.scope(id).nodes.size();
      return fmt::format("{} node{}", count, count == 1 ? "" : "s");
    };
    for (const int i : match.removed) {
      const ScopeId id = scopes_a[static_cast<size_t>(i)];
      log_.Removed(ModelSpot(index_before_.ScopeName(id)), "", text(index_before_, id));
    }
    for (const int j : match.added) {
      const ScopeId id = scopes_b[static_cast<size_t>(j)];
      log_.Added(ModelSpot(index_after_.ScopeName(id)), "", text(index_after_, id));
    }
    log_.Order(ModelSpot(), "functions", match.moved, match.both.size());
    return absl::OkStatus();
  }

  // Training graphs are models of their own here: an index covers what is run.
  absl::Status Training() {
    const auto& list_a = before_.proto().training_info();
    const auto& list_b = after_.proto().training_info();
    for (int i = 0; i < std::max(list_a.size(), list_b.size()); ++i) {
      const std::string name = fmt::format("training_info[{}]", i);
      if (i >= list_b.size()) {
        log_.Removed(ModelSpot(name), "", "");
      } else if (i >= list_a.size()) {
        log_.Added(ModelSpot(name), "", "");
      } else {
        const onnx::TrainingInfoProto& a = list_a.Get(i);
        const onnx::TrainingInfoProto& b = list_b.Get(i);
        DiffFields(a, b, "", {"initialization", "algorithm"}, ModelSpot(name), log_);
        GOMAI_RETURN_IF_ERROR(TrainingGraph(a.has_initialization(), b.has_initialization(), a.initialization(),
                                            b.initialization(), name, "initialization"));
        GOMAI_RETURN_IF_ERROR(
            TrainingGraph(a.has_algorithm(), b.has_algorithm(), a.algorithm(), b.algorithm(), name, "algorithm"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TrainingGraph(bool has_before, bool has_after, const onnx::GraphProto& before,
                             const onnx::GraphProto& after, const std::string& name, const std::string& what) {
    if (has_before != has_after) {
      log_.Changed(ModelSpot(name), what, has_before ? "a graph" : "none", has_after ? "a graph" : "none");
    }
    if (!has_before || !has_after) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const uint64_t matched, DiffLooseGraphs(before, after, TensorDiffer(before_, after_, log_),
                                                                   log_, fmt::format("{}.{} ", name, what)));
    nodes_matched_ += matched;
    return absl::OkStatus();
  }

  const Model& before_;
  const Model& after_;
  DiffLog log_;
  Index index_before_;
  Index index_after_;
  uint64_t nodes_matched_ = 0;
};

}  // namespace

absl::Status ParseIgnored(std::string_view list, DiffOptions* options) {
  struct Item {
    std::string_view name;
    bool DiffOptions::*flag;
  };
  static constexpr Item kItems[] = {{"names", &DiffOptions::ignore_names},
                                    {"docs", &DiffOptions::ignore_docs},
                                    {"order", &DiffOptions::ignore_order},
                                    {"weights", &DiffOptions::ignore_weights}};
  for (const std::string& given : SplitList(list, ',')) {
    bool known = false;
    for (const Item& item : kItems) {
      if (Trim(given) == item.name) {
        options->*item.flag = true;
        known = true;
      }
    }
    if (!known) {
      std::vector<std::string_view> names;
      for (const Item& item : kItems) {
        names.push_back(item.name);
      }
      return InvalidArgument("--ignore takes {}, not '{}'{}", fmt::join(names, ", "), given,
                             DidYouMean(Trim(given), names));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelDiff> DiffModels(const Model& before, const Model& after, const DiffOptions& options) {
  GOMAI_RETURN_IF_ERROR(ExternalLocations(before).status());
  GOMAI_RETURN_IF_ERROR(ExternalLocations(after).status());
  GOMAI_ASSIGN_OR_RETURN(const bool same, SameFile(before, after));
  if (same) {
    return ModelDiff();
  }
  return ModelDiffer(before, after, options).Diff();
}

}  // namespace gomai
