// What a session is told before it is made, but for its provider.
#ifdef GOMAI_WITH_ONNXRUNTIME

#include "lib/runtime/onnxruntime_internal.h"

namespace gomai::ort {
namespace {

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

absl::Status FillOptions(const Library& library, const SessionOptions& wanted, const std::string& profile_prefix,
                         OrtSessionOptions* options) {
  const OrtApi& api = *library.api;
  constexpr std::string_view kDoing = "setting up a session";
  if (wanted.threads < 0) {
    return InvalidArgument("{} threads make no sense; give 0 for as many as cores", wanted.threads);
  }
  GOMAI_RETURN_IF_ERROR(
      library.Check(api.SetSessionGraphOptimizationLevel(options, Level(wanted.optimization)), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.SetIntraOpNumThreads(options, wanted.threads), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.SetInterOpNumThreads(options, 1), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.SetSessionExecutionMode(options, ORT_SEQUENTIAL), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.AddSessionConfigEntry(options, "session.force_spinning_stop", "1"), kDoing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.AddSessionConfigEntry(options, "session.use_env_allocators", "1"), kDoing));
  const bool profiled = !profile_prefix.empty();
  if (profiled) {
    GOMAI_RETURN_IF_ERROR(library.Check(api.EnableProfiling(options, profile_prefix.c_str()), kDoing));
  } else if (wanted.record_placement) {
    GOMAI_RETURN_IF_ERROR(
        library.Check(api.AddSessionConfigEntry(options, "session.record_ep_graph_assignment_info", "1"), kDoing));
  }
  if (profiled && wanted.forbid_fallback) {
    GOMAI_RETURN_IF_ERROR(
        library.Check(api.AddSessionConfigEntry(options, "session.disable_cpu_ep_fallback", "1"), kDoing));
  }
  for (const auto& [key, value] : wanted.session_options) {
    GOMAI_RETURN_IF_ERROR(library.Check(api.AddSessionConfigEntry(options, key.c_str(), value.c_str()),
                                        fmt::format("setting the session option '{}'", key)));
  }
  return absl::OkStatus();
}

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
