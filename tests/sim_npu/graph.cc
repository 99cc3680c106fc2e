#include "tests/sim_npu/graph.h"

#include <cstring>

namespace gomai::sim {
namespace {

OrtOpAttrType TypeOf(const Host& host, const OrtOpAttr* attribute) {
  OrtOpAttrType type = ORT_OP_ATTR_UNDEFINED;
  Check(host, host.api->OpAttr_GetType(attribute, &type));
  return type;
}

std::vector<const OrtOpAttr*> AttributesOf(const Host& host, const OrtNode* node) {
  return All<OrtOpAttr>(host, node, host.api->Node_GetNumAttributes, host.api->Node_GetAttributes);
}

template <typename T>
T ReadOne(const Host& host, const OrtOpAttr* attribute, OrtOpAttrType type) {
  T value{};
  size_t size = 0;
  Check(host, host.api->ReadOpAttr(attribute, type, &value, sizeof(value), &size));
  return value;
}

// The attribute's bytes. Asked without room for them, the runtime fails and says how much it takes.
std::string ReadBytes(const Host& host, const OrtOpAttr* attribute, OrtOpAttrType type) {
  size_t size = 0;
  OrtStatus* const status = host.api->ReadOpAttr(attribute, type, nullptr, 0, &size);
  if (status != nullptr) {
    host.api->ReleaseStatus(status);
  }
  std::string bytes(size, '\0');
  if (size != 0) {
    Check(host, host.api->ReadOpAttr(attribute, type, bytes.data(), size, &size));
  }
  return bytes;
}

template <typename T>
std::vector<T> ReadMany(const Host& host, const OrtOpAttr* attribute, OrtOpAttrType type) {
  const std::string bytes = ReadBytes(host, attribute, type);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) {
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  }
  return values;
}

// The runtime gives them one after another, a zero behind each.
std::vector<std::string> ReadStrings(const Host& host, const OrtOpAttr* attribute) {
  const std::string bytes = ReadBytes(host, attribute, ORT_OP_ATTR_STRINGS);
  std::vector<std::string> strings;
  for (size_t at = 0; at < bytes.size(); at += strings.back().size() + 1) {
    strings.emplace_back(bytes.c_str() + at);
  }
  return strings;
}

Attribute ReadAttribute(const Host& host, const OrtOpAttr* attribute) {
  const char* name = nullptr;
  Check(host, host.api->OpAttr_GetName(attribute, &name));
  const OrtOpAttrType type = TypeOf(host, attribute);
  switch (type) {
    case ORT_OP_ATTR_INT:
      return {name, ReadOne<int64_t>(host, attribute, type)};
    case ORT_OP_ATTR_FLOAT:
      return {name, ReadOne<float>(host, attribute, type)};
    case ORT_OP_ATTR_STRING:
      return {name, ReadBytes(host, attribute, type)};
    case ORT_OP_ATTR_INTS:
      return {name, ReadMany<int64_t>(host, attribute, type)};
    case ORT_OP_ATTR_FLOATS:
      return {name, ReadMany<float>(host, attribute, type)};
    case ORT_OP_ATTR_STRINGS:
      return {name, ReadStrings(host, attribute)};
    case ORT_OP_ATTR_TENSOR: {
      OrtValue* value = nullptr;
      Check(host, host.api->OpAttr_GetTensorAttributeAsOrtValue(attribute, &value));
      const Owned<OrtValue> owner(value, host.api->ReleaseValue);
      return {name, ReadTensor(host, value, "")};
    }
    case ORT_OP_ATTR_GRAPH:
    case ORT_OP_ATTR_UNDEFINED:
      break;
  }
  throw Failure("sim_npu: the attribute '" + std::string(name) + "' is of a type that can't be read");
}

std::vector<std::string> Names(const Host& host, const std::vector<const OrtValueInfo*>& values) {
  std::vector<std::string> names;
  for (const OrtValueInfo* value : values) {
    const char* name = "";
    if (value != nullptr) {
      Check(host, host.api->GetValueInfoName(value, &name));
    }
    names.emplace_back(name);
  }
  return names;
}

}  // namespace

std::vector<const OrtNode*> Nodes(const Host& host, const OrtGraph* graph) {
  return All<OrtNode>(host, graph, host.api->Graph_GetNumNodes, host.api->Graph_GetNodes);
}

