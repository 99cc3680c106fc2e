// Plans as JSON, read strictly: an unknown key or a wrong type is an error that names its place, because a misspelt
// "forbid_ops" that is ignored would let the very node through that it was to keep out.
#include "lib/split/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/text.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

absl::Status CheckKeys(const Json& object, const std::vector<std::string_view>& allowed, std::string_view where) {
  if (!object.is_object()) {
    return InvalidArgument("{} must be an object", where);
  }
  for (const auto& [key, value] : object.items()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      return InvalidArgument("{} has an unknown key '{}'{} (known: {})", where, key, DidYouMean(key, allowed),
                             fmt::join(allowed, ", "));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> StringList(const Json& value, std::string_view where) {
  if (!value.is_array()) {
    return InvalidArgument("{} must be a list of strings", where);
  }
  std::vector<std::string> list;
  for (const Json& element : value) {
    if (!element.is_string()) {
      return InvalidArgument("{} must hold strings only", where);
    }
    list.push_back(element.get<std::string>());
  }
  return list;
}

bool IsPartName(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed) && name != "." && name != "..";
}

// "" if the key isn't there.
absl::StatusOr<std::string> Text(const Json& json, const char* key, const std::string& where) {
  if (!json.contains(key)) {
    return std::string();
  }
  if (!json[key].is_string()) {
    return InvalidArgument("{}.{} must be a string", where, key);
  }
  return json[key].get<std::string>();
}

absl::StatusOr<PlanBatching> ParseBatching(const Json& json, const std::string& where) {
  if (json == "limit") {
    return PlanBatching();
  }
  if (!json.is_number_integer() || json.get<int64_t>() < 1) {
    return InvalidArgument("{} must be a number of rows, 1 or more, or \"limit\": as many as the model allows for",
                           where);
  }
  return PlanBatching{json.get<int64_t>()};
}

absl::StatusOr<PlanPart> ParsePart(const Json& json, const std::string& where) {
  GOMAI_RETURN_IF_ERROR(CheckKeys(
      json, {"name", "outputs", "inputs", "forbid_ops", "max_nodes", "device", "batching", "pipeline"}, where));
  PlanPart part;
  if (!json.contains("name") || !json["name"].is_string()) {
    return InvalidArgument("{} needs a \"name\" (a string)", where);
  }
  part.name = json["name"].get<std::string>();
  if (!json.contains("outputs")) {
    return InvalidArgument("{} ('{}') needs \"outputs\": the tensors or scopes that it must produce", where, part.name);
  }
  GOMAI_ASSIGN_OR_RETURN(part.outputs, StringList(json["outputs"], where + ".outputs"));
  if (json.contains("inputs")) {
    GOMAI_ASSIGN_OR_RETURN(part.inputs, StringList(json["inputs"], where + ".inputs"));
  }
  if (json.contains("forbid_ops")) {
    GOMAI_ASSIGN_OR_RETURN(part.forbid_ops, StringList(json["forbid_ops"], where + ".forbid_ops"));
  }
  if (json.contains("max_nodes")) {
    if (!json["max_nodes"].is_number_integer() || json["max_nodes"].get<int64_t>() < 0) {
      return InvalidArgument("{}.max_nodes must be a whole number, 0 or more", where);
    }
    part.max_nodes = json["max_nodes"].get<int64_t>();
  }
  if (json.contains("device")) {
    if (!json["device"].is_string()) {
      return InvalidArgument("{}.device must be a string, such as \"cpu\" or \"npu\"", where);
    }
    part.device = json["device"].get<std::string>();
  }
  if (json.contains("batching")) {
    GOMAI_ASSIGN_OR_RETURN(part.batching, ParseBatching(json["batching"], where + ".batching"));
  }
  GOMAI_ASSIGN_OR_RETURN(part.pipeline, Text(json, "pipeline", where));
  return part;
}

absl::StatusOr<PlanNetwork> ParseNetwork(const Json& json, const std::string& where) {
  GOMAI_RETURN_IF_ERROR(CheckKeys(json, {"input", "replaces", "pipeline", "part_pipeline", "batching"}, where));
  PlanNetwork network;
  GOMAI_ASSIGN_OR_RETURN(network.input, Text(json, "input", where));
  GOMAI_ASSIGN_OR_RETURN(network.pipeline, Text(json, "pipeline", where));
  GOMAI_ASSIGN_OR_RETURN(network.part_pipeline, Text(json, "part_pipeline", where));
  if (json.contains("replaces")) {
    GOMAI_ASSIGN_OR_RETURN(network.replaces, StringList(json["replaces"], where + ".replaces"));
  }
  if (json.contains("batching")) {
    if (!json["batching"].is_object()) {
      return InvalidArgument("{}.batching must be an object of part: rows", where);
    }
    for (const auto& [part, size] : json["batching"].items()) {
      GOMAI_ASSIGN_OR_RETURN(network.batching[part], ParseBatching(size, fmt::format("{}.batching.{}", where, part)));
    }
  }
  return network;
}

// What is said of a part that isn't there would be ignored: a misspelt name, as a rule.
absl::Status CheckNetworkParts(const Plan& plan, const std::string& where) {
  std::vector<std::string_view> parts;
  for (const PlanPart& part : plan.parts) {
    parts.push_back(part.name);
  }
  const auto check = [&](const std::string& name, std::string_view key) {
    return std::find(parts.begin(), parts.end(), name) != parts.end()
               ? absl::OkStatus()
               : InvalidArgument("{}.{} names the part '{}', which the plan doesn't have{}", where, key, name,
                                 DidYouMean(name, parts));
  };
  for (const std::string& name : plan.network->replaces) {
    GOMAI_RETURN_IF_ERROR(check(name, "replaces"));
  }
  for (const auto& [name, batching] : plan.network->batching) {
    GOMAI_RETURN_IF_ERROR(check(name, "batching"));
  }
  return absl::OkStatus();
}

Json BatchingJson(const PlanBatching& batching) { return batching.size ? Json(*batching.size) : Json("limit"); }

}  // namespace

