// Finds and loads ONNX Runtime, and gives it a face as a Backend.
//
// The library is opened with RTLD_LOCAL, so that what it links doesn't meet ours. The API version asked for is the
// smaller of the header's and the library's minor version: asking for more than it knows makes it print to stderr. Each
// library file is loaded once a process and has one environment, which stays until the end; its log goes to a sink.
#include "lib/runtime/onnxruntime.h"

#ifndef GOMAI_WITH_ONNXRUNTIME

namespace gomai {

absl::StatusOr<std::unique_ptr<Backend>> LoadOnnxRuntime(const OnnxRuntimeOptions&) {
  return Unavailable(
      "this gomai was built without ONNX Runtime's headers and can't run models; run cmake/bootstrap.sh and build "
      "again");
}

}  // namespace gomai

#else

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "lib/base/text.h"
#include "lib/runtime/onnxruntime_internal.h"

#ifndef GOMAI_ONNXRUNTIME_DEFAULT_LIBRARY
#define GOMAI_ONNXRUNTIME_DEFAULT_LIBRARY ""
#endif

namespace gomai {
namespace ort {
namespace {

// The oldest version with all the functions that are called without asking: those of 1.13 (optional types), rounded up
// to what has been tried.
constexpr uint32_t kOldestApi = 16;

void ORT_API_CALL Log(void* parameter, OrtLoggingLevel severity, const char* category, const char*, const char*,
                      const char* message) noexcept {
  // Errors come back as statuses, so here they are notes; and nothing may throw through the runtime.
  try {
    const Library* library = static_cast<const Library*>(parameter);
    library->diagnostics.Report({severity == ORT_LOGGING_LEVEL_WARNING ? Severity::kWarning : Severity::kNote,
                                 fmt::format("ONNX Runtime ({})", category), message});
  } catch (...) {
  }
}

absl::StatusCode CodeOf(OrtErrorCode code) {
  switch (code) {
    case ORT_NO_SUCHFILE:
      return absl::StatusCode::kNotFound;
    case ORT_INVALID_PROTOBUF:
      return absl::StatusCode::kDataLoss;
    case ORT_INVALID_ARGUMENT:
    case ORT_INVALID_GRAPH:
    case ORT_NOT_IMPLEMENTED:
    case ORT_NO_MODEL:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kInternal;
  }
}

std::vector<std::filesystem::path> Candidates(const OnnxRuntimeOptions& options) {
  if (!options.library.empty()) {
    return {options.library};
  }
  if (const char* variable = std::getenv("GOMAI_ORT_LIBRARY"); variable != nullptr && *variable != '\0') {
    return {variable};
  }
  std::vector<std::filesystem::path> paths;
  if (const std::string_view built = GOMAI_ONNXRUNTIME_DEFAULT_LIBRARY; !built.empty()) {
    paths.emplace_back(built);
  }
  paths.emplace_back("libonnxruntime.so.1");
  paths.emplace_back("libonnxruntime.so");
  return paths;
}

// The minor number of "1.26.0", which is the API version that such a library knows.
std::optional<uint32_t> ApiVersionOf(std::string_view version) {
  const std::vector<std::string> numbers = SplitList(version, '.');
  const std::optional<int64_t> minor = numbers.size() >= 2 ? ParseInt64(numbers[1]) : std::nullopt;
  if (!minor || numbers[0] != "1" || *minor < 0 || *minor > 1000) {
    return std::nullopt;
  }
  return static_cast<uint32_t>(*minor);
}

// One pool of memory for all sessions: the parts of a chain run one after another, and each with a pool of its own
// would keep what it needed at its worst.
absl::Status ShareArena(const Library& library) {
  const OrtApi& api = *library.api;
  constexpr std::string_view kDoing = "making a memory pool";
  Owned<OrtMemoryInfo> memory(api.ReleaseMemoryInfo);
  GOMAI_RETURN_IF_ERROR(
      library.Check(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, memory.out()), kDoing));
  return library.Check(api.CreateAndRegisterAllocator(library.env, memory.get(), nullptr), kDoing);
}

absl::StatusOr<std::unique_ptr<Library>> Start(void* handle, const OnnxRuntimeOptions& options,
                                               const std::filesystem::path& asked) {
  using GetApiBase = const OrtApiBase*(ORT_API_CALL*)();
  auto library = std::make_unique<Library>();
  library->path = asked;
  if (struct link_map* map = nullptr; ::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] != '\0') {
    library->path = map->l_name;
  }
  const auto get_base = reinterpret_cast<GetApiBase>(::dlsym(handle, "OrtGetApiBase"));
  if (get_base == nullptr) {
    return Unavailable("'{}' is not ONNX Runtime: it has no function OrtGetApiBase", library->path.string());
  }
  const OrtApiBase* base = get_base();
  library->version = base->GetVersionString();
  const std::optional<uint32_t> known = ApiVersionOf(library->version);
  if (!known || *known < kOldestApi) {
    return Unavailable("'{}' is ONNX Runtime {}; gomai needs 1.{} or newer", library->path.string(), library->version,
                       kOldestApi);
  }
  library->api_version = std::min<uint32_t>(ORT_API_VERSION, *known);
  library->api = base->GetApi(library->api_version);
  if (library->api == nullptr) {
    return Unavailable("'{}' (ONNX Runtime {}) refuses its API version {}", library->path.string(), library->version,
                       library->api_version);
  }
  library->diagnostics = options.diagnostics;
  const auto severity = static_cast<OrtLoggingLevel>(std::clamp(options.log_severity, 0, 4));
  GOMAI_RETURN_IF_ERROR(
      library->Check(library->api->CreateEnvWithCustomLogger(&Log, library.get(), severity, "gomai", &library->env),
                     "starting ONNX Runtime"));
  GOMAI_RETURN_IF_ERROR(ShareArena(*library));
  return library;
}

// Every library that was loaded; never freed, see Library.
absl::StatusOr<Library*> Load(const OnnxRuntimeOptions& options) {
  static std::mutex& mutex = *new std::mutex;
  static auto& loaded = *new std::map<void*, std::unique_ptr<Library>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::vector<std::string> tried;
  for (const std::filesystem::path& path : Candidates(options)) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* why = ::dlerror();
      tried.push_back(fmt::format("'{}' ({})", path.string(), why != nullptr ? why : "no reason given"));
      continue;
    }
    auto& slot = loaded[handle];  // the same file gives the same handle
    if (slot == nullptr) {
      auto library = Start(handle, options, path);
      if (!library.ok()) {
        loaded.erase(handle);
        return library.status();
      }
      slot = *std::move(library);
    }
    return slot.get();
  }
  return Unavailable(
      "ONNX Runtime's library can't be loaded; tried {}; run cmake/bootstrap.sh, or name the library with "
      "--ort-library or $GOMAI_ORT_LIBRARY",
      fmt::join(tried, ", "));
}

