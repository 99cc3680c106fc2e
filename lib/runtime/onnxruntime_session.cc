// One model compiled by ONNX Runtime.
//
// Feeds are handed over in place and results are taken over in place; a copy is made only where memory isn't aligned to
// 64 bytes, since kernels may then add up in another order. A result may lie in memory of the session (a weight that is
// an output) or of a feed (an input that is an output): it keeps both alive. Waiting threads stop spinning when a run
// ends: in a chain, those of the previous part would take the processor from the next.
#ifdef GOMAI_WITH_ONNXRUNTIME

#include <algorithm>
#include <iterator>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/runtime/activity.h"
#include "lib/runtime/onnxruntime_internal.h"
#include "lib/runtime/profile_file.h"
#include "lib/runtime/runnable.h"

namespace gomai::ort {
namespace {

// What results share: it must outlive them.
struct Compiled {
  explicit Compiled(Library& from) : library(from), session(from.api->ReleaseSession) {}
  Library& library;
  Owned<OrtSession> session;
};

// A result's memory: the value, and what it may lie in.
struct KeptValue {
  KeptValue(std::shared_ptr<const Compiled> from, Owned<OrtValue> result)
      : compiled(std::move(from)), value(std::move(result)) {}
  std::shared_ptr<const Compiled> compiled;
  Owned<OrtValue> value;
};

class OnnxRuntimeSession : public Session {
 public:
  // `name`: of the model, for people.
  OnnxRuntimeSession(std::shared_ptr<Compiled> compiled, std::string name)
      : name_(std::move(name)),
        compiled_(std::move(compiled)),
        library_(compiled_->library),
        memory_(library_.api->ReleaseMemoryInfo) {}
  const std::vector<ValueSpec>& inputs() const override { return inputs_; }
  const std::vector<ValueSpec>& outputs() const override { return outputs_; }
  using Session::Run;
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                   const OutputMemory& memory) override;
  const Placement& placement() const override { return placement_; }

  absl::Status ReadSpecs(const std::filesystem::path& model, const std::string* bytes);
  // What is known before the nodes are; with a prefix they come out of the first run's profile, which has it.
  absl::Status ReadPlacement(Placement chosen, const std::string& profile_prefix);

 private:
  absl::StatusOr<Owned<OrtValue>> MakeValue(const std::string& name, const HostTensor& tensor) const;
  absl::StatusOr<HostTensor> TakeValue(const std::string& name, Owned<OrtValue> value,
                                       const std::vector<HostTensor>& feeds) const;
  absl::StatusOr<HostTensor> TakeStrings(const OrtValue* value, std::vector<int64_t> shape, size_t count,
                                         const std::string& doing) const;
  absl::Status EndProfile();

  const std::string name_;
  std::shared_ptr<Compiled> compiled_;
  Library& library_;
  Owned<OrtMemoryInfo> memory_;
  std::vector<ValueSpec> inputs_;
  std::vector<ValueSpec> outputs_;
  std::vector<ValueSpec> overridable_;  // initializers that may be fed
  Placement placement_;
  std::unique_ptr<ProfileFile> profile_;  // until the first run has ended
};

absl::Status OnnxRuntimeSession::ReadPlacement(Placement chosen, const std::string& profile_prefix) {
  placement_ = std::move(chosen);
  if (profile_prefix.empty()) {
    return ReadAssignment(library_, compiled_->session.get(), &placement_);
  }
  GOMAI_ASSIGN_OR_RETURN(profile_, ProfileFile::Open(profile_prefix));
  return absl::OkStatus();
}

absl::Status OnnxRuntimeSession::EndProfile() {
  const OrtApi& api = *library_.api;
  constexpr std::string_view kDoing = "ending the profile of a run";
  OrtAllocator* allocator = nullptr;
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetAllocatorWithDefaultOptions(&allocator), kDoing));
  char* text = nullptr;
  GOMAI_RETURN_IF_ERROR(library_.Check(api.SessionEndProfiling(compiled_->session.get(), allocator, &text), kDoing));
  GOMAI_RETURN_IF_ERROR(library_.Check(api.AllocatorFree(allocator, text), kDoing));
  const absl::StatusOr<std::string> profile = profile_->Read();
  profile_.reset();
  GOMAI_RETURN_IF_ERROR(profile.status());
  return ReadProfile(*profile, &placement_);
}

