#include "tests/sim_npu/kernel.h"

#include <algorithm>
#include <cstring>

#include "tests/sim_npu/graph.h"

namespace gomai::sim {
namespace {

OrtSession* OpenDelegate(const Host& host, const OrtEnv* env, const std::string& model) {
  OrtSessionOptions* made = nullptr;
  Check(host, host.api->CreateSessionOptions(&made));
  const Owned<OrtSessionOptions> settings(made, host.api->ReleaseSessionOptions);
  Check(host, host.api->SetIntraOpNumThreads(settings.get(), 1));
  // Rounding by Cast pairs must not be optimised away.
  Check(host, host.api->SetSessionGraphOptimizationLevel(settings.get(), ORT_DISABLE_ALL));
  OrtSession* session = nullptr;
  Check(host, host.api->CreateSessionFromArray(env, model.data(), model.size(), settings.get(), &session));
  return session;
}

template <typename Count, typename Get>
std::vector<std::string> Names(const Host& host, const OrtSession* session, Count count, Get get) {
  OrtAllocator* allocator = nullptr;
  Check(host, host.api->GetAllocatorWithDefaultOptions(&allocator));
  size_t size = 0;
  Check(host, count(session, &size));
  std::vector<std::string> names;
  for (size_t i = 0; i < size; ++i) {
    char* name = nullptr;
    Check(host, get(session, i, allocator, &name));
    names.emplace_back(name);
    Check(host, host.api->AllocatorFree(allocator, name));
  }
  return names;
}

std::vector<const char*> Pointers(const std::vector<std::string>& names) {
  std::vector<const char*> pointers;
  for (const std::string& name : names) {
    pointers.push_back(name.c_str());
  }
  return pointers;
}

// ONNX Runtime sorts a fused node's inputs and outputs as it likes, also those of a group that is one node.
std::vector<size_t> Slots(const std::vector<std::string>& names, const std::vector<std::string>& fused) {
  std::vector<size_t> slots;
  for (const std::string& name : names) {
    const auto found = std::find(fused.begin(), fused.end(), name);
    if (found == fused.end()) {
      throw Failure("sim_npu: the fused node lacks '" + name + "'");
    }
    slots.push_back(static_cast<size_t>(found - fused.begin()));
  }
  return slots;
}

}  // namespace

Kernel::Kernel(const Host& host, const Options& options, const OrtEnv* env, const CompiledGroup& group,
               const OrtNode* fused)
    : OrtNodeComputeInfo{},
      host_(host),
      options_(options),
      faulty_(IsFaulty(options, group.nodes)),
      session_(nullptr, host.api->ReleaseSession) {
  ort_version_supported = host.version;
  OrtNodeComputeInfo::CreateState = [](OrtNodeComputeInfo* self, OrtNodeComputeContext*, void** state) -> OrtStatus* {
    *state = self;  // it has none of its own
    return nullptr;
  };
  OrtNodeComputeInfo::ReleaseState = [](OrtNodeComputeInfo*, void*) {};
  OrtNodeComputeInfo::Compute = [](OrtNodeComputeInfo* self, void*, OrtKernelContext* context) -> OrtStatus* {
    Kernel* const kernel = static_cast<Kernel*>(self);
    return Guard(kernel->host_, [&] { kernel->Run(context); });
  };
  if (faulty_) {
    FailToCompile(options_);
  }
  session_.reset(OpenDelegate(host_, env, group.model));
  inputs_ = Names(host_, session_.get(), host_.api->SessionGetInputCount, host_.api->SessionGetInputName);
  outputs_ = Names(host_, session_.get(), host_.api->SessionGetOutputCount, host_.api->SessionGetOutputName);
  const Node node = ReadNode(host_, fused);
  input_slots_ = Slots(group.inputs, node.inputs);
  output_slots_ = Slots(group.outputs, node.outputs);
  if (inputs_.size() != input_slots_.size() || outputs_.size() != output_slots_.size()) {
    throw Failure("sim_npu: the compiled group has other inputs and outputs than its node");
  }
}

std::vector<Owned<OrtValue>> Kernel::Compute(OrtKernelContext* context) {
  std::vector<const OrtValue*> feeds(inputs_.size());
  for (size_t i = 0; i < feeds.size(); ++i) {
    Check(host_, host_.api->KernelContext_GetInput(context, input_slots_[i], &feeds[i]));
  }
  if (outputs_.empty()) {  // of a node whose results nobody reads
    return {};
  }
  std::vector<OrtValue*> results(outputs_.size(), nullptr);
  Check(host_, host_.api->Run(session_.get(), nullptr, Pointers(inputs_).data(), feeds.data(), feeds.size(),
                              Pointers(outputs_).data(), results.size(), results.data()));
  std::vector<Owned<OrtValue>> owned;
  for (OrtValue* result : results) {
    owned.emplace_back(result, host_.api->ReleaseValue);
  }
  return owned;
}

OutputView Kernel::View(OrtValue* value) const {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  Check(host_, host_.api->GetTensorTypeAndShape(value, &info));
  const Owned<OrtTensorTypeAndShapeInfo> owner(info, host_.api->ReleaseTensorTypeAndShapeInfo);
  ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  Check(host_, host_.api->GetTensorElementType(info, &dtype));
  size_t rank = 0;
  Check(host_, host_.api->GetDimensionsCount(info, &rank));
  OutputView view;
  view.dtype = dtype;
  view.shape.resize(rank);
  Check(host_, host_.api->GetDimensions(info, view.shape.data(), rank));
  void* data = nullptr;
  size_t size = 0;
  Check(host_, host_.api->GetTensorMutableData(value, &data));
  Check(host_, host_.api->GetTensorSizeInBytes(value, &size));
  view.bytes = {static_cast<char*>(data), size};
  return view;
}

void Kernel::KeepForNextRun(std::vector<OutputView>& outputs, bool swap) {
  const std::lock_guard<std::mutex> lock(mutex_);
  last_.resize(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string fresh(outputs[i].bytes.begin(), outputs[i].bytes.end());
    if (swap && last_[i].size() == fresh.size()) {
      std::copy(last_[i].begin(), last_[i].end(), outputs[i].bytes.begin());
    }
    last_[i] = fresh;
  }
}

void Kernel::Run(OrtKernelContext* context) {
  const uint64_t run = runs_++;
  const bool now = faulty_ && (options_.fault_run < 0 || static_cast<uint64_t>(options_.fault_run) == run);
  const Fault fault = now ? options_.fault : Fault::kNone;
  if (now) {
    FailToRun(options_);
  }
  if (fault == Fault::kPrint) {
    PrintJunk("run " + std::to_string(run));
  }

  const std::vector<Owned<OrtValue>> values = Compute(context);
  std::vector<OutputView> outputs;
  for (const Owned<OrtValue>& value : values) {
    outputs.push_back(View(value.get()));
  }
  if (options_.round == Round::kInt8) {
    for (const OutputView& output : outputs) {
      RoundToInt8(output.floats());
    }
  }
  if (faulty_ && options_.fault == Fault::kStale) {
    KeepForNextRun(outputs, now);
  }
  Spoil(fault, run, outputs);

  for (size_t i = 0; i < outputs.size(); ++i) {
    OrtValue* target = nullptr;
    Check(host_, host_.api->KernelContext_GetOutput(context, output_slots_[i], outputs[i].shape.data(),
                                                    outputs[i].shape.size(), &target));
    const std::span<char> bytes = View(target).bytes;
    const size_t size = fault == Fault::kUnwritten ? WrittenBytes(outputs[i], options_.fault_slot) : bytes.size();
    if (size != 0) {
      std::memcpy(bytes.data(), outputs[i].bytes.data(), size);
    }
  }
}

}  // namespace gomai::sim
