// Every program over hostile files, each in a process with little memory and time: it ends by itself, with an exit code
// of its own and a word about why.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/hostile.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/wire_check.h"

namespace gomai::testing {
namespace {

namespace fs = std::filesystem;

constexpr ProcessLimits kLimits = {.address_space = uint64_t{3} << 30, .seconds = 60};

// `may_succeed`: exit 0 is right, too. `runs`: a runtime gets the model, whose memory is its own; that it ends under
// the limit is all that can be asked.
void Check(const std::vector<std::string>& command, bool may_succeed, bool runs = false) {
  const ProcessResult result = RunProgram(command, kLimits);
  INFO(command[0] << " " << command[1] << ": exit " << result.exit_code << ", signal " << result.signal << ", "
                  << result.seconds << " s, " << (result.peak_memory >> 20) << " MiB\n"
                  << result.output.substr(0, 1000));
  CHECK(result.signal == 0);
  CHECK_FALSE(result.timed_out);
  CHECK(((result.exit_code == 0 && may_succeed) || result.exit_code == 1 || result.exit_code == 2));
  CHECK_FALSE(result.output.empty());
  if (!runs) {
    CHECK(result.output.find("bad_alloc") == std::string::npos);
  }
  if (!runs && !UnderAddressSanitizer()) {
    CHECK(result.peak_memory < uint64_t{1} << 30);
  }
}

std::string Tool(const std::string& name) { return Program("gomai-" + name).string(); }

TEST_CASE("programs that read, over hostile models") {
  const TemporaryFolder folder;
  WriteHostileData(folder.path());
  const std::string good = folder / "good.onnx";
  const std::string file = folder / "m.onnx";
  WriteFile(good, SoundModel());
  for (const HostileModel& model : HostileModels()) {
    INFO(model.name);
    fs::remove(file);  // replacing a file makes some file systems write it out at once
    WriteFile(file, model.bytes);
    Check({Tool("info"), file}, model.sound);
    Check({Tool("info"), file, "--dynamic"}, model.sound);
    Check({Tool("diff"), file, good}, false);
    // Some of these really compute tensors of 16 GB, and AddressSanitizer leaves no way to limit a process's memory.
    // What runs then is ONNX Runtime's code, which isn't instrumented; the plain build covers it.
    if (UnderAddressSanitizer() && model.name.starts_with("op_")) {
      continue;
    }
    Check({Tool("run"), file, "--random"}, model.sound, model.sound);
    Check({Tool("verify"), file, file, "--random"}, model.sound, model.sound);
  }
}

TEST_CASE("programs that write, over hostile models") {
  const TemporaryFolder folder;
  WriteHostileData(folder.path());
  const std::string good = folder / "good.onnx";
  const std::string file = folder / "m.onnx";
  const std::string out = folder / "out.onnx";
  WriteFile(good, SoundModel());
  for (const HostileModel& model : HostileModels()) {
    INFO(model.name);
    const auto check = [&](const std::vector<std::string>& command) {
      Check(command, model.sound);
      CHECK((model.sound || !fs::exists(out)));
      fs::remove(out);
    };
    fs::remove(file);
    WriteFile(file, model.bytes);
    check({Tool("opt"), file, "-o", out, "-p", "prune,sort,fold-identity,fold-constants"});
    check({Tool("opt"), file, "-o", out, "-p",
           "inline-functions,decompose-layernorm{unfit=keep},hardsigmoid-mul-to-hardswish{unfit=keep}"});
    check({Tool("opt"), file, "-o", out, "-p",
           "explicit-attributes{all=true,unfit=keep},split-to-slice{unfit=keep},slice-negative-steps{unfit=keep},"
           "expand-to-tile{unfit=keep},large-kernel-pool-split{unfit=keep},resize-to-supported{unfit=keep},"
           "convtranspose-to-depthtospace{unfit=keep},matmul-to-gemm{unfit=keep},gemm-to-conv{unfit=keep},"
           "fold-batchnorm{unfit=keep},pad-into-conv{unfit=keep},clip-to-relu{unfit=keep}"});
    check({Tool("edit"), file, "-o", out, "--node", "#0", "--attr", "axis=1", "--force"});
    check({Tool("edit"), file, "-o", out, "--batch", "N", "--ir-version", "4", "--rename", "x=image"});
    check({Tool("merge"), file, good, "-o", out});
    check({Tool("extract"), file, "-o", out, "--outputs", "y"});
    check({Tool("split"), file, "-o", folder / "parts", "--by-size", "1K"});
    CHECK((model.sound || !fs::exists(folder.path() / "parts" / "manifest.json")));
    fs::remove_all(folder / "parts");
  }
}

TEST_CASE("programs over hostile manifests") {
  const TemporaryFolder folder;
  WriteHostileData(folder.path());
  WriteFile(folder / "a.onnx", SoundModel());
  const std::string file = folder / "manifest.json";
  for (const HostileManifest& manifest : HostileManifests()) {
    INFO(manifest.name);
    fs::remove(file);
    WriteFile(file, manifest.text);
    Check({Tool("merge"), file, "-o", folder / "out.onnx"}, false);
    Check({Tool("run"), file, "--random"}, false);
    Check({Tool("verify"), folder / "a.onnx", file, "--random"}, false);
    CHECK_FALSE(fs::exists(folder / "out.onnx"));
  }
}

}  // namespace
}  // namespace gomai::testing
