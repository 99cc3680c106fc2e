// For tests alone: a provider library that stands before another one and tells it that the processor is of another
// vendor.
//
// OpenVINO's plugin lists its CPU device only where the processor says that it is Intel's, though it computes on others
// as well. The library behind is named by GOMAI_PROXIED_EP, the vendor's PCI id by GOMAI_PROXIED_VENDOR (hexadecimal).
// What is handed on is the runtime's own table of functions with one function of ours in it.
#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

namespace {

const OrtApiBase* real_base = nullptr;
const OrtApi* real_api = nullptr;  // of any version: the functions used are in all
uint32_t told_vendor = 0;

uint32_t VendorId(const OrtHardwareDevice* device) noexcept {
  return real_api->HardwareDevice_Type(device) == OrtHardwareDeviceType_CPU ? told_vendor
                                                                            : real_api->HardwareDevice_VendorId(device);
}

// A later runtime's table is longer than the one that we were compiled with; what lies behind is copied with it.
constexpr size_t kRoomForMore = 128 * sizeof(void*);
struct Table {
  OrtApi api;
  unsigned char more[kRoomForMore];
};

const OrtApi* GetApi(uint32_t version) noexcept {
  static std::mutex& mutex = *new std::mutex;
  static auto& tables = *new std::map<uint32_t, std::unique_ptr<Table>>;
  const OrtApi* api = real_base->GetApi(version);
  if (api == nullptr) {
    return nullptr;
  }
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Table>& table = tables[version];
  if (table == nullptr) {
    table = std::make_unique<Table>();
    // The runtime's tables are constants in its data, followed by other data: reading on is harmless.
    std::memcpy(static_cast<void*>(table.get()), api, sizeof(Table));
    table->api.HardwareDevice_VendorId = &VendorId;
  }
  return &table->api;
}

void* Behind(const char* function) {
  static void* library = [] {
    const char* path = std::getenv("GOMAI_PROXIED_EP");
    void* opened = path != nullptr ? ::dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (opened == nullptr) {
      std::fprintf(stderr, "device proxy: GOMAI_PROXIED_EP: %s\n", path != nullptr ? ::dlerror() : "not set");
    }
    return opened;
  }();
  return library != nullptr ? ::dlsym(library, function) : nullptr;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) OrtStatus* CreateEpFactories(const char* name, const OrtApiBase* base,
                                                                    const OrtLogger* logger, OrtEpFactory** factories,
                                                                    size_t most, size_t* count) {
  static OrtApiBase ours{};
  real_base = base;
  real_api = base->GetApi(22);
  ours = {&GetApi, base->GetVersionString};
  const char* vendor = std::getenv("GOMAI_PROXIED_VENDOR");
  told_vendor = vendor != nullptr ? static_cast<uint32_t>(std::strtoul(vendor, nullptr, 16)) : 0;
  using Create = decltype(&CreateEpFactories);
  const auto create = reinterpret_cast<Create>(Behind("CreateEpFactories"));
  *count = 0;
  return create != nullptr ? create(name, &ours, logger, factories, most, count) : nullptr;
}

__attribute__((visibility("default"))) OrtStatus* ReleaseEpFactory(OrtEpFactory* factory) {
  const auto release = reinterpret_cast<OrtStatus* (*)(OrtEpFactory*)>(Behind("ReleaseEpFactory"));
  return release != nullptr ? release(factory) : nullptr;
}
}
