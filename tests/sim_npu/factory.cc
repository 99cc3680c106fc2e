// The library's two entry points, and the factory behind them. The provider is called as it is registered, so that it
// can stand in for any vendor's.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "tests/sim_npu/ep.h"

namespace sim_npu {
namespace {

constexpr uint32_t kVendorId = 0x474D;

class Factory : public OrtEpFactory {
 public:
  Factory(std::string name, uint32_t api_version) : OrtEpFactory{}, name_(std::move(name)), api_version_(api_version) {
    ort_version_supported = api_version;
    GetName = [](const OrtEpFactory* self) noexcept { return static_cast<const Factory*>(self)->name_.c_str(); };
    GetVendor = [](const OrtEpFactory*) noexcept { return "Gomai"; };
    GetVendorId = [](const OrtEpFactory*) noexcept { return kVendorId; };
    GetVersion = [](const OrtEpFactory*) noexcept { return "0.1.0"; };
    GetSupportedDevices = [](OrtEpFactory* self, const OrtHardwareDevice* const* hardware, size_t count,
                             OrtEpDevice** devices, size_t most, size_t* found) noexcept {
      return Guarded([&] { static_cast<Factory*>(self)->Devices(hardware, count, devices, most, found); });
    };
    CreateEp = [](OrtEpFactory* self, const OrtHardwareDevice* const*, const OrtKeyValuePairs* const*, size_t,
                  const OrtSessionOptions* session, const OrtLogger*, OrtEp** ep) noexcept {
      return Guarded([&] {
        auto* factory = static_cast<Factory*>(self);
        *ep = new Ep(Options::From(Ort::ConstSessionOptions{session}, factory->name_), factory->api_version_);
      });
    };
    ReleaseEp = [](OrtEpFactory*, OrtEp* ep) noexcept { delete static_cast<Ep*>(ep); };
    CreateAllocator = [](OrtEpFactory*, const OrtMemoryInfo*, const OrtKeyValuePairs*,
                         OrtAllocator** allocator) noexcept -> OrtStatus* {
      *allocator = nullptr;
      return nullptr;
    };
    ReleaseAllocator = [](OrtEpFactory*, OrtAllocator*) noexcept {};
    CreateDataTransfer = [](OrtEpFactory*, OrtDataTransferImpl** transfer) noexcept -> OrtStatus* {
      *transfer = nullptr;
      return nullptr;
    };
    IsStreamAware = [](const OrtEpFactory*) noexcept { return false; };
  }

  ~Factory() {
    if (npu_ != nullptr) {
      Ort::GetEpApi().ReleaseHardwareDevice(npu_);
    }
  }

 private:
  template <typename Work>
  static OrtStatus* Guarded(Work work) noexcept {
    try {
      work();
      return nullptr;
    } catch (const std::exception& error) {
      return Ort::GetApi().CreateStatus(ORT_EP_FAIL, error.what());
    }
  }

  // The processor, and an NPU that isn't there: hardware of one's own can be told from 1.24 on.
  void Devices(const OrtHardwareDevice* const* hardware, size_t count, OrtEpDevice** devices, size_t most,
               size_t* found) {
    *found = 0;
    const OrtEpApi& api = Ort::GetEpApi();
    for (size_t i = 0; i < count && *found < most; ++i) {
      if (Ort::GetApi().HardwareDevice_Type(hardware[i]) == OrtHardwareDeviceType_CPU) {
        Ort::ThrowOnError(api.CreateEpDevice(this, hardware[i], nullptr, nullptr, &devices[(*found)++]));
        break;
      }
    }
    if (api_version_ < 24 || *found >= most || std::getenv("GOMAI_SIM_NPU_NO_DEVICE") != nullptr) {
      return;
    }
    if (npu_ == nullptr) {
      Ort::KeyValuePairs metadata;
      metadata.Add("simulated", "1");
      Ort::ThrowOnError(api.CreateHardwareDevice(OrtHardwareDeviceType_NPU, kVendorId, 1, "Gomai", metadata, &npu_));
    }
    Ort::ThrowOnError(api.CreateEpDevice(this, npu_, nullptr, nullptr, &devices[(*found)++]));
  }

  const std::string name_;
  const uint32_t api_version_;
  OrtHardwareDevice* npu_ = nullptr;
};

// "1.26.0" -> 26, at most what these headers know.
uint32_t ApiVersion(std::string_view version) {
  const size_t dot = version.find('.');
  const int minor = dot == std::string_view::npos ? 0 : std::atoi(version.data() + dot + 1);
  return std::min<uint32_t>(ORT_API_VERSION, static_cast<uint32_t>(std::max(minor, 0)));
}

}  // namespace
}  // namespace sim_npu

extern "C" {

__attribute__((visibility("default"))) OrtStatus* CreateEpFactories(const char* name, const OrtApiBase* base,
                                                                    const OrtLogger*, OrtEpFactory** factories,
                                                                    size_t most, size_t* count) {
  *count = 0;
  const uint32_t version = sim_npu::ApiVersion(base->GetVersionString());
  const OrtApi* api = base->GetApi(version);
  if (api == nullptr || most < 1) {
    return nullptr;
  }
  Ort::InitApi(api);
  factories[(*count)++] = new sim_npu::Factory(name, version);
  return nullptr;
}

__attribute__((visibility("default"))) OrtStatus* ReleaseEpFactory(OrtEpFactory* factory) {
  delete static_cast<sim_npu::Factory*>(factory);
  return nullptr;
}
}
