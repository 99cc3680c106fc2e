// gomai-make: a model of one operator, to see what a runtime or a device makes of it.
#include "lib/base/text.h"
#include "lib/graph/parse_tensor.h"
#include "lib/graph/verify.h"
#include "lib/model/dtype.h"
#include "lib/runtime/npy.h"
#include "lib/shape/infer.h"
#include "lib/shape/one_op.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] =
    R"(  gomai-make Conv -o m.onnx --input x:float32:1x3x8x8 --random w:float32:4x3x3x3 --attr pads=1,1,1,1
      an input, a made-up weight, an attribute; the result's shape is inferred
  gomai-make Clip -o m.onnx --input x:float16:[N,4] --const low:float16=0 --const high:float16=6
  gomai-make Split -o m.onnx --opset 13 --input x:int8:6 --const 'sizes:int64=[2,4]' --output a
  gomai-make Resize -o m.onnx --input x:float32:1x1x4x4 --input '' --const 'by:float32=[1,1,2,2]'
      an empty name is an input that is absent)";

struct Arguments {
  OneOp op;
  std::string output;
  std::vector<std::string> inputs, randoms, constants, attributes;
  SaveOptions save;
};

// "NAME:DTYPE" with what follows it.
absl::StatusOr<std::pair<std::string, int>> NameAndDtype(const std::string& flag, const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::optional<int> dtype = colon == std::string::npos ? std::nullopt : ParseDtype(text.substr(colon + 1));
  if (!dtype || colon == 0) {
    return InvalidArgument("{} '{}' must begin with NAME:DTYPE, as x:float32", flag, text);
  }
  return std::pair(text.substr(0, colon), *dtype);
}

absl::StatusOr<OneOpInput> ParseInput(const std::string& flag, const std::string& text, uint64_t seed) {
  OneOpInput input;
  if (text.empty()) {
    return input;
  }
  if (flag == "--const") {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return InvalidArgument("--const '{}' must be NAME:DTYPE=VALUE", text);
    }
    GOMAI_ASSIGN_OR_RETURN(const auto named, NameAndDtype(flag, text.substr(0, equals)));
    GOMAI_ASSIGN_OR_RETURN(const TensorText value, ParseTensorText(text.substr(equals + 1)));
    input.name = named.first;
    GOMAI_ASSIGN_OR_RETURN(input.value, TensorOfText(named.second, value));
    return input;
  }
  const size_t colon = text.rfind(':');
  GOMAI_ASSIGN_OR_RETURN(const auto named, NameAndDtype(flag, text.substr(0, std::min(colon, text.size()))));
  GOMAI_ASSIGN_OR_RETURN(const onnx::TensorShapeProto shape, ParseShapeText(text.substr(colon + 1)));
  input.name = named.first;
  input.type.mutable_tensor_type()->set_elem_type(named.second);
  *input.type.mutable_tensor_type()->mutable_shape() = shape;
  if (flag != "--random") {
    return input;
  }
  ValueSpec spec;
  spec.name = input.name;
  spec.dtype = named.second;
  spec.has_shape = true;
  for (const auto& dim : shape.dim()) {
    if (!dim.has_dim_value()) {
      return InvalidArgument("--random '{}' needs fixed sizes", text);
    }
    spec.shape.push_back(dim.dim_value());
  }
  spec.symbols.assign(spec.shape.size(), "");
  GOMAI_ASSIGN_OR_RETURN(const HostTensor made, RandomTensor(spec, seed, spec.shape));
  input.value = ToTensorProto(made);
  return input;
}

absl::StatusOr<int> Run(Tool& tool, Arguments& arguments) {
  std::map<const CLI::Option*, size_t> taken;
  for (const CLI::Option* option : tool.app().parse_order()) {
    const std::string flag = option->get_name();
    if (flag == "--input" || flag == "--const" || flag == "--random") {
      const std::string& text = option->results()[taken[option]++];
      GOMAI_ASSIGN_OR_RETURN(OneOpInput input, ParseInput(flag, text, arguments.op.inputs.size() + 1));
      arguments.op.inputs.push_back(std::move(input));
    }
  }
  for (const std::string& text : arguments.attributes) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--attr '{}' must be NAME=VALUE", text);
    }
    arguments.op.attributes.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  GOMAI_ASSIGN_OR_RETURN(const Model model, MakeOneOp(arguments.op));
  GOMAI_RETURN_IF_ERROR(VerifyForWriting(model, Index(model.proto())));
  GOMAI_ASSIGN_OR_RETURN(const SaveReport saved, Save(model, arguments.output, arguments.save));
  nlohmann::ordered_json& document = tool.document();
  document["output"] = arguments.output;
  document["bytes_written"] = saved.bytes_written;
  std::string results;
  for (const onnx::ValueInfoProto& output : model.proto().graph().output()) {
    const std::string shape = ShapeText(output.type());
    document["outputs"].push_back({{"name", output.name()}, {"dtype", TypeName(output.type())}, {"shape", shape}});
    results += fmt::format("{}{} {} {}", results.empty() ? "" : ", ", output.name(), TypeName(output.type()), shape);
  }
  if (arguments.output != "-") {
    tool.Print(
        fmt::format("wrote {} ({}); results: {}\n", arguments.output, FormatBytes(saved.bytes_written), results));
  }
  return 0;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-make", "a model of one operator", gomai::kExamples);
  gomai::Arguments arguments;
  CLI::App& app = tool.app();
  const auto list = [&](const char* flag, std::vector<std::string>& values, const char* type, const char* help) {
    app.add_option(flag, values, help)
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  app.add_option("op", arguments.op.op_type, "the operator, as ONNX spells it")->required()->type_name("OP");
  app.add_option("-o", arguments.output, "the model to write ('-': stdout)")->required()->type_name("OUT.onnx");
  list("--input", arguments.inputs, "NAME:DTYPE:SHAPE", "an input, fed when the model is run; '' for an absent one");
  list("--const", arguments.constants, "NAME:DTYPE=VALUE", "an input that is a constant: 0.5, [1,2], [[1,2],[3,4]]");
  list("--random", arguments.randoms, "NAME:DTYPE:SHAPE", "an input that is a constant of made-up values");
  list("--attr", arguments.attributes, "NAME=VALUE", "an attribute; the operator's schema says the type");
  list("--output", arguments.op.outputs, "NAME", "the name of a result (default: y, or y0, y1 where several must be)");
  app.add_option("--opset", arguments.op.opset, "the opset (default: 17)")->type_name("N");
  app.add_option("--domain", arguments.op.domain, "of the operator, if it isn't ONNX's own")->type_name("DOMAIN");
  app.add_option("--ir-version", arguments.op.ir_version, "of the file (default: as old as the opset)")->type_name("N");
  app.add_option("--name", arguments.op.name, "of the node (default: the operator)")->type_name("NAME");
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
