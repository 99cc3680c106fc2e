// The views: counts from lib/graph/census.h and dynamic.h laid out for a terminal 100 columns wide.
#include "tools/common/info_report.h"

#include <algorithm>
#include <array>

#include "lib/base/text.h"
#include "lib/graph/census.h"
#include "lib/graph/describe.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

constexpr size_t kWidth = 100;
constexpr size_t kScreen = 40;  // lines
constexpr size_t kLabel = 12;

// "2,377"
std::string Grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string Plural(uint64_t count, std::string_view singular, std::string_view plural) {
  return fmt::format("{} {}", Grouped(count), count == 1 ? singular : plural);
}

std::string Label(std::string_view label, std::string_view text) {
  return fmt::format("{:<{}}{}\n", label, kLabel, text);
}

// Items after one another, in lines that begin under each other.
std::string Wrapped(const std::vector<std::string>& items, size_t indent) {
  std::string text;
  size_t column = indent;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string item = items[i] + (i + 1 < items.size() ? "," : "");
    if (i > 0 && column + 1 + item.size() > kWidth) {
      text += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (i > 0) {
      text += " ";
      ++column;
    }
    text += item;
    column += item.size();
  }
  return text;
}

std::vector<std::string> CountItems(const std::vector<Count>& counts, size_t limit) {
  std::vector<std::string> items;
  for (size_t i = 0; i < std::min(limit, counts.size()); ++i) {
    items.push_back(fmt::format("{} {}", counts[i].count, counts[i].name));
  }
  if (counts.size() > limit) {
    items.push_back(fmt::format("{} more", counts.size() - limit));
  }
  return items;
}

Json CountJson(const std::vector<Count>& counts) {
  Json json = Json::object();
  for (const Count& count : counts) {
    json[count.name] = count.count;
  }
  return json;
}

// "3 x height x width": dims as a person writes them; "?" for what has no name.
std::string Dims(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return type.has_tensor_type() ? "any rank" : "";
  }
  std::string text;
  for (const onnx::TensorShapeProto::Dimension& dim : shape->dim()) {
    text += fmt::format("{}{}", text.empty() ? "" : " x ",
                        dim.has_dim_value()       ? std::to_string(dim.dim_value())
                        : dim.dim_param().empty() ? "?"
                                                  : dim.dim_param());
  }
  return text.empty() ? "scalar" : text;
}

Json ShapeJson(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return nullptr;
  }
  Json json = Json::array();
  for (const onnx::TensorShapeProto::Dimension& dim : shape->dim()) {
    json.push_back(dim.has_dim_value()       ? Json(dim.dim_value())
                   : dim.dim_param().empty() ? Json()
                                             : Json(dim.dim_param()));
  }
  return json;
}

std::string ElementName(const onnx::TypeProto& type) {
  return type.has_tensor_type() ? DtypeName(type.tensor_type().elem_type()) : TypeName(type);
}

std::string TensorShape(const onnx::TensorProto& tensor) {
  return tensor.dims_size() == 0 ? "scalar" : fmt::format("{}", fmt::join(tensor.dims(), " x "));
}

// Inputs or outputs, aligned over both lists by the caller's widths.
std::string Ports(std::string_view label, const Rows& rows, const std::array<size_t, 2>& widths) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    text += Label(i == 0 ? label : "",
                  fmt::format("{:<{}}  {:<{}}  {}", rows[i][0], widths[0], rows[i][1], widths[1], rows[i][2]));
  }
  return text;
}

std::string GraphLine(const onnx::ModelProto& proto, const std::vector<OpCensus>& censuses) {
  std::string text = Plural(censuses[0].nodes, "node", "nodes");
  std::vector<std::string> others;
  for (const OpCensus& census : censuses) {
    if (census.kind.ends_with(" bodies")) {
      others.push_back(
          fmt::format("{} in {} {}", census.nodes, census.scopes,
                      census.scopes == 1 ? census.kind.substr(0, census.kind.size() - 7) + " body" : census.kind));
    }
  }
  text += others.empty() ? "" : fmt::format(", besides {}", fmt::join(others, " and "));
  if (proto.functions_size() > 0) {
    text +=
        fmt::format("; {}", Plural(static_cast<uint64_t>(proto.functions_size()), "local function", "local functions"));
  }
  return text;
}

}  // namespace

