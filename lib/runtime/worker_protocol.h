#pragma once

// What worker.cc and isolated_session.cc both need to know: how tensors lie in shared memory. Internal to lib/runtime.
//
// The program sends {"open": …} once, then {"run": …} with the feeds' memory; the worker answers with {"step": …},
// {"diagnostic": …} at any time, and {"opened": …} or {"ran": …} with the results' memory, or {"error": …}.

#include <memory>
#include <nlohmann/json.hpp>

#include "lib/runtime/backend.h"
#include "lib/runtime/shared_memory.h"

namespace gomai {

inline constexpr uint64_t kTensorAlignment = 64;

inline uint64_t AlignedSize(uint64_t size) {
  return (size + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

nlohmann::json DescribeTensor(const std::string& name, const HostTensor& tensor, uint64_t offset);
// A tensor that lies in `memory` as `json` says; kDataLoss if that leads out of it.
absl::StatusOr<HostTensor> TensorIn(const nlohmann::json& json, const std::shared_ptr<SharedMemory>& memory);

}  // namespace gomai