void AppendPipeline(std::string_view more, std::string* pipeline) {
  *pipeline += more.empty() || pipeline->empty() ? "" : ",";
  *pipeline += more;
}

absl::Status CheckPlanNames(const Plan& plan) {
  std::set<std::string> names;
  for (const PlanPart& part : plan.parts) {
    if (!IsPartName(part.name)) {
      return InvalidArgument(
          "'{}' can't be a part's name: it is also a file's, so letters, digits, '_', '.' and '-' only", part.name);
    }
    if (part.name == "input" || part.name == "rest" || part.name == "manifest") {
      return InvalidArgument("'{}' can't be a part's name: it has a meaning of its own in a manifest; choose another",
                             part.name);
    }
    if (!names.insert(part.name).second) {
      return InvalidArgument("the part '{}' is named twice", part.name);
    }
    if (part.outputs.empty()) {
      return InvalidArgument("the part '{}' asks for no output; name the tensors or scopes that it must produce",
                             part.name);
    }
    std::set<std::string> outputs;
    for (const std::string& output : part.outputs) {
      if (!outputs.insert(output).second) {
        return InvalidArgument("the part '{}' asks for '{}' twice", part.name, output);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Plan> ParsePlan(std::string_view text, const std::string& origin) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return InvalidArgument(
        "'{}' is not JSON; a plan looks like {{\"parts\": [{{\"name\": \"a\", \"outputs\": [\"T\"]}}]}}", origin);
  }
  GOMAI_RETURN_IF_ERROR(CheckKeys(json, {"summary", "parts", "aliases", "pipeline", "network"}, origin));
  if (!json.contains("parts") || !json["parts"].is_array() || json["parts"].empty()) {
    return InvalidArgument("{}: \"parts\" must be a list of at least one part", origin);
  }
  Plan plan;
  for (size_t i = 0; i < json["parts"].size(); ++i) {
    GOMAI_ASSIGN_OR_RETURN(PlanPart part, ParsePart(json["parts"][i], fmt::format("{}: parts[{}]", origin, i)));
    plan.parts.push_back(std::move(part));
  }
  if (json.contains("aliases")) {
    if (!json["aliases"].is_object()) {
      return InvalidArgument("{}: aliases must be an object of friendly name: tensor", origin);
    }
    for (const auto& [friendly, tensor] : json["aliases"].items()) {
      if (!tensor.is_string() || friendly.empty()) {
        return InvalidArgument("{}: aliases['{}'] must be a tensor's name or a selector", origin, friendly);
      }
      plan.aliases[friendly] = tensor.get<std::string>();
    }
  }
  if (json.contains("pipeline")) {
    if (!json["pipeline"].is_string()) {
      return InvalidArgument("{}: pipeline must be a string, such as \"prune,strip-doc-strings\"", origin);
    }
    plan.pipeline = json["pipeline"].get<std::string>();
  }
  if (json.contains("network")) {
    GOMAI_ASSIGN_OR_RETURN(plan.network, ParseNetwork(json["network"], origin + ": network"));
    GOMAI_RETURN_IF_ERROR(CheckNetworkParts(plan, origin + ": network"));
  }
  if (json.contains("summary")) {
    if (!json["summary"].is_string()) {
      return InvalidArgument("{}: summary must be a string", origin);
    }
    plan.summary = json["summary"].get<std::string>();
  }
  if (absl::Status status = CheckPlanNames(plan); !status.ok()) {
    return Annotate(status, origin);
  }
  return plan;
}

std::string PrintPlan(const Plan& plan) {
  Json json;
  if (!plan.summary.empty()) {
    json["summary"] = plan.summary;
  }
  json["parts"] = Json::array();
  for (const PlanPart& part : plan.parts) {
    Json entry;
    entry["name"] = part.name;
    entry["device"] = part.device;
    entry["outputs"] = part.outputs;
    if (part.inputs) {
      entry["inputs"] = *part.inputs;
    }
    if (!part.forbid_ops.empty()) {
      entry["forbid_ops"] = part.forbid_ops;
    }
    if (part.max_nodes) {
      entry["max_nodes"] = *part.max_nodes;
    }
    if (part.batching) {
      entry["batching"] = BatchingJson(*part.batching);
    }
    if (!part.pipeline.empty()) {
      entry["pipeline"] = part.pipeline;
    }
    json["parts"].push_back(std::move(entry));
  }
  if (!plan.aliases.empty()) {
    json["aliases"] = plan.aliases;
  }
  if (!plan.pipeline.empty()) {
    json["pipeline"] = plan.pipeline;
  }
  if (plan.network) {
    Json& network = json["network"];
    network = {{"input", plan.network->input}, {"replaces", plan.network->replaces}};
    network["pipeline"] = plan.network->pipeline;
    network["part_pipeline"] = plan.network->part_pipeline;
    network["batching"] = Json::object();
    for (const auto& [part, batching] : plan.network->batching) {
      network["batching"][part] = BatchingJson(batching);
    }
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace gomai
