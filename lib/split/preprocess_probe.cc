// The removed model with the tensors between its steps as further outputs, run on made-up images.
#include "lib/split/preprocess_probe.h"

#include <algorithm>
#include <set>

#include "lib/model/save.h"

namespace gomai {
namespace {

// Small ones, for speed; wide and high ones, so that a limit on either side shows.
constexpr ImageSize kImages[] = {{64, 64},  {40, 100},  {90, 48}, {97, 131}, {30, 400},
                                 {350, 33}, {120, 111}, {57, 64}, {61, 367}, {389, 71}};

// The first row of the first channel, bit for bit.
bool StartsWith(const HostTensor& large, const HostTensor& small, const ImageAxes& axes) {
  if (small.dtype() != large.dtype() || small.shape().size() != large.shape().size() || axes.width == 0) {
    return false;
  }
  int64_t row = 1;
  for (size_t axis = small.shape().size() - static_cast<size_t>(-axes.width); axis < small.shape().size(); ++axis) {
    row *= small.shape()[axis];
  }
  const uint64_t bytes = PackedBytes(small.dtype(), static_cast<uint64_t>(row));
  return bytes <= small.bytes().size() && bytes <= large.bytes().size() &&
         std::equal(small.bytes().begin(), small.bytes().begin() + static_cast<std::ptrdiff_t>(bytes),
                    large.bytes().begin());
}

// The values of a made-up image over all of an image's range: floats in [0, 1) to [0, most), bytes in [0, 8) to [0,
// 256).
absl::StatusOr<HostTensor> Spread(const HostTensor& values, double most) {
  const bool bytes = values.dtype() == onnx::TensorProto::UINT8;
  if (!bytes && (values.dtype() != onnx::TensorProto::FLOAT || most == 1)) {
    return values;
  }
  GOMAI_ASSIGN_OR_RETURN(HostTensor spread, HostTensor::Create(values.dtype(), values.shape()));
  uint8_t* to = spread.mutable_bytes().data();
  if (bytes) {
    std::transform(values.bytes().begin(), values.bytes().end(), to,
                   [](uint8_t value) { return static_cast<uint8_t>(value * 32 + value * 4); });
  } else {
    const std::span<const float> floats = values.As<float>();
    std::transform(floats.begin(), floats.end(), reinterpret_cast<float*>(to),
                   [&](float value) { return value * static_cast<float>(most); });
  }
  return spread;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Prober>> Prober::Open(const Stripped& stripped, const std::vector<PreprocessStep>& steps,
                                                     const Shapes& shapes, Backend& backend) {
  Model model = stripped.preprocess.Copy();
  onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
  std::set<std::string> known{stripped.image};
  for (const onnx::ValueInfoProto& output : graph.output()) {
    known.insert(output.name());
  }
  for (const PreprocessStep& step : steps) {
    if (step.kind != PreprocessStep::Kind::kResize && step.kind != PreprocessStep::Kind::kPad) {
      continue;
    }
    for (const std::string& name : {step.before, step.after}) {
      const onnx::TypeProto* type = shapes.Find(name);
      if (type != nullptr && known.insert(name).second) {
        onnx::ValueInfoProto& output = *graph.add_output();
        output.set_name(name);
        output.mutable_type()->mutable_tensor_type()->set_elem_type(type->tensor_type().elem_type());
      }
    }
  }
  std::unique_ptr<Prober> prober(new Prober(stripped, steps));
  GOMAI_ASSIGN_OR_RETURN(const std::string bytes, SerializeInline(model));
  GOMAI_ASSIGN_OR_RETURN(prober->session_, backend.OpenBytes(bytes, {}));
  for (const ValueSpec& spec : prober->session_->inputs()) {
    if (spec.name == stripped.image) {
      prober->image_ = spec;
    }
  }
  return prober;
}

std::vector<Probe> Prober::Run(absl::Status* failure) {
  std::set<std::vector<int64_t>> images;
  std::vector<Probe> probes;
  const auto run = [&](const std::vector<int64_t>& image) {
    if (!images.insert(image).second) {
      return;
    }
    absl::StatusOr<Probe> probe = RunOne(image);
    if (probe.ok()) {
      probes.push_back(*std::move(probe));
    } else {
      *failure = probe.status();  // too small or too narrow for it, say
    }
  };
  const ImageSize own = SizeOf(image_.shape, AxesOf(image_.shape));  // what of it is fixed; else -1, without rank 0
  for (const ImageSize& size : kImages) {
    const absl::StatusOr<std::vector<int64_t>> open =
        ImageShape(image_, {own.height > 0 ? own.height : size.height, own.width > 0 ? own.width : size.width});
    const bool fixed = image_.has_shape && std::count(image_.shape.begin(), image_.shape.end(), -1) == 0;
    if (open.ok() || fixed) {
      run(open.ok() ? *open : image_.shape);
    } else {
      *failure = open.status();
    }
  }
  if (probes.empty() && !stripped_.image_shape.empty()) {
    run(stripped_.image_shape);
  }
  return probes;
}

absl::StatusOr<NamedTensors> Prober::Feeds(const std::vector<int64_t>& image, double most) const {
  NamedTensors feeds;
  const ImageSize size = SizeOf(image, AxesOf(image_.shape));
  for (const ValueSpec& spec : session_->inputs()) {
    std::vector<int64_t> shape = image;
    if (spec.name != stripped_.image) {
      const bool fixed = spec.has_shape && std::count(spec.shape.begin(), spec.shape.end(), -1) == 0;
      shape = spec.shape;
      if (!fixed) {
        GOMAI_ASSIGN_OR_RETURN(shape, ImageShape(spec, {size.height, size.width}));
      }
    }
    GOMAI_ASSIGN_OR_RETURN(HostTensor values, RandomTensor(spec, 1, shape));
    if (spec.name == stripped_.image) {
      GOMAI_ASSIGN_OR_RETURN(values, Spread(values, most));
    }
    feeds.emplace(spec.name, std::move(values));
  }
  return feeds;
}

absl::StatusOr<HostTensor> Prober::Output(const NamedTensors& feeds) const {
  GOMAI_ASSIGN_OR_RETURN(NamedTensors outputs, session_->Run(feeds, {stripped_.network_input}));
  return std::move(outputs.at(stripped_.network_input));
}

absl::StatusOr<Probe> Prober::RunOne(const std::vector<int64_t>& image) const {
  GOMAI_ASSIGN_OR_RETURN(NamedTensors tensors, Feeds(image, 1));
  GOMAI_ASSIGN_OR_RETURN(NamedTensors outputs, session_->Run(tensors, {}));
  tensors.merge(outputs);
  Probe probe;
  probe.image = SizeOf(image, AxesOf(image_.shape));
  for (const auto& [name, tensor] : tensors) {
    probe.shapes[name] = tensor.shape();
  }
  for (const std::string& name : stripped_.sizes) {
    if (const HostTensor& tensor = tensors.at(name); tensor.dtype() == onnx::TensorProto::INT64) {
      probe.values[name].assign(tensor.As<int64_t>().begin(), tensor.As<int64_t>().end());
    }
  }
  for (const PreprocessStep& step : steps_) {
    if (step.kind == PreprocessStep::Kind::kPad && tensors.contains(step.before) && tensors.contains(step.after)) {
      probe.kept_at_start[step.after] = StartsWith(tensors.at(step.after), tensors.at(step.before), step.axes);
    }
  }
  return probe;
}

}  // namespace gomai
