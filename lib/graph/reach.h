#pragma once

// Who else means a value: what must be known before its readers are made to read another one.
//
// An index knows a value's readers. Names are read in other places too, which no edit of readers reaches, and a name
// that is right in one scope may mean something else in a body inside it.
//
//   const std::vector<bool> held = HeldByName(model.proto(), index);
//   if (!held[old_value] && ReadersSee(index, old_value, new_value)) editor.ReplaceUses(old_value, name_of_new_value);
//
// HeldByName is O(model), ReadersSee O(readers of the value * depth of bodies).

#include <onnx/onnx_pb.h>

#include <vector>

#include "lib/graph/index.h"

namespace gomai {

// By ValueId: is the value named by something besides inputs of nodes and its own graph's outputs? That is: training
// information, a quantization annotation (the value itself or a parameter of another), a sharding specification, or the
// outputs of a body that the value is defined outside of.
std::vector<bool> HeldByName(const onnx::ModelProto& model, const Index& index);

// Would every reader of `value`, in whatever scope it is, find `other` under the name of `other`?
bool ReadersSee(const Index& index, ValueId value, ValueId other);

}  // namespace gomai
