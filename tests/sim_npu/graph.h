#pragma once

// ONNX Runtime's view of a graph as the plain data of model_writer.h.

#include <string>
#include <vector>

#include "tests/sim_npu/host.h"
#include "tests/sim_npu/model_writer.h"

namespace gomai::sim {

// Name, operator, inputs and outputs by name; without attributes.
Node ReadNode(const Host& host, const OrtNode* node);
std::vector<const OrtNode*> Nodes(const Host& host, const OrtGraph* graph);  // in topological order
// nullptr where an optional one is left out.
std::vector<const OrtValueInfo*> Inputs(const Host& host, const OrtNode* node);
std::vector<const OrtValueInfo*> Outputs(const Host& host, const OrtNode* node);

Value ReadValue(const Host& host, const OrtValueInfo* value);
Tensor ReadTensor(const Host& host, const OrtValue* value, const std::string& name);
// Failure for graphs and for types of attribute that ONNX Runtime has no name for.
std::vector<Attribute> ReadAttributes(const Host& host, const OrtNode* node);
// Whether ReadAttributes would do.
bool HasReadableAttributes(const Host& host, const OrtNode* node);
// "" if there is none of that name and type.
std::string StringAttribute(const Host& host, const OrtNode* node, const char* name);

}  // namespace gomai::sim
