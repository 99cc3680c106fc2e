#pragma once

// Inference over one graph: what infer.cc, contexts.h and rules.h share. Not for others; the interface is infer.h.
//
// A Graph walks a scope's nodes in an order in which each comes after what it needs, calls the schema's functions with
// contexts of our own (ONNX's driver over a whole graph has no hook for more rules, shares propagated values between
// sibling bodies that use the same name, and materialises one message per element of a long vector), and descends into
// bodies and functions. Depth and work are bounded, since a hostile model may call functions recursively or an
// exponential number of times: what lies beyond is left unknown.

#include <onnx/defs/schema.h>
#include <onnx/defs/shape_inference.h>
#include <onnx/onnx_pb.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/graph/index.h"
#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/model/model.h"
#include "lib/shape/elements.h"

namespace gomai::shape {

// Longer vectors aren't propagated as values.
inline constexpr int64_t kLongestVector = 2048;
// No rank beyond this is materialised.
inline constexpr int64_t kHighestRank = 64;

// What is known of one value.
struct Known {
  onnx::TypeProto type;                       // value_case() unset: nothing
  bool declared = false;                      // as declared, not inferred
  const onnx::TensorProto* tensor = nullptr;  // a constant whose values are at hand
  const onnx::SparseTensorProto* sparse = nullptr;
  std::optional<onnx::TensorShapeProto> data;  // propagated values of an integer scalar or vector; dims may be unknown
  std::optional<Elements> elements;            // the same for any small tensor, with bounds; see ElementsOf
  std::vector<int64_t> limits;                 // of dims that aren't known: the most that each can be; empty: none
  bool propagated = false;                     // `tensor` was computed here, by rules that are exact
  bool claimed = false;                        // rests on a declared shape, here or before

  bool has_type() const { return type.value_case() != onnx::TypeProto::VALUE_NOT_SET; }
};

// The most that each dim can be: its size where it is fixed, Interval::kHighest where nothing is known. nullopt: no
// rank.
std::optional<std::vector<int64_t>> DimLimits(const Known& known);

// State of one InferShapes call.
struct Run {
  const Model* model = nullptr;
  const Index* index = nullptr;
  int64_t budget = 0;                                    // nodes that may still be visited
  int depth = 0;                                         // bodies and functions around the present node
  std::vector<std::unique_ptr<onnx::TensorProto>> read;  // constants that were read from external files
  std::vector<std::string> problems;
  std::unordered_set<std::string> seen_problems;
  // What is known of the values in bodies, as of the last walk over each; only if someone asked.
  std::unordered_map<const onnx::GraphProto*, std::unordered_map<std::string, Known>>* bodies = nullptr;

  int64_t claims = 0;  // how often something rested on a declared shape

  void Claim(Known& known) {
    known.claimed = true;
    ++claims;
  }
  // The tensor with its values inline, or nullptr if they are large, left out or absent.
  const onnx::TensorProto* Values(const onnx::TensorProto& tensor);
  // A constant that was made here; it lives as long as the run.
  const onnx::TensorProto* Keep(std::unique_ptr<onnx::TensorProto> tensor) {
    read.push_back(std::move(tensor));
    return read.back().get();
  }
  void Problem(const onnx::NodeProto& node, std::string_view message);
};

using Opsets = std::unordered_map<std::string, int>;

class Graph {
 public:
  // A scope inside `outer` (nullptr for the main graph and functions).
  Graph(Run& run, const Opsets& opsets, Graph* outer) : run_(run), opsets_(opsets), outer_(outer) {}

  // Infers all values. `inputs`: types of graph inputs by position that the caller knows (nullptr: as declared).
  void Infer(const onnx::GraphProto& graph, const std::vector<const onnx::TypeProto*>& inputs,
             const std::vector<const onnx::NodeProto*>& order);
  void Infer(const onnx::GraphProto& graph, const std::vector<const onnx::TypeProto*>& inputs);

  // Here or outward; nullptr if nothing is known.
  Known* Find(std::string_view name);
  Known& Define(std::string_view name) { return values_[name]; }
  // What this scope's own values turned out to be.
  std::unordered_map<std::string, Known> Values() &&;

  Run& run() { return run_; }
  const Opsets& opsets() const { return opsets_; }

 private:
  friend class Rules;
  void Seed(const onnx::GraphProto& graph, const std::vector<const onnx::TypeProto*>& inputs);
  void InferNode(const onnx::NodeProto& node);
  // Errors: a broken node. Outputs are as far as they got.
  // `values`: what is known of the outputs beyond their types.
  absl::Status InferIf(const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs, std::vector<Known>* values);
  absl::Status InferLoop(const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs);
  void InferCall(const onnx::NodeProto& node, const onnx::FunctionProto& function,
                 std::vector<onnx::TypeProto>& outputs);
  const onnx::OpSchema* Schema(const onnx::NodeProto& node) const;
  void NoteConstant(const onnx::NodeProto& node);
  void Propagate(const onnx::NodeProto& node, const onnx::OpSchema& schema);
  const onnx::TypeProto* TypeOf(std::string_view name);

  Run& run_;
  const Opsets& opsets_;
  Graph* outer_;
  std::unordered_map<std::string_view, Known> values_;
  std::unordered_map<std::string_view, const onnx::TypeProto*> declared_;  // of values that nodes produce
};

// The graph in an attribute, or nullptr.
const onnx::GraphProto* FindBody(const onnx::NodeProto& node, std::string_view attribute);

// What is known of a body's outputs when its inputs have these types.
std::vector<Known> InferBodyValues(Graph& outer, const onnx::GraphProto& body,
                                   const std::vector<const onnx::TypeProto*>& inputs);
// Their types alone.
std::vector<onnx::TypeProto> InferBody(Graph& outer, const onnx::GraphProto& body,
                                       const std::vector<const onnx::TypeProto*>& inputs);

// --- types

bool IsTensor(const onnx::TypeProto& type);
int ElementType(const onnx::TypeProto& type);  // of a tensor; else 0
void SetShape(onnx::TypeProto& type, onnx::TensorShapeProto shape);
// A shape of this rank without any known dim.
onnx::TensorShapeProto OpenShape(int64_t rank);
// What both have in common: equal dims stay, others become unknown; another rank: no shape.
onnx::TypeProto Join(const onnx::TypeProto& a, const onnx::TypeProto& b);
// Fills what `type` doesn't know (type, rank, dims) from `other`, unless they contradict each other.
void Refine(onnx::TypeProto& type, const onnx::TypeProto& other);
// Negative dims and empty symbols become unknown dims.
void Sanitise(onnx::TypeProto& type);
bool Same(const onnx::TypeProto& a, const onnx::TypeProto& b);

}  // namespace gomai::shape