class OnnxRuntimeBackend : public Backend {
 public:
  explicit OnnxRuntimeBackend(Library& library) : library_(library) {}

  std::string Describe() const override {
    return fmt::format("ONNX Runtime {} ({})", library_.version, library_.path.string());
  }
  absl::StatusOr<std::unique_ptr<Session>> Open(const std::filesystem::path& model,
                                                const SessionOptions& options) override {
    return OpenSession(library_, model, nullptr, options);
  }
  absl::StatusOr<std::unique_ptr<Session>> OpenBytes(const std::string& model, const SessionOptions& options) override {
    return OpenSession(library_, {}, &model, options);
  }
  absl::StatusOr<std::vector<std::string>> Providers() const override { return library_.ProviderNames(); }
  absl::StatusOr<std::vector<DeviceInfo>> Devices(const SessionOptions& options) override {
    return ListDevices(library_, options);
  }
  absl::StatusOr<std::vector<DeviceInfo>> SelectDevices(const SessionOptions& options) override {
    GOMAI_ASSIGN_OR_RETURN(const Provider provider, FindProvider(library_, options));
    return provider.placement.devices;
  }
  std::string version() const override { return library_.version; }

 private:
  Library& library_;
};

}  // namespace

absl::Status Library::Check(OrtStatus* status, std::string_view doing) const {
  if (status == nullptr) {
    return absl::OkStatus();
  }
  const absl::StatusCode code = CodeOf(api->GetErrorCode(status));
  const std::string message = fmt::format("{}: {}", doing, api->GetErrorMessage(status));
  api->ReleaseStatus(status);
  return MakeStatus(code, message);
}

}  // namespace ort

absl::StatusOr<std::unique_ptr<Backend>> LoadOnnxRuntime(const OnnxRuntimeOptions& options) {
  GOMAI_ASSIGN_OR_RETURN(ort::Library* const library, ort::Load(options));
  return std::make_unique<ort::OnnxRuntimeBackend>(*library);
}

}  // namespace gomai

#endif  // GOMAI_WITH_ONNXRUNTIME
