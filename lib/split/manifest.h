#pragma once

// manifest.json: what ties the parts of a split together. Format: docs/formats.md.

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

inline constexpr int64_t kManifestVersion = 1;

// One dimension: known, a symbol, or null.
struct Dim {
  std::optional<int64_t> value;
  std::string symbol;  // "" with no value: null
  bool operator==(const Dim&) const = default;
};

// What a list is made of, in order: [(part, count), …].
using Runs = std::vector<std::pair<std::string, uint64_t>>;

struct ManifestTensor {
  std::string name;
  std::string dtype;                      // "float32", "sequence(float32)"
  std::optional<std::vector<Dim>> shape;  // nullopt: unknown rank
  std::string from;                       // inputs: "input" or the producing part
  std::vector<std::string> to;            // outputs: the parts that read it, in order
  bool model_output = false;              // outputs
  // Outputs: the shape that the source's value_info declares; nullopt: it declares nothing of this value.
  std::optional<std::optional<std::vector<Dim>>> declared = std::nullopt;
};

// A part that takes its rows (the first axis of a list) `size` at a time: ceil(N / size) calls, the last one padded
// with zeros. The tensors' shapes are those of the whole list.
struct ManifestBatching {
  int64_t size = 0;
  std::vector<std::string> inputs;   // of the part's tensors, those that are lists
  std::vector<std::string> outputs;  // all of them
};

struct ManifestPart {
  std::string name;
  std::string file;         // relative to the manifest
  std::string digest;       // of the skeleton
  std::string file_digest;  // with --digest=full
  std::string device;       // "cpu", "npu"
  std::vector<ManifestTensor> inputs;
  std::vector<ManifestTensor> outputs;
  std::optional<ManifestBatching> batching = std::nullopt;
};

struct Manifest {
  std::string source_file;
  std::string source_digest;
  std::vector<ManifestTensor> inputs;  // the model's own, in its order (name, dtype, shape)
  std::vector<std::string> outputs;    // the model's own, in its order
  std::vector<ManifestPart> parts;
  std::map<std::string, std::string> aliases;  // friendly -> tensor
  bool aliased = false;                        // --use-aliases: parts carry the friendly names
  // Per node, and per initializer, of the source's main graph: the first part that holds it, "" for none.
  Runs node_order;
  Runs initializer_order;
  // Names of all inputs in the model's order; empty if no overridable initializer is among them.
  std::vector<std::string> input_order;
  // What the model says of its inputs that no part reads, beyond name, dtype and shape: their declarations as `input`,
  // and their quantization_annotation.
  onnx::GraphProto unread;
};

absl::StatusOr<Manifest> ParseManifest(std::string_view json, const std::string& origin);
absl::StatusOr<Manifest> ReadManifest(const std::filesystem::path& file);
std::string PrintManifest(const Manifest& manifest);

// A declaration as a manifest has it.
ManifestTensor DescribeTensor(const onnx::ValueInfoProto& info);
std::vector<Dim> DescribeShape(const onnx::TensorShapeProto& shape);
// The type that a tensor of a manifest has; unset for a dtype that no version of ONNX has.
onnx::TypeProto TypeOf(const ManifestTensor& tensor);
void SetShape(const std::vector<Dim>& dims, onnx::TensorShapeProto* shape);
// "float32 [3,height,?]".
std::string DescribeType(const ManifestTensor& tensor);

// Equal ranks, and equal dims where both are known; a shape that isn't known agrees with any.
bool ShapesAgree(const ManifestTensor& a, const ManifestTensor& b);

// Adds one element to runs.
void Append(const std::string& part, Runs* runs);

// Is this path a manifest (by its content: JSON with gomai_manifest)?
bool LooksLikeManifest(const std::filesystem::path& file);

}  // namespace gomai
