// Each step of the description as nodes of a small model, for one image: it is run, and nothing of the model that was
// taken apart takes part in it.
#include "lib/split/preprocess_redo.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/model/dtype.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

// size / side in the arithmetic that the description names: near a whole number the last bit decides.
double Ratio(int64_t size, int64_t side, std::string_view arithmetic) {
  if (arithmetic == "float64") {
    return static_cast<double>(size) / static_cast<double>(side);
  }
  return arithmetic.ends_with("reciprocal") ? double{1.0F / static_cast<float>(side) * static_cast<float>(size)}
                                            : double{static_cast<float>(size) / static_cast<float>(side)};
}

int64_t Scaled(int64_t side, double scale, std::string_view arithmetic) {
  return arithmetic == "float64"
             ? static_cast<int64_t>(std::floor(static_cast<double>(side) * scale))
             : static_cast<int64_t>(std::floor(static_cast<float>(side) * static_cast<float>(scale)));
}

// The factors by which height and width grow, and the arithmetic of it. nullopt: the rule has none.
std::optional<std::pair<double, double>> Factors(const Json& step, const ImageSize& image) {
  if (step["rule"] == "scale") {
    return std::pair(step["factors"][0].get<double>(), step["factors"][1].get<double>());
  }
  if (step["rule"] == "shorter-side") {
    const auto [shorter, longer] = std::minmax(image.height, image.width);
    const std::string arithmetic = step["arithmetic"];
    const double scale =
        std::min(Ratio(step["min_size"], shorter, arithmetic), Ratio(step["max_size"], longer, arithmetic));
    return std::pair(scale, scale);
  }
  return std::nullopt;
}

template <typename T>
double LargestDifference(std::span<const T> a, std::span<const T> b, double* largest) {
  double difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double each = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    difference = each <= difference ? difference : each;  // so that NaN stays
    *largest = std::max(*largest, std::abs(static_cast<double>(a[i])));
  }
  return difference;
}

class Builder {
 public:
  explicit Builder(const HostTensor& image) {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(18);
    shape_ = image.shape();
    shape_.insert(shape_.begin(), 4 - std::min<size_t>(4, shape_.size()), 1);
    dtype_ = image.dtype();
    onnx::ValueInfoProto& input = *model_.mutable_graph()->add_input();
    model_.mutable_graph()->set_name("redone");
    input.set_name(value_);
    input.mutable_type()->mutable_tensor_type()->set_elem_type(dtype_);
    for (const int64_t dim : shape_) {
      input.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(dim);
    }
  }

