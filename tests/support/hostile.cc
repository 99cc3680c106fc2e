// See hostile.h. Built through protobuf or ONNX's text form where that can express it, else byte by byte.
#include "tests/support/hostile.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>
#include <sys/stat.h>

#include <functional>

#include "lib/wire/deflate.h"
#include "lib/wire/reader.h"
#include "tests/support/parse.h"
#include "tests/support/wire_check.h"

namespace gomai::testing {
namespace {

constexpr int kLong = 100000;
constexpr int kDeep = 10000;

class List {
 public:
  void Add(std::string name, std::string bytes) { models_.push_back({std::move(name), false, std::move(bytes)}); }
  void Add(std::string name, const onnx::ModelProto& model) { Add(std::move(name), model.SerializeAsString()); }
  void AddSound(std::string name, const onnx::ModelProto& model) {
    models_.push_back({std::move(name), true, model.SerializeAsString()});
  }
  std::vector<HostileModel> Take() { return std::move(models_); }

 private:
  std::vector<HostileModel> models_;
};

onnx::ModelProto Small() { return ParseGraph("g (float[2] x) => (float[2] y) { y = Neg(x) }"); }

onnx::NodeProto* AddNode(onnx::ModelProto* model, const char* op, const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = model->mutable_graph()->add_node();
  node->set_op_type(op);
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return node;
}

// Wraps `inner` in `fields`, innermost first, `times` over.
std::string Nest(std::string inner, const std::vector<int>& fields, int times) {
  // Built from the end: lengths of what is inside are known then, and bytes are appended once.
  std::string reversed(inner.rbegin(), inner.rend());
  for (int i = 0; i < times; ++i) {
    for (const int field : fields) {
      std::string head;
      wire::AppendVarint(&head, static_cast<uint64_t>(field) << 3 | 2);
      wire::AppendVarint(&head, reversed.size());
      reversed.append(head.rbegin(), head.rend());
    }
  }
  return {reversed.rbegin(), reversed.rend()};
}

void AddLengths(List* list) {
  list->Add("empty", "");
  list->Add("zeros", std::string(100000, '\0'));
  list->Add("noise", std::string(5000, '\xff'));
  list->Add("zip", std::string("PK\x03\x04", 4) + std::string(100, 'z'));
  const std::string small = Small().SerializeAsString();
  for (const auto& [name, length] :
       std::vector<std::pair<std::string, std::string>>{{"2_31", "\x80\x80\x80\x80\x08"},
                                                        {"2_63", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
                                                        {"2_64_less_1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
                                                        {"11_bytes", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}}) {
    list->Add("graph_length_" + name, small + "\x3a" + length);
    const std::string tensor = "\x4a" + length + "abc";  // raw_data
    list->Add("raw_length_" + name, small + Nest(tensor, {5, 7}, 1));
  }
  list->Add("groups_deep", small + std::string(size_t{100000}, '\x0b'));
  list->Add("types_deep", small + Nest(Nest("", {4, 1}, kDeep), {2, 11, 7}, 1));    // sequences of sequences
  list->Add("bodies_deep", small + Nest(Nest("", {1, 6, 5}, kDeep), {7}, 1));       // node, attribute, graph
  list->Add("sub_bodies_deep", small + Nest(Nest("", {1, 11, 5}, kDeep), {7}, 1));  // attribute.graphs
  list->Add("function_bodies_deep", small + Nest(Nest("", {1, 6, 5}, kDeep), {5, 7, 25}, 1));
}

void AddTensors(List* list) {
  const auto with = [&](const std::string& name, const std::function<void(onnx::TensorProto*)>& change,
                        bool sound = false) {
    onnx::ModelProto model = Small();
    onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
    tensor->set_name("w");
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    change(tensor);
    AddNode(&model, "Add", {"x", "w"}, {"z"});
    model.mutable_graph()->mutable_output(0)->set_name("z");
    sound ? list->AddSound(name, model) : list->Add(name, model);
  };
  const auto external = [&](const std::string& name, const std::vector<std::pair<std::string, std::string>>& entries,
                            bool sound = false) {
    with(
        "external_" + name,
        [&](onnx::TensorProto* tensor) {
          tensor->add_dims(2);
          tensor->set_data_location(onnx::TensorProto::EXTERNAL);
          for (const auto& [key, value] : entries) {
            tensor->add_external_data()->set_key(key);
            tensor->mutable_external_data(tensor->external_data_size() - 1)->set_value(value);
          }
        },
        sound);
  };
  with("dims_huge", [](onnx::TensorProto* t) {
    for (int i = 0; i < 5; ++i) t->add_dims(int64_t{1} << 40);
  });
  with("dims_negative", [](onnx::TensorProto* t) {
    t->add_dims(-1);
    t->add_dims(-2);
    t->set_raw_data("12345678");
  });
  with("dims_a_million", [](onnx::TensorProto* t) {
    for (int i = 0; i < 1000000; ++i) t->add_dims(3);
  });
  with("dims_beyond_data", [](onnx::TensorProto* t) {
    t->add_dims(int64_t{1} << 40);
    t->set_raw_data("12345678");
  });
  with(
      "dtype_unknown",
      [](onnx::TensorProto* t) {
        t->set_data_type(123456);
        t->add_dims(2);
        t->set_raw_data("12345678");
      },
      true);
  with("payload_twice", [](onnx::TensorProto* t) {
    t->add_dims(2);
    t->set_raw_data("12345678");
    t->add_float_data(1);
  });
  external("nothing", {});
  external("parent", {{"location", "../w.bin"}});
  external("inner_parent", {{"location", "sub/../../w.bin"}});
  external("absolute", {{"location", "/etc/hostname"}});
  external("zero_byte", {{"location", std::string("w.bin\0x", 7)}});
  external("long", {{"location", std::string(100000, 'l')}}, true);
  external("link", {{"location", "link.bin"}});
  external("circle", {{"location", "circle.bin"}});
  external("pipe", {{"location", "pipe.bin"}}, true);
  external("folder", {{"location", "folder.bin"}}, true);
  external("self", {{"location", "."}}, true);
  external("absent", {{"location", "absent.bin"}}, true);
  external("offset_huge", {{"location", "w.bin"}, {"offset", "9223372036854775807"}, {"length", "8"}});
  external("offset_beyond", {{"location", "w.bin"}, {"offset", "99999999999999999999"}});
  external("offset_negative", {{"location", "w.bin"}, {"offset", "-8"}});
  external("length_huge", {{"location", "w.bin"}, {"length", "9223372036854775807"}});
  external("sum_overflows",
           {{"location", "w.bin"}, {"offset", "9223372036854775800"}, {"length", "9223372036854775800"}});
  external("a_million_entries", std::vector<std::pair<std::string, std::string>>(1000000, {"k", "v"}));
  // Our own marker, wherever a tensor may stand: it would make us inline any bytes.
  const std::vector<std::pair<std::string, std::string>> marker = {
      {"location", "1"}, {"offset", "0"}, {"length", "8"}, {std::string(wire::kMarkerKey), "9"}};
  external("marker", marker);
  const auto plant = [&](onnx::TensorProto* t) {
    t->set_data_type(onnx::TensorProto::FLOAT);
    t->add_dims(2);
    t->set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : marker) {
      t->add_external_data()->set_key(key);
      t->mutable_external_data(t->external_data_size() - 1)->set_value(value);
    }
  };
  onnx::ModelProto model = Small();
  onnx::AttributeProto* attribute = AddNode(&model, "If", {"x"}, {"z"})->add_attribute();
  attribute->set_name("then_branch");
  attribute->set_type(onnx::AttributeProto::GRAPH);
  plant(attribute->mutable_g()->add_initializer());
  list->Add("marker_in_body", model);
  model = Small();
  plant(model.add_functions()->add_node()->add_attribute()->mutable_t());
  list->Add("marker_in_function", model);
  model = Small();
  plant(model.add_training_info()->mutable_algorithm()->add_sparse_initializer()->mutable_values());
  list->Add("marker_in_training", model);
}

onnx::ModelProto Chain(bool backwards) {
  onnx::ModelProto model = ParseGraph(fmt::format("g (float[2] v0) => (float[2] v{}) {{ }}", kLong).c_str());
  for (int k = 0; k < kLong; ++k) {
    const int i = backwards ? kLong - 1 - k : k;
    AddNode(&model, "Neg", {fmt::format("v{}", i)}, {fmt::format("v{}", i + 1)});
  }
  return model;
}

// fN calls fN+1 `calls` times; the last one calls `last`, if that isn't "".
onnx::ModelProto Functions(int count, int calls, const std::string& last) {
  onnx::ModelProto model = Small();
  model.add_opset_import()->set_domain("f");
  model.mutable_opset_import(1)->set_version(1);
  AddNode(&model, "f0", {"y"}, {"z"})->set_domain("f");
  model.mutable_graph()->mutable_output(0)->set_name("z");
  for (int i = 0; i < count; ++i) {
    onnx::FunctionProto* function = model.add_functions();
    function->set_domain("f");
    function->set_name(fmt::format("f{}", i));
    function->add_input("a0");
    *function->mutable_opset_import() = model.opset_import();
    const std::string callee = i + 1 < count ? fmt::format("f{}", i + 1) : last;
    for (int k = 0; k < calls; ++k) {
      onnx::NodeProto* node = function->add_node();
      node->set_op_type(callee.empty() ? "Neg" : callee);
      node->set_domain(callee.empty() ? "" : "f");
      node->add_input(fmt::format("a{}", k));
      node->add_output(fmt::format("a{}", k + 1));
    }
    function->add_output(fmt::format("a{}", calls));
  }
  return model;
}

void AddGraphs(List* list) {
  list->AddSound("chain_long", Chain(false));
  list->AddSound("chain_backwards", Chain(true));
  onnx::ModelProto model = Chain(false);
  model.mutable_graph()->mutable_node(0)->set_input(0, fmt::format("v{}", kLong));
  list->Add("cycle_long", model);
  list->Add("cycle_self", ParseGraph("g (float[2] x) => (float[2] y) { y = Add(x, y) }"));
  model = ParseGraph(R"(g (bool c, float[2] x) => (float[2] y) {
      y = If (c) <then_branch = t () => (float[2] a) { a = Neg(z) }, else_branch = e () => (float[2] b) { b = Neg(x) }>
      z = Neg(y) })");
  list->Add("cycle_through_body", model);
  list->Add("twice_value", ParseGraph("g (float[2] x) => (float[2] y) { y = Neg(x) y = Abs(x) }"));
  model = Small();
  *model.mutable_graph()->add_input() = model.graph().input(0);
  list->Add("twice_input", model);
  model = Small();
  for (int i = 0; i < 2; ++i) {
    onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
    tensor->set_name("y");
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    tensor->add_float_data(1);
  }
  list->Add("twice_initializer", model);
  model = Functions(1, 1, "");
  *model.add_functions() = model.functions(0);
  list->Add("twice_function", model);
  model = Small();
  for (int i = 0; i < 2; ++i) {
    onnx::AttributeProto* attribute = model.mutable_graph()->mutable_node(0)->add_attribute();
    attribute->set_name("axis");
    attribute->set_type(onnx::AttributeProto::INT);
  }
  list->Add("twice_attribute", model);
  model = Small();
  AddNode(&model, "Concat", std::vector<std::string>(300000, "x"), std::vector<std::string>(300000, "same"));
  list->Add("a_node_of_600000_values", model);
  list->Add("function_calls_itself", Functions(1, 1, "f0"));
  list->Add("functions_in_a_circle", Functions(50, 1, "f0"));
  list->Add("functions_in_a_long_circle", Functions(20000, 1, "f0"));
  list->AddSound("functions_in_a_long_chain", Functions(20000, 1, ""));
  list->AddSound("functions_that_double", Functions(60, 2, ""));  // 2^60 nodes if anyone inlined them
  model = Small();
  model.clear_graph();
  list->Add("no_graph", model);
  model = Small();
  model.clear_opset_import();
  list->Add("no_opset", model);
  model = Small();
  model.mutable_opset_import(0)->set_version(INT64_MAX);
  list->AddSound("opset_huge", model);
  model = Small();
  model.mutable_opset_import(0)->set_version(INT64_MIN);
  list->AddSound("opset_negative", model);
  model = Small();
  model.set_ir_version(INT64_MAX);
  list->AddSound("ir_version_huge", model);
  model = Small();
  AddNode(&model, "", {"x"}, {"z"});
  list->Add("no_operator", model);
  model = Small();
  for (const char* op : {"If", "Loop", "Scan", "Constant", "SequenceMap", "Optional", "Cast", "Conv"}) {
    AddNode(&model, op, {}, {fmt::format("o{}", op)});
    AddNode(&model, op, {"x", "x", "x"}, {fmt::format("p{}", op), fmt::format("q{}", op)});
  }
  list->AddSound("operators_without_what_they_need", model);
  model = Small();
  const std::string name = std::string("\0\n\x1b[31m\xff\xfe\"'/../..", 18) + std::string(1 << 20, 'n');
  model.mutable_graph()->mutable_node(0)->set_output(0, name);
  model.mutable_graph()->mutable_node(0)->set_name(name);
  model.mutable_graph()->mutable_output(0)->set_name(name);
  model.set_producer_name(name);
  list->AddSound("names_ugly", model);
}

// Operators whose attributes and constants invite division by zero, overflow or gigabytes.
void AddOperators(List* list) {
  const auto add = [&](const std::string& name, const std::string& body) {
    list->AddSound("op_" + name, ParseGraph(("g (float[1,4,8,8] x, int64[1] k) => (float y) " + body).c_str()));
  };
  add("conv_stride_0",
      "{ w = Constant<value = float[4,4,1,1] {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}>() y = Conv<strides = [0,0]>(x, w) }");
  add("conv_group_0",
      "{ w = Constant<value = float[4,4,1,1] {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}>() y = Conv<group = 0>(x, w) }");
  add("conv_same_stride_0",
      "{ w = Constant<value = float[4,4,1,1] {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}>() y = Conv<auto_pad = \"SAME_UPPER\", "
      "strides = [0,0]>(x, w) }");
  add("pool_stride_0", "{ y = MaxPool<kernel_shape = [2,2], strides = [0,0]>(x) }");
  add("pool_same_stride_0", "{ y = AveragePool<kernel_shape = [2,2], auto_pad = \"SAME_LOWER\", strides = [0,0]>(x) }");
  add("pool_huge",
      "{ y = MaxPool<kernel_shape = [9223372036854775807,9223372036854775807], pads = "
      "[9223372036854775807,1,9223372036854775807,1], dilations = [9223372036854775807,2]>(x) }");
  add("convtranspose_0",
      "{ w = Constant<value = float[4,1,1,1] {1,1,1,1}>() y = ConvTranspose<strides = [0,0], group = 0, auto_pad = "
      "\"SAME_UPPER\">(x, w) }");
  add("depth_to_space_0", "{ y = DepthToSpace<blocksize = 0>(x) }");
  add("space_to_depth_0", "{ y = SpaceToDepth<blocksize = 0>(x) }");
  add("reshape_zeros",
      "{ s = Constant<value = int64[3] {-1, 0, 0}>() e = Constant<value = float[0] {}>() y = Reshape<allowzero = 1>(x, "
      "s) }");
  add("reshape_minus_ones", "{ s = Constant<value = int64[2] {-1, -1}>() y = Reshape(x, s) }");
  add("reshape_overflow",
      "{ s = Constant<value = int64[3] {4611686018427387904, 4611686018427387904, -1}>() y = Reshape(x, s) }");
  add("fill_huge", "{ s = Constant<value = int64[2] {1099511627776, 1099511627776}>() y = ConstantOfShape(s) }");
  add("fill_large", "{ s = Constant<value = int64[1] {4000000000}>() y = ConstantOfShape(s) }");
  add("fill_negative", "{ s = Constant<value = int64[1] {-5}>() y = ConstantOfShape(s) }");
  add("fill_as_shape",
      "{ n = Constant<value = int64[1] {4000000000}>() v = ConstantOfShape<value = int64[1] {2}>(n) z = Reshape(x, v) "
      "y = Neg(z) }");
  add("range_huge",
      "{ a = Constant<value = int64 {0}>() b = Constant<value = int64 {9223372036854775807}>() d = Constant<value = "
      "int64 {1}>() r = Range(a, b, d) y = Reshape(x, r) }");
  add("range_zero_step",
      "{ a = Constant<value = int64 {0}>() b = Constant<value = int64 {9}>() r = Range(a, b, a) y = Reshape(x, r) }");
  add("range_overflow",
      "{ a = Constant<value = int64 {-9223372036854775808}>() b = Constant<value = int64 {9223372036854775807}>() d = "
      "Constant<value = int64 {-1}>() r = Range(b, a, d) y = Expand(x, r) }");
  add("div_zero", "{ s = Shape(x) z = Constant<value = int64[1] {0}>() d = Div(s, z) y = Reshape(x, d) }");
  add("div_overflow",
      "{ s = Constant<value = int64[1] {-9223372036854775808}>() z = Constant<value = int64[1] {-1}>() d = Div(s, z) m "
      "= Mod(s, z) c = Concat<axis = 0>(d, m) y = Reshape(x, c) }");
  add("mod_zero", "{ s = Shape(x) z = Constant<value = int64[1] {0}>() d = Mod(s, z) y = Reshape(x, d) }");
  add("mul_overflow",
      "{ s = Constant<value = int64[1] {9223372036854775807}>() d = Mul(s, s) e = Add(d, s) f = Sub(e, s) y = "
      "Expand(x, f) }");
  add("gather_beyond",
      "{ s = Shape(x) i = Constant<value = int64[2] {9223372036854775807, -9223372036854775808}>() d = Gather<axis = "
      "7>(s, i) e = Gather(s, i) y = Reshape(x, e) }");
  add("slice_extremes",
      "{ s = Shape(x) a = Constant<value = int64[1] {-9223372036854775808}>() b = Constant<value = int64[1] "
      "{9223372036854775807}>() z = Constant<value = int64[1] {0}>() d = Slice(s, b, a, z, a) e = Slice(s, a, b, z, z) "
      "f = Slice(s, a, b, b, b) y = Reshape(x, d) }");
  add("axes_beyond",
      "{ a = Constant<value = int64[2] {9223372036854775807, -9223372036854775808}>() b = Squeeze(x, a) c = "
      "Unsqueeze(x, a) d = ReduceSum(x, a) e = Concat<axis = 9223372036854775807>(x, x) f = Flatten<axis = "
      "-9223372036854775808>(x) g = Transpose<perm = [9, -1, 9223372036854775807, 0]>(x) h = Softmax<axis = 99>(x) i = "
      "Gather<axis = -99>(x, k) y = Split<axis = 77>(x) }");
  add("shape_start_end", "{ s = Shape<start = 9223372036854775807, end = -9223372036854775808>(x) y = Reshape(x, s) }");
  add("split_odd",
      "{ s = Constant<value = int64[2] {-9223372036854775808, 9223372036854775807}>() y, z = Split<axis = 1>(x, s) }");
  add("tile_huge",
      "{ r = Constant<value = int64[4] {9223372036854775807, 2, 9223372036854775807, -1}>() y = Tile(x, r) }");
  add("pad_huge",
      "{ p = Constant<value = int64[8] {9223372036854775807, 0, 0, 0, 9223372036854775807, 0, 0, "
      "-9223372036854775808}>() y = Pad(x, p) }");
  add("expand_huge", "{ s = Constant<value = int64[5] {9223372036854775807, 1, 1, 1, 1}>() y = Expand(x, s) }");
  add("one_hot_huge",
      "{ d = Constant<value = int64 {9223372036854775807}>() v = Constant<value = float[2] {0, 1}>() y = OneHot<axis = "
      "-99>(k, d, v) }");
  add("resize_huge", "{ s = Constant<value = float[4] {1e38, -1, 1e38, 1e38}>() y = Resize(x, , s) }");
  add("resize_sizes", "{ s = Constant<value = int64[4] {0, -1, 9223372036854775807, 1}>() y = Resize(x, , , s) }");
  add("topk_huge", "{ s = Constant<value = int64[1] {9223372036854775807}>() y, z = TopK<axis = 9>(x, s) }");
  add("einsum", "{ y = Einsum<equation = \"......,ij->......->k\">(x) }");
  add("cast_unknown", "{ y = Cast<to = 987654>(x) }");
  add("roi_align_0",
      "{ r = Constant<value = float[1,4] {0,0,1,1}>() y = RoiAlign<output_height = -1, output_width = "
      "9223372036854775807>(x, r, k) }");
  add("lstm_negative", "{ y = LSTM<hidden_size = -9223372036854775808>(x, x, x) }");
  add("group_norm_0", "{ y = LpPool<kernel_shape = [0,0], strides = [0,0], p = 0>(x) }");
  add("eye_huge",
      "{ s = Constant<value = int64[2] {1099511627776, 1099511627776}>() f = ConstantOfShape(s) y = EyeLike(f) }");
  add("random_huge", "{ y = RandomNormal<shape = [1099511627776, 1099511627776]>() }");
  add("constant_mixed", "{ c = Constant<value_int = 1, value_float = 2.0>() y = Add(x, x) }");
}

}  // namespace

std::vector<HostileModel> HostileModels() {
  List list;
  AddLengths(&list);
  AddTensors(&list);
  AddGraphs(&list);
  AddOperators(&list);
  return list.Take();
}

std::string SoundModel() {
  onnx::ModelProto model = ParseModel(R"(<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
    g (float[2,3] x, bool c) => (float[2,3] y, float[2,3] z)
      <float[2] s = {1, 2}, float[3] t = {1, 2, 3}> {
      a = Add(x, t)
      b = f.twice(a)
      y = If (c) <then_branch = p () => (float[2,3] u) { u = Neg(b) },
                  else_branch = q () => (float[2,3] v) { v = Mul(b, w) }>
      [last] z = Sub(y, a)
    }
    <domain: "f", opset_import: ["" : 17]> twice (i) => (o) { o = Add(i, i) })");
  onnx::TensorProto* weight = model.mutable_graph()->add_initializer();
  weight->set_name("w");
  weight->set_data_type(onnx::TensorProto::FLOAT);
  weight->add_dims(1);
  weight->set_raw_data("abcd");
  onnx::TensorProto* large = model.mutable_graph()->add_initializer();
  large->set_name("large");
  large->set_data_type(onnx::TensorProto::UINT8);
  large->add_dims(5000);
  large->set_raw_data(std::string(5000, 'L'));
  return model.SerializeAsString();
}

std::vector<HostileManifest> HostileManifests() {
  std::vector<HostileManifest> list;
  const std::string tensor = R"("dtype": "float32", "shape": [2])";
  const auto part = [&](const std::string& name, const std::string& file, const std::string& from) {
    return fmt::format(R"({{"name": "{0}", "file": "{1}", "digest": "sha256:0", "device": "cpu",
      "inputs": [{{"name": "{2}", {3}, "from": "{4}"}}],
      "outputs": [{{"name": "h{0}", {3}, "to": [], "model_output": true}}]}})",
                       name, file, from == "input" ? "x" : "h" + from, tensor, from);
  };
  const auto whole = [&](const std::string& parts, const std::string& outputs, const std::string& node_order,
                         const std::string& inputs = "x") {
    return fmt::format(R"({{"gomai_manifest": 1, "source": {{"file": "m.onnx", "digest": "sha256:0"}},
      "inputs": [{{"name": "{}", {}}}], "outputs": [{}], "parts": [{}],
      "node_order": [{}], "initializer_order": [] }})",
                       inputs, tensor, outputs, parts, node_order);
  };
  const std::string one = part("a", "a.onnx", "input");
  list.push_back({"empty", ""});
  list.push_back({"no_object", "[]"});
  list.push_back({"brackets_deep", std::string(1000000, '[')});
  std::string objects;
  for (int i = 0; i < 200000; ++i) objects += "{\"a\":";
  list.push_back({"objects_deep", objects});
  list.push_back({"version_huge", "{\"gomai_manifest\": 18446744073709551616}"});
  list.push_back({"version_text", "{\"gomai_manifest\": \"1\"}"});
  list.push_back({"digest_wrong", whole(one, "\"ha\"", "[\"a\", 1]")});
  list.push_back({"runs_huge", whole(one, "\"ha\"", "[\"a\", 9223372036854775807], [\"a\", 9223372036854775807]")});
  list.push_back({"runs_beyond", whole(one, "\"ha\"", "[\"a\", 99999999999999999999999]")});
  list.push_back({"runs_of_nobody", whole(one, "\"ha\"", "[\"b\", 4]")});
  list.push_back({"circle", whole(part("a", "a.onnx", "b") + "," + part("b", "b.onnx", "a"), "\"ha\"", "")});
  list.push_back({"self", whole(part("a", "a.onnx", "a"), "\"ha\"", "")});
  list.push_back({"leads_out", whole(part("a", "../a.onnx", "input"), "\"ha\"", "")});
  list.push_back({"leads_out_inside", whole(part("a", "sub/../../a.onnx", "input"), "\"ha\"", "")});
  list.push_back({"absolute", whole(part("a", "/etc/hostname", "input"), "\"ha\"", "")});
  list.push_back({"link_out", whole(part("a", "link.bin", "input"), "\"ha\"", "")});
  list.push_back({"pipe", whole(part("a", "pipe.bin", "input"), "\"ha\"", "")});
  list.push_back({"folder", whole(part("a", "folder.bin", "input"), "\"ha\"", "")});
  list.push_back({"name_leads_out", whole(part("../../a", "a.onnx", "input"), "\"h../../a\"", "")});
  list.push_back({"name_of_zero", whole(part("a\\u0000b", "a.onnx", "input"), "\"ha\\u0000b\"", "")});
  list.push_back({"file_of_zero", whole(part("a", "a.onnx\\u0000.txt", "input"), "\"ha\"", "")});
  list.push_back({"name_long", whole(part(std::string(100000, 'a'), "a.onnx", "input"), "", "")});
  list.push_back({"part_absent", whole(part("a", "absent.onnx", "input"), "\"ha\"", "")});
  std::string parts;
  for (int i = 0; i < 200000; ++i) {
    parts += (i == 0 ? "" : ",") +
             part(fmt::format("p{}", i), fmt::format("p{}.onnx", i), i == 0 ? "input" : fmt::format("p{}", i - 1));
  }
  list.push_back({"parts_200000", whole(parts, "\"hp7\"", "")});
  parts.clear();
  for (int i = 0; i < 1000000; ++i) parts += i == 0 ? "{}" : ",{}";
  list.push_back({"parts_a_million", whole(parts, "", "")});
  return list;
}

void WriteHostileData(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  WriteFile((folder / "w.bin").string(), std::string(64, 'w'));
  fs::create_symlink("/etc/hostname", folder / "link.bin");
  fs::create_symlink("circle.bin", folder / "circle.bin");
  fs::create_directory(folder / "folder.bin");
  ::mkfifo((folder / "pipe.bin").c_str(), 0600);
}

}  // namespace gomai::testing
