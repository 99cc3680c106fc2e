// What happens to parts before they are written; see finish.h.
#include "lib/split/finish.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

absl::StatusOr<std::vector<PassReport>> RunPartPipeline(const SplitPart& part, Model* model,
                                                        const Diagnostics& diagnostics) {
  GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, ParsePipeline(part.pipeline));
  return RunPipeline(pipeline, *model, {}, diagnostics);
}

onnx::GraphProto InterfaceOf(const onnx::GraphProto& graph) {
  onnx::GraphProto interface;
  *interface.mutable_input() = graph.input();
  *interface.mutable_output() = graph.output();
  return interface;
}

// A part's pipeline must leave what it reads and gives as it is: others rely on it.
absl::Status CheckInterfaceKept(const SplitPart& part, const onnx::GraphProto& before, const onnx::GraphProto& after) {
  for (const auto& [was, now, what] :
       {std::tuple(&before.input(), &after.input(), "input"), {&before.output(), &after.output(), "output"}}) {
    bool kept = was->size() == now->size();
    for (int i = 0; kept && i < was->size(); ++i) {
      const ManifestTensor a = DescribeTensor(was->Get(i));
      const ManifestTensor b = DescribeTensor(now->Get(i));
      if (a.name != b.name || a.dtype != b.dtype || !ShapesAgree(a, b)) {
        return FailedPrecondition(
            "the pipeline of part '{}' makes its {} '{}', {}, into '{}', {}: parts must fit together", part.name, what,
            a.name, DescribeType(a), b.name, DescribeType(b));
      }
    }
    if (!kept) {
      return FailedPrecondition("the pipeline of part '{}' leaves it {} {}s where it had {}: parts must fit together",
                                part.name, now->size(), what, was->size());
    }
  }
  return absl::OkStatus();
}

}  // namespace

// One after another: a pipeline may start a runtime of its own.
absl::StatusOr<std::vector<std::optional<ManifestBatching>>> FinishParts(const Split& split, std::vector<Model>* parts,
                                                                         WriteSplitReport* report,
                                                                         const Diagnostics& diagnostics) {
  std::vector<std::optional<ManifestBatching>> fixed_rows(parts->size());
  for (size_t k = 0; k < parts->size(); ++k) {
    const SplitPart& part = split.parts[k];
    Model& model = (*parts)[k];
    if (part.rows) {
      absl::StatusOr<ManifestBatching> batching = FixRows(model, *part.rows);
      if (!batching.ok()) {
        return Annotate(batching.status(), fmt::format("part '{}'", part.name));
      }
      fixed_rows[k] = *std::move(batching);
    }
    if (part.pipeline.empty()) {
      continue;
    }
    const onnx::GraphProto fixed = InterfaceOf(model.proto().graph());
    absl::StatusOr<std::vector<PassReport>> reports = RunPartPipeline(part, &model, diagnostics);
    if (!reports.ok()) {
      return Annotate(reports.status(), fmt::format("the pipeline of part '{}'", part.name));
    }
    GOMAI_RETURN_IF_ERROR(CheckInterfaceKept(part, fixed, model.proto().graph()));
    report->pipelines.emplace_back(part.name, *std::move(reports));
  }
  return fixed_rows;
}

absl::Status CheckSideNames(const Split& split, const std::vector<const SideOutput*>& side_outputs) {
  for (const SideOutput* side : side_outputs) {
    // It is the first part's, and a manifest must be able to name that.
    if (!IsPartFileStem(side->name) || side->name == "input" || side->name == "manifest") {
      return InvalidArgument(
          "the pipeline writes '{}.onnx', which can't be a part's file: letters, digits, '_', '.' and '-' only, and "
          "neither 'input' nor 'manifest'",
          side->name);
    }
    for (const SplitPart& part : split.parts) {
      if (part.name == side->name) {
        return InvalidArgument("the pipeline writes '{}.onnx', which is also a part's file; name one of them otherwise",
                               part.name);
      }
    }
  }
  return absl::OkStatus();
}

// A model that makes what the others take for inputs of the model, in front of them. One that doesn't is only
// written.
void AddFirstPart(const SideOutput& side, const std::string& digest, Manifest* manifest) {
  const onnx::GraphProto& graph = side.model->proto().graph();
  ManifestPart first{.name = side.name,
                     .file = side.name + ".onnx",
                     .digest = digest,
                     .file_digest = {},
                     .device = "cpu",
                     .inputs = {},
                     .outputs = {}};
  std::set<std::string> made;
  for (const onnx::ValueInfoProto& output : graph.output()) {
    ManifestTensor tensor = DescribeTensor(output);
    for (ManifestPart& part : manifest->parts) {
      for (ManifestTensor& input : part.inputs) {
        if (input.from == "input" && input.name == tensor.name) {
          input.from = side.name;
          tensor.to.push_back(part.name);
          made.insert(tensor.name);
        }
      }
    }
    first.outputs.push_back(std::move(tensor));
  }
  if (made.empty()) {
    return;
  }
  std::erase_if(manifest->inputs, [&](const ManifestTensor& input) { return made.contains(input.name); });
  std::vector<ManifestTensor> inputs;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    ManifestTensor tensor = DescribeTensor(input);
    tensor.from = "input";
    first.inputs.push_back(tensor);
    const bool known = std::any_of(manifest->inputs.begin(), manifest->inputs.end(),
                                   [&](const ManifestTensor& other) { return other.name == tensor.name; });
    tensor.from.clear();
    if (!known) {
      inputs.push_back(std::move(tensor));
    }
  }
  manifest->inputs.insert(manifest->inputs.begin(), inputs.begin(), inputs.end());
  manifest->parts.insert(manifest->parts.begin(), std::move(first));
  Runs nodes{{side.name, static_cast<uint64_t>(graph.node_size())}};
  nodes.insert(nodes.end(), manifest->node_order.begin(), manifest->node_order.end());
  manifest->node_order = std::move(nodes);
}

}  // namespace gomai
