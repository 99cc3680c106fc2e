// See random_nodes.h: scopes, constants and what stands in a row; bodies and calls are in random_bodies.cc.
#include "tests/support/random_nodes.h"

#include <cstring>

#include "tests/support/random_tensors.h"

namespace gomai::testing {
namespace {

using onnx::TensorProto;

std::vector<int64_t> Dims(int rank, int64_t rows) {
  return rank == 0 ? std::vector<int64_t>{} : rank == 1 ? std::vector<int64_t>{4} : std::vector<int64_t>{rows, 4};
}

}  // namespace

NodeDrawer::NodeDrawer(const RandomGraphOptions& options, onnx::ModelProto* model)
    : options_(options), model_(*model), random_(options.seed * 1000003 + 17) {
  rows_ = Has(kZeroRows) && Chance(50) ? 0 : 3;
  // Newer dtypes need a newer opset.
  opset_ = Has(kDtypes | kExoticDtypes) ? 21 : Chance(50) ? 17 : 20;
  model_.set_ir_version(Has(kExoticDtypes) ? 11 : opset_ == 21 ? 10 : 8);
}

std::string NodeDrawer::Fresh(DrawnScope& scope) {
  const std::string name = scope.prefix + std::to_string(scope.next++);
  if (!Has(kOddNames)) {
    return name;
  }
  switch (random_() % 12) {
    case 0:
      return "/block/" + name + "/output_0";
    case 1:
      return name + ":0";
    case 2:
      return name + ",=\"{}";
    case 3:
      return "scope:/" + name;
    case 4:
      return "\xC3\xA9 " + name;
    default:
      return name;
  }
}

onnx::TypeProto NodeDrawer::Type(int dtype, int rank) const {
  onnx::TypeProto type;
  type.mutable_tensor_type()->set_elem_type(dtype);
  onnx::TensorShapeProto& shape = *type.mutable_tensor_type()->mutable_shape();
  if (rank == 2) {
    if (Has(kDynamicRows)) {
      shape.add_dim()->set_dim_param("rows");
    } else {
      shape.add_dim()->set_dim_value(rows_);
    }
  }
  if (rank > 0) {
    shape.add_dim()->set_dim_value(4);
  }
  return type;
}

onnx::NodeProto& NodeDrawer::Node(DrawnScope& scope, const std::string& op, const std::vector<std::string>& inputs,
                                  const std::vector<std::string>& outputs) {
  onnx::NodeProto& node = *scope.nodes->Add();
  node.set_op_type(op);
  node.set_name(op + "_" + outputs.back());
  for (const std::string& input : inputs) {
    node.add_input(input);
  }
  for (const std::string& output : outputs) {
    node.add_output(output);
  }
  return node;
}

TensorProto NodeDrawer::Floats(const std::vector<int64_t>& dims) {
  return RandomTensorProto(TensorProto::FLOAT, dims, random_);
}

TensorProto NodeDrawer::Integers(const std::vector<int64_t>& values, bool scalar) const {
  TensorProto tensor;
  tensor.set_data_type(TensorProto::INT64);
  if (!scalar) {
    tensor.add_dims(static_cast<int64_t>(values.size()));
  }
  std::string bytes(values.size() * sizeof(int64_t), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  tensor.set_raw_data(std::move(bytes));
  return tensor;
}

std::string NodeDrawer::Constant(DrawnScope& scope, TensorProto tensor) {
  if (Has(kPlaces)) {
    if (tensor.data_type() == TensorProto::FLOAT && !earlier_.empty() && Chance(25)) {
      const TensorProto& again = earlier_[random_() % earlier_.size()];
      if (std::equal(again.dims().begin(), again.dims().end(), tensor.dims().begin(), tensor.dims().end())) {
        tensor = again;
      }
    } else if (tensor.data_type() == TensorProto::FLOAT) {
      earlier_.push_back(tensor);
    }
  }
  // Shapes are read by inference, and the runtime wants operands such as Split's inline.
  const bool weight = tensor.data_type() != TensorProto::INT64 || tensor.raw_data().size() >= 1024;
  bool external = false;
  // ONNX Runtime 1.26 ends the process when it frees external data of no bytes.
  const bool storable = !tensor.raw_data().empty() || Has(kExoticDtypes);
  if (Has(kExternal) && storable && weight && !scope.in_function && Chance(40)) {
    const size_t file = random_() % 2;
    StoreExternal(tensor, file == 0 ? "weights.bin" : "more.bin", files_[file], random_);
    external = true;
  } else if (Has(kPlaces) && Chance(30)) {
    StoreTyped(tensor);
  }
  const std::string name = Fresh(scope);
  if (scope.graph == nullptr || (Has(kPlaces) && !external && Chance(35))) {
    onnx::NodeProto& node = Node(scope, "Constant", {}, {name});
    onnx::AttributeProto& value = *node.add_attribute();
    value.set_name("value");
    value.set_type(onnx::AttributeProto::TENSOR);
    *value.mutable_t() = std::move(tensor);
    return name;
  }
  tensor.set_name(name);
  *scope.graph->add_initializer() = std::move(tensor);
  return name;
}

std::string NodeDrawer::Weight(DrawnScope& scope, int rank) {
  // No constant has the rows of a model that leaves them open.
  const std::string name = Constant(scope, Floats(Dims(rank == 2 && Has(kDynamicRows) ? 1 : rank, rows_)));
  if (Chance(30)) {
    Add(scope, name, rank == 2 && Has(kDynamicRows) ? 1 : rank);  // may be read again, or become an output
  }
  return name;
}

DrawnValue NodeDrawer::Pick(DrawnScope& scope, int rank) {
  std::vector<size_t> fitting;
  for (size_t i = 0; i < scope.values.size(); ++i) {
    if (rank < 0 || scope.values[i].rank == rank) {
      fitting.push_back(i);
    }
  }
  if (fitting.empty()) {
    const std::string name = Constant(scope, Floats(Dims(rank < 0 ? 1 : rank, rows_)));
    Add(scope, name, rank < 0 ? 1 : rank);
    return scope.values.back();
  }
  // Mostly what was made last, so that graphs grow deep.
  const size_t reach = Has(kSkips) && Chance(40) ? fitting.size() : std::min<size_t>(3, fitting.size());
  return scope.values[fitting[fitting.size() - 1 - random_() % reach]];
}

void NodeDrawer::Unary(DrawnScope& scope) {
  static constexpr const char* kOps[] = {"Relu", "Neg", "Abs", "Tanh", "Sigmoid", "Identity", "Identity"};
  const DrawnValue x = Pick(scope, -1);
  const std::string y = Fresh(scope);
  Node(scope, kOps[random_() % 7], {x.name}, {y});
  Add(scope, y, x.rank);
}

void NodeDrawer::Binary(DrawnScope& scope) {
  static constexpr const char* kOps[] = {"Add", "Sub", "Mul", "Max"};
  const DrawnValue a = Pick(scope, -1);
  DrawnValue b = Pick(scope, -1);
  if (Chance(40)) {
    const int rank = std::min(a.rank, static_cast<int>(random_() % 2) + 1);
    b = {Weight(scope, rank), Has(kDynamicRows) ? std::min(rank, 1) : rank};
  }
  const std::string y = Fresh(scope);
  Node(scope, kOps[random_() % 4], {a.name, b.name}, {y});
  Add(scope, y, std::max(a.rank, b.rank));
}

void NodeDrawer::Matrix(DrawnScope& scope) {
  const DrawnValue x = Pick(scope, 2);
  std::string hidden = x.name;
  const bool large = Has(kLargeWeights) && Chance(50);
  for (const std::vector<int64_t>& dims :
       large ? std::vector<std::vector<int64_t>>{{4, 300}, {300, 4}} : std::vector<std::vector<int64_t>>{{4, 4}}) {
    const std::string weight = Constant(scope, Floats(dims));
    const std::string y = Fresh(scope);
    Node(scope, "MatMul", {hidden, weight}, {y});
    hidden = y;
  }
  const std::string y = Fresh(scope);
  Node(scope, "Tanh", {hidden}, {y});
  Add(scope, y, 2);
}

void NodeDrawer::Split(DrawnScope& scope) {
  const DrawnValue x = Pick(scope, 2);
  const std::string sizes = Constant(scope, Integers({1, 3}));
  const std::string first = Fresh(scope);
  const std::string second = Fresh(scope);
  onnx::NodeProto& split = Node(scope, "Split", {x.name, sizes}, {first, second});
  onnx::AttributeProto& axis = *split.add_attribute();
  axis.set_name("axis");
  axis.set_type(onnx::AttributeProto::INT);
  axis.set_i(1);
  const std::string y = Fresh(scope);
  Node(scope, "Mul", {x.name, first}, {y});
  Add(scope, y, 2);
}

void NodeDrawer::Optional(DrawnScope& scope) {
  const DrawnValue x = Pick(scope, -1);
  const std::string y = Fresh(scope);
  if (Chance(50)) {
    const std::string high = Constant(scope, Floats({}));
    Node(scope, "Clip", {x.name, "", high}, {y});
  } else {
    Node(scope, "Dropout", {x.name}, {y, ""}).set_name("Dropout_" + y);
  }
  Add(scope, y, x.rank);
}

void NodeDrawer::Shapes(DrawnScope& scope) {
  const DrawnValue of = Pick(scope, 2);
  const DrawnValue x = Pick(scope, static_cast<int>(random_() % 2));
  const std::string shape = Fresh(scope);
  Node(scope, "Shape", {of.name}, {shape});
  const std::string y = Fresh(scope);
  Node(scope, "Expand", {x.name, shape}, {y});
  Add(scope, y, 2);
  if (Chance(50)) {
    const std::string sum = Fresh(scope);
    onnx::AttributeProto& keep = *Node(scope, "ReduceSum", {y}, {sum}).add_attribute();
    keep.set_name("keepdims");
    keep.set_type(onnx::AttributeProto::INT);
    keep.set_i(0);
    Add(scope, sum, 0);
  }
}

void NodeDrawer::Typed(DrawnScope& scope, int dtype) {
  const std::string weight = Constant(scope, RandomTensorProto(dtype, {4}, random_));
  const std::string y = Fresh(scope);
  onnx::AttributeProto& to = *Node(scope, "Cast", {weight}, {y}).add_attribute();
  to.set_name("to");
  to.set_type(onnx::AttributeProto::INT);
  to.set_i(TensorProto::FLOAT);
  Add(scope, y, 1);
}

void NodeDrawer::Sparse(DrawnScope& scope) {
  onnx::SparseTensorProto sparse;
  *sparse.mutable_values() = Floats({2});
  *sparse.mutable_indices() = Integers({static_cast<int64_t>(random_() % 2), 3});
  sparse.add_dims(4);
  const std::string name = Fresh(scope);
  if (scope.graph != nullptr && Chance(60)) {
    sparse.mutable_values()->set_name(name);
    *scope.graph->add_sparse_initializer() = std::move(sparse);
  } else {
    onnx::AttributeProto& value = *Node(scope, "Constant", {}, {name}).add_attribute();
    value.set_name("sparse_value");
    value.set_type(onnx::AttributeProto::SPARSE_TENSOR);
    *value.mutable_sparse_tensor() = std::move(sparse);
  }
  const DrawnValue x = Pick(scope, -1);
  const std::string y = Fresh(scope);
  Node(scope, "Add", {x.name, name}, {y});
  Add(scope, y, std::max(x.rank, 1));
}

void NodeDrawer::Custom(DrawnScope& scope) {
  const DrawnValue a = Pick(scope, -1);
  const std::string y = Fresh(scope);
  const bool skips_first = Has(kOptionalValues) && Chance(50);
  onnx::NodeProto& node =
      Node(scope, "Mystery", skips_first ? std::vector<std::string>{"", a.name} : std::vector{a.name},
           skips_first ? std::vector<std::string>{"", y} : std::vector{y});
  node.set_domain("vendor.x");
  onnx::AttributeProto& level = *node.add_attribute();
  level.set_name("tables");
  level.set_type(onnx::AttributeProto::TENSORS);
  *level.add_tensors() = Floats({2});
  *level.add_tensors() = RandomTensorProto(TensorProto::INT8, {3}, random_);
  Add(scope, y, a.rank);
}

void NodeDrawer::Random(DrawnScope& scope) {
  const std::string y = Fresh(scope);
  onnx::AttributeProto& shape = *Node(scope, "RandomNormal", {}, {y}).add_attribute();
  shape.set_name("shape");
  shape.set_type(onnx::AttributeProto::INTS);
  shape.add_ints(4);
  Add(scope, y, 1);
}

void NodeDrawer::Draw(DrawnScope& scope) {
  switch (random_() % 16) {
    case 0:
    case 1:
      return Unary(scope);
    case 2:
      return Matrix(scope);
    case 3:
      return Has(kPartialSplits) ? Split(scope) : Binary(scope);
    case 4:
      return Has(kOptionalValues) ? Optional(scope) : Unary(scope);
    case 5:
      return Has(kShapes) ? Shapes(scope) : Binary(scope);
    case 6:
      return Has(kDtypes) ? Typed(scope, CastableDtypes()[random_() % CastableDtypes().size()]) : Binary(scope);
    case 7:
      return Has(kExoticDtypes) ? Typed(scope, ExoticDtypes()[random_() % ExoticDtypes().size()]) : Binary(scope);
    case 8:
      // In functions ONNX Runtime 1.26 reads freed memory for a sparse constant, and takes no sparse initializer.
      return Has(kSparse) && (!scope.in_function || Has(kExoticDtypes)) ? Sparse(scope) : Unary(scope);
    case 9:
      return Has(kCustomDomains) ? Custom(scope) : Binary(scope);
    case 10:
      return Has(kRandomNodes) ? Random(scope) : Unary(scope);
    case 11:
    case 12:
      if (Has(kBodies) && scope.depth < 3) {
        const uint64_t which = random_() % 4;
        return which == 0 ? Loop(scope) : which == 1 ? Scan(scope) : If(scope);
      }
      return Binary(scope);
    case 13:
      return Has(kLocalFunctions) && !functions_.empty() ? Call(scope) : Binary(scope);
    default:
      return Binary(scope);
  }
}

std::vector<std::pair<std::string, std::string>> NodeDrawer::TakeFiles() {
  return {{"weights.bin", std::move(files_[0])}, {"more.bin", std::move(files_[1])}};
}

}  // namespace gomai::testing
