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
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds, const std::vector<std::string>& outputs) override;

  absl::Status ReadSpecs(const std::filesystem::path& model, const std::string* bytes);

 private:
  absl::StatusOr<Owned<OrtValue>> MakeValue(const std::string& name, const HostTensor& tensor) const;
  absl::StatusOr<HostTensor> TakeValue(const std::string& name, Owned<OrtValue> value,
                                       const std::vector<HostTensor>& feeds) const;
  absl::StatusOr<HostTensor> TakeStrings(const OrtValue* value, std::vector<int64_t> shape, size_t count,
                                         const std::string& doing) const;

  const std::string name_;
  std::shared_ptr<Compiled> compiled_;
  Library& library_;
  Owned<OrtMemoryInfo> memory_;
  std::vector<ValueSpec> inputs_;
  std::vector<ValueSpec> outputs_;
  std::vector<ValueSpec> overridable_;  // initializers that may be fed
};

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

absl::StatusOr<NamedTensors> OnnxRuntimeSession::Run(const NamedTensors& feeds,
                                                     const std::vector<std::string>& outputs) {
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
  OrtStatus* status = nullptr;
  {
    const RuntimeActivity activity("running " + name_);
    status = api.Run(compiled_->session.get(), nullptr, input_names.data(), input_values.data(), input_values.size(),
                     output_names.data(), output_names.size(), raw.data());
  }
  std::vector<Owned<OrtValue>> results;
  for (OrtValue* result : raw) {
    results.emplace_back(api.ReleaseValue);
    *results.back().out() = result;
  }
  if (absl::Status ran = library_.Check(status, "ONNX Runtime"); !ran.ok()) {
    return MakeStatus(absl::StatusCode::kInternal, Message(ran));
  }
  NamedTensors taken;
  for (size_t i = 0; i < wanted.size(); ++i) {
    GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, TakeValue(wanted[i], std::move(results[i]), aligned));
    taken.insert_or_assign(wanted[i], std::move(tensor));
  }
  return taken;
}

GraphOptimizationLevel Level(Optimization optimization) {
  switch (optimization) {
    case Optimization::kDisabled:
      return ORT_DISABLE_ALL;
    case Optimization::kBasic:
      return ORT_ENABLE_BASIC;
    case Optimization::kExtended:
      return ORT_ENABLE_EXTENDED;
    case Optimization::kAll:
      break;
  }
  return ORT_ENABLE_ALL;
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
  if (wanted.threads < 0) {
    return InvalidArgument("{} threads make no sense; give 0 for as many as cores", wanted.threads);
  }
  constexpr std::string_view kDoing = "setting up a session";
  Owned<OrtSessionOptions> options(api.ReleaseSessionOptions);
  GOMAI_RETURN_IF_ERROR(library.Check(api.CreateSessionOptions(options.out()), kDoing));
  GOMAI_RETURN_IF_ERROR(
      library.Check(api.SetSessionGraphOptimizationLevel(options.get(), Level(wanted.optimization)), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.SetIntraOpNumThreads(options.get(), wanted.threads), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.SetInterOpNumThreads(options.get(), 1), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.SetSessionExecutionMode(options.get(), ORT_SEQUENTIAL), kDoing));
  GOMAI_RETURN_IF_ERROR(
      library.Check(api.AddSessionConfigEntry(options.get(), "session.force_spinning_stop", "1"), kDoing));
  GOMAI_RETURN_IF_ERROR(
      library.Check(api.AddSessionConfigEntry(options.get(), "session.use_env_allocators", "1"), kDoing));
  for (const auto& [key, value] : wanted.session_options) {
    GOMAI_RETURN_IF_ERROR(library.Check(api.AddSessionConfigEntry(options.get(), key.c_str(), value.c_str()),
                                        fmt::format("setting the session option '{}'", key)));
  }
  GOMAI_RETURN_IF_ERROR(AppendProvider(library, wanted, options.get()));

  auto compiled = std::make_shared<Compiled>(library);
  const RuntimeActivity activity(opening);
  GOMAI_RETURN_IF_ERROR(library.Check(
      bytes != nullptr ? api.CreateSessionFromArray(library.env, bytes->data(), bytes->size(), options.get(),
                                                    compiled->session.out())
                       : api.CreateSession(library.env, model.c_str(), options.get(), compiled->session.out()),
      opening));
  auto session = std::make_unique<OnnxRuntimeSession>(std::move(compiled), name);
  GOMAI_RETURN_IF_ERROR(session->ReadSpecs(model, bytes));
  return session;
}

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
