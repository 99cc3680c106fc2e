// ONNX's text parser behind one call that fails loudly.
#include "tests/support/parse.h"

#include <onnx/defs/parser.h>

#include <stdexcept>
#include <string>

namespace gomai::testing {

onnx::ModelProto ParseModel(const char* text) {
  onnx::ModelProto model;
  const onnx::Common::Status status = onnx::OnnxParser::Parse(model, text);
  if (!status.IsOK()) {
    throw std::runtime_error("ONNX text: " + status.ErrorMessage());
  }
  return model;
}

onnx::ModelProto ParseGraph(const char* text) {
  return ParseModel((std::string("<ir_version: 8, opset_import: [\"\" : 17]>\n") + text).c_str());
}

Model LoadText(const char* graph) { return Model::FromProto(ParseGraph(graph)); }

}  // namespace gomai::testing
