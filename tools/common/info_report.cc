// The views: counts from lib/graph/census.h and dynamic.h laid out for a terminal 100 columns wide.
#include "tools/common/info_report.h"

#include <algorithm>
#include <array>

#include "lib/base/text.h"
#include "lib/graph/census.h"
#include "lib/graph/describe.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/shape/macs.h"
#include "tools/common/info_text.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

constexpr size_t kWidth = 100;
constexpr size_t kLabel = 12;

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

InfoView SummaryView(const Model& model, const Index& index, const Shapes* shapes, bool all) {
  InfoView view;
  const onnx::ModelProto& proto = model.proto();
  const std::vector<OpCensus> censuses = CountOperators(index);
  const WeightCensus weights = CountWeights(index, all ? 20 : 3);

  std::vector<std::string> opsets;
  view.json["ir_version"] = proto.ir_version();
  view.json["opsets"] = Json::object();
  for (const onnx::OperatorSetIdProto& import : proto.opset_import()) {
    const std::string domain = DomainText(import.domain());
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
  if (shapes != nullptr) {
    const Amount macs = CountMacs(index, *shapes);
    const uint64_t unknown = static_cast<uint64_t>(macs.unknown);
    view.text += Label(
        "MACs", macs.Text(false) + (unknown == 0 ? "" : ", of " + Plural(unknown, "node", "nodes") + " of open shape"));
    view.json["macs"] = {{"fixed", macs.fixed}, {"per_row", macs.per_row}, {"unknown_nodes", macs.unknown}};
  }

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

}  // namespace gomai
