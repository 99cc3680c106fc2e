// What the tools say of themselves: --help of every tool is a golden text (tests/golden/help/), and two pages of the
// documentation are generated (docs/passes.md, docs/tools.md). Tools are found by looking at what was built.
// GOMAI_UPDATE_GOLDEN=1 rewrites all of them.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;
using testing::SourceDir;

constexpr char kRegenerate[] = "GOMAI_UPDATE_GOLDEN=1 ctest --preset release -L golden";
constexpr size_t kWidth = 100;

bool Updating() {
  const char* update = std::getenv("GOMAI_UPDATE_GOLDEN");
  return update != nullptr && std::string_view(update) == "1";
}

std::string Read(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

fs::path Programs() { return fs::path(GOMAI_BINARY_DIR) / "bin"; }

// Names of the tools, from their sources; each must have been built.
std::vector<std::string> Tools() {
  std::vector<std::string> tools;
  for (const auto& entry : fs::directory_iterator(SourceDir() / "tools")) {
    if (entry.path().extension() == ".cc") {
      std::string tool = entry.path().stem().string();
      std::replace(tool.begin(), tool.end(), '_', '-');
      tools.push_back(tool);
    }
  }
  std::sort(tools.begin(), tools.end());
  return tools;
}

// What a program says on stdout; it must succeed.
std::string Output(const std::string& tool, const std::string& arguments) {
  const fs::path program = Programs() / tool;
  INFO("build all tools first; missing: " << program);
  REQUIRE(fs::exists(program));
  std::FILE* pipe = ::popen(fmt::format("'{}' {}", program.string(), arguments).c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char buffer[4096];
  for (size_t count = 0; (count = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    text.append(buffer, count);
  }
  REQUIRE(::pclose(pipe) == 0);
  return text;
}

// The file must hold this text; or it is made to.
void Expect(const fs::path& file, const std::string& text) {
  if (Updating()) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return;
  }
  INFO(file.string() << " is stale; look at what changed, then regenerate it with: " << kRegenerate);
  CHECK(Read(file) == text);
}

TEST_CASE("every tool's help is as it was agreed") {
  REQUIRE(!Tools().empty());
  for (const std::string& tool : Tools()) {
    Expect(SourceDir() / "tests/golden/help" / (tool + ".txt"), Output(tool, "--help"));
  }
}

TEST_CASE("help fits in 100 columns, begins with what the tool does, and ends with examples") {
  for (const std::string& tool : Tools()) {
    const std::string help = Output(tool, "--help");
    CAPTURE(tool);
    CHECK(help.find("Usage: " + tool) != std::string::npos);
    CHECK(help.find("Examples:\n  " + tool) != std::string::npos);
    CHECK(help.find("--json") != std::string::npos);
    for (const std::string& line : SplitList(help, '\n')) {
      CAPTURE(line);
      CHECK(line.size() <= kWidth);
    }
  }
}

TEST_CASE("no golden help is left of a tool that is gone") {
  const std::vector<std::string> tools = Tools();
  for (const auto& entry : fs::directory_iterator(SourceDir() / "tests/golden/help")) {
    CAPTURE(entry.path());
    CHECK(std::find(tools.begin(), tools.end(), entry.path().stem().string()) != tools.end());
  }
}

TEST_CASE("docs/passes.md says what the passes declare") {
  Expect(SourceDir() / "docs/passes.md", Output("gomai-opt", "--print-docs"));
}

TEST_CASE("docs/tools.md says what the tools' help says") {
  std::string text = fmt::format(
      "# Tools\n\nGenerated from each tool's `--help` by `{}`; edit the tool, not this page.\n\n"
      "Every tool exits with 0 when it did what it was asked (or found two things equal, or a model supported), with 1 "
      "for a negative verdict, with 2 for trouble: wrong arguments, an unreadable file, an unknown name. Nothing is "
      "written then. Errors and warnings go to stderr; `--json` makes stdout one JSON document, which after an error "
      "holds `error`, `exit_code` and `diagnostics`.\n",
      kRegenerate);
  for (const std::string& tool : Tools()) {
    text += fmt::format("\n## {}\n\n```text\n{}```\n", tool, Output(tool, "--help"));
  }
  Expect(SourceDir() / "docs/tools.md", text);
}

TEST_CASE("every pass has help with an example that parses, on 100 columns") {
  const std::string list = Output("gomai-opt", "--list-passes");
  size_t passes = 0;
  for (const auto& entry : fs::directory_iterator(SourceDir() / "passes")) {
    if (entry.path().extension() != ".cc") {
      continue;
    }
    std::string pass = entry.path().stem().string();
    std::replace(pass.begin(), pass.end(), '_', '-');
    CAPTURE(pass);
    CHECK(list.find(pass + " ") != std::string::npos);
    const std::string help = Output("gomai-opt", "--help-pass " + pass);
    CHECK(help.find("Examples:\n") != std::string::npos);
    for (const std::string& line : SplitList(help, '\n')) {
      CAPTURE(line);
      CHECK((line.size() <= kWidth || line.starts_with("  gomai-opt ")));
    }
    ++passes;
  }
  CHECK(passes >= 6);
}

}  // namespace
}  // namespace gomai