absl::Status OnnxRuntimeSession::ReadSpecs(const std::filesystem::path& model, const std::string* bytes) {
  const OrtApi& api = *library_.api;
  const OrtSession* session = compiled_->session.get();
  OrtAllocator* allocator = nullptr;  // the default one, not ours
  constexpr std::string_view kDoing = "reading the model's inputs and outputs";
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetAllocatorWithDefaultOptions(&allocator), kDoing));
  GOMAI_RETURN_IF_ERROR(
      library_.Check(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, memory_.out()), kDoing));
  const auto read = [&](auto count, auto name, auto type, std::vector<ValueSpec>& into) -> absl::Status {
    size_t n = 0;
    GOMAI_RETURN_IF_ERROR(library_.Check(count(session, &n), kDoing));
    for (size_t i = 0; i < n; ++i) {
      char* text = nullptr;
      GOMAI_RETURN_IF_ERROR(library_.Check(name(session, i, allocator, &text), kDoing));
      std::string copy = text;
      GOMAI_RETURN_IF_ERROR(library_.Check(api.AllocatorFree(allocator, text), kDoing));
      Owned<OrtTypeInfo> info(api.ReleaseTypeInfo);
      GOMAI_RETURN_IF_ERROR(library_.Check(type(session, i, info.out()), kDoing));
      GOMAI_ASSIGN_OR_RETURN(ValueSpec spec, ReadSpec(library_, std::move(copy), info.get()));
      into.push_back(std::move(spec));
    }
    return absl::OkStatus();
  };
  GOMAI_RETURN_IF_ERROR(read(api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo, inputs_));
  GOMAI_RETURN_IF_ERROR(
      read(api.SessionGetOutputCount, api.SessionGetOutputName, api.SessionGetOutputTypeInfo, outputs_));
  GOMAI_RETURN_IF_ERROR(read(api.SessionGetOverridableInitializerCount, api.SessionGetOverridableInitializerName,
                             api.SessionGetOverridableInitializerTypeInfo, overridable_));
  SettleRanks(model, bytes, inputs_, outputs_);
  return absl::OkStatus();
}

absl::StatusOr<Owned<OrtValue>> OnnxRuntimeSession::MakeValue(const std::string& name, const HostTensor& tensor) const {
  const OrtApi& api = *library_.api;
  const std::string doing = fmt::format("handing over input '{}'", name);
  Owned<OrtValue> value(api.ReleaseValue);
  if (tensor.is_string()) {
    OrtAllocator* allocator = nullptr;
    GOMAI_RETURN_IF_ERROR(library_.Check(api.GetAllocatorWithDefaultOptions(&allocator), doing));
    GOMAI_RETURN_IF_ERROR(
        library_.Check(api.CreateTensorAsOrtValue(allocator, tensor.shape().data(), tensor.shape().size(),
                                                  ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, value.out()),
                       doing));
    // One by one, since the call that takes them all wants C strings, which end at a zero byte.
    for (size_t i = 0; i < tensor.strings().size(); ++i) {
      const std::string& text = tensor.strings()[i];
      char* buffer = nullptr;
      GOMAI_RETURN_IF_ERROR(
          library_.Check(api.GetResizedStringTensorElementBuffer(value.get(), i, text.size(), &buffer), doing));
      std::copy(text.begin(), text.end(), buffer);
    }
    return value;
  }
  // The runtime only reads a feed; its interface has no const. An empty tensor still needs an address.
  alignas(64) static uint8_t nothing[64];
  uint8_t* data = tensor.bytes().empty() ? nothing : const_cast<uint8_t*>(tensor.bytes().data());
  GOMAI_RETURN_IF_ERROR(library_.Check(
      api.CreateTensorWithDataAsOrtValue(memory_.get(), data, tensor.bytes().size(), tensor.shape().data(),
                                         tensor.shape().size(), static_cast<ONNXTensorElementDataType>(tensor.dtype()),
                                         value.out()),
      doing));
  return value;
}

absl::StatusOr<HostTensor> OnnxRuntimeSession::TakeStrings(const OrtValue* value, std::vector<int64_t> shape,
                                                           size_t count, const std::string& doing) const {
  const OrtApi& api = *library_.api;
  std::vector<std::string> strings(count);
  size_t length = 0;
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetStringTensorDataLength(value, &length), doing));
  std::string all(length, '\0');
  std::vector<size_t> offsets(count);
  if (count > 0) {
    GOMAI_RETURN_IF_ERROR(
        library_.Check(api.GetStringTensorContent(value, all.data(), length, offsets.data(), count), doing));
  }
  for (size_t i = 0; i < count; ++i) {
    const size_t end = i + 1 < count ? offsets[i + 1] : length;
    strings[i] = all.substr(offsets[i], end - offsets[i]);
  }
  return HostTensor::Strings(std::move(shape), std::move(strings));
}

