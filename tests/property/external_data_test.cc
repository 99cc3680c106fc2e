// Weights in every place and every form of storage, through every pair of policies: the values stay what they are.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/compare/model_diff.h"
#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/model/value_digest.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;
using onnx::TensorProto;
using testing::Program;
using testing::RunProgram;
using testing::WriteFile;

// Bytes that differ everywhere and from seed to seed.
std::string Noise(size_t size, uint32_t seed) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    bytes += static_cast<char>(seed >> 24);
  }
  return bytes;
}

// 2,000 floats at `offset` of a data file.
void Place(TensorProto& tensor, const std::string& file, uint64_t offset) {
  tensor.set_data_type(TensorProto::FLOAT);
  tensor.clear_dims();
  tensor.add_dims(2000);
  tensor.clear_float_data();
  tensor.clear_raw_data();
  SetExternal(tensor, file, offset, 8000);
}

TensorProto* Value(onnx::NodeProto& node) {
  REQUIRE(node.op_type() == "Constant");
  return node.mutable_attribute(0)->mutable_t();
}

// Weights as initializers, in Constant nodes, in If and Loop bodies and in a function, from data files `a` and `b`;
// with offsets that no alignment explains, ranges that are shared or overlap, no length, no elements, and inline ones.
onnx::ModelProto Sample(const std::string& a, const std::string& b) {
  onnx::ModelProto proto = testing::ParseModel(R"(
    <ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    g (float[2000] x, bool c, int64 n) => (float[2000] y, float[0] w4)
    <float[1] w0 = {0}, float[1] w1 = {0}, float[1] w2 = {0}, float[1] w3 = {0}, float[1] w4 = {0}>
    {
      k = Constant <value = float[1] {0}> ()
      i = Constant <value = float[1] {0}> ()
      s0 = Sum (x, w0, w1, w2, w3, k, i)
      s1 = If (c) <then_branch = t () => (float[2000] t1) <float[1] tw = {0}> { t1 = Add (s0, tw) },
                   else_branch = e () => (float[2000] e1) { ek = Constant <value = float[1] {0}> () e1 = Add (s0, ek) }>
      s2 = Loop (n, c, s1) <body = l (int64 at, bool go, float[2000] l0) => (bool go1, float[2000] l1)
                                <float[1] lw = {0}> { go1 = Identity (go) l1 = Add (l0, lw) }>
      y = local.shift (s2)
    }
    <domain: "local", opset_import: ["" : 17]> shift (p) => (q)
    {
      f = Constant <value = float[1] {0}> ()
      q = Add (p, f)
    })");
  onnx::GraphProto& graph = *proto.mutable_graph();
  Place(*graph.mutable_initializer(0), a, 0);
  Place(*graph.mutable_initializer(1), b, 12344);
  Place(*graph.mutable_initializer(2), b, 12344);  // the same range
  Place(*graph.mutable_initializer(3), b, 12348);  // one that overlaps it
  graph.mutable_initializer(3)->mutable_external_data()->DeleteSubrange(2, 1);
  REQUIRE(graph.initializer(3).external_data_size() == 2);  // length: what the shape takes
  TensorProto& empty = *graph.mutable_initializer(4);
  Place(empty, a, 0);
  empty.set_dims(0, 0);
  SetExternal(empty, a, 0, 0);
  Place(*Value(*graph.mutable_node(0)), a, 8001);
  TensorProto& inline_weight = *Value(*graph.mutable_node(1));
  inline_weight.set_dims(0, 2000);
  inline_weight.clear_float_data();
  inline_weight.set_raw_data(Noise(8000, 7));
  for (onnx::AttributeProto& body : *graph.mutable_node(3)->mutable_attribute()) {
    onnx::GraphProto& branch = *body.mutable_g();
    Place(branch.initializer_size() > 0 ? *branch.mutable_initializer(0) : *Value(*branch.mutable_node(0)), b,
          body.name() == "then_branch" ? 1 : 40);
  }
  onnx::GraphProto& loop = *graph.mutable_node(4)->mutable_attribute(0)->mutable_g();
  Place(*loop.mutable_initializer(0), "deep/c.bin", 64);
  Place(*Value(*proto.mutable_functions(0)->mutable_node(0)), a, 20000);
  return proto;
}

