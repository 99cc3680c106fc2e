// strip-weights: a model without its weights, small enough to mail, that fill-weights brings back to life.
//
// Values become a mean and a standard deviation in the tensor's doc string. A tensor that fill-weights filled gets its
// own doc string back to the digit: what a rule says is compared with the values before new figures are computed, since
// those of a finite sample never are the rule's own.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/text.h"
#include "lib/model/seeded.h"
#include "lib/model/tensor.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

// Each tensor begins at a page of its file, so that a filled file can be mapped.
constexpr uint64_t kPage = 4096;
uint64_t PageUp(uint64_t offset) { return (offset + kPage - 1) / kPage * kPage; }

struct Settings {
  uint64_t threshold = 0;
  uint64_t seed = 0;
  std::string location;
  bool overwrite_docs = false;
};

absl::StatusOr<Settings> ReadSettings(const PassContext& context) {
  Settings settings;
  const std::string& threshold = context.options().String("threshold");
  const std::optional<uint64_t> size = ParseSize(threshold);
  if (!size) {
    return InvalidArgument("the option 'threshold' must be a size like 4096 or 4K, not '{}'", threshold);
  }
  settings.threshold = *size;
  const int64_t seed = context.options().Int("seed");
  if (seed < 0) {
    return InvalidArgument("the option 'seed' must be 0 or more, not {}", seed);
  }
  settings.seed = static_cast<uint64_t>(seed);
  settings.location = context.options().String("location");
  if (settings.location.empty()) {
    return InvalidArgument("the option 'location' must name a file");
  }
  GOMAI_RETURN_IF_ERROR(CheckExternalLocation(context.model().folder(), settings.location));
  settings.overwrite_docs = context.options().Bool("overwrite-docs");
  return settings;
}

// Past what already lies in the file that the tensors will refer to.
absl::StatusOr<uint64_t> FirstOffset(const onnx::GraphProto& graph, const std::string& location) {
  uint64_t offset = 0;
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    if (!IsExternal(tensor)) {
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const ExternalReference reference, ReadExternalReference(tensor));
    if (reference.location == location) {
      offset = std::max(offset, reference.offset + reference.length.value_or(TensorByteSize(tensor)));
    }
  }
  return offset;
}

// The values are read four bytes at a time: where they lie in the model file isn't aligned.
absl::StatusOr<SeededRule> Measure(const onnx::TensorProto& tensor, std::span<const uint8_t> bytes) {
  const size_t count = bytes.size() / sizeof(float);
  const auto at = [&](size_t i) {
    float value = 0;
    std::memcpy(&value, bytes.data() + i * sizeof(float), sizeof(float));
    return static_cast<double>(value);
  };
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += at(i);
  }
  const double mean = sum / static_cast<double>(count);
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    squares += (at(i) - mean) * (at(i) - mean);
  }
  const double deviation = std::sqrt(squares / static_cast<double>(count));
  if (!std::isfinite(mean) || !std::isfinite(deviation)) {
    return FailedPrecondition(
        "the initializer '{}' holds infinities or NaN, which no mean and standard deviation stand for; raise "
        "'threshold' past its {} bytes",
        tensor.name(), bytes.size());
  }
  return SeededRule{mean, deviation};
}

// Are these the values that a rule gives?
bool Gives(std::string_view name, const SeededRule& rule, uint64_t seed, std::span<const uint8_t> bytes) {
  constexpr size_t kChunk = size_t{1} << 16;
  for (size_t first = 0; first < bytes.size() / sizeof(float); first += kChunk) {
    const size_t count = std::min(kChunk, bytes.size() / sizeof(float) - first);
    const std::string filled = SeededBytes(name, first, count, rule, seed);
    if (std::memcmp(filled.data(), bytes.data() + first * sizeof(float), filled.size()) != 0) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<std::string> NewDocString(const onnx::TensorProto& tensor, std::span<const uint8_t> bytes,
                                         const Settings& settings) {
  if (IsSeededText(tensor.doc_string())) {
    const absl::StatusOr<SeededRule> rule = ParseSeededRule(tensor.doc_string());
    if (rule.ok()) {
      if (Gives(tensor.name(), *rule, settings.seed, bytes)) {
        return tensor.doc_string();
      }
    }
  } else if (!tensor.doc_string().empty() && !settings.overwrite_docs) {
    return FailedPrecondition(
        "the initializer '{}' has a doc string of its own ('{}'), and the rule for its values needs that place; allow "
        "it with overwrite-docs",
        tensor.name(), tensor.doc_string().substr(0, 60));
  }
  GOMAI_ASSIGN_OR_RETURN(const SeededRule rule, Measure(tensor, bytes));
  return SeededText(rule);
}

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(const Settings settings, ReadSettings(context));
  const Index& index = context.index();
  const onnx::GraphProto& graph = context.model().proto().graph();
  GOMAI_ASSIGN_OR_RETURN(uint64_t offset, FirstOffset(graph, settings.location));
  uint64_t total = 0;
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    const uint64_t size = TensorByteSize(tensor);
    const bool stripped = IsExternal(tensor) && IsSeededText(tensor.doc_string());
    if (tensor.data_type() != onnx::TensorProto::FLOAT || size <= settings.threshold || stripped) {
      continue;
    }
    const ValueId value = index.FindValue(index.main_scope(), tensor.name());
    if (value == kNone || index.value(value).initializer != &tensor) {
      return DataLoss("the initializer '{}' is there twice or has no name", tensor.name());
    }
    GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(tensor, context.model()));
    GOMAI_ASSIGN_OR_RETURN(const std::string doc_string, NewDocString(tensor, bytes.bytes(), settings));
    onnx::TensorProto& copy = context.editor().MutableInitializer(value);
    offset = PageUp(offset);
    SetExternal(copy, settings.location, offset, size);
    copy.set_doc_string(doc_string);
    offset += size;
    total += size;
  }
  if (total > 0) {
    context.diagnostics().Note("", "stripped {} of weights; '{}' holds none of them and need not be there",
                               FormatBytes(total), settings.location);
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& StripWeightsPass() {
  static const PassInfo info = {
      .name = "strip-weights",
      .summary = "leave the weights out, and note by which rule fill-weights can make up others",
      .description =
          "Turns each float32 initializer of the main graph that takes more than 'threshold' bytes into external data "
          "in a file that isn't written, one after another in initializer order, and says in its doc string what its "
          "values were like: 'seeded-uniform mean=M std=S' with their mean and standard deviation. The result is "
          "small, "
          "has the structure of the model and none of its knowledge, and fill-weights makes it run again.\n\n"
          "A tensor that fill-weights filled with the same seed keeps its doc string, so stripping is the inverse of "
          "filling. Initializers that are stripped already stay as they are. Refused are tensors with another doc "
          "string (unless overwrite-docs) and with values that aren't finite.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kMain,
      .options =
          {
              {.name = "threshold",
               .default_value = "4096",
               .help = "strip what takes more bytes than this (4096, 64K, 1M)"},
              {.name = "location",
               .default_value = "stripped.weights",
               .help = "the file that the tensors refer to; it isn't written"},
              {.name = "overwrite-docs",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "replace other doc strings of stripped tensors"},
              {.name = "seed",
               .type = OptionType::kInt,
               .default_value = "0",
               .help = "the seed with which fill-weights filled the model, if it did"},
          },
      .examples = {"strip-weights", "strip-weights{threshold=64K,location=model.weights}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
