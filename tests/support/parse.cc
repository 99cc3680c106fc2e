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

void AddSparse(onnx::GraphProto* graph, const std::string& name, int64_t size, int64_t position, float value) {
  onnx::SparseTensorProto& sparse = *graph->add_sparse_initializer();
  sparse.add_dims(size);
  sparse.mutable_values()->set_name(name);
  sparse.mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  sparse.mutable_values()->add_dims(1);
  sparse.mutable_values()->add_float_data(value);
  sparse.mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  sparse.mutable_indices()->add_dims(1);
  sparse.mutable_indices()->add_int64_data(position);
}

}  // namespace gomai::testing
