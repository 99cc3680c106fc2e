#pragma once

// Backend: one interface to whatever runs a model. ONNX Runtime (lib/runtime/onnxruntime.h) is the first behind it.
//
// A Session holds one compiled model for one execution provider. Execution providers are named, with free key/value
// options and an optional plugin library, since each NPU vendor has its own; nothing here knows a vendor.
//
//   GOMAI_ASSIGN_OR_RETURN(auto backend, LoadOnnxRuntime({}));
//   GOMAI_ASSIGN_OR_RETURN(auto session, backend->Open("m.onnx", SessionOptions{}));
//   GOMAI_ASSIGN_OR_RETURN(auto outputs, session->Run({{"image", tensor}}, {}));

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/placement.h"
#include "lib/runtime/tensor.h"

namespace gomai {

enum class Optimization { kDisabled, kBasic, kExtended, kAll };

// "off", "basic", "extended", "all"; kInvalidArgument naming these otherwise.
absl::StatusOr<Optimization> ParseOptimization(std::string_view text);

struct SessionOptions {
  std::string ep = "cpu";  // execution provider
  std::vector<std::pair<std::string, std::string>> ep_options;
  std::filesystem::path ep_library;  // plugin provider
  // Of a plugin provider's devices: "npu", "gpu", "cpu", or an index into Backend::Devices(); "": the only one, or its
  // only NPU.
  std::string ep_device;
  bool record_placement = false;  // see Session::placement
  bool forbid_fallback = false;   // asked of a runtime that can't tell placement: it refuses what lands on the CPU
  Optimization optimization = Optimization::kDisabled;               // the reference session's; kAll for speed
  int threads = 0;                                                   // intra-op; 0: as many as cores
  std::vector<std::pair<std::string, std::string>> session_options;  // runtime's own config entries
};

struct ValueSpec {
  std::string name;
  int dtype = 0;                     // TensorProto.DataType; 0 for non-tensors
  std::string type;                  // "float32", "sequence(float32)"
  bool has_shape = false;            // rank known
  std::vector<int64_t> shape;        // -1: dynamic
  std::vector<std::string> symbols;  // beside shape; "" if none
};

using NamedTensors = std::map<std::string, HostTensor>;

// Memory for a result whose sizes the model declares; nullopt leaves it to the runtime. What it holds before the run is
// seen by whoever looks for results that a provider never wrote.
using OutputMemory = std::function<std::optional<HostTensor>(const ValueSpec& output)>;

class Session {
 public:
  virtual ~Session() = default;
  virtual const std::vector<ValueSpec>& inputs() const = 0;  // without overridable initializers
  virtual const std::vector<ValueSpec>& outputs() const = 0;
  // Outputs asked for ({}: all). Inputs are checked first: unknown or missing name, dtype, rank, fixed dim:
  // kInvalidArgument naming it. What the runtime says when a node fails comes back as kInternal, with the node's name.
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds, const std::vector<std::string>& outputs) {
    return Run(feeds, outputs, {});
  }
  virtual absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                           const OutputMemory& memory) = 0;
  // Where the nodes are, if that was asked for (SessionOptions::record_placement): known once the session is made, or,
  // with a runtime older than 1.24, after its first run.
  virtual const Placement& placement() const;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string Describe() const = 0;  // "ONNX Runtime 1.26.0 (/path/libonnxruntime.so.1.26.0)"
  // A model by file (external data beside it works), or by its bytes.
  virtual absl::StatusOr<std::unique_ptr<Session>> Open(const std::filesystem::path& model,
                                                        const SessionOptions& options) = 0;
  virtual absl::StatusOr<std::unique_ptr<Session>> OpenBytes(const std::string& model,
                                                             const SessionOptions& options) = 0;
  virtual absl::StatusOr<std::vector<std::string>> Providers() const = 0;
  // What the runtime lists, after it has loaded the plugin provider of `options`, if that names one. Empty before
  // version 1.22.
  virtual absl::StatusOr<std::vector<DeviceInfo>> Devices(const SessionOptions& options) = 0;
  // Those that a session with these options would use; empty for a provider built into the library. Errors: as Open
  // for what names no device.
  virtual absl::StatusOr<std::vector<DeviceInfo>> SelectDevices(const SessionOptions& options) = 0;
  virtual std::string version() const = 0;  // "1.26.0"
};

// Checks feeds against specs: what Session::Run promises, for any backend.
absl::Status CheckFeeds(const std::vector<ValueSpec>& inputs, const NamedTensors& feeds);

// "float32 [3,height,width]"; "?" for a dynamic dim without symbol, no brackets when the rank is unknown.
std::string DescribeSpec(const ValueSpec& spec);

// A made-up input of this dtype and concrete shape, which must agree with the spec (kInvalidArgument). Floats are
// uniform in [0,1), ints in [0,8) (int2 in [0,2), uint2 in [0,4)), bools mixed, strings "s0"…; the same seed gives the
// same values on every machine. Each value depends on seed, input name and index only.
absl::StatusOr<HostTensor> RandomTensor(const ValueSpec& spec, uint64_t seed, const std::vector<int64_t>& shape);

// Made-up values for all of `inputs` but those in `given`. `shapes` holds the sizes of those with a dynamic dim or an
// unknown rank; one that lacks there, and one that no input has: kInvalidArgument naming it.
absl::StatusOr<NamedTensors> RandomInputs(const std::vector<ValueSpec>& inputs, uint64_t seed,
                                          const std::map<std::string, std::vector<int64_t>>& shapes,
                                          const NamedTensors& given);

// "image:1x3x4" or "image:[1,3,4]", split at the last colon; "x:" and "x:[]" are scalars. kInvalidArgument, also for an
// input that is named twice.
absl::StatusOr<std::map<std::string, std::vector<int64_t>>> ParseInputShapes(const std::vector<std::string>& texts);

}  // namespace gomai
