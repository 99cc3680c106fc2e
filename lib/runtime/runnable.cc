// See runnable.h. Sizes after inlining are counted from the innermost function outwards, saturating: nothing is built.
#include "lib/runtime/runnable.h"

#include <algorithm>
#include <vector>

#include "lib/graph/verify.h"
#include "lib/model/model.h"

namespace gomai {

absl::Status CheckFunctionsInline(const Index& index) {
  const size_t count = index.scopes().size();
  std::vector<size_t> root(count);  // the function, or the main graph, that a scope lies in; outer scopes come first
  std::vector<std::vector<size_t>> callers(count);
  std::vector<size_t> open_calls(count);
  std::vector<int64_t> nodes(count);
  std::vector<int> depth(count);
  for (size_t i = 0; i < count; ++i) {
    const ScopeId parent = index.scopes()[i].parent;
    root[i] = parent == kNone ? i : root[static_cast<size_t>(parent)];
    nodes[root[i]] += static_cast<int64_t>(index.scopes()[i].nodes.size());
  }
  for (const Index::Node& node : index.nodes()) {
    const ScopeId called = index.CalledFunction(*node.proto);
    if (called != kNone) {
      const size_t caller = root[static_cast<size_t>(node.scope)];
      callers[static_cast<size_t>(called)].push_back(caller);
      ++open_calls[caller];
    }
  }
  std::vector<size_t> ready;
  for (size_t i = 0; i < count; ++i) {
    if (root[i] == i && open_calls[i] == 0) {
      ready.push_back(i);
    }
  }
  while (!ready.empty()) {
    const size_t done = ready.back();
    ready.pop_back();
    if (depth[done] > kLongestCallChain) {
      return InvalidArgument(
          "{} begins a chain of more than {} functions that call each other, which runtimes can't follow; inline some "
          "of them",
          index.ScopeName(static_cast<ScopeId>(done)), kLongestCallChain);
    }
    if (nodes[done] > kMostInlinedNodes) {
      return InvalidArgument(
          "{} has more than {} nodes once the functions that it calls are put in their calls' places, as runtimes do; "
          "call fewer of them",
          index.ScopeName(static_cast<ScopeId>(done)), kMostInlinedNodes);
    }
    for (const size_t caller : callers[done]) {
      nodes[caller] = std::min(nodes[caller] + nodes[done], kMostInlinedNodes + 1);
      depth[caller] = std::max(depth[caller], depth[done] + 1);
      if (--open_calls[caller] == 0) {
        ready.push_back(caller);
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRunnable(const std::filesystem::path& path) {
  GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(path));
  const Index index(model.proto());
  GOMAI_RETURN_IF_ERROR(Annotate(VerifyForWriting(model, index), fmt::format("'{}'", path.string())));
  return Annotate(CheckFunctionsInline(index), fmt::format("'{}'", path.string()));
}

}  // namespace gomai
