// The simulated NPU (tests/sim_npu) on the library at hand: what it computes when nothing is wrong is what the CPU
// computes, and each fault shows. Faults that end the process need a process of their own and are not here.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/runtime/onnxruntime.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"
#include "tests/support/run_pass.h"

#ifdef GOMAI_SIM_NPU_LIBRARY

namespace gomai {
namespace {

using EpOptions = std::vector<std::pair<std::string, std::string>>;

// Conv, Relu | Exp | HardSigmoid, Mul, Add: Exp is not claimed unless asked for, so that there are two groups.
constexpr const char* kGraph = R"(
  g (float[2,1,4,4] x) => (float[2,2,4,4] y, float[2,2,4,4] z)
  <float[2,1,3,3] w = {0.5,-1,0.25,2,1,-0.5,0.125,0.75,-0.25, -1,0.5,1,0.25,-2,0.5,1,-0.75,0.375}, float[2] b = {0.1,-0.2}> {
    [conv] c = Conv<pads = [1,1,1,1]>(x, w, b)
    [relu] r = Relu(c)
    [exp] e = Exp(r)
    [gate] h = HardSigmoid<alpha = 0.16666667, beta = 0.5>(c)
    [swish] z = Mul(c, h)
    [add] y = Add(e, r)
  })";

HostTensor Ramp(float scale) {
  absl::StatusOr<HostTensor> tensor = HostTensor::Create(onnx::TensorProto::FLOAT, {2, 1, 4, 4});
  REQUIRE(tensor.ok());
  float* const values = reinterpret_cast<float*>(tensor->mutable_bytes().data());
  for (int64_t i = 0; i < tensor->count(); ++i) {
    values[i] = scale * (static_cast<float>((i * 7) % 32) / 32 - 0.4F);
  }
  return *std::move(tensor);
}

SessionOptions OnNpu(EpOptions options, const std::string& ep = "SimNpuExecutionProvider") {
  SessionOptions session;
  session.ep = ep + ":cpu";  // its one device that every version lists
  session.ep_options = std::move(options);
  session.ep_library = GOMAI_SIM_NPU_LIBRARY;
  return session;
}

absl::StatusOr<std::unique_ptr<Session>> Open(const SessionOptions& options, const char* graph = kGraph) {
  return testing::RuntimeOrSkip().OpenBytes(testing::ParseGraph(graph).SerializeAsString(), options);
}

NamedTensors Run(Session& session, const HostTensor& x) {
  const absl::StatusOr<NamedTensors> outputs = session.Run({{"x", x}}, {});
  INFO(outputs.status().ToString());
  REQUIRE(outputs.ok());
  return *outputs;
}

std::unique_ptr<Session> Opened(const SessionOptions& options, const char* graph = kGraph) {
  absl::StatusOr<std::unique_ptr<Session>> session = Open(options, graph);
  INFO(session.status().ToString());
  REQUIRE(session.ok());
  return *std::move(session);
}

NamedTensors OnCpu(const HostTensor& x) { return Run(*Opened({}), x); }

bool Same(const NamedTensors& a, const NamedTensors& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, tensor] : a) {
    const auto other = b.at(name).bytes();
    if (!std::equal(tensor.bytes().begin(), tensor.bytes().end(), other.begin(), other.end())) {
      return false;
    }
  }
  return true;
}

// NaN if there is one.
float Difference(const HostTensor& a, const HostTensor& b) {
  REQUIRE(a.shape() == b.shape());
  float largest = 0;
  for (size_t i = 0; i < a.As<float>().size(); ++i) {
    const float difference = std::abs(a.As<float>()[i] - b.As<float>()[i]);
    if (!(difference <= largest)) {
      largest = difference;
    }
    if (std::isnan(largest)) {
      break;
    }
  }
  return largest;
}

// The fault of that name.
bool IsBias(float difference) { return std::abs(difference - 0.25F) < 1e-5F; }

TEST_CASE("the simulated NPU computes what the CPU does, however nodes are grouped") {
  const HostTensor x = Ramp(1);
  const NamedTensors expected = OnCpu(x);
  for (const EpOptions& options :
       {EpOptions{}, EpOptions{{"group", "single"}}, EpOptions{{"claim", "*"}}, EpOptions{{"claim", "Conv,Exp"}},
        EpOptions{{"refuse", "Relu,Add"}}, EpOptions{{"no_such_option", "1"}, {"round", "none"}}}) {
    CHECK(Same(Run(*Opened(OnNpu(options)), x), expected));
  }
}

