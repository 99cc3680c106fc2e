// What is known of a value, and the step from a node's inputs to its outputs. The rules themselves are in
// element_moves.cc and element_arithmetic.cc.
#include "lib/shape/elements.h"

#include <onnx/defs/tensor_proto_util.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/shape/element_rules.h"
#include "lib/shape/infer.h"

namespace gomai::shape {

int64_t CountOf(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

size_t BroadcastPosition(const std::vector<int64_t>& shape, const std::vector<int64_t>& result, size_t position) {
  size_t place = 0;
  size_t stride = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t axis = shape.size() - 1 - i;
    const auto wide = static_cast<size_t>(result[result.size() - 1 - i]);
    const size_t coordinate = position % wide;
    position /= wide;
    place += shape[axis] == 1 ? 0 : coordinate * stride;
    stride *= static_cast<size_t>(shape[axis]);
  }
  return place;
}

std::optional<int64_t> NormalAxis(int64_t axis, int64_t rank) {
  return axis < -rank || axis >= rank ? std::nullopt : std::optional(axis < 0 ? axis + rank : axis);
}

bool IsFollowed(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::DOUBLE:
      return true;
    default:
      return false;
  }
}

Interval ExactRange(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::BOOL:
      return {0, 1};
    case onnx::TensorProto::INT32:
      return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    case onnx::TensorProto::FLOAT:
      return {-(int64_t{1} << 24), int64_t{1} << 24};
    case onnx::TensorProto::DOUBLE:
      return {-(int64_t{1} << 53), int64_t{1} << 53};
    default:
      return {};
  }
}

std::optional<std::vector<int64_t>> SmallShape(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return std::nullopt;
  }
  std::vector<int64_t> dims;
  int64_t count = 1;
  for (const auto& dim : shape->dim()) {
    if (!dim.has_dim_value() || dim.dim_value() < 0 || dim.dim_value() > kLongestVector) {
      return std::nullopt;
    }
    count *= dim.dim_value();
    if (count > kLongestVector) {
      return std::nullopt;
    }
    dims.push_back(dim.dim_value());
  }
  return dims;
}

// A constant's values; a float that isn't an exact integer is unknown.
MaybeElements ParseElements(const onnx::TensorProto& tensor) {
  if (!IsFollowed(tensor.data_type())) {
    return std::nullopt;
  }
  Elements elements;
  int64_t count = 1;
  for (const int64_t dim : tensor.dims()) {
    if (dim < 0 || dim > kLongestVector || (count *= dim) > kLongestVector) {
      return std::nullopt;
    }
    elements.shape.push_back(dim);
  }
  const auto add = [&](const auto& numbers) {
    for (const auto number : numbers) {
      elements.at.push_back(Interval::Of(static_cast<int64_t>(number)));
    }
  };
  const auto add_floats = [&](const auto& numbers, const Interval& exact) {
    for (const double number : numbers) {
      const bool fits = number >= static_cast<double>(exact.low) && number <= static_cast<double>(exact.high);
      const auto whole = fits ? static_cast<int64_t>(number) : 0;
      elements.at.push_back(fits && static_cast<double>(whole) == number ? Interval::Of(whole) : Interval{});
    }
  };
  switch (tensor.data_type()) {
    case onnx::TensorProto::INT64:
      add(onnx::ParseData<int64_t>(&tensor));
      break;
    case onnx::TensorProto::INT32:
      add(onnx::ParseData<int32_t>(&tensor));
      break;
    case onnx::TensorProto::BOOL:
      // ONNX's parser has no bool.
      if (tensor.has_raw_data()) {
        for (const char byte : tensor.raw_data()) {
          elements.at.push_back(Interval::Of(byte != 0 ? 1 : 0));
        }
      } else {
        for (const int32_t value : tensor.int32_data()) {
          elements.at.push_back(Interval::Of(value != 0 ? 1 : 0));
        }
      }
      break;
    case onnx::TensorProto::FLOAT:
      add_floats(onnx::ParseData<float>(&tensor), ExactRange(tensor.data_type()));
      break;
    default:
      add_floats(onnx::ParseData<double>(&tensor), ExactRange(tensor.data_type()));
  }
  return static_cast<int64_t>(elements.at.size()) == count ? MaybeElements(std::move(elements)) : std::nullopt;
}

namespace {

Elements Unknown(std::vector<int64_t> shape, int dtype) {
  const auto count = static_cast<size_t>(CountOf(shape));
  return {std::move(shape),
          std::vector<Interval>(count, dtype == onnx::TensorProto::BOOL ? Interval{0, 1} : Interval{})};
}

}  // namespace

const Elements* ElementsOf(Known& known) {
  if (!known.elements) {
    const int dtype = ElementType(known.type);
    if (known.tensor != nullptr) {
      try {
        known.elements = ParseElements(*known.tensor);
      } catch (const std::exception&) {  // a payload that doesn't fit its dims
      }
    } else if (IsFollowed(dtype)) {
      if (auto shape = SmallShape(known.type); shape) {
        known.elements = Unknown(*std::move(shape), dtype);
      }
    }
  }
  return known.elements ? &*known.elements : nullptr;
}

