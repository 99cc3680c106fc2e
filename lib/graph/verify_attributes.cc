// One table of the payload fields, and the rules of onnx.proto (AttributeProto) on which of them may be set.
#include "lib/graph/verify_attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gomai {

std::string AttributeFault(const onnx::AttributeProto& a, const onnx::FunctionProto* function,
                           const onnx::ModelProto& model) {
  const std::pair<onnx::AttributeProto::AttributeType, bool> payloads[] = {
      {onnx::AttributeProto::FLOAT, a.has_f()},
      {onnx::AttributeProto::INT, a.has_i()},
      {onnx::AttributeProto::STRING, a.has_s()},
      {onnx::AttributeProto::TENSOR, a.has_t()},
      {onnx::AttributeProto::GRAPH, a.has_g()},
      {onnx::AttributeProto::SPARSE_TENSOR, a.has_sparse_tensor()},
      {onnx::AttributeProto::TYPE_PROTO, a.has_tp()},
      {onnx::AttributeProto::FLOATS, a.floats_size() > 0},
      {onnx::AttributeProto::INTS, a.ints_size() > 0},
      {onnx::AttributeProto::STRINGS, a.strings_size() > 0},
      {onnx::AttributeProto::TENSORS, a.tensors_size() > 0},
      {onnx::AttributeProto::GRAPHS, a.graphs_size() > 0},
      {onnx::AttributeProto::SPARSE_TENSORS, a.sparse_tensors_size() > 0},
      {onnx::AttributeProto::TYPE_PROTOS, a.type_protos_size() > 0}};
  std::string held;
  bool own = false;
  for (const auto& [type, present] : payloads) {
    if (present) {
      held += fmt::format("{}{}", held.empty() ? "" : " and ", onnx::AttributeProto::AttributeType_Name(type));
      own = own || type == a.type();
    }
  }
  if (!a.ref_attr_name().empty()) {
    if (function == nullptr) {
      return fmt::format("refers to \"{}\", but is not inside a function", a.ref_attr_name());
    }
    const auto declared = [&] {
      return std::find(function->attribute().begin(), function->attribute().end(), a.ref_attr_name()) !=
                 function->attribute().end() ||
             std::any_of(function->attribute_proto().begin(), function->attribute_proto().end(),
                         [&](const onnx::AttributeProto& d) { return d.name() == a.ref_attr_name(); });
    };
    return !held.empty() ? fmt::format("refers to \"{}\" and holds {} itself", a.ref_attr_name(), held)
           : !declared() ? fmt::format("refers to \"{}\", which the function doesn't declare", a.ref_attr_name())
                         : "";
  }
  if (a.type() == onnx::AttributeProto::UNDEFINED) {
    // Types became mandatory with IR 2.
    return model.has_ir_version() && model.ir_version() < 2
               ? ""
               : fmt::format("has no type{}", held.empty() ? "" : ", and holds " + held);
  }
  const std::string type = onnx::AttributeProto::AttributeType_Name(a.type());
  if (!held.empty() && held != type) {
    return fmt::format("is declared {}, but holds {}", type, held);
  }
  switch (a.type()) {
    case onnx::AttributeProto::TENSOR:
    case onnx::AttributeProto::GRAPH:
    case onnx::AttributeProto::SPARSE_TENSOR:
    case onnx::AttributeProto::TYPE_PROTO:
      return own ? "" : fmt::format("is declared {}, but holds nothing", type);
    default:
      return "";
  }
}

}  // namespace gomai
