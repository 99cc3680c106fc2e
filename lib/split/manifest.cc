// manifest.json, read; the format is described in docs/formats.md.
//
// What is read is checked as a whole: whoever has a Manifest may follow `from` and `file` without looking. Keys that
// aren't known are ignored: within version 1, keys are only ever added.
#include "lib/split/manifest.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

absl::Status Broken(const std::string& where, std::string_view what) {
  return InvalidArgument("{} {}; split the model again, or mend the manifest by hand", where, what);
}

class Reader {
 public:
  explicit Reader(std::string origin) : origin_(std::move(origin)) {}

  absl::StatusOr<Manifest> Read(const Json& json) {
    GOMAI_RETURN_IF_ERROR(ReadVersion(json));
    Manifest manifest;
    GOMAI_ASSIGN_OR_RETURN(const Json* const source, Member(json, "source", "", Json::value_t::object));
    GOMAI_ASSIGN_OR_RETURN(manifest.source_file, Text(*source, "file", "source"));
    GOMAI_ASSIGN_OR_RETURN(manifest.source_digest, Text(*source, "digest", "source"));
    GOMAI_ASSIGN_OR_RETURN(manifest.inputs, Tensors(json, "inputs", "", Kind::kModelInput));
    GOMAI_ASSIGN_OR_RETURN(manifest.outputs, Texts(json, "outputs", ""));
    GOMAI_ASSIGN_OR_RETURN(const Json* const parts, Member(json, "parts", "", Json::value_t::array));
    for (size_t i = 0; i < parts->size(); ++i) {
      GOMAI_ASSIGN_OR_RETURN(ManifestPart part, Part((*parts)[i], fmt::format("parts[{}]", i)));
      manifest.parts.push_back(std::move(part));
    }
    if (json.contains("aliases")) {
      GOMAI_ASSIGN_OR_RETURN(const Json* const aliases, Member(json, "aliases", "", Json::value_t::object));
      for (const auto& [friendly, tensor] : aliases->items()) {
        if (!tensor.is_string()) {
          return Broken(Where("aliases." + friendly), "must be a string");
        }
        manifest.aliases[friendly] = tensor.get<std::string>();
      }
    }
    if (json.contains("aliased")) {
      GOMAI_ASSIGN_OR_RETURN(const Json* const aliased, Member(json, "aliased", "", Json::value_t::boolean));
      manifest.aliased = aliased->get<bool>();
    }
    GOMAI_ASSIGN_OR_RETURN(manifest.node_order, Order(json, "node_order"));
    GOMAI_ASSIGN_OR_RETURN(manifest.initializer_order, Order(json, "initializer_order"));
    if (json.contains("input_order")) {
      GOMAI_ASSIGN_OR_RETURN(manifest.input_order, Texts(json, "input_order", ""));
    }
    GOMAI_RETURN_IF_ERROR(ReadUnread(json, &manifest));
    GOMAI_RETURN_IF_ERROR(CheckWiring(manifest));
    return manifest;
  }

 private:
  enum class Kind { kModelInput, kPartInput, kPartOutput };

  std::string Where(std::string_view path) const { return fmt::format("'{}': {}", origin_, path); }
  static std::string Join(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }

