// Presets; see presets.h. The JSON files are built in (lib/CMakeLists.txt writes them into a generated source), so that
// an installed tool needs no data folder.
#include "lib/split/presets.h"

#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/split/selector.h"

namespace gomai {

// Generated: name and text of each file in lib/split/presets/.
const std::vector<std::pair<std::string_view, std::string_view>>& BuiltInPresets();

namespace {

constexpr std::string_view kNumber = "{i}";

// The scopes that a selector names: none, one, or two around "->".
std::vector<std::string> ScopesOf(std::string_view selector) {
  if (!selector.starts_with(kScopePrefix)) {
    return {};
  }
  selector.remove_prefix(kScopePrefix.size());
  const size_t arrow = selector.find("->");
  std::vector<std::string> scopes{std::string(selector.substr(0, arrow))};
  if (arrow != std::string_view::npos && selector.substr(arrow + 2) != "*") {
    scopes.emplace_back(selector.substr(arrow + 2));
  }
  return scopes;
}

// The same selector with each scope passed through `change`.
template <typename Change>
std::string MapScopes(const std::string& selector, const Change& change) {
  const std::vector<std::string> scopes = ScopesOf(selector);
  if (scopes.empty()) {
    return selector;
  }
  std::string text = std::string(kScopePrefix) + change(scopes[0]);
  if (selector.find("->") != std::string::npos) {
    text += "->" + (scopes.size() > 1 ? change(scopes[1]) : std::string("*"));
  }
  return text;
}

template <typename Change>
Plan MapPlan(Plan plan, const Change& change) {
  for (PlanPart& part : plan.parts) {
    for (std::string& output : part.outputs) {
      output = MapScopes(output, change);
    }
    if (part.inputs) {
      for (std::string& input : *part.inputs) {
        input = MapScopes(input, change);
      }
    }
  }
  for (auto& [friendly, selector] : plan.aliases) {
    selector = MapScopes(selector, change);
  }
  if (plan.network) {
    plan.network->input = MapScopes(plan.network->input, change);
  }
  return plan;
}

// The scopes that the parts need, in the plan's order.
std::vector<std::string> NeededScopes(const Plan& plan) {
  std::vector<std::string> needed;
  for (const PlanPart& part : plan.parts) {
    std::vector<std::string> selectors = part.outputs;
    if (part.inputs) {
      selectors.insert(selectors.end(), part.inputs->begin(), part.inputs->end());
    }
    for (const std::string& selector : selectors) {
      for (const std::string& scope : ScopesOf(selector)) {
        if (std::find(needed.begin(), needed.end(), scope) == needed.end()) {
          needed.push_back(scope);
        }
      }
    }
  }
  return needed;
}

}  // namespace

absl::StatusOr<std::vector<Preset>> AllPresets() {
  std::vector<Preset> presets;
  for (const auto& [name, text] : BuiltInPresets()) {
    absl::StatusOr<Plan> plan = ParsePlan(text, fmt::format("preset {}", name));
    if (!plan.ok()) {
      return Internal("{}", Message(plan.status()));
    }
    presets.push_back({std::string(name), plan->summary, *std::move(plan)});
  }
  return presets;
}

absl::StatusOr<Plan> PlanFromPreset(std::string_view name, const Index& index, Plan* draft) {
  GOMAI_ASSIGN_OR_RETURN(const std::vector<Preset> presets, AllPresets());
  const auto preset = std::find_if(presets.begin(), presets.end(), [&](const Preset& p) { return p.name == name; });
  if (preset == presets.end()) {
    std::vector<std::string_view> names;
    for (const Preset& known : presets) {
      names.push_back(known.name);
    }
    return NotFound("no preset is called '{}'{} (there are: {})", name, DidYouMean(name, names),
                    fmt::join(names, ", "));
  }
  const ScopeNames scopes(index);
  const std::vector<std::string> needed = NeededScopes(preset->plan);
  const auto complete = [&](const std::string& prefix) {
    return std::all_of(needed.begin(), needed.end(),
                       [&](const std::string& scope) { return scopes.Has(prefix + scope); });
  };
  std::string prefix;
  if (!complete("")) {
    // A model inside a wrapper module has all of its scopes below one more.
    std::vector<std::string> prefixes;
    for (const std::string& candidate : scopes.EndingWith(needed.front())) {
      if (!candidate.empty() && complete(candidate)) {
        prefixes.push_back(candidate);
      }
    }
    if (prefixes.size() == 1) {
      prefix = prefixes.front();
    } else if (prefixes.size() > 1) {
      return InvalidArgument("the preset '{}' fits below each of {}; write a plan for one of them", name,
                             fmt::join(prefixes, ", "));
    } else {
      const auto missing =
          std::find_if(needed.begin(), needed.end(), [&](const std::string& scope) { return !scopes.Has(scope); });
      GOMAI_CHECK(missing != needed.end());
      if (draft != nullptr) {
        *draft = MapPlan(preset->plan, [&](const std::string& scope) {
          const std::vector<std::string> near = scopes.Has(scope) ? std::vector<std::string>{} : scopes.Nearest(scope);
          return near.empty() ? scope : near.front();
        });
        draft->aliases.clear();
      }
      const std::vector<std::string> near = scopes.Nearest(*missing);
      return NotFound(
          "the preset '{}' needs the scope '{}', which the model doesn't have{}; gomai-info --scopes lists its scopes, "
          "and "
          "--print-plan --json prints a draft plan to edit",
          name, *missing, near.empty() ? "" : fmt::format(" (nearest: {})", fmt::join(near, ", ")));
    }
  }
  Plan plan = MapPlan(preset->plan, [&](const std::string& scope) { return prefix + scope; });
  plan.summary.clear();
  GOMAI_ASSIGN_OR_RETURN(plan.aliases, ResolveAliases(plan.aliases, index, /*optional=*/true));
  return plan;
}

absl::StatusOr<std::map<std::string, std::string>> ResolveAliases(const std::map<std::string, std::string>& aliases,
                                                                  const Index& index, bool optional) {
  std::map<std::string, std::string> resolved;
  std::map<std::string, std::string> by_tensor;
  for (const auto& [friendly, selector] : aliases) {
    const absl::StatusOr<std::vector<ValueId>> values = Select(index, selector, ValueOrder::kFirstUse);
    if (!values.ok()) {
      if (optional) {
        continue;
      }
      return Annotate(values.status(), fmt::format("alias '{}'", friendly));
    }
    const size_t number = friendly.find(kNumber);
    if (number == std::string::npos && values->size() > 1) {
      if (optional) {
        continue;
      }
      return InvalidArgument("alias '{}' stands for {} tensors; put {{i}} into its name to number them", friendly,
                             values->size());
    }
    for (size_t i = 0; i < values->size(); ++i) {
      std::string name = friendly;
      if (number != std::string::npos) {
        name.replace(number, kNumber.size(), fmt::format("{}", i));
      }
      const std::string tensor(index.value((*values)[i]).name);
      if (!by_tensor.emplace(tensor, name).second) {
        if (optional) {
          continue;
        }
        return InvalidArgument("aliases '{}' and '{}' both stand for '{}'", by_tensor[tensor], name, tensor);
      }
      if (!resolved.emplace(name, tensor).second) {
        return InvalidArgument("alias '{}' is given twice", name);
      }
    }
  }
  return resolved;
}

}  // namespace gomai
