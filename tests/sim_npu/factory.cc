// The two functions that ONNX Runtime looks for in a plugin, and the factory that they make.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim_npu/ep.h"
#include "tests/sim_npu/host.h"

namespace gomai::sim {
namespace {

constexpr uint32_t kVendorId = 0x474D;
constexpr const char* kVendor = "Gomai";

class Factory : public OrtEpFactory {
 public:
  Factory(const Host& host, std::string name) : OrtEpFactory{}, host_(host), name_(std::move(name)) {
    ort_version_supported = host.version;
    OrtEpFactory::GetName = [](const OrtEpFactory* self) noexcept { return Self(self)->name_.c_str(); };
    OrtEpFactory::GetVendor = [](const OrtEpFactory*) noexcept { return kVendor; };
    OrtEpFactory::GetVendorId = [](const OrtEpFactory*) noexcept { return kVendorId; };
    OrtEpFactory::GetVersion = [](const OrtEpFactory*) noexcept { return "1.0.0"; };
    OrtEpFactory::GetSupportedDevices = [](OrtEpFactory* self, const OrtHardwareDevice* const* devices, size_t count,
                                           OrtEpDevice** out, size_t room, size_t* found) noexcept {
      return Guard(Self(self)->host_, [&] { *found = Self(self)->ListDevices({devices, devices + count}, out, room); });
    };
    OrtEpFactory::CreateEp = [](OrtEpFactory* self, const OrtHardwareDevice* const*, const OrtKeyValuePairs* const*,
                                size_t, const OrtSessionOptions* options, const OrtLogger*, OrtEp** ep) noexcept {
      return Guard(Self(self)->host_, [&] { *ep = new Ep(Self(self)->host_, Self(self)->name_, options); });
    };
    OrtEpFactory::ReleaseEp = [](OrtEpFactory*, OrtEp* ep) noexcept { delete static_cast<Ep*>(ep); };
    // The device's memory is the CPU's.
    OrtEpFactory::CreateAllocator = [](OrtEpFactory*, const OrtMemoryInfo*, const OrtKeyValuePairs*,
                                       OrtAllocator** allocator) noexcept -> OrtStatus* {
      *allocator = nullptr;
      return nullptr;
    };
    OrtEpFactory::ReleaseAllocator = [](OrtEpFactory*, OrtAllocator*) noexcept {};
    OrtEpFactory::CreateDataTransfer = [](OrtEpFactory*, OrtDataTransferImpl** transfer) noexcept -> OrtStatus* {
      *transfer = nullptr;
      return nullptr;
    };
    OrtEpFactory::IsStreamAware = [](const OrtEpFactory*) noexcept { return false; };
  }

 private:
  static Factory* Self(OrtEpFactory* self) { return static_cast<Factory*>(self); }
  static const Factory* Self(const OrtEpFactory* self) { return static_cast<const Factory*>(self); }

  // The CPU, then an NPU that isn't there where the library can be told of one.
  size_t ListDevices(const std::vector<const OrtHardwareDevice*>& devices, OrtEpDevice** out, size_t room) {
    size_t found = 0;
    const auto cpu = std::find_if(devices.begin(), devices.end(), [this](const OrtHardwareDevice* device) {
      return host_.api->HardwareDevice_Type(device) == OrtHardwareDeviceType_CPU;
    });
    if (cpu != devices.end() && found < room) {
      Check(host_, host_.ep->CreateEpDevice(this, *cpu, nullptr, nullptr, &out[found]));
      ++found;
    }
#if ORT_API_VERSION >= 24
    if (host_.version >= 24 && found < room) {
      OrtKeyValuePairs* made = nullptr;
      host_.api->CreateKeyValuePairs(&made);
      const Owned<OrtKeyValuePairs> metadata(made, host_.api->ReleaseKeyValuePairs);
      host_.api->AddKeyValuePair(metadata.get(), "is_virtual", "1");
      OrtHardwareDevice* npu = nullptr;
      Check(host_,
            host_.ep->CreateHardwareDevice(OrtHardwareDeviceType_NPU, kVendorId, 1, kVendor, metadata.get(), &npu));
      npus_.emplace_back(npu, host_.ep->ReleaseHardwareDevice);
      Check(host_, host_.ep->CreateEpDevice(this, npu, nullptr, nullptr, &out[found]));
      ++found;
    }
#endif
    return found;
  }

  const Host host_;
  const std::string name_;
  std::vector<Owned<OrtHardwareDevice>> npus_;  // the listed devices refer to them
};

}  // namespace
}  // namespace gomai::sim

#define GOMAI_SIM_NPU_EXPORT extern "C" __attribute__((visibility("default")))

GOMAI_SIM_NPU_EXPORT OrtStatus* CreateEpFactories(const char* name, const OrtApiBase* base, const OrtLogger*,
                                                  OrtEpFactory** factories, size_t room, size_t* count) {
  using gomai::sim::Failure;
  const gomai::sim::Host host = gomai::sim::Negotiate(*base);
  *count = 0;
  if (host.ep == nullptr) {
    const OrtApi* const oldest = host.api != nullptr ? host.api : base->GetApi(1);
    return oldest->CreateStatus(ORT_NOT_IMPLEMENTED, "sim_npu: needs ONNX Runtime 1.23 or newer");
  }
  return gomai::sim::Guard(host, [&] {
    if (room < 1) {
      throw Failure("sim_npu: no room for a factory", ORT_INVALID_ARGUMENT);
    }
    factories[0] = new gomai::sim::Factory(host, name);
    *count = 1;
  });
}

GOMAI_SIM_NPU_EXPORT OrtStatus* ReleaseEpFactory(OrtEpFactory* factory) {
  delete static_cast<gomai::sim::Factory*>(factory);
  return nullptr;
}