  absl::Status Add(const Json& step) {
    const std::string& kind = step["step"].get_ref<const std::string&>();
    if (kind == "normalize") {
      Append("Sub", {Vector(step["mean"], step["axis"])});
      Append("Div", {Vector(step["std"], step["axis"])});
    } else if (kind == "resize") {
      return Resize(step);
    } else if (kind == "pad") {
      return Pad(step);
    } else if (kind == "transpose") {
      Transpose(step["order"]);
    } else if (kind == "channels") {
      const auto order = step["order"].get<std::vector<int64_t>>();
      const int axis = step["axis"];
      Int(Append("Gather", {Ints(order)}), "axis", axis);
      At(axis) = static_cast<int64_t>(order.size());
    } else if (kind == "cast") {
      dtype_ = ParseDtype(step["to"].get<std::string>()).value_or(0);
      Int(Append("Cast", {}), "to", dtype_);
    } else if (kind == "clip") {
      Append("Clip", {Scalar(step["min"]), Scalar(step["max"])});
    } else {
      return FailedPrecondition("a step '{}' can't be redone", kind);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<HostTensor> Run(const HostTensor& image, Backend& backend) {
    onnx::ValueInfoProto& output = *model_.mutable_graph()->add_output();
    const std::string given = "image";
    Append("Identity", {});
    output.set_name(value_);
    output.mutable_type()->mutable_tensor_type()->set_elem_type(dtype_);
    GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, backend.OpenBytes(model_.SerializeAsString(), {}));
    std::vector<int64_t> shape = image.shape();
    shape.insert(shape.begin(), 4 - std::min<size_t>(4, shape.size()), 1);
    const HostTensor fed = HostTensor::Wrap(image.dtype(), shape, image.bytes(), std::make_shared<HostTensor>(image));
    GOMAI_ASSIGN_OR_RETURN(NamedTensors outputs, session->Run({{given, fed}}, {}));
    return std::move(outputs.at(value_));
  }

 private:
  int64_t& At(int axis) { return shape_[shape_.size() - static_cast<size_t>(-axis)]; }

  onnx::NodeProto& Append(const char* op, const std::vector<std::string>& more) {
    onnx::NodeProto& node = *model_.mutable_graph()->add_node();
    node.set_op_type(op);
    node.add_input(value_);
    for (const std::string& input : more) {
      node.add_input(input);
    }
    value_ = fmt::format("value_{}", ++made_);
    node.add_output(value_);
    return node;
  }

  static void Int(onnx::NodeProto& node, const char* name, int64_t value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  static void Text(onnx::NodeProto& node, const char* name, const std::string& value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::STRING);
    attribute.set_s(value);
  }

  std::string Floats(const std::vector<double>& values, const std::vector<int64_t>& dims) {
    onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
    tensor.set_name(fmt::format("constant_{}", ++made_));
    tensor.set_data_type(onnx::TensorProto::DOUBLE);
    tensor.mutable_dims()->Assign(dims.begin(), dims.end());
    tensor.mutable_double_data()->Assign(values.begin(), values.end());
    return tensor.name();
  }

  // A constant of a type, by way of double, which holds all that there are.
  std::string As(int dtype, const std::string& doubles) {
    onnx::NodeProto& node = *model_.mutable_graph()->add_node();
    node.set_op_type("Cast");
    node.add_input(doubles);
    node.add_output(doubles + "_cast");
    Int(node, "to", dtype);
    return node.output(0);
  }

  // Constants are of the image's type at that point.
  std::string Vector(const Json& values, int axis) {
    std::vector<int64_t> dims;
    if (axis != 0) {
      dims.assign(static_cast<size_t>(-axis), 1);
      dims.front() = static_cast<int64_t>(values.size());
    }
    return As(dtype_, Floats(values.get<std::vector<double>>(), dims));
  }

  std::string Scalar(const Json& value) { return value.is_null() ? "" : As(dtype_, Floats({value.get<double>()}, {})); }

  std::string Ints(const std::vector<int64_t>& values) {
    onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
    tensor.set_name(fmt::format("constant_{}", ++made_));
    tensor.set_data_type(onnx::TensorProto::INT64);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    tensor.mutable_int64_data()->Assign(values.begin(), values.end());
    return tensor.name();
  }

  void Transpose(const Json& order) {
    // Of the image's own dims, behind those that were put in front.
    std::vector<int64_t> perm(4 - order.size());
    std::iota(perm.begin(), perm.end(), int64_t{0});
    for (const int64_t axis : order) {
      perm.push_back(axis + static_cast<int64_t>(4 - order.size()));
    }
    onnx::AttributeProto& attribute = *Append("Transpose", {}).add_attribute();
    attribute.set_name("perm");
    attribute.set_type(onnx::AttributeProto::INTS);
    attribute.mutable_ints()->Assign(perm.begin(), perm.end());
    std::vector<int64_t> shape;
    for (const int64_t axis : perm) {
      shape.push_back(shape_[static_cast<size_t>(axis)]);
    }
    shape_ = shape;
  }

  absl::Status Resize(const Json& step) {
    const int height = step["axes"][0];
    const int width = step["axes"][1];
    const ImageSize before{At(height), At(width)};
    const std::optional<ImageSize> after = ResizedSize(step, before);
    if (!after) {
      return FailedPrecondition("a resize whose rule is unknown can't be redone");
    }
    std::string scales;
    std::string sizes;
    const auto factors = step["by"] == "factors" ? Factors(step, before) : std::nullopt;
    if (factors) {
      std::vector<double> each(4, 1);
      each[each.size() - static_cast<size_t>(-height)] = factors->first;
      each[each.size() - static_cast<size_t>(-width)] = factors->second;
      scales = As(onnx::TensorProto::FLOAT, Floats(each, {4}));
    }
    At(height) = after->height;
    At(width) = after->width;
    if (!factors) {
      sizes = Ints(shape_);
    }
    onnx::NodeProto& node = Append("Resize", {"", scales});
    if (!sizes.empty()) {
      node.add_input(sizes);
    }
    Text(node, "mode", step["interpolation"]);
    Text(node, "coordinate_transformation_mode", step["coordinates"]);
    Int(node, "antialias", step["antialias"].get<bool>() ? 1 : 0);
    if (step.contains("nearest_mode")) {
      Text(node, "nearest_mode", step["nearest_mode"]);
    }
    if (step.contains("exclude_outside")) {
      Int(node, "exclude_outside", step["exclude_outside"].get<bool>() ? 1 : 0);
    }
    if (step.contains("cubic_coeff_a")) {
      onnx::AttributeProto& attribute = *node.add_attribute();
      attribute.set_name("cubic_coeff_a");
      attribute.set_type(onnx::AttributeProto::FLOAT);
      attribute.set_f(step["cubic_coeff_a"]);
    }
    return absl::OkStatus();
  }

  absl::Status Pad(const Json& step) {
    std::vector<int64_t> pads(8, 0);
    if (step["rule"] == "amounts") {
      const auto given = step["pads"].get<std::vector<int64_t>>();
      const size_t rank = given.size() / 2;
      for (size_t i = 0; i < rank; ++i) {
        pads[4 - rank + i] = given[i];
        pads[8 - rank + i] = given[rank + i];
      }
    } else {
      const int height = step["axes"][0];
      const int width = step["axes"][1];
      const ImageSize before{At(height), At(width)};
      const std::optional<ImageSize> after = PaddedSize(step, before);
      if (!after || step["at"] != "bottom-right") {
        return FailedPrecondition("a pad whose rule is unknown can't be redone");
      }
      pads[8 - static_cast<size_t>(-height)] = after->height - before.height;
      pads[8 - static_cast<size_t>(-width)] = after->width - before.width;
    }
    for (size_t i = 0; i < 4; ++i) {
      shape_[i] += pads[i] + pads[4 + i];
    }
    const std::string amounts = Ints(pads);
    Text(Append("Pad", {amounts, Scalar(step["value"])}), "mode", step["mode"]);
    return absl::OkStatus();
  }

  onnx::ModelProto model_;
  std::string value_ = "image";
  std::vector<int64_t> shape_;
  int dtype_ = 0;
  int made_ = 0;
};

}  // namespace

