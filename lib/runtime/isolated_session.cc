// The program's side of a worker; see worker.h.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "lib/base/text.h"
#include "lib/runtime/channel.h"
#include "lib/runtime/child_process.h"
#include "lib/runtime/profile_file.h"
#include "lib/runtime/session_json.h"
#include "lib/runtime/worker.h"
#include "lib/runtime/worker_protocol.h"

namespace gomai {
namespace {

using Json = nlohmann::json;

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

absl::Status Unexpected(const nlohmann::json::exception& error) {
  return Internal("the worker process said something unexpected ({})", error.what());
}

void Apply(const Json& step, OpeningSteps* steps) {
  steps->runtime = step.at("runtime").get<std::string>();
  steps->version = step.at("version").get<std::string>();
  steps->devices_found = step.at("devices_found").get<bool>();
  steps->session_made = step.at("session_made").get<bool>();
  steps->devices.clear();
  for (const Json& device : step.at("devices")) {
    steps->devices.push_back(DeviceInfoFrom(device));
  }
}

class IsolatedSession : public Session {
 public:
  IsolatedSession(std::filesystem::path model, SessionOptions options, WorkerOptions worker)
      : model_(std::move(model)), options_(std::move(options)), worker_(std::move(worker)) {}

  ~IsolatedSession() override {
    if (child_ != nullptr) {
      Ended("", "", 0).IgnoreError();
    }
  }

  const std::vector<ValueSpec>& inputs() const override { return inputs_; }
  const std::vector<ValueSpec>& outputs() const override { return outputs_; }
  const Placement& placement() const override { return placement_; }
  using Session::Run;
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                   const OutputMemory& memory) override;
  absl::Status Start(OpeningSteps* steps);

 private:
  absl::StatusOr<ChannelMessage> Answer(const char* expected, const std::function<std::string()>& doing, double seconds,
                                        OpeningSteps* steps);
  absl::Status Ended(const std::string& how, const std::string& doing, double seconds);
  void TellLog();

  const std::filesystem::path model_;
  const SessionOptions options_;
  const WorkerOptions worker_;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<ChildProcess> child_;
  std::vector<ValueSpec> inputs_;
  std::vector<ValueSpec> outputs_;
  Placement placement_;
};

// Ends the worker, and says how it came to its end.
absl::Status IsolatedSession::Ended(const std::string& how, const std::string& doing, double seconds) {
  channel_.reset();
  child_->Kill();
  child_->Wait();
  std::string printed;
  for (const std::string& line : SplitList(child_->TakeLog(), '\n')) {
    if (!Trim(line).empty()) {
      printed = line;  // the last
    }
  }
  ProfileFile::RemoveOf(child_->pid());
  child_.reset();
  return Internal("{} {} after {:.1f} s{}", how, doing, seconds,
                  printed.empty() ? "" : fmt::format("; it printed last: {}", printed.substr(0, 300)));
}

void IsolatedSession::TellLog() {
  for (const std::string& line : SplitList(child_->TakeLog(), '\n')) {
    if (!Trim(line).empty()) {
      worker_.diagnostics.Note(model_.filename().string(), "the provider printed: {}", line);
    }
  }
}

absl::StatusOr<ChannelMessage> IsolatedSession::Answer(const char* expected, const std::function<std::string()>& doing,
                                                       double seconds, OpeningSteps* steps) {
  const auto start = std::chrono::steady_clock::now();
  std::string reason;  // why we ended it
  const auto wait = [&]() -> absl::Status {
    child_->TrimLog();
    if (worker_.cancelled && worker_.cancelled()) {
      return MakeStatus(absl::StatusCode::kCancelled, "interrupted");
    }
    if (seconds > 0 && Since(start) > seconds) {
      reason = fmt::format("stopped, since it took longer than the limit of {} s,", seconds);
    } else if (const uint64_t held = child_->ResidentBytes();
               worker_.limits.memory > 0 && held > worker_.limits.memory) {
      reason = fmt::format("stopped, since it held {} of memory and the limit is {},", FormatBytes(held),
                           FormatBytes(worker_.limits.memory));
    }
    return reason.empty() ? absl::OkStatus() : ResourceExhausted("{}", reason);
  };
  try {
    while (true) {
      absl::StatusOr<ChannelMessage> message = channel_->Receive(wait);
      if (!message.ok()) {
        const std::string what = doing();
        const double took = Since(start);
        if (absl::IsCancelled(message.status())) {
          Ended("", what, took).IgnoreError();
          return message.status();
        }
        if (!reason.empty()) {
          return Ended(reason, what, took);
        }
        // Gone: it ended by itself.
        channel_.reset();
        std::string end = child_->Wait();
        if (end == "killed by SIGKILL") {
          end += " (perhaps the system had no memory left)";
        }
        return Ended(end, what, took);
      }
      const Json& json = message->json;
      if (const auto diagnostic = json.find("diagnostic"); diagnostic != json.end()) {
        worker_.diagnostics.Report({static_cast<Severity>(diagnostic->at("severity").get<int>()),
                                    diagnostic->at("location").get<std::string>(),
                                    diagnostic->at("message").get<std::string>()});
      } else if (const auto step = json.find("step"); step != json.end()) {
        Apply(*step, steps);
      } else if (const auto error = json.find("error"); error != json.end()) {
        TellLog();
        return StatusFrom(*error);
      } else if (json.contains(expected)) {
        TellLog();
        return *std::move(message);
      } else {
        return Internal("the worker process said something unexpected");
      }
    }
  } catch (const nlohmann::json::exception& error) {
    return Ended(fmt::format("stopped, since it said something unexpected ({}),", error.what()), doing(), Since(start));
  }
}

absl::Status IsolatedSession::Start(OpeningSteps* steps) {
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Internal("can't make a channel to a worker process: {}", std::strerror(errno));
  }
  channel_ = std::make_unique<Channel>(sockets[0]);
  std::vector<std::string> command = worker_.command;
  command.push_back(fmt::to_string(::getpid()));
  GOMAI_ASSIGN_OR_RETURN(child_, ChildProcess::Start(command, sockets[1]));
  std::error_code error;
  std::filesystem::path library = worker_.ort_library;
  const Json open = {{"model", std::filesystem::absolute(model_, error).string()},
                     {"options", ToJson(options_)},
                     {"ort_library", library.string()},
                     {"log_severity", worker_.log_severity}};
  OpeningSteps own;
  OpeningSteps* reached = steps != nullptr ? steps : &own;
  channel_->Send({{"open", open}}).IgnoreError();  // if it is gone, that shows next
  const auto doing = [&]() -> std::string {
    return reached->runtime.empty()  ? "while it loaded the runtime"
           : !reached->devices_found ? "while it looked for the device"
                                     : "in session creation";
  };
  GOMAI_ASSIGN_OR_RETURN(const ChannelMessage answer, Answer("opened", doing, worker_.limits.open_seconds, reached));
  inputs_.clear();
  outputs_.clear();
  try {
    const Json& opened = answer.json.at("opened");
    for (const Json& spec : opened.at("inputs")) {
      inputs_.push_back(ValueSpecFrom(spec));
    }
    for (const Json& spec : opened.at("outputs")) {
      outputs_.push_back(ValueSpecFrom(spec));
    }
    placement_ = PlacementFrom(opened.at("placement"));
  } catch (const nlohmann::json::exception& caught) {
    return Unexpected(caught);
  }
  return absl::OkStatus();
}