InfoView SummaryView(const Model& model, const Index& index, bool all) {
  InfoView view;
  const onnx::ModelProto& proto = model.proto();
  const std::vector<OpCensus> censuses = CountOperators(index);
  const WeightCensus weights = CountWeights(index, all ? 20 : 3);

  std::vector<std::string> opsets;
  view.json["ir_version"] = proto.ir_version();
  view.json["opsets"] = Json::object();
  for (const onnx::OperatorSetIdProto& import : proto.opset_import()) {
    const std::string domain = import.domain().empty() ? "ai.onnx" : import.domain();
    opsets.push_back(fmt::format("{} {}", domain, import.version()));
    view.json["opsets"][domain] = import.version();
  }
  view.json["producer"] = {{"name", proto.producer_name()}, {"version", proto.producer_version()}};
  view.text += Label("model", fmt::format("{}{}", model.path().empty() ? "(standard input)" : model.path().string(),
                                          model.file() ? ", " + FormatBytes(model.file()->bytes().size()) : ""));
  view.text += Label(
      "format", fmt::format("IR {}, opset {}{}", proto.ir_version(), fmt::join(opsets, ", "),
                            proto.producer_name().empty()
                                ? ""
                                : fmt::format("; written by {}{}{}", proto.producer_name(),
                                              proto.producer_version().empty() ? "" : " ", proto.producer_version())));
  view.text += Label("graph", GraphLine(proto, censuses));
  view.json["graph"] = proto.graph().name();
  view.json["nodes"] = censuses[0].nodes;
  view.json["body_nodes"] = 0;
  view.json["functions"] = proto.functions_size();

  std::string size = fmt::format("{}, {} values, {}", Plural(weights.tensors, "tensor", "tensors"),
                                 Grouped(weights.elements), FormatBytes(weights.inline_bytes + weights.external_bytes));
  for (const Count& file : weights.files) {
    size += fmt::format("; {} in {}", FormatBytes(file.count), file.name);
  }
  size += weights.constants == 0 ? ""
                                 : fmt::format("; besides {} in {}", FormatBytes(weights.constant_bytes),
                                               Plural(weights.constants, "Constant node", "Constant nodes"));
  view.text += Label("weights", weights.tensors + weights.constants == 0 ? "none" : size);
  view.json["weights"] = {{"tensors", weights.tensors},
                          {"elements", weights.elements},
                          {"inline_bytes", weights.inline_bytes},
                          {"external_bytes", weights.external_bytes},
                          {"external_files", CountJson(weights.files)},
                          {"constants", weights.constants},
                          {"constant_bytes", weights.constant_bytes}};

  Rows inputs;
  Rows outputs;
  std::array<size_t, 2> widths{};
  size_t overridable = 0;
  for (const auto& [rows, list, key] : {std::tuple{&inputs, &proto.graph().input(), "inputs"},
                                        std::tuple{&outputs, &proto.graph().output(), "outputs"}}) {
    view.json[key] = Json::array();
    for (const onnx::ValueInfoProto& info : *list) {
      const ValueId id = index.FindValue(index.main_scope(), info.name());
      const bool has_default =
          rows == &inputs && id != kNone &&
          (index.value(id).initializer != nullptr || index.value(id).sparse_initializer != nullptr);
      overridable += has_default ? 1 : 0;
      view.json[key].push_back(
          {{"name", info.name()}, {"dtype", ElementName(info.type())}, {"shape", ShapeJson(info.type())}});
      if (has_default) {
        view.json[key].back()["overridable"] = true;
      } else {
        rows->push_back({info.name(), ElementName(info.type()), Dims(info.type())});
        widths[0] = std::max(widths[0], info.name().size());
        widths[1] = std::max(widths[1], rows->back()[1].size());
      }
    }
  }
  view.text += "\n" + Ports("inputs", inputs, widths);
  view.text += overridable == 0 ? "" : Label("", fmt::format("and {} that initializers set", overridable));
  view.text += Ports("outputs", outputs, widths);

  view.text += "\n";
  view.json["operators"] = Json::object();
  size_t label = 0;
  for (const OpCensus& census : censuses) {
    label = std::max(label, census.kind.size() + 2);
  }
  label = std::max(label, kLabel);
  for (const OpCensus& census : censuses) {
    view.text += fmt::format(
        "{:<{}}{}\n", census.kind, label,
        census.ops.empty() ? "no nodes" : Wrapped(CountItems(census.ops, all ? census.ops.size() : 60), label));
    view.json["operators"][census.kind] = CountJson(census.ops);
    if (census.kind.ends_with(" bodies")) {
      view.json["body_nodes"] = view.json["body_nodes"].get<uint64_t>() + census.nodes;
    }
  }

  if (!weights.largest.empty()) {
    view.text += "\nlargest weights\n";
    size_t name_width = 0;
    size_t shape_width = 0;
    for (const Weight& weight : weights.largest) {
      name_width = std::max(name_width, weight.name.size());
      shape_width = std::max(shape_width, TensorShape(*weight.tensor).size());
    }
    view.json["weights"]["largest"] = Json::array();
    for (const Weight& weight : weights.largest) {
      const std::string dtype = DtypeName(weight.tensor->data_type());
      view.text += fmt::format("  {:>7}  {:<{}}  {} {}\n", FormatBytes(weight.bytes), weight.name, name_width, dtype,
                               TensorShape(*weight.tensor));
      view.json["weights"]["largest"].push_back({{"name", weight.name},
                                                 {"dtype", dtype},
                                                 {"shape", weight.tensor->dims()},
                                                 {"bytes", weight.bytes},
                                                 {"file", weight.file}});
    }
  }
  return view;
}