absl::StatusOr<HostTensor> OnnxRuntimeSession::TakeValue(const std::string& name, Owned<OrtValue> value,
                                                         const std::vector<HostTensor>& feeds) const {
  const OrtApi& api = *library_.api;
  const std::string doing = fmt::format("reading output '{}'", name);
  int present = 0;
  if (value.get() != nullptr) {
    GOMAI_RETURN_IF_ERROR(library_.Check(api.HasValue(value.get(), &present), doing));
  }
  if (present == 0) {
    return InvalidArgument("output '{}' is an optional without a value; gomai reads tensors only", name);
  }
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetValueType(value.get(), &kind), doing));
  if (kind != ONNX_TYPE_TENSOR) {
    Owned<OrtTypeInfo> info(api.ReleaseTypeInfo);
    GOMAI_RETURN_IF_ERROR(library_.Check(api.GetTypeInfo(value.get(), info.out()), doing));
    GOMAI_ASSIGN_OR_RETURN(const std::string type, TypeText(library_, info.get()));
    return InvalidArgument("output '{}' is a {}; gomai reads tensors only", name, type);
  }
  Owned<OrtTensorTypeAndShapeInfo> info(api.ReleaseTensorTypeAndShapeInfo);
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetTensorTypeAndShape(value.get(), info.out()), doing));
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  size_t count = 0;
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetTensorElementType(info.get(), &type), doing));
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetDimensionsCount(info.get(), &rank), doing));
  std::vector<int64_t> shape(rank);
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetDimensions(info.get(), shape.data(), rank), doing));
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetTensorShapeElementCount(info.get(), &count), doing));
  if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
    return TakeStrings(value.get(), std::move(shape), count, doing);
  }
  if (count == 0) {
    return HostTensor::Create(ToDtype(type), std::move(shape));
  }
  void* data = nullptr;
  GOMAI_RETURN_IF_ERROR(library_.Check(api.GetTensorMutableData(value.get(), &data), doing));
  const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(data), PackedBytes(ToDtype(type), count));
  for (const HostTensor& feed : feeds) {
    if (!feed.bytes().empty() && bytes.data() >= feed.bytes().data() &&
        bytes.data() < feed.bytes().data() + feed.bytes().size()) {
      auto keep = std::make_shared<HostTensor>(feed);
      return HostTensor::Wrap(ToDtype(type), std::move(shape), bytes, std::move(keep));
    }
  }
  auto keep = std::make_shared<KeptValue>(compiled_, std::move(value));
  return Aligned(HostTensor::Wrap(ToDtype(type), std::move(shape), bytes, std::move(keep)));
}

