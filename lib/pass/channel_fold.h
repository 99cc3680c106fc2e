#pragma once

// Reversing the channels of a value by reversing the weights of the convolutions that read it. Internal to passes.
//
//   ChannelFold fold(rewriter);
//   const std::string reason = fold.Plan(input, 1);    // "": it can be
//   GOMAI_RETURN_IF_ERROR(fold.Apply(context));      // after Plan of all inputs
//
// A convolution sums over its channels, so their order is in its weights' second axis alone.

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/pass/rewrite.h"

namespace gomai {

class ChannelFold {
 public:
  explicit ChannelFold(Rewriter& rewriter) : rewriter_(rewriter) {}

  // Plans it for all readers of the value, whose `axis` holds the channels. "" or why it can't be: a reader that is no
  // Conv of one group with constant weights (Transpose, Identity, Cast and quantisation with one scale may lie
  // between), or weights that others read too.
  std::string Plan(ValueId value, int64_t axis);
  // Edits the weights that were planned. Reads them.
  absl::Status Apply(PassContext& context);

 private:
  std::string PlanReader(const Index::Use& use, int64_t axis, std::vector<std::pair<ValueId, int64_t>>* pending);
  std::string PlanWeight(NodeId conv);

  Rewriter& rewriter_;
  std::set<ValueId> weights_;
};

}  // namespace gomai
