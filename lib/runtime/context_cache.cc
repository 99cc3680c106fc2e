// See context_cache.h.
#include "lib/runtime/context_cache.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/digest.h"
#include "lib/base/file.h"
#include "lib/model/model.h"
#include "lib/runtime/target.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSuffix = "_ctx.onnx";
constexpr size_t kKeyDigits = 16;

uint64_t SizeOf(const std::filesystem::path& file) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

absl::StatusOr<Json> Describe(const std::filesystem::path& model, const std::string& runtime_version,
                              const SessionOptions& options) {
  GOMAI_ASSIGN_OR_RETURN(const std::string skeleton, SkeletonDigest(model));
  GOMAI_ASSIGN_OR_RETURN(const std::string file, FileDigest(model));
  Json json = {{"skeleton", skeleton},        {"file", file},
               {"runtime", runtime_version},  {"provider", options.ep},
               {"device", options.ep_device}, {"optimization", static_cast<int>(options.optimization)}};
  if (!options.ep_library.empty()) {
    json["library"] = fmt::format("{}, {} bytes", options.ep_library.filename().string(), SizeOf(options.ep_library));
  }
  json["ep_options"] = options.ep_options;
  json["session_options"] = options.session_options;
  return json;
}

// "its runtime was 1.24.4, now 1.26.0; its model has changed".
std::string Changes(const Json& before, const Json& now) {
  std::vector<std::string> texts;
  for (const auto& [key, value] : now.items()) {
    if (!before.contains(key) || before[key] == value) {
      continue;
    }
    if (key == "skeleton") {
      texts.emplace_back("its model has changed");
    } else if (key == "file") {
      if (before.value("skeleton", "") == now.value("skeleton", "")) {
        texts.emplace_back("its model's weights have changed");
      }
    } else {
      texts.push_back(fmt::format("its {} was {}, now {}", key, before[key].dump(), value.dump()));
    }
  }
  return texts.empty() ? "it was made otherwise" : fmt::format("{}", fmt::join(texts, "; "));
}

std::filesystem::path DescriptionOf(const std::filesystem::path& context) {
  return std::filesystem::path(context).replace_extension(".json");
}

}  // namespace

absl::StatusOr<ContextEntry> FindContext(const std::filesystem::path& folder, const std::string& part,
                                         const std::filesystem::path& model, const std::string& runtime_version,
                                         const SessionOptions& options, const Diagnostics& diagnostics) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return InvalidArgument("can't make the folder '{}' for compiled models: {}", folder.string(), error.message());
  }
  GOMAI_ASSIGN_OR_RETURN(const Json now, Describe(model, runtime_version, options));
  ContextEntry entry;
  entry.description = now.dump(2) + "\n";
  Sha256 sha;
  sha.Update({reinterpret_cast<const uint8_t*>(entry.description.data()), entry.description.size()});
  const std::string stem = part.empty() ? model.stem().string() : part;
  entry.file = folder / fmt::format("{}.{}{}", stem, sha.Hex().substr(0, kKeyDigits), kSuffix);
  entry.unproven = folder / ("unproven." + entry.file.filename().string());
  entry.present = std::filesystem::exists(entry.file, error);
  std::vector<std::filesystem::path> others;
  for (const auto& other : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = other.path().filename().string();
    if (name.size() == stem.size() + 1 + kKeyDigits + std::string_view(kSuffix).size() && name.ends_with(kSuffix) &&
        name.starts_with(stem + ".") && other.path() != entry.file) {
      others.push_back(other.path());
    }
  }
  std::sort(others.begin(), others.end());
  for (const std::filesystem::path& other : others) {
    const absl::StatusOr<std::string> text = ReadTextFile(DescriptionOf(other));
    const Json before = Json::parse(text.ok() ? *text : "", nullptr, /*allow_exceptions=*/false);
    diagnostics.Warn(part, "the compiled model '{}' is stale and isn't used: {}", other.string(),
                     before.is_object() ? Changes(before, now) : "what made it isn't known");
  }
  return entry;
}

SessionOptions WritingContext(const SessionOptions& options, const ContextEntry& entry) {
  SessionOptions writing = options;
  SetOption(&writing.session_options, "ep.context_enable", "1");
  SetOption(&writing.session_options, "ep.context_file_path", entry.unproven.string());
  SetOption(&writing.session_options, "ep.context_embed_mode", "1");  // one file, which can be moved
  return writing;
}

void DropContext(const ContextEntry& entry) {
  std::error_code ignored;
  std::filesystem::remove(entry.unproven, ignored);
}

absl::Status KeepContext(const ContextEntry& entry) {
  std::error_code error;
  if (!std::filesystem::exists(entry.unproven, error)) {
    return FailedPrecondition("the provider wrote no compiled model; leave out --context");
  }
  GOMAI_RETURN_IF_ERROR(WriteTextFile(DescriptionOf(entry.file), entry.description));
  std::filesystem::rename(entry.unproven, entry.file, error);
  return error ? Internal("can't rename '{}': {}", entry.unproven.string(), error.message()) : absl::OkStatus();
}

}  // namespace gomai
