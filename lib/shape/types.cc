// Joining and refining types. A dim is unknown if it has neither value nor symbol.
#include "lib/base/text.h"
#include "lib/shape/infer.h"
#include "lib/shape/inference.h"

namespace gomai {

const onnx::TensorShapeProto* FindShape(const onnx::TypeProto& type) {
  if (type.has_tensor_type()) {
    return type.tensor_type().has_shape() ? &type.tensor_type().shape() : nullptr;
  }
  if (type.has_sparse_tensor_type()) {
    return type.sparse_tensor_type().has_shape() ? &type.sparse_tensor_type().shape() : nullptr;
  }
  return nullptr;
}

onnx::TensorShapeProto* MutableShape(onnx::TypeProto& type) {
  if (FindShape(type) == nullptr) {
    return nullptr;
  }
  return type.has_tensor_type() ? type.mutable_tensor_type()->mutable_shape()
                                : type.mutable_sparse_tensor_type()->mutable_shape();
}

std::string ShapeText(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return "?";
  }
  bool symbolic = false;
  std::string text;
  for (const auto& dim : shape->dim()) {
    symbolic = symbolic || !dim.dim_param().empty();
  }
  const bool brackets = symbolic || shape->dim_size() == 0;
  for (const auto& dim : shape->dim()) {
    if (!text.empty()) {
      text += brackets ? "," : "x";
    }
    text += dim.has_dim_value() ? fmt::to_string(dim.dim_value()) : dim.dim_param().empty() ? "?" : dim.dim_param();
  }
  // One unknown dim alone must not read as an unknown rank.
  return brackets || (shape->dim_size() == 1 && text == "?") ? "[" + text + "]" : text;
}

absl::StatusOr<onnx::TensorShapeProto> ParseShapeText(std::string_view text) {
  char separator = 'x';
  if (text.starts_with('[') && text.ends_with(']')) {
    text = text.substr(1, text.size() - 2);
    separator = ',';  // so that symbols may hold an x
  }
  onnx::TensorShapeProto shape;
  for (const std::string& piece : SplitList(text, separator)) {
    const std::string dim(Trim(piece));
    auto* entry = shape.add_dim();
    if (dim == "?") {
      continue;
    }
    if (const std::optional<int64_t> value = ParseInt64(dim)) {
      if (*value < 0) {
        return InvalidArgument("a dim can't be negative; use ? for an open one");
      }
      entry->set_dim_value(*value);
    } else if (!dim.empty()) {
      entry->set_dim_param(dim);
    } else {
      return InvalidArgument("an empty dim");
    }
  }
  return shape;
}

