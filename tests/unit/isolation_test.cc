// Sessions in processes of their own: the same results as here, whatever the sizes and types; what the worker's end
// becomes; and that nothing of it stays. The worker is gomai-run.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>

#include "lib/base/file.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/runtime/sentinel.h"
#include "lib/runtime/target_session.h"
#include "lib/runtime/worker.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::ParseModel;
using testing::TemporaryFolder;

constexpr const char* kTwo = R"(
    <ir_version: 7, opset_import: ["" : 13]>
    two (float[2,3] x, int64[n] k) => (float[2,3] y, int64[n] z, float[2,3] w) {
      y = Relu(x)
      z = Neg(k)
      w = Add(x, y)
    })";

struct Fixture {
  TemporaryFolder folder;
  std::filesystem::path model = folder / "m.onnx";
  WorkerOptions worker;
  NamedTensors feeds;

  explicit Fixture(const char* text = kTwo) {
    REQUIRE(WriteTextFile(model, ParseModel(text).SerializeAsString()).ok());
    worker.command = {GOMAI_BINARY_DIR "/bin/gomai-run", "--runtime-worker"};
    worker.limits.open_seconds = worker.limits.run_seconds = 60;
    HostTensor x = *HostTensor::Create(onnx::TensorProto::FLOAT, {2, 3});
    const float values[] = {-1, 2, -3, 4, -5, 6};
    std::memcpy(x.mutable_bytes().data(), values, sizeof(values));
    HostTensor k = *HostTensor::Create(onnx::TensorProto::INT64, {4});
    const int64_t numbers[] = {1, 2, 3, 4};
    std::memcpy(k.mutable_bytes().data(), numbers, sizeof(numbers));
    feeds = {{"x", x}, {"k", k}};
  }
  absl::StatusOr<std::unique_ptr<Session>> Open(const SessionOptions& options = {}) const {
    OpeningSteps steps;
    return OpenIsolated(model, options, worker, &steps);
  }
  static SessionOptions Sim(const std::vector<std::pair<std::string, std::string>>& more) {
    SessionOptions options;
    options.ep = "SimNpu";
    options.ep_library = GOMAI_SIM_NPU_LIBRARY;
    options.ep_options = {{"static_only", "0"}};
    options.ep_options.insert(options.ep_options.end(), more.begin(), more.end());
    options.record_placement = true;
    return options;
  }
};

bool SameBits(const NamedTensors& a, const NamedTensors& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& one, const auto& other) {
           return one.first == other.first && one.second.shape() == other.second.shape() &&
                  std::ranges::equal(one.second.bytes(), other.second.bytes());
         });
}

bool Runtime() { return LoadOnnxRuntime(QuietRuntime()).ok(); }

TEST_CASE("an isolated session gives what one in this process gives") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  const Fixture fixture;
  const auto backend = LoadOnnxRuntime(QuietRuntime());
  const auto here = (*backend)->Open(fixture.model, {});
  REQUIRE(here.ok());
  OpeningSteps steps;
  const auto there = OpenIsolated(fixture.model, {}, fixture.worker, &steps);
  REQUIRE(there.ok());
  CHECK(steps.session_made);
  CHECK(steps.devices_found);
  CHECK(steps.version == (*backend)->version());
  REQUIRE((*there)->inputs().size() == 2);
  CHECK((*there)->inputs()[1].symbols == (*here)->inputs()[1].symbols);
  CHECK((*there)->outputs().size() == 3);
  const auto expected = (*here)->Run(fixture.feeds, {});
  REQUIRE(expected.ok());
  for (int i = 0; i < 3; ++i) {
    const auto given = (*there)->Run(fixture.feeds, {});
    REQUIRE(given.ok());
    CHECK(SameBits(*given, *expected));  // results of a run outlive the next, and the session
  }
  const auto one = (*there)->Run(fixture.feeds, {"z"});
  REQUIRE(one.ok());
  CHECK(one->size() == 1);
  CHECK(absl::IsInvalidArgument((*there)->Run({}, {}).status()));
  CHECK(absl::IsInvalidArgument((*there)->Run(fixture.feeds, {"none"}).status()));
  CHECK((*there)->Run(fixture.feeds, {}).ok());
}

