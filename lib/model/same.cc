// Equality of tensors and fragments; see same.h.
#include "lib/model/same.h"

#include <vector>

#include "lib/model/files.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/model/value_digest.h"

namespace gomai {
namespace {

std::string FieldsWithoutData(onnx::TensorProto tensor) {
  ClearData(tensor);
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
  return SameReference(a, b) && SameFolder(of_a.folder(), of_b.folder());
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
  ValueDigests digests_a(of_a);
  ValueDigests digests_b(of_b);
  for (const auto digest : {&ValueDigests::Start, &ValueDigests::Whole}) {  // most that differ do so at the start
    GOMAI_ASSIGN_OR_RETURN(const std::string digest_a, (digests_a.*digest)(a));
    GOMAI_ASSIGN_OR_RETURN(const std::string digest_b, (digests_b.*digest)(b));
    if (digest_a != digest_b) {
      return false;
    }
  }
  return true;
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
    }
  }
  std::string bytes_a;
  std::string bytes_b;
  return SerializeDeterministic(a, &bytes_a) && SerializeDeterministic(b, &bytes_b) && bytes_a == bytes_b;
}

}  // namespace gomai
