// See random_plan.h.
#include "tests/support/random_plan.h"

#include <set>

#include "lib/split/split.h"

namespace gomai::testing {

std::vector<bool> NeededNodes(const Model& model, const Index& index) {
  std::vector<bool> needed(index.nodes().size());
  std::vector<ValueId> wanted;
  for (const onnx::ValueInfoProto& output : model.proto().graph().output()) {
    wanted.push_back(index.FindValue(index.main_scope(), output.name()));
  }
  while (!wanted.empty()) {
    const ValueId value = wanted.back();
    wanted.pop_back();
    const NodeId producer = value == kNone ? kNone : index.value(value).producer;
    if (producer == kNone || needed[static_cast<size_t>(producer)]) {
      continue;
    }
    needed[static_cast<size_t>(producer)] = true;
    const Index::Node& node = index.node(producer);
    wanted.insert(wanted.end(), node.inputs.begin(), node.inputs.end());
    wanted.insert(wanted.end(), node.captures.begin(), node.captures.end());
  }
  return needed;
}

std::vector<ValueId> TypedValues(const Index& index, const Shapes& shapes) {
  std::vector<ValueId> values;
  for (const NodeId node : index.scope(index.main_scope()).nodes) {
    for (const ValueId output : index.node(node).outputs) {
      if (output == kNone || index.IsConstant(output)) {
        continue;
      }
      const onnx::TypeProto* type = shapes.Find(index.value(output).name);
      if (type != nullptr && type->has_tensor_type() && type->tensor_type().has_shape()) {
        values.push_back(output);
      }
    }
  }
  return values;
}

Plan RandomPlan(const Index& index, const std::vector<ValueId>& values, std::mt19937_64& random) {
  Plan plan;
  std::set<ValueId> asked;
  const size_t parts = random() % 4 + 1;
  for (size_t k = 0; k < parts; ++k) {
    const size_t low = values.size() * k / parts;
    const size_t high = values.size() * (k + 1) / parts;
    PlanPart part;
    part.name = "part_" + std::to_string(k);
    part.device = random() % 3 == 0 ? "npu" : "cpu";
    for (size_t i = random() % 3 + 1; i > 0 && low < high; --i) {
      const ValueId value = values[low + random() % (high - low)];
      if (asked.insert(value).second) {
        part.outputs.emplace_back(index.value(value).name);
      }
    }
    if (!part.outputs.empty()) {
      plan.parts.push_back(std::move(part));
    }
  }
  return plan;
}

absl::Status SplitAtRandom(const Model& model, const std::filesystem::path& folder, std::mt19937_64& random,
                           bool* applies) {
  *applies = false;
  const Index index(model.proto());
  GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapes(model, index));
  std::vector<ValueId> values = TypedValues(index, shapes);
  const std::vector<bool> needed = NeededNodes(model, index);
  std::erase_if(values, [&](ValueId value) { return !needed[static_cast<size_t>(index.value(value).producer)]; });
  if (values.empty()) {
    return absl::OkStatus();
  }
  const Plan plan = RandomPlan(index, values, random);
  const absl::StatusOr<Split> split = ResolvePlan(plan, model, index, shapes, {}, Diagnostics());
  if (!split.ok()) {
    const std::string message(Message(split.status()));
    const bool expected =
        message.find("already produces") != message.npos || message.find("is unknown") != message.npos;
    return expected ? absl::OkStatus() : split.status();
  }
  WriteSplitOptions options;
  options.folder = folder;
  options.save.weights =
      std::array{Weights::kKeep, Weights::kInline, Weights::kExternal, Weights::kShared}[random() % 4];
  GOMAI_RETURN_IF_ERROR(WriteSplit(*split, model, index, options, Diagnostics()).status());
  *applies = true;
  return absl::OkStatus();
}

}  // namespace gomai::testing
