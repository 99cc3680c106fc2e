#pragma once

// One call of a local function, expanded: the function's nodes as they stand where it is called. Internal to lib/pass.
//
//   FunctionCall expansion(call, function, "function Foo", names);
//   GOMAI_RETURN_IF_ERROR(expansion.Expand(&nodes));
//   for (onnx::ValueInfoProto& info : expansion.Infos()) ...
//
// A function is a namespace of its own, and what it defines lands in that of the caller. Every name that it defines,
// in bodies too, therefore becomes one that is free in the whole model: a body inside it must neither hide nor catch
// what it reads of the caller. Symbols of dims are names as well: a function's N is another one at each call.

#include <onnx/onnx_pb.h>

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

// Names in use, and fresh ones.
class TakenNames {
 public:
  void Take(const std::string& name) { taken_.insert(name); }
  // `stem` itself if it is free, else stem_1, stem_2, ...; taken from then on.
  std::string Fresh(const std::string& stem);

 private:
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int> next_;
};

struct InlineNames {
  TakenNames values;
  TakenNames nodes;
  TakenNames symbols;  // of dims
};

// Each dim of a declared type that has a symbol.
void ForEachSymbol(onnx::ValueInfoProto& info, const auto& visit) {
  if (!info.has_type()) {
    return;
  }
  onnx::TypeProto* at = info.mutable_type();
  while (true) {
    if (at->has_sequence_type()) {
      at = at->mutable_sequence_type()->mutable_elem_type();
    } else if (at->has_optional_type()) {
      at = at->mutable_optional_type()->mutable_elem_type();
    } else if (at->has_map_type()) {
      at = at->mutable_map_type()->mutable_value_type();
    } else {
      break;
    }
  }
  if (at->has_tensor_type() && at->tensor_type().has_shape()) {
    for (auto& dim : *at->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
      if (!dim.dim_param().empty()) {
        visit(dim);
      }
    }
  }
}

std::vector<onnx::GraphProto*> BodiesOf(onnx::AttributeProto& attribute);

class FunctionCall {
 public:
  // `function_name` for messages. `names` is what is taken in the model; what is given here is added.
  FunctionCall(const onnx::NodeProto& call, const onnx::FunctionProto& function, std::string_view function_name,
               InlineNames& names);

  // Appends the nodes. kFailedPrecondition: what can't be expanded without loss.
  absl::Status Expand(std::vector<onnx::NodeProto>* nodes);
  // What the function declares of its values, under their names there.
  std::vector<onnx::ValueInfoProto> Infos();

 private:
  // What names inside mean outside; of a body, with the level around it.
  struct Env {
    std::unordered_map<std::string, std::string> names;
    const Env* outer = nullptr;
  };

  static const std::string* Look(const Env& env, const std::string& name);
  absl::Status Rename(const Env& env, std::string& name) const;
  absl::Status Adapt(onnx::NodeProto& root);
  absl::Status AdaptBody(onnx::GraphProto& graph, Env& env);
  absl::StatusOr<std::vector<onnx::GraphProto*>> GiveAttributes(onnx::NodeProto& node) const;
  void AddMetadata(onnx::NodeProto& node) const;
  void RenameSymbols(onnx::ValueInfoProto& info);

  const onnx::NodeProto& call_;
  const onnx::FunctionProto& function_;
  const std::string where_;
  InlineNames& names_;
  Env env_;
  std::unordered_map<std::string, std::string> symbols_;  // of the function's, what they are called outside
};

}  // namespace gomai
