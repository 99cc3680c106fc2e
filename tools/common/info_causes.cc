// gomai-info's views of causes and places: what is dynamic, and the tree of name scopes. See info_report.h.
#include <algorithm>

#include "lib/graph/census.h"
#include "lib/shape/interval.h"
#include "tools/common/info_report.h"
#include "tools/common/info_text.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

constexpr size_t kScreen = 40;  // lines

// The most that each dim can be: "1000 x 4", '?' for one that nothing bounds; "" if nothing bounds any that is open.
std::string LimitsText(const onnx::TypeProto* type, const std::vector<int64_t>* limits) {
  const onnx::TensorShapeProto* shape = type == nullptr ? nullptr : FindShape(*type);
  std::string text;
  bool bounds = false;
  for (size_t i = 0; limits != nullptr && i < limits->size(); ++i) {
    const bool bound = (*limits)[i] != Interval::kHighest;
    const bool fixed =
        shape != nullptr && static_cast<int>(i) < shape->dim_size() && shape->dim(static_cast<int>(i)).has_dim_value();
    bounds = bounds || (bound && !fixed);
    text += fmt::format("{}{}", i == 0 ? "" : " x ", bound ? fmt::to_string((*limits)[i]) : "?");
  }
  return bounds ? text : "";
}

Json LimitsJson(const std::vector<int64_t>* limits) {
  if (limits == nullptr) {
    return nullptr;
  }
  Json json = Json::array();
  for (const int64_t limit : *limits) {
    json.push_back(limit == Interval::kHighest ? Json() : Json(limit));
  }
  return json;
}

}  // namespace

InfoView DynamicView(const Index& index, const Shapes& shapes, const DynamicReport& report, bool all) {
  InfoView view;
  view.json = {{"values", report.values}, {"dynamic", report.dynamic.size()}, {"unranked", report.unranked}};
  if (report.dynamic.empty()) {
    view.text = fmt::format("all {} have fixed shapes\n", Plural(report.values, "value", "values"));
  } else {
    view.text = fmt::format(
        "{} of {} have no fixed shape{}\n\n", Grouped(report.dynamic.size()), Plural(report.values, "value", "values"),
        report.unranked == 0 ? "" : fmt::format(", {} of them no known rank", Grouped(report.unranked)));
  }
  std::vector<std::string> causes;
  Rows rows;
  view.json["causes"] = Json::array();
  for (const DynamicCause& cause : report.causes) {
    const std::string what =
        cause.node != kNone ? index.Describe(cause.node) : fmt::format("input {}", index.value(cause.input).name);
    causes.push_back(what);
    view.json["causes"].push_back(
        {{"cause", what}, {"why", cause.why}, {"values", cause.values}, {"alone", cause.alone}});
    if (all || rows.size() < kScreen - 8) {
      rows.push_back({Grouped(cause.values), Grouped(cause.alone), what, cause.why});
    }
  }
  if (!rows.empty()) {
    view.text += Table({"reaches", "alone", "cause", "why"}, rows, {true, true, false, false});
    view.text += rows.size() < causes.size()
                     ? fmt::format("and {} more causes (-v shows all)\n", causes.size() - rows.size())
                     : "";
    view.text += "\nreaches: values that the cause makes dynamic; alone: those that would be fixed without it\n";
  }
  // As many tensors as the causes leave lines for.
  const size_t left = kScreen - 8 > rows.size() + 8 ? kScreen - 8 - rows.size() : 0;
  view.json["tensors"] = Json::array();
  Rows values;
  for (const DynamicValue& value : report.dynamic) {
    const std::string name(index.value(value.value).name);
    const onnx::TypeProto* type = shapes.Find(name);
    std::vector<std::string> from;
    for (const int cause : value.causes) {
      from.push_back(causes[static_cast<size_t>(cause)]);
    }
    const std::vector<int64_t>* limits = shapes.Limits(name);
    view.json["tensors"].push_back({{"name", name},
                                    {"shape", type == nullptr ? Json() : ShapeJson(*type)},
                                    {"at_most", LimitsJson(limits)},
                                    {"causes", from}});
    if (all || values.size() < left) {
      values.push_back({name, type == nullptr ? "unknown type" : Dims(*type), LimitsText(type, limits),
                        from.size() > 1 ? fmt::format("{} and {} more", from[0], from.size() - 1)
                        : from.empty()  ? ""
                                        : from[0]});
    }
  }
  view.text += values.empty() ? "" : "\n" + Table({"tensor", "shape", "at most", "made dynamic by"}, values, {});
  view.text += values.size() < report.dynamic.size()
                   ? fmt::format("{}{} tensors: -v shows them, and what makes each dynamic\n",
                                 values.empty() ? "" : "and ", report.dynamic.size() - values.size())
                   : "";
  return view;
}

InfoView ScopesView(const Index& index, bool all) {
  InfoView view;
  const NameScopes tree = FindNameScopes(index);
  view.json = {{"scopes", Json::array()}, {"unscoped_nodes", tree.unscoped_nodes}};
  // As deep as one screen allows.
  std::vector<size_t> per_depth;
  for (const NameScope& scope : tree.scopes) {
    per_depth.resize(std::max(per_depth.size(), static_cast<size_t>(scope.depth) + 1));
    ++per_depth[static_cast<size_t>(scope.depth)];
    view.json["scopes"].push_back(
        {{"scope", scope.path}, {"nodes", scope.nodes}, {"yields", scope.yields}, {"operators", CountJson(scope.ops)}});
  }
  size_t depths = 0;
  for (size_t lines = 0; depths < per_depth.size() && (all || depths == 0 || lines + per_depth[depths] <= kScreen);
       ++depths) {
    lines += per_depth[depths];
  }
  Rows rows;
  for (const NameScope& scope : tree.scopes) {
    if (static_cast<size_t>(scope.depth) < depths) {
      rows.push_back({std::string(static_cast<size_t>(scope.depth) * 2, ' ') + scope.path, Grouped(scope.nodes),
                      Grouped(scope.yields), fmt::format("{}", fmt::join(CountItems(scope.ops, 3), ", "))});
    }
  }
  if (rows.empty()) {
    view.text = "no node name has a slash: there are no scopes to cut by; cut by tensors instead (--tensors)\n";
    return view;
  }
  view.text = Table({"scope", "nodes", "yields", "operators"}, rows, {false, true, true, false}) + "\n";
  view.text += rows.size() < tree.scopes.size()
                   ? fmt::format("{} deeper scopes are left out (-v shows all)\n", tree.scopes.size() - rows.size())
                   : "";
  view.text += fmt::format("{} of the main graph in no scope; yields: tensors that leave a scope\n",
                           Plural(tree.unscoped_nodes, "node", "nodes"));
  return view;
}

}  // namespace gomai