absl::StatusOr<NamedTensors> IsolatedSession::Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                                  const OutputMemory& memory) {
  GOMAI_RETURN_IF_ERROR(CheckFeeds(inputs_, feeds));
  if (child_ == nullptr) {
    GOMAI_RETURN_IF_ERROR(Annotate(Start(nullptr), "started anew"));
  }
  uint64_t size = 0;
  Json described = Json::array();
  for (const auto& [name, tensor] : feeds) {
    if (tensor.is_string()) {
      return InvalidArgument("input '{}' is of strings, which can't cross to another process; run it without isolation",
                             name);
    }
    described.push_back(DescribeTensor(name, tensor, size));
    size += AlignedSize(tensor.bytes().size());
  }
  GOMAI_ASSIGN_OR_RETURN(const std::shared_ptr<SharedMemory> shared, SharedMemory::Create(size));
  uint64_t offset = 0;
  for (const auto& [name, tensor] : feeds) {
    if (!tensor.bytes().empty()) {
      std::memcpy(shared->bytes().data() + offset, tensor.bytes().data(), tensor.bytes().size());
    }
    offset += AlignedSize(tensor.bytes().size());
  }
  const Json run = {{"feeds", described}, {"outputs", outputs}, {"fill", static_cast<bool>(memory)}};
  channel_->Send({{"run", run}}, shared->descriptor()).IgnoreError();
  OpeningSteps unused;
  GOMAI_ASSIGN_OR_RETURN(ChannelMessage answer,
                         Answer(
                             "ran", [] { return std::string("in a run"); }, worker_.limits.run_seconds, &unused));
  std::shared_ptr<SharedMemory> results;
  for (const int descriptor : answer.descriptors) {
    GOMAI_ASSIGN_OR_RETURN(results, SharedMemory::Take(descriptor));
  }
  NamedTensors taken;
  try {
    const Json& ran = answer.json.at("ran");
    for (const Json& output : ran.at("outputs")) {
      GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, TensorIn(output, results));
      taken.emplace(output.at("name").get<std::string>(), std::move(tensor));
    }
    placement_ = PlacementFrom(ran.at("placement"));
  } catch (const nlohmann::json::exception& caught) {
    return Unexpected(caught);
  }
  return taken;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenIsolated(const std::filesystem::path& model, const SessionOptions& options,
                                                      const WorkerOptions& worker, OpeningSteps* steps) {
  auto session = std::make_unique<IsolatedSession>(model, options, worker);
  GOMAI_RETURN_IF_ERROR(session->Start(steps));
  return session;
}

}  // namespace gomai