absl::StatusOr<InfoView> NodesView(const Index& index, const std::string& glob, bool all) {
  InfoView view;
  std::vector<std::string_view> names;
  view.json = Json::array();
  Rows rows;
  std::string details;
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const Index::Node& node = index.node(id);
    const std::string address = index.Address(id);
    names.insert(names.end(), {node.proto->name(), node.proto->op_type()});
    if (!GlobMatch(glob, address) && !GlobMatch(glob, node.proto->name()) && !GlobMatch(glob, node.proto->op_type())) {
      continue;
    }
    std::vector<std::string> attributes;
    Json attribute_json = Json::object();
    for (const onnx::AttributeProto& attribute : node.proto->attribute()) {
      attributes.push_back(fmt::format("{}={}", attribute.name(), AttributeText(attribute)));
      attribute_json[attribute.name()] = AttributeText(attribute);
    }
    view.json.push_back({{"address", address},
                         {"op", node.proto->op_type()},
                         {"domain", node.proto->domain()},
                         {"inputs", node.proto->input()},
                         {"outputs", node.proto->output()},
                         {"attributes", attribute_json}});
    rows.push_back({address, node.proto->op_type(), fmt::format("{}", fmt::join(attributes, " "))});
    if (all) {
      details += fmt::format("{} ({})\n", address, node.proto->op_type());
      for (int i = 0; i < node.proto->input_size(); ++i) {
        details += fmt::format("  in   {}\n", node.proto->input(i).empty() ? "(absent)" : node.proto->input(i));
      }
      for (const ValueId capture : node.captures) {
        details += fmt::format("  uses {} (in its bodies)\n", index.value(capture).name);
      }
      for (const std::string& output : node.proto->output()) {
        details += fmt::format("  out  {}\n", output.empty() ? "(absent)" : output);
      }
      for (const std::string& attribute : attributes) {
        details += fmt::format("  with {}\n", attribute);
      }
    }
  }
  if (rows.empty() && glob != "*") {
    return NotFound("no node's address, name or operator fits '{}'{}", glob, DidYouMean(glob, names));
  }
  view.text = all ? details : Table({"node", "operator", "attributes"}, rows, {});
  view.text += fmt::format("{}{} of {}\n", rows.empty() ? "" : "\n", Plural(rows.size(), "node", "nodes"),
                           Grouped(index.nodes().size()));
  return view;
}

