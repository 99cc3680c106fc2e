// What rewrites share. Types come from inference alone: a declaration in between may be false, and a rewrite that
// trusted it would change values.
#include "lib/pass/rewrite.h"

#include <algorithm>

#include "lib/graph/bypass.h"
#include "lib/graph/reach.h"
#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

constexpr size_t kNamed = 8;  // so many nodes that can't be rewritten are named in one error

}  // namespace

std::vector<OptionSpec> RewriteOptions(std::vector<OptionSpec> own) {
  own.push_back({.name = "node", .help = "the address of the only node to rewrite"});
  own.push_back({.name = "unfit",
                 .default_value = "refuse",
                 .help = "a node that can't be rewritten as promised: refuse the whole model, or keep it and warn",
                 .choices = {"refuse", "keep"}});
  return own;
}

Rewriter::Rewriter(PassContext& context, Facts facts)
    : context_(&context),
      facts_(std::move(facts)),
      constants_(context),
      held_(HeldByName(context.model().proto(), context.index())) {}

absl::StatusOr<Rewriter> Rewriter::Make(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Facts facts, InferFacts(context.model(), context.index()));
  return Rewriter(context, std::move(facts));
}

absl::StatusOr<std::string> Rewriter::Try(const RewriteRule& rule, NodeId id) {
  for (const onnx::AttributeProto& attribute : proto(id).attribute()) {
    if (!attribute.ref_attr_name().empty()) {
      return fmt::format("its {} is given by the function's caller; inline-functions settles that", attribute.name());
    }
  }
  return rule.rewrite(id);
}

absl::Status Rewriter::Run(const RewriteRule& rule) {
  const std::string& address = context_->options().String("node");
  const bool keep = context_->options().String("unfit") == "keep";
  NodeId only = kNone;
  if (!address.empty()) {
    GOMAI_ASSIGN_OR_RETURN(only, index().FindNode(address));
    if (!rule.applies(only)) {
      return InvalidArgument("{} is not {}", index().Describe(only), rule.what);
    }
  }
  std::vector<std::string> unfit;
  size_t count = 0;
  GOMAI_RETURN_IF_ERROR(VisitNodes(index(), [&](NodeId id) -> absl::Status {
    if (only != kNone ? id != only : !rule.applies(id)) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const std::string reason, Try(rule, id));
    if (reason.empty()) {
      return absl::OkStatus();
    }
    ++count;
    if (keep) {
      context_->diagnostics().Warn(index().Describe(id), "stays as it is: {}", reason);
    } else if (unfit.size() < kNamed) {
      unfit.push_back(fmt::format("{} can't be rewritten: {}", index().Describe(id), reason));
    }
    return absl::OkStatus();
  }));
  if (unfit.empty()) {
    return absl::OkStatus();
  }
  return FailedPrecondition("{}{}{}", fmt::join(unfit, "; "),
                            count > unfit.size() ? fmt::format("; and {} more", count - unfit.size()) : "",
                            only != kNone ? "" : " (unfit=keep leaves such nodes as they are)");
}

bool Rewriter::Is(NodeId id, std::string_view op_type) const {
  if (id == kNone) {
    return false;
  }
  const onnx::NodeProto& node = proto(id);
  return node.op_type() == op_type && IsDefaultDomain(node.domain()) && !index().node(id).outputs.empty() &&
         index().node(id).outputs[0] != kNone && index().CalledFunction(node) == kNone;
}

NodeId Rewriter::Producer(ValueId value, std::string_view op_type) const {
  const NodeId id = value == kNone ? kNone : index().value(value).producer;
  return Is(id, op_type) ? id : kNone;
}

ValueId Rewriter::Input(NodeId id, size_t input) const {
  const std::vector<ValueId>& inputs = index().node(id).inputs;
  return input < inputs.size() ? inputs[input] : kNone;
}

ValueId Rewriter::Output(NodeId id, size_t output) const {
  const std::vector<ValueId>& outputs = index().node(id).outputs;
  return output < outputs.size() ? outputs[output] : kNone;
}

int Rewriter::Opset(NodeId id) const {
  const onnx::FunctionProto* function = index().scope(index().Outermost(index().node(id).scope)).function;
  const onnx::ModelProto& model = context_->model().proto();
  for (const onnx::OperatorSetIdProto& import : function != nullptr ? function->opset_import() : model.opset_import()) {
    if (IsDefaultDomain(import.domain())) {
      return static_cast<int>(std::clamp<int64_t>(import.version(), 0, 1 << 20));
    }
  }
  return 0;
}

