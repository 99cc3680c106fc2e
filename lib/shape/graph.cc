// The walk over one graph. Each node: the schema's inference, our rules, then (if no rank came out) what is declared;
// then values are propagated. Bodies and calls: control_flow.cc.
#include <onnx/defs/schema.h>

#include <algorithm>
#include <exception>

#include "lib/model/constant.h"
#include "lib/model/tensor.h"
#include "lib/shape/contexts.h"
#include "lib/shape/elements.h"
#include "lib/shape/guard.h"
#include "lib/shape/infer.h"
#include "lib/shape/inference.h"
#include "lib/shape/limits.h"
#include "lib/shape/rules.h"

namespace gomai::shape {
namespace {

constexpr uint64_t kLargestConstant = wire::kDefaultThreshold;

// Where ONNX 1.23 infers what its own operator doesn't give: STFT without `onesided`, which it takes for 0 against the
// default of 1.
void Correct(const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs) {
  if (node.op_type() != "STFT" || !IsDefaultDomain(node.domain()) || FindAttribute(node, "onesided") != nullptr) {
    return;
  }
  onnx::TensorShapeProto* shape = outputs.empty() ? nullptr : MutableShape(outputs[0]);
  if (shape != nullptr && shape->dim_size() == 4 && shape->dim(2).has_dim_value()) {
    shape->mutable_dim(2)->set_dim_value(shape->dim(2).dim_value() / 2 + 1);
  }
}

}  // namespace

const onnx::GraphProto* FindBody(const onnx::NodeProto& node, std::string_view attribute) {
  const onnx::AttributeProto* found = FindAttribute(node, attribute);
  return found != nullptr && found->has_g() ? &found->g() : nullptr;
}

const onnx::TensorProto* Run::Values(const onnx::TensorProto& tensor) {
  if (!FindMarker(tensor) && !IsExternal(tensor)) {
    return &tensor;
  }
  if (FindMarker(tensor) || TensorByteSize(tensor) >= kLargestConstant) {
    return nullptr;
  }
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, *model);
  if (!bytes.ok()) {
    return nullptr;  // an absent data file is no obstacle: less is known then
  }
  auto copy = std::make_unique<onnx::TensorProto>(tensor);
  SetRawData(*copy, std::string(bytes->bytes().begin(), bytes->bytes().end()));
  return Keep(std::move(copy));
}

void Run::Problem(const onnx::NodeProto& node, std::string_view message) {
  std::string where = fmt::format("{} ({})", node.name().empty() ? "a node" : node.name(), node.op_type());
  const auto& nodes = index->nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].proto == &node) {
      where = index->Describe(static_cast<NodeId>(i));
      break;
    }
  }
  std::string text = fmt::format("{}: {}", where, message.substr(0, message.find('\n')));
  if (problems.size() < 100 && seen_problems.insert(text).second) {
    problems.push_back(std::move(text));
  }
}

