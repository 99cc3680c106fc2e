// The worker's side; see worker.h.
#include "lib/runtime/worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstring>
#include <mutex>

#include "lib/runtime/channel.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/runtime/sentinel.h"
#include "lib/runtime/session_json.h"
#include "lib/runtime/worker_protocol.h"

namespace gomai {
namespace {

using Json = nlohmann::json;

constexpr int kSocket = 3;

// The runtime logs from threads of its own.
class Reporter {
 public:
  explicit Reporter(Channel& channel) : channel_(channel) {}
  absl::Status Send(const Json& json, int descriptor = -1) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return channel_.Send(json, descriptor);
  }

 private:
  Channel& channel_;
  std::mutex mutex_;
};

Json StepJson(const OpeningSteps& steps) {
  Json devices = Json::array();
  for (const DeviceInfo& device : steps.devices) {
    devices.push_back(ToJson(device));
  }
  return {{"runtime", steps.runtime},
          {"version", steps.version},
          {"devices_found", steps.devices_found},
          {"devices", devices},
          {"session_made", steps.session_made}};
}

absl::StatusOr<std::unique_ptr<Session>> OpenAsAsked(const Json& asked, Reporter& reporter,
                                                     std::unique_ptr<Backend>* backend) {
  const Diagnostics diagnostics([&reporter](const Diagnostic& diagnostic) {
    const Json json = {{"severity", static_cast<int>(diagnostic.severity)},
                       {"location", diagnostic.location},
                       {"message", diagnostic.message}};
    reporter.Send({{"diagnostic", json}}).IgnoreError();
  });
  OnnxRuntimeOptions options;
  options.library = asked.at("ort_library").get<std::string>();
  options.log_severity = asked.at("log_severity").get<int>();
  options.diagnostics = diagnostics;
  GOMAI_ASSIGN_OR_RETURN(*backend, LoadOnnxRuntime(options));
  return OpenInSteps(**backend, asked.at("model").get<std::string>(), SessionOptionsFrom(asked.at("options")),
                     [&](const OpeningSteps& steps) {
                       reporter.Send({{"step", StepJson(steps)}}).IgnoreError();
                     });
}

// Results of fixed sizes are computed where the other side reads them; the others are copied there.
absl::Status RunAsAsked(Session& session, const Json& asked, const std::shared_ptr<SharedMemory>& feeds_memory,
                        Reporter& reporter) {
  NamedTensors feeds;
  for (const Json& feed : asked.at("feeds")) {
    GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, TensorIn(feed, feeds_memory));
    feeds.emplace(feed.at("name").get<std::string>(), std::move(tensor));
  }
  const auto wanted = asked.at("outputs").get<std::vector<std::string>>();
  const bool fill = asked.at("fill").get<bool>();
  uint64_t fixed = 0;
  std::map<std::string, uint64_t> offsets;
  for (const ValueSpec& spec : session.outputs()) {
    uint64_t elements = 1;
    bool known = spec.has_shape && spec.dtype != 0 && spec.dtype != onnx::TensorProto::STRING;
    for (const int64_t dim : spec.shape) {
      known = known && dim > 0;
      elements *= dim > 0 ? static_cast<uint64_t>(dim) : 1;
    }
    if (known) {
      offsets.emplace(spec.name, fixed);
      fixed += AlignedSize(PackedBytes(spec.dtype, elements));
    }
  }
  GOMAI_ASSIGN_OR_RETURN(std::shared_ptr<SharedMemory> memory, SharedMemory::Create(fixed));
  const auto in_place = [&](const ValueSpec& spec) -> std::optional<HostTensor> {
    const auto offset = offsets.find(spec.name);
    if (offset == offsets.end()) {
      return std::nullopt;
    }
    uint64_t elements = 1;
    for (const int64_t dim : spec.shape) {
      elements *= static_cast<uint64_t>(dim);
    }
    const std::span<uint8_t> bytes = memory->bytes().subspan(offset->second, PackedBytes(spec.dtype, elements));
    if (fill) {
      FillSentinel(bytes, spec.dtype);
    }
    return HostTensor::Wrap(spec.dtype, spec.shape, bytes, memory);
  };
  const auto start = std::chrono::steady_clock::now();
  GOMAI_ASSIGN_OR_RETURN(const NamedTensors outputs, session.Run(feeds, wanted, in_place));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Json described = Json::array();
  uint64_t size = fixed;
  bool copies = false;
  const auto lies_in_place = [&](const HostTensor& tensor) {
    return tensor.bytes().data() >= memory->bytes().data() &&
           tensor.bytes().data() < memory->bytes().data() + memory->bytes().size();
  };
  std::map<std::string, uint64_t> places;
  for (const auto& [name, tensor] : outputs) {
    if (tensor.is_string()) {
      return InvalidArgument(
          "output '{}' is of strings, which can't cross to another process; run it without isolation", name);
    }
    if (lies_in_place(tensor)) {
      places[name] = static_cast<uint64_t>(tensor.bytes().data() - memory->bytes().data());
    } else {
      copies = true;
      places[name] = size;
      size += AlignedSize(tensor.bytes().size());
    }
    described.push_back(DescribeTensor(name, tensor, places[name]));
  }
  std::shared_ptr<SharedMemory> sent = memory;
  if (copies) {
    GOMAI_ASSIGN_OR_RETURN(sent, SharedMemory::Create(size));
    for (const auto& [name, tensor] : outputs) {
      if (!tensor.bytes().empty()) {
        std::memcpy(sent->bytes().data() + places[name], tensor.bytes().data(), tensor.bytes().size());
      }
    }
  }
  const Json ran = {{"outputs", described}, {"seconds", seconds}, {"placement", ToJson(session.placement())}};
  return reporter.Send({{"ran", ran}}, sent->descriptor());
}

