// See kernel.h.
#include "tests/sim_npu/kernel.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace sim_npu {
namespace {

[[noreturn]] void Hang() {
  for (;;) {
    ::sleep(1);
  }
}

[[noreturn]] void EatMemory() {
  constexpr size_t kStep = size_t{64} << 20;
  for (;;) {
    char* more = static_cast<char*>(std::malloc(kStep));
    if (more == nullptr) {
      std::abort();
    }
    std::memset(more, 1, kStep);
    ::usleep(2000);
  }
}

void Print(const char* when) {
  std::printf("simulated NPU: %s, this line is on stdout\n", when);
  std::fflush(stdout);
  std::fprintf(stderr, "simulated NPU: %s, this line is on stderr\n", when);
}

// To 255 steps over the largest absolute value.
void RoundToSteps(float* values, size_t count) {
  float most = 0;
  for (size_t i = 0; i < count; ++i) {
    most = std::max(most, std::abs(values[i]));
  }
  const float step = most / 127;
  for (size_t i = 0; step > 0 && i < count; ++i) {
    values[i] = std::round(values[i] / step) * step;
  }
}

}  // namespace

void FailCompiling(const Options& options, bool faulty) {
  if (options.fault == "print") {
    Print("compiling");
  }
  if (!faulty) {
    return;
  }
  if (options.fault == "compile-error") {
    throw std::runtime_error("the simulated NPU can't compile this");
  }
  if (options.fault == "compile-crash") {
    std::raise(SIGSEGV);
  }
  if (options.fault == "compile-hang") {
    Hang();
  }
  if (options.fault == "compile-oom") {
    EatMemory();
  }
}

Kernel::Kernel(const Options& options, const Ort::Env& env, uint32_t api_version, const std::string& model,
               Ort::ConstNode fused, bool faulty)
    : OrtNodeComputeInfo{}, options_(options), faulty_(faulty) {
  ort_version_supported = api_version;
  CreateState = [](OrtNodeComputeInfo* self, OrtNodeComputeContext*, void** state) noexcept -> OrtStatus* {
    *state = self;
    return nullptr;
  };
  OrtNodeComputeInfo::Compute = [](OrtNodeComputeInfo*, void* state, OrtKernelContext* context) noexcept -> OrtStatus* {
    try {
      static_cast<Kernel*>(state)->Compute(context);
      return nullptr;
    } catch (const std::exception& error) {
      return Ort::GetApi().CreateStatus(ORT_EP_FAIL, error.what());
    }
  };
  ReleaseState = [](OrtNodeComputeInfo*, void*) noexcept {};
  for (const Ort::ConstValueInfo& input : fused.GetInputs()) {
    inputs_.push_back(input.GetName());
  }
  for (const Ort::ConstValueInfo& output : fused.GetOutputs()) {
    outputs_.push_back(output.GetName());
  }
  before_.resize(outputs_.size());
  Ort::SessionOptions session_options;
  session_options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
  session_ = Ort::Session(env, model.data(), model.size(), session_options);
}

void Kernel::Fault() {
  if (options_.fault == "print") {
    Print("running");
  }
  if (!faulty_ || (options_.fault_run >= 0 && options_.fault_run != run_)) {
    return;
  }
  if (options_.fault == "error") {
    throw std::runtime_error("the simulated NPU failed in a run");
  }
  if (options_.fault == "crash") {
    std::raise(SIGSEGV);
  }
  if (options_.fault == "abort") {
    std::abort();
  }
  if (options_.fault == "exit") {
    ::_exit(3);
  }
  if (options_.fault == "hang") {
    Hang();
  }
  if (options_.fault == "oom") {
    EatMemory();
  }
}

void Kernel::Spoil(size_t output, float* values, size_t count) {
  if (options_.round == "int8") {
    RoundToSteps(values, count);
  }
  if (!faulty_ || count == 0 || (options_.fault_run >= 0 && options_.fault_run != run_)) {
    return;
  }
  if (options_.fault == "nan") {
    values[count / 2] = std::numeric_limits<float>::quiet_NaN();
  } else if (options_.fault == "inf") {
    values[count / 2] = std::numeric_limits<float>::infinity();
  } else if (options_.fault == "zero") {
    std::fill(values, values + count, 0.0F);
  } else if (options_.fault == "bias") {
    std::for_each(values, values + count, [](float& value) { value += 0.25F; });
  } else if (options_.fault == "noise") {
    values[0] += static_cast<float>(run_) * 0.001F;
  } else if (options_.fault == "stale" && before_[output].size() == count * sizeof(float)) {
    std::memcpy(values, before_[output].data(), before_[output].size());
  }
}

void Kernel::Compute(OrtKernelContext* raw) {
  ++run_;
  Fault();
  const OrtApi& api = Ort::GetApi();
  std::vector<const char*> input_names, output_names;
  std::vector<const OrtValue*> feeds(inputs_.size());
  std::vector<OrtValue*> results(outputs_.size(), nullptr);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    input_names.push_back(inputs_[i].c_str());
    Ort::ThrowOnError(api.KernelContext_GetInput(raw, i, &feeds[i]));
  }
  for (const std::string& name : outputs_) {
    output_names.push_back(name.c_str());
  }
  Ort::ThrowOnError(api.Run(session_, nullptr, input_names.data(), feeds.data(), feeds.size(), output_names.data(),
                            output_names.size(), results.data()));
  std::vector<Ort::Value> owned;
  for (OrtValue* result : results) {
    owned.emplace_back(result);
  }
  for (size_t i = 0; i < owned.size(); ++i) {
    const auto info = owned[i].GetTensorTypeAndShapeInfo();
    const std::vector<int64_t> shape = info.GetShape();
    const size_t size = owned[i].GetTensorSizeInBytes();
    void* exact = owned[i].GetTensorMutableRawData();
    const std::vector<char> kept(static_cast<const char*>(exact), static_cast<const char*>(exact) + size);
    if (info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
      Spoil(i, static_cast<float*>(exact), size / sizeof(float));
    }
    before_[i] = kept;
    OrtValue* given = nullptr;
    void* memory = nullptr;
    Ort::ThrowOnError(api.KernelContext_GetOutput(raw, i, shape.data(), shape.size(), &given));
    Ort::ThrowOnError(api.GetTensorMutableData(given, &memory));
    size_t written = size;
    const bool now = faulty_ && (options_.fault_run < 0 || options_.fault_run == run_);
    if (now && options_.fault == "unwritten" && !shape.empty() && shape[0] > options_.fault_slot) {
      written = size / static_cast<size_t>(shape[0]) * static_cast<size_t>(options_.fault_slot);
    }
    if (written > 0) {
      std::memcpy(memory, exact, written);
    }
  }
}

}  // namespace sim_npu