TEST_CASE("the simulated NPU lists the CPU, and an NPU where the library can be told of one") {
  SessionOptions any = OnNpu({});
  any.ep = "SimNpuExecutionProvider";
  Backend& runtime = testing::RuntimeOrSkip();
  const bool told = runtime.version().rfind("1.23.", 0) != 0;
  const absl::StatusOr<std::vector<DeviceInfo>> listed = runtime.Devices(any);
  REQUIRE(listed.ok());
  const auto count = [&](std::string_view kind) {
    return std::count_if(listed->begin(), listed->end(), [&](const DeviceInfo& device) {
      return device.ep == "SimNpuExecutionProvider" && device.kind == kind;
    });
  };
  CHECK(count("cpu") == 1);
  CHECK(count("npu") == (told ? 1 : 0));
  const absl::StatusOr<std::vector<DeviceInfo>> chosen = runtime.SelectDevices(any);
  REQUIRE(chosen.ok());
  REQUIRE(chosen->size() == 1);
  CHECK(chosen->front().kind == (told ? "npu" : "cpu"));
  if (!told) {
    return;
  }
  any.ep = "SimNpuExecutionProvider:npu";
  CHECK(Same(Run(*Opened(any), Ramp(1)), OnCpu(Ramp(1))));
}

TEST_CASE("the simulated NPU goes by the name that it is registered under") {
  const HostTensor x = Ramp(1);
  CHECK(IsBias(
      Difference(Run(*Opened(OnNpu({{"fault", "bias"}, {"claim", "Mul"}}, "OpenVINOExecutionProvider")), x).at("z"),
                 OnCpu(x).at("z"))));
}

TEST_CASE("the simulated NPU rounds as asked to") {
  const HostTensor x = Ramp(1);
  const NamedTensors expected = OnCpu(x);
  const auto error = [&](const char* round) {
    return Difference(Run(*Opened(OnNpu({{"round", round}})), x).at("z"), expected.at("z"));
  };
  const float fp16 = error("fp16");
  const float bf16 = error("bf16");
  CHECK(fp16 > 0);
  CHECK(fp16 < 1e-2F);
  CHECK(bf16 > fp16);
  CHECK(bf16 < 1e-1F);
  CHECK(error("int8") > 0);
  CHECK(error("int8") < 1e-1F);
}

TEST_CASE("the simulated NPU spoils what it computed") {
  const HostTensor x = Ramp(1);
  const NamedTensors expected = OnCpu(x);
  const auto spoilt = [&](const char* fault) {
    return Run(*Opened(OnNpu({{"fault", fault}, {"fault_node", "swish"}})), x).at("z");
  };
  CHECK(std::isnan(Difference(spoilt("nan"), expected.at("z"))));
  CHECK(std::isinf(Difference(spoilt("inf"), expected.at("z"))));
  CHECK(IsBias(Difference(spoilt("bias"), expected.at("z"))));
  const HostTensor zero = spoilt("zero");
  CHECK(std::all_of(zero.bytes().begin(), zero.bytes().end(), [](uint8_t byte) { return byte == 0; }));
  const NamedTensors swapped = Run(*Opened(OnNpu({{"fault", "swap"}, {"fault_node", "swish"}})), x);
  CHECK(Difference(swapped.at("z"), expected.at("y")) == 0);
  CHECK(Difference(swapped.at("y"), expected.at("z")) == 0);
}

TEST_CASE("a fault keeps to its node, operator and run") {
  const HostTensor x = Ramp(1);
  const NamedTensors expected = OnCpu(x);
  for (const EpOptions& elsewhere :
       {EpOptions{{"fault", "nan"}, {"fault_node", "exp"}}, EpOptions{{"fault", "nan"}, {"fault_op", "Gemm"}},
        EpOptions{{"fault", "nan"}, {"fault_node", "conv"}, {"fault_op", "Relu"}}}) {
    CHECK(Same(Run(*Opened(OnNpu(elsewhere)), x), expected));
  }
  const auto session = Opened(OnNpu({{"fault", "nan"}, {"fault_op", "HardSigmoid"}, {"fault_run", "1"}}));
  CHECK(Same(Run(*session, x), expected));
  CHECK(std::isnan(Difference(Run(*session, x).at("z"), expected.at("z"))));
  CHECK(Same(Run(*session, x), expected));
}

