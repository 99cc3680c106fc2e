// set-ir-version: the number of the file format, where the model holds nothing that it lacks.
//
// Each version of onnx.proto added messages; a lower number is right only for a file that uses none of what came
// later. Source: the comments on enum Version in onnx.proto.
#include <map>
#include <set>

#include "lib/model/dtype.h"
#include "lib/model/tensors.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

constexpr int64_t kOldest = 3;
constexpr int64_t kNewest = onnx::Version::IR_VERSION;

// The version that brought an element type.
int64_t VersionOf(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::BFLOAT16:
      return 4;
    case onnx::TensorProto::FLOAT8E4M3FN:
    case onnx::TensorProto::FLOAT8E4M3FNUZ:
    case onnx::TensorProto::FLOAT8E5M2:
    case onnx::TensorProto::FLOAT8E5M2FNUZ:
      return 9;
    case 21:  // uint4, int4; numbers as in onnx.proto, younger than the oldest ONNX that is built against
    case 22:
      return 10;
    case 23:  // float4e2m1
      return 11;
    case 24:  // float8e8m0
      return 12;
    case 25:  // uint2, int2
    case 26:
      return 13;
    default:
      return 0;
  }
}

// What the model holds, by the version that it needs.
class Needs {
 public:
  void Add(int64_t version, std::string what) {
    if (version > 0) {
      needs_.emplace(version, std::move(what));  // the first of each version is enough to name
    }
  }
  // What a lower version would lack; "" if it lacks nothing.
  std::string Above(int64_t version) const {
    std::string text;
    for (auto it = needs_.upper_bound(version); it != needs_.end(); ++it) {
      text += fmt::format("{}{} (from version {} on)", text.empty() ? "" : "; ", it->second, it->first);
    }
    return text;
  }

 private:
  std::map<int64_t, std::string> needs_;
};

void LookAtType(const onnx::ValueInfoProto& info, Needs* needs) {
  if (info.metadata_props_size() > 0) {
    needs->Add(10, fmt::format("metadata of the value '{}'", info.name()));
  }
  if (info.type().has_optional_type()) {
    needs->Add(8, fmt::format("the optional '{}'", info.name()));
  }
  if (info.type().has_sparse_tensor_type()) {
    needs->Add(6, fmt::format("the sparse tensor '{}'", info.name()));
  }
  const int dtype = info.type().tensor_type().elem_type();
  needs->Add(VersionOf(dtype), fmt::format("'{}' of {}", info.name(), DtypeName(dtype)));
}

void LookAtGraph(const onnx::GraphProto& graph, Needs* needs) {
  for (const auto* infos : {&graph.input(), &graph.output(), &graph.value_info()}) {
    for (const onnx::ValueInfoProto& info : *infos) {
      LookAtType(info, needs);
    }
  }
  if (graph.quantization_annotation_size() > 0) {
    needs->Add(5, "quantization annotations");
  }
  if (graph.sparse_initializer_size() > 0) {
    needs->Add(6, fmt::format("the sparse initializer '{}'", graph.sparse_initializer(0).values().name()));
  }
  if (graph.metadata_props_size() > 0) {
    needs->Add(10, fmt::format("metadata of the graph '{}'", graph.name()));
  }
}

void LookAtNode(const Index& index, NodeId id, Needs* needs) {
  const onnx::NodeProto& node = *index.node(id).proto;
  if (node.metadata_props_size() > 0) {
    needs->Add(10, fmt::format("metadata of {}", index.Describe(id)));
  }
  if (!node.overload().empty()) {
    needs->Add(10, fmt::format("the overload '{}' that {} calls", node.overload(), index.Describe(id)));
  }
}

Needs LookAt(const PassContext& context) {
  const onnx::ModelProto& model = context.model().proto();
  const Index& index = context.index();
  Needs needs;
  std::set<std::string_view> inputs;
  for (const onnx::ValueInfoProto& input : model.graph().input()) {
    inputs.insert(input.name());
  }
  for (const onnx::TensorProto& initializer : model.graph().initializer()) {
    if (!inputs.contains(initializer.name())) {
      needs.Add(4, fmt::format("the initializer '{}', which is no input", initializer.name()));
    }
  }
  for (const Index::Scope& scope : index.scopes()) {
    if (scope.graph != nullptr) {
      LookAtGraph(*scope.graph, &needs);
      if (scope.owner != kNone && scope.graph->initializer_size() > 0) {
        needs.Add(4,
                  fmt::format("the initializer '{}' of a body, which is no input", scope.graph->initializer(0).name()));
      }
    }
  }
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    LookAtNode(index, id, &needs);
  }
  if (model.training_info_size() > 0) {
    needs.Add(7, "training information");
  }
  for (const onnx::FunctionProto& function : model.functions()) {
    needs.Add(8, fmt::format("the function '{}'", function.name()));
    if (!function.overload().empty() || function.metadata_props_size() > 0 || function.value_info_size() > 0) {
      needs.Add(10, fmt::format("an overload, metadata or declared types of the function '{}'", function.name()));
    }
  }
  ForEachTensor(model, [&](const onnx::TensorProto& tensor, TensorPlace) {
    needs.Add(VersionOf(tensor.data_type()), fmt::format("'{}' of {}", tensor.name(), DtypeName(tensor.data_type())));
    if (tensor.metadata_props_size() > 0) {
      needs.Add(10, fmt::format("metadata of the tensor '{}'", tensor.name()));
    }
  });
  return needs;
}

absl::Status Run(PassContext& context) {
  const int64_t version = context.options().Int("version");
  const int64_t present = context.model().proto().ir_version();
  if (version < kOldest || version > kNewest) {
    return InvalidArgument("the IR version must be from {} to {}, not {}", kOldest, kNewest, version);
  }
  if (version == present) {
    return absl::OkStatus();
  }
  if (const std::string lacks = LookAt(context).Above(version); !lacks.empty()) {
    return FailedPrecondition("a model of IR version {} can't hold {}", version, lacks);
  }
  context.editor().MutableModel(fmt::format("IR version {} -> {}", present, version)).set_ir_version(version);
  return absl::OkStatus();
}

}  // namespace

const PassInfo& SetIrVersionPass() {
  static const PassInfo info = {
      .name = "set-ir-version",
      .summary = "change the version of the file format",
      .description =
          "Sets the model's IR version, the number by which old runtimes refuse files that they can't read. Nothing "
          "else "
          "changes, so it is refused where the model holds what the version lacks: initializers that are no inputs "
          "(from 4 on), quantization annotations (5), sparse tensors (6), training information (7), functions and "
          "optionals (8), float8 (9), 4-bit integers, metadata below the model, overloads (10), float4 (11), "
          "float8e8m0 "
          "(12), 2-bit integers (13). The operators are convert-opset's affair; some runtimes want an IR version that "
          "is as old as the opset.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = {{.name = "version", .type = OptionType::kInt, .required = true, .help = "3 or more"}},
      .examples = {"set-ir-version{version=8}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
