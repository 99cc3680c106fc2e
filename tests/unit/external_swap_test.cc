// External data whose file turns into a symlink out of the folder between the check and the reading: never what lies
// outside is read.
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <thread>

#include "lib/base/file.h"
#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a path that was looked through may not hold a symlink any more") {
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "real");
  testing::WriteFile(folder / "real" / "w", "inside");
  const fs::path root = fs::canonical(folder.path());
  REQUIRE(MappedFile::OpenResolved(root / "real" / "w").ok());
  fs::create_symlink("w", root / "real" / "link");
  fs::create_directory_symlink("real", root / "way");
  for (const fs::path& path : {root / "real" / "link", root / "way" / "w"}) {
    INFO(path);
    CHECK(MappedFile::Open(path).ok());
    CHECK(absl::IsInvalidArgument(MappedFile::OpenResolved(path).status()));
  }
  CHECK(absl::IsNotFound(MappedFile::OpenResolved(root / "real" / "nothing").status()));
}

// One thread exchanges the data file, or the folder it lies in, with a symlink as fast as it can, each exchange in one
// step; the other reads the tensor's values and saves the model with them inline.
void Race(const fs::path& folder, const std::string& location, const fs::path& swapped, const fs::path& with) {
  onnx::TensorProto tensor;
  tensor.set_name("w");
  tensor.set_data_type(onnx::TensorProto::UINT8);
  tensor.add_dims(6);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  onnx::StringStringEntryProto* entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value(location);
  onnx::ModelProto proto;
  *proto.mutable_graph()->add_initializer() = tensor;
  const Model model = Model::FromProto(proto, folder);

  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) {
      ::syscall(SYS_renameat2, AT_FDCWD, swapped.c_str(), AT_FDCWD, with.c_str(), RENAME_EXCHANGE);
    }
  });
  int read = 0;
  int refused = 0;
  for (int i = 0; i < 20000 && (i < 2000 || read == 0 || refused == 0); ++i) {
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model);
    if (bytes.ok()) {
      ++read;
      REQUIRE(std::string(bytes->bytes().begin(), bytes->bytes().end()) == "inside");
    } else {
      ++refused;
      REQUIRE(absl::IsInvalidArgument(bytes.status()));
    }
    const absl::StatusOr<std::string> saved = SerializeInline(model);
    REQUIRE((!saved.ok() || saved->find("secret") == std::string::npos));
  }
  done = true;
  swapper.join();
  CHECK(read > 0);
  CHECK(refused > 0);
}

TEST_CASE("a data file that flickers between a file and a symlink") {
  const testing::TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  fs::create_directory(root / "model");
  testing::WriteFile(root / "secret", "secret");
  testing::WriteFile(root / "model" / "w", "inside");
  fs::create_symlink(root / "secret", root / "model" / "x");
  Race(root / "model", "w", root / "model" / "w", root / "model" / "x");
}

TEST_CASE("a data folder that flickers between a folder and a symlink") {
  const testing::TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  fs::create_directories(root / "model" / "sub");
  fs::create_directory(root / "outside");
  testing::WriteFile(root / "outside" / "w", "secret");
  testing::WriteFile(root / "model" / "sub" / "w", "inside");
  fs::create_directory_symlink(root / "outside", root / "model" / "x");
  Race(root / "model", "sub/w", root / "model" / "sub", root / "model" / "x");
}

}  // namespace
}  // namespace gomai
