#pragma once

// Where tests find models, and folders of their own to write in.

#include <filesystem>
#include <string>
#include <vector>

namespace gomai::testing {

std::filesystem::path SourceDir();
std::filesystem::path TinyModel();      // the complete small Mask R-CNN
std::filesystem::path StrippedModel();  // Mask R-CNN v2 without its weight file
// Every .onnx file at hand: the project's own and ONNX's test models that the set-up unpacked; sorted.
std::vector<std::filesystem::path> AllModels();

// An empty folder, removed with what is in it at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace gomai::testing