absl::StatusOr<InfoView> TensorsView(const Index& index, const Shapes* shapes, const std::string& glob) {
  InfoView view;
  std::vector<std::string_view> names;
  view.json = Json::array();
  Rows rows;
  for (const Index::Value& value : index.values()) {
    names.push_back(value.name);
    if (!GlobMatch(glob, value.name)) {
      continue;
    }
    onnx::TypeProto type;
    if (value.initializer != nullptr) {
      type.mutable_tensor_type()->set_elem_type(value.initializer->data_type());
      for (const int64_t dim : value.initializer->dims()) {
        type.mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(dim);
      }
      type.mutable_tensor_type()->mutable_shape();
    } else if (const onnx::TypeProto* inferred =
                   shapes != nullptr && value.scope == index.main_scope() ? shapes->Find(value.name) : nullptr;
               inferred != nullptr) {
      type = *inferred;
    } else if (value.info != nullptr) {
      type = value.info->type();
    }
    const bool is_weight = value.initializer != nullptr || value.sparse_initializer != nullptr;
    const std::string origin = value.producer != kNone                              ? index.Describe(value.producer)
                               : is_weight && value.origin == Index::Origin::kInput ? "initializer, overridable"
                               : is_weight                                          ? "initializer"
                                                                                    : "input";
    const std::string name = value.scope == index.main_scope()
                                 ? std::string(value.name)
                                 : fmt::format("{} in {}", value.name, index.ScopeName(value.scope));
    rows.push_back({name, ElementName(type), Dims(type), fmt::format("{}", value.uses.size()), origin});
    view.json.push_back({{"name", std::string(value.name)},
                         {"scope", index.ScopeName(value.scope)},
                         {"dtype", ElementName(type)},
                         {"shape", ShapeJson(type)},
                         {"from", origin},
                         {"uses", value.uses.size()},
                         {"output", value.is_graph_output}});
  }
  if (rows.empty() && glob != "*") {
    return NotFound("no tensor's name fits '{}'{}", glob, DidYouMean(glob, names));
  }
  view.text = Table({"tensor", "type", "shape", "uses", "from"}, rows, {false, false, false, true, false});
  view.text += fmt::format("{}{} of {}\n", rows.empty() ? "" : "\n", Plural(rows.size(), "tensor", "tensors"),
                           Grouped(index.values().size()));
  return view;
}

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
  view.json["tensors"] = Json::array();
  Rows values;
  for (const DynamicValue& value : report.dynamic) {
    const std::string name(index.value(value.value).name);
    const onnx::TypeProto* type = shapes.Find(name);
    std::vector<std::string> from;
    for (const int cause : value.causes) {
      from.push_back(causes[static_cast<size_t>(cause)]);
    }
    view.json["tensors"].push_back(
        {{"name", name}, {"shape", type == nullptr ? Json() : ShapeJson(*type)}, {"causes", from}});
    if (all) {
      values.push_back({name, type == nullptr ? "unknown type" : Dims(*type),
                        from.size() > 1 ? fmt::format("{} and {} more", from[0], from.size() - 1)
                        : from.empty()  ? ""
                                        : from[0]});
    }
  }
  view.text += values.empty() ? "" : "\n" + Table({"tensor", "shape", "made dynamic by"}, values, {});
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
