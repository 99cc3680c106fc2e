// The types of a session's inputs and outputs, from ONNX Runtime's words into ours.
#ifdef GOMAI_WITH_ONNXRUNTIME

#include <algorithm>

#include "lib/model/model.h"
#include "lib/runtime/onnxruntime_internal.h"

namespace gomai::ort {
namespace {

std::string TensorType(const OrtApi& api, const OrtTensorTypeAndShapeInfo* info) {
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  if (OrtStatus* status = api.GetTensorElementType(info, &type); status != nullptr) {
    api.ReleaseStatus(status);
  }
  return DtypeName(ToDtype(type));
}

// Ranks as the model declares them.
void Settle(const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& declared, std::vector<ValueSpec>& specs) {
  for (ValueSpec& spec : specs) {
    for (const onnx::ValueInfoProto& value : declared) {
      if (spec.dtype != 0 && !spec.has_shape && value.name() == spec.name) {
        spec.has_shape = value.type().tensor_type().has_shape() && value.type().tensor_type().shape().dim_size() == 0;
      }
    }
  }
}

}  // namespace

int ToDtype(ONNXTensorElementDataType type) {
  return static_cast<int>(type);  // ONNX Runtime's numbers are copied from ONNX's
}

absl::StatusOr<std::string> TypeText(const Library& library, const OrtTypeInfo* info, int depth) {
  const OrtApi& api = *library.api;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  constexpr std::string_view kDoing = "reading a value's type";
  GOMAI_RETURN_IF_ERROR(library.Check(api.GetOnnxTypeFromTypeInfo(info, &kind), kDoing));
  if (depth > 4) {
    return "…";
  }
  switch (kind) {
    case ONNX_TYPE_TENSOR:
    case ONNX_TYPE_SPARSETENSOR: {
      const OrtTensorTypeAndShapeInfo* tensor = nullptr;
      GOMAI_RETURN_IF_ERROR(library.Check(api.CastTypeInfoToTensorInfo(info, &tensor), kDoing));
      const std::string element = tensor != nullptr ? TensorType(api, tensor) : "undefined";
      return kind == ONNX_TYPE_TENSOR ? element : fmt::format("sparse({})", element);
    }
    case ONNX_TYPE_SEQUENCE: {
      const OrtSequenceTypeInfo* sequence = nullptr;
      GOMAI_RETURN_IF_ERROR(library.Check(api.CastTypeInfoToSequenceTypeInfo(info, &sequence), kDoing));
      Owned<OrtTypeInfo> element(api.ReleaseTypeInfo);
      GOMAI_RETURN_IF_ERROR(library.Check(api.GetSequenceElementType(sequence, element.out()), kDoing));
      GOMAI_ASSIGN_OR_RETURN(const std::string inner, TypeText(library, element.get(), depth + 1));
      return fmt::format("sequence({})", inner);
    }
    case ONNX_TYPE_OPTIONAL: {
      const OrtOptionalTypeInfo* optional = nullptr;
      GOMAI_RETURN_IF_ERROR(library.Check(api.CastTypeInfoToOptionalTypeInfo(info, &optional), kDoing));
      Owned<OrtTypeInfo> element(api.ReleaseTypeInfo);
      GOMAI_RETURN_IF_ERROR(library.Check(api.GetOptionalContainedTypeInfo(optional, element.out()), kDoing));
      GOMAI_ASSIGN_OR_RETURN(const std::string inner, TypeText(library, element.get(), depth + 1));
      return fmt::format("optional({})", inner);
    }
    case ONNX_TYPE_MAP: {
      const OrtMapTypeInfo* map = nullptr;
      GOMAI_RETURN_IF_ERROR(library.Check(api.CastTypeInfoToMapTypeInfo(info, &map), kDoing));
      ONNXTensorElementDataType key = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
      GOMAI_RETURN_IF_ERROR(library.Check(api.GetMapKeyType(map, &key), kDoing));
      Owned<OrtTypeInfo> element(api.ReleaseTypeInfo);
      GOMAI_RETURN_IF_ERROR(library.Check(api.GetMapValueType(map, element.out()), kDoing));
      GOMAI_ASSIGN_OR_RETURN(const std::string inner, TypeText(library, element.get(), depth + 1));
      return fmt::format("map({},{})", DtypeName(ToDtype(key)), inner);
    }
    default:
      return "value of a type unknown to gomai";
  }
}

absl::StatusOr<ValueSpec> ReadSpec(const Library& library, std::string name, const OrtTypeInfo* info) {
  const OrtApi& api = *library.api;
  ValueSpec spec;
  spec.name = std::move(name);
  const std::string doing = fmt::format("reading the type of '{}'", spec.name);
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  GOMAI_RETURN_IF_ERROR(library.Check(api.GetOnnxTypeFromTypeInfo(info, &kind), doing));
  if (kind != ONNX_TYPE_TENSOR) {
    GOMAI_ASSIGN_OR_RETURN(spec.type, TypeText(library, info, 0));
    return spec;
  }
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  GOMAI_RETURN_IF_ERROR(library.Check(api.CastTypeInfoToTensorInfo(info, &tensor), doing));
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  GOMAI_RETURN_IF_ERROR(library.Check(api.GetTensorElementType(tensor, &type), doing));
  spec.dtype = ToDtype(type);
  spec.type = DtypeName(spec.dtype);
  size_t rank = 0;
  GOMAI_RETURN_IF_ERROR(library.Check(api.GetDimensionsCount(tensor, &rank), doing));
  spec.shape.resize(rank);
  std::vector<const char*> symbols(rank);
  GOMAI_RETURN_IF_ERROR(library.Check(api.GetDimensions(tensor, spec.shape.data(), rank), doing));
  GOMAI_RETURN_IF_ERROR(library.Check(api.GetSymbolicDimensions(tensor, symbols.data(), rank), doing));
  for (size_t i = 0; i < rank; ++i) {
    spec.shape[i] = std::max<int64_t>(spec.shape[i], -1);
    spec.symbols.emplace_back(spec.shape[i] < 0 && symbols[i] != nullptr ? symbols[i] : "");
  }
  spec.has_shape = rank > 0;  // empty: a scalar or an unknown rank; see SettleRanks
  return spec;
}

void SettleRanks(const std::filesystem::path& model, const std::string* bytes, std::vector<ValueSpec>& inputs,
                 std::vector<ValueSpec>& outputs) {
  const auto unsettled = [](const ValueSpec& spec) { return spec.dtype != 0 && !spec.has_shape; };
  if (std::none_of(inputs.begin(), inputs.end(), unsettled) &&
      std::none_of(outputs.begin(), outputs.end(), unsettled)) {
    return;
  }
  if (bytes != nullptr) {
    onnx::ModelProto proto;
    if (proto.ParseFromString(*bytes)) {
      Settle(proto.graph().input(), inputs);
      Settle(proto.graph().output(), outputs);
    }
    return;
  }
  // What the runtime can load but we can't (its own .ort format) just stays unsettled.
  if (const absl::StatusOr<Model> loaded = Model::Load(model); loaded.ok()) {
    Settle(loaded->proto().graph().input(), inputs);
    Settle(loaded->proto().graph().output(), outputs);
  }
}

}  // namespace gomai::ort

#endif  // GOMAI_WITH_ONNXRUNTIME
