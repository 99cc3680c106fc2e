// The copy holds no weights, so trying costs what two inferences cost.
#include "lib/pass/try_edit.h"

#include "lib/pass/freeze.h"

namespace gomai {

absl::Status EditChecked(PassContext& context, const std::function<void(Editor&)>& edit, bool force) {
  if (!force) {
    GOMAI_ASSIGN_OR_RETURN(const Inferred before, InferAll(context.model(), context.index()));
    Model copy = context.model().Copy();
    Editor editor(copy);
    edit(editor);
    GOMAI_RETURN_IF_ERROR(editor.Commit().status());
    GOMAI_ASSIGN_OR_RETURN(const Inferred after, InferAll(copy, Index(copy.proto())));
    if (const std::vector<std::string> problems = NewProblems(before.problems, after.problems); !problems.empty()) {
      return InvalidArgument(
          "the model no longer fits together then: {}; nothing was changed (force=true does it all "
          "the same)",
          ListProblems(problems));
    }
  }
  edit(context.editor());
  return absl::OkStatus();
}

}  // namespace gomai
