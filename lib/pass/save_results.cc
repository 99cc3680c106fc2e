// All models go through one SaveAll, so that a full disk leaves none of them.
#include "lib/pass/save_results.h"

#include <set>

#include "lib/base/file.h"

namespace gomai {

absl::StatusOr<std::vector<const SideOutput*>> SideOutputs(const std::vector<PassReport>& reports) {
  std::vector<const SideOutput*> outputs;
  std::set<std::string> names;
  for (const PassReport& report : reports) {
    for (const SideOutput& output : report.side_outputs) {
      if (output.name.empty() || output.name == "." || output.name == ".." ||
          output.name.find('/') != std::string::npos) {
        return InvalidArgument("'{}' is no name for a file beside the output: give one without a folder", output.name);
      }
      if (!names.insert(output.name).second) {
        return InvalidArgument("two passes write '{}.onnx'; give one of them another name", output.name);
      }
      outputs.push_back(&output);
    }
  }
  return outputs;
}

std::vector<SaveItem> SideModels(const std::vector<const SideOutput*>& outputs, const std::filesystem::path& folder) {
  std::vector<SaveItem> items;
  for (const SideOutput* output : outputs) {
    items.push_back({output->model.get(), folder / (output->name + ".onnx")});
  }
  return items;
}

absl::Status WriteSideTexts(const std::vector<const SideOutput*>& outputs, const std::filesystem::path& folder) {
  for (const SideOutput* output : outputs) {
    if (!output->text.empty()) {
      GOMAI_RETURN_IF_ERROR(WriteTextFile(folder / (output->name + ".json"), output->text));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SaveReport> SaveResults(const Model& model, const std::vector<PassReport>& reports,
                                       const std::filesystem::path& target, const SaveOptions& options) {
  GOMAI_ASSIGN_OR_RETURN(const std::vector<const SideOutput*> outputs, SideOutputs(reports));
  if (outputs.empty()) {
    return Save(model, target, options);
  }
  if (target == "-") {
    return InvalidArgument(
        "the pipeline writes '{}.onnx' beside the model, so the model can't go to stdout; give -o a file",
        outputs.front()->name);
  }
  const std::filesystem::path folder = target.parent_path();
  std::vector<SaveItem> items = SideModels(outputs, folder);
  for (const SaveItem& item : items) {
    if (item.target == target) {
      return InvalidArgument(
          "the pipeline writes a file '{}' of its own; choose another name for the output or for that",
          target.string());
    }
  }
  items.insert(items.begin(), {&model, target});
  GOMAI_ASSIGN_OR_RETURN(SaveReport report, SaveAll(items, options));
  GOMAI_RETURN_IF_ERROR(WriteSideTexts(outputs, folder));
  return report;
}

}  // namespace gomai