std::vector<const OrtValueInfo*> Inputs(const Host& host, const OrtNode* node) {
  return All<OrtValueInfo>(host, node, host.api->Node_GetNumInputs, host.api->Node_GetInputs);
}

std::vector<const OrtValueInfo*> Outputs(const Host& host, const OrtNode* node) {
  return All<OrtValueInfo>(host, node, host.api->Node_GetNumOutputs, host.api->Node_GetOutputs);
}

Node ReadNode(const Host& host, const OrtNode* node) {
  const char* name = nullptr;
  const char* op = nullptr;
  const char* domain = nullptr;
  Check(host, host.api->Node_GetName(node, &name));
  Check(host, host.api->Node_GetOperatorType(node, &op));
  Check(host, host.api->Node_GetDomain(node, &domain));
  return {name, op, domain, Names(host, Inputs(host, node)), Names(host, Outputs(host, node)), {}};
}

Value ReadValue(const Host& host, const OrtValueInfo* info) {
  Value value;
  const char* name = nullptr;
  Check(host, host.api->GetValueInfoName(info, &name));
  value.name = name;
  const OrtTypeInfo* type = nullptr;
  Check(host, host.api->GetValueInfoTypeInfo(info, &type));
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  if (type != nullptr) {
    Check(host, host.api->GetOnnxTypeFromTypeInfo(type, &kind));
  }
  if (kind != ONNX_TYPE_TENSOR) {
    return value;
  }
  Check(host, host.api->CastTypeInfoToTensorInfo(type, &tensor));
  ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  Check(host, host.api->GetTensorElementType(tensor, &dtype));
  value.dtype = dtype;  // numbered as in TensorProto.DataType
  size_t rank = 0;
  Check(host, host.api->GetDimensionsCount(tensor, &rank));
  value.shape.resize(rank);
  Check(host, host.api->GetDimensions(tensor, value.shape.data(), rank));
  value.has_shape = rank != 0;  // older libraries can't tell a scalar from an unknown rank
#if ORT_API_VERSION >= 24
  if (host.version >= 24) {
    value.has_shape = host.api->TensorTypeAndShape_HasShape(tensor);
  }
#endif
  return value;
}

Tensor ReadTensor(const Host& host, const OrtValue* value, const std::string& name) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  Check(host, host.api->GetTensorTypeAndShape(value, &info));
  const Owned<OrtTensorTypeAndShapeInfo> owner(info, host.api->ReleaseTensorTypeAndShapeInfo);
  ONNXTensorElementDataType dtype = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  Check(host, host.api->GetTensorElementType(info, &dtype));
  size_t rank = 0;
  Check(host, host.api->GetDimensionsCount(info, &rank));
  std::vector<int64_t> shape(rank);
  Check(host, host.api->GetDimensions(info, shape.data(), rank));
  if (dtype == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
    throw Failure("sim_npu: '" + name + "' holds strings");
  }
  size_t size = 0;
  Check(host, host.api->GetTensorSizeInBytes(value, &size));
  const void* data = nullptr;
  Check(host, host.api->GetTensorData(value, &data));
  return {name, dtype, shape, std::string(static_cast<const char*>(data), size)};
}

std::vector<Attribute> ReadAttributes(const Host& host, const OrtNode* node) {
  std::vector<Attribute> attributes;
  for (const OrtOpAttr* attribute : AttributesOf(host, node)) {
    attributes.push_back(ReadAttribute(host, attribute));
  }
  return attributes;
}

bool HasReadableAttributes(const Host& host, const OrtNode* node) {
  for (const OrtOpAttr* attribute : AttributesOf(host, node)) {
    const OrtOpAttrType type = TypeOf(host, attribute);
    if (type == ORT_OP_ATTR_GRAPH || type == ORT_OP_ATTR_UNDEFINED) {
      return false;
    }
  }
  return true;
}

std::string StringAttribute(const Host& host, const OrtNode* node, const char* name) {
  for (const OrtOpAttr* attribute : AttributesOf(host, node)) {
    const char* found = nullptr;
    Check(host, host.api->OpAttr_GetName(attribute, &found));
    if (std::strcmp(found, name) == 0 && TypeOf(host, attribute) == ORT_OP_ATTR_STRING) {
      return ReadBytes(host, attribute, ORT_OP_ATTR_STRING);
    }
  }
  return "";
}

}  // namespace gomai::sim
