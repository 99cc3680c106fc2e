// Rows fixed, and rows run; see batching.h. Full calls read the list where it lies; only the last one is copied, to be
// padded.
#include "lib/split/batching.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "lib/model/dtype.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

onnx::TensorShapeProto::Dimension* FirstDim(onnx::ValueInfoProto& info) {
  auto& type = *info.mutable_type()->mutable_tensor_type();
  return info.type().has_tensor_type() && type.has_shape() && type.shape().dim_size() > 0
             ? type.mutable_shape()->mutable_dim(0)
             : nullptr;
}

bool IsOpen(const onnx::TensorShapeProto::Dimension& dim) { return !dim.has_dim_value() || dim.dim_value() < 0; }

// The types of the part's outputs when its batched inputs have so many rows.
absl::StatusOr<std::vector<onnx::TypeProto>> OutputsWith(Model& part, const std::vector<int>& inputs, int64_t rows) {
  onnx::GraphProto& graph = *part.mutable_proto().mutable_graph();
  for (const int i : inputs) {
    FirstDim(*graph.mutable_input(i))->set_dim_value(rows);
  }
  // What outputs declare would fill in what isn't known.
  std::vector<onnx::TypeProto> declared;
  for (onnx::ValueInfoProto& output : *graph.mutable_output()) {
    declared.push_back(output.type());
    if (FirstDim(output) != nullptr) {
      for (auto& dim : *output.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
        dim.clear_value();
      }
    }
  }
  absl::StatusOr<Shapes> shapes = InferShapes(part, Index(part.proto()));
  std::vector<onnx::TypeProto> types;
  for (int i = 0; i < graph.output_size(); ++i) {
    const onnx::TypeProto* type = shapes.ok() ? shapes->Find(graph.output(i).name()) : nullptr;
    types.push_back(type == nullptr ? onnx::TypeProto() : *type);
    graph.mutable_output(i)->mutable_type()->Swap(&declared[static_cast<size_t>(i)]);
  }
  return shapes.ok() ? absl::StatusOr<std::vector<onnx::TypeProto>>(std::move(types)) : shapes.status();
}

// Is `more` the same shape with one row more?
bool OneMore(const onnx::TypeProto& with, const onnx::TypeProto& more, int64_t rows) {
  const onnx::TensorShapeProto* a = FindShape(with);
  const onnx::TensorShapeProto* b = FindShape(more);
  if (a == nullptr || b == nullptr || a->dim_size() == 0 || a->dim_size() != b->dim_size() ||
      a->dim(0).dim_value() != rows || b->dim(0).dim_value() != rows + 1) {
    return false;
  }
  for (int i = 1; i < a->dim_size(); ++i) {
    if (a->dim(i).SerializeAsString() != b->dim(i).SerializeAsString()) {
      return false;
    }
  }
  return true;
}

// Rows [first, first + count) of a list, without a copy.
HostTensor Rows(const HostTensor& tensor, int64_t first, int64_t count) {
  std::vector<int64_t> shape = tensor.shape();
  const auto row = static_cast<size_t>(shape[0] == 0 ? 0 : tensor.bytes().size() / static_cast<size_t>(shape[0]));
  shape[0] = count;
  auto keep = std::make_shared<HostTensor>(tensor);
  return HostTensor::Wrap(tensor.dtype(), std::move(shape),
                          keep->bytes().subspan(static_cast<size_t>(first) * row, static_cast<size_t>(count) * row),
                          keep);
}

absl::StatusOr<HostTensor> Padded(const HostTensor& tensor, int64_t first, int64_t size) {
  const HostTensor rows = Rows(tensor, first, tensor.shape()[0] - first);
  std::vector<int64_t> shape = tensor.shape();
  shape[0] = size;
  GOMAI_ASSIGN_OR_RETURN(HostTensor padded, HostTensor::Create(tensor.dtype(), std::move(shape)));
  std::copy(rows.bytes().begin(), rows.bytes().end(), padded.mutable_bytes().begin());
  return padded;
}

absl::StatusOr<int64_t> CountRows(const ManifestBatching& batching, const NamedTensors& feeds) {
  std::string first;
  int64_t rows = 0;
  for (const std::string& name : batching.inputs) {
    const auto feed = feeds.find(name);
    if (feed == feeds.end()) {
      return InvalidArgument("the input '{}' is missing", name);
    }
    const HostTensor& tensor = feed->second;
    if (tensor.shape().empty() || tensor.is_string() || BitsPerElement(tensor.dtype()) % 8 != 0) {
      return InvalidArgument("the input '{}', {}, can't be taken apart into rows", name, tensor.Describe());
    }
    if (!first.empty() && tensor.shape()[0] != rows) {
      return InvalidArgument("the inputs '{}' and '{}' have {} and {} rows; they go together row by row", first, name,
                             rows, tensor.shape()[0]);
    }
    first = name;
    rows = tensor.shape()[0];
  }
  return rows;
}