const Elements* ElementNode::In(int input) const {
  Known* known = Find(input);
  return known == nullptr ? nullptr : ElementsOf(*known);
}

std::optional<std::vector<int64_t>> ElementNode::Ints(int input) const {
  const Elements* elements = In(input);
  if (elements == nullptr) {
    return std::nullopt;
  }
  std::vector<int64_t> values;
  for (const Interval& element : elements->at) {
    if (!element.known()) {
      return std::nullopt;
    }
    values.push_back(element.low);
  }
  return values;
}

const onnx::TensorShapeProto* ElementNode::ShapeOf(int input) const {
  const Known* known = Find(input);
  return known == nullptr ? nullptr : FindShape(known->type);
}

int ElementNode::DtypeOf(int input) const {
  const Known* known = Find(input);
  return known == nullptr ? 0 : ElementType(known->type);
}

std::optional<std::vector<int64_t>> ElementNode::OutputShape() const {
  const Known* known = graph_.Find(node_.output(0));
  return known == nullptr ? std::nullopt : SmallShape(known->type);
}

int ElementNode::OutputDtype() const {
  const Known* known = graph_.Find(node_.output(0));
  return known == nullptr ? 0 : ElementType(known->type);
}

int64_t ElementNode::Int(std::string_view name, int64_t otherwise) const {
  const onnx::AttributeProto* attribute = FindAttribute(node_, name);
  return attribute == nullptr ? otherwise : attribute->i();
}

std::optional<std::vector<int64_t>> ElementNode::List(std::string_view name, int input) const {
  if (const onnx::AttributeProto* attribute = FindAttribute(node_, name); attribute != nullptr) {
    return std::vector<int64_t>(attribute->ints().begin(), attribute->ints().end());
  }
  return Has(input) ? Ints(input) : std::vector<int64_t>();
}

namespace {

// A constant with these values.
std::unique_ptr<onnx::TensorProto> Materialise(const Elements& elements, int dtype) {
  auto tensor = std::make_unique<onnx::TensorProto>();
  tensor->set_data_type(dtype);
  for (const int64_t dim : elements.shape) {
    tensor->add_dims(dim);
  }
  for (const Interval& element : elements.at) {
    if (dtype == onnx::TensorProto::INT64) {
      tensor->add_int64_data(element.low);
    } else {
      tensor->add_int32_data(static_cast<int32_t>(element.low));
    }
  }
  return tensor;
}

}  // namespace

void PropagateElements(Graph& graph, const onnx::NodeProto& node) {
  if (!IsDefaultDomain(node.domain()) || node.output_size() == 0 || node.output(0).empty()) {
    return;
  }
  auto rule = MovingRules().find(node.op_type());
  if (rule == MovingRules().end()) {
    rule = ArithmeticRules().find(node.op_type());
    if (rule == ArithmeticRules().end()) {
      return;
    }
  }
  Known* output = graph.Find(node.output(0));
  const int dtype = output == nullptr ? 0 : ElementType(output->type);
  if (!IsFollowed(dtype) || output->declared) {
    return;
  }
  const ElementNode in(graph, node);
  MaybeElements elements = rule->second(in);
  // Inference has the last word on the shape: whoever reads the elements relies on both being the same.
  if (!elements || in.OutputShape() != elements->shape) {
    return;
  }
  const Interval range = ExactRange(dtype);
  const bool integral = dtype != onnx::TensorProto::FLOAT && dtype != onnx::TensorProto::DOUBLE;
  bool all = true;
  for (Interval& element : elements->at) {
    // A float that is bounded on one side only may be NaN, of which no bound holds.
    if (element.low < range.low || element.high > range.high) {
      element = dtype == onnx::TensorProto::BOOL ? range : Interval{};
    }
    all = all && element.known();
  }
  if (all && integral && output->tensor == nullptr && output->sparse == nullptr) {
    output->tensor = graph.run().Keep(Materialise(*elements, dtype));
    output->propagated = true;
  }
  if (dtype == onnx::TensorProto::INT64 && elements->shape.size() <= 1) {
    // Symbols that ONNX propagated stay. Numbers don't: it follows them through casts that they don't fit in.
    onnx::TensorShapeProto data = OpenShape(static_cast<int64_t>(elements->at.size()));
    for (int i = 0; i < data.dim_size(); ++i) {
      if (elements->at[static_cast<size_t>(i)].known()) {
        data.mutable_dim(i)->set_dim_value(elements->at[static_cast<size_t>(i)].low);
      } else if (output->data && output->data->dim_size() == data.dim_size() && output->data->dim(i).has_dim_param()) {
        *data.mutable_dim(i) = output->data->dim(i);
      }
    }
    output->data = std::move(data);
  }
  output->elements = std::move(elements);
}

}  // namespace gomai::shape
