// Where a session's nodes went, as ONNX Runtime 1.24 and newer tell it.
#ifdef GOMAI_WITH_ONNXRUNTIME

#include "lib/runtime/onnxruntime_internal.h"

namespace gomai::ort {

#if ORT_API_VERSION >= 24

bool TellsAssignment(const Library& library) { return library.api_version >= 24; }

absl::Status ReadAssignment(const Library& library, const OrtSession* session, Placement* placement) {
  const OrtApi& api = *library.api;
  constexpr std::string_view kDoing = "reading where the nodes went";
  const OrtEpAssignedSubgraph* const* subgraphs = nullptr;
  size_t count = 0;
  GOMAI_RETURN_IF_ERROR(library.Check(api.Session_GetEpGraphAssignmentInfo(session, &subgraphs, &count), kDoing));
  for (size_t i = 0; i < count; ++i) {
    const char* ep = nullptr;
    const OrtEpAssignedNode* const* nodes = nullptr;
    size_t node_count = 0;
    GOMAI_RETURN_IF_ERROR(library.Check(api.EpAssignedSubgraph_GetEpName(subgraphs[i], &ep), kDoing));
    GOMAI_RETURN_IF_ERROR(library.Check(api.EpAssignedSubgraph_GetNodes(subgraphs[i], &nodes, &node_count), kDoing));
    for (size_t j = 0; j < node_count; ++j) {
      const char* name = nullptr;
      const char* domain = nullptr;
      const char* op = nullptr;
      GOMAI_RETURN_IF_ERROR(library.Check(api.EpAssignedNode_GetName(nodes[j], &name), kDoing));
      GOMAI_RETURN_IF_ERROR(library.Check(api.EpAssignedNode_GetDomain(nodes[j], &domain), kDoing));
      GOMAI_RETURN_IF_ERROR(library.Check(api.EpAssignedNode_GetOperatorType(nodes[j], &op), kDoing));
      const std::string_view own(domain);
      placement->Add(ep, {name, own.empty() || own == "ai.onnx" ? op : fmt::format("{}::{}", own, op)});
    }
  }
  placement->source = Placement::Source::kAssignment;
  return absl::OkStatus();
}

#else  // headers that don't know of it

bool TellsAssignment(const Library&) { return false; }
absl::Status ReadAssignment(const Library&, const OrtSession*, Placement*) {
  return Unavailable("gomai was built with headers of ONNX Runtime before 1.24");
}

#endif

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