TEST_CASE("tensors without elements, and scalars, cross") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  const Fixture fixture(R"(<ir_version: 7, opset_import: ["" : 13]>
    g (float[n] x, int64 k) => (float[n] y, int64 z) { y = Relu(x)
      z = Neg(k) })");
  const auto session = fixture.Open();
  REQUIRE(session.ok());
  const auto given = (*session)->Run({{"x", *HostTensor::Create(onnx::TensorProto::FLOAT, {0})},
                                      {"k", *HostTensor::Create(onnx::TensorProto::INT64, {})}},
                                     {});
  REQUIRE(given.ok());
  CHECK(given->at("y").count() == 0);
  CHECK(given->at("z").shape().empty());
}

TEST_CASE("strings don't cross, and that is said") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  const Fixture fixture(
      R"(<ir_version: 7, opset_import: ["" : 13]> g (string[n] x) => (string[n] y) { y = Identity(x) })");
  const auto session = fixture.Open();
  REQUIRE(session.ok());
  const absl::Status status = (*session)->Run({{"x", HostTensor::Strings({1}, {"a"})}}, {}).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(Message(status).find("without isolation") != std::string_view::npos);
}

TEST_CASE("what a worker can't do comes back as here") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  Fixture fixture;
  SessionOptions options;
  options.ep = "hexagon";
  CHECK(absl::IsInvalidArgument(fixture.Open(options).status()));
  fixture.model = fixture.folder / "none.onnx";
  CHECK(absl::IsNotFound(fixture.Open().status()));
  fixture.worker.command = {"/nowhere/worker"};
  CHECK(Message(fixture.Open().status()).find("can't start '/nowhere/worker'") != std::string_view::npos);
  fixture.worker.command = {"/bin/true"};
  CHECK(Message(fixture.Open().status()).find("ended with exit code 0 while it loaded the runtime") !=
        std::string_view::npos);
}

TEST_CASE("a worker that crashed is started anew by the next run") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  const Fixture fixture;
  const auto session = fixture.Open(Fixture::Sim({{"fault", "crash"}, {"fault_run", "1"}}));
  REQUIRE(session.ok());
  CHECK((*session)->placement().known());
  REQUIRE((*session)->Run(fixture.feeds, {}).ok());
  const absl::Status crashed = (*session)->Run(fixture.feeds, {}).status();
  CHECK(absl::IsInternal(crashed));
  CHECK(Message(crashed).find("killed by SIGSEGV in a run after") != std::string_view::npos);
  CHECK((*session)->Run(fixture.feeds, {}).ok());
}

TEST_CASE("results that weren't written hold the fill, also in another process") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  const Fixture fixture;
  for (const bool isolate : {true, false}) {
    Target target;
    target.session = Fixture::Sim({{"fault", "unwritten"}});
    target.session.ep_options.emplace_back("claim", "Relu,Neg,Add");
    target.isolate = isolate;
    TargetOpening opening;
    opening.worker = fixture.worker.command;
    Evidence evidence;
    const auto session = OpenOnTarget(fixture.model, "", target, opening, &evidence);
    REQUIRE(session.ok());
    const auto given = (*session)->Run(fixture.feeds, {});
    REQUIRE(given.ok());
    CHECK(UnwrittenSlots(given->at("w")).slots == std::vector<int64_t>{1});
    CHECK(evidence.Level() == Evidence::kPlacement);
  }
}

TEST_CASE("one that is told to stop does") {
  if (!Runtime()) {
    SKIP("built without ONNX Runtime");
  }
  Fixture fixture;
  bool stop = false;
  fixture.worker.cancelled = [&stop] { return stop; };
  const auto session = fixture.Open(Fixture::Sim({{"fault", "hang"}}));
  REQUIRE(session.ok());
  stop = true;
  CHECK(absl::IsCancelled((*session)->Run(fixture.feeds, {}).status()));
}

}  // namespace
}  // namespace gomai
