// A model with 3 GiB of weights is edited, split, merged and extracted within 128 MiB of memory. Its data file is
// little but holes, which copies keep, so none of it takes room on the disk: a file system that can't have holes can't
// run this.
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMemory = uint64_t{128} << 20;
constexpr int kTensors = 24;
constexpr uint64_t kTensor = uint64_t{128} << 20;

// x + w0 + … + w23, each of 128 MiB; the data has a byte at the start of each, so that they are told apart.
void WriteHuge(const fs::path& folder) {
  {
    std::ofstream data(folder / "huge.bin", std::ios::binary);
    for (int i = 0; i < kTensors; ++i) {
      data.seekp(static_cast<std::streamoff>(static_cast<uint64_t>(i) * kTensor));
      data.put(static_cast<char>(i + 1));
    }
  }
  fs::resize_file(folder / "huge.bin", kTensors * kTensor);
  onnx::ModelProto proto = testing::ParseGraph(fmt::format("g (uint8[N] x) => (uint8[N] v{}) {{ }}", kTensors).c_str());
  for (int i = 0; i < kTensors; ++i) {
    onnx::TensorProto& tensor = *proto.mutable_graph()->add_initializer();
    tensor.set_name(fmt::format("w{}", i));
    tensor.set_data_type(onnx::TensorProto::UINT8);
    tensor.add_dims(static_cast<int64_t>(kTensor));
    SetExternal(tensor, "huge.bin", static_cast<uint64_t>(i) * kTensor, kTensor);
    onnx::NodeProto& node = *proto.mutable_graph()->add_node();
    node.set_op_type("Add");
    node.add_input(fmt::format("v{}", i));
    node.add_input(tensor.name());
    node.add_output(fmt::format("v{}", i + 1));
  }
  proto.mutable_graph()->mutable_node(0)->set_input(0, "x");
  REQUIRE(Save(Model::FromProto(proto, folder), folder / "m.onnx", {}).ok());
}

testing::ProcessResult Tool(std::vector<std::string> command) {
  command[0] = testing::Program(fmt::format("gomai-{}", command[0])).string();
  testing::ProcessLimits limits;
  limits.seconds = 300;
  testing::ProcessResult result = testing::RunProgram(command, limits);
  INFO(command[0] << ": " << (result.peak_memory >> 20) << " MiB, " << result.seconds << " s\n" << result.output);
  CHECK(result.signal == 0);
  if (!testing::UnderAddressSanitizer()) {
    CHECK(result.peak_memory <= kMemory);
  }
  return result;
}

void Succeeds(const std::vector<std::string>& command) {
  const testing::ProcessResult result = Tool(command);
  INFO(command[0] << ": " << result.output);
  CHECK(result.exit_code == 0);
}

void RefusesFor(const std::string& word, const std::vector<std::string>& command) {
  const testing::ProcessResult result = Tool(command);
  INFO(command[0] << ": " << result.output);
  CHECK(result.exit_code == 2);
  CHECK(result.output.find(word) != std::string::npos);
}

// The first byte of each tensor as the model at `path` has it.
std::string FirstBytes(const fs::path& path) {
  const absl::StatusOr<Model> model = Model::Load(path);
  REQUIRE(model.ok());
  std::string bytes;
  for (const onnx::TensorProto& tensor : model->proto().graph().initializer()) {
    const absl::StatusOr<TensorBytes> values = ReadTensor(tensor, *model);
    INFO(values.status().ToString());
    REQUIRE(values.ok());
    REQUIRE(values->bytes().size() == kTensor);
    bytes += static_cast<char>(values->bytes()[0]);
  }
  return bytes;
}

