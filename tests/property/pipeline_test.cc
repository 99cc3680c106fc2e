// Pipeline text: what is printed parses back to the same, for any values; and what doesn't parse says where.
#include "lib/pass/pipeline.h"

#include <catch2/catch_test_macros.hpp>
#include <random>

namespace gomai {
namespace {

std::string RandomWord(std::mt19937& random) {
  constexpr std::string_view kCharacters = "abcxyz019-_/.:=,;{}[]\"\\ *?";
  std::string word;
  const size_t length = random() % 12 + 1;
  for (size_t i = 0; i < length; ++i) {
    word += kCharacters[random() % kCharacters.size()];
  }
  return word;
}

TEST_CASE("a printed pipeline parses back to itself") {
  std::mt19937 random(1);
  const absl::StatusOr<const PassInfo*> rename = FindPass("rename");
  REQUIRE(rename.ok());
  for (int round = 0; round < 5000; ++round) {
    Pipeline pipeline;
    const size_t passes = random() % 3 + 1;
    for (size_t i = 0; i < passes; ++i) {
      std::vector<std::pair<std::string, std::string>> given;
      const size_t pairs = random() % 3 + 1;
      for (size_t j = 0; j < pairs; ++j) {
        given.emplace_back("k" + RandomWord(random), RandomWord(random));
      }
      PassInstance instance;
      instance.info = *rename;
      absl::StatusOr<PassOptions> options = PassOptions::Make(**rename, given);
      REQUIRE(options.ok());
      instance.options = *options;
      pipeline.passes.push_back(instance);
    }
    const std::string text = pipeline.Text();
    CAPTURE(text);
    const absl::StatusOr<Pipeline> parsed = ParsePipeline(text);
    CAPTURE(parsed.status().ToString());
    REQUIRE(parsed.ok());
    REQUIRE(parsed->passes.size() == pipeline.passes.size());
    for (size_t i = 0; i < passes; ++i) {
      CHECK(parsed->passes[i].options.given() == pipeline.passes[i].options.given());
    }
    CHECK(parsed->Text() == text);
  }
}

std::string ParseError(std::string_view text) {
  const absl::StatusOr<Pipeline> pipeline = ParsePipeline(text);
  REQUIRE_FALSE(pipeline.ok());
  return std::string(Message(pipeline.status()));
}

TEST_CASE("what doesn't parse is shown with its place") {
  CHECK(ParseError("prun") ==
        "there is no pass 'prun'; did you mean 'prune'?; gomai-opt --list-passes shows them all\n  prun\n  ^");
  CHECK(ParseError("prune prune").find("expected ',' between passes at column 7") != std::string::npos);
  CHECK(ParseError("prune,").find("expected a pass after ','") != std::string::npos);
  CHECK(ParseError("prune{nodes=maybe}").find("must be true or false, not 'maybe'") != std::string::npos);
  CHECK(ParseError("prune{node}").find("has no option 'node'; did you mean 'nodes'?") != std::string::npos);
  CHECK(ParseError("prune{nodes,nodes}").find("given twice") != std::string::npos);
  CHECK(ParseError("prune{nodes").find("expected '}'") != std::string::npos);
  CHECK(ParseError("rename{a=\"b}").find("at the end of a quoted text") != std::string::npos);
  CHECK(ParseError("expose-outputs").find("needs the option 'tensors'") != std::string::npos);
}

TEST_CASE("blanks don't count, an empty pipeline is one, and a bare option means true") {
  CHECK(ParsePipeline("")->passes.empty());
  CHECK(ParsePipeline("  ")->passes.empty());
  CHECK(ParsePipeline(" prune { nodes = false , functions } , prune ")->Text() ==
        "prune{nodes=false,functions=true},prune");
  CHECK(ParsePipeline("expose-outputs{tensors=a;b}")->passes[0].options.List("tensors") ==
        std::vector<std::string>{"a", "b"});
}

}  // namespace
}  // namespace gomai
