// Command-line words to a plan; see plan_args.h.
#include "lib/split/plan_args.h"

#include <algorithm>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/split/presets.h"
#include "lib/split/selector.h"

namespace gomai {
namespace {

absl::StatusOr<Plan> PlanFromParts(const std::vector<std::string>& parts, const Index& index) {
  Plan plan;
  for (const std::string& text : parts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      return InvalidArgument("--part '{}' must be NAME=TENSOR,... or NAME=scope:/a/b", text);
    }
    PlanPart part;
    part.name = text.substr(0, equals);
    part.outputs = SplitNames(text.substr(equals + 1), index);
    plan.parts.push_back(std::move(part));
  }
  GOMAI_RETURN_IF_ERROR(CheckPlanNames(plan));
  return plan;
}

// "PART=VALUE": the part of the plan, and the value.
absl::StatusOr<std::pair<PlanPart*, std::string>> OfPart(const std::string& text, std::string_view flag,
                                                         std::string_view example, Plan& plan) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals + 1 == text.size()) {
    return InvalidArgument("{} '{}' must be {}", flag, text, example);
  }
  const std::string name = text.substr(0, equals);
  const auto part =
      std::find_if(plan.parts.begin(), plan.parts.end(), [&](const PlanPart& p) { return p.name == name; });
  if (part == plan.parts.end()) {
    std::vector<std::string_view> names;
    for (const PlanPart& known : plan.parts) {
      names.push_back(known.name);
    }
    return NotFound("{} names the part '{}', which the plan doesn't have{}", flag, name, DidYouMean(name, names));
  }
  return std::pair(&*part, text.substr(equals + 1));
}

absl::Status SetParts(const PlanArguments& arguments, Plan& plan) {
  for (const std::string& text : arguments.devices) {
    GOMAI_ASSIGN_OR_RETURN(const auto given, OfPart(text, "--device", "PART=cpu or PART=npu", plan));
    given.first->device = given.second;
  }
  for (const std::string& text : arguments.batching) {
    GOMAI_ASSIGN_OR_RETURN(const auto given, OfPart(text, "--batching", "PART=K or PART=limit", plan));
    const std::optional<int64_t> size = ParseInt64(given.second);
    if (given.second != "limit" && (!size || *size < 1)) {
      return InvalidArgument("--batching '{}': '{}' is no number of rows; give 1 or more, or limit", text,
                             given.second);
    }
    given.first->batching = PlanBatching{size};
  }
  for (const std::string& text : arguments.pipelines) {
    AppendPipeline(text, &plan.pipeline);
  }
  for (const std::string& text : arguments.part_pipelines) {
    if (text.starts_with("*=")) {
      for (PlanPart& part : plan.parts) {
        if (part.device == "npu") {
          AppendPipeline(text.substr(2), &part.pipeline);
        }
      }
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const auto given, OfPart(text, "--part-pipeline", "PART=PASSES, or '*=PASSES'", plan));
    AppendPipeline(given.second, &given.first->pipeline);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<std::string, std::string>> AtLastColon(const std::string& text, std::string_view flag) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
    return InvalidArgument("{} '{}' must be TENSOR:{}", flag, text, flag == "--type" ? "float32" : "?x4");
  }
  return std::pair(text.substr(0, colon), text.substr(colon + 1));
}

}  // namespace

// At each place the longest run of pieces that is a tensor's name.
std::vector<std::string> SplitNames(const std::string& text, const Index& index) {
  const std::vector<std::string> pieces = SplitList(text, ',');
  std::vector<std::string> names;
  for (size_t i = 0; i < pieces.size();) {
    size_t taken = 1;
    std::string joined = pieces[i];
    std::string name = joined;
    for (size_t j = i + 1; j < pieces.size(); ++j) {
      joined += "," + pieces[j];
      if (index.FindValue(index.main_scope(), joined) != kNone) {
        name = joined;
        taken = j - i + 1;
      }
    }
    names.push_back(std::move(name));
    i += taken;
  }
  return names;
}

absl::StatusOr<Plan> MakePlan(const PlanArguments& arguments, const Model& model, const Index& index, Plan* draft) {
  const int ways = (arguments.preset.empty() ? 0 : 1) + (arguments.plan_file.empty() ? 0 : 1) +
                   (arguments.parts.empty() ? 0 : 1) + (arguments.by_size.empty() ? 0 : 1);
  if (ways != 1) {
    return InvalidArgument("give {} --preset, --plan, --part or --by-size", ways == 0 ? "one of" : "only one of");
  }
  absl::StatusOr<Plan> plan;
  if (!arguments.preset.empty()) {
    plan = PlanFromPreset(arguments.preset, index, draft);
  } else if (!arguments.plan_file.empty()) {
    GOMAI_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(arguments.plan_file));
    plan = ParsePlan(text, arguments.plan_file);
  } else if (!arguments.parts.empty()) {
    plan = PlanFromParts(arguments.parts, index);
  } else {
    const std::optional<uint64_t> bytes = ParseSize(arguments.by_size);
    if (!bytes) {
      return InvalidArgument("--by-size '{}' is not a size; give one such as 50M", arguments.by_size);
    }
    plan = PlanBySize(model, index, *bytes);
  }
  if (plan.ok()) {
    GOMAI_RETURN_IF_ERROR(SetParts(arguments, *plan));
    GOMAI_RETURN_IF_ERROR(ApplyNetwork(arguments.network, index, &*plan));
  }
  return plan;
}

absl::StatusOr<ResolveOptions> GivenTypes(const std::vector<std::string>& types,
                                          const std::vector<std::string>& shapes) {
  ResolveOptions options;
  for (const std::string& text : types) {
    GOMAI_ASSIGN_OR_RETURN(const auto given, AtLastColon(text, "--type"));
    const std::optional<int> dtype = ParseDtype(given.second);
    if (!dtype) {
      return InvalidArgument("--type '{}': '{}' is no dtype; examples: float32, int64, bool", text, given.second);
    }
    options.given_types[given.first].mutable_tensor_type()->set_elem_type(*dtype);
  }
  for (const std::string& text : shapes) {
    GOMAI_ASSIGN_OR_RETURN(const auto given, AtLastColon(text, "--shape"));
    absl::StatusOr<onnx::TensorShapeProto> shape = ParseShapeText(given.second);
    if (!shape.ok()) {
      return Annotate(shape.status(), fmt::format("--shape '{}'", text));
    }
    *options.given_types[given.first].mutable_tensor_type()->mutable_shape() = *std::move(shape);
  }
  return options;
}

std::string PresetNames() {
  const absl::StatusOr<std::vector<Preset>> presets = AllPresets();
  GOMAI_CHECK(presets.ok());
  std::vector<std::string> names;
  for (const Preset& preset : *presets) {
    names.push_back(preset.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

absl::StatusOr<Shapes> InferShapesOrWarn(const Model& model, const Index& index, const Diagnostics& diagnostics) {
  absl::StatusOr<Shapes> shapes = InferShapes(model, index);
  if (shapes.ok()) {
    return shapes;
  }
  diagnostics.Warn(model.path().string(), "shapes can't be inferred ({}); the declared ones are used",
                   Message(shapes.status()));
  Shapes declared;
  for (const Index::Value& value : index.values()) {
    if (value.scope == index.main_scope() && value.info != nullptr && value.info->has_type()) {
      declared.Set(value.name, value.info->type());
    }
  }
  return declared;
}

}  // namespace gomai
