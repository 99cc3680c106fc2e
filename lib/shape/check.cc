// ONNX's checker behind a wall: Gomai's own verifier looks first, so that no cycle or function that calls itself
// reaches ONNX's recursive code, and everything that it throws becomes a status.
#include <onnx/checker.h>

#include <exception>

#include "lib/graph/verify.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

// ONNX appends its context on further lines, the innermost first: the first line names the fault, the context the node.
std::string Shorten(std::string_view text) {
  constexpr std::string_view kContext = "==> Context:";
  std::string message(text.substr(0, text.find('\n')));
  if (const size_t context = text.find(kContext); context != std::string_view::npos) {
    std::string_view rest = text.substr(context + kContext.size());
    rest = rest.substr(0, rest.find('\n'));
    message += fmt::format(" ({})", rest.substr(std::min(rest.find_first_not_of(' '), rest.size())));
  }
  return message;
}

}  // namespace

absl::Status CheckModelFile(const std::filesystem::path& file) {
  {
    GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(file));
    const Index index(model.proto());
    for (const Fault& fault : Verify(model, index)) {
      return DataLoss("{}: {}: {}", file.string(), fault.location, fault.message);
    }
  }
  try {
    onnx::checker::check_model(file.string(), /*full_check=*/true);
  } catch (const std::exception& error) {
    return DataLoss("{}: ONNX's checker: {}", file.string(), Shorten(error.what()));
  } catch (...) {
    return DataLoss("{}: ONNX's checker failed without saying why", file.string());
  }
  return absl::OkStatus();
}

}  // namespace gomai
