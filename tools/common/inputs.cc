// --input NAME=FILE arguments as tensors.
#include "lib/runtime/npy.h"
#include "tools/common/tool.h"

namespace gomai {

absl::StatusOr<NamedTensors> ReadInputs(const std::vector<std::string>& arguments) {
  NamedTensors tensors;
  const auto add = [&](const std::string& name, HostTensor tensor) -> absl::Status {
    if (!tensors.emplace(name, std::move(tensor)).second) {
      return InvalidArgument("the input '{}' is given twice", name);
    }
    return absl::OkStatus();
  };
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos && argument.ends_with(".npz")) {
      GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> members, ListNpz(argument));
      for (const std::string& member : members) {
        GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, ReadTensorFile(argument, member));
        GOMAI_RETURN_IF_ERROR(add(member, std::move(tensor)));
      }
      continue;
    }
    if (equals == std::string::npos || equals == 0 || equals + 1 == argument.size()) {
      return InvalidArgument("--input '{}' must be NAME=FILE.npy (or .npz or .pb), or FILE.npz for all of its arrays",
                             argument);
    }
    GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, ReadTensorFile(argument.substr(equals + 1)));
    GOMAI_RETURN_IF_ERROR(add(argument.substr(0, equals), std::move(tensor)));
  }
  return tensors;
}

}  // namespace gomai