  absl::Status ReadVersion(const Json& json) const {
    if (!json.is_object() || !json.contains("gomai_manifest")) {
      return InvalidArgument("'{}' is no manifest: it has no \"gomai_manifest\"; give the manifest.json of a split",
                             origin_);
    }
    const Json& version = json["gomai_manifest"];
    if (!version.is_number_integer() || version.get<int64_t>() != kManifestVersion) {
      return InvalidArgument("'{}' is a manifest of version {}, and this gomai knows version {}; use a newer gomai",
                             origin_, version.dump(), kManifestVersion);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<const Json*> Member(const Json& object, const std::string& key, std::string_view path,
                                     Json::value_t type) const {
    const auto found = object.find(key);
    if (found == object.end()) {
      return Broken(Where(Join(path, key)), "is missing");
    }
    if (found->type() != type) {
      return Broken(Where(Join(path, key)), fmt::format("must be a {}", Json(type).type_name()));
    }
    return &*found;
  }

  absl::StatusOr<std::string> Text(const Json& object, const std::string& key, std::string_view path) const {
    GOMAI_ASSIGN_OR_RETURN(const Json* const text, Member(object, key, path, Json::value_t::string));
    return text->get<std::string>();
  }

  absl::StatusOr<std::vector<std::string>> Texts(const Json& object, const std::string& key,
                                                 std::string_view path) const {
    GOMAI_ASSIGN_OR_RETURN(const Json* const list, Member(object, key, path, Json::value_t::array));
    std::vector<std::string> texts;
    for (const Json& element : *list) {
      if (!element.is_string()) {
        return Broken(Where(Join(path, key)), "must hold strings only");
      }
      texts.push_back(element.get<std::string>());
    }
    return texts;
  }

  absl::StatusOr<std::vector<ManifestTensor>> Tensors(const Json& object, const std::string& key, std::string_view path,
                                                      Kind kind) const {
    GOMAI_ASSIGN_OR_RETURN(const Json* const list, Member(object, key, path, Json::value_t::array));
    std::vector<ManifestTensor> tensors;
    std::set<std::string> names;
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string where = fmt::format("{}[{}]", Join(path, key), i);
      GOMAI_ASSIGN_OR_RETURN(ManifestTensor tensor, Tensor((*list)[i], where, kind));
      if (!names.insert(tensor.name).second) {
        return Broken(Where(where), fmt::format("names '{}' a second time", tensor.name));
      }
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

  absl::StatusOr<std::optional<std::vector<Dim>>> Shape(const Json& json, const std::string& key,
                                                        const std::string& where) const {
    const auto shape = json.find(key);
    if (shape == json.end() || !(shape->is_null() || shape->is_array())) {
      return Broken(Where(Join(where, key)), "must be a list of dims, or null for an unknown rank");
    }
    if (shape->is_null()) {
      return std::optional<std::vector<Dim>>();
    }
    std::vector<Dim> dims;
    for (const Json& json_dim : *shape) {
      Dim dim;
      if (json_dim.is_number_integer() && json_dim.get<int64_t>() >= 0) {
        dim.value = json_dim.get<int64_t>();
      } else if (json_dim.is_string()) {
        dim.symbol = json_dim.get<std::string>();
      } else if (!json_dim.is_null()) {
        return Broken(Where(Join(where, key)), "must hold whole numbers >= 0, symbols and null only");
      }
      dims.push_back(std::move(dim));
    }
    return std::optional(std::move(dims));
  }

  absl::StatusOr<ManifestTensor> Tensor(const Json& json, const std::string& where, Kind kind) const {
    if (!json.is_object()) {
      return Broken(Where(where), "must be an object");
    }
    ManifestTensor tensor;
    GOMAI_ASSIGN_OR_RETURN(tensor.name, Text(json, "name", where));
    GOMAI_ASSIGN_OR_RETURN(tensor.dtype, Text(json, "dtype", where));
    GOMAI_ASSIGN_OR_RETURN(tensor.shape, Shape(json, "shape", where));
    if (kind == Kind::kPartInput) {
      GOMAI_ASSIGN_OR_RETURN(tensor.from, Text(json, "from", where));
    }
    if (kind == Kind::kPartOutput) {
      GOMAI_ASSIGN_OR_RETURN(tensor.to, Texts(json, "to", where));
      GOMAI_ASSIGN_OR_RETURN(const Json* const output, Member(json, "model_output", where, Json::value_t::boolean));
      tensor.model_output = output->get<bool>();
      if (json.contains("declared")) {
        GOMAI_ASSIGN_OR_RETURN(tensor.declared, Shape(json, "declared", where));
      }
    }
    return tensor;
  }

  absl::StatusOr<ManifestPart> Part(const Json& json, const std::string& where) const {
    if (!json.is_object()) {
      return Broken(Where(where), "must be an object");
    }
    ManifestPart part;
    GOMAI_ASSIGN_OR_RETURN(part.name, Text(json, "name", where));
    if (!IsPartFileStem(part.name) || part.name == "input") {
      return Broken(Where(where + ".name"), fmt::format("'{}' can't be a part's name", part.name));
    }
    GOMAI_ASSIGN_OR_RETURN(part.file, Text(json, "file", where));
    if (!StaysInFolder(part.file)) {
      return Broken(Where(where + ".file"), fmt::format("'{}' leads out of the manifest's folder", part.file));
    }
    GOMAI_ASSIGN_OR_RETURN(part.digest, Text(json, "digest", where));
    if (json.contains("file_digest")) {
      GOMAI_ASSIGN_OR_RETURN(part.file_digest, Text(json, "file_digest", where));
    }
    GOMAI_ASSIGN_OR_RETURN(part.device, Text(json, "device", where));
    GOMAI_ASSIGN_OR_RETURN(part.inputs, Tensors(json, "inputs", where, Kind::kPartInput));
    GOMAI_ASSIGN_OR_RETURN(part.outputs, Tensors(json, "outputs", where, Kind::kPartOutput));
    if (json.contains("batching")) {
      GOMAI_ASSIGN_OR_RETURN(part.batching, Batching(json, where, part));
    }
    return part;
  }

  absl::StatusOr<ManifestBatching> Batching(const Json& json, const std::string& where,
                                            const ManifestPart& part) const {
    const std::string path = Join(where, "batching");
    GOMAI_ASSIGN_OR_RETURN(const Json* const object, Member(json, "batching", where, Json::value_t::object));
    ManifestBatching batching;
    const auto size = object->find("size");
    if (size == object->end() || !size->is_number_integer() || size->get<int64_t>() < 1 ||
        size->get<int64_t>() > (int64_t{1} << 31)) {
      return Broken(Where(path + ".size"), "must be a number of rows, 1 to 2^31");
    }
    batching.size = size->get<int64_t>();
    if (object->contains("axis") && (*object)["axis"] != 0) {
      return Broken(Where(path + ".axis"), "must be 0, the only axis along which lists are taken apart");
    }
    GOMAI_ASSIGN_OR_RETURN(batching.inputs, Texts(*object, "inputs", path));
    GOMAI_ASSIGN_OR_RETURN(batching.outputs, Texts(*object, "outputs", path));
    for (const auto& [names, tensors] :
         {std::pair(&batching.inputs, &part.inputs), std::pair(&batching.outputs, &part.outputs)}) {
      std::set<std::string> seen;
      for (const std::string& name : *names) {
        if (!seen.insert(name).second) {
          return Broken(Where(path), fmt::format("names '{}' a second time", name));
        }
        const auto tensor =
            std::find_if(tensors->begin(), tensors->end(), [&](const auto& t) { return t.name == name; });
        if (tensor == tensors->end() || (tensor->shape && tensor->shape->empty())) {
          return Broken(Where(path), fmt::format("names '{}', which is no list that the part reads or gives", name));
        }
      }
    }
    if (batching.inputs.empty() || batching.outputs.size() != part.outputs.size()) {
      return Broken(Where(path), "must name at least one input, and every output of the part");
    }
    return batching;
  }

  absl::StatusOr<Runs> Order(const Json& json, const std::string& key) const {
    Runs order;
    if (!json.contains(key)) {
      return order;
    }
    GOMAI_ASSIGN_OR_RETURN(const Json* const runs, Member(json, key, "", Json::value_t::array));
    for (const Json& run : *runs) {
      if (!run.is_array() || run.size() != 2 || !run[0].is_string() || !run[1].is_number_unsigned()) {
        return Broken(Where(key), "must hold runs [\"part\", count]");
      }
      order.emplace_back(run[0].get<std::string>(), run[1].get<uint64_t>());
    }
    return order;
  }

  absl::Status ReadUnread(const Json& json, Manifest* manifest) const {
    if (!json.contains("unread")) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const std::string text, Text(json, "unread", ""));
    const std::optional<std::string> bytes = FromBase64(text);
    if (!bytes || !manifest->unread.ParseFromString(*bytes)) {
      return Broken(Where("unread"), "must be a GraphProto in Base64");
    }
    std::map<std::string_view, const ManifestTensor*> inputs;
    for (const ManifestTensor& input : manifest->inputs) {
      inputs.emplace(input.name, &input);
    }
    for (const onnx::ValueInfoProto& info : manifest->unread.input()) {
      const auto input = inputs.find(info.name());
      if (input == inputs.end() || DescribeType(*input->second) != DescribeType(DescribeTensor(info))) {
        return Broken(Where("unread"), fmt::format("declares '{}', which is no such input of the model", info.name()));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckWiring(const Manifest& manifest) const {
    std::map<std::string, std::set<std::string>> made;  // by part
    std::set<std::string> files;
    for (const ManifestTensor& input : manifest.inputs) {
      made["input"].insert(input.name);
    }
    std::set<std::string> model_outputs;
    for (const ManifestPart& part : manifest.parts) {
      if (made.contains(part.name)) {
        return Broken(Where("parts"), fmt::format("name '{}' twice", part.name));
      }
      if (!files.insert(part.file).second) {
        return Broken(Where("parts"), fmt::format("name the file '{}' twice", part.file));
      }
      for (const ManifestTensor& input : part.inputs) {
        const auto producer = made.find(input.from);
        if (producer == made.end()) {
          return Broken(Where(fmt::format("part '{}'", part.name)),
                        fmt::format("reads '{}' from '{}', which is no earlier part", input.name, input.from));
        }
        const std::string name = input.from == "input" ? ModelName(manifest, input.name) : input.name;
        if (!producer->second.contains(name)) {
          return Broken(Where(fmt::format("part '{}'", part.name)),
                        fmt::format("reads '{}' from '{}', which doesn't give it", input.name, input.from));
        }
      }
      std::set<std::string>& outputs = made[part.name];
      for (const ManifestTensor& output : part.outputs) {
        outputs.insert(output.name);
        if (output.model_output) {
          model_outputs.insert(ModelName(manifest, output.name));
        }
      }
    }
    for (const std::string& output : manifest.outputs) {
      if (!model_outputs.contains(output)) {
        return Broken(Where("outputs"), fmt::format("name '{}', which no part gives", output));
      }
    }
    return absl::OkStatus();
  }

  std::string origin_;
};

}  // namespace

std::string ModelName(const Manifest& manifest, const std::string& name) {
  const bool own = std::any_of(manifest.inputs.begin(), manifest.inputs.end(),
                               [&](const ManifestTensor& input) { return input.name == name; }) ||
                   std::find(manifest.outputs.begin(), manifest.outputs.end(), name) != manifest.outputs.end();
  const auto alias = manifest.aliases.find(name);
  return own || !manifest.aliased || alias == manifest.aliases.end() ? name : alias->second;
}

absl::StatusOr<Manifest> ParseManifest(std::string_view json, const std::string& origin) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return InvalidArgument("'{}' is not JSON; it is cut short or damaged", origin);
  }
  return Reader(origin).Read(parsed);
}

absl::StatusOr<Manifest> ReadManifest(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(file));
  return ParseManifest(text, file.string());
}

bool LooksLikeManifest(const std::filesystem::path& file) {
  // A model's first byte is a protobuf tag, never a brace; so a large model isn't read here.
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    return false;
  }
  const auto mapped = MappedFile::Open(file);
  if (!mapped.ok()) {
    return false;
  }
  const std::span<const uint8_t> bytes = (*mapped)->bytes();
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t brace = text.substr(0, 1024).find_first_not_of(" \t\r\n");
  return brace != std::string_view::npos && text[brace] == '{' &&
         text.substr(0, 1 << 20).find("\"gomai_manifest\"") != std::string_view::npos;
}

}  // namespace gomai
