// See random_graph.h: the frame of a model and what is written on it; nodes come from random_nodes.cc.
#include "tests/support/random_graph.h"

#include <fmt/format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <array>
#include <deque>
#include <set>

#include "tests/support/random_nodes.h"
#include "tests/support/random_tensors.h"

namespace gomai::testing {
namespace {

class Decorator {
 public:
  Decorator(uint32_t features, std::mt19937_64& random) : features_(features), random_(random) {}

  void Run(onnx::ModelProto& model) {
    Message(model);
    if (Has(kMetadata)) {
      model.set_producer_name("nobody");
      model.set_domain("example.org");
      model.set_model_version(4);
    }
    Graph(*model.mutable_graph());
    for (onnx::FunctionProto& function : *model.mutable_functions()) {
      Message(function);
      Nodes(*function.mutable_node());
    }
    while (!bodies_.empty()) {
      onnx::GraphProto& body = *bodies_.front();
      bodies_.pop_front();
      Graph(body);
    }
  }

 private:
  bool Has(uint32_t feature) const { return (features_ & feature) != 0; }
  bool Chance(unsigned percent) { return random_() % 100 < percent; }

  template <typename Proto>
  void Message(Proto& proto) {
    if constexpr (requires { proto.mutable_metadata_props(); }) {
      if (Has(kMetadata) && Chance(30)) {
        onnx::StringStringEntryProto& entry = *proto.add_metadata_props();
        entry.set_key("key");
        entry.set_value("value " + std::to_string(random_() % 100));
      }
    }
    if (Has(kDocStrings) && Chance(30)) {
      proto.set_doc_string("words " + std::to_string(random_() % 100));
    }
    if (Has(kUnknownFields) && Chance(30)) {
      google::protobuf::UnknownFieldSet& fields = *proto.GetReflection()->MutableUnknownFields(&proto);
      switch (random_() % 3) {
        case 0:
          fields.AddVarint(4001, random_() % 1000);
          break;
        case 1:
          fields.AddFixed32(4002, 7);
          break;
        default:
          fields.AddLengthDelimited(4003, "future");
          break;
      }
    }
  }

  void Nodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
    for (onnx::NodeProto& node : nodes) {
      Message(node);
      if (Has(kOddNames)) {
        switch (random_() % 7) {
          case 0:
            node.clear_name();
            break;
          case 1:
          case 2:
            node.set_name(fmt::format("/scope/{}/{}", random_() % 3, node.name()));
            break;
          default:
            break;
        }
      }
      if (Has(kRepeatedNames) && Chance(30)) {
        node.set_name(std::array{"/", "again", "/scope/again"}[random_() % 3]);
      }
      for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
        Message(attribute);
        if (attribute.has_t()) {
          Message(*attribute.mutable_t());
        }
        if (attribute.has_g()) {
          bodies_.push_back(attribute.mutable_g());
        }
      }
    }
  }

  void Graph(onnx::GraphProto& graph) {
    Message(graph);
    for (auto* list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()}) {
      for (onnx::ValueInfoProto& value : *list) {
        Message(value);
      }
    }
    for (onnx::TensorProto& tensor : *graph.mutable_initializer()) {
      Message(tensor);
    }
    Nodes(*graph.mutable_node());
  }

  uint32_t features_;
  std::mt19937_64& random_;
  std::deque<onnx::GraphProto*> bodies_;
};

void AddInputs(NodeDrawer& drawer, DrawnScope& scope) {
  onnx::GraphProto& graph = *scope.graph;
  const auto add = [&](const std::string& name, int rank) {
    onnx::ValueInfoProto& input = *graph.add_input();
    input.set_name(name);
    *input.mutable_type() = drawer.Type(onnx::TensorProto::FLOAT, rank);
    scope.values.push_back({name, rank});
  };
  add("scalar", 0);
  add("row", 1);
  if (drawer.Has(kOverridable)) {
    add("overridable", 1);
    onnx::TensorProto& tensor = *graph.add_initializer();
    tensor = RandomTensorProto(onnx::TensorProto::FLOAT, {4}, drawer.random());
    tensor.set_name("overridable");
  }
  add("x", 2);
}

