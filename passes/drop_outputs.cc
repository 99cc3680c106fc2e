// drop-outputs: outputs of the model that are none any more.
//
// What was declared of one goes to value_info, so that nothing that is known of the value is lost.
#include <algorithm>

#include "lib/base/text.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

absl::Status Run(PassContext& context) {
  const onnx::GraphProto& graph = context.model().proto().graph();
  std::vector<std::string_view> outputs;
  for (const onnx::ValueInfoProto& output : graph.output()) {
    outputs.push_back(output.name());
  }
  std::vector<int> dropped;
  for (const std::string& name : context.options().List("outputs")) {
    const auto found = std::find(outputs.begin(), outputs.end(), name);
    if (found == outputs.end()) {
      return NotFound("the model has no output '{}'{} (it has: {})", name, DidYouMean(name, outputs),
                      fmt::join(outputs, ", "));
    }
    dropped.push_back(static_cast<int>(found - outputs.begin()));
  }
  std::sort(dropped.begin(), dropped.end());
  if (const auto twice = std::adjacent_find(dropped.begin(), dropped.end()); twice != dropped.end()) {
    return InvalidArgument("the output '{}' is named twice", outputs[static_cast<size_t>(*twice)]);
  }
  if (dropped.empty()) {
    return InvalidArgument("the option 'outputs' must name outputs, separated by ';'");
  }
  if (dropped.size() == outputs.size()) {
    return InvalidArgument("a model needs an output: {} can't {}be dropped", fmt::join(outputs, ", "),
                           outputs.size() == 1 ? "" : "all ");
  }
  const Index& index = context.index();
  std::vector<std::string_view> names;
  for (const int at : dropped) {
    names.push_back(outputs[static_cast<size_t>(at)]);
  }
  onnx::GraphProto& edited =
      *context.editor().MutableModel(fmt::format("no longer outputs: {}", fmt::join(names, ", "))).mutable_graph();
  for (auto at = dropped.rbegin(); at != dropped.rend(); ++at) {
    const ValueId value = index.FindValue(index.main_scope(), edited.output(*at).name());
    const bool described = std::any_of(edited.value_info().begin(), edited.value_info().end(),
                                       [&](const auto& info) { return info.name() == edited.output(*at).name(); });
    if (value != kNone && index.value(value).producer != kNone && !described) {
      *edited.add_value_info() = edited.output(*at);
    }
    edited.mutable_output()->DeleteSubrange(*at, 1);
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& DropOutputsPass() {
  static const PassInfo info = {
      .name = "drop-outputs",
      .summary = "make outputs of the model values inside it",
      .description =
          "The values named are no longer outputs of the model; the others keep their order. The nodes that compute "
          "them "
          "stay, and what was declared of them is kept as value_info; prune removes what nothing needs any more.\n\n"
          "Errors: a name that is no output, one named twice, and the last output dropped.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kMain,
      .keeps_shapes = true,
      .options = {{.name = "outputs",
                   .type = OptionType::kList,
                   .required = true,
                   .help = "the outputs to drop, separated by ';'"}},
      .examples = {"drop-outputs{outputs=scores;labels}", "drop-outputs{outputs=masks},prune"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
