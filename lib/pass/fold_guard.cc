// See fold_guard.h. What depends on a value that this round computes waits for the next one, which finds a constant
// there.
#include "lib/pass/fold_guard.h"

#include <algorithm>
#include <array>
#include <limits>

#include "lib/base/text.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

// Whatever the limit is, results up to this size are no danger.
constexpr int64_t kHarmless = int64_t{64} << 20;
constexpr int64_t kMost = int64_t{2} << 30;

// Results whose size depends on values, but isn't larger than some small multiple of the operands'.
bool IsBoundedByOperands(const onnx::NodeProto& node) {
  static constexpr std::array<std::string_view, 20> kOps = {"NonZero",
                                                            "Compress",
                                                            "Unique",
                                                            "NonMaxSuppression",
                                                            "SequenceEmpty",
                                                            "SequenceConstruct",
                                                            "SequenceInsert",
                                                            "SequenceErase",
                                                            "SequenceAt",
                                                            "SequenceLength",
                                                            "SplitToSequence",
                                                            "ConcatFromSequence",
                                                            "Optional",
                                                            "OptionalGetElement",
                                                            "OptionalHasElement",
                                                            "Identity",
                                                            "If",
                                                            "StringNormalizer",
                                                            "StringSplit",
                                                            "Reshape"};
  return std::find(kOps.begin(), kOps.end(), node.op_type()) != kOps.end();
}

bool IsIntegral(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
      return false;
    default:
      return true;  // an unknown type, too
  }
}

// Is any element the number that all of its bytes make?
bool HasElement(std::span<const uint8_t> bytes, size_t size, const std::vector<uint8_t>& element) {
  for (size_t i = 0; i + size <= bytes.size(); i += size) {
    if (std::equal(element.begin(), element.end(), bytes.begin() + static_cast<std::ptrdiff_t>(i))) {
      return true;
    }
  }
  return false;
}

}  // namespace

FoldVerdict FoldGuard::Check(NodeId id, const std::vector<bool>& source) const {
  std::vector<NodeId> work = {id};
  while (!work.empty()) {
    const NodeId at = work.back();
    work.pop_back();
    if (FoldVerdict verdict = CheckOne(at, source); !verdict.may) {
      return verdict;
    }
    for (const ScopeId body : index_.node(at).bodies) {
      const std::vector<NodeId>& inner = index_.scope(body).nodes;
      work.insert(work.end(), inner.begin(), inner.end());
    }
  }
  return {};
}

FoldVerdict FoldGuard::CheckOne(NodeId id, const std::vector<bool>& source) const {
  const Index::Node& node = index_.node(id);
  if (index_.CalledFunction(*node.proto) != kNone || !IsDefaultDomain(node.proto->domain())) {
    return {.may = node.proto->domain() == "ai.onnx.ml"};
  }
  const std::string& op = node.proto->op_type();
  if (op == "Loop" || op == "Scan") {
    return {.may = false};
  }
  if (op == "Div" || op == "Mod") {
    if (FoldVerdict verdict = CheckDivision(node, source); !verdict.may) {
      return verdict;
    }
  }
  return CheckSize(node, source);
}

bool FoldGuard::AllSources(const Index::Node& node, const std::vector<bool>& source) const {
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ValueId input) { return input == kNone || source[static_cast<size_t>(input)]; });
}

FoldVerdict FoldGuard::CheckDivision(const Index::Node& node, const std::vector<bool>& source) const {
  if (node.inputs.size() != 2 || node.inputs[0] == kNone || node.inputs[1] == kNone || node.outputs.empty() ||
      node.outputs[0] == kNone) {
    return {.may = false};
  }
  const int dtype = facts_.types[static_cast<size_t>(node.outputs[0])].tensor_type().elem_type();
  if (!IsIntegral(dtype)) {
    return {};
  }
  const auto size = static_cast<size_t>(BitsPerElement(dtype)) / 8;
  const auto divisor = static_cast<size_t>(node.inputs[1]);
  if (size == 0 || !source[divisor]) {
    return {.may = false};
  }
  const onnx::TensorProto& tensor = stored_[divisor] != nullptr ? *stored_[divisor] : *facts_.computed[divisor];
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model_);
  if (!bytes.ok()) {
    return {.may = false, .why = fmt::format("it stays, since its divisor can't be read: {}", Message(bytes.status()))};
  }
  if (HasElement(bytes->bytes(), size, std::vector<uint8_t>(size, 0))) {
    return {.may = false, .why = "it divides by zero, and stays"};
  }
  // The lowest number divided by -1 is beyond the highest, and traps as well.
  if (HasElement(bytes->bytes(), size, std::vector<uint8_t>(size, 0xff))) {
    const auto dividend = static_cast<size_t>(node.inputs[0]);
    if (!source[dividend]) {
      return {.may = false};
    }
    const onnx::TensorProto& divided = stored_[dividend] != nullptr ? *stored_[dividend] : *facts_.computed[dividend];
    const absl::StatusOr<TensorBytes> values = ReadTensor(divided, model_);
    std::vector<uint8_t> lowest(size, 0);
    lowest.back() = 0x80;
    if (!values.ok() || HasElement(values->bytes(), size, lowest)) {
      return {.may = false, .why = "it may divide the lowest number by -1, and stays"};
    }
  }
  return {};
}

int64_t FoldGuard::MostBytes(ValueId value) const {
  const auto at = static_cast<size_t>(value);
  if (stored_[at] != nullptr) {
    return static_cast<int64_t>(std::min<uint64_t>(TensorByteSize(*stored_[at]), std::numeric_limits<int64_t>::max()));
  }
  const onnx::TensorShapeProto* shape = FindShape(facts_.types[at]);
  if (shape == nullptr || !facts_.proven[at]) {
    return -1;
  }
  int64_t bytes = 16;  // of the widest element
  for (int i = 0; i < shape->dim_size(); ++i) {
    const auto axis = static_cast<size_t>(i);
    const int64_t most = shape->dim(i).has_dim_value()     ? shape->dim(i).dim_value()
                         : axis < facts_.limits[at].size() ? facts_.limits[at][axis]
                                                           : -1;
    if (most < 0 || __builtin_mul_overflow(bytes, most, &bytes)) {
      return most < 0 ? -1 : std::numeric_limits<int64_t>::max();
    }
  }
  onnx::TensorProto element;
  element.set_data_type(facts_.types[at].tensor_type().elem_type());
  return std::max<int64_t>(bytes / 16, 1) * std::max<int64_t>(static_cast<int64_t>(TensorByteSize(element)), 1);
}

FoldVerdict FoldGuard::CheckSize(const Index::Node& node, const std::vector<bool>& source) const {
  int64_t operands = 0;
  for (const ValueId input : node.inputs) {
    if (input != kNone) {
      operands = std::min(kMost, operands + std::min(kMost, std::max(MostBytes(input), int64_t{0})));
    }
  }
  const int64_t allowed = std::min(kMost, std::max(limit_, kHarmless) + operands);
  for (const ValueId output : node.outputs) {
    if (output == kNone) {
      continue;
    }
    const int64_t bytes = MostBytes(output);
    if (bytes < 0 && !IsBoundedByOperands(*node.proto)) {
      return {.may = false,
              .why = AllSources(node, source) ? "it stays, since nothing says how large its result is" : ""};
    }
    if (bytes > allowed) {
      return {.may = false,
              .why = fmt::format("its result '{}' would take {}, which is too much to compute it ahead; it stays",
                                 index_.value(output).name, FormatBytes(static_cast<uint64_t>(bytes)))};
    }
  }
  return {};
}

}  // namespace gomai
