// Between the declarations of a model and the tensors of a manifest; see manifest.h.
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/model/dtype.h"
#include "lib/split/manifest.h"

namespace gomai {

std::vector<Dim> DescribeShape(const onnx::TensorShapeProto& shape) {
  std::vector<Dim> dims;
  for (const auto& dim : shape.dim()) {
    Dim& described = dims.emplace_back();
    if (dim.has_dim_value() && dim.dim_value() >= 0) {
      described.value = dim.dim_value();
    } else if (dim.has_dim_param()) {
      described.symbol = dim.dim_param();
    }
  }
  return dims;
}

ManifestTensor DescribeTensor(const onnx::ValueInfoProto& info) {
  ManifestTensor tensor;
  tensor.name = info.name();
  tensor.dtype = TypeName(info.type());
  if (info.type().has_tensor_type() && info.type().tensor_type().has_shape()) {
    tensor.shape = DescribeShape(info.type().tensor_type().shape());
  }
  return tensor;
}

void SetShape(const std::vector<Dim>& dims, onnx::TensorShapeProto* shape) {
  shape->clear_dim();
  for (const Dim& dim : dims) {
    auto* added = shape->add_dim();
    if (dim.value) {
      added->set_dim_value(*dim.value);
    } else if (!dim.symbol.empty()) {
      added->set_dim_param(dim.symbol);
    }
  }
}

onnx::TypeProto TypeOf(const ManifestTensor& tensor) {
  onnx::TypeProto type = ParseTypeName(tensor.dtype).value_or(onnx::TypeProto());
  if (tensor.shape && type.has_tensor_type()) {
    SetShape(*tensor.shape, type.mutable_tensor_type()->mutable_shape());
  }
  return type;
}

std::string DescribeType(const ManifestTensor& tensor) {
  if (!tensor.shape) {
    return tensor.dtype;
  }
  std::vector<std::string> dims;
  for (const Dim& dim : *tensor.shape) {
    dims.push_back(dim.value ? std::to_string(*dim.value) : dim.symbol.empty() ? "?" : dim.symbol);
  }
  return fmt::format("{} [{}]", tensor.dtype, fmt::join(dims, ","));
}

bool ShapesAgree(const ManifestTensor& a, const ManifestTensor& b) {
  return !a.shape || !b.shape ||
         std::equal(a.shape->begin(), a.shape->end(), b.shape->begin(), b.shape->end(),
                    [](const Dim& x, const Dim& y) { return !x.value || !y.value || *x.value == *y.value; });
}

void Append(const std::string& part, Runs* runs) {
  if (!runs->empty() && runs->back().first == part) {
    ++runs->back().second;
  } else {
    runs->emplace_back(part, 1);
  }
}

}  // namespace gomai