void AddOutputs(NodeDrawer& drawer, DrawnScope& scope) {
  onnx::GraphProto& graph = *scope.graph;
  const std::string last = drawer.Fresh(scope);
  drawer.Node(scope, "Add", {drawer.Pick(scope, 2).name, drawer.Pick(scope, -1).name}, {last});
  std::vector<DrawnValue> chosen = {{last, 2}};
  for (uint64_t i = drawer.random()() % 3; i > 0; --i) {
    const DrawnValue value = scope.values[drawer.random()() % scope.values.size()];
    std::set<std::string> odd;
    for (const onnx::ValueInfoProto& input : graph.input()) {
      odd.insert(input.name());
    }
    for (const onnx::TensorProto& tensor : graph.initializer()) {
      odd.insert(tensor.name());
    }
    for (const onnx::NodeProto& node : graph.node()) {
      if (node.op_type() == "Constant") {
        odd.insert(node.output(0));
      }
    }
    const bool again = std::any_of(chosen.begin(), chosen.end(), [&](const auto& c) { return c.name == value.name; });
    if (!again && (drawer.Has(kOddOutputs) || !odd.contains(value.name))) {
      chosen.push_back(value);
    }
  }
  std::shuffle(chosen.begin(), chosen.end(), drawer.random());
  for (const DrawnValue& value : chosen) {
    onnx::ValueInfoProto& output = *graph.add_output();
    output.set_name(value.name);
    *output.mutable_type() = drawer.Type(onnx::TensorProto::FLOAT, value.rank);
  }
}

void Describe(NodeDrawer& drawer, const DrawnScope& scope) {
  onnx::GraphProto& graph = *scope.graph;
  std::set<std::string> said;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    said.insert(input.name());
  }
  for (const onnx::ValueInfoProto& output : graph.output()) {
    said.insert(output.name());
  }
  for (const DrawnValue& value : scope.values) {
    if (drawer.Has(kDescriptions) && drawer.Chance(50) && said.insert(value.name).second) {
      onnx::ValueInfoProto& info = *graph.add_value_info();
      info.set_name(value.name);
      *info.mutable_type() = drawer.Type(onnx::TensorProto::FLOAT, value.rank);
    }
    if (drawer.Has(kAnnotations) && drawer.Chance(15) && graph.initializer_size() > 0) {
      onnx::TensorAnnotation& annotation = *graph.add_quantization_annotation();
      annotation.set_tensor_name(value.name);
      onnx::StringStringEntryProto& scale = *annotation.add_quant_parameter_tensor_names();
      scale.set_key("SCALE_TENSOR");
      scale.set_value(
          graph.initializer(static_cast<int>(drawer.random()() % static_cast<uint64_t>(graph.initializer_size())))
              .name());
    }
  }
}

}  // namespace

void Decorate(onnx::ModelProto& model, uint32_t features, std::mt19937_64& random) {
  Decorator(features, random).Run(model);
}

RandomGraph MakeRandomGraph(const RandomGraphOptions& options) {
  RandomGraph result;
  onnx::ModelProto& model = result.model;
  NodeDrawer drawer(options, &model);
  result.rows = drawer.rows();
  for (const auto& [domain, version] :
       {std::pair<const char*, int>{"", drawer.opset()}, {"local", 1}, {"vendor.x", 3}}) {
    onnx::OperatorSetIdProto& import = *model.add_opset_import();
    import.set_domain(domain);
    import.set_version(version);
  }
  if (drawer.Has(kLocalFunctions)) {
    for (uint64_t i = drawer.random()() % 4; i > 0; --i) {
      drawer.DrawFunction();
    }
  }
  model.mutable_graph()->set_name("main");
  DrawnScope scope;
  scope.graph = model.mutable_graph();
  scope.nodes = scope.graph->mutable_node();
  scope.prefix = "v";
  AddInputs(drawer, scope);
  for (int i = 0; i < options.nodes; ++i) {
    drawer.Draw(scope);
  }
  AddOutputs(drawer, scope);
  Describe(drawer, scope);
  Decorate(model, options.features, drawer.random());
  result.files = drawer.TakeFiles();
  return result;
}

std::string FeatureNames(uint32_t features) {
  static constexpr const char* kNames[] = {
      "bodies",          "local-functions", "odd-names",      "zero-rows",    "dynamic-rows",
      "optional-values", "odd-outputs",     "partial-splits", "overridable",  "sparse",
      "metadata",        "doc-strings",     "unknown-fields", "dtypes",       "places",
      "external",        "large-weights",   "annotations",    "descriptions", "shapes",
      "skips",           "custom-domains",  "exotic-dtypes",  "random-nodes", "repeated-names"};
  std::string names;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if ((features >> i & 1) != 0) {
      names += (names.empty() ? "" : "+") + std::string(kNames[i]);
    }
  }
  return names.empty() ? "none" : names;
}

}  // namespace gomai::testing
