// The model is built without output types, inferred, and given what inference found.
#include "lib/shape/one_op.h"

#include <algorithm>
#include <set>

#include "lib/graph/parse_attribute.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

// The IR version of the ONNX release that brought the opset, so that a runtime that knows the one reads the other.
// Source: the table of releases in ONNX's docs/Versioning.md.
int64_t IrVersionOf(int64_t opset) {
  return opset >= 25   ? 12
         : opset >= 24 ? 11
         : opset >= 21 ? 10
         : opset >= 19 ? 9
         : opset >= 15 ? 8
         : opset >= 12 ? 7
         : opset >= 11 ? 6
         : opset >= 10 ? 5
         : opset >= 9  ? 4
                       : 3;
}

absl::Status AddInputs(const OneOp& op, const onnx::OpSchema& schema, onnx::ModelProto* model) {
  onnx::GraphProto& graph = *model->mutable_graph();
  onnx::NodeProto& node = *graph.mutable_node(0);
  const int count = static_cast<int>(op.inputs.size());
  if (count < schema.min_input() || count > schema.max_input()) {
    return InvalidArgument("{} takes {} inputs, not {}", op.op_type,
                           schema.min_input() == schema.max_input()
                               ? fmt::to_string(schema.min_input())
                               : fmt::format("{} to {}", schema.min_input(), schema.max_input()),
                           count);
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const OneOpInput& input = op.inputs[i];
    node.add_input(input.name);
    if (input.name.empty()) {
      continue;
    }
    const int dtype = input.value ? input.value->data_type() : input.type.tensor_type().elem_type();
    if (!AcceptsDtype(schema, i, dtype)) {
      return InvalidArgument("input {} of {}, '{}', can't be {}", i, op.op_type, input.name, DtypeName(dtype));
    }
    if (!seen.insert(input.name).second) {
      continue;  // one value read twice
    }
    if (!input.value || model->ir_version() < 4) {
      onnx::ValueInfoProto& info = *graph.add_input();
      info.set_name(input.name);
      *info.mutable_type() = input.type;
      if (input.value) {
        info.mutable_type()->mutable_tensor_type()->set_elem_type(dtype);
        auto* shape = info.mutable_type()->mutable_tensor_type()->mutable_shape();
        for (const int64_t dim : input.value->dims()) {
          shape->add_dim()->set_dim_value(dim);
        }
      }
    }
    if (input.value) {
      onnx::TensorProto& tensor = *graph.add_initializer();
      tensor = *input.value;
      tensor.set_name(input.name);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Model> MakeOneOp(const OneOp& op) {
  onnx::ModelProto proto;
  proto.set_ir_version(op.ir_version != 0 ? op.ir_version : IrVersionOf(op.opset));
  proto.set_producer_name("gomai");
  onnx::OperatorSetIdProto& import = *proto.add_opset_import();
  import.set_version(op.opset);
  import.set_domain(std::string(NormalDomain(op.domain)));
  onnx::GraphProto& graph = *proto.mutable_graph();
  graph.set_name(op.op_type);
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(op.op_type);
  node.set_name(op.name.empty() ? op.op_type : op.name);
  if (!op.domain.empty()) {
    node.set_domain(op.domain);
  }
  const Index empty(proto);
  GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* schema,
                         RequireSchema(proto, empty, empty.main_scope(), op.domain, op.op_type));
  GOMAI_RETURN_IF_ERROR(AddInputs(op, *schema, &proto));
  for (const auto& [name, text] : op.attributes) {
    GOMAI_ASSIGN_OR_RETURN(onnx::AttributeProto attribute, ParseAttribute(*schema, name, text));
    if (std::any_of(node.attribute().begin(), node.attribute().end(),
                    [&wanted = name](const onnx::AttributeProto& a) { return a.name() == wanted; })) {
      return InvalidArgument("the attribute '{}' is given twice", name);
    }
    *node.add_attribute() = std::move(attribute);
  }
  for (const auto& [name, attribute] : schema->attributes()) {
    if (attribute.required && std::none_of(node.attribute().begin(), node.attribute().end(),
                                           [&wanted = name](const auto& a) { return a.name() == wanted; })) {
      return InvalidArgument("{} needs the attribute '{}'", op.op_type, name);
    }
  }
  std::vector<std::string> outputs = op.outputs;
  for (int i = 0; outputs.size() < static_cast<size_t>(std::max(1, schema->min_output())); ++i) {
    outputs.push_back(schema->min_output() > 1 ? fmt::format("y{}", i) : "y");
  }
  if (outputs.size() > static_cast<size_t>(schema->max_output())) {
    return InvalidArgument("{} gives at most {} results, not {}", op.op_type, schema->max_output(), outputs.size());
  }
  for (const std::string& output : outputs) {
    node.add_output(output);
  }
  Model model = Model::FromProto(std::move(proto));
  const Index index(model.proto());
  std::vector<std::string> problems;
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, InferTypes(model, index, &problems));
  if (!problems.empty()) {
    return InvalidArgument("{}", problems[0]);
  }
  for (const std::string& output : outputs) {
    const ValueId value = output.empty() ? kNone : index.FindValue(index.main_scope(), output);
    if (value == kNone) {
      continue;
    }
    onnx::ValueInfoProto info;
    info.set_name(output);
    *info.mutable_type() = types[static_cast<size_t>(value)];
    if (info.type().value_case() == onnx::TypeProto::VALUE_NOT_SET) {
      return InvalidArgument("the type of the result '{}' doesn't follow from the inputs", output);
    }
    *model.mutable_proto().mutable_graph()->add_output() = std::move(info);
  }
  return model;
}

}  // namespace gomai