namespace shape {
namespace {

bool IsKnown(const onnx::TensorShapeProto::Dimension& dim) { return dim.has_dim_value() || !dim.dim_param().empty(); }

bool SameDim(const onnx::TensorShapeProto::Dimension& a, const onnx::TensorShapeProto::Dimension& b) {
  if (a.has_dim_value() || b.has_dim_value()) {
    return a.has_dim_value() && b.has_dim_value() && a.dim_value() == b.dim_value();
  }
  return a.dim_param() == b.dim_param();
}

void SanitiseShape(onnx::TensorShapeProto& shape) {
  for (auto& dim : *shape.mutable_dim()) {
    if ((dim.has_dim_value() && dim.dim_value() < 0) || (dim.has_dim_param() && dim.dim_param().empty())) {
      dim.clear_value();
    }
  }
}

// The type inside a sequence or optional; nullptr for others.
onnx::TypeProto* MutableElement(onnx::TypeProto& type) {
  if (type.has_sequence_type()) {
    return type.mutable_sequence_type()->mutable_elem_type();
  }
  if (type.has_optional_type()) {
    return type.mutable_optional_type()->mutable_elem_type();
  }
  return nullptr;
}

const onnx::TypeProto* FindElement(const onnx::TypeProto& type) {
  if (type.has_sequence_type()) {
    return &type.sequence_type().elem_type();
  }
  if (type.has_optional_type()) {
    return &type.optional_type().elem_type();
  }
  return nullptr;
}

void ClearShape(onnx::TypeProto& type) {
  if (type.has_tensor_type()) {
    type.mutable_tensor_type()->clear_shape();
  } else if (type.has_sparse_tensor_type()) {
    type.mutable_sparse_tensor_type()->clear_shape();
  }
}

}  // namespace

bool IsTensor(const onnx::TypeProto& type) { return type.has_tensor_type() || type.has_sparse_tensor_type(); }

int ElementType(const onnx::TypeProto& type) {
  return type.has_tensor_type()          ? type.tensor_type().elem_type()
         : type.has_sparse_tensor_type() ? type.sparse_tensor_type().elem_type()
                                         : 0;
}

void SetShape(onnx::TypeProto& type, onnx::TensorShapeProto shape) {
  if (type.has_sparse_tensor_type()) {
    *type.mutable_sparse_tensor_type()->mutable_shape() = std::move(shape);
  } else if (type.has_tensor_type() || type.value_case() == onnx::TypeProto::VALUE_NOT_SET) {
    *type.mutable_tensor_type()->mutable_shape() = std::move(shape);
  }
}

onnx::TensorShapeProto OpenShape(int64_t rank) {
  onnx::TensorShapeProto shape;
  for (int64_t i = 0; i < rank; ++i) {
    shape.add_dim();
  }
  return shape;
}

onnx::TypeProto Join(const onnx::TypeProto& a, const onnx::TypeProto& b) {
  if (a.value_case() != b.value_case()) {
    return {};
  }
  onnx::TypeProto joined = a;
  // Bounded by the parser's own limit on nesting: a type is as deep as the message that holds it.
  if (onnx::TypeProto* element = MutableElement(joined); element != nullptr) {
    *element = Join(*element, *FindElement(b));
    return joined;
  }
  if (!IsTensor(a)) {
    return joined;
  }
  if (ElementType(a) != ElementType(b)) {
    return {};
  }
  const onnx::TensorShapeProto* other = FindShape(b);
  onnx::TensorShapeProto* shape = MutableShape(joined);
  if (shape == nullptr || other == nullptr || shape->dim_size() != other->dim_size()) {
    ClearShape(joined);
    return joined;
  }
  for (int i = 0; i < shape->dim_size(); ++i) {
    if (!SameDim(shape->dim(i), other->dim(i))) {
      shape->mutable_dim(i)->clear_value();
    }
  }
  return joined;
}

void Refine(onnx::TypeProto& type, const onnx::TypeProto& other) {
  if (type.value_case() == onnx::TypeProto::VALUE_NOT_SET) {
    type = other;
    return;
  }
  if (type.value_case() != other.value_case()) {
    return;
  }
  if (onnx::TypeProto* element = MutableElement(type); element != nullptr) {
    Refine(*element, *FindElement(other));
    return;
  }
  if (!IsTensor(type)) {
    return;
  }
  const int elements = ElementType(other);
  if (ElementType(type) == 0 && elements != 0) {
    type.has_tensor_type() ? type.mutable_tensor_type()->set_elem_type(elements)
                           : type.mutable_sparse_tensor_type()->set_elem_type(elements);
  }
  const onnx::TensorShapeProto* more = FindShape(other);
  if (more == nullptr || (elements != 0 && ElementType(type) != elements)) {
    return;
  }
  onnx::TensorShapeProto* shape = MutableShape(type);
  if (shape == nullptr) {
    SetShape(type, *more);
    return;
  }
  if (shape->dim_size() != more->dim_size()) {
    return;
  }
  for (int i = 0; i < shape->dim_size(); ++i) {
    if (shape->dim(i).has_dim_value() && more->dim(i).has_dim_value() && !SameDim(shape->dim(i), more->dim(i))) {
      return;  // one known dim that contradicts makes the rest doubtful
    }
  }
  for (int i = 0; i < shape->dim_size(); ++i) {
    if (!shape->dim(i).has_dim_value() && IsKnown(more->dim(i)) &&
        (more->dim(i).has_dim_value() || !IsKnown(shape->dim(i)))) {
      *shape->mutable_dim(i) = more->dim(i);
    }
  }
}

void Sanitise(onnx::TypeProto& type) {
  if (onnx::TensorShapeProto* shape = MutableShape(type); shape != nullptr) {
    SanitiseShape(*shape);
  } else if (onnx::TypeProto* element = MutableElement(type); element != nullptr) {
    Sanitise(*element);
  }
}

bool Same(const onnx::TypeProto& a, const onnx::TypeProto& b) {
  return a.SerializeAsString() == b.SerializeAsString();  // no maps and no unknown order in a type
}

}  // namespace shape
}  // namespace gomai
