// manifest.json, written: by hand rather than by the JSON library, so that each tensor stands on a line of its own and
// the difference of two manifests reads well.
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "lib/base/text.h"
#include "lib/split/manifest.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

// On one line, with spaces; our values nest three deep at most.
std::string OneLine(const Json& json) {
  if (json.is_object() || json.is_array()) {
    std::vector<std::string> items;
    for (const auto& [key, value] : json.items()) {
      items.push_back(json.is_object() ? fmt::format("{}: {}", OneLine(Json(key)), OneLine(value)) : OneLine(value));
    }
    return fmt::format(fmt::runtime(json.is_object() ? "{{{}}}" : "[{}]"), fmt::join(items, ", "));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json ShapeJson(const std::optional<std::vector<Dim>>& shape) {
  if (!shape) {
    return nullptr;
  }
  Json json = Json::array();
  for (const Dim& dim : *shape) {
    json.push_back(dim.value ? Json(*dim.value) : dim.symbol.empty() ? Json(nullptr) : Json(dim.symbol));
  }
  return json;
}

Json TensorJson(const ManifestTensor& tensor) {
  return {{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", ShapeJson(tensor.shape)}};
}

void PrintLines(const std::vector<std::string>& lines, char open, char close, const std::string& indent,
                std::string& out) {
  out += open;
  for (size_t i = 0; i < lines.size(); ++i) {
    out += fmt::format("{}\n{}  {}", i == 0 ? "" : ",", indent, lines[i]);
  }
  out += lines.empty() ? std::string(1, close) : fmt::format("\n{}{}", indent, close);
}

void PrintPart(const ManifestPart& part, std::string& out) {
  out += "    {\n";
  std::vector<std::pair<std::string, std::string>> fields = {
      {"name", part.name}, {"file", part.file}, {"digest", part.digest}};
  if (!part.file_digest.empty()) {
    fields.emplace_back("file_digest", part.file_digest);
  }
  fields.emplace_back("device", part.device);
  for (const auto& [key, value] : fields) {
    out += fmt::format("      \"{}\": {},\n", key, OneLine(Json(value)));
  }
  std::vector<std::string> lines;
  for (const ManifestTensor& tensor : part.inputs) {
    Json json = TensorJson(tensor);
    json["from"] = tensor.from;
    lines.push_back(OneLine(json));
  }
  out += "      \"inputs\": ";
  PrintLines(lines, '[', ']', "      ", out);
  lines.clear();
  for (const ManifestTensor& tensor : part.outputs) {
    Json json = TensorJson(tensor);
    json["to"] = tensor.to;
    json["model_output"] = tensor.model_output;
    if (tensor.declared) {
      json["declared"] = ShapeJson(*tensor.declared);
    }
    lines.push_back(OneLine(json));
  }
  out += ",\n      \"outputs\": ";
  PrintLines(lines, '[', ']', "      ", out);
  if (part.batching) {
    const Json batching = {{"axis", 0},
                           {"size", part.batching->size},
                           {"inputs", part.batching->inputs},
                           {"outputs", part.batching->outputs}};
    out += fmt::format(",\n      \"batching\": {}", OneLine(batching));
  }
  out += "\n    }";
}

// [["a", 3], ["b", 1], …], as many to a line as fit.
void PrintRuns(const Runs& runs, std::string& out) {
  std::vector<std::string> lines;
  for (const auto& [part, count] : runs) {
    const std::string run = OneLine(Json::array({part, count}));
    if (!lines.empty() && lines.back().size() + run.size() < 100) {
      lines.back() += ", " + run;
    } else {
      lines.push_back(run);
    }
  }
  PrintLines(lines, '[', ']', "  ", out);
}

}  // namespace

std::string PrintManifest(const Manifest& manifest) {
  std::string out = fmt::format("{{\n  \"gomai_manifest\": {},\n", kManifestVersion);
  out += fmt::format("  \"source\": {},\n",
                     OneLine(Json({{"file", manifest.source_file}, {"digest", manifest.source_digest}})));
  std::vector<std::string> lines;
  for (const ManifestTensor& input : manifest.inputs) {
    lines.push_back(OneLine(TensorJson(input)));
  }
  out += "  \"inputs\": ";
  PrintLines(lines, '[', ']', "  ", out);
  out += fmt::format(",\n  \"outputs\": {},\n  \"parts\": [\n", OneLine(Json(manifest.outputs)));
  for (size_t i = 0; i < manifest.parts.size(); ++i) {
    PrintPart(manifest.parts[i], out);
    out += i + 1 < manifest.parts.size() ? ",\n" : "\n";
  }
  out += "  ],\n  \"aliases\": ";
  lines.clear();
  for (const auto& [friendly, tensor] : manifest.aliases) {
    lines.push_back(fmt::format("{}: {}", OneLine(Json(friendly)), OneLine(Json(tensor))));
  }
  PrintLines(lines, '{', '}', "  ", out);
  out += fmt::format(",\n  \"aliased\": {},\n  \"node_order\": ", manifest.aliased);
  PrintRuns(manifest.node_order, out);
  out += ",\n  \"initializer_order\": ";
  PrintRuns(manifest.initializer_order, out);
  if (!manifest.input_order.empty()) {
    out += fmt::format(",\n  \"input_order\": {}", OneLine(Json(manifest.input_order)));
  }
  if (const std::string unread = manifest.unread.SerializeAsString(); !unread.empty()) {
    out += fmt::format(",\n  \"unread\": {}", OneLine(Json(ToBase64(unread))));
  }
  return out + "\n}\n";
}

}  // namespace gomai
