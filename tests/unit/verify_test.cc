// Every fault, with its exact location; and none where there is none.
#include "lib/graph/verify.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::ParseGraph;
using testing::ParseModel;
using Lines = std::vector<std::string>;

std::string_view KindName(FaultKind kind) {
  switch (kind) {
    case FaultKind::kDuplicateDefinition:
      return "duplicate";
    case FaultKind::kUndefinedUse:
      return "undefined";
    case FaultKind::kUseBeforeDefinition:
      return "early";
    case FaultKind::kCycle:
      return "cycle";
    case FaultKind::kUndefinedOutput:
      return "output";
    case FaultKind::kBadAttribute:
      return "attribute";
    case FaultKind::kBadTensor:
      return "tensor";
    case FaultKind::kBadExternalData:
      return "external";
    case FaultKind::kRecursiveFunction:
      return "recursive";
    case FaultKind::kMissingOpset:
      return "opset";
    case FaultKind::kBadStructure:
      return "structure";
  }
  return "?";
}

Lines Faults(onnx::ModelProto proto, const std::filesystem::path& folder = {}) {
  const Model model = Model::FromProto(std::move(proto), folder);
  const Index index(model.proto());
  Lines lines;
  bool broken = false;
  for (const Fault& fault : Verify(model, index)) {
    lines.push_back(fmt::format("{}: {} {}", KindName(fault.kind), fault.location, fault.message));
    broken = broken || fault.kind != FaultKind::kUseBeforeDefinition;
  }
  CHECK(VerifyForWriting(model, index).ok() == !broken);
  return lines;
}

TEST_CASE("a sound graph has no fault") {
  CHECK(Faults(ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) <float[2] w = {1, 2}> {
  a = Mul(x, w)
  y = If(c) <
    then_branch = t () => (float[N] o) { o = Neg(a) },
    else_branch = e () => (float[N] o) { o = Clip(a, , w) }
  >
}
)")) == Lines{});
}

TEST_CASE("names defined twice") {
  onnx::ModelProto model = ParseGraph(R"(
g (float[N] x, float[N] x) => (float[N] y) <float[1] w = {1}, float[1] w = {2}> {
  [p] y = Neg(x)
  [q] y = Abs(x)
  [r] k, k = Split(x)
  [s] x = Abs(w)
  [t] w = Abs(y)
}
)");
  model.mutable_graph()->add_sparse_initializer()->mutable_values()->set_name("w");
  Lines faults = Faults(model);
  std::erase_if(faults, [](const std::string& line) { return line.starts_with("tensor"); });
  CHECK(faults == Lines{"duplicate: main graph input 1 \"x\" is an input already",
                        "duplicate: initializer \"w\" is an initializer already",
                        "duplicate: sparse initializer \"w\" is an initializer already",
                        "duplicate: q (Abs) output 0 \"y\" is defined already by p (Neg)",
                        "duplicate: r (Split) output 1 \"k\" is defined already by r (Split)",
                        "duplicate: s (Abs) output 0 \"x\" is an input already",
                        "duplicate: t (Abs) output 0 \"w\" is an initializer already"});
}

TEST_CASE("names of an enclosing graph") {
  CHECK(
      Faults(ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) {
  [n] a = Neg(x)
  [i] y = If(c) <
    then_branch = t () => (float[N] o) <float[1] c = {1}> { a = Neg(x)  o = Neg(a) },
    else_branch = e (float[N] x) => (float[N] o) { o = Neg(x) }
  >
}
)")) ==
      Lines{
          "duplicate: i::then_branch initializer \"c\" has the name of a value of main graph, which encloses it",
          "duplicate: i::then_branch::#0 (Neg) output 0 \"a\" has the name of a value of main graph, which encloses it",
          "duplicate: i::else_branch input 0 \"x\" has the name of a value of main graph, which encloses it"});
}