std::optional<ImageSize> ResizedSize(const Json& step, const ImageSize& image) {
  if (step["rule"] == "fixed") {
    return ImageSize{step["height"], step["width"]};
  }
  const auto factors = Factors(step, image);
  if (!factors) {
    return std::nullopt;
  }
  const std::string arithmetic = step["arithmetic"];
  return ImageSize{Scaled(image.height, factors->first, arithmetic), Scaled(image.width, factors->second, arithmetic)};
}

std::optional<ImageSize> PaddedSize(const Json& step, const ImageSize& image) {
  if (step["rule"] == "fixed") {
    return ImageSize{step["height"], step["width"]};
  }
  if (step["rule"] != "multiple") {
    return std::nullopt;
  }
  const int64_t multiple = step["multiple"];
  const auto up = [&](int64_t size) { return (size + multiple - 1) / multiple * multiple; };
  return ImageSize{up(image.height), up(image.width)};
}

absl::StatusOr<HostTensor> RedoPreprocess(const Json& steps, const HostTensor& image, Backend& backend) {
  if (image.shape().size() > 4) {
    return FailedPrecondition("an image of rank {} can't be redone", image.shape().size());
  }
  Builder builder(image);
  for (const Json& step : steps) {
    GOMAI_RETURN_IF_ERROR(builder.Add(step));
  }
  return builder.Run(image, backend);
}

absl::StatusOr<double> DifferenceOf(const HostTensor& made, const HostTensor& redone, double* largest) {
  const auto trimmed = [](std::vector<int64_t> shape) {
    shape.erase(shape.begin(), std::find_if(shape.begin(), shape.end(), [](int64_t dim) { return dim != 1; }));
    return shape;
  };
  if (made.dtype() != redone.dtype() || trimmed(made.shape()) != trimmed(redone.shape())) {
    return FailedPrecondition("they make {}, the model {}", redone.Describe(), made.Describe());
  }
  switch (made.dtype()) {
    case onnx::TensorProto::FLOAT:
      return LargestDifference(made.As<float>(), redone.As<float>(), largest);
    case onnx::TensorProto::DOUBLE:
      return LargestDifference(made.As<double>(), redone.As<double>(), largest);
    case onnx::TensorProto::UINT8:
      return LargestDifference(made.As<uint8_t>(), redone.As<uint8_t>(), largest);
    case onnx::TensorProto::INT8:
      return LargestDifference(made.As<int8_t>(), redone.As<int8_t>(), largest);
    default:
      return std::equal(made.bytes().begin(), made.bytes().end(), redone.bytes().begin(), redone.bytes().end())
                 ? 0
                 : std::numeric_limits<double>::infinity();
  }
}

}  // namespace gomai
