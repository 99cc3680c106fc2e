#pragma once

// Quantisation around a node: what lies between DequantizeLinear and QuantizeLinear is computed in integers by devices,
// so what a rewrite puts there should be quantised too.

#include <string>

#include "lib/pass/rewrite.h"

namespace gomai {

// The DequantizeLinear that makes a value, with one scale; kNone.
NodeId DequantisedBy(const Rewriter& rewriter, ValueId value);
// The QuantizeLinear that alone reads a value, with one scale; kNone.
NodeId QuantisedBy(const Rewriter& rewriter, ValueId value);

// `value` quantised and dequantised right before `before`, by the scale, zero point and dtype of `like`, a
// QuantizeLinear; `value` itself if `like` is kNone. What only moves elements and is quantised by these later gives the
// same integers with it: quantising twice by the same parameters is quantising once.
std::string QuantisedLike(Rewriter& rewriter, NodeId before, const std::string& value, NodeId like);

}  // namespace gomai
