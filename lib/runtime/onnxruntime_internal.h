#pragma once

// What onnxruntime*.cc share: the loaded library, owners for its objects, its errors as statuses. Not for others.

#include <onnxruntime_c_api.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/runtime/backend.h"

namespace gomai::ort {

// One loaded library with its one environment. Lives until the process ends: the library's threads and the objects that
// it made can't be told when they are the last, and unloading it is not supported by it.
class Library {
 public:
  const OrtApi* api = nullptr;
  uint32_t api_version = 0;
  OrtEnv* env = nullptr;
  std::string version;         // "1.26.0"
  std::filesystem::path path;  // where the loader found it
  Diagnostics diagnostics;

  // An error status, released; OK for nullptr. `doing` comes before the message.
  absl::Status Check(OrtStatus* status, std::string_view doing) const;

  // The devices of a plugin provider; its library is registered once.
  absl::StatusOr<std::vector<const OrtEpDevice*>> PluginDevices(const std::string& name,
                                                                const std::filesystem::path& plugin);
  absl::StatusOr<std::vector<const OrtEpDevice*>> AllDevices() const;
  absl::StatusOr<std::vector<std::string>> BuiltIn() const;  // the runtime's own names
  absl::StatusOr<std::string> FullName(const std::string& short_name) const;
  // Names as --ep takes them: built-in providers, then plugins that are registered.
  absl::StatusOr<std::vector<std::string>> ProviderNames() const;

 private:
  std::mutex mutex_;
  // By name and plugin file.
  std::map<std::pair<std::string, std::string>, std::vector<const OrtEpDevice*>> registered_;
};

// An ONNX Runtime object and the function of OrtApi that releases it.
template <typename T>
class Owned {
 public:
  using Release = void(ORT_API_CALL*)(T*);
  explicit Owned(Release release) : release_(release) {}
  ~Owned() {
    if (value_ != nullptr) {
      release_(value_);
    }
  }
  Owned(Owned&& other) noexcept : release_(other.release_), value_(std::exchange(other.value_, nullptr)) {}
  Owned& operator=(Owned&&) = delete;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  T* get() const { return value_; }
  T** out() { return &value_; }  // for a call that makes it, once

 private:
  Release release_;
  T* value_ = nullptr;
};

int ToDtype(ONNXTensorElementDataType type);
// "float32", "sequence(float32)"; nesting is followed a few levels only.
absl::StatusOr<std::string> TypeText(const Library& library, const OrtTypeInfo* info, int depth = 0);
// An empty shape means a scalar or an unknown rank: has_shape stays false for SettleRanks.
absl::StatusOr<ValueSpec> ReadSpec(const Library& library, std::string name, const OrtTypeInfo* info);
// The runtime's API can't tell a scalar from a tensor of unknown rank, the model's own declaration can: sets has_shape.
void SettleRanks(const std::filesystem::path& model, const std::string* bytes, std::vector<ValueSpec>& inputs,
                 std::vector<ValueSpec>& outputs);

// What `wanted` names: a provider, and of a plugin the devices.
struct Provider {
  std::string name;                         // as the runtime's call wants it; "" for the CPU
  std::vector<const OrtEpDevice*> devices;  // of a plugin
  Placement placement;                      // provider and devices, by the runtime's names; no nodes
};
absl::StatusOr<Provider> FindProvider(Library& library, const SessionOptions& wanted);
// Adds it to `options`; nothing for the CPU.
absl::Status AppendProvider(Library& library, const SessionOptions& wanted, const Provider& provider,
                            OrtSessionOptions* options);
absl::StatusOr<std::vector<DeviceInfo>> ListDevices(Library& library, const SessionOptions& options);

// Does this library tell where nodes went when a session is made?
bool TellsAssignment(const Library& library);
// Adds the nodes to `placement`.
absl::Status ReadAssignment(const Library& library, const OrtSession* session, Placement* placement);

// All that `wanted` says but the provider; with a prefix, where nodes went is to come out of a profile of that name.
absl::Status FillOptions(const Library& library, const SessionOptions& wanted, const std::string& profile_prefix,
                         OrtSessionOptions* options);

// A session on a model by file, or by bytes if `bytes` is not null.
absl::StatusOr<std::unique_ptr<Session>> OpenSession(Library& library, const std::filesystem::path& model,
                                                     const std::string* bytes, const SessionOptions& options);

}  // namespace gomai::ort