TEST_CASE("stale outputs are those of the run before, and noise is another in each run") {
  const auto stale = Opened(OnNpu({{"fault", "stale"}, {"claim", "Mul"}}));
  CHECK(Same(Run(*stale, Ramp(1)), OnCpu(Ramp(1))));
  CHECK(Difference(Run(*stale, Ramp(2)).at("z"), OnCpu(Ramp(1)).at("z")) == 0);
  const auto noisy = Opened(OnNpu({{"fault", "nondeterministic"}, {"claim", "Mul"}}));
  const NamedTensors first = Run(*noisy, Ramp(1));
  CHECK_FALSE(Same(first, Run(*noisy, Ramp(1))));
  CHECK(Difference(first.at("z"), OnCpu(Ramp(1)).at("z")) <= 0.0101F);
}

TEST_CASE("batch slots that are not written are left as they were") {
  const auto session = Opened(OnNpu({{"fault", "unwritten"}, {"fault_node", "swish"}}));
  // What an earlier run left in memory was computed from another input.
  for (const float scale : {1.0F, 2.0F}) {
    const HostTensor z = Run(*session, Ramp(scale)).at("z");
    const HostTensor expected = OnCpu(Ramp(scale)).at("z");
    const size_t slot = z.bytes().size() / 2;
    CHECK(std::equal(z.bytes().begin(), z.bytes().begin() + static_cast<ptrdiff_t>(slot), expected.bytes().begin()));
    CHECK_FALSE(std::equal(z.bytes().begin() + static_cast<ptrdiff_t>(slot), z.bytes().end(),
                           expected.bytes().begin() + static_cast<ptrdiff_t>(slot)));
  }
  const auto whole = Opened(OnNpu({{"fault", "unwritten"}, {"fault_slot", "2"}}));
  CHECK(Same(Run(*whole, Ramp(1)), OnCpu(Ramp(1))));
}

TEST_CASE("what the simulated NPU can't compile or run comes back as a status") {
  const absl::Status compiling = Open(OnNpu({{"fault", "compile-error"}})).status();
  CHECK(Message(compiling).find("the compiler gives up") != std::string_view::npos);
  CHECK(Open(OnNpu({{"fault", "compile-error"}, {"fault_op", "Gemm"}})).ok());
  const absl::Status running = Opened(OnNpu({{"fault", "error"}}))->Run({{"x", Ramp(1)}}, {}).status();
  CHECK(Message(running).find("the device gives up") != std::string_view::npos);
  CHECK(Message(Open(OnNpu({{"fault", "gremlins"}})).status()).find("the option fault can't be 'gremlins'") !=
        std::string_view::npos);
}

TEST_CASE("options are ignored if the environment says so") {
  REQUIRE(setenv("GOMAI_SIM_NPU_IGNORE_OPTIONS", "1", 1) == 0);
  const auto deaf = Open(OnNpu({{"fault", "nan"}}));
  REQUIRE(unsetenv("GOMAI_SIM_NPU_IGNORE_OPTIONS") == 0);
  REQUIRE(deaf.ok());
  CHECK(Same(Run(**deaf, Ramp(1)), OnCpu(Ramp(1))));
}

TEST_CASE("a hard swish is computed wrongly where the HardSigmoid is hidden in its group") {
  const HostTensor x = Ramp(4);
  const NamedTensors expected = OnCpu(x);
  CHECK(Difference(Run(*Opened(OnNpu({{"hardsigmoid_bug", "1"}})), x).at("z"), expected.at("z")) > 1);
  CHECK(Same(Run(*Opened(OnNpu({{"hardsigmoid_bug", "1"}, {"group", "single"}})), x), expected));
  std::string shown = kGraph;
  shown.insert(shown.find("=> (") + 4, "float[2,2,4,4] h, ");
  CHECK(Difference(Run(*Opened(OnNpu({{"hardsigmoid_bug", "1"}}), shown.c_str()), x).at("z"), expected.at("z")) == 0);
}

