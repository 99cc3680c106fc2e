// Only one scale for all elements survives a change of shape, so that is what is looked for.
#include "lib/pass/quantised.h"

#include <vector>

namespace gomai {
namespace {

bool OneScale(const Rewriter& rewriter, NodeId id) {
  const std::optional<std::vector<int64_t>> shape = rewriter.FixedShape(rewriter.Input(id, 1));
  return shape && (shape->empty() || (shape->size() == 1 && (*shape)[0] == 1));
}

}  // namespace

NodeId DequantisedBy(const Rewriter& rewriter, ValueId value) {
  const NodeId id = rewriter.Producer(value, "DequantizeLinear");
  return id != kNone && OneScale(rewriter, id) ? id : kNone;
}

NodeId QuantisedBy(const Rewriter& rewriter, ValueId value) {
  if (value == kNone || rewriter.index().value(value).uses.size() != 1) {
    return kNone;
  }
  const NodeId id = rewriter.index().value(value).uses[0].node;
  return rewriter.Is(id, "QuantizeLinear") && rewriter.Input(id, 0) == value && rewriter.IsReadOnlyBy(value, id) &&
                 rewriter.index().node(id).scope == rewriter.index().value(value).scope && OneScale(rewriter, id)
             ? id
             : kNone;
}

std::string QuantisedLike(Rewriter& rewriter, NodeId before, const std::string& value, NodeId like) {
  if (like == kNone) {
    return value;
  }
  std::vector<std::string> inputs = {value};
  for (const size_t input : {size_t{1}, size_t{2}}) {
    if (rewriter.Input(like, input) != kNone) {
      inputs.push_back(rewriter.Name(rewriter.Input(like, input)));
    }
  }
  const auto& attributes = rewriter.proto(like).attribute();
  inputs[0] = rewriter.Insert(before, "QuantizeLinear", inputs, {attributes.begin(), attributes.end()});
  return rewriter.Insert(before, "DequantizeLinear", inputs);
}

}  // namespace gomai
