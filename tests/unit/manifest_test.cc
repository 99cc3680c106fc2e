// Manifests: what is printed reads back as it was, and what a chain couldn't trust is refused with its place.
#include "lib/split/manifest.h"

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "tests/support/paths.h"

namespace gomai {
namespace {

Manifest Example() {
  Manifest manifest;
  manifest.source_file = "../model \"x\".onnx";
  manifest.source_digest = "sha256:00";
  const std::vector<Dim> image = {{3, ""}, {std::nullopt, "height"}, {std::nullopt, ""}};
  manifest.inputs = {{"image", "float32", image, "", {}, false}};
  manifest.outputs = {"boxes", "labels"};
  ManifestPart first;
  first.name = "first";
  first.file = "first.onnx";
  first.digest = "sha256:11";
  first.file_digest = "sha256:22";
  first.device = "npu";
  first.inputs = {{"image", "float32", image, "input", {}, false}};
  first.outputs = {{"/a/x", "float16", std::nullopt, "", {"rest"}, false},
                   {"labels", "int64", std::vector<Dim>{}, "", {}, true}};
  ManifestPart rest;
  rest.name = "rest";
  rest.file = "rest.onnx";
  rest.digest = "sha256:33";
  rest.device = "cpu";
  rest.inputs = {{"/a/x", "float16", std::nullopt, "first", {}, false}};
  rest.outputs = {{"boxes", "float32", std::nullopt, "", {}, true}};
  manifest.parts = {first, rest};
  manifest.aliases = {{"x", "/a/x"}};
  manifest.node_order = {{"first", 3}, {"rest", 1}, {"", 1}, {"rest", 1}};
  manifest.initializer_order = {{"rest", 2}};
  manifest.parts[0].outputs[0].declared = std::vector<Dim>{{2, ""}, {std::nullopt, "n"}};
  return manifest;
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a printed manifest reads back, and prints as it was") {
  const std::string text = PrintManifest(Example());
  const absl::StatusOr<Manifest> back = ParseManifest(text, "m.json");
  INFO(back.status().ToString());
  REQUIRE(back.ok());
  CHECK(PrintManifest(*back) == text);
  CHECK(back->node_order == Example().node_order);
  CHECK(back->parts[0].inputs[0].shape == Example().parts[0].inputs[0].shape);
  CHECK_FALSE(back->parts[0].outputs[0].shape.has_value());
  CHECK(back->parts[0].outputs[1].model_output);
  CHECK(back->parts[0].outputs[0].declared == Example().parts[0].outputs[0].declared);
  CHECK_FALSE(back->parts[0].outputs[1].declared.has_value());
  CHECK(text == R"({
  "gomai_manifest": 1,
  "source": {"file": "../model \"x\".onnx", "digest": "sha256:00"},
  "inputs": [
    {"name": "image", "dtype": "float32", "shape": [3, "height", null]}
  ],
  "outputs": ["boxes", "labels"],
  "parts": [
    {
      "name": "first",
      "file": "first.onnx",
      "digest": "sha256:11",
      "file_digest": "sha256:22",
      "device": "npu",
      "inputs": [
        {"name": "image", "dtype": "float32", "shape": [3, "height", null], "from": "input"}
      ],
      "outputs": [
        {"name": "/a/x", "dtype": "float16", "shape": null, "to": ["rest"], "model_output": false, "declared": [2, "n"]},
        {"name": "labels", "dtype": "int64", "shape": [], "to": [], "model_output": true}
      ]
    },
    {
      "name": "rest",
      "file": "rest.onnx",
      "digest": "sha256:33",
      "device": "cpu",
      "inputs": [
        {"name": "/a/x", "dtype": "float16", "shape": null, "from": "first"}
      ],
      "outputs": [
        {"name": "boxes", "dtype": "float32", "shape": null, "to": [], "model_output": true}
      ]
    }
  ],
  "aliases": {
    "x": "/a/x"
  },
  "aliased": false,
  "node_order": [
    ["first", 3], ["rest", 1], ["", 1], ["rest", 1]
  ],
  "initializer_order": [
    ["rest", 2]
  ]
}
)");
}

TEST_CASE("keys that aren't known are ignored") {
  const std::string text =
      Replace(PrintManifest(Example()), "\"device\": \"npu\",", "\"device\": \"npu\", \"colour\": {\"k\": 8},");
  CHECK(ParseManifest(text, "m.json").ok());
}

TEST_CASE("what a chain couldn't trust is refused") {
  const std::string good = PrintManifest(Example());
  const auto error = [&](const std::string& from, const std::string& to) {
    const absl::StatusOr<Manifest> manifest = ParseManifest(Replace(good, from, to), "m.json");
    CAPTURE(from, to);
    CHECK(manifest.status().code() == absl::StatusCode::kInvalidArgument);
    return std::string(Message(manifest.status()));
  };
  const std::string mend = "; split the model again, or mend the manifest by hand";
  CHECK(error("\"gomai_manifest\": 1", "\"gomai_manifest\": 2") ==
        "'m.json' is a manifest of version 2, and this gomai knows version 1; use a newer gomai");
  CHECK(error("\"gomai_manifest\": 1", "\"other\": 1") ==
        "'m.json' is no manifest: it has no \"gomai_manifest\"; give the manifest.json of a split");
  CHECK(error("\"file\": \"first.onnx\"", "\"file\": \"../first.onnx\"") ==
        "'m.json': parts[0].file '../first.onnx' leads out of the manifest's folder" + mend);
  CHECK(error("\"file\": \"first.onnx\"", "\"file\": \"/etc/passwd\"") ==
        "'m.json': parts[0].file '/etc/passwd' leads out of the manifest's folder" + mend);
  CHECK(error("\"file\": \"first.onnx\"", "\"file\": \"rest.onnx\"") ==
        "'m.json': parts name the file 'rest.onnx' twice" + mend);
  CHECK(error("\"name\": \"rest\"", "\"name\": \"first\"") == "'m.json': parts name 'first' twice" + mend);
  CHECK(error("\"name\": \"rest\"", "\"name\": \"..\"") ==
        "'m.json': parts[1].name '..' can't be a part's name" + mend);
  CHECK(error("\"from\": \"first\"", "\"from\": \"rest\"") ==
        "'m.json': part 'rest' reads '/a/x' from 'rest', which is no earlier part" + mend);
  CHECK(error("\"from\": \"first\"", "\"from\": \"input\"") ==
        "'m.json': part 'rest' reads '/a/x' from 'input', which doesn't give it" + mend);
  CHECK(error("{\"name\": \"labels\"", "{\"name\": \"/a/x\"") ==
        "'m.json': parts[0].outputs[1] names '/a/x' a second time" + mend);
  CHECK(error("[\"boxes\", \"labels\"]", "[\"boxes\", \"masks\"]") ==
        "'m.json': outputs name 'masks', which no part gives" + mend);
  CHECK(error("\"shape\": [3, ", "\"shape\": [-3, ") ==
        "'m.json': inputs[0].shape must hold whole numbers >= 0, symbols and null only" + mend);
  CHECK(error("\"model_output\": false", "\"model_output\": 0") ==
        "'m.json': parts[0].outputs[0].model_output must be a boolean" + mend);
  CHECK(error("[\"first\", 3]", "[\"first\", -1]") == "'m.json': node_order must hold runs [\"part\", count]" + mend);
  CHECK(error("      \"digest\": \"sha256:11\",\n", "") == "'m.json': parts[0].digest is missing" + mend);
  CHECK(error("{\n", "{{\n") == "'m.json' is not JSON; it is cut short or damaged");
  CHECK_FALSE(ParseManifest("[1]", "m.json").ok());
  CHECK_FALSE(ParseManifest(std::string(100000, '['), "m.json").ok());
}

TEST_CASE("the rows of a part read back, and wrong ones are refused with their place") {
  Manifest manifest = Example();
  manifest.parts[1].batching = ManifestBatching{.size = 7, .inputs = {"/a/x"}, .outputs = {"boxes"}};
  const std::string good = PrintManifest(manifest);
  const absl::StatusOr<Manifest> back = ParseManifest(good, "m.json");
  INFO(back.status().ToString());
  REQUIRE(back.ok());
  CHECK(PrintManifest(*back) == good);
  CHECK_FALSE(back->parts[0].batching.has_value());
  REQUIRE(back->parts[1].batching.has_value());
  CHECK(back->parts[1].batching->size == 7);
  CHECK(back->parts[1].batching->inputs == std::vector<std::string>{"/a/x"});
  CHECK(back->parts[1].batching->outputs == std::vector<std::string>{"boxes"});

  const size_t start = good.find("\"batching\": ");
  REQUIRE(start != std::string::npos);
  const size_t length = good.find('\n', start) - start;
  const auto refused = [&](const std::string& batching) {
    std::string text = good;
    text.replace(start, length, "\"batching\": " + batching);
    const absl::StatusOr<Manifest> read = ParseManifest(text, "m.json");
    INFO(batching << ": " << read.status().ToString());
    CHECK(read.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(Message(read.status())).find("'m.json': parts[1].batching") == 0);
  };
  const std::string lists = R"(, "inputs": ["/a/x"], "outputs": ["boxes"]})";
  for (const char* size : {"0", "-1", "1000000000000000000", "1e18", "18446744073709551615", "1.5", "\"7\"", "null"}) {
    refused(R"({"axis": 0, "size": )" + std::string(size) + lists);
  }
  for (const char* axis : {"1", "-1", "\"0\"", "null"}) {
    refused(R"({"axis": )" + std::string(axis) + R"(, "size": 7)" + lists);
  }
  refused(R"({"axis": 0)" + lists);
  refused(R"({"axis": 0, "size": 7, "inputs": ["none"], "outputs": ["boxes"]})");
  refused(R"({"axis": 0, "size": 7, "inputs": ["/a/x"], "outputs": ["none"]})");
  refused(R"({"axis": 0, "size": 7, "inputs": [], "outputs": ["boxes"]})");
  refused(R"({"axis": 0, "size": 7, "inputs": ["/a/x"], "outputs": []})");
  refused(R"({"axis": 0, "size": 7, "inputs": ["/a/x"]})");
  refused(R"({"axis": 0, "size": 7, "inputs": ["/a/x", "/a/x"], "outputs": ["boxes"]})");
  refused(R"({"axis": 0, "size": 7, "inputs": [1], "outputs": ["boxes"]})");
  for (const char* other : {"7", "[]", "\"limit\"", "null", "{}"}) {
    refused(other);
  }
}

TEST_CASE("a list that is named twice doesn't stand for another") {
  Manifest manifest = Example();
  manifest.parts[1].inputs.push_back({"labels", "int64", std::vector<Dim>{{std::nullopt, ""}}, "first", {}, false});
  manifest.parts[1].outputs.push_back({"scores", "float32", std::nullopt, "", {}, false});
  const auto status = [&](std::vector<std::string> inputs, std::vector<std::string> outputs) {
    manifest.parts[1].batching =
        ManifestBatching{.size = 7, .inputs = std::move(inputs), .outputs = std::move(outputs)};
    return ParseManifest(PrintManifest(manifest), "m.json").status();
  };
  CHECK(status({"/a/x", "labels"}, {"scores", "boxes"}).ok());
  CHECK(Message(status({"/a/x"}, {"boxes", "boxes"})) ==
        "'m.json': parts[1].batching names 'boxes' a second time; split the model again, or mend the manifest by hand");
  CHECK(Message(status({"/a/x", "/a/x"}, {"boxes", "scores"})) ==
        "'m.json': parts[1].batching names '/a/x' a second time; split the model again, or mend the manifest by hand");
}

TEST_CASE("a manifest is known by its content") {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "a") << PrintManifest(Example());
  std::ofstream(folder / "b") << "{\"parts\": []}";
  CHECK(LooksLikeManifest(folder / "a"));
  CHECK_FALSE(LooksLikeManifest(folder / "b"));
  CHECK_FALSE(LooksLikeManifest(testing::TinyModel()));
  CHECK_FALSE(LooksLikeManifest(folder / "none"));
  CHECK_FALSE(LooksLikeManifest(folder.path()));
}

}  // namespace
}  // namespace gomai
