// Target files: what they may say, what they are refused for, what a part makes of them.
#include "lib/runtime/target.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::TemporaryFolder;

std::string Error(std::string_view json) {
  const absl::StatusOr<Target> target = ParseTarget(json, "t.json", "/folder");
  REQUIRE_FALSE(target.ok());
  CHECK(absl::IsInvalidArgument(target.status()));
  return std::string(Message(target.status()));
}

bool Says(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("a target file holds what the flags do") {
  const absl::StatusOr<Target> target = ParseTarget(R"({
      "gomai_target": 1, "description": "words", "ep": "X", "ep_library": "libx.so", "ep_device": 2,
      "ort_library": "/opt/ort.so", "ep_options": {"runners": 4, "fast": true, "text": "a=b"},
      "session_options": {"ep.context_enable": "1"}, "optimization": "basic", "threads": 3, "allow_fallback": true,
      "isolation": false, "open_limit": 9.5, "time_limit": 0, "memory_limit": "2G", "context": "contexts"})",
                                                    "t.json", "/folder");
  REQUIRE(target.ok());
  CHECK(target->session.ep == "X");
  CHECK(target->session.ep_device == "2");
  CHECK(target->session.ep_options ==
        std::vector<std::pair<std::string, std::string>>{{"fast", "1"}, {"runners", "4"}, {"text", "a=b"}});
  CHECK(target->session.session_options.size() == 1);
  CHECK(target->session.optimization == Optimization::kBasic);
  CHECK(target->session.threads == 3);
  CHECK(target->allow_fallback);
  CHECK_FALSE(target->isolate);
  CHECK(target->limits.open_seconds == 9.5);
  CHECK(target->limits.run_seconds == 0);
  CHECK(target->limits.memory == uint64_t{2} << 30);
}

TEST_CASE("what isn't said is safe: isolated, no fallback, limits") {
  const absl::StatusOr<Target> target = ParseTarget(R"({"gomai_target": 1, "ep": "X"})", "t.json", "");
  REQUIRE(target.ok());
  CHECK(target->isolate);
  CHECK_FALSE(target->allow_fallback);
  CHECK(target->limits.open_seconds > 0);
  CHECK(target->limits.run_seconds > 0);
  CHECK(target->session.optimization == Optimization::kAll);
}

TEST_CASE("a target file that makes no sense is refused, and says where") {
  CHECK(Says(Error("{"), "t.json is no JSON"));
  CHECK(Says(Error("[]"), "a target is a JSON object"));
  CHECK(Says(Error(R"({"ep": "X"})"), "needs \"gomai_target\": 1"));
  CHECK(Says(Error(R"({"gomai_target": 1})"), "\"ep\""));
  CHECK(Says(Error(R"({"gomai_target": 2, "ep": "X"})"), "isn't known"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "ep_option": {}})"), "did you mean 'ep_options'"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": 3})"), "'ep' must be a string"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "ep_options": {"a": {}}})"), "write a nested value as text"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "threads": -1})"), "'threads' must be"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "time_limit": -1})"), "'time_limit' must be"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "memory_limit": "much"})"), "'memory_limit' must be"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "optimization": "more"})"), "t.json"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "device": "npu"})"), "no key 'device'"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "parts": {"box": {"device": "gpu"}}})"), "part 'box'"));
  CHECK(Says(Error(R"({"gomai_target": 1, "ep": "X", "parts": {"box": {"context": "x"}}})"), "no key 'context'"));
}

TEST_CASE("a part has its own options over the common ones, and names filled in") {
  ::setenv("GOMAI_TARGET_TEST", "/opt/vendor", 1);
  const absl::StatusOr<Target> target = ParseTarget(R"({
      "gomai_target": 1, "ep": "X", "ep_library": "${GOMAI_TARGET_TEST}/libx.so",
      "ep_options": {"cache_key": "${part}-${part}", "cache_dir": "${folder}/cache", "target": "X1"},
      "parts": {"mask": {"ep_options": {"target": "X2"}, "threads": 2}, "box": {"device": "cpu"}}})",
                                                    "t.json", "/folder");
  REQUIRE(target.ok());
  const absl::StatusOr<Target> mask = target->For("mask");
  REQUIRE(mask.ok());
  CHECK(mask->session.ep_library == "/opt/vendor/libx.so");
  CHECK(mask->session.threads == 2);
  CHECK(mask->session.ep_options == std::vector<std::pair<std::string, std::string>>{
                                        {"cache_dir", "/folder/cache"}, {"cache_key", "mask-mask"}, {"target", "X2"}});
  const absl::StatusOr<Target> other = target->For("other");
  REQUIRE(other.ok());
  CHECK(other->session.ep_options.back().second == "X1");
  const absl::StatusOr<Target> whole = target->For("");
  REQUIRE(whole.ok());
  CHECK(whole->session.ep_options[1].second == "model-model");
  CHECK(target->parts.at("box").device == "cpu");
  ::unsetenv("GOMAI_TARGET_TEST");
  CHECK(Says(std::string(Message(target->For("mask").status())), "no variable GOMAI_TARGET_TEST"));
}

TEST_CASE("relative paths are from the target file, but for a library that only the loader knows") {
  const TemporaryFolder folder;
  const absl::StatusOr<Target> target = ParseTarget(
      R"({"gomai_target": 1, "ep": "X", "ep_library": "lib/libx.so", "ort_library": "libonnxruntime.so.1"})", "t.json",
      folder.path());
  REQUIRE(target.ok());
  const absl::StatusOr<Target> own = target->For("p");
  REQUIRE(own.ok());
  CHECK(own->session.ep_library == folder.path() / "lib/libx.so");
  CHECK(own->ort_library == "libonnxruntime.so.1");
}

TEST_CASE("options that are set twice hold the last value") {
  std::vector<std::pair<std::string, std::string>> options = {{"a", "1"}, {"b", "2"}};
  SetOption(&options, "a", "3");
  SetOption(&options, "c", "4");
  CHECK(options == std::vector<std::pair<std::string, std::string>>{{"a", "3"}, {"b", "2"}, {"c", "4"}});
}

}  // namespace
}  // namespace gomai