int64_t Rewriter::Int(NodeId id, std::string_view name, int64_t otherwise) const {
  const onnx::AttributeProto* a = FindAttribute(proto(id), name);
  return a != nullptr && a->type() == onnx::AttributeProto::INT ? a->i() : otherwise;
}

float Rewriter::Float(NodeId id, std::string_view name, float otherwise) const {
  const onnx::AttributeProto* a = FindAttribute(proto(id), name);
  return a != nullptr && a->type() == onnx::AttributeProto::FLOAT ? a->f() : otherwise;
}

std::string Rewriter::String(NodeId id, std::string_view name, std::string_view otherwise) const {
  const onnx::AttributeProto* a = FindAttribute(proto(id), name);
  return a != nullptr && a->type() == onnx::AttributeProto::STRING ? a->s() : std::string(otherwise);
}

std::optional<std::vector<int64_t>> Rewriter::Ints(NodeId id, std::string_view name) const {
  const onnx::AttributeProto* a = FindAttribute(proto(id), name);
  return a != nullptr && a->type() == onnx::AttributeProto::INTS
             ? std::optional(std::vector<int64_t>(a->ints().begin(), a->ints().end()))
             : std::nullopt;
}

bool Rewriter::IsReadOnlyBy(ValueId value, NodeId reader) const {
  if (value == kNone) {
    return false;
  }
  const Index::Value& v = index().value(value);
  return v.uses.size() == 1 && v.uses[0].node == reader && v.uses[0].input >= 0 && !v.is_graph_output &&
         !held_[static_cast<size_t>(value)];
}

bool Rewriter::IsUsed(ValueId value) const {
  return value != kNone && (!index().value(value).uses.empty() || index().value(value).is_graph_output ||
                            held_[static_cast<size_t>(value)]);
}

const onnx::TypeProto& Rewriter::type(ValueId value) const {
  static const onnx::TypeProto unknown;
  return value == kNone ? unknown : facts_.types[static_cast<size_t>(value)];
}

int Rewriter::Dtype(ValueId value) const {
  return value == kNone || !facts_.proven[static_cast<size_t>(value)] ? 0 : type(value).tensor_type().elem_type();
}

int Rewriter::Rank(ValueId value) const {
  const onnx::TensorShapeProto* shape =
      value == kNone || !facts_.proven[static_cast<size_t>(value)] ? nullptr : FindShape(type(value));
  return shape == nullptr ? -1 : shape->dim_size();
}

std::optional<int64_t> Rewriter::Dim(ValueId value, int axis) const {
  const int rank = Rank(value);
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank) {
    return std::nullopt;
  }
  const auto& dim = FindShape(type(value))->dim(axis);
  return dim.has_dim_value() && dim.dim_value() >= 0 ? std::optional<int64_t>(dim.dim_value()) : std::nullopt;
}

std::optional<std::vector<int64_t>> Rewriter::FixedShape(ValueId value) const {
  const int rank = Rank(value);
  if (rank < 0) {
    return std::nullopt;
  }
  std::vector<int64_t> shape;
  for (int i = 0; i < rank; ++i) {
    const std::optional<int64_t> dim = Dim(value, i);
    if (!dim) {
      return std::nullopt;
    }
    shape.push_back(*dim);
  }
  return shape;
}

const onnx::TensorProto* Rewriter::Constant(ValueId value) const {
  if (value == kNone) {
    return nullptr;
  }
  const Index::Value& v = index().value(value);
  if (v.origin == Index::Origin::kInitializer) {
    return v.initializer;
  }
  if (v.producer != kNone && v.origin == Index::Origin::kNode) {
    const onnx::NodeProto& node = proto(v.producer);
    if (node.op_type() == "Constant" && IsDefaultDomain(node.domain())) {
      onnx::TensorProto made;
      const onnx::TensorProto* tensor = ConstantValue(node, &made);
      if (tensor == &made) {
        tensor = &made_.emplace(value, std::move(made)).first->second;
      }
      return tensor;
    }
  }
  const std::optional<onnx::TensorProto>& computed = facts_.computed[static_cast<size_t>(value)];
  return computed ? &*computed : nullptr;
}

std::optional<std::vector<double>> Rewriter::Numbers(ValueId value) const {
  const onnx::TensorProto* tensor = Constant(value);
  if (tensor == nullptr || tensor->data_type() == onnx::TensorProto::STRING) {
    return std::nullopt;
  }
  const absl::StatusOr<int64_t> count = ElementCount(*tensor);
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, context_->model());
  return count.ok() && bytes.ok() ? UnpackNumbers(tensor->data_type(), bytes->bytes(), *count) : std::nullopt;
}

