#pragma once

// The ONNX Runtime that loaded the plugin, and how its C interface is called here: a failed call throws Failure, and
// Guard turns that into a status again at each entry point. The process may hold several ONNX Runtimes, so that nothing
// of this is global.

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace gomai::sim {

struct Host {
  const OrtApi* api = nullptr;
  const OrtEpApi* ep = nullptr;
  const OrtModelEditorApi* editor = nullptr;
  uint32_t version = 0;  // the API's: what both the header and the library know
};

inline constexpr uint32_t kOldestApi = 23;  // the first with execution providers that compile

// With ep == nullptr if the library is older than kOldestApi.
Host Negotiate(const OrtApiBase& base);

class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& message, OrtErrorCode code = ORT_EP_FAIL)
      : std::runtime_error(message), code_(code) {}
  OrtErrorCode code() const { return code_; }

 private:
  OrtErrorCode code_;
};

// Throws what the status says, released.
void Check(const Host& host, OrtStatus* status);

template <typename Function>
OrtStatus* Guard(const Host& host, Function&& function) noexcept {
  try {
    function();
    return nullptr;
  } catch (const Failure& failure) {
    return host.api->CreateStatus(failure.code(), failure.what());
  } catch (const std::bad_alloc&) {
    return host.api->CreateStatus(ORT_EP_FAIL, "sim_npu: out of memory");
  } catch (const std::exception& error) {
    return host.api->CreateStatus(ORT_EP_FAIL, error.what());
  }
}

template <typename T>
using Owned = std::unique_ptr<T, void(ORT_API_CALL*)(T*)>;

// What the C interface gives as a count and a call that fills so many.
template <typename T, typename Object, typename Count, typename Fill>
std::vector<const T*> All(const Host& host, const Object* object, Count count, Fill fill) {
  size_t size = 0;
  Check(host, count(object, &size));
  std::vector<const T*> all(size, nullptr);
  if (size != 0) {
    Check(host, fill(object, all.data(), size));
  }
  return all;
}

}  // namespace gomai::sim