TEST_CASE("uses and outputs that nothing defines") {
  CHECK(Faults(ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y, float[N] gone) {
  [p] a = Add(x, nowhere)
  [i] y = If(c) <
    then_branch = t () => (float[N] o) { m = Neg(a)  o = Sub(m, "odd name") },
    else_branch = e () => (float[N] lost) { q = Neg(m) }
  >
}
)")) == Lines{"undefined: p (Add) input 1 \"nowhere\" is defined nowhere",
              "output: main graph output 1 \"gone\" is defined nowhere",
              "undefined: i::then_branch::#1 (Sub) input 1 \"odd name\" is defined nowhere",
              "undefined: i::else_branch::#0 (Neg) input 0 \"m\" is defined nowhere",
              "output: i::else_branch output 0 \"lost\" is defined nowhere"});
}

TEST_CASE("a wrong order is a fault that doesn't stop writing") {
  CHECK(Faults(ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) {
  [i] y = If(c) <
    then_branch = t () => (float[N] o) { [j] o = Neg(late) },
    else_branch = e () => (float[N] late) { }
  >
  [p] late = Neg(later)
  [q] later = Neg(x)
}
)")) == Lines{"early: p (Neg) input 0 \"later\" is read before q (Neg) makes it",
              "early: i::then_branch::j (Neg) input 0 \"late\" is read before p (Neg) makes it",
              "early: i::else_branch output 0 \"late\" is read before p (Neg) makes it"});
}

TEST_CASE("cycles") {
  CHECK(Faults(ParseGraph(R"(
g (float[N] x, bool c) => (float[N] y) {
  [ok] k = Neg(x)
  [p] a = Add(b, k)
  [q] b = If(c) < then_branch = t () => (float[N] o) { o = Neg(a) }, else_branch = e () => (float[N] r) { r = Neg(x) } >
  [after] y = Neg(b)
  [self] s = Add(s, x)
  [l] z = Loop(, c, x) < body = u (int64 i, bool go, float[N] v) => (bool go, float[N] w) { [in] w = Add(w2, v)  w2 = Neg(w) } >
}
)")) == Lines{"cycle: p (Add) needs its own output, in a cycle of p (Add), q (If)",
              "cycle: self (Add) needs its own output",
              "cycle: l::body::in (Add) needs its own output, in a cycle of l::body::in (Add), l::body::#1 (Neg)"});
}

onnx::AttributeProto Attribute(const char* name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

TEST_CASE("attributes") {
  onnx::ModelProto model = ParseGraph("g (float[N] x) => (float[N] y) { [p] y = Conv(x) }");
  onnx::NodeProto& node = *model.mutable_graph()->mutable_node(0);
  using A = onnx::AttributeProto;
  *node.add_attribute() = Attribute("zero", A::INT);    // proto3 leaves out a zero
  *node.add_attribute() = Attribute("empty", A::INTS);  // an empty list
  *node.add_attribute() = Attribute("zero", A::FLOAT);
  *node.add_attribute() = Attribute("mixed", A::INT);
  node.mutable_attribute(3)->set_f(1);
  *node.add_attribute() = Attribute("both", A::INTS);
  node.mutable_attribute(4)->add_ints(1);
  node.mutable_attribute(4)->add_floats(1);
  *node.add_attribute() = Attribute("bare", A::TENSOR);
  *node.add_attribute() = Attribute("untyped", A::UNDEFINED);
  node.mutable_attribute(6)->set_s("text");
  *node.add_attribute() = Attribute("", A::INT);
  *node.add_attribute() = Attribute("ref", A::INT);
  node.mutable_attribute(8)->set_ref_attr_name("outer");
  *node.add_attribute() = Attribute("body", A::GRAPH);
  *node.add_attribute() = Attribute("value", A::TENSOR);
  node.mutable_attribute(10)->mutable_t()->set_data_type(onnx::TensorProto::FLOAT);
  *node.add_attribute() = Attribute("values", A::TENSORS);
  node.mutable_attribute(11)->add_tensors()->set_data_type(onnx::TensorProto::FLOAT);
  node.mutable_attribute(11)->mutable_tensors(0)->add_float_data(1);
  node.mutable_attribute(11)->add_tensors();
  CHECK(Faults(model) ==
        Lines{"attribute: p (Conv) attribute \"zero\" occurs more than once",
              "attribute: p (Conv) attribute \"mixed\" is declared INT, but holds FLOAT",
              "attribute: p (Conv) attribute \"both\" is declared INTS, but holds FLOATS and INTS",
              "attribute: p (Conv) attribute \"bare\" is declared TENSOR, but holds nothing",
              "attribute: p (Conv) attribute \"untyped\" has no type, and holds STRING",
              "attribute: p (Conv) attribute #7 has no name",
              "attribute: p (Conv) attribute \"ref\" refers to \"outer\", but is not inside a function",
              "attribute: p (Conv) attribute \"body\" is declared GRAPH, but holds nothing",
              "tensor: p (Conv) attribute \"value\" has no values; its dims say 1 elements of float32",
              "tensor: p (Conv) attribute \"values\"[1] has no element type"});
}

TEST_CASE("attributes of functions") {
  onnx::ModelProto model = ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
g (float[N] i) => (float[N] y) { y = local.F <alpha = 1.0> (i) }
<domain: "local", opset_import: ["" : 17]> F <alpha> (i) => (o) { [e] t = Elu <alpha: float = @alpha> (i)  [f] o = Elu <alpha: float = @beta> (t) }
)");
  CHECK(Faults(model) ==
        Lines{"attribute: F()::f (Elu) attribute \"alpha\" refers to \"beta\", which the function doesn't declare"});
}

