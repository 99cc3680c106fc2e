// Constants that hold a batch: reading them, finding them, writing them.
//
// What makes a size in a constant surely the batch: the data has the batch as its leading dim, the constant has the old
// batch (times following dims that it joins to it) in the element that makes the result's leading dim, and the rest of
// the elements agree with the rest of the dims. Then each item stays an item, which no other number can do.
#include <algorithm>
#include <cstring>
#include <map>

#include "lib/graph/editor.h"
#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/pass/batch.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

constexpr int64_t kMostElements = 64;

std::optional<std::vector<int64_t>> TensorInts(const onnx::TensorProto& tensor, const Model& model) {
  const bool wide = tensor.data_type() == onnx::TensorProto::INT64;
  const absl::StatusOr<int64_t> count = ElementCount(tensor);
  if ((!wide && tensor.data_type() != onnx::TensorProto::INT32) || !count.ok() || *count > kMostElements ||
      tensor.dims_size() > 1) {
    return std::nullopt;
  }
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model);
  if (!bytes.ok()) {
    return std::nullopt;
  }
  if (wide) {
    const auto values = bytes->As<int64_t>();
    return std::vector<int64_t>(values.begin(), values.end());
  }
  const auto values = bytes->As<int32_t>();
  return std::vector<int64_t>(values.begin(), values.end());
}

// In the field in which the values are now; external ones become inline.
void SetTensorInts(const std::vector<int64_t>& values, onnx::TensorProto& tensor) {
  std::string bytes;
  for (const int64_t value : values) {
    const size_t size = tensor.data_type() == onnx::TensorProto::INT64 ? sizeof(int64_t) : sizeof(int32_t);
    bytes.append(reinterpret_cast<const char*>(&value), size);  // little-endian: the low half is the int32
  }
  ReplaceData(tensor, std::move(bytes));
}

// The product of dims [first, last); nullopt if one is unknown.
std::optional<int64_t> Product(const onnx::TensorShapeProto& shape, int first, int last) {
  int64_t product = 1;
  for (int i = first; i < last; ++i) {
    if (!shape.dim(i).has_dim_value() || __builtin_mul_overflow(product, shape.dim(i).dim_value(), &product)) {
      return std::nullopt;
    }
  }
  return product;
}

// The constant's element that a baked batch of a Reshape is in; -1: none, or none for sure.
int BakedInReshape(const onnx::TensorShapeProto& data, std::vector<int64_t> target, bool allow_zero, int64_t marker,
                   int64_t old_size) {
  bool open = false;
  for (size_t i = 0; i < target.size(); ++i) {
    open = open || target[i] == -1;
    if (target[i] == 0 && !allow_zero) {
      if (i >= static_cast<size_t>(data.dim_size()) || !data.dim(static_cast<int>(i)).has_dim_value()) {
        return -1;
      }
      target[i] = data.dim(static_cast<int>(i)).dim_value();
    }
  }
  const auto product = [](auto first, auto last) {
    int64_t result = 1;
    for (; first != last; ++first) {
      if (__builtin_mul_overflow(result, *first, &result)) {
        return int64_t{-1};
      }
    }
    return result;
  };
  const bool leads = data.dim_size() > 0 && data.dim(0).has_dim_value() && data.dim(0).dim_value() == marker;
  if (leads && !target.empty() && target[0] > 0 && target[0] % old_size == 0) {
    for (int joined = 1; joined <= data.dim_size(); ++joined) {
      const std::optional<int64_t> inner = Product(data, 1, joined);
      if (!inner) {
        break;
      }
      const std::optional<int64_t> rest = Product(data, joined, data.dim_size());
      if (*inner == target[0] / old_size && (open || (rest && *rest == product(target.begin() + 1, target.end())))) {
        return 0;
      }
    }
  }
  // The batch isn't in front: the number of elements says how much is missing, and only one element can give it.
  const std::optional<int64_t> total = Product(data, 0, data.dim_size());
  if (!open && old_size > 1 && total && *total % marker == 0 &&
      product(target.begin(), target.end()) == *total / marker * old_size) {
    int found = -1;
    for (size_t i = 0; i < target.size(); ++i) {
      if (target[i] % old_size == 0) {
        if (found != -1) {
          return -1;
        }
        found = static_cast<int>(i);
      }
    }
    return found;
  }
  return -1;
}

struct Reader {
  const Model& model;
  const Index& index;
  const Inferred& inferred;

