// The network's entry of a plan, carried out.
#include "lib/split/network.h"

#include <algorithm>

#include "lib/split/presets.h"
#include "lib/split/selector.h"

namespace gomai {
namespace {

// As pipelines quote values.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' || c == '\\' ? "\\" : "";
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

absl::Status ApplyNetwork(const NetworkArguments& arguments, const Index& index, Plan* plan) {
  const PlanNetwork network = plan->network.value_or(PlanNetwork());
  plan->network.reset();
  if (arguments.image_size.empty() && arguments.network_size.empty()) {
    if (!arguments.input.empty() || !arguments.sizes.empty()) {
      return InvalidArgument("{} needs a size: give --image-size HxW or --network-size HxW",
                             arguments.input.empty() ? "--sizes" : "--network-input");
    }
    return absl::OkStatus();
  }
  const std::string& selector = arguments.input.empty() ? network.input : arguments.input;
  if (selector.empty()) {
    return InvalidArgument(
        "which tensor enters the network? Name it with --network-input, or as network.input in the plan");
  }
  const absl::StatusOr<std::vector<ValueId>> values = SelectNamed(index, plan->aliases, selector);
  if (!values.ok()) {
    return Annotate(values.status(), "the network's input");
  }
  if (values->size() != 1) {
    return InvalidArgument("the network's input '{}' stands for {} tensors; name one with --network-input", selector,
                           values->size());
  }
  const std::string tensor(index.value(values->front()).name);
  // Friendly names by scope are resolved as long as the scopes are there.
  const bool by_scope = std::any_of(plan->aliases.begin(), plan->aliases.end(),
                                    [](const auto& alias) { return alias.second.starts_with(kScopePrefix); });
  if (by_scope) {
    GOMAI_ASSIGN_OR_RETURN(plan->aliases, ResolveAliases(plan->aliases, index, /*optional=*/false));
  }
  std::string pipeline = fmt::format("strip-preprocess{{at={}", Quoted(tensor));
  const std::pair<const char*, const std::string*> options[] = {
      {"image-size", &arguments.image_size}, {"network-size", &arguments.network_size}, {"sizes", &arguments.sizes}};
  for (const auto& [name, value] : options) {
    pipeline += value->empty() ? "" : fmt::format(",{}={}", name, Quoted(*value));
  }
  pipeline += "}";
  AppendPipeline(network.pipeline.empty() ? "fold-constants,fold-identity,prune" : network.pipeline, &pipeline);
  AppendPipeline(plan->pipeline, &pipeline);
  plan->pipeline = pipeline;
  std::erase_if(plan->parts, [&](const PlanPart& part) {
    return std::find(network.replaces.begin(), network.replaces.end(), part.name) != network.replaces.end();
  });
  std::vector<std::string> none;
  for (PlanPart& part : plan->parts) {
    // The scope that gave it is gone behind the cut, and so is what the plan would have cut at.
    for (std::string& input : part.inputs ? *part.inputs : none) {
      const absl::StatusOr<std::vector<ValueId>> named = SelectNamed(index, plan->aliases, input);
      if (input == network.input || (named.ok() && *named == *values)) {
        input = tensor;
      }
    }
    if (part.device == "npu") {
      std::string own = network.part_pipeline;
      AppendPipeline(part.pipeline, &own);
      part.pipeline = own;
    }
    if (const auto batching = network.batching.find(part.name); batching != network.batching.end() && !part.batching) {
      part.batching = batching->second;
    }
  }
  return absl::OkStatus();
}

void DropGoneAliases(const Index& index, Plan* plan) {
  std::erase_if(plan->aliases, [&](const auto& alias) {
    return !alias.second.starts_with(kScopePrefix) && index.FindValue(index.main_scope(), alias.second) == kNone;
  });
}

}  // namespace gomai