onnx::TensorProto Tensor(const std::string& name, int dtype, std::vector<int64_t> dims) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(dtype);
  for (const int64_t dim : dims) {
    tensor.add_dims(dim);
  }
  return tensor;
}

Lines TensorFaults(const onnx::TensorProto& tensor, const std::filesystem::path& folder = {}) {
  onnx::ModelProto model = ParseGraph("g (float[N] x) => (float[N] x) { }");
  *model.mutable_graph()->add_initializer() = tensor;
  return Faults(model, folder);
}

TEST_CASE("tensors whose values don't fit") {
  using T = onnx::TensorProto;
  T tensor = Tensor("w", T::FLOAT, {2, 3});
  CHECK(TensorFaults(tensor) == Lines{"tensor: initializer \"w\" has no values; its dims say 6 elements of float32"});
  tensor.set_raw_data(std::string(20, '\0'));
  CHECK(TensorFaults(tensor) ==
        Lines{"tensor: initializer \"w\" has 20 bytes; its dims need 24 (6 elements of float32)"});
  tensor.set_raw_data(std::string(24, '\0'));
  CHECK(TensorFaults(tensor) == Lines{});
  tensor.add_float_data(1);
  CHECK(TensorFaults(tensor) == Lines{"tensor: initializer \"w\" has values in float_data and in raw_data"});
  tensor.clear_raw_data();
  CHECK(TensorFaults(tensor) == Lines{"tensor: initializer \"w\" has 1 entries in float_data; its dims need 6"});
  tensor.set_data_type(T::INT64);
  CHECK(TensorFaults(tensor) == Lines{"tensor: initializer \"w\" has values in float_data, which doesn't hold int64"});
  tensor.set_data_type(T::UNDEFINED);
  CHECK(TensorFaults(tensor) == Lines{"tensor: initializer \"w\" has no element type"});
  tensor.set_data_type(999);  // a type of the future
  CHECK(TensorFaults(tensor) == Lines{});

  T text = Tensor("s", T::STRING, {1});
  text.set_raw_data("x");
  CHECK(TensorFaults(text) == Lines{"tensor: initializer \"s\" has strings in raw_data"});
  T half = Tensor("h", T::FLOAT16, {2});
  half.add_int32_data(1);
  half.add_int32_data(1);
  CHECK(TensorFaults(half) == Lines{});
  T nibbles = Tensor("n", T::INT4, {3});
  nibbles.add_int32_data(1);
  nibbles.add_int32_data(1);
  CHECK(TensorFaults(nibbles) == Lines{});
  T complex = Tensor("c", T::COMPLEX64, {1});
  complex.add_float_data(1);
  CHECK(TensorFaults(complex) == Lines{"tensor: initializer \"c\" has 1 entries in float_data; its dims need 2"});
  CHECK(TensorFaults(Tensor("none", T::FLOAT, {0, 7})) == Lines{});
  CHECK(TensorFaults(Tensor("", T::FLOAT, {0})) == Lines{"structure: initializer #0 has no name"});
  for (const std::vector<int64_t>& dims :
       std::vector<std::vector<int64_t>>{{-1}, {int64_t{1} << 40, int64_t{1} << 40}}) {
    const Lines faults = TensorFaults(Tensor("d", T::FLOAT, dims));
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].starts_with("tensor: initializer \"d\" "));
  }
}

