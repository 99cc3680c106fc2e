// A pass's declaration and its options; see pass.h.
#include "lib/pass/pass.h"

#include <algorithm>
#include <set>

#include "lib/base/text.h"

namespace gomai {
namespace {

const OptionSpec* FindSpec(const PassInfo& info, std::string_view name) {
  for (const OptionSpec& spec : info.options) {
    if (spec.type != OptionType::kMap && spec.name == name) {
      return &spec;
    }
  }
  return nullptr;
}

bool TakesFreeKeys(const PassInfo& info) {
  return std::any_of(info.options.begin(), info.options.end(),
                     [](const OptionSpec& spec) { return spec.type == OptionType::kMap; });
}

absl::Status CheckValue(const PassInfo& info, const OptionSpec& spec, const std::string& value) {
  const char* wanted = nullptr;
  switch (spec.type) {
    case OptionType::kBool:
      wanted = value == "true" || value == "false" ? nullptr : "true or false";
      break;
    case OptionType::kInt:
      wanted = ParseInt64(value) ? nullptr : "a whole number";
      break;
    case OptionType::kFloat:
      wanted = ParseDouble(value) ? nullptr : "a number";
      break;
    default:
      break;
  }
  if (wanted != nullptr) {
    return InvalidArgument("the option '{}' of '{}' must be {}, not '{}'", spec.name, info.name, wanted, value);
  }
  if (!spec.choices.empty() && std::find(spec.choices.begin(), spec.choices.end(), value) == spec.choices.end()) {
    return InvalidArgument("the option '{}' of '{}' must be one of {}, not '{}'{}", spec.name, info.name,
                           fmt::join(spec.choices, ", "), value,
                           DidYouMean(value, {spec.choices.begin(), spec.choices.end()}));
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view EffectName(Effect effect) {
  switch (effect) {
    case Effect::kBitExact:
      return "bit-exact";
    case Effect::kExactFinite:
      return "exact-finite";
    case Effect::kReassociates:
      return "reassociates";
    case Effect::kApproximate:
      return "approximate";
    case Effect::kChangesInterface:
      return "changes-interface";
  }
  return "";
}

std::string_view PassScopesName(PassScopes scopes) {
  switch (scopes) {
    case PassScopes::kMain:
      return "main graph";
    case PassScopes::kAllGraphs:
      return "all graphs";
    case PassScopes::kAllGraphsAndFunctions:
      return "all graphs and functions";
  }
  return "";
}

absl::StatusOr<PassOptions> PassOptions::Make(const PassInfo& info,
                                              std::vector<std::pair<std::string, std::string>> given) {
  PassOptions options;
  std::set<std::string> seen;
  for (const auto& [name, value] : given) {
    const OptionSpec* spec = FindSpec(info, name);
    if (spec == nullptr) {
      if (TakesFreeKeys(info)) {
        options.free_.emplace_back(name, value);
        continue;
      }
      std::vector<std::string_view> names;
      for (const OptionSpec& known : info.options) {
        names.push_back(known.name);
      }
      return NotFound("the pass '{}' has no option '{}'{} ({})", info.name, name, DidYouMean(name, names),
                      names.empty() ? "it has none" : fmt::format("it has: {}", fmt::join(names, ", ")));
    }
    if (!seen.insert(name).second) {
      return InvalidArgument("the option '{}' of '{}' is given twice", name, info.name);
    }
    GOMAI_RETURN_IF_ERROR(CheckValue(info, *spec, value));
    options.values_[name] = value;
  }
  for (const OptionSpec& spec : info.options) {
    if (spec.type == OptionType::kMap) {
      if (spec.required && options.free_.empty()) {
        return InvalidArgument("the pass '{}' needs at least one {}", info.name, spec.name);
      }
      continue;
    }
    if (!options.values_.contains(spec.name)) {
      if (spec.required) {
        return InvalidArgument("the pass '{}' needs the option '{}': {}", info.name, spec.name, spec.help);
      }
      options.values_[spec.name] = spec.default_value;
    }
  }
  options.given_ = std::move(given);
  return options;
}

const std::string& PassOptions::Value(std::string_view name) const {
  const auto found = values_.find(name);
  GOMAI_CHECK(found != values_.end());
  return found->second;
}

bool PassOptions::Bool(std::string_view name) const { return Value(name) == "true"; }
int64_t PassOptions::Int(std::string_view name) const { return ParseInt64(Value(name)).value(); }
double PassOptions::Float(std::string_view name) const { return ParseDouble(Value(name)).value(); }
const std::string& PassOptions::String(std::string_view name) const { return Value(name); }
std::vector<std::string> PassOptions::List(std::string_view name) const { return SplitList(Value(name), ';'); }
const std::vector<std::pair<std::string, std::string>>& PassOptions::Map(std::string_view) const { return free_; }

bool PassOptions::Given(std::string_view name) const {
  return std::any_of(given_.begin(), given_.end(), [&](const auto& option) { return option.first == name; });
}

Effect EffectOf(const PassInfo& info, const PassOptions& options) {
  return info.effect_of == nullptr ? info.effect : info.effect_of(options);
}

std::vector<std::pair<std::string, Effect>> OtherEffects(const PassInfo& info) {
  std::vector<std::pair<std::string, Effect>> others;
  if (info.effect_of == nullptr) {
    return others;
  }
  for (const OptionSpec& option : info.options) {
    const std::vector<std::string> choices =
        option.type == OptionType::kBool ? std::vector<std::string>{"true", "false"} : option.choices;
    for (const std::string& choice : choices) {
      const absl::StatusOr<PassOptions> options = PassOptions::Make(info, {{option.name, choice}});
      if (options.ok() && info.effect_of(*options) != info.effect) {
        others.emplace_back(fmt::format("{}={}", option.name, choice), info.effect_of(*options));
      }
    }
  }
  return others;
}

absl::StatusOr<const PassInfo*> FindPass(std::string_view name) {
  std::vector<std::string_view> names;
  for (const PassInfo* pass : AllPasses()) {
    if (pass->name == name) {
      return pass;
    }
    names.push_back(pass->name);
  }
  return NotFound("there is no pass '{}'{}; gomai-opt --list-passes shows them all", name, DidYouMean(name, names));
}

}  // namespace gomai
