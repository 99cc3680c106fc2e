#include "tests/sim_npu/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

namespace gomai::sim {
namespace {

constexpr const char* kClaimed =
    "Conv,ConvTranspose,Relu,Add,MaxPool,AveragePool,GlobalAveragePool,Gemm,MatMul,Flatten,Reshape,Resize,Concat,"
    "Identity,Sigmoid,Mul,HardSigmoid,HardSwish,QuantizeLinear,DequantizeLinear,Clip,Transpose";

constexpr std::pair<std::string_view, Round> kRounds[] = {
    {"none", Round::kNone}, {"fp16", Round::kFp16}, {"bf16", Round::kBf16}, {"int8", Round::kInt8}};

constexpr std::pair<std::string_view, Fault> kFaults[] = {
    {"none", Fault::kNone},
    {"nan", Fault::kNan},
    {"inf", Fault::kInf},
    {"zero", Fault::kZero},
    {"bias", Fault::kBias},
    {"swap", Fault::kSwap},
    {"stale", Fault::kStale},
    {"unwritten", Fault::kUnwritten},
    {"nondeterministic", Fault::kNondeterministic},
    {"error", Fault::kError},
    {"crash", Fault::kCrash},
    {"abort", Fault::kAbort},
    {"hang", Fault::kHang},
    {"oom", Fault::kOom},
    {"exit", Fault::kExit},
    {"compile-error", Fault::kCompileError},
    {"compile-crash", Fault::kCompileCrash},
    {"compile-hang", Fault::kCompileHang},
    {"compile-oom", Fault::kCompileOom},
    {"print", Fault::kPrint},
};

constexpr std::pair<std::string_view, bool> kGroups[] = {{"run", false}, {"single", true}};
constexpr std::pair<std::string_view, bool> kSwitches[] = {{"0", false}, {"1", true}};
constexpr std::pair<std::string_view, bool> kLies[] = {{"", false}, {"none", false}, {"cpu", true}};

std::set<std::string> Split(std::string_view text) {
  std::set<std::string> parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    if (comma != 0) {
      parts.emplace(text.substr(0, comma));
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

class Reader {
 public:
  Reader(const Host& host, const OrtSessionOptions* session, const std::string& provider)
      : host_(host), session_(session), prefix_("ep." + provider + ".") {
    std::transform(prefix_.begin(), prefix_.end(), prefix_.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const char* const ignore = std::getenv("GOMAI_SIM_NPU_IGNORE_OPTIONS");
    ignore_ = ignore != nullptr && std::string_view(ignore) == "1";
  }

  // A config entry by its whole name.
  std::string Entry(const std::string& key, const char* fallback) const {
    int there = 0;
    Check(host_, host_.api->HasSessionConfigEntry(session_, key.c_str(), &there));
    if (there == 0) {
      return fallback;
    }
    size_t size = 0;  // with the zero at the end
    Check(host_, host_.api->GetSessionConfigEntry(session_, key.c_str(), nullptr, &size));
    std::string value(size, '\0');
    Check(host_, host_.api->GetSessionConfigEntry(session_, key.c_str(), value.data(), &size));
    value.resize(size - 1);
    return value;
  }

  std::string Text(const char* key, const char* fallback) const {
    return ignore_ ? fallback : Entry(prefix_ + key, fallback);
  }
  // The first of two spellings that is there.
  std::string Either(const char* key, const char* other, const char* fallback) const {
    return Text(key, Text(other, fallback).c_str());
  }
  template <typename T, size_t N>
  T Choice(const char* key, const char* fallback, const std::pair<std::string_view, T> (&choices)[N]) const {
    const std::string text = Text(key, fallback);
    for (const auto& [name, value] : choices) {
      if (name == text) {
        return value;
      }
    }
    throw Invalid(key, text);
  }
  int64_t Number(const char* key, const char* fallback) const {
    const std::string text = Text(key, fallback);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw Invalid(key, text);
    }
    return value;
  }

 private:
  static Failure Invalid(const std::string& key, const std::string& text) {
    return Failure("sim_npu: the option " + key + " can't be '" + text + "'", ORT_INVALID_ARGUMENT);
  }

  const Host& host_;
  const OrtSessionOptions* session_;
  std::string prefix_;
  bool ignore_ = false;
};

}  // namespace

Options ReadOptions(const Host& host, const OrtSessionOptions* session, const std::string& provider) {
  const Reader reader(host, session, provider);
  Options options;
  options.claim = Split(reader.Text("claim", kClaimed));
  options.claim_all = options.claim.contains("*");
  options.refuse = Split(reader.Text("refuse", ""));
  options.static_only = reader.Choice("static_only", "1", kSwitches);
  options.single = reader.Choice("group", "run", kGroups);

  options.round = reader.Choice("round", "none", kRounds);
  options.hardsigmoid_bug = reader.Choice("hardsigmoid_bug", "0", kSwitches);

  options.fault = reader.Choice("fault", "none", kFaults);
  options.fault_node = reader.Text("fault_node", "");
  options.fault_op = reader.Text("fault_op", "");
  options.fault_run = reader.Number("fault_run", "-1");
  options.fault_slot = reader.Number("fault_slot", "1");
  options.exit_code = static_cast<int>(reader.Number("exit_code", "0"));

  const std::string cache = reader.Either("cache_dir", "cacheDir", "");
  const bool vitisai = provider == "VitisAIExecutionProvider";
  if (reader.Choice("report", vitisai ? "1" : "0", kSwitches) && !cache.empty()) {
    options.vitisai_report = cache + "/" + reader.Either("cache_key", "cacheKey", "sim") + "/vitisai_ep_report.json";
  }
  if (provider == "QNNExecutionProvider" && reader.Choice("dump_json_qnn_graph", "0", kSwitches)) {
    options.qnn_folder = reader.Text("json_qnn_graph_dir", ".");
  }
  options.report_lies_cpu = reader.Choice("report_lies", "", kLies);

  options.context_enable = reader.Entry("ep.context_enable", "0") == "1";
  return options;
}

}  // namespace gomai::sim
