// See random_nodes.h: If, Loop, Scan, and functions.
#include "tests/support/random_nodes.h"

namespace gomai::testing {
namespace {

void SetInt(onnx::NodeProto& node, const char* name, int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

onnx::TensorProto Truth() {
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx::TensorProto::BOOL);
  tensor.set_raw_data(std::string(1, '\1'));
  return tensor;
}

}  // namespace

DrawnScope NodeDrawer::BodyOf(const DrawnScope& outer, onnx::NodeProto& node, const std::string& attribute) const {
  onnx::AttributeProto& added = *node.add_attribute();
  added.set_name(attribute);
  added.set_type(onnx::AttributeProto::GRAPH);
  DrawnScope body;
  body.graph = added.mutable_g();
  body.graph->set_name(attribute);
  body.nodes = body.graph->mutable_node();
  body.values = outer.values;
  body.own = body.values.size();
  body.depth = outer.depth + 1;
  body.in_function = outer.in_function;
  // Siblings share their names; a body and what encloses it don't.
  body.prefix = (outer.in_function ? "fb" : "b") + std::to_string(body.depth) + "_";
  return body;
}

// Something of this rank that the body makes itself.
std::string NodeDrawer::OwnOutput(DrawnScope& body, int rank) {
  for (size_t i = body.values.size(); i-- > body.own;) {
    if (body.values[i].rank == rank && Chance(80)) {
      return body.values[i].name;
    }
  }
  const std::string x = Pick(body, rank).name;
  const std::string y = Fresh(body);
  Node(body, "Identity", {x}, {y});
  Add(body, y, rank);
  return y;
}

void NodeDrawer::If(DrawnScope& scope) {
  const std::string sum = Fresh(scope);
  SetInt(Node(scope, "ReduceSum", {Pick(scope, -1).name}, {sum}), "keepdims", 0);
  const std::string threshold = Constant(scope, Floats({}));
  const std::string condition = Fresh(scope);
  Node(scope, "Greater", {sum, threshold}, {condition});
  const int outputs = Chance(30) ? 2 : 1;
  std::vector<int> ranks;
  std::vector<std::string> names;
  for (int i = 0; i < outputs; ++i) {
    ranks.push_back(static_cast<int>(random_() % 3));
    if (ranks.back() == 2 && Has(kDynamicRows)) {
      Pick(scope, 2);  // there is always an input of that shape
    }
    names.push_back(Fresh(scope));
  }
  // Weights drawn inside may be added to no enclosing scope, so the node's place doesn't move.
  onnx::NodeProto& node = Node(scope, "If", {condition}, names);
  for (const char* branch : {"then_branch", "else_branch"}) {
    DrawnScope body = BodyOf(scope, node, branch);
    for (uint64_t i = random_() % 3 + 1; i > 0; --i) {
      Draw(body);
    }
    std::vector<std::string> taken;
    for (const int rank : ranks) {
      std::string name = OwnOutput(body, rank);
      if (!taken.empty() && taken.back() == name) {
        const std::string copy = Fresh(body);
        Node(body, "Identity", {name}, {copy});
        name = copy;
      }
      taken.push_back(name);
      onnx::ValueInfoProto& output = *body.graph->add_output();
      output.set_name(name);
      *output.mutable_type() = Type(onnx::TensorProto::FLOAT, rank);
    }
  }
  for (int i = 0; i < outputs; ++i) {
    Add(scope, names[static_cast<size_t>(i)], ranks[static_cast<size_t>(i)]);
  }
}

void NodeDrawer::Loop(DrawnScope& scope) {
  const DrawnValue start = Pick(scope, -1);
  const std::string trips = Constant(scope, Integers({static_cast<int64_t>(random_() % 3)}, true));
  const std::string condition = Has(kOptionalValues) && Chance(50) ? "" : Constant(scope, Truth());
  const std::string last = Fresh(scope);
  const std::string all = Fresh(scope);
  onnx::NodeProto& node = Node(scope, "Loop", {trips, condition, start.name}, {last, all});
  DrawnScope body = BodyOf(scope, node, "body");
  const auto input = [&](int dtype, int rank) {
    onnx::ValueInfoProto& added = *body.graph->add_input();
    added.set_name(Fresh(body));
    *added.mutable_type() = Type(dtype, rank);
    return added.name();
  };
  const auto output = [&](const std::string& name, int dtype, int rank) {
    onnx::ValueInfoProto& added = *body.graph->add_output();
    added.set_name(name);
    *added.mutable_type() = Type(dtype, rank);
  };
  input(onnx::TensorProto::INT64, 0);
  const std::string go = input(onnx::TensorProto::BOOL, 0);
  Add(body, input(onnx::TensorProto::FLOAT, start.rank), start.rank);
  const std::string go_on = Fresh(body);
  Node(body, "Identity", {go}, {go_on});
  for (uint64_t i = random_() % 3 + 1; i > 0; --i) {
    Draw(body);
  }
  const std::string state = Fresh(body);
  Node(body, "Tanh", {Pick(body, start.rank).name}, {state});
  const std::string scanned = Fresh(body);
  Node(body, "Neg", {state}, {scanned});
  output(go_on, onnx::TensorProto::BOOL, 0);
  output(state, onnx::TensorProto::FLOAT, start.rank);
  output(scanned, onnx::TensorProto::FLOAT, start.rank);
  Add(scope, last, start.rank);
  const std::string sum = Fresh(scope);
  SetInt(Node(scope, "ReduceSum", {all}, {sum}), "keepdims", 0);
  Add(scope, sum, 0);
}

void NodeDrawer::Scan(DrawnScope& scope) {
  if (rows_ == 0) {
    return If(scope);
  }
  const DrawnValue start = Pick(scope, 1);
  const DrawnValue over = Pick(scope, 2);
  const std::string last = Fresh(scope);
  const std::string all = Fresh(scope);
  onnx::NodeProto& node = Node(scope, "Scan", {start.name, over.name}, {last, all});
  SetInt(node, "num_scan_inputs", 1);
  DrawnScope body = BodyOf(scope, node, "body");
  for (int i = 0; i < 2; ++i) {
    onnx::ValueInfoProto& added = *body.graph->add_input();
    added.set_name(Fresh(body));
    *added.mutable_type() = Type(onnx::TensorProto::FLOAT, 1);
    Add(body, added.name(), 1);
  }
  for (uint64_t i = random_() % 3 + 1; i > 0; --i) {
    Draw(body);
  }
  for (const char* op : {"Tanh", "Neg"}) {
    onnx::ValueInfoProto& output = *body.graph->add_output();
    output.set_name(Fresh(body));
    *output.mutable_type() = Type(onnx::TensorProto::FLOAT, 1);
    Node(body, op, {Pick(body, 1).name}, {output.name()});
  }
  Add(scope, last, 1);
  Add(scope, all, 2);
}

void NodeDrawer::Call(DrawnScope& scope) {
  const Function& function = functions_[random_() % functions_.size()];
  const std::string a = Pick(scope, 2).name;
  const std::string b = Pick(scope, 1).name;
  std::vector<std::string> names;
  for (size_t i = 0; i < function.outputs.size(); ++i) {
    names.push_back(Fresh(scope));
  }
  onnx::NodeProto& node = Node(scope, function.name, {a, b}, names);
  node.set_domain("local");
  if (function.alpha && Chance(50)) {
    onnx::AttributeProto& alpha = *node.add_attribute();
    alpha.set_name("alpha");
    alpha.set_type(onnx::AttributeProto::FLOAT);
    alpha.set_f(0.5F);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    Add(scope, names[i], function.outputs[i]);
  }
}

void NodeDrawer::DrawFunction() {
  onnx::FunctionProto proto;
  Function function;
  function.name = "Block" + std::to_string(functions_.size());
  proto.set_name(function.name);
  proto.set_domain("local");
  DrawnScope scope;
  scope.nodes = proto.mutable_node();
  scope.prefix = "f";
  scope.in_function = true;
  for (int rank : {2, 1}) {
    proto.add_input(Fresh(scope));
    Add(scope, proto.input(proto.input_size() - 1), rank);
  }
  if (Chance(50)) {
    function.alpha = true;
    const std::string y = Fresh(scope);
    onnx::AttributeProto& reference = *Node(scope, "LeakyRelu", {proto.input(0)}, {y}).add_attribute();
    reference.set_name("alpha");
    reference.set_type(onnx::AttributeProto::FLOAT);
    reference.set_ref_attr_name("alpha");
    onnx::AttributeProto& absent = *proto.add_attribute_proto();
    absent.set_name("alpha");
    absent.set_type(onnx::AttributeProto::FLOAT);
    absent.set_f(0.25F);
    Add(scope, y, 2);
  }
  for (uint64_t i = random_() % 4 + 1; i > 0; --i) {
    Draw(scope);
  }
  if (!functions_.empty() && Chance(60)) {
    Call(scope);
  }
  for (int rank : {2, 1}) {
    if (rank == 1 && Chance(50)) {
      continue;
    }
    const std::string y = Fresh(scope);
    Node(scope, "Neg", {Pick(scope, rank).name}, {y});
    proto.add_output(y);
    function.outputs.push_back(rank);
  }
  for (const auto& [domain, version] : {std::pair<const char*, int>{"", opset_}, {"local", 1}, {"vendor.x", 3}}) {
    onnx::OperatorSetIdProto& import = *proto.add_opset_import();
    import.set_domain(domain);
    import.set_version(version);
  }
  *model_.add_functions() = std::move(proto);
  functions_.push_back(std::move(function));
}

}  // namespace gomai::testing