void WriteData(const fs::path& folder) {
  fs::create_directories(folder / "deep");
  WriteFile(folder / "a.bin", Noise(28000, 1));
  WriteFile(folder / "b.bin", Noise(30000, 2));
  WriteFile(folder / "deep" / "c.bin", Noise(8064, 3));
}

Model LoadOk(const fs::path& path) {
  absl::StatusOr<Model> model = Model::Load(path);
  INFO(model.status().ToString());
  REQUIRE(model.ok());
  return *std::move(model);
}

// Of the values of all tensors, in the model's order.
std::vector<std::string> Digests(const Model& model) {
  ValueDigests values(model);
  std::vector<std::string> digests;
  ForEachTensor(model.proto(), [&](const TensorProto& tensor, TensorPlace) {
    const absl::StatusOr<std::string> digest = values.Whole(tensor);
    INFO(digest.status().ToString());
    REQUIRE(digest.ok());
    digests.push_back(*digest);
  });
  return digests;
}

int External(const Model& model) {
  int count = 0;
  ForEachTensor(model.proto(), [&](const TensorProto& tensor, TensorPlace) { count += IsExternal(tensor) ? 1 : 0; });
  return count;
}

const std::map<std::string, Weights> kPolicies = {{"keep", Weights::kKeep},
                                                  {"inline", Weights::kInline},
                                                  {"external", Weights::kExternal},
                                                  {"shared", Weights::kShared},
                                                  {"reference", Weights::kReference}};

TEST_CASE("every pair of weights policies, beside the model and elsewhere, keeps every value") {
  const testing::TemporaryFolder folder;
  const fs::path home = folder / "home";
  WriteData(home);
  WriteFile(home / "m.onnx", Sample("a.bin", "b.bin").SerializeAsString());
  const Model start = LoadOk(home / "m.onnx");
  const std::vector<std::string> values = Digests(start);
  REQUIRE(values.size() == 11);
  REQUIRE(External(start) == 10);
  int refused = 0;
  for (const auto& [first_name, first] : kPolicies) {
    for (const bool first_moves : {false, true}) {
      for (const auto& [second_name, second] : kPolicies) {
        for (const bool second_moves : {false, true}) {
          INFO(first_name << (first_moves ? " elsewhere, then " : ", then ") << second_name
                          << (second_moves ? " elsewhere" : ""));
          const fs::path there = first_moves ? folder / "there" : home;
          const fs::path end = second_moves ? folder / "end" : there;
          fs::create_directory(there);
          fs::create_directory(end);
          SaveOptions options;
          options.weights = first;
          const absl::StatusOr<SaveReport> one = Save(start, there / "one.onnx", options);
          // Nothing outside a model's folder can be its data; that is the only reason to refuse.
          REQUIRE(one.ok() == !(first == Weights::kReference && first_moves));
          if (one.ok()) {
            const Model between = LoadOk(there / "one.onnx");
            CHECK(Digests(between) == values);
            CHECK(External(between) == (first == Weights::kInline      ? 0
                                        : first == Weights::kKeep      ? 10
                                        : first == Weights::kReference ? 11
                                                                       : 10));
            options.weights = second;
            const absl::StatusOr<SaveReport> two = Save(between, end / "two.onnx", options);
            const bool refers_away = second == Weights::kReference && second_moves;
            INFO(two.status().ToString());
            REQUIRE(two.ok() == !refers_away);
            if (two.ok()) {
              const Model last = LoadOk(end / "two.onnx");
              CHECK(Digests(last) == values);
              const absl::StatusOr<ModelDiff> diff = DiffModels(start, last, {});
              REQUIRE(diff.ok());
              CHECK(diff->equal());
            }
            refused += two.ok() ? 0 : 1;
          } else {
            CHECK(Message(one.status()).find("-o") != std::string_view::npos);
          }
          fs::remove_all(folder / "end");
          fs::remove_all(folder / "there");
          fs::remove(home / "one.onnx");
          fs::remove(home / "one.onnx.data");
          fs::remove(home / "two.onnx");
          fs::remove(home / "two.onnx.data");
          fs::remove(home / "weights.data");
        }
      }
    }
  }
  CHECK(refused == 9);
  // The inputs are as they were.
  CHECK(Digests(LoadOk(home / "m.onnx")) == values);
}

