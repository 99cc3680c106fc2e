#pragma once

// Differences of two protobuf messages of one type, field by field, whatever fields that type has: those that this
// program doesn't know (a newer ONNX's) included. Internal to lib/compare; use model_diff.h.

#include <google/protobuf/message.h>
#include <onnx/onnx_pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/compare/diff_log.h"

namespace gomai {

// Fields in `skip` are left to the caller. What is found is called `prefix` + the field's name. Lists of entries that
// have a key or name are compared by it, others by position. Messages nest as deep as the parser lets them, 100 levels.
void DiffFields(const google::protobuf::Message& before, const google::protobuf::Message& after,
                const std::string& prefix, const std::vector<std::string_view>& skip, const SpotFunction& spot,
                DiffLog& log);

// "float32 [3, height, ?]", "sequence(float32 [3])", "float32 of any rank"; "none" for a type that isn't there.
std::string TypeText(const onnx::TypeProto& type);

}  // namespace gomai
