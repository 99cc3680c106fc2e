#pragma once

// gomai-info's views of a model, each as text for people and as JSON. Text keeps to one screen unless `all` is set.

#include <nlohmann/json.hpp>
#include <string>

#include "lib/graph/dynamic.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"

namespace gomai {

struct InfoView {
  std::string text;
  nlohmann::ordered_json json;
};

// `shapes` may be null: then multiply-accumulates aren't counted.
InfoView SummaryView(const Model& model, const Index& index, const Shapes* shapes, bool all);
// Nodes whose address, name or operator fits the glob; with `all` also their inputs, outputs and attributes.
// kNotFound with the nearest names if none fits; the same for tensors.
absl::StatusOr<InfoView> NodesView(const Index& index, const std::string& glob, bool all);
// Values of every scope whose name fits the glob, with declared or (main graph) inferred types. `shapes` may be null.
absl::StatusOr<InfoView> TensorsView(const Index& index, const Shapes* shapes, const std::string& glob);
InfoView DynamicView(const Index& index, const Shapes& shapes, const DynamicReport& report, bool all);
InfoView ScopesView(const Index& index, bool all);

}  // namespace gomai
