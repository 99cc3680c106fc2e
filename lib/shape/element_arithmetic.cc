// The rules that compute elements. Operators are exact on integers; on floats they are followed while every operand and
// result is an integer that the type holds exactly, where float arithmetic is integer arithmetic.
#include <algorithm>

#include "lib/shape/element_rules.h"
#include "lib/shape/infer.h"

namespace gomai::shape {
namespace {

bool IsFloat(int dtype) { return dtype == onnx::TensorProto::FLOAT || dtype == onnx::TensorProto::DOUBLE; }

// Element by element over operands that are broadcast. `apply` takes intervals. Before opset 7 an attribute said where
// the second operand lies in the first, which isn't followed.
template <typename Apply>
MaybeElements Elementwise(const ElementNode& in, const Apply& apply) {
  auto shape = in.OutputShape();
  if (in.Gives("axis") || in.Gives("broadcast")) {
    return std::nullopt;
  }
  std::vector<const Elements*> operands;
  for (int i = 0; i < in.count(); ++i) {
    operands.push_back(in.In(i));
    if (operands.back() == nullptr || !shape || operands.back()->shape.size() > shape->size()) {
      return std::nullopt;
    }
  }
  if (!shape || operands.empty()) {
    return std::nullopt;
  }
  Elements elements{*std::move(shape), {}};
  const auto count = static_cast<size_t>(CountOf(elements.shape));
  std::vector<Interval> values(operands.size());
  for (size_t i = 0; i < count; ++i) {
    for (size_t o = 0; o < operands.size(); ++o) {
      const size_t position = BroadcastPosition(operands[o]->shape, elements.shape, i);
      if (position >= operands[o]->at.size()) {
        return std::nullopt;
      }
      values[o] = operands[o]->at[position];
    }
    elements.at.push_back(apply(values));
  }
  return elements;
}

using Values = std::vector<Interval>;

template <typename Operation>
MaybeElements Binary(const ElementNode& in, const Operation& operation) {
  return in.count() != 2 ? std::nullopt : Elementwise(in, [&](const Values& v) { return operation(v[0], v[1]); });
}

MaybeElements Add(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) {
    return Combine(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_add_overflow(x, y, r); });
  });
}

MaybeElements Sub(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) {
    return Combine(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_sub_overflow(x, y, r); });
  });
}

Interval Times(const Interval& a, const Interval& b) {
  return Combine(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_mul_overflow(x, y, r); });
}

MaybeElements Mul(const ElementNode& in) { return Binary(in, Times); }

// Integers divide towards zero. Of floats only what comes out even is an integer.
MaybeElements Div(const ElementNode& in) {
  const bool floats = IsFloat(in.OutputDtype());
  return Binary(in, [floats](const Interval& a, const Interval& b) -> Interval {
    if (!b.known() || b.low == 0 || (b.low == -1 && a.low == Interval::kLowest)) {
      return {};
    }
    if (floats && (!a.known() || a.low % b.low != 0 || (a.low == 0 && b.low < 0))) {
      return {};
    }
    return Combine(a, b, [](int64_t x, int64_t y, int64_t* r) {
      *r = x / y;
      return false;
    });
  });
}

MaybeElements Mod(const ElementNode& in) {
  const bool truncates = in.Int("fmod", 0) != 0;
  return Binary(in, [truncates](const Interval& a, const Interval& b) -> Interval {
    if (!a.known() || !b.known() || b.low == 0 || b.low == -1) {
      return {};
    }
    const int64_t rest = a.low % b.low;
    return Interval::Of(!truncates && rest != 0 && (rest < 0) != (b.low < 0) ? rest + b.low : rest);
  });
}

MaybeElements Min(const ElementNode& in) {
  return Elementwise(in, [](const Values& values) {
    Interval least = values[0];
    for (const Interval& value : values) {
      least = {std::min(least.low, value.low), std::min(least.high, value.high)};
    }
    return least;
  });
}

