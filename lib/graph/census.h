#pragma once

// What a model holds, in numbers: operators by kind of scope, weights, name scopes, operators without a schema.
//
// Everything is counted on the index; no weight is read. O(model).
//
//   for (const OpCensus& census : CountOperators(index)) Show(census.kind, census.ops);

#include <cstdint>
#include <string>
#include <vector>

#include "lib/graph/index.h"
#include "lib/model/model.h"

namespace gomai {

struct Count {
  std::string name;
  uint64_t count = 0;
};

// The operators in all scopes of a kind: "main graph", "If bodies", "Loop bodies", ..., "functions" (with the bodies in
// them). An operator of another domain than ONNX's own shows as "domain.Op".
struct OpCensus {
  std::string kind;
  uint64_t scopes = 0;
  uint64_t nodes = 0;
  std::vector<Count> ops;  // most frequent first, then by name
};
std::vector<OpCensus> CountOperators(const Index& index);

struct Weight {
  std::string name;  // with its scope unless that is the main graph
  const onnx::TensorProto* tensor = nullptr;
  uint64_t bytes = 0;
  std::string file;  // of external data; "" for inline
};
struct WeightCensus {
  uint64_t tensors = 0;  // initializers of all scopes, dense and sparse
  uint64_t elements = 0;
  uint64_t inline_bytes = 0;
  uint64_t external_bytes = 0;
  std::vector<Count> files;     // external data files and the bytes used of each, by name
  std::vector<Weight> largest;  // up to `largest_count`, largest first
  uint64_t constants = 0;       // Constant nodes' tensors, besides
  uint64_t constant_bytes = 0;
};
WeightCensus CountWeights(const Index& index, size_t largest_count = 3);

// A scope of slashed node names in the main graph, as plans name it ("scope:/a/b"): it holds the nodes whose name is
// the path or begins with the path and a slash.
struct NameScope {
  std::string path;
  int depth = 0;           // 0 for "/a"
  uint64_t nodes = 0;      // in it, deeper scopes included
  uint64_t yields = 0;     // non-constant values made in it that are read outside or are outputs of the model
  std::vector<Count> ops;  // most frequent first
};
struct NameScopes {
  std::vector<NameScope> scopes;  // a tree in pre-order, siblings in file order; a scope that only repeats its parent's
                                  // nodes is left out
  uint64_t unscoped_nodes = 0;    // whose names have no slash
};
NameScopes FindNameScopes(const Index& index);

// Operators or opsets that ONNX's schemas don't know: no fault of the structure, but nothing can be inferred there.
struct UnknownOperators {
  std::string location;  // the first such node, or "opset imports"
  std::string message;
};
// The first call in a process sets ONNX's schemas up, which takes some ten milliseconds; PrepareSchemas does only that,
// on whatever thread calls it.
void PrepareSchemas();
std::vector<UnknownOperators> FindUnknownOperators(const onnx::ModelProto& model, const Index& index);

}  // namespace gomai
