// --in-place loses nothing: the tools that have it are killed at each of their calls that change files, and the model
// at the path is then the old one or the new one, with all its data; running the tool again finishes the job.
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/compare/model_diff.h"
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
using testing::Program;
using testing::RunProgram;

bool SameModel(const fs::path& a, const fs::path& b) {
  const absl::StatusOr<Model> first = Model::Load(a);
  const absl::StatusOr<Model> second = Model::Load(b);
  INFO(first.status().ToString() << " " << second.status().ToString());
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  const absl::StatusOr<ModelDiff> diff = DiffModels(*first, *second, {});
  INFO(diff.status().ToString());
  REQUIRE(diff.ok());  // all data can be read
  return diff->equal();
}

void Copy(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

// A tool that edits m.onnx in place.
struct Edit {
  std::string program;
  std::vector<std::string> arguments;
  // What it is run with again over a model that has the edit already; it changes nothing then.
  std::vector<std::string> again;
};

std::vector<std::string> Command(const Edit& edit, const std::vector<std::string>& arguments, const fs::path& folder) {
  std::vector<std::string> all = {Program(edit.program).string(), (folder / "m.onnx").string(), "--in-place", "-q"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

// The files in `folder`. A killed run can't take its temporary files away: the next one over the same model does. Their
// names are such that nothing takes them for a model or for its data.
std::vector<std::string> Files(const fs::path& folder, bool temporaries_too) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() == ".gomai-part") {
      CHECK(name[0] == '.');
      if (!temporaries_too) {
        continue;
      }
    } else if (name != "m.onnx") {
      CHECK((entry.path().extension() == ".data" || name == "given.bin"));
    }
    names.push_back(name);
  }
  return names;
}

// `start`: a folder with m.onnx. Kills the tool (on m.onnx in a copy of it) everywhere.
void KillEverywhere(const fs::path& start, const fs::path& scratch, const Edit& edit) {
  const fs::path work = scratch / "work";
  const fs::path finished = scratch / "finished";
  Copy(start, finished);
  const testing::ProcessResult whole = RunProgram(Command(edit, edit.arguments, finished));
  INFO(whole.output);
  REQUIRE(whole.exit_code == 0);
  REQUIRE_FALSE(SameModel(start / "m.onnx", finished / "m.onnx"));
  const size_t files = Files(finished, true).size();
  int killed = 0;
  int old_ones = 0;
  int new_ones = 0;
  for (int at = 1;; ++at) {
    INFO("killed at call " << at);
    REQUIRE(at < 2000);
    Copy(start, work);
    // A preloaded library comes before AddressSanitizer's, which would mind.
    const testing::ProcessResult result =
        RunProgram(Command(edit, edit.arguments, work), {},
                   {"LD_PRELOAD=" GOMAI_KILL_AT_LIBRARY, "GOMAI_KILL_AT=" + std::to_string(at),
                    "ASAN_OPTIONS=verify_asan_link_order=0"});
    if (result.signal == 0) {
      INFO(result.output);
      REQUIRE(result.exit_code == 0);
      CHECK(SameModel(work / "m.onnx", finished / "m.onnx"));
      break;
    }
    REQUIRE(result.signal == SIGKILL);
    ++killed;
    Files(work, false);
    const bool is_old = SameModel(work / "m.onnx", start / "m.onnx");
    const bool is_new = SameModel(work / "m.onnx", finished / "m.onnx");
    REQUIRE(is_old != is_new);
    old_ones += is_old ? 1 : 0;
    new_ones += is_new ? 1 : 0;
    // What was left over is in nobody's way, and doesn't pile up.
    const testing::ProcessResult again = RunProgram(Command(edit, is_old ? edit.arguments : edit.again, work));
    INFO(again.output);
    REQUIRE(again.exit_code == 0);
    REQUIRE(SameModel(work / "m.onnx", finished / "m.onnx"));
    REQUIRE(Files(work, true).size() == files);
  }
  CHECK(killed > 5);
  CHECK(old_ones > 0);
  CHECK(new_ones > 0);  // killed while memory is unmapped or descriptors are closed, if not while a file is removed
}

// A model with external weights that fill-weights replaces, and others that it leaves alone.
void WriteModel(const fs::path& folder, Weights weights) {
  fs::create_directory(folder);
  testing::WriteFile(folder / "given.bin", std::string(400000, 'g'));
  onnx::ModelProto proto = testing::ParseGraph("g (float[25000] x) => (float[25000] v4) { }");
  for (int i = 0; i < 4; ++i) {
    onnx::TensorProto& tensor = *proto.mutable_graph()->add_initializer();
    tensor.set_name(fmt::format("w{}", i));
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(25000);
    if (i < 2) {
      tensor.set_doc_string("seeded-uniform mean=0 std=1");
    }
    SetExternal(tensor, "given.bin", static_cast<uint64_t>(i) * 100000, 100000);
    onnx::NodeProto& node = *proto.mutable_graph()->add_node();
    node.set_op_type("Add");
    node.add_input(i == 0 ? "x" : fmt::format("v{}", i));
    node.add_input(tensor.name());
    node.add_output(fmt::format("v{}", i + 1));
  }
  SaveOptions options;
  options.weights = weights;
  REQUIRE(Save(Model::FromProto(proto, folder), folder / "m.onnx", options).ok());
}

// Old and new differ in structure and in data.
Edit Opt(const std::string& pipeline, const std::string& weights) {
  return {"gomai-opt", {"-p", pipeline, "--weights=" + weights}, {"-p", "sort", "--weights=" + weights}};
}
constexpr char kEdit[] = "rename{x=input,v2=middle},fill-weights";

TEST_CASE("killed while it replaces a model with inline weights") {
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "start");
  fs::copy_file(testing::TinyModel(), folder.path() / "start" / "m.onnx");
  KillEverywhere(folder / "start", folder.path(), Opt("rename{image=input}", "keep"));
}

TEST_CASE("killed while it replaces a model and its data file") {
  const testing::TemporaryFolder folder;
  WriteModel(folder / "start", Weights::kExternal);
  REQUIRE(fs::exists(folder.path() / "start" / "m.onnx.data"));
  KillEverywhere(folder / "start", folder.path(), Opt(kEdit, "external"));
  CHECK(fs::exists(folder.path() / "finished" / "m.onnx.1.data"));
  CHECK_FALSE(fs::exists(folder.path() / "finished" / "m.onnx.data"));
}

TEST_CASE("killed while weights move into the model, to another file, or stay where they are") {
  const testing::TemporaryFolder folder;
  WriteModel(folder / "start", Weights::kExternal);
  for (const char* weights : {"inline", "shared", "keep"}) {
    INFO(weights);
    KillEverywhere(folder / "start", folder.path(), Opt(kEdit, weights));
  }
}

TEST_CASE("killed while weights move out of the model") {
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "start");
  fs::copy_file(testing::TinyModel(), folder.path() / "start" / "m.onnx");
  KillEverywhere(folder / "start", folder.path(), Opt("rename{image=input}", "external"));
}

TEST_CASE("killed while a model is replaced by a part of it") {
  const testing::TemporaryFolder folder;
  WriteModel(folder / "start", Weights::kExternal);
  for (const std::string weights : {"external", "inline", "keep"}) {
    INFO(weights);
    const std::vector<std::string> arguments = {"--outputs", "v2", "--weights=" + weights};
    KillEverywhere(folder / "start", folder.path(), {"gomai-extract", arguments, arguments});
  }
}

}  // namespace
}  // namespace gomai
