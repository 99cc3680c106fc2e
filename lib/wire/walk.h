#pragma once

// The way from ModelProto to every TensorProto in wire format, and rewriting bytes along it.
//
// Deflate and Inflate both find tensors by this walk and replace ranges of bytes in some of them; the lengths of all
// messages around a change then have to follow. Both keep an explicit stack and a flat tree of the messages that hold a
// change, so depth costs no machine stack and memory follows the number of changes, not of fields.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/wire/deflate.h"
#include "lib/wire/source.h"

namespace gomai::wire {

// A message on the path to a change. The root isn't among them: it has no length.
struct PathNode {
  size_t parent = 0;    // index into the tree, kRoot for children of the root
  uint64_t prefix = 0;  // the length varint is [prefix, data)
  uint64_t data = 0;
  uint64_t end = 0;
  bool frozen = false;  // its bytes must stay as they are: see Walk
};
inline constexpr size_t kRoot = static_cast<size_t>(-1);

// Bytes [begin, end) of the input become `literal`, then the payload's bytes if there is one.
struct Edit {
  size_t node = kRoot;  // the TensorProto that it is in
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string literal;
  std::optional<Piece> payload;
  uint64_t contents = 0;  // Deflate's own: where the payload that goes begins; 0 for other edits
};

struct Changes {
  std::vector<PathNode> nodes;  // parents before children
  std::vector<Edit> edits;
};

enum class TooDeep { kSkip, kFail };

// Calls `on_tensor` with each TensorProto as a node, its index in the tree, and where to add edits. A node without an
// edit in it leaves the tree again. Nodes are `frozen`, and with them all below, where a rewritten length could not be
// told from the original one (a superfluous byte in the varint) or protobuf would merge (a singular message that occurs
// twice); edits in them are dropped at the end. Errors: kDataLoss naming the byte, and what on_tensor returns.
using OnTensor = std::function<absl::Status(const PathNode& tensor, size_t index, std::vector<Edit>* edits)>;
absl::StatusOr<Changes> Walk(Window* model, TooDeep too_deep, const OnTensor& on_tensor);

// The input with all changes made and all lengths around them recomputed, as byte ranges. kDataLoss: can't be read.
absl::StatusOr<GatherList> Apply(const ByteSource& input, Changes changes);

}  // namespace gomai::wire