onnx::TensorProto External(const std::string& location, const char* offset, const char* length) {
  onnx::TensorProto tensor = Tensor("w", onnx::TensorProto::FLOAT, {4});
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] :
       {std::pair<const char*, const char*>{"location", location.c_str()}, {"offset", offset}, {"length", length}}) {
    if (value != nullptr) {
      onnx::StringStringEntryProto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
  }
  return tensor;
}

TEST_CASE("external data") {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "w.data") << std::string(32, 'x');
  const auto faults = [&](const std::string& location, const char* offset, const char* length) {
    return TensorFaults(External(location, offset, length), folder.path());
  };
  CHECK(faults("w.data", "16", "16") == Lines{});
  CHECK(faults("w.data", nullptr, nullptr) == Lines{});
  CHECK(faults("absent.data", "1000000", "16") == Lines{});  // not opened, so not missed
  CHECK(faults("w.data", "17", "16") ==
        Lines{"external: initializer \"w\" needs bytes 17 to 33 of \"w.data\", which has 32"});
  CHECK(faults("w.data", "17", nullptr) ==
        Lines{"external: initializer \"w\" needs bytes 17 to 33 of \"w.data\", which has 32"});
  CHECK(faults("w.data", "0", "8") == Lines{"external: initializer \"w\" has 8 bytes in \"w.data\"; its dims need 16"});
  for (const auto& [location, offset] :
       std::vector<std::pair<std::string, const char*>>{{"../w.data", "0"},
                                                        {"/etc/passwd", "0"},
                                                        {"w.data", "-1"},
                                                        {"w.data", "many"},
                                                        {"", "0"},
                                                        {"w.data", "18446744073709551615"}}) {
    const Lines lines = faults(location, offset, "16");
    INFO(location << " " << offset);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].starts_with("external: initializer \"w\" "));
  }
}

TEST_CASE("sparse initializers") {
  onnx::ModelProto model = ParseGraph("g (float[N] x) => (float[N] x) { }");
  onnx::SparseTensorProto& sparse = *model.mutable_graph()->add_sparse_initializer();
  *sparse.mutable_values() = Tensor("s", onnx::TensorProto::FLOAT, {1});
  CHECK(Faults(model) == Lines{"tensor: sparse initializer \"s\" has no values; its dims say 1 elements of float32"});
  sparse.mutable_values()->add_float_data(1);
  *sparse.mutable_indices() = Tensor("", onnx::TensorProto::INT32, {1});
  sparse.mutable_indices()->add_int32_data(1);
  CHECK(Faults(model) == Lines{"tensor: sparse initializer \"s\" has indices of int32; they are int64"});
}

TEST_CASE("functions that call themselves") {
  CHECK(Faults(ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
g (float[N] i, bool c) => (float[N] y) { y = local.A(i, c) }
<domain: "local", opset_import: ["" : 17, "local" : 1]> A (i, c) => (o) { o = local.B(i, c) }
<domain: "local", opset_import: ["" : 17, "local" : 1]> B (i, c) => (o) {
  o = If(c) < then_branch = t () => (float[N] p) { p = local.A(i, c) }, else_branch = e () => (float[N] q) { q = Neg(i) } >
}
<domain: "local", opset_import: ["" : 17, "local" : 1]> C (i) => (o) { o = local.C(i) }
<domain: "local", opset_import: ["" : 17]> C (i) => (o) { o = Neg(i) }
)")) == Lines{"duplicate: function C is defined more than once in domain local",
              "recursive: function A calls itself through A, B", "recursive: function local/C calls itself"});
}