// What the files in `folder` take on the disk.
uint64_t DiskUse(const fs::path& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat info {};
    REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

std::string Bytes(int first, int last) {
  std::string bytes;
  for (int i = first; i <= last; ++i) {
    bytes += static_cast<char>(i);
  }
  return bytes;
}

TEST_CASE("3 GiB of weights pass through every tool in 128 MiB") {
  const testing::TemporaryFolder folder;
  WriteHuge(folder.path());
  const std::string model = folder / "m.onnx";
  Succeeds({"info", model});
  // Nothing but structure is written beside the model.
  Succeeds({"opt", model, "-o", folder / "renamed.onnx", "-p", "rename{x=input}"});
  CHECK(FirstBytes(folder / "renamed.onnx") == Bytes(1, kTensors));
  Succeeds({"opt", model, "-o", folder / "ref.onnx", "-p", "rename{x=input}", "--weights=reference"});
  Succeeds({"diff", folder / "ref.onnx", folder / "renamed.onnx"});
  Succeeds({"extract", model, "-o", folder / "head.onnx", "--inputs", "v10", "--outputs", "v12"});
  CHECK(FirstBytes(folder / "head.onnx") == Bytes(11, 12));
  // A split beside the model writes kilobytes, and so does the merge.
  const std::vector<std::string> split = {"split", model, "--part", "a=v6", "--part", "b=v18", "-o"};
  std::vector<std::string> beside = split;
  beside.insert(beside.end(), {folder.path().string(), "--weights=reference"});
  Succeeds(beside);
  Succeeds({"merge", folder / "manifest.json", "-o", folder / "merged.onnx"});
  CHECK(testing::ReadFile(folder / "merged.onnx") == testing::ReadFile(model));
  RefusesFor("--weights=external", {"merge", folder / "manifest.json", "-o", folder / "m2.onnx", "--weights=inline"});
  CHECK_FALSE(fs::exists(folder / "m2.onnx"));
  // Copies of all weights, whose holes stay holes. Inline each part is below 2 GiB, which the whole isn't.
  for (const std::string weights : {"keep", "inline", "external", "shared"}) {
    INFO(weights);
    const fs::path parts = folder / ("parts-" + weights);
    std::vector<std::string> apart = split;
    apart.insert(apart.end(), {parts, "--weights=" + weights});
    Succeeds(apart);
    CHECK(DiskUse(parts) < kMemory);
    CHECK(FirstBytes(parts / "a.onnx") == Bytes(1, 6));
    CHECK(FirstBytes(parts / "b.onnx") == Bytes(7, 18));
    CHECK(FirstBytes(parts / "rest.onnx") == Bytes(19, kTensors));
    Succeeds({"merge", parts, "-o", parts / "merged.onnx", "--weights=external"});
    CHECK(DiskUse(parts) < kMemory);
    CHECK(fs::file_size(parts / "merged.onnx.data") == kTensors * kTensor);
    Succeeds({"diff", model, parts / "merged.onnx", "--ignore=weights"});
    CHECK(FirstBytes(parts / "merged.onnx") == Bytes(1, kTensors));
  }
  for (const std::string weights : {"keep", "external", "shared"}) {
    INFO(weights);
    const fs::path copy = folder / ("copy-" + weights);
    fs::create_directory(copy);
    Succeeds({"opt", model, "-o", copy / "m.onnx", "-p", "rename{x=input}", "--weights=" + weights});
    CHECK(FirstBytes(copy / "m.onnx") == Bytes(1, kTensors));
    CHECK(DiskUse(copy) < kMemory);
  }
  // Of some of them every byte is read.
  Succeeds({"extract", model, "-o", folder.path() / "copy-external" / "head.onnx", "--inputs", "v10", "--outputs",
            "v12", "--weights=external"});
  Succeeds({"diff", folder / "head.onnx", folder.path() / "copy-external" / "head.onnx"});
}

TEST_CASE("what would pass 2 GiB is refused with the flag to use, before anything is written") {
  const testing::TemporaryFolder folder;
  WriteHuge(folder.path());
  const std::string model = folder / "m.onnx";
  RefusesFor("--weights=external", {"opt", model, "-o", folder / "out.onnx", "--weights=inline"});
  RefusesFor("--weights=external", {"merge", model, model, "-o", folder / "out.onnx", "--weights=inline"});
  RefusesFor("--weights=external", {"split", model, "--part", "a=v2", "-o", folder / "parts", "--weights=inline"});
  RefusesFor("--weights=external",
             {"extract", model, "-o", folder / "out.onnx", "--outputs", "v20", "--weights=inline"});
  CHECK_FALSE(fs::exists(folder / "out.onnx"));
  CHECK_FALSE(fs::exists(folder.path() / "parts" / "manifest.json"));
  // Less than that goes.
  Succeeds({"extract", model, "-o", folder / "out.onnx", "--outputs", "v2", "--weights=inline"});
  CHECK(fs::file_size(folder / "out.onnx") > 2 * kTensor);
}

}  // namespace
}  // namespace gomai