MaybeElements Max(const ElementNode& in) {
  return Elementwise(in, [](const Values& values) {
    Interval most = values[0];
    for (const Interval& value : values) {
      most = {std::max(most.low, value.low), std::max(most.high, value.high)};
    }
    return most;
  });
}

MaybeElements Neg(const ElementNode& in) {
  return Elementwise(in, [](const Values& v) { return v[0].bounded() ? Interval{-v[0].high, -v[0].low} : Interval{}; });
}

MaybeElements Abs(const ElementNode& in) {
  return Elementwise(in, [](const Values& v) {
    if (!v[0].bounded()) {
      return Interval{};
    }
    const int64_t most = std::max(-v[0].low, v[0].high);
    return v[0].low >= 0 ? v[0] : v[0].high <= 0 ? Interval{-v[0].high, -v[0].low} : Interval{0, most};
  });
}

// Rounding leaves an integer as it is.
MaybeElements Same(const ElementNode& in) {
  return Elementwise(in, [](const Values& v) { return v[0]; });
}

// Between integers, truth values and integral floats. What leaves the target's range is unknown: the caller sees to it.
MaybeElements Cast(const ElementNode& in) {
  if (!IsFollowed(in.DtypeOf(0))) {
    return std::nullopt;
  }
  const bool to_bool = in.OutputDtype() == onnx::TensorProto::BOOL;
  // An unknown float may be a fraction, of which truncation makes something within the same bounds.
  return Elementwise(in, [to_bool](const Values& v) -> Interval {
    if (!to_bool) {
      return v[0];
    }
    const bool zero = v[0].known() && v[0].low == 0;
    return zero ? Interval::Of(0) : v[0].low > 0 || v[0].high < 0 ? Interval::Of(1) : Interval{0, 1};
  });
}

// 1: certain, 0: certainly not, else unknown.
Interval Truth(bool certain, bool impossible) {
  return certain ? Interval::Of(1) : impossible ? Interval::Of(0) : Interval{0, 1};
}

MaybeElements Equal(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) {
    return Truth(a.known() && a == b, a.high < b.low || b.high < a.low);
  });
}

MaybeElements Less(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) { return Truth(a.high < b.low, a.low >= b.high); });
}

MaybeElements LessOrEqual(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) { return Truth(a.high <= b.low, a.low > b.high); });
}

MaybeElements Greater(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) { return Truth(a.low > b.high, a.high <= b.low); });
}

MaybeElements GreaterOrEqual(const ElementNode& in) {
  return Binary(in, [](const Interval& a, const Interval& b) { return Truth(a.low >= b.high, a.high < b.low); });
}

// Logic is of truth values only; a broken model may have it of anything.
bool AllBool(const ElementNode& in) {
  for (int i = 0; i < in.count(); ++i) {
    if (in.DtypeOf(i) != onnx::TensorProto::BOOL) {
      return false;
    }
  }
  return true;
}

MaybeElements Not(const ElementNode& in) {
  return !AllBool(in) ? std::nullopt : Elementwise(in, [](const Values& v) {
    return Interval{1 - v[0].high, 1 - v[0].low};
  });
}

MaybeElements And(const ElementNode& in) {
  return !AllBool(in) ? std::nullopt : Binary(in, [](const Interval& a, const Interval& b) {
    return Interval{std::min(a.low, b.low), std::min(a.high, b.high)};
  });
}

MaybeElements Or(const ElementNode& in) {
  return !AllBool(in) ? std::nullopt : Binary(in, [](const Interval& a, const Interval& b) {
    return Interval{std::max(a.low, b.low), std::max(a.high, b.high)};
  });
}

MaybeElements Xor(const ElementNode& in) {
  return !AllBool(in) ? std::nullopt : Binary(in, [](const Interval& a, const Interval& b) {
    return a.known() && b.known() ? Interval::Of(a.low ^ b.low) : Interval{0, 1};
  });
}

MaybeElements Where(const ElementNode& in) {
  return in.count() != 3 || in.DtypeOf(0) != onnx::TensorProto::BOOL
             ? std::nullopt
             : Elementwise(in,
                           [](const Values& v) { return v[0].known() ? v[v[0].low != 0 ? 1 : 2] : Hull(v[1], v[2]); });
}

