// See target.h.
#include "lib/runtime/target.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lib/base/file.h"
#include "lib/base/text.h"

namespace gomai {
namespace {

using Json = nlohmann::json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// One key of a target after another, into a Target.
class Reader {
 public:
  Reader(Target& target, const std::string& origin) : target_(target), origin_(origin) {}

  absl::Status Read(const Json& json, bool part) {
    if (!json.is_object()) {
      return InvalidArgument("{}: a target is a JSON object", origin_);
    }
    for (const auto& [key, value] : json.items()) {
      GOMAI_RETURN_IF_ERROR(One(key, value, part));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Wrong(const std::string& key, const char* wanted) const {
    return InvalidArgument("{}: '{}' must be {}", origin_, key, wanted);
  }

  absl::Status Text(const std::string& key, const Json& value, std::string* into) const {
    if (!value.is_string()) {
      return Wrong(key, "a string");
    }
    *into = value.get<std::string>();
    return absl::OkStatus();
  }

  absl::Status Path(const std::string& key, const Json& value, std::filesystem::path* into) const {
    std::string text;
    GOMAI_RETURN_IF_ERROR(Text(key, value, &text));
    *into = text;
    return absl::OkStatus();
  }

  absl::Status Flag(const std::string& key, const Json& value, bool* into) const {
    if (!value.is_boolean()) {
      return Wrong(key, "true or false");
    }
    *into = value.get<bool>();
    return absl::OkStatus();
  }

  absl::Status Seconds(const std::string& key, const Json& value, double* into) const {
    if (!value.is_number() || value.get<double>() < 0) {
      return Wrong(key, "a number of seconds, 0 for no limit");
    }
    *into = value.get<double>();
    return absl::OkStatus();
  }

  absl::Status Options(const std::string& key, const Json& value, Pairs* into) const {
    if (!value.is_object()) {
      return Wrong(key, "an object of strings");
    }
    for (const auto& [name, option] : value.items()) {
      if (option.is_object() || option.is_array() || option.is_null()) {
        return InvalidArgument("{}: '{}' of '{}' must be a string, a number or a boolean; write a nested value as text",
                               origin_, name, key);
      }
      const std::string text = option.is_string()    ? option.get<std::string>()
                               : option.is_boolean() ? (option.get<bool>() ? "1" : "0")
                                                     : option.dump();
      SetOption(into, name, text);
    }
    return absl::OkStatus();
  }

  absl::Status One(const std::string& key, const Json& value, bool part) {
    SessionOptions& session = target_.session;
    std::string text;
    if (key == "ep") {
      return Text(key, value, &session.ep);
    }
    if (key == "ep_library") {
      return Path(key, value, &session.ep_library);
    }
    if (key == "ep_device") {
      if (value.is_number_integer()) {
        session.ep_device = value.dump();
        return absl::OkStatus();
      }
      return Text(key, value, &session.ep_device);
    }
    if (key == "ep_options") {
      return Options(key, value, &session.ep_options);
    }
    if (key == "session_options") {
      return Options(key, value, &session.session_options);
    }
    if (key == "optimization") {
      GOMAI_RETURN_IF_ERROR(Text(key, value, &text));
      const absl::StatusOr<Optimization> level = ParseOptimization(text);
      if (!level.ok()) {
        return Annotate(level.status(), origin_);
      }
      session.optimization = *level;
      return absl::OkStatus();
    }
    if (key == "threads") {
      if (!value.is_number_unsigned() || value.get<uint64_t>() > 4096) {
        return Wrong(key, "a number of threads, 0 for one a core");
      }
      session.threads = value.get<int>();
      return absl::OkStatus();
    }
    if (key == "allow_fallback") {
      return Flag(key, value, &target_.allow_fallback);
    }
    if (key == "isolation") {
      return Flag(key, value, &target_.isolate);
    }
    if (key == "open_limit") {
      return Seconds(key, value, &target_.limits.open_seconds);
    }
    if (key == "time_limit") {
      return Seconds(key, value, &target_.limits.run_seconds);
    }
    if (key == "memory_limit") {
      const std::string size = value.is_string() ? value.get<std::string>() : value.dump();
      const std::optional<uint64_t> bytes = ParseSize(size);
      if (!bytes) {
        return Wrong(key, "a size, as \"4G\"");
      }
      target_.limits.memory = *bytes;
      return absl::OkStatus();
    }
    if (key == "vendor_report") {
      return Path(key, value, &target_.vendor_report);
    }
    if (part && key == "device") {
      GOMAI_RETURN_IF_ERROR(Text(key, value, &text));
      return text == "cpu" || text == "npu" ? absl::OkStatus() : Wrong(key, "\"cpu\" or \"npu\"");
    }
    if (!part) {
      if (key == "gomai_target") {
        return value == 1
                   ? absl::OkStatus()
                   : InvalidArgument("{}: gomai_target {} isn't known; this gomai reads 1", origin_, value.dump());
      }
      if (key == "description") {
        return Text(key, value, &text);
      }
      if (key == "ort_library") {
        return Path(key, value, &target_.ort_library);
      }
      if (key == "context") {
        return Path(key, value, &target_.context);
      }
      if (key == "parts") {
        return Parts(value);
      }
    }
    std::vector<std::string_view> known = {"ep",           "ep_library", "ep_device",      "ep_options",
                                           "threads",      "isolation",  "allow_fallback", "session_options",
                                           "open_limit",   "time_limit", "memory_limit",   "optimization",
                                           "vendor_report"};
    if (part) {
      known.push_back("device");
    } else {
      known.insert(known.end(), {"gomai_target", "description", "ort_library", "context", "parts"});
    }
    return InvalidArgument("{}: there is no key '{}'{}", origin_, key, DidYouMean(key, known));
  }

  absl::Status Parts(const Json& value) {
    if (!value.is_object()) {
      return Wrong("parts", "an object, part by part");
    }
    for (const auto& [name, json] : value.items()) {
      Target scratch;  // only to see whether all is right
      GOMAI_RETURN_IF_ERROR(Reader(scratch, fmt::format("{}: part '{}'", origin_, name)).Read(json, /*part=*/true));
      target_.parts[name] = {json.value("device", ""), json.dump()};
    }
    return absl::OkStatus();
  }

  Target& target_;
  const std::string origin_;
};

absl::Status Fill(std::string* text, const std::string& part, const std::filesystem::path& folder) {
  for (size_t begin = text->find("${"); begin != std::string::npos; begin = text->find("${", begin)) {
    const size_t end = text->find('}', begin);
    if (end == std::string::npos) {
      return InvalidArgument("'{}' has a '${{' without its '}}'", *text);
    }
    const std::string name = text->substr(begin + 2, end - begin - 2);
    std::string value;
    if (name == "part") {
      value = part.empty() ? "model" : part;
    } else if (name == "folder") {
      value = folder.empty() ? "." : folder.string();
    } else if (const char* variable = std::getenv(name.c_str()); variable != nullptr) {
      value = variable;
    } else {
      return InvalidArgument("the target says '{}', and the environment has no variable {}; set it", *text, name);
    }
    text->replace(begin, end + 1 - begin, value);
    begin += value.size();
  }
  return absl::OkStatus();
}

absl::Status Fill(std::filesystem::path* path, const std::string& part, const std::filesystem::path& folder) {
  std::string text = path->string();
  if (text.empty()) {
    return absl::OkStatus();
  }
  GOMAI_RETURN_IF_ERROR(Fill(&text, part, folder));
  *path = text;
  // A library without a slash that isn't in the folder is the loader's to find, as everywhere.
  std::error_code error;
  if (path->is_relative() && !folder.empty() &&
      (path->has_parent_path() || std::filesystem::exists(folder / *path, error))) {
    *path = folder / *path;
  }
  return absl::OkStatus();
}

}  // namespace

void SetOption(Pairs* options, const std::string& key, const std::string& value) {
  const auto found =
      std::find_if(options->begin(), options->end(), [&](const auto& pair) { return pair.first == key; });
  if (found != options->end()) {
    found->second = value;
  } else {
    options->emplace_back(key, value);
  }
}

absl::StatusOr<Target> ParseTarget(std::string_view json, const std::string& origin,
                                   const std::filesystem::path& folder) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return InvalidArgument("{} is no JSON", origin);
  }
  Target target;
  target.session.optimization = Optimization::kAll;
  target.folder = folder;
  GOMAI_RETURN_IF_ERROR(Reader(target, origin).Read(parsed, /*part=*/false));
  if (!parsed.contains("gomai_target") || target.session.ep.empty() || !parsed.contains("ep")) {
    return InvalidArgument("{}: a target needs \"gomai_target\": 1 and \"ep\", the execution provider's name", origin);
  }
  return target;
}

absl::StatusOr<Target> ReadTarget(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(file));
  std::error_code error;
  return ParseTarget(text, fmt::format("'{}'", file.string()), std::filesystem::absolute(file, error).parent_path());
}

absl::StatusOr<Target> Target::For(const std::string& part) const {
  Target own = *this;
  if (const auto found = parts.find(part); found != parts.end()) {
    const Json json = Json::parse(found->second.text, nullptr, /*allow_exceptions=*/false);
    GOMAI_RETURN_IF_ERROR(Reader(own, fmt::format("part '{}'", part)).Read(json, /*part=*/true));
  }
  for (std::filesystem::path* path : {&own.ort_library, &own.session.ep_library, &own.context, &own.vendor_report}) {
    GOMAI_RETURN_IF_ERROR(Fill(path, part, folder));
  }
  for (Pairs* options : {&own.session.ep_options, &own.session.session_options}) {
    for (auto& [key, value] : *options) {
      GOMAI_RETURN_IF_ERROR(Fill(&value, part, folder));
    }
  }
  return own;
}

}  // namespace gomai
