// sam4onnx has flags of several letters behind one dash and flags with several values, which command lines of today
// lack: they are rewritten before anything else looks at them. What stands behind them isn't looked into.
#include <algorithm>
#include <array>

#include "tools/common/edit_flags.h"

namespace gomai {
namespace {

struct SamFlag {
  std::string_view brief;
  std::string_view full;
  int values;  // -1: one or more, up to the next flag
};

constexpr std::array<SamFlag, 8> kFlags = {{{"-if", "--input_onnx_file_path", 1},
                                            {"-of", "--output_onnx_file_path", 1},
                                            {"-on", "--op_name", 1},
                                            {"-a", "--attributes", 3},
                                            {"-da", "--delete_attributes", -1},
                                            {"-ic", "--input_constants", 3},
                                            {"-os", "--output_shapes", 2},
                                            {"-n", "--non_verbose", 0}}};

}  // namespace

absl::StatusOr<std::vector<std::string>> TranslateSamFlags(const std::vector<std::string>& arguments) {
  std::vector<std::string> translated;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto flag = std::find_if(kFlags.begin(), kFlags.end(), [&](const SamFlag& each) {
      return arguments[i] == each.brief || arguments[i] == each.full;
    });
    if (flag == kFlags.end()) {
      translated.push_back(arguments[i]);
      continue;
    }
    std::vector<std::string> values;
    while (i + 1 < arguments.size() && (flag->values < 0 ? !arguments[i + 1].starts_with("-")
                                                         : values.size() < static_cast<size_t>(flag->values))) {
      values.push_back(arguments[++i]);
    }
    if (values.empty() ? flag->values != 0 : static_cast<int>(values.size()) < flag->values) {
      return InvalidArgument("{} wants {}", flag->full,
                             flag->full == "--output_shapes" ? "NAME SHAPE"
                             : flag->values == 3             ? "NAME DTYPE VALUE"
                             : flag->values == 1             ? "a value"
                                                             : "one name or more");
    }
    if (flag->brief == "-if") {
      translated.push_back(values[0]);
    } else if (flag->brief == "-of") {
      translated.insert(translated.end(), {"-o", values[0]});
    } else if (flag->brief == "-on") {
      translated.push_back("--node=" + values[0]);
    } else if (flag->brief == "-a") {
      translated.push_back(fmt::format("--attr={}:{}={}", values[0], values[1], values[2]));
    } else if (flag->brief == "-ic") {
      translated.push_back(fmt::format("--const={}:{}={}", values[0], values[1], values[2]));
    } else if (flag->brief == "-os") {
      translated.push_back(fmt::format("--shape={}:{}", values[0], values[1]));
    } else if (flag->brief == "-da") {
      for (const std::string& name : values) {
        translated.push_back("--delete-attr=" + name);
      }
    } else {
      translated.emplace_back("--quiet");
    }
  }
  return translated;
}

}  // namespace gomai