// Over all elements, or over some axes.
template <typename Merge>
MaybeElements Reduce(const ElementNode& in, const Merge& merge) {
  const Elements* data = in.In(0);
  auto shape = in.OutputShape();
  const auto axes = in.List("axes", 1);
  if (data == nullptr || !shape || !axes || (axes->empty() && in.Int("noop_with_empty_axes", 0) != 0)) {
    return std::nullopt;
  }
  std::vector<bool> reduced(data->shape.size(), axes->empty());
  for (const int64_t given : *axes) {
    const auto axis = NormalAxis(given, static_cast<int64_t>(data->shape.size()));
    if (!axis) {
      return std::nullopt;
    }
    reduced[static_cast<size_t>(*axis)] = true;
  }
  Elements elements{*std::move(shape), {}};
  std::vector<std::optional<Interval>> sums(static_cast<size_t>(CountOf(elements.shape)));
  for (size_t p = 0; p < data->at.size(); ++p) {
    size_t rest = p;
    size_t target = 0;
    size_t stride = 1;
    for (size_t i = data->shape.size(); i-- > 0;) {
      const auto size = static_cast<size_t>(data->shape[i]);
      if (!reduced[i]) {
        target += rest % size * stride;
        stride *= size;
      }
      rest /= size;
    }
    if (target >= sums.size()) {
      return std::nullopt;
    }
    sums[target] = sums[target] ? merge(*sums[target], data->at[p]) : data->at[p];
  }
  for (const std::optional<Interval>& sum : sums) {
    elements.at.push_back(sum.value_or(Interval{}));
  }
  return elements;
}

MaybeElements ReduceMax(const ElementNode& in) {
  return Reduce(in, [](const Interval& a, const Interval& b) {
    return Interval{std::max(a.low, b.low), std::max(a.high, b.high)};
  });
}

MaybeElements ReduceMin(const ElementNode& in) {
  return Reduce(in, [](const Interval& a, const Interval& b) {
    return Interval{std::min(a.low, b.low), std::min(a.high, b.high)};
  });
}

// A sum of floats is the integers' sum only while every sum on the way, in whatever order, is exact.
MaybeElements ReduceSum(const ElementNode& in) {
  if (const Elements* data = in.In(0); data != nullptr && IsFloat(in.OutputDtype())) {
    const int64_t exact = ExactRange(in.OutputDtype()).high;
    int64_t most = 0;
    for (const Interval& element : data->at) {
      if (element.low < -exact || element.high > exact || (most += std::max(-element.low, element.high)) > exact) {
        return std::nullopt;
      }
    }
  }
  return Reduce(in, [](const Interval& a, const Interval& b) {
    return Combine(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_add_overflow(x, y, r); });
  });
}

MaybeElements ReduceProd(const ElementNode& in) { return Reduce(in, Times); }

}  // namespace

const ElementRules& ArithmeticRules() {
  static const auto* const kRules = new ElementRules{
      {"Add", Add},
      {"Sub", Sub},
      {"Mul", Mul},
      {"Div", Div},
      {"Mod", Mod},
      {"Min", Min},
      {"Max", Max},
      {"Neg", Neg},
      {"Abs", Abs},
      {"Floor", Same},
      {"Ceil", Same},
      {"Round", Same},
      {"Cast", Cast},
      {"Equal", Equal},
      {"Less", Less},
      {"LessOrEqual", LessOrEqual},
      {"Greater", Greater},
      {"GreaterOrEqual", GreaterOrEqual},
      {"Not", Not},
      {"And", And},
      {"Or", Or},
      {"Xor", Xor},
      {"Where", Where},
      {"ReduceMax", ReduceMax},
      {"ReduceMin", ReduceMin},
      {"ReduceSum", ReduceSum},
      {"ReduceProd", ReduceProd},
  };
  return *kRules;
}

}  // namespace gomai::shape
