#pragma once

// Nodes and attributes in words, for reports.

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace gomai {

// "3", "[1, 1]", "\"NOTSET\"", "float32 [64, 3]" for a tensor, "graph of 12 nodes". Long lists and strings are cut.
std::string AttributeText(const onnx::AttributeProto& attribute);

// What differs between two versions of a node: "attribute kernel_shape [1, 1] -> [3, 3]", "input 0 \"a\" -> \"b\"",
// "op type MaxPool -> Conv". Empty if and only if their bytes are equal.
std::vector<std::string> DescribeNodeChanges(const onnx::NodeProto& before, const onnx::NodeProto& after);

}  // namespace gomai