Known* Graph::Find(std::string_view name) {
  if (name.empty()) {
    return nullptr;
  }
  for (Graph* graph = this; graph != nullptr; graph = graph->outer_) {
    if (const auto found = graph->values_.find(name); found != graph->values_.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

const onnx::TypeProto* Graph::TypeOf(std::string_view name) {
  const Known* known = Find(name);
  return known != nullptr && known->has_type() ? &known->type : nullptr;
}

void Graph::Seed(const onnx::GraphProto& graph, const std::vector<const onnx::TypeProto*>& inputs) {
  for (const auto& info : graph.value_info()) {
    declared_.emplace(info.name(), &info.type());
  }
  for (const auto& info : graph.output()) {
    declared_.emplace(info.name(), &info.type());
  }
  for (int i = 0; i < graph.input_size(); ++i) {
    const onnx::ValueInfoProto& input = graph.input(i);
    Known& known = values_[input.name()];
    const onnx::TypeProto* given = static_cast<size_t>(i) < inputs.size() ? inputs[static_cast<size_t>(i)] : nullptr;
    if (given != nullptr && given->value_case() != onnx::TypeProto::VALUE_NOT_SET) {
      known.type = *given;
    } else {
      known.type = input.type();
    }
    Sanitise(known.type);
    if (outer_ != nullptr && FindShape(known.type) != nullptr &&
        (given == nullptr || given->value_case() == onnx::TypeProto::VALUE_NOT_SET)) {
      run_.Claim(known);
    }
    if (outer_ == nullptr) {
      // Exporters write 0 for a dim that they don't know.
      if (onnx::TensorShapeProto* shape = MutableShape(known.type); shape != nullptr) {
        for (auto& dim : *shape->mutable_dim()) {
          if (dim.has_dim_value() && dim.dim_value() == 0) {
            dim.clear_value();
          }
        }
      }
    }
  }
  const bool replaceable = run_.model->proto().ir_version() == 0 || run_.model->proto().ir_version() >= 4;
  for (const auto& tensor : graph.initializer()) {
    Known& known = values_[tensor.name()];
    // A default that callers may replace is no constant. Up to IR version 3 every initializer is an input as well, and
    // runtimes take it for a constant.
    known.tensor = known.has_type() && replaceable ? nullptr : run_.Values(tensor);
    if (!known.has_type()) {
      auto& type = *known.type.mutable_tensor_type();
      type.set_elem_type(tensor.data_type());
      type.mutable_shape();
      for (const int64_t dim : tensor.dims()) {
        type.mutable_shape()->add_dim()->set_dim_value(dim);
      }
      Sanitise(known.type);
    }
  }
  // Stored sparsely, read as the dense tensor that it stands for, as a Constant's sparse_value is: schema functions
  // take a sparse type for a scalar.
  for (const auto& tensor : graph.sparse_initializer()) {
    Known& known = values_[tensor.values().name()];
    known.sparse = known.has_type() && replaceable ? nullptr : &tensor;
    if (!known.has_type()) {
      auto& type = *known.type.mutable_tensor_type();
      type.set_elem_type(tensor.values().data_type());
      type.mutable_shape();
      for (const int64_t dim : tensor.dims()) {
        type.mutable_shape()->add_dim()->set_dim_value(dim);
      }
      Sanitise(known.type);
    }
  }
}

void Graph::Infer(const onnx::GraphProto& graph, const std::vector<const onnx::TypeProto*>& inputs,
                  const std::vector<const onnx::NodeProto*>& order) {
  values_.reserve(static_cast<size_t>(graph.initializer_size()) + order.size() * 2);
  Seed(graph, inputs);
  for (const onnx::NodeProto* node : order) {
    if (--run_.budget < 0) {
      break;
    }
    InferNode(*node);
  }
}

std::unordered_map<std::string, Known> Graph::Values() && {
  return {std::make_move_iterator(values_.begin()), std::make_move_iterator(values_.end())};
}

void Graph::Infer(const onnx::GraphProto& graph, const std::vector<const onnx::TypeProto*>& inputs) {
  std::vector<const onnx::NodeProto*> order;
  order.reserve(static_cast<size_t>(graph.node_size()));
  for (const auto& node : graph.node()) {
    order.push_back(&node);
  }
  Infer(graph, inputs, order);
}

const onnx::OpSchema* Graph::Schema(const onnx::NodeProto& node) const {
  const std::string domain = IsDefaultDomain(node.domain()) ? "" : node.domain();
  // ONNX Runtime's own pair, from before ONNX's took 16 bits: since opset 21 ONNX's is the same.
  if (domain == "com.microsoft" && (node.op_type() == "QuantizeLinear" || node.op_type() == "DequantizeLinear")) {
    return onnx::OpSchemaRegistry::Schema(node.op_type(), 21, "");
  }
  auto version = opsets_.find(domain);
  return version == opsets_.end() ? nullptr : onnx::OpSchemaRegistry::Schema(node.op_type(), version->second, domain);
}

void Graph::InferNode(const onnx::NodeProto& node) {
  NodeContext context(*this, node);
  const onnx::OpSchema* schema = nullptr;
  std::vector<Known> branch;  // what an If gives, beyond types
  const int64_t claims = run_.claims;
  const auto note = [&](const absl::Status& status) {
    if (!status.ok()) {
      run_.Problem(node, Message(status));
    }
  };
  try {
    const ScopeId called = run_.index->CalledFunction(node);
    if (called == kNone) {
      schema = Schema(node);
    }
    if (called != kNone) {
      const onnx::FunctionProto& function = *run_.index->scope(called).function;
      InferCall(node, function, context.outputs());
    } else if (IsDefaultDomain(node.domain()) && node.op_type() == "If") {
      note(InferIf(node, context.outputs(), &branch));
    } else if (IsDefaultDomain(node.domain()) && node.op_type() == "Loop") {
      note(InferLoop(node, context.outputs()));
    } else if (schema != nullptr && schema->has_type_and_shape_inference_function()) {
      if (const std::string unfit = UnfitForInference(node, context); unfit.empty()) {
        schema->GetTypeAndShapeInferenceFunction()(context);
        Correct(node, context.outputs());
      } else {
        run_.Problem(node, unfit);
      }
    } else if (schema != nullptr && schema->HasFunction()) {
      InferCall(node, *schema->GetFunction(), context.outputs());
    }
  } catch (const std::exception& error) {
    run_.Problem(node, error.what());
    // Shapes from a function that gave up half-way aren't to be relied on; element types are.
    for (onnx::TypeProto& type : context.outputs()) {
      if (IsTensor(type)) {
        const int elements = ElementType(type);
        const bool sparse = type.has_sparse_tensor_type();
        type.Clear();
        sparse ? type.mutable_sparse_tensor_type()->set_elem_type(elements)
               : type.mutable_tensor_type()->set_elem_type(elements);
      }
    }
  }
  try {
    InferMore(*this, node, context.outputs());
  } catch (const std::exception& error) {
    run_.Problem(node, error.what());
  }
  const bool claimed =
      run_.claims != claims || std::any_of(node.input().begin(), node.input().end(), [&](const std::string& name) {
        const Known* known = Find(name);
        return known != nullptr && known->claimed;
      });
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) {
      continue;
    }
    onnx::TypeProto& type = context.outputs()[static_cast<size_t>(i)];
    Sanitise(type);
    if (type.has_tensor_type() && ElementType(type) == 0 && FindShape(type) == nullptr) {
      type.Clear();
    }
    Known& known = values_[node.output(i)];
    known.type = std::move(type);
    if (claimed) {
      run_.Claim(known);
    }
    if (static_cast<size_t>(i) < branch.size()) {
      Known& given = branch[static_cast<size_t>(i)];
      known.tensor = given.tensor;
      known.elements = std::move(given.elements);
      known.data = std::move(given.data);
      known.limits = std::move(given.limits);
    }
    if (known.has_type() && (!IsTensor(known.type) || (FindShape(known.type) != nullptr && ElementType(known.type)))) {
      continue;
    }
    if (const auto declared = declared_.find(node.output(i)); declared != declared_.end()) {
      const bool had_shape = FindShape(known.type) != nullptr;
      onnx::TypeProto claim = *declared->second;
      Sanitise(claim);
      Refine(known.type, claim);
      known.declared = known.has_type() && (!IsTensor(known.type) || (!had_shape && FindShape(known.type) != nullptr));
      if (known.declared) {
        run_.Claim(known);
      }
    }
  }
  NoteConstant(node);
  if (schema != nullptr && schema->has_data_propagation_function()) {
    Propagate(node, *schema);
  }
  try {
    PropagateLimits(*this, node);
    PropagateElements(*this, node);
  } catch (const std::exception&) {
    // A payload that doesn't fit its tensor, say; then less is known.
  }
}

void Graph::NoteConstant(const onnx::NodeProto& node) {
  if (node.op_type() != "Constant" || !IsDefaultDomain(node.domain()) || node.output_size() != 1) {
    return;
  }
  Known& known = values_[node.output(0)];
  auto made = std::make_unique<onnx::TensorProto>();
  if (const onnx::TensorProto* value = ConstantValue(node, made.get()); value == made.get()) {
    known.tensor = run_.Keep(std::move(made));
  } else if (value != nullptr) {
    known.tensor = run_.Values(*value);
  } else if (const onnx::AttributeProto* sparse = FindAttribute(node, "sparse_value");
             sparse != nullptr && sparse->has_sparse_tensor()) {
    known.sparse = &sparse->sparse_tensor();
  }
}

void Graph::Propagate(const onnx::NodeProto& node, const onnx::OpSchema& schema) {
  try {
    ValueContext context(*this, node);
    if (!FitForPropagation(node, context)) {
      return;
    }
    schema.GetDataPropagationFunction()(context);
  } catch (const std::exception&) {
    // Values that can't be propagated are only unknown; if the shapes are wrong too, inference has said so.
  }
}

}  // namespace gomai::shape