TEST_CASE("open dims are refused unless they are allowed") {
  std::string open = kGraph;
  open.replace(open.find("float[2,1,4,4] x"), 16, "float[N,1,4,4] x");
  for (size_t at = open.find("float[2,2,4,4]"); at != std::string::npos; at = open.find("float[2,2,4,4]")) {
    open.replace(at, 14, "float[N,2,4,4]");
  }
  const HostTensor x = Ramp(1);
  const EpOptions bias = {{"fault", "bias"}, {"claim", "Mul"}};
  CHECK(Same(Run(*Opened(OnNpu(bias), open.c_str()), x), OnCpu(x)));
  EpOptions allowed = bias;
  allowed.emplace_back("static_only", "0");
  CHECK(IsBias(Difference(Run(*Opened(OnNpu(allowed), open.c_str()), x).at("z"), OnCpu(x).at("z"))));
}

nlohmann::json Device(const std::filesystem::path& report, const std::string& name) {
  std::ifstream file(report);
  const nlohmann::json devices = nlohmann::json::parse(file).at("deviceStat");
  for (const nlohmann::json& device : devices) {
    if (device.at("name") == name) {
      return device;
    }
  }
  return {};
}

TEST_CASE("reports say where nodes went, or lie if asked to") {
  const testing::TemporaryFolder folder;
  const std::string cache = folder.path().string();
  const std::string vitisai = "VitisAIExecutionProvider";
  CHECK(Open(OnNpu({{"cache_dir", cache}, {"cache_key", "a"}}, vitisai)).ok());
  const std::filesystem::path honest = folder / "a/vitisai_ep_report.json";
  CHECK(Device(honest, "all").at("nodeNum") == 6);
  CHECK(Device(honest, "CPU").at("nodeNum") == 1);
  CHECK(Device(honest, "CPU").at("supportedOpType") == nlohmann::json{"::Exp"});
  CHECK(Device(honest, "NPU").at("nodeNum") == 5);
  CHECK(Open(OnNpu({{"cacheDir", cache}, {"cacheKey", "b"}, {"report_lies", "cpu"}}, vitisai)).ok());
  CHECK(Device(folder / "b/vitisai_ep_report.json", "NPU").at("nodeNum") == 0);

  CHECK(Open(OnNpu({{"dump_json_qnn_graph", "1"}, {"json_qnn_graph_dir", cache}}, "QNNExecutionProvider")).ok());
  std::ifstream first(folder / "sim_graph_0.json");
  const nlohmann::json nodes = nlohmann::json::parse(first).at("graph").at("nodes");
  CHECK(nodes == nlohmann::json{{"conv", {{"type", "Conv"}}}, {"relu", {{"type", "Relu"}}}});
  CHECK(std::filesystem::exists(folder / "sim_graph_1.json"));
}

TEST_CASE("compiled groups are saved as EPContext nodes and loaded again") {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "m.onnx") << testing::ParseGraph(kGraph).SerializeAsString();
  const HostTensor x = Ramp(1);
  SessionOptions saving = OnNpu({{"round", "fp16"}});
  saving.session_options = {{"ep.context_enable", "1"}, {"ep.context_file_path", (folder / "c.onnx").string()}};
  auto saved = testing::RuntimeOrSkip().Open(folder / "m.onnx", saving);
  INFO(saved.status().ToString());
  REQUIRE(saved.ok());
  const NamedTensors expected = Run(**saved, x);
  CHECK_FALSE(Same(expected, OnCpu(x)));

  const auto loaded = testing::RuntimeOrSkip().Open(folder / "c.onnx", OnNpu({}));
  INFO(loaded.status().ToString());
  REQUIRE(loaded.ok());
  CHECK(Same(Run(**loaded, x), expected));
  const auto faulty = testing::RuntimeOrSkip().Open(folder / "c.onnx", OnNpu({{"fault", "nan"}, {"fault_op", "Mul"}}));
  REQUIRE(faulty.ok());
  CHECK(std::isnan(Difference(Run(**faulty, x).at("z"), expected.at("z"))));
  // The blob is another provider's.
  CHECK_FALSE(testing::RuntimeOrSkip().Open(folder / "c.onnx", OnNpu({}, "QNNExecutionProvider")).ok());
}

}  // namespace
}  // namespace gomai

#endif  // GOMAI_SIM_NPU_LIBRARY