TEST_CASE("opsets") {
  onnx::ModelProto model = ParseModel(R"(
<ir_version: 9, opset_import: ["" : 17, "local" : 1]>
g (float[N] i) => (float[N] y) { a = vendor.Op(i)  b = vendor.Op(a)  y = local.F(b) }
<domain: "local", opset_import: ["local" : 1]> F (i) => (o) { [n] o = Neg(i) }
)");
  CHECK(Faults(model) == Lines{"opset: #0 (Op) is of domain vendor, for which the model imports no opset",
                               "opset: F()::n (Neg) is of domain ai.onnx, for which function F imports no opset"});
  onnx::OperatorSetIdProto& import = *model.add_opset_import();
  import.set_domain("ai.onnx");
  import.set_version(13);
  CHECK(Faults(model)[0] == "structure: model imports opset 17 and 13 of domain ai.onnx");
  onnx::ModelProto old = ParseGraph("g (float[N] x) => (float[N] y) { y = Neg(x) }");
  old.clear_opset_import();
  CHECK(Faults(old) == Lines{"opset: #0 (Neg) is of domain ai.onnx, for which the model imports no opset"});
  old.set_ir_version(2);
  CHECK(Faults(old) == Lines{});
}

TEST_CASE("structure") {
  CHECK(Faults({}) == Lines{"structure: model has no IR version", "structure: model has no graph"});
  onnx::ModelProto model = ParseGraph("g (float[N] x) => (float[N] y) { y = Neg(x) }");
  model.mutable_graph()->add_input();
  model.mutable_graph()->add_output();
  model.mutable_graph()->mutable_node(0)->clear_op_type();
  CHECK(Faults(model) == Lines{"structure: main graph input 1 has no name", "structure: #0 has no operator type",
                               "structure: main graph output 1 has no name"});
}

TEST_CASE("for writing, the first faults are named") {
  const Model model = testing::LoadText("g (float[N] x) => (float[N] y) { y = Sum(a, b, c, d)  z = Neg(y) }");
  const Index index(model.proto());
  const absl::Status status = VerifyForWriting(model, index);
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(Message(status) ==
        "the model's structure is broken: #0 (Sum) input 0 \"a\" is defined nowhere; #0 (Sum) input 1 \"b\" is defined "
        "nowhere; #0 (Sum) input 2 \"c\" is defined nowhere; and 1 more; gomai-info lists every fault");
}

TEST_CASE("every model at hand is sound") {
  size_t checked = 0;
  for (const std::filesystem::path& path : testing::AllModels()) {
    const absl::StatusOr<Model> model = Model::Load(path);
    if (!model.ok()) {
      continue;  // lib/model's tests know which of them aren't models
    }
    const Index index(model->proto());
    for (const Fault& fault : Verify(*model, index)) {
      UNSCOPED_INFO(path.string() << ": " << fault.location << " " << fault.message);
      CHECK(false);
    }
    ++checked;
  }
  CHECK(checked > 1000);
}

TEST_CASE("hostile graphs take bounded time") {
  onnx::ModelProto model = ParseGraph("g (float[N] x) => (float[N] y) { y = Neg(x) }");
  for (int i = 0; i < 20000; ++i) {
    onnx::NodeProto& node = *model.mutable_graph()->add_node();
    node.set_op_type("Add");
    node.set_name("n");
    node.add_input(fmt::format("v{}", (i + 1) % 20000));  // one great cycle
    node.add_input("nowhere");
    node.add_output(fmt::format("v{}", i));
    node.add_output("y");
  }
  const auto start = std::chrono::steady_clock::now();
  CHECK(Faults(model).size() == 40001);
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 5);
}

}  // namespace
}  // namespace gomai
