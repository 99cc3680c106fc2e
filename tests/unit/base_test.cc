// Files and text helpers.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>

#include "lib/base/digest.h"
#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/base/text.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;
using testing::ReadFile;
using testing::TemporaryFolder;
using testing::WriteFile;

TEST_CASE("statuses keep their code when context is added") {
  const absl::Status status = NotFound("no '{}' here", "x");
  CHECK(absl::IsNotFound(status));
  CHECK(Message(Annotate(status, "m.onnx")) == "m.onnx: no 'x' here");
  CHECK(absl::IsNotFound(Annotate(status, "m.onnx")));
  CHECK(Annotate(absl::OkStatus(), "m.onnx").ok());
}

TEST_CASE("SHA-256 of known text") {
  Sha256 empty;
  CHECK(empty.Hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 abc;
  const std::string text = "abc";
  for (const char c : text) abc.Update({reinterpret_cast<const uint8_t*>(&c), 1});
  CHECK(abc.Hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("numbers are whole or nothing") {
  CHECK(ParseInt64("-42") == -42);
  CHECK(ParseInt64("9223372036854775807") == INT64_MAX);
  for (const char* bad : {"", " 1", "1 ", "1x", "+1", "9223372036854775808", "0x1", "1.0"}) {
    INFO(bad);
    CHECK(!ParseInt64(bad));
  }
  CHECK(ParseDouble("1e-3") == 1e-3);
  CHECK(ParseDouble("-inf") == -INFINITY);
  CHECK(std::isnan(ParseDouble("nan").value_or(0)));
  CHECK(!ParseDouble("1,5"));
  CHECK(!ParseDouble(""));
  CHECK(ParseSize("64K") == 65536);
  CHECK(ParseSize("2g") == uint64_t{2} << 30);
  CHECK(ParseSize("7") == 7);
  for (const char* bad : {"", "K", "-1", "1.5M", "1T", "99999999999G"}) {
    INFO(bad);
    CHECK(!ParseSize(bad));
  }
}

TEST_CASE("sizes as people read them") {
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(999) == "999 B");
  CHECK(FormatBytes(1000) == "1.0 KB");
  CHECK(FormatBytes(443844) == "444 KB");
  CHECK(FormatBytes(185650774) == "186 MB");
  CHECK(FormatBytes(999999) == "1.0 MB");
  CHECK(FormatBytes(uint64_t{1} << 62) == "4611686 TB");
}

TEST_CASE("lists and trimming") {
  CHECK(SplitList("", ',').empty());
  CHECK(SplitList("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
  CHECK(SplitList("a,", ',') == std::vector<std::string>{"a", ""});
  CHECK(Trim(" \ta b\n") == "a b");
  CHECK(Trim("  ").empty());
}

TEST_CASE("globs") {
  CHECK(GlobMatch("*", ""));
  CHECK(GlobMatch("/a/*/c", "/a/b/b/c"));
  CHECK(GlobMatch("?bc", "abc"));
  CHECK(GlobMatch("a*b*c", "aXbYbZc"));
  CHECK(!GlobMatch("a*b*c", "aXbYbZ"));
  CHECK(!GlobMatch("?", ""));
  CHECK(!GlobMatch("", "a"));
  CHECK(GlobMatch("[x]", "[x]"));
  CHECK(!GlobMatch(std::string(50, '*') + "b", std::string(10000, 'a')));  // quickly
}

TEST_CASE("nearest names") {
  const std::vector<std::string_view> names = {"/backbone/fpn/Conv_output_0", "/backbone/fpn/Relu_output_0", "image",
                                               "boxes", "labels"};
  CHECK(NearestNames("/backbone/fpn/Conv_output_1", names).at(0) == "/backbone/fpn/Conv_output_0");
  CHECK(NearestNames("imaeg", names) == std::vector<std::string>{"image"});
  CHECK(NearestNames("/backbone/fpn", names).size() == 2);
  CHECK(NearestNames("something else entirely", names).empty());
  CHECK(DidYouMean("box", names) == "; did you mean 'boxes'?");
  CHECK(DidYouMean("zzzzzz", names).empty());
}

TEST_CASE("mapped files") {
  const TemporaryFolder folder;
  WriteFile(folder / "f", "0123456789");
  const auto file = MappedFile::Open(folder / "f");
  REQUIRE(file.ok());
  CHECK((*file)->bytes().size() == 10);
  CHECK((*file)->bytes()[3] == '3');
  std::vector<uint8_t> part(4);
  REQUIRE((*file)->Read(6, part).ok());
  CHECK(std::string(part.begin(), part.end()) == "6789");
  CHECK(absl::IsDataLoss((*file)->Read(8, part)));
  WriteFile(folder / "empty", "");
  CHECK((*MappedFile::Open(folder / "empty"))->bytes().empty());
  CHECK(absl::IsNotFound(MappedFile::Open(folder / "absent").status()));
  CHECK(absl::IsInvalidArgument(MappedFile::Open(folder.path()).status()));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(absl::IsInvalidArgument(MappedFile::Open(folder / "pipe").status()));  // and doesn't wait for a writer
}

TEST_CASE("a pipe is spooled") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "piped", 5) == 5);
  ::close(ends[1]);
  const auto file = MappedFile::Spool(ends[0], "stdin");
  ::close(ends[0]);
  REQUIRE(file.ok());
  CHECK((*file)->path() == "stdin");
  CHECK(std::string((*file)->bytes().begin(), (*file)->bytes().end()) == "piped");
}

TEST_CASE("output files appear at Commit or not at all") {
  const TemporaryFolder folder;
  WriteFile(folder / "out", "old");
  WriteFile(folder / "in", "0123456789");
  const auto in = MappedFile::Open(folder / "in");
  {
    auto file = OutputFile::Create(folder / "out");
    REQUIRE(file.ok());
    REQUIRE(file->Write("new").ok());
    CHECK(fs::exists(file->temporary()));
    CHECK(ReadFile(folder / "out") == "old");
  }
  CHECK(ReadFile(folder / "out") == "old");
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 2);
  {
    auto file = OutputFile::Create(folder / "out");
    REQUIRE(file.ok());
    REQUIRE(file->Write("ab").ok());
    REQUIRE(file->PadTo(4).ok());
    REQUIRE(file->CopyFrom(**in, 2, 3).ok());
    REQUIRE(file->PadTo(1).ok());
    CHECK(file->size() == 7);
    OutputFile moved = *std::move(file);
    REQUIRE(moved.Commit().ok());
  }
  CHECK(ReadFile(folder / "out") == std::string("ab\0\0"
                                                "234",
                                                7));
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 2);
  CHECK(absl::IsNotFound(OutputFile::Create(folder / "absent" / "x").status()));
  CHECK(absl::IsInvalidArgument(OutputFile::Create(folder.path()).status()));
}

