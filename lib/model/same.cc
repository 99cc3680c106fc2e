// Equality of tensors and fragments; see same.h.
#include "lib/model/same.h"

#include <algorithm>
#include <vector>

#include "lib/model/files.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"

namespace gomai {
namespace {

std::string FieldsWithoutData(onnx::TensorProto tensor) {
  ClearData(tensor);
  tensor.clear_data_location();
  return tensor.SerializeAsString();
}

// Known to be the same bytes without a look at them.
bool SamePlace(const onnx::TensorProto& a, const Model& of_a, const onnx::TensorProto& b, const Model& of_b) {
  const std::optional<wire::Marker> mark_a = FindMarker(a);
  const std::optional<wire::Marker> mark_b = FindMarker(b);
  if (mark_a && mark_b) {
    const MappedFile* file_a = of_a.sources().Find(mark_a->source_id);
    const MappedFile* file_b = of_b.sources().Find(mark_b->source_id);
    return mark_a->offset == mark_b->offset && mark_a->length == mark_b->length && mark_a->field == mark_b->field &&
           file_a != nullptr && file_b != nullptr && Identify(*file_a) == Identify(*file_b);
  }
  if (IsExternal(a) && IsExternal(b) && SameFolder(of_a.folder(), of_b.folder())) {
    const auto place_a = ReadExternalReference(a);
    const auto place_b = ReadExternalReference(b);
    return place_a.ok() && place_b.ok() && place_a->location == place_b->location &&
           place_a->offset == place_b->offset && place_a->length == place_b->length;
  }
  return false;
}

}  // namespace

absl::StatusOr<bool> SameTensor(const onnx::TensorProto& a, const Model& of_a, const onnx::TensorProto& b,
                                const Model& of_b) {
  if (FieldsWithoutData(a) != FieldsWithoutData(b)) {
    return false;
  }
  if (SamePlace(a, of_a, b, of_b)) {
    return true;
  }
  if (a.data_type() == onnx::TensorProto::STRING) {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> strings_a, ReadStrings(a));
    GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> strings_b, ReadStrings(b));
    return strings_a == strings_b;
  }
  GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes_a, ReadTensor(a, of_a));
  GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes_b, ReadTensor(b, of_b));
  return std::ranges::equal(bytes_a.bytes(), bytes_b.bytes());
}

absl::StatusOr<bool> SameFragment(onnx::ModelProto a, const Model& of_a, onnx::ModelProto b, const Model& of_b) {
  std::vector<onnx::TensorProto*> tensors_a;
  std::vector<onnx::TensorProto*> tensors_b;
  ForEachTensor(a, [&](onnx::TensorProto& tensor, TensorPlace) { tensors_a.push_back(&tensor); });
  ForEachTensor(b, [&](onnx::TensorProto& tensor, TensorPlace) { tensors_b.push_back(&tensor); });
  if (tensors_a.size() != tensors_b.size()) {
    return false;
  }
  for (size_t i = 0; i < tensors_a.size(); ++i) {
    GOMAI_ASSIGN_OR_RETURN(const bool same, SameTensor(*tensors_a[i], of_a, *tensors_b[i], of_b));
    if (!same) {
      return false;
    }
    for (onnx::TensorProto* tensor : {tensors_a[i], tensors_b[i]}) {
      ClearData(*tensor);
      tensor->clear_data_location();
    }
  }
  std::string bytes_a;
  std::string bytes_b;
  return SerializeDeterministic(a, &bytes_a) && SerializeDeterministic(b, &bytes_b) && bytes_a == bytes_b;
}

}  // namespace gomai
