#pragma once

// Index: a read-only view of every scope of a model, with identities, producers, uses and captures.
//
// Scopes are the main graph, each body (a graph held in an attribute: If, Loop, Scan and any other operator) and each
// local function. Names resolve outward from a body as ONNX does; functions are namespaces of their own. A value that a
// body reads from outside is a *capture*: a use at the node inside, and also a capture of each enclosing node with a
// body between. Node identity is the id, never the name: names are optional and may repeat. An id is a position in a
// depth-first walk in file order (a node comes before the nodes in its bodies), so ids of one scope ascend in file
// order.
//
//   Index index(model.proto());
//   const Index::Value* v = index.FindValue(index.main_scope(), "features_0");
//   for (const Index::Use& use : v->uses) index.Address(use.node);
//
// Built in O(nodes + edges); iterative, so depth can't overflow the stack. Views point into the proto: an Index lives
// no longer than the proto stays unedited. Works on broken graphs too (dangling names, duplicates, cycles): what is
// wrong there is Verify's to say. The first of several definitions of a name in a scope counts. An empty name ("" for
// an absent optional input or output) is no value.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

using ScopeId = int32_t;
using NodeId = int32_t;
using ValueId = int32_t;
inline constexpr int32_t kNone = -1;

class Index {
 public:
  struct Scope {
    ScopeId parent = kNone;                         // the scope that a body lies in; kNone for main and functions
    NodeId owner = kNone;                           // the node that holds the body
    std::string_view attribute;                     // of owner, e.g. "then_branch"
    int attribute_position = -1;                    // of the attribute in owner's list
    int attribute_index = -1;                       // for a list of graphs; else -1
    const onnx::GraphProto* graph = nullptr;        // main and bodies
    const onnx::FunctionProto* function = nullptr;  // functions
    NodeId first_node = 0;                          // this scope's direct nodes, in file order
    std::vector<NodeId> nodes;
    std::unordered_map<std::string_view, ValueId> values;  // defined in this scope
  };
  enum class Origin {
    kUndefined,
    kInput,
    kInitializer,
    kNode
  };  // an overridable initializer is kInput with `initializer` set
  struct Use {
    NodeId node = kNone;  // the reader
    int input = -1;       // its input position; -1: read inside the node's body (a capture)
  };
  struct Value {
    ScopeId scope = kNone;
    std::string_view name;
    Origin origin = Origin::kUndefined;
    NodeId producer = kNone;  // kNode
    int output = -1;          // position in the producer's outputs
    bool is_graph_output = false;
    const onnx::TensorProto* initializer = nullptr;
    const onnx::SparseTensorProto* sparse_initializer = nullptr;
    const onnx::ValueInfoProto* info = nullptr;  // from graph input, output or value_info
    std::vector<Use>
        uses;  // in the scope's own nodes by position, and captures of those nodes; readers in deeper scopes too
  };
  struct Node {
    const onnx::NodeProto* proto = nullptr;
    ScopeId scope = kNone;
    int position = 0;              // in its scope's node list
    std::vector<ValueId> inputs;   // kNone for "" and for names that nothing defines
    std::vector<ValueId> outputs;  // kNone for ""
    std::vector<ScopeId> bodies;
    std::vector<ValueId>
        captures;  // values of enclosing scopes read anywhere inside its bodies; unique, first-use order
  };

  explicit Index(const onnx::ModelProto& model);

  ScopeId main_scope() const { return 0; }
  const std::vector<Scope>& scopes() const { return scopes_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Value>& values() const { return values_; }
  const Scope& scope(ScopeId id) const { return scopes_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }

  // The local function that a node calls, as its scope; kNone for an operator.
  ScopeId CalledFunction(const onnx::NodeProto& node) const;
  // The main graph or the function that a scope is or lies in, and whether it is a function.
  ScopeId Outermost(ScopeId id) const {
    while (scope(id).parent != kNone) {
      id = scope(id).parent;
    }
    return id;
  }
  bool InFunction(ScopeId id) const { return scope(Outermost(id)).function != nullptr; }
  // Is `inner` the scope itself or a body somewhere inside it?
  bool IsInside(ScopeId inner, ScopeId outer) const;

  // In this scope, or outward from it. kNone: nothing of that name.
  ValueId Resolve(ScopeId scope, std::string_view name) const;
  // In this scope only.
  ValueId FindValue(ScopeId scope, std::string_view name) const;

  // A value of the main graph by name; kNotFound with the nearest names.
  absl::StatusOr<ValueId> RequireValue(std::string_view name) const;

  // The address that tools print and take: a node's name if that is enough to find it, else "#INDEX"; in a body
  // "OUTER::ATTRIBUTE::INNER"; in a function "FUNCTION()::NODE", where FUNCTION is its name, or "DOMAIN/NAME:OVERLOAD"
  // if several functions share the name. A list of graphs shows as ATTRIBUTE[i]. FindNode(Address(id)) is id.
  std::string Address(NodeId id) const;
  // "If_1442::then_branch::#3 (Conv)".
  std::string Describe(NodeId id) const;
  // The scope: "main graph", "If_1442::then_branch", "function Foo".
  std::string ScopeName(ScopeId id) const;
  // A node by address (name, #INDEX, op type that occurs once; "::" steps). A bare name or op type searches all scopes,
  // a bare #INDEX the main graph, and a path starts in the main graph if its first step is there, else anywhere. An
  // exact node name wins over what looks like an address. kNotFound with the nearest names; kInvalidArgument listing
  // all hits.
  absl::StatusOr<NodeId> FindNode(std::string_view address) const;

  // True if the value is computed from constants alone (initializers that aren't overridable, nodes without inputs that
  // aren't random, and what follows from them; captures count as inputs).
  bool IsConstant(ValueId id) const { return constant_values_[static_cast<size_t>(id)]; }
  bool IsConstantNode(NodeId id) const { return constant_nodes_[static_cast<size_t>(id)]; }

 private:
  friend class IndexBuilder;
  enum class NameReach : uint8_t { kNowhere, kInGraph, kEverywhere };  // how far a node's name is unique
  std::vector<Scope> scopes_;
  std::vector<Node> nodes_;
  std::vector<Value> values_;
  std::vector<bool> constant_values_;
  std::vector<bool> constant_nodes_;
  std::unordered_map<std::string_view, NodeId> nodes_by_name_;  // the first of that name; the others follow by
  std::vector<NodeId> next_of_name_;                            // this, in id order
  std::vector<NameReach> name_reach_;
  std::unordered_map<std::string, ScopeId> functions_;        // by FunctionKey
  std::unordered_map<std::string_view, int> function_names_;  // how many functions have that name
};

// The main graph's nodes in an order in which each comes after what it needs, file order wherever that allows (stable);
// kDataLoss naming the nodes of a cycle.
absl::StatusOr<std::vector<NodeId>> TopologicalOrder(const Index& index, ScopeId scope);

// "domain:name:overload", with "" for "ai.onnx": what a call and a function have in common.
std::string FunctionKey(std::string_view domain, std::string_view name, std::string_view overload);

// Draws random numbers (RandomNormal, Dropout in training, Multinomial, Bernoulli …): never constant, never folded.
bool IsRandomOp(const onnx::NodeProto& node);

}  // namespace gomai
