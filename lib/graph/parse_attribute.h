#pragma once

// Attribute values as people write them, and operators' schemas as they are looked up for a node.
//
//   GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* schema, RequireSchema(model.proto(), index, scope, "", "MaxPool"));
//   GOMAI_ASSIGN_OR_RETURN(onnx::AttributeProto strides, ParseAttribute(*schema, "strides", "[2,2]"));

#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/graph/index.h"

namespace gomai {

// The schema of an operator at the opset that the scope imports (a function's own imports, else the model's). Errors:
// kInvalidArgument for a domain that isn't imported, kNotFound for an operator that ONNX's schemas don't know there,
// with the nearest names.
absl::StatusOr<const onnx::OpSchema*> RequireSchema(const onnx::ModelProto& model, const Index& index, ScopeId scope,
                                                    std::string_view domain, std::string_view op_type);

// An attribute of the type that the schema gives it. Numbers or strings separated by commas, brackets around them
// optional; inf, -inf and nan are numbers. Errors: kNotFound for an attribute that the operator doesn't have, with the
// nearest names; kInvalidArgument for a value of another type, and for attributes that text can't give (tensors,
// graphs).
absl::StatusOr<onnx::AttributeProto> ParseAttribute(const onnx::OpSchema& schema, std::string_view name,
                                                    std::string_view value);

// The same of a type that the caller knows; kInvalidArgument.
absl::StatusOr<onnx::AttributeProto> ParseAttributeAs(onnx::AttributeProto::AttributeType type, std::string_view name,
                                                      std::string_view value);
// What a value without a declared type looks like: an integer, a number, else text; a list of them in brackets or with
// commas. nullopt for an empty list, which could be of any type.
std::optional<onnx::AttributeProto::AttributeType> GuessAttributeType(std::string_view value);
// "int", "ints", "float", "floats", "string", "strings": the types that text can give.
std::string AttributeTypeName(onnx::AttributeProto::AttributeType type);
std::optional<onnx::AttributeProto::AttributeType> ParseAttributeType(std::string_view name);

// A tensor of this element type (TensorProto.DataType) as schemas write it, "tensor(float)"; "" for 0 and for types
// that ONNX doesn't know.
std::string SchemaType(int dtype);
// May input `input` of the operator be such a tensor? True also if SchemaType gives nothing to go by.
bool AcceptsDtype(const onnx::OpSchema& schema, size_t input, int dtype);

}  // namespace gomai
