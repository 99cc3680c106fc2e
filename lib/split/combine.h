#pragma once

// Combiner: several models become one, one after another, without a name meaning two things.
//
// What merging the parts of a split and joining unrelated models have in common. A name of the added model that is in
// use already gets a prefix, in every scope where it means that value; boundary values that the caller names keep
// theirs and so connect. Weights aren't read, but where two constants of one name have to be told apart.

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/editor.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"

namespace gomai {

struct CombineOptions {
  std::string name;                             // of the model added, for messages: "part 'box'", a path
  std::string prefix;                           // "box/": what a clashing name gets
  std::map<std::string, std::string> connects;  // input -> the value that feeds it, which is there already
  std::unordered_set<std::string> reserved;     // names that other models need, not to be taken by an inner value here
  bool fold_constants = false;                  // constants that are equal to earlier ones of that name aren't doubled
  bool prefix_nodes = false;                    // node names too
};

class Combiner {
 public:
  // External data of models in another folder than this becomes inline, since its locations would lead elsewhere.
  Combiner(std::filesystem::path folder, const Diagnostics& diagnostics)
      : diagnostics_(diagnostics), sources_(Model::Empty(folder)), folder_(std::move(folder)) {}

  // The first model's names stay, but for reserved ones. Nodes and initializers are appended, inputs that connect to
  // nothing and all outputs too. Errors: kInvalidArgument for opset imports or functions that differ, naming them.
  absl::Status Add(Model model, const CombineOptions& options);

  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }
  // Which Add (0, 1, …) brought each node and initializer of graph().
  const std::vector<size_t>& node_origin() const { return node_origin_; }
  const std::vector<size_t>& initializer_origin() const { return initializer_origin_; }
  // The name that a value of the last added model's main graph has now.
  std::string NameNow(const std::string& name) const;

  Model Finish() &&;

 private:
  struct Doubles;
  absl::Status CheckOpsets(const onnx::ModelProto& model, const CombineOptions& options);
  absl::Status AddFunctions(Model& model, const CombineOptions& options);
  void AddMetadata(const onnx::ModelProto& model, const CombineOptions& options);
  absl::StatusOr<Doubles> FindDoubles(const Model& model, const Index& index) const;
  absl::Status Rename(Editor& editor, const CombineOptions& options, const Doubles& doubles);
  void PrefixNodes(onnx::GraphProto& graph, const CombineOptions& options) const;
  void Append(onnx::ModelProto& model, const CombineOptions& options, const Doubles& doubles);
  void Remember(const Index& index);

  const Diagnostics& diagnostics_;
  onnx::ModelProto proto_;
  Model sources_;  // what markers in proto_ refer to
  std::filesystem::path folder_;
  size_t added_ = 0;
  std::vector<size_t> node_origin_;
  std::vector<size_t> initializer_origin_;
  std::unordered_set<std::string> outer_names_;  // of the main graph
  std::unordered_set<std::string> inner_names_;  // of bodies
  std::unordered_set<std::string> node_names_;
  std::unordered_map<std::string, std::string> renamed_;  // by the last Add
  std::unordered_map<std::string, int> initializers_;     // name -> position
  std::unordered_map<std::string, int> sparse_initializers_;
  std::unordered_map<std::string, int> constant_nodes_;  // an output of a constant node -> position
  std::unordered_map<std::string, int> functions_;       // FunctionKey -> position
  std::unordered_set<std::string> annotated_;            // tensors with a quantization_annotation
};

}  // namespace gomai