  std::optional<std::vector<int64_t>> Ints(NodeId node, int input) const {
    const auto& inputs = index.node(node).inputs;
    return static_cast<size_t>(input) < inputs.size() && inputs[static_cast<size_t>(input)] != kNone
               ? ConstantInts(model, index, inputs[static_cast<size_t>(input)])
               : std::nullopt;
  }
  const onnx::TensorShapeProto* Shape(NodeId node, int input) const {
    const auto& inputs = index.node(node).inputs;
    return static_cast<size_t>(input) < inputs.size() && inputs[static_cast<size_t>(input)] != kNone
               ? FindShape(inferred.types[static_cast<size_t>(inputs[static_cast<size_t>(input)])])
               : nullptr;
  }
};

// Is the value the shape operand of an operator?
bool IsShapeOperand(const Index& index, ValueId value) {
  return std::any_of(index.value(value).uses.begin(), index.value(value).uses.end(), [&](const Index::Use& use) {
    const std::string& op = index.node(use.node).proto->op_type();
    return (use.input == 1 && (op == "Reshape" || op == "Expand" || op == "Tile")) ||
           (use.input == 0 && op == "ConstantOfShape") || (use.input == 3 && op == "Resize");
  });
}

// Where a Slice's or Resize's operand speaks of axis 0; -1: nowhere.
int ElementOfAxis0(const std::vector<int64_t>& axes, int rank) {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] == 0 || axes[i] == -rank) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

}  // namespace

std::optional<std::vector<int64_t>> ConstantInts(const Model& model, const Index& index, ValueId value_id) {
  const Index::Value& value = index.value(value_id);
  // Before IR version 4 every initializer had to be an input as well, though nobody meant to override it.
  const int64_t version = model.proto().ir_version();
  const bool listed = value.origin == Index::Origin::kInput && version > 0 && version < 4;
  if ((value.origin == Index::Origin::kInitializer || listed) && value.initializer != nullptr) {
    return TensorInts(*value.initializer, model);
  }
  if (value.producer == kNone) {
    return std::nullopt;
  }
  onnx::TensorProto made;
  const onnx::TensorProto* tensor = ConstantValue(*index.node(value.producer).proto, &made);
  return tensor == nullptr ? std::nullopt : TensorInts(*tensor, model);
}

BakedSizes FindBaked(const Model& model, const Index& index, const BatchProbe& probe, int64_t marker,
                     int64_t old_size) {
  BakedSizes found;
  const Reader given{model, index, probe.inferred};
  const Reader shaped{probe.model, probe.index, probe.inferred};
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const onnx::NodeProto& node = *index.node(id).proto;
    if (!IsDefaultDomain(node.domain()) || index.InFunction(index.node(id).scope)) {
      continue;
    }
    const std::string& op = node.op_type();
    const onnx::TensorShapeProto* data = shaped.Shape(id, 0);
    const bool leads = data != nullptr && data->dim_size() > 0 && data->dim(0).dim_value() == marker;
    const auto note = [&](std::vector<BakedSize>& list, int input, int element, const std::vector<int64_t>& values) {
      list.push_back({id, input, element, values[static_cast<size_t>(element)]});
    };
    if (op == "Reshape") {
      // A repaired constant is read as repaired: it isn't found again.
      const auto target = shaped.Ints(id, 1);
      const auto original = given.Ints(id, 1);
      if (!target || !original || target != original || target->empty()) {
        continue;
      }
      const onnx::AttributeProto* zero = FindAttribute(node, "allowzero");
      const int element =
          data == nullptr ? -1 : BakedInReshape(*data, *target, zero != nullptr && zero->i() != 0, marker, old_size);
      if (element >= 0) {
        note(found.sure, 1, element, *target);
      } else if (target->front() == old_size && (data == nullptr || !Product(*data, 0, data->dim_size()))) {
        note(found.possible, 1, 0, *target);
      }
    } else if (op == "Expand" || op == "Tile") {
      const auto target = shaped.Ints(id, 1);
      if (target && target == given.Ints(id, 1) && !target->empty() && target->front() == old_size) {
        const bool sure = op == "Expand" && leads && static_cast<size_t>(data->dim_size()) == target->size();
        note(sure ? found.sure : found.possible, 1, 0, *target);
      }
    } else if (op == "Resize") {
      const auto sizes = shaped.Ints(id, 3);
      const onnx::AttributeProto* axes = FindAttribute(node, "axes");
      const int element = axes == nullptr || data == nullptr
                              ? 0
                              : ElementOfAxis0({axes->ints().begin(), axes->ints().end()}, data->dim_size());
      if (sizes && sizes == given.Ints(id, 3) && leads && element >= 0 &&
          static_cast<size_t>(element) < sizes->size() && (*sizes)[static_cast<size_t>(element)] == old_size) {
        note(found.sure, 3, element, *sizes);
      }
    } else if (op == "Slice" && leads && old_size > 1) {
      const auto starts = shaped.Ints(id, 1);
      const auto ends = shaped.Ints(id, 2);
      std::vector<int64_t> axes = shaped.Ints(id, 3).value_or(std::vector<int64_t>());
      for (size_t i = 0; node.input_size() <= 3 && ends && i < ends->size(); ++i) {
        axes.push_back(static_cast<int64_t>(i));
      }
      const int element = ElementOfAxis0(axes, data->dim_size());
      if (starts && ends && ends == given.Ints(id, 2) && element >= 0 &&
          static_cast<size_t>(element) < std::min(starts->size(), ends->size()) &&
          (*starts)[static_cast<size_t>(element)] == 0 && (*ends)[static_cast<size_t>(element)] == old_size) {
        note(found.sure, 2, element, *ends);
      }
    } else if (op == "ConstantOfShape" || op == "Range" || op == "Concat") {
      const int input = op == "Range" ? 1 : 0;
      const bool shape =
          op != "Concat" || (index.node(id).outputs[0] != kNone && IsShapeOperand(index, index.node(id).outputs[0]));
      const auto values = shape ? shaped.Ints(id, input) : std::nullopt;
      if (values && values == given.Ints(id, input) && !values->empty() && values->front() == old_size) {
        note(found.possible, input, 0, *values);
      }
    }
  }
  return found;
}

