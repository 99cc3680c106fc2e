// The walk is table-driven: Child() below is all that the wire layer knows of onnx.proto's messages. Apply() sums the
// growth of each message over the flat tree from its end (children come after parents), so lengths come out bottom up
// in one loop, then merges new lengths and edits in the order of their offsets.
#include "lib/wire/walk.h"

#include <algorithm>
#include <array>

#include "lib/wire/reader.h"

namespace gomai::wire {
namespace {

// Nesting beyond protobuf's own limit (100) can't be parsed anyway; a little more is walked, so that nothing that
// protobuf sees goes unseen here.
constexpr size_t kMaxDepth = 128;

enum class Kind : uint8_t {
  kNone,
  kModel,
  kGraph,
  kNode,
  kAttribute,
  kFunction,
  kTraining,
  kSparse,
  kTensor,
};

struct ChildRule {
  Kind kind = Kind::kNone;
  int slot = -1;  // of a singular message: its number among its parent's; -1 for repeated ones
};
constexpr size_t kSlots = 3;

// Which fields lead on towards tensors. Source: onnx/onnx.proto.
constexpr ChildRule Child(Kind parent, uint32_t field) {
  switch (parent) {
    case Kind::kModel:
      switch (field) {
        case 7:
          return {Kind::kGraph, 0};  // graph
        case 20:
          return {Kind::kTraining, -1};  // training_info
        case 25:
          return {Kind::kFunction, -1};  // functions
        default:
          return {};
      }
    case Kind::kGraph:
      switch (field) {
        case 1:
          return {Kind::kNode, -1};  // node
        case 5:
          return {Kind::kTensor, -1};  // initializer
        case 15:
          return {Kind::kSparse, -1};  // sparse_initializer
        default:
          return {};
      }
    case Kind::kNode:
      return field == 5 ? ChildRule{Kind::kAttribute, -1} : ChildRule{};  // attribute
    case Kind::kAttribute:
      switch (field) {
        case 5:
          return {Kind::kTensor, 0};  // t
        case 6:
          return {Kind::kGraph, 1};  // g
        case 22:
          return {Kind::kSparse, 2};  // sparse_tensor
        case 10:
          return {Kind::kTensor, -1};  // tensors
        case 11:
          return {Kind::kGraph, -1};  // graphs
        case 23:
          return {Kind::kSparse, -1};  // sparse_tensors
        default:
          return {};
      }
    case Kind::kFunction:
      switch (field) {
        case 7:
          return {Kind::kNode, -1};  // node
        case 11:
          return {Kind::kAttribute, -1};  // attribute_proto
        default:
          return {};
      }
    case Kind::kTraining:
      switch (field) {
        case 1:
          return {Kind::kGraph, 0};  // initialization
        case 2:
          return {Kind::kGraph, 1};  // algorithm
        default:
          return {};
      }
    case Kind::kSparse:
      switch (field) {
        case 1:
          return {Kind::kTensor, 0};  // values
        case 2:
          return {Kind::kTensor, 1};  // indices
        default:
          return {};
      }
    default:
      return {};
  }
}

struct Frame {
  Kind kind;
  Fields fields;
  size_t node;           // kRoot for the root
  int slot;              // in the parent's frame
  size_t edits_at_open;  // to see whether anything was added below
  std::array<bool, kSlots> seen{};
  std::array<size_t, kSlots> first{kRoot, kRoot, kRoot};  // the node of a singular child, while it is in the tree
};

}  // namespace

absl::StatusOr<Changes> Walk(Window* model, TooDeep too_deep, const OnTensor& on_tensor) {
  Changes changes;
  std::vector<PathNode>& nodes = changes.nodes;
  std::vector<Edit>& edits = changes.edits;
  std::vector<Frame> stack;
  stack.push_back({Kind::kModel, Fields(model, 0, model->size()), kRoot, -1, 0});

  // Takes the youngest node out again if nothing below it is to be changed.
  const auto close = [&](size_t node, size_t edits_at_open, int slot) {
    if (edits.size() == edits_at_open) {
      nodes.pop_back();
    } else if (slot >= 0) {
      stack.back().first[static_cast<size_t>(slot)] = node;
    }
  };

  while (!stack.empty()) {
    Frame& frame = stack.back();
    Field field;
    if (!frame.fields.Next(&field)) {
      GOMAI_RETURN_IF_ERROR(frame.fields.Failure());
      const Frame done = frame;
      stack.pop_back();
      if (done.node != kRoot) {
        close(done.node, done.edits_at_open, done.slot);
      }
      continue;
    }
    if (field.type != WireType::kLength) {
      continue;
    }
    const ChildRule child = Child(frame.kind, field.number);
    if (child.kind == Kind::kNone) {
      continue;
    }
    if (stack.size() > kMaxDepth) {
      if (too_deep == TooDeep::kFail) {
        return Internal("messages are nested more than {} deep", kMaxDepth);
      }
      continue;
    }
    PathNode node = {frame.node, field.prefix, field.data, field.end, !field.minimal_length};
    if (child.slot >= 0) {
      const size_t slot = static_cast<size_t>(child.slot);
      if (frame.seen[slot]) {
        node.frozen = true;
        if (frame.first[slot] != kRoot) {
          nodes[frame.first[slot]].frozen = true;
        }
      }
      frame.seen[slot] = true;
    }
    const size_t index = nodes.size();
    const size_t edits_at_open = edits.size();
    nodes.push_back(node);
    if (child.kind == Kind::kTensor) {
      GOMAI_RETURN_IF_ERROR(on_tensor(node, index, &edits));
      close(index, edits_at_open, child.slot);
    } else {
      stack.push_back({child.kind, Fields(model, field.data, field.end), index, child.slot, edits_at_open});
    }
  }

  for (PathNode& node : nodes) {
    node.frozen = node.frozen || (node.parent != kRoot && nodes[node.parent].frozen);
  }
  std::erase_if(edits, [&](const Edit& edit) { return nodes[edit.node].frozen; });
  return changes;
}

absl::StatusOr<GatherList> Apply(const ByteSource& input, Changes changes) {
  std::vector<PathNode>& nodes = changes.nodes;
  std::vector<Edit>& edits = changes.edits;
  std::vector<int64_t> growth(nodes.size());
  int64_t root_growth = 0;
  for (const Edit& edit : edits) {
    const uint64_t now = edit.literal.size() + (edit.payload ? edit.payload->length : 0);
    growth[edit.node] += static_cast<int64_t>(now) - static_cast<int64_t>(edit.end - edit.begin);
  }
  for (size_t i = nodes.size(); i-- > 0;) {
    const PathNode& node = nodes[i];
    int64_t grown = growth[i];
    if (grown != 0) {
      Edit prefix = {i, node.prefix, node.data, {}, std::nullopt, 0};
      AppendVarint(&prefix.literal, static_cast<uint64_t>(static_cast<int64_t>(node.end - node.data) + grown));
      grown += static_cast<int64_t>(prefix.literal.size()) - static_cast<int64_t>(node.data - node.prefix);
      edits.push_back(std::move(prefix));
    }
    (node.parent == kRoot ? root_growth : growth[node.parent]) += grown;
  }
  // Stable: at one offset an insertion stays before the replacement that was added after it.
  std::stable_sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.begin < b.begin; });

  GatherList out;
  uint64_t literal_begin = 0;
  const auto flush = [&] {
    if (out.literals.size() > literal_begin) {
      out.pieces.push_back({false, 0, literal_begin, out.literals.size() - literal_begin});
      literal_begin = out.literals.size();
    }
  };
  const auto copy = [&](uint64_t begin, uint64_t end) {
    const size_t size = out.literals.size();
    out.literals.resize(size + (end - begin));
    return input.Read(begin, reinterpret_cast<uint8_t*>(out.literals.data()) + size, end - begin);
  };
  const auto unreadable = [] { return DataLoss("the file can't be read, or became shorter while it was"); };
  uint64_t done = 0;
  for (const Edit& edit : edits) {
    GOMAI_CHECK(edit.begin >= done);
    if (!copy(done, edit.begin)) {
      return unreadable();
    }
    out.literals += edit.literal;
    if (edit.payload && edit.payload->length > 0) {
      flush();
      out.pieces.push_back(*edit.payload);
    }
    done = edit.end;
  }
  if (!copy(done, input.size())) {
    return unreadable();
  }
  flush();
  out.size = static_cast<uint64_t>(static_cast<int64_t>(input.size()) + root_growth);
  return out;
}

}  // namespace gomai::wire
