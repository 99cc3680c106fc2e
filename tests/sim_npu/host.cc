#include "tests/sim_npu/host.h"

#include <algorithm>
#include <cstdio>

namespace gomai::sim {

Host Negotiate(const OrtApiBase& base) {
  unsigned major = 0;
  unsigned minor = 0;
  Host host;
  if (std::sscanf(base.GetVersionString(), "%u.%u", &major, &minor) != 2) {
    return host;
  }
  // Asking for more than the library has gives nothing, and a line on stderr. 1.26 has the API 26.
  host.version = major == 1 ? std::min<uint32_t>(minor, ORT_API_VERSION) : ORT_API_VERSION;
  host.api = base.GetApi(host.version);
  if (host.api != nullptr && host.version >= kOldestApi) {
    host.ep = host.api->GetEpApi();
    host.editor = host.api->GetModelEditorApi();
  }
  return host;
}

void Check(const Host& host, OrtStatus* status) {
  if (status == nullptr) {
    return;
  }
  const Failure failure(host.api->GetErrorMessage(status), host.api->GetErrorCode(status));
  host.api->ReleaseStatus(status);
  throw failure;
}

}  // namespace gomai::sim