TEST_CASE("copies keep large holes, and every byte") {
  const testing::TemporaryFolder folder;
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  std::string bytes(24 * kMiB + 777, '\0');
  // Data with holes before, between and behind; the last but one too small to count.
  for (const uint64_t at : {3 * kMiB + 5, 9 * kMiB, 9 * kMiB + 300000, 12 * kMiB + 4095}) {
    bytes[at] = 'x';
  }
  {
    std::ofstream sparse(folder / "sparse", std::ios::binary);
    for (size_t at = bytes.find('x'); at != std::string::npos; at = bytes.find('x', at + 1)) {
      sparse.seekp(static_cast<std::streamoff>(at));
      sparse.put('x');
    }
  }
  std::filesystem::resize_file(folder / "sparse", bytes.size());
  const auto in = MappedFile::Open(folder / "sparse");
  REQUIRE(in.ok());
  for (const auto& [from, to] : std::vector<std::pair<uint64_t, uint64_t>>{{0, bytes.size()},
                                                                           {0, 2 * kMiB},
                                                                           {1, 20 * kMiB + 3},
                                                                           {9 * kMiB, 12 * kMiB},
                                                                           {13 * kMiB + 1, bytes.size()}}) {
    for (const std::string_view before : {"", "odd"}) {
      auto file = OutputFile::Create(folder / "out");
      REQUIRE(file.ok());
      REQUIRE(file->Write(before).ok());
      REQUIRE(file->CopyFrom(**in, from, to - from).ok());
      REQUIRE(file->Write("end").ok());
      CHECK(file->size() == before.size() + (to - from) + 3);
      REQUIRE(file->Commit().ok());
      const bool same =
          ReadFile(folder / "out") == std::string(before) + bytes.substr(from, to - from) + "end";  // not shown: large
      CHECK(same);
      struct stat sparse {};
      struct stat out {};
      REQUIRE(::stat((folder / "sparse").c_str(), &sparse) == 0);
      REQUIRE(::stat((folder / "out").c_str(), &out) == 0);
      // A file system without holes shows in the source.
      if (static_cast<uint64_t>(sparse.st_blocks) * 512 < 2 * kMiB) {
        CHECK(static_cast<uint64_t>(out.st_blocks) * 512 < 2 * kMiB);
      }
    }
  }
}

TEST_CASE("a leftover of a killed run, or a planted link of its name, is no obstacle") {
  const TemporaryFolder folder;
  WriteFile(folder / "victim", "victim");
  fs::create_symlink("victim", folder / ".out.gomai-part");
  REQUIRE(WriteTextFile(folder / "out", "text").ok());
  CHECK(ReadFile(folder / "victim") == "victim");
  CHECK(ReadFile(folder / "out") == "text");
  CHECK(!fs::exists(fs::symlink_status(folder / ".out.gomai-part")));
}

TEST_CASE("text files") {
  const TemporaryFolder folder;
  REQUIRE(WriteTextFile(folder / "t", "one\ntwo\n").ok());
  CHECK(*ReadTextFile(folder / "t") == "one\ntwo\n");
  CHECK(absl::IsInvalidArgument(ReadTextFile(folder / "t", 3).status()));
  CHECK(absl::IsNotFound(ReadTextFile(folder / "absent").status()));
  CHECK(!ReadTextFile(folder.path()).ok());
}

}  // namespace
}  // namespace gomai
