// fill-weights: made-up values for the tensors that strip-weights emptied.
//
// The rule (lib/model/seeded.h) stands in each tensor's doc string, so nothing but the model is needed. The doc string
// stays: that makes strip-weights the exact inverse. Large tensors go through a spool file, as weights that were loaded
// lie in theirs: memory stays that of the graph.
#include <algorithm>

#include "lib/base/digest.h"
#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/model/seeded.h"
#include "lib/model/tensor.h"
#include "lib/pass/pass.h"
#include "lib/pass/tensor_spool.h"

namespace gomai {
namespace {

// One protobuf message, and so a model in memory, ends at 2 GiB.
constexpr uint64_t kMostBytes = (uint64_t{1} << 31) - (uint64_t{1} << 24);

constexpr uint64_t kChunk = uint64_t{1} << 16;  // values at a time

absl::Status Run(PassContext& context) {
  const int64_t seed = context.options().Int("seed");
  if (seed < 0) {
    return InvalidArgument("the option 'seed' must be 0 or more, not {}", seed);
  }
  const Index& index = context.index();
  Sha256 digest;
  TensorSpool spool("made-up weights");
  uint64_t tensors = 0;
  uint64_t total = 0;
  for (const onnx::TensorProto& tensor : context.model().proto().graph().initializer()) {
    if (!IsExternal(tensor) || !IsSeededText(tensor.doc_string())) {
      continue;
    }
    if (tensor.data_type() != onnx::TensorProto::FLOAT) {
      return FailedPrecondition("the initializer '{}' is {}, but the rule in its doc string gives float32 values",
                                tensor.name(), DtypeName(tensor.data_type()));
    }
    const ValueId value = index.FindValue(index.main_scope(), tensor.name());
    if (value == kNone || index.value(value).initializer != &tensor) {
      return DataLoss("the initializer '{}' is there twice or has no name", tensor.name());
    }
    const absl::StatusOr<SeededRule> rule = ParseSeededRule(tensor.doc_string());
    if (!rule.ok()) {
      return Annotate(rule.status(), fmt::format("initializer '{}'", tensor.name()));
    }
    GOMAI_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor));
    const auto elements = static_cast<uint64_t>(count);
    if (elements > (kMostBytes - total) / sizeof(float)) {
      return ResourceExhausted("the initializer '{}' would take the model past 2 GiB, the most that it can hold inline",
                               tensor.name());
    }
    total += elements * sizeof(float);
    ++tensors;
    onnx::TensorProto& filled = context.editor().MutableInitializer(value);
    const auto make = [&](uint64_t first, uint64_t number) {
      std::string bytes = SeededBytes(tensor.name(), first, number, *rule, static_cast<uint64_t>(seed));
      digest.Update({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
      return bytes;
    };
    if (!TensorSpool::Takes(elements * sizeof(float))) {
      SetRawData(filled, make(0, elements));
      continue;
    }
    GOMAI_RETURN_IF_ERROR(spool.Begin(&filled, elements * sizeof(float)));
    for (uint64_t first = 0; first < elements; first += kChunk) {
      GOMAI_RETURN_IF_ERROR(spool.Append(make(first, std::min(kChunk, elements - first))));
    }
  }
  GOMAI_RETURN_IF_ERROR(spool.Finish(context));
  if (tensors == 0) {
    context.diagnostics().Warn("",
                               "no initializer is external and has a doc string 'seeded-uniform mean=M std=S'; "
                               "there is nothing to fill");
    return absl::OkStatus();
  }
  context.diagnostics().Note("", "filled {} initializer{}, {} bytes, sha256 {}", tensors, tensors == 1 ? "" : "s",
                             total, digest.Hex());
  return absl::OkStatus();
}

}  // namespace

const PassInfo& FillWeightsPass() {
  static const PassInfo info = {
      .name = "fill-weights",
      .summary = "make up the weights of a model that was stripped of them",
      .description =
          "Fills each external float32 initializer of the main graph whose doc string says 'seeded-uniform mean=M "
          "std=S' with made-up values, kept inline. Value i of the tensor NAME is mean + std*sqrt(3)*(2*u - 1), where "
          "u = (splitmix64(h + i) >> 40) * 2^-24 and h = fnv1a64(NAME) xor seed, computed in double and rounded once "
          "to float32: every machine gets the same bytes. The data file that the tensor refers to isn't read and may "
          "be absent.\n\n"
          "The doc strings stay, so that strip-weights gives the stripped model back. A note (-v) gives the number of "
          "tensors and bytes, and the sha256 over all filled bytes in initializer order. A tensor that isn't float32 "
          "is refused; external initializers without such a doc string stay as they are.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kMain,
      .options = {{.name = "seed",
                   .type = OptionType::kInt,
                   .default_value = "0",
                   .help = "0 or more; another seed gives other values"}},
      .examples = {"fill-weights", "fill-weights{seed=7}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