absl::Status Serve(Channel& channel, Reporter& reporter) {
  GOMAI_ASSIGN_OR_RETURN(const ChannelMessage first, channel.Receive());
  std::unique_ptr<Backend> backend;
  absl::StatusOr<std::unique_ptr<Session>> session = OpenAsAsked(first.json.at("open"), reporter, &backend);
  if (!session.ok()) {
    return reporter.Send({{"error", ToJson(session.status())}});
  }
  Json inputs = Json::array();
  Json outputs = Json::array();
  for (const ValueSpec& spec : (*session)->inputs()) {
    inputs.push_back(ToJson(spec));
  }
  for (const ValueSpec& spec : (*session)->outputs()) {
    outputs.push_back(ToJson(spec));
  }
  const Json opened = {{"inputs", inputs}, {"outputs", outputs}, {"placement", ToJson((*session)->placement())}};
  GOMAI_RETURN_IF_ERROR(reporter.Send({{"opened", opened}}));
  while (true) {
    GOMAI_ASSIGN_OR_RETURN(ChannelMessage message, channel.Receive());
    std::shared_ptr<SharedMemory> feeds;
    for (const int descriptor : message.descriptors) {
      GOMAI_ASSIGN_OR_RETURN(feeds, SharedMemory::Take(descriptor));
    }
    if (const absl::Status ran = RunAsAsked(**session, message.json.at("run"), feeds, reporter); !ran.ok()) {
      GOMAI_RETURN_IF_ERROR(reporter.Send({{"error", ToJson(ran)}}));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenInSteps(Backend& backend, const std::filesystem::path& model,
                                                     const SessionOptions& options,
                                                     const std::function<void(const OpeningSteps&)>& told) {
  OpeningSteps steps;
  steps.runtime = backend.Describe();
  steps.version = backend.version();
  told(steps);
  GOMAI_ASSIGN_OR_RETURN(steps.devices, backend.SelectDevices(options));
  steps.devices_found = true;
  told(steps);
  GOMAI_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, backend.Open(model, options));
  steps.session_made = true;
  told(steps);
  return session;
}

nlohmann::json DescribeTensor(const std::string& name, const HostTensor& tensor, uint64_t offset) {
  return {{"name", name},
          {"dtype", tensor.dtype()},
          {"shape", tensor.shape()},
          {"offset", offset},
          {"bytes", tensor.bytes().size()}};
}

absl::StatusOr<HostTensor> TensorIn(const nlohmann::json& json, const std::shared_ptr<SharedMemory>& memory) {
  const auto offset = json.at("offset").get<uint64_t>();
  const auto size = json.at("bytes").get<uint64_t>();
  const auto dtype = json.at("dtype").get<int>();
  auto shape = json.at("shape").get<std::vector<int64_t>>();
  if (size == 0) {
    return HostTensor::Create(dtype, std::move(shape));
  }
  if (memory == nullptr || offset > memory->bytes().size() || size > memory->bytes().size() - offset) {
    return DataLoss("a tensor from another process lies outside its memory");
  }
  return HostTensor::Wrap(dtype, std::move(shape), memory->bytes().subspan(offset, size), memory);
}

int WorkerMain(int64_t parent) {
  // Whoever waits for us may be killed; then nobody is left to end us. The process may be gone already.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    return 1;
  }
  // What ends it is told by the signal: nobody else's handler (a sanitizer's) may make an exit code of it.
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    ::signal(signal, SIG_DFL);
  }
  Channel channel(kSocket);
  Reporter reporter(channel);
  try {
    const absl::Status served = Serve(channel, reporter);
    return served.ok() || absl::IsUnavailable(served) ? 0 : 1;
  } catch (const std::exception& error) {  // a message that isn't one, or no memory
    reporter.Send({{"error", ToJson(Internal("the worker process: {}", error.what()))}}).IgnoreError();
    return 1;
  }
}

}  // namespace gomai
