#pragma once

// Multiply-accumulates: what a network costs, counted as the field does, from shapes alone.
//
//   MacCounter counter(index, [&](ValueId id) { return DimsOf(shapes.Find(index.value(id).name)); });
//   if (counter.Counts(id)) std::optional<uint64_t> macs = counter.Macs(id);
//   Amount total = CountMacs(index, shapes);   // of the main graph: "12.3 G", "3.1 M + ?"
//
// Counted are the operators that multiply and add up: Conv, ConvTranspose, DeformConv, Gemm, MatMul and their integer
// and quantised kinds, ConvInteger, QLinearConv, MatMulInteger and QLinearMatMul. A convolution costs, for each element
// of its result, the channels of a group times the kernel (a depthwise one the kernel alone); ConvTranspose costs, for
// each element of its input, the output channels of a group times the kernel; a product costs its inner dim for each
// element of its result. Biases, activations, pooling, normalisation and whatever else counts as nothing. Recurrent
// operators, Einsum and attention aren't counted either.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/index.h"
#include "lib/shape/infer.h"

namespace gomai {

// A sum of terms of which some aren't known. If just the first axis of a term is open (a list of RoIs), it is per row.
struct Amount {
  int64_t fixed = 0;                   // what is known in full
  int64_t per_row = 0;                 // what grows with an open first axis, for one row
  int64_t unknown = 0;                 // how many terms aren't known at all
  std::string Text(bool bytes) const;  // "1.2 G", "12.8 M/row", "3.1 M + ?", "?"

  // factor * product(dims), of which -1 is open; nullopt: unknown. What doesn't fit into 63 bits is unknown too.
  void Add(const std::optional<std::vector<int64_t>>& dims, int64_t factor);
};

class MacCounter {
 public:
  using Dims = std::vector<int64_t>;  // -1: open
  // `dims` tells the shape of a value that is no initializer; nullopt: not known.
  MacCounter(const Index& index, std::function<std::optional<Dims>(ValueId)> dims)
      : index_(index), dims_(std::move(dims)) {}

  // Is the node one of the operators that are counted?
  bool Counts(NodeId id) const;
  // Adds what the node costs; nothing if it isn't counted.
  void Add(NodeId id, Amount& amount) const;
  // What the node costs: 0 if it isn't counted, nullopt if its shapes aren't known in full.
  std::optional<uint64_t> Macs(NodeId id) const;
  // The shape of any value, initializers included.
  std::optional<Dims> DimsOf(ValueId id) const;

 private:
  const Index& index_;
  std::function<std::optional<Dims>(ValueId)> dims_;
};

// A type's dims as MacCounter takes them. nullptr and what has no rank: nullopt.
std::optional<std::vector<int64_t>> KnownDims(const onnx::TypeProto* type);

// The main graph's nodes. What lies in bodies and functions runs any number of times, or never, and isn't counted.
Amount CountMacs(const Index& index, const Shapes& shapes);

}  // namespace gomai