absl::Status RepairConstants(Model& model, const std::vector<BakedSize>& repairs, int64_t old_size, int64_t size) {
  if (repairs.empty()) {
    return absl::OkStatus();
  }
  Editor editor(model);
  const Index& index = editor.index();
  // By constant: which readers want which elements changed.
  std::map<ValueId, std::map<std::pair<NodeId, int>, std::vector<int>>> wanted;
  for (const BakedSize& repair : repairs) {
    wanted[index.node(repair.node).inputs[static_cast<size_t>(repair.input)]][{repair.node, repair.input}].push_back(
        repair.element);
  }
  for (const auto& [id, readers] : wanted) {
    const Index::Value& value = index.value(id);
    const std::optional<std::vector<int64_t>> before = ConstantInts(model, index, id);
    if (!before) {
      return FailedPrecondition("'{}' isn't a constant that can be changed", value.name);
    }
    const auto repaired = [&](const std::vector<int>& elements) {
      std::vector<int64_t> values = *before;
      for (const int element : elements) {
        values[static_cast<size_t>(element)] = values[static_cast<size_t>(element)] / old_size * size;
      }
      return values;
    };
    bool shared = value.is_graph_output;
    for (const Index::Use& use : value.uses) {
      const auto reader = readers.find({use.node, use.input});
      shared = shared || (use.input >= 0 && (reader == readers.end() || reader->second != readers.begin()->second));
    }
    if (!shared) {
      const std::vector<int64_t> values = repaired(readers.begin()->second);
      if (value.producer == kNone) {
        SetTensorInts(values, editor.MutableInitializer(id));
        continue;
      }
      onnx::AttributeProto& attribute = *editor.MutableNode(value.producer).mutable_attribute(0);
      if (attribute.has_t()) {
        SetTensorInts(values, *attribute.mutable_t());
      } else if (attribute.name() == "value_int") {
        attribute.set_i(values[0]);
      } else {
        std::copy(values.begin(), values.end(), attribute.mutable_ints()->begin());
      }
      continue;
    }
    if (const int64_t version = model.proto().ir_version(); version > 0 && version < 4) {
      return FailedPrecondition(
          "'{}' has other readers, and a model of IR version {} can't hold a second constant that is no input",
          value.name, version);
    }
    std::map<std::vector<int>, std::string> copies;
    for (const auto& [reader, elements] : readers) {
      std::string& name = copies[elements];
      if (name.empty()) {
        name = editor.FreshName(fmt::format("{}_batch", value.name));
        onnx::TensorProto tensor;
        if (value.initializer != nullptr) {
          tensor = *value.initializer;
        } else if (const auto& a = index.node(value.producer).proto->attribute(0); a.has_t()) {
          tensor = a.t();
        } else {
          tensor.set_data_type(onnx::TensorProto::INT64);
          if (a.name() != "value_int") {
            tensor.add_dims(static_cast<int64_t>(before->size()));
          }
        }
        tensor.set_name(name);
        SetTensorInts(repaired(elements), tensor);
        editor.AddInitializer(value.scope, std::move(tensor));
      }
      editor.SetInput(reader.first, reader.second, name);
    }
  }
  return editor.Commit().status();
}

}  // namespace gomai
