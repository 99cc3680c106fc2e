// Rows fixed, and rows run; see batching.h. Full calls read the list where it lies; only the last one is copied, to be
// padded.
#include "lib/split/batching.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "lib/model/dtype.h"
#include "lib/pass/declared_shapes.h"
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

}  // namespace

absl::Status CheckRowType(std::string_view name, int dtype) {
  return dtype == onnx::TensorProto::STRING || BitsPerElement(dtype) % 8 != 0
             ? InvalidArgument("'{}' holds {}, of which rows can't be taken apart and put together", name,
                               DtypeName(dtype))
             : absl::OkStatus();
}

absl::StatusOr<ManifestBatching> FixRows(Model& part, int64_t size) {
  onnx::GraphProto& graph = *part.mutable_proto().mutable_graph();
  ManifestBatching batching{.size = size, .inputs = {}, .outputs = {}};
  if (size < 1 || size > kMostRows) {
    return InvalidArgument("{} rows at a time are out of range; give 1 to {}", size, kMostRows);
  }
  std::set<std::string> defaults;  // inputs with an initializer are constants of the part, not lists
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    defaults.insert(tensor.name());
  }
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
    defaults.insert(tensor.values().name());
  }
  std::vector<int> inputs;
  for (int i = 0; i < graph.input_size(); ++i) {
    if (defaults.contains(graph.input(i).name())) {
      continue;
    }
    if (const auto* dim = FirstDim(*graph.mutable_input(i)); dim != nullptr && IsOpen(*dim)) {
      GOMAI_RETURN_IF_ERROR(CheckRowType(graph.input(i).name(), graph.input(i).type().tensor_type().elem_type()));
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
    GOMAI_RETURN_IF_ERROR(CheckRowType(graph.output(i).name(), types[at].tensor_type().elem_type()));
    batching.outputs.push_back(graph.output(i).name());
    *graph.mutable_output(i)->mutable_type() = types[at];
  }
  GOMAI_RETURN_IF_ERROR(
      RefreshDeclaredShapes(part, {.allow_outputs = true, .complete = CompleteShapes::kNumbers}).status());
  return batching;
}

absl::StatusOr<BatchedRun> RunRows(Session& session, const ManifestBatching& batching, const NamedTensors& feeds) {
  GOMAI_ASSIGN_OR_RETURN(const int64_t rows, CountRows(batching, feeds));
  BatchedRun run;
  for (const ValueSpec& spec : session.outputs()) {
    if (std::find(batching.outputs.begin(), batching.outputs.end(), spec.name) == batching.outputs.end()) {
      return InvalidArgument("the output '{}' isn't among those that the manifest's batching names", spec.name);
    }
  }
  // Without a row there is nothing to call for; but a result of which more than the rows is open tells its shape only
  // then.
  const bool ask =
      rows == 0 && std::any_of(session.outputs().begin(), session.outputs().end(), [](const ValueSpec& spec) {
        return spec.shape.empty() || std::count(spec.shape.begin() + 1, spec.shape.end(), -1) != 0;
      });
  if (rows == 0 && !ask) {
    for (const ValueSpec& spec : session.outputs()) {
      std::vector<int64_t> shape = spec.shape;
      shape[0] = 0;
      GOMAI_ASSIGN_OR_RETURN(HostTensor list, HostTensor::Create(spec.dtype, std::move(shape)));
      run.outputs.emplace(spec.name, std::move(list));
    }
  }
  for (int64_t first = 0; first < rows || (ask && first == 0); first += batching.size) {
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
    for (const auto& [name, result] : results) {
      if (result.shape().empty() || result.shape()[0] != batching.size) {
        return Internal("the output '{}' is {} in a call on {} rows", name, result.Describe(), batching.size);
      }
      std::vector<int64_t> shape = result.shape();
      shape[0] = rows;
      if (first == 0) {
        GOMAI_ASSIGN_OR_RETURN(HostTensor list, HostTensor::Create(result.dtype(), shape));
        run.outputs.emplace(name, std::move(list));
      }
      HostTensor& list = run.outputs.at(name);
      if (list.shape() != shape) {
        return FailedPrecondition("the output '{}' is {} in one call and {} in another, so its rows make no list", name,
                                  list.Describe(), result.Describe());
      }
      const size_t row = result.bytes().size() / static_cast<size_t>(batching.size);
      std::copy_n(result.bytes().begin(), row * static_cast<size_t>(count),
                  list.mutable_bytes().begin() + static_cast<std::ptrdiff_t>(row * static_cast<size_t>(first)));
    }
  }
  return run;
}

}  // namespace gomai
