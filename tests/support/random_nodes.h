#pragma once

// Inside of random_graph.cc: the scopes that nodes are drawn into, and the drawing.

#include <onnx/onnx_pb.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/random_graph.h"

namespace gomai::testing {

struct DrawnValue {
  std::string name;
  int rank = 0;  // 0: [], 1: [4], 2: [rows, 4]
};

// What a graph, a body or a function is while nodes are drawn into it.
struct DrawnScope {
  google::protobuf::RepeatedPtrField<onnx::NodeProto>* nodes = nullptr;
  onnx::GraphProto* graph = nullptr;  // nullptr: a function
  std::vector<DrawnValue> values;     // all that is seen here, those of enclosing graphs first
  size_t own = 0;                     // from here on they are this scope's own
  int depth = 0;
  bool in_function = false;
  std::string prefix;
  int next = 0;
};

class NodeDrawer {
 public:
  NodeDrawer(const RandomGraphOptions& options, onnx::ModelProto* model);

  std::mt19937_64& random() { return random_; }
  bool Has(uint32_t feature) const { return (options_.features & feature) != 0; }
  bool Chance(unsigned percent) { return random_() % 100 < percent; }
  int64_t rows() const { return rows_; }
  int opset() const { return opset_; }

  std::string Fresh(DrawnScope& scope);
  onnx::TypeProto Type(int dtype, int rank) const;
  onnx::NodeProto& Node(DrawnScope& scope, const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs);
  // A constant of the scope, wherever it is stored: its name.
  std::string Constant(DrawnScope& scope, onnx::TensorProto tensor);
  std::string Weight(DrawnScope& scope, int rank);
  // A value of this rank (-1: any), made if there is none.
  DrawnValue Pick(DrawnScope& scope, int rank);
  void Draw(DrawnScope& scope);  // one more piece of network
  void DrawFunction();
  std::vector<std::pair<std::string, std::string>> TakeFiles();

 private:
  DrawnScope BodyOf(const DrawnScope& outer, onnx::NodeProto& node, const std::string& attribute) const;
  std::string OwnOutput(DrawnScope& body, int rank);
  void Unary(DrawnScope& scope);
  void Binary(DrawnScope& scope);
  void Matrix(DrawnScope& scope);
  void Split(DrawnScope& scope);
  void Optional(DrawnScope& scope);
  void Shapes(DrawnScope& scope);
  void Typed(DrawnScope& scope, int dtype);
  void Sparse(DrawnScope& scope);
  void Custom(DrawnScope& scope);
  void Random(DrawnScope& scope);
  void If(DrawnScope& scope);
  void Loop(DrawnScope& scope);
  void Scan(DrawnScope& scope);
  void Call(DrawnScope& scope);
  void Add(DrawnScope& scope, const std::string& name, int rank) { scope.values.push_back({name, rank}); }
  onnx::TensorProto Floats(const std::vector<int64_t>& dims);
  onnx::TensorProto Integers(const std::vector<int64_t>& values, bool scalar = false) const;

  struct Function {
    std::string name;
    std::vector<int> outputs;  // their ranks
    bool alpha = false;
  };

  RandomGraphOptions options_;
  onnx::ModelProto& model_;
  std::mt19937_64 random_;
  int64_t rows_ = 3;
  int opset_ = 17;
  std::vector<onnx::TensorProto> earlier_;  // to be stored again
  std::vector<Function> functions_;
  std::string files_[2];
};

// Names of nodes, words, metadata and unknown fields at all levels.
void Decorate(onnx::ModelProto& model, uint32_t features, std::mt19937_64& random);

}  // namespace gomai::testing