std::optional<double> Rewriter::Number(ValueId value) const {
  const onnx::TensorProto* tensor = Constant(value);
  if (tensor == nullptr || TensorByteSize(*tensor) > sizeof(double)) {
    return std::nullopt;
  }
  const std::optional<std::vector<double>> numbers = Numbers(value);
  return numbers && numbers->size() == 1 ? std::optional((*numbers)[0]) : std::nullopt;
}

std::optional<std::vector<int64_t>> Rewriter::Integers(ValueId value) const {
  const onnx::TensorProto* tensor = Constant(value);
  if (tensor == nullptr) {
    return std::nullopt;
  }
  if (tensor->data_type() == onnx::TensorProto::INT64) {  // beyond 2^53 too: INT64_MAX is a usual end of a Slice
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, context_->model());
    if (!bytes.ok()) {
      return std::nullopt;
    }
    const std::span<const int64_t> values = bytes->As<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  const std::optional<std::vector<double>> numbers = IsFloatDtype(tensor->data_type()) ? std::nullopt : Numbers(value);
  return numbers ? std::optional(std::vector<int64_t>(numbers->begin(), numbers->end())) : std::nullopt;
}

onnx::NodeProto& Rewriter::Become(NodeId id, std::string_view op_type, const std::vector<std::string>& inputs,
                                  const std::vector<onnx::AttributeProto>& attributes, int outputs) {
  onnx::NodeProto& node = editor().MutableNode(id);
  node.set_op_type(std::string(op_type));
  node.clear_input();
  for (const std::string& input : inputs) {
    node.add_input(input);
  }
  node.clear_attribute();
  for (const onnx::AttributeProto& attribute : attributes) {
    *node.add_attribute() = attribute;
  }
  const std::vector<ValueId>& results = index().node(id).outputs;
  for (size_t i = static_cast<size_t>(outputs); i < results.size(); ++i) {
    if (results[i] != kNone) {
      editor().EraseValueInfo(index().node(id).scope, Name(results[i]));
    }
  }
  if (node.output_size() > outputs) {
    node.mutable_output()->DeleteSubrange(outputs, node.output_size() - outputs);
  }
  return node;
}

std::string Rewriter::Stem(NodeId id) const {
  const ValueId output = Output(id, 0);
  return output != kNone ? Name(output) : proto(id).op_type();
}

std::string Rewriter::Insert(NodeId before, std::string_view op_type, const std::vector<std::string>& inputs,
                             const std::vector<onnx::AttributeProto>& attributes, std::string_view suffix) {
  return InsertMany(before, op_type, inputs, attributes, 1, suffix)[0];
}

std::vector<std::string> Rewriter::InsertMany(NodeId before, std::string_view op_type,
                                              const std::vector<std::string>& inputs,
                                              const std::vector<onnx::AttributeProto>& attributes, int outputs,
                                              std::string_view suffix) {
  const std::string stem = fmt::format("{}_{}", Stem(before), suffix.empty() ? op_type : suffix);
  onnx::NodeProto node;
  node.set_op_type(std::string(op_type));
  node.set_name(editor().FreshName(stem));
  for (const std::string& input : inputs) {
    node.add_input(input);
  }
  for (const onnx::AttributeProto& attribute : attributes) {
    *node.add_attribute() = attribute;
  }
  std::vector<std::string> names;
  for (int i = 0; i < outputs; ++i) {
    names.push_back(editor().FreshName(stem + "_output"));
    node.add_output(names.back());
  }
  editor().InsertNode(index().node(before).scope, std::move(node), before);
  return names;
}

void Rewriter::InsertAs(NodeId before, std::string_view op_type, const std::vector<std::string>& inputs,
                        const std::vector<onnx::AttributeProto>& attributes, const std::string& output) {
  onnx::NodeProto node;
  node.set_op_type(std::string(op_type));
  node.set_name(editor().FreshName(fmt::format("{}_{}", output, op_type)));
  node.mutable_input()->Add(inputs.begin(), inputs.end());
  node.mutable_attribute()->Add(attributes.begin(), attributes.end());
  node.add_output(output);
  editor().InsertNode(index().node(before).scope, std::move(node), before);
}

std::string Rewriter::AddConstant(NodeId node, std::string_view what, onnx::TensorProto tensor) {
  return constants_.Add(node, fmt::format("{}_{}", Stem(node), what), std::move(tensor));
}

void Rewriter::Erase(NodeId id) {
  editor().EraseNode(id);
  for (const ValueId output : index().node(id).outputs) {
    if (output != kNone && !held_[static_cast<size_t>(output)] && !index().value(output).is_graph_output) {
      editor().EraseValueInfo(index().node(id).scope, Name(output));
    }
  }
}

}  // namespace gomai