// A list of `rows` rows like those of a result.
absl::StatusOr<HostTensor> ListLike(const ValueSpec& spec, int64_t rows) {
  std::vector<int64_t> shape = spec.shape;
  if (shape.empty() || std::count(shape.begin() + 1, shape.end(), -1) != 0) {
    return InvalidArgument("the output '{}', {}, has no fixed size but its rows, so an empty list of it can't be made",
                           spec.name, DescribeSpec(spec));
  }
  shape[0] = rows;
  return HostTensor::Create(spec.dtype, std::move(shape));
}

}  // namespace

absl::StatusOr<ManifestBatching> FixRows(Model& part, int64_t size) {
  onnx::GraphProto& graph = *part.mutable_proto().mutable_graph();
  ManifestBatching batching{.size = size, .inputs = {}, .outputs = {}};
  std::vector<int> inputs;
  for (int i = 0; i < graph.input_size(); ++i) {
    if (const auto* dim = FirstDim(*graph.mutable_input(i)); dim != nullptr && IsOpen(*dim)) {
      inputs.push_back(i);
      batching.inputs.push_back(graph.input(i).name());
    }
  }
  if (inputs.empty()) {
    return InvalidArgument("no input of it has an open first axis, so there are no rows to take in fixed numbers");
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> more, OutputsWith(part, inputs, size + 1));
  GOMAI_ASSIGN_OR_RETURN(const std::vector<onnx::TypeProto> types, OutputsWith(part, inputs, size));
  for (int i = 0; i < graph.output_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (!OneMore(types[at], more[at], size)) {
      return FailedPrecondition(
          "its output '{}' has the shape {} for {} rows and {} for {}: it isn't one row for each row that goes in, so "
          "the part can't be run on a fixed number of rows",
          graph.output(i).name(), ShapeText(types[at]), size, ShapeText(more[at]), size + 1);
    }
    batching.outputs.push_back(graph.output(i).name());
    *graph.mutable_output(i)->mutable_type() = types[at];
  }
  return batching;
}

absl::StatusOr<BatchedRun> RunRows(Session& session, const ManifestBatching& batching, const NamedTensors& feeds) {
  GOMAI_ASSIGN_OR_RETURN(const int64_t rows, CountRows(batching, feeds));
  BatchedRun run;
  for (const ValueSpec& spec : session.outputs()) {
    if (std::find(batching.outputs.begin(), batching.outputs.end(), spec.name) == batching.outputs.end()) {
      return InvalidArgument("the output '{}' isn't among those that the manifest's batching names", spec.name);
    }
    GOMAI_ASSIGN_OR_RETURN(HostTensor list, ListLike(spec, rows));
    run.outputs.emplace(spec.name, std::move(list));
  }
  for (int64_t first = 0; first < rows; first += batching.size) {
    const int64_t count = std::min(batching.size, rows - first);
    NamedTensors call = feeds;
    for (const std::string& name : batching.inputs) {
      const HostTensor& list = feeds.at(name);
      if (count == batching.size) {
        call.insert_or_assign(name, Rows(list, first, count));
      } else {
        GOMAI_ASSIGN_OR_RETURN(HostTensor padded, Padded(list, first, batching.size));
        call.insert_or_assign(name, std::move(padded));
      }
    }
    const auto start = std::chrono::steady_clock::now();
    GOMAI_ASSIGN_OR_RETURN(const NamedTensors results, session.Run(call, {}));
    run.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++run.calls;
    for (auto& [name, list] : run.outputs) {
      const HostTensor& result = results.at(name);
      if (result.shape().empty() || result.shape()[0] != batching.size) {
        return Internal("the output '{}' is {} in a call on {} rows", name, result.Describe(), batching.size);
      }
      const HostTensor kept = Rows(result, 0, count);
      const size_t row = kept.bytes().size() / static_cast<size_t>(count);
      if (list.bytes().size() != row * static_cast<size_t>(rows)) {
        return Internal("the output '{}' is {} in a call, and was declared otherwise", name, result.Describe());
      }
      std::memcpy(list.mutable_bytes().data() + static_cast<size_t>(first) * row, kept.bytes().data(),
                  kept.bytes().size());
    }
  }
  return run;
}

}  // namespace gomai
