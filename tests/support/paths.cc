// Paths for tests. GOMAI_SOURCE_DIR and the others come from tests/CMakeLists.txt.
#include "tests/support/paths.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace gomai::testing {

std::filesystem::path SourceDir() { return GOMAI_SOURCE_DIR; }
std::filesystem::path TinyModel() { return SourceDir() / "examples/models/maskrcnn_tiny_op13.onnx"; }
std::filesystem::path StrippedModel() { return SourceDir() / "examples/models/maskrcnn_v2_op13.onnx"; }

std::vector<std::filesystem::path> AllModels() {
  std::vector<std::filesystem::path> models;
  for (const std::filesystem::path& root : std::vector<std::filesystem::path>{
           SourceDir() / "examples/models", std::filesystem::path(GOMAI_ONNX_TEST_MODELS),
           std::filesystem::path(GOMAI_CACHE_DIR) / "onnx-testdata"}) {
    if (!std::filesystem::exists(root)) {
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (entry.is_regular_file() && entry.path().extension() == ".onnx") {
        models.push_back(entry.path());
      }
    }
  }
  std::sort(models.begin(), models.end());
  if (models.size() < 100) {
    throw std::runtime_error("ONNX's test models are missing; run cmake/bootstrap.sh");
  }
  return models;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "gomai-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("can't make a folder in " + std::filesystem::temp_directory_path().string());
  }
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace gomai::testing