TEST_CASE("a range that tensors share is written once") {
  const testing::TemporaryFolder folder;
  WriteData(folder.path());
  const Model model = Model::FromProto(Sample("a.bin", "b.bin"), folder.path());
  SaveOptions options;
  options.weights = Weights::kExternal;
  REQUIRE(Save(model, folder / "m.onnx", options).ok());
  // Ten tensors of 8,000 bytes (a multiple of 64), of which two are one; the empty one takes nothing.
  CHECK(fs::file_size(folder / "m.onnx.data") == 9 * 8000);
}

TEST_CASE("a data file that two models use outlives an edit of either") {
  const testing::TemporaryFolder folder;
  WriteData(folder.path());
  for (const char* name : {"first.onnx", "second.onnx"}) {
    WriteFile(folder / name, Sample("a.bin", "b.bin").SerializeAsString());
  }
  const std::vector<std::string> values = Digests(LoadOk(folder / "second.onnx"));
  for (const auto& [name, weights] : kPolicies) {
    if (weights == Weights::kReference) {
      continue;  // can't replace what it refers to
    }
    INFO(name);
    const testing::ProcessResult result = RunProgram({Program("gomai-opt"), folder / "first.onnx", "--in-place", "-q",
                                                      "-p", "name-nodes{duplicates=true}", "--weights=" + name});
    INFO(result.output);
    REQUIRE(result.exit_code == 0);
    CHECK(Digests(LoadOk(folder / "first.onnx")) == values);
    CHECK(Digests(LoadOk(folder / "second.onnx")) == values);
  }
}

TEST_CASE("an absent data file stops only the tools that need its bytes") {
  const testing::TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample("absent.bin", "b.bin").SerializeAsString());
  const std::string model = folder / "m.onnx";
  const auto run = [](std::vector<std::string> command) {
    command[0] = Program("gomai-" + command[0]);
    const testing::ProcessResult result = RunProgram(command);
    UNSCOPED_INFO(command[0] << ": " << result.output);
    return result;
  };
  const std::string out = folder / "out.onnx";
  CHECK(run({"info", model}).exit_code == 0);
  CHECK(run({"opt", model, "-o", out, "-p", "rename{x=input}"}).exit_code == 0);
  CHECK(run({"diff", model, out, "--ignore=weights"}).exit_code == 1);
  CHECK(run({"diff", out, out}).exit_code == 0);  // ranges of one file are equal unread
  for (const std::string weights : {"keep", "reference"}) {
    CHECK(run({"split", model, "--part", "a=s1", "-o", folder.path(), "--weights=" + weights}).exit_code == 0);
    CHECK(run({"merge", folder / "manifest.json", "-o", out}).exit_code == 0);
    CHECK(run({"diff", model, out}).exit_code == 0);
    fs::remove(folder / "manifest.json");
    fs::remove(folder / "a.onnx");
    fs::remove(folder / "rest.onnx");
  }
  fs::remove(out);
  for (const std::string weights : {"inline", "external", "shared"}) {
    const testing::ProcessResult result =
        run({"opt", model, "-o", out, "-p", "rename{x=input}", "--weights=" + weights});
    CHECK(result.exit_code == 2);
    CHECK(result.output.find(".bin") != std::string::npos);
    CHECK_FALSE(fs::exists(out));
  }
}

}  // namespace
}  // namespace gomai
