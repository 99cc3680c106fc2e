#pragma once

// Models from ONNX's text form, for tests. https://onnx.ai/onnx/ (onnx/docs/Syntax.md)

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

#include "lib/model/model.h"

namespace gomai::testing {

// Throws std::runtime_error with the parser's message. What the text form can't say (metadata, annotations, doc strings
// below the model) is set on the proto afterwards.
onnx::ModelProto ParseModel(const char* text);
// The same, with `<ir_version: 8, opset_import: ["" : 17]>` in front of a graph.
onnx::ModelProto ParseGraph(const char* text);
Model LoadText(const char* graph);

// A sparse initializer of `size` floats: `value` at `position`, else 0.
void AddSparse(onnx::GraphProto* graph, const std::string& name, int64_t size, int64_t position, float value);

}  // namespace gomai::testing