absl::StatusOr<NamedTensors> OnnxRuntimeSession::Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                                     const OutputMemory& memory) {
  const OrtApi& api = *library_.api;
  std::vector<ValueSpec> expected = inputs_;
  std::copy_if(overridable_.begin(), overridable_.end(), std::back_inserter(expected),
               [&](const ValueSpec& spec) { return feeds.contains(spec.name); });
  GOMAI_RETURN_IF_ERROR(CheckFeeds(expected, feeds));

  std::vector<std::string> wanted = outputs;
  std::vector<std::string_view> known;
  for (const ValueSpec& spec : outputs_) {
    known.push_back(spec.name);
    if (outputs.empty()) {
      wanted.push_back(spec.name);
    }
  }
  std::vector<const char*> output_names;
  for (const std::string& name : wanted) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return InvalidArgument("the model has no output '{}'{}", name, DidYouMean(name, known));
    }
    output_names.push_back(name.c_str());
  }

  std::vector<HostTensor> aligned;
  std::vector<Owned<OrtValue>> values;
  std::vector<const char*> input_names;
  std::vector<const OrtValue*> input_values;
  aligned.reserve(feeds.size());
  for (const auto& [name, tensor] : feeds) {
    GOMAI_ASSIGN_OR_RETURN(HostTensor feed, Aligned(tensor));
    aligned.push_back(std::move(feed));
    GOMAI_ASSIGN_OR_RETURN(Owned<OrtValue> value, MakeValue(name, aligned.back()));
    input_names.push_back(name.c_str());
    input_values.push_back(value.get());
    values.push_back(std::move(value));
  }
  std::vector<OrtValue*> raw(wanted.size(), nullptr);
  std::vector<std::optional<HostTensor>> given(wanted.size());
  for (size_t i = 0; memory && i < wanted.size(); ++i) {
    const ValueSpec& spec =
        outputs_[static_cast<size_t>(std::find(known.begin(), known.end(), wanted[i]) - known.begin())];
    const bool fixed =
        spec.has_shape && std::all_of(spec.shape.begin(), spec.shape.end(), [](int64_t d) { return d > 0; });
    if (fixed && spec.dtype != 0 && spec.dtype != onnx::TensorProto::STRING) {
      given[i] = memory(spec);
    }
    if (given[i]) {
      GOMAI_ASSIGN_OR_RETURN(Owned<OrtValue> value, MakeValue(wanted[i], *given[i]));
      raw[i] = value.get();
      values.push_back(std::move(value));
    }
  }
  OrtStatus* status = nullptr;
  {
    const RuntimeActivity activity("running " + name_);
    status = api.Run(compiled_->session.get(), nullptr, input_names.data(), input_values.data(), input_values.size(),
                     output_names.data(), output_names.size(), raw.data());
  }
  std::vector<Owned<OrtValue>> results;
  for (size_t i = 0; i < raw.size(); ++i) {
    results.emplace_back(api.ReleaseValue);
    if (!given[i]) {
      *results.back().out() = raw[i];
    }
  }
  if (absl::Status ran = library_.Check(status, "ONNX Runtime"); !ran.ok()) {
    return MakeStatus(absl::StatusCode::kInternal, Message(ran));
  }
  if (profile_ != nullptr) {
    GOMAI_RETURN_IF_ERROR(EndProfile());
  }
  NamedTensors taken;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (given[i]) {
      taken.insert_or_assign(wanted[i], *std::move(given[i]));
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, TakeValue(wanted[i], std::move(results[i]), aligned));
    taken.insert_or_assign(wanted[i], std::move(tensor));
  }
  return taken;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenSession(Library& library, const std::filesystem::path& model,
                                                     const std::string* bytes, const SessionOptions& wanted) {
  const OrtApi& api = *library.api;
  const std::string name = bytes != nullptr ? "a model in memory" : fmt::format("'{}'", model.string());
  const std::string opening = "opening " + name;
  if (bytes == nullptr) {
    GOMAI_RETURN_IF_ERROR(CheckRunnable(model));
  }
  Owned<OrtSessionOptions> options(api.ReleaseSessionOptions);
  GOMAI_RETURN_IF_ERROR(library.Check(api.CreateSessionOptions(options.out()), "setting up a session"));
  const bool profiled = wanted.record_placement && !TellsAssignment(library);
  const std::string prefix = profiled ? ProfileFile::NewPrefix() : "";
  GOMAI_RETURN_IF_ERROR(FillOptions(library, wanted, prefix, options.get()));
  GOMAI_ASSIGN_OR_RETURN(Provider provider, FindProvider(library, wanted));
  GOMAI_RETURN_IF_ERROR(AppendProvider(library, wanted, provider, options.get()));

  auto compiled = std::make_shared<Compiled>(library);
  const RuntimeActivity activity(opening);
  const absl::Status made = library.Check(
      bytes != nullptr ? api.CreateSessionFromArray(library.env, bytes->data(), bytes->size(), options.get(),
                                                    compiled->session.out())
                       : api.CreateSession(library.env, model.c_str(), options.get(), compiled->session.out()),
      opening);
  if (!made.ok() && !prefix.empty()) {
    ProfileFile::Open(prefix).status().IgnoreError();  // which takes it away
  }
  if (!made.ok() && wanted.forbid_fallback && Message(made).find("allback") != std::string_view::npos) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, Message(made));
  }
  GOMAI_RETURN_IF_ERROR(made);
  auto session = std::make_unique<OnnxRuntimeSession>(std::move(compiled), name);
  GOMAI_RETURN_IF_ERROR(session->ReadSpecs(model, bytes));
  if (wanted.record_placement) {
    GOMAI_RETURN_IF_ERROR(session->ReadPlacement(std::move(provider.placement), prefix));
  }
  return session;
}

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
