// hardsigmoid-mul-to-hardswish: finds x * HardSigmoid(x), and x * Clip(x + 3, 0, 6) / 6 in the orders that exports
// have.
//
// A product is read as its factors: x, a gate (HardSigmoid(x), or Clip(x + 3, 0, 6)) and for the latter a sixth, by Mul
// or Div, grouped in any way. The last node becomes the HardSwish; what only it needed goes.
#include <algorithm>
#include <cmath>

#include "lib/model/attribute.h"
#include "lib/pass/hard_activation.h"

namespace gomai {
namespace {

// A product as found; nodes in the order in which they may go: each before what it reads.
struct Product {
  ValueId x = kNone;
  NodeId hard_sigmoid = kNone;
  double sixth = 0;  // of the Clip form
  int dtype = 0;     // of the constants there
  std::vector<NodeId> nodes;
};

class Products {
 public:
  Products(Rewriter& rewriter, bool approximate) : rewriter_(rewriter), approximate_(approximate) {}

  bool Applies(NodeId id) const { return Find(id).has_value(); }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const Product product = *Find(id);
    if (rewriter_.Opset(id) < 14) {
      return "HardSwish needs opset 14; convert-opset{opset=14} goes there";
    }
    double alpha = product.sixth;
    double beta = 0.5;
    const int dtype = rewriter_.Dtype(product.x);
    if (product.hard_sigmoid != kNone) {
      alpha = static_cast<double>(rewriter_.Float(product.hard_sigmoid, "alpha", 0.2f));
      beta = static_cast<double>(rewriter_.Float(product.hard_sigmoid, "beta", 0.5f));
    } else {
      GOMAI_ASSIGN_OR_RETURN(std::string why_not, WhyNotOf(rewriter_, id, product.x, "HardSwish"));
      if (!why_not.empty()) {
        return why_not;
      }
    }
    const bool exact = beta == 0.5 && (product.hard_sigmoid != kNone ? IsSixth(alpha) : IsSixth(alpha, dtype));
    if (!exact && !approximate_) {
      return fmt::format(
          "its HardSigmoid has alpha {:.7g} and beta {:.7g}, and HardSwish 1/6 and 0.5; "
          "approximate=true takes it as such",
          alpha, beta);
    }
    if (product.hard_sigmoid == kNone && dtype == onnx::TensorProto::DOUBLE && !approximate_) {
      return "HardSwish has 1/6 as a float32, less than float64 tells; approximate=true takes it as such";
    }
    if (!exact) {
      const auto present = [&](double x) { return x * HardSigmoid(x, alpha, beta); };
      const auto hard_swish = [](double x) { return x * HardSigmoid(x, 1.0 / 6, 0.5); };
      const double reach = alpha > 0 ? (std::abs(beta) + 1) / alpha : 0;
      if (!(reach > 0 && reach < 1000)) {
        return fmt::format("its HardSigmoid has alpha {:.7g} and beta {:.7g}, which is no HardSwish at all", alpha,
                           beta);
      }
      rewriter_.context().diagnostics().Warn(
          rewriter_.index().Describe(id), "values change {}",
          ErrorText(rewriter_, rewriter_.Output(id, 0), LargestErrorWithin(std::max(3.0, reach), present, hard_swish)));
    }
    NodeId reader = id;
    std::vector<NodeId> gone = {id};
    for (const NodeId inner : product.nodes) {
      const ValueId output = rewriter_.Output(inner, 0);
      reader = kNone;
      for (const NodeId candidate : gone) {
        reader = rewriter_.IsReadOnlyBy(output, candidate) ? candidate : reader;
      }
      if (reader != kNone && rewriter_.index().node(inner).scope == rewriter_.index().node(id).scope) {
        rewriter_.Erase(inner);
        gone.push_back(inner);
      }
    }
    rewriter_.Become(id, "HardSwish", {rewriter_.Name(product.x)});
    return "";
  }

 private:
  // The factors of a product, constants multiplied into one.
  struct Factors {
    std::vector<ValueId> values;
    double constant = 1;
    std::vector<NodeId> nodes;  // besides the root
  };

  // One element that broadcasting with anything of x's shape leaves as it is.
  std::optional<double> Scalar(ValueId value, ValueId x) const {
    const onnx::TensorProto* tensor = rewriter_.Constant(value);
    if (tensor == nullptr || (tensor->dims_size() > 0 && tensor->dims_size() > rewriter_.Rank(x))) {
      return std::nullopt;
    }
    return rewriter_.Number(value);
  }

  std::optional<Product> Find(NodeId root) const {
    if (!rewriter_.Is(root, "Mul") && !rewriter_.Is(root, "Div")) {
      return std::nullopt;
    }
    // Up to three factors: expand one inner product or quotient.
    Factors factors;
    if (!Split(root, &factors)) {
      return std::nullopt;
    }
    if (const std::optional<Product> found = Read(factors)) {
      return found;
    }
    for (size_t i = 0; i < factors.values.size(); ++i) {
      for (const char* op_type : {"Mul", "Div"}) {
        const NodeId inner = rewriter_.Producer(factors.values[i], op_type);
        if (inner == kNone) {
          continue;
        }
        Factors more = factors;
        more.values.erase(more.values.begin() + static_cast<std::ptrdiff_t>(i));
        more.nodes.push_back(inner);
        if (Split(inner, &more)) {
          if (const std::optional<Product> found = Read(more)) {
            return found;
          }
        }
      }
    }
    return std::nullopt;
  }

  // Adds the factors of a Mul or Div by a constant.
  bool Split(NodeId id, Factors* factors) const {
    const ValueId a = rewriter_.Input(id, 0);
    const ValueId b = rewriter_.Input(id, 1);
    if (a == kNone || b == kNone) {
      return false;
    }
    const bool divides = rewriter_.Is(id, "Div");
    if (const std::optional<double> constant = Scalar(b, a); constant && *constant != 0) {
      factors->values.push_back(a);
      factors->constant *= divides ? 1 / *constant : *constant;
      return true;
    }
    if (divides) {
      return false;
    }
    if (const std::optional<double> constant = Scalar(a, b)) {
      factors->values.push_back(b);
      factors->constant *= *constant;
      return true;
    }
    factors->values.push_back(a);
    factors->values.push_back(b);
    return true;
  }

  std::optional<Product> Read(const Factors& factors) const {
    if (factors.values.size() != 2) {
      return std::nullopt;
    }
    for (const size_t gate : {size_t{0}, size_t{1}}) {
      Product product{.x = factors.values[1 - gate], .nodes = factors.nodes};
      const ValueId value = factors.values[gate];
      if (const NodeId hard = rewriter_.Producer(value, "HardSigmoid");
          hard != kNone && factors.constant == 1 && factors.nodes.empty() && rewriter_.Input(hard, 0) == product.x) {
        product.hard_sigmoid = hard;
        product.nodes.push_back(hard);
        return product;
      }
      const int dtype = rewriter_.Dtype(product.x);
      if (factors.constant > 0.15 && factors.constant < 0.18 && (dtype == 0 || IsFloatDtype(dtype)) &&
          IsClipOfSum(value, &product)) {
        product.sixth = factors.constant;
        return product;
      }
    }
    return std::nullopt;
  }

  // Clip(x + 3, 0, 6), also as Min(Relu(x + 3), 6).
  bool IsClipOfSum(ValueId value, Product* product) const {
    ValueId sum = kNone;
    std::vector<NodeId> nodes;
    if (const NodeId clip = rewriter_.Producer(value, "Clip"); clip != kNone && HasLimits(clip)) {
      nodes = {clip};
      sum = rewriter_.Input(clip, 0);
    } else if (const NodeId least = rewriter_.Producer(value, "Min");
               least != kNone && rewriter_.index().node(least).inputs.size() == 2) {
      for (const size_t i : {size_t{0}, size_t{1}}) {
        const ValueId other = rewriter_.Input(least, i);
        const NodeId relu = rewriter_.Producer(other, "Relu");
        if (relu != kNone && Scalar(rewriter_.Input(least, 1 - i), product->x) == 6) {
          nodes = {least, relu};
          sum = rewriter_.Input(relu, 0);
        }
      }
    }
    const NodeId add = rewriter_.Producer(sum, "Add");
    if (add == kNone) {
      return false;
    }
    for (const size_t i : {size_t{0}, size_t{1}}) {
      if (rewriter_.Input(add, i) == product->x && product->x != kNone &&
          Scalar(rewriter_.Input(add, 1 - i), product->x) == 3) {
        product->nodes.insert(product->nodes.end(), nodes.begin(), nodes.end());
        product->nodes.push_back(add);
        return true;
      }
    }
    return false;
  }

  bool HasLimits(NodeId clip) const {
    if (rewriter_.Opset(clip) < 11) {
      return rewriter_.Float(clip, "min", -1) == 0 && rewriter_.Float(clip, "max", -1) == 6;
    }
    return rewriter_.Number(rewriter_.Input(clip, 1)) == 0 && rewriter_.Number(rewriter_.Input(clip, 2)) == 6;
  }

  Rewriter& rewriter_;
  const bool approximate_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Products products(rewriter, context.options().Bool("approximate"));
  return rewriter.Run({.what = "x * HardSigmoid(x) or x * Clip(x + 3, 0, 6) / 6",
                       .applies = [&](NodeId id) { return products.Applies(id); },
                       .rewrite = [&](NodeId id) { return products.Rewrite(id); }});
}

Effect EffectOfOptions(const PassOptions& options) {
  return options.Bool("approximate") ? Effect::kApproximate : Effect::kReassociates;
}

}  // namespace

const PassInfo& HardsigmoidMulToHardswishPass() {
  static const PassInfo info = {
      .name = "hardsigmoid-mul-to-hardswish",
      .summary = "write x * HardSigmoid(x), and what exports spell it as, as HardSwish",
      .description =
          "Replaces x * HardSigmoid(x) with alpha 1/6 and beta 0.5 by HardSwish, from opset 14 on: what ONNX defines "
          "it as, so that only a runtime's own kernel may round otherwise. x * Clip(x + 3, 0, 6) / 6 is the same in "
          "other steps; it is found in any order of its factors, with the sixth as a division or a multiplication, the "
          "limits as attributes or inputs, and Min(Relu(x + 3), 6) for the Clip. There sums round differently, and a "
          "float16 too large for a product with 6 no longer overflows. Nodes that others read too stay.\n\n"
          "A sixth is what float32 (or the type of the constants) rounds 1/6 to, or within four units in the last "
          "place. Another alpha, such as 0.2, ONNX's default, 0.1667 or 0.166667, or another beta is refused, unless "
          "approximate=true: values change then, and the largest change is computed and warned of for each. "
          "hardswish-to-hardsigmoid-mul is the inverse.\n\n"
          "Not rewritten: opsets before 14; types that HardSwish lacks; the spelled-out form in float64, whose 1/6 is "
          "more precise than HardSwish's. In a quantised model the whole must lie between a DequantizeLinear and a "
          "QuantizeLinear; steps with a quantisation in between are others.",
      .effect = Effect::kReassociates,
      .effect_of = EffectOfOptions,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "approximate",
                                  .type = OptionType::kBool,
                                  .default_value = "false",
                                  .help = "take another alpha or beta too, and warn by how much values change"}}),
      .examples = {"hardsigmoid-mul-to-hardswish", "hardsigmoid-mul-to-hardswish{approximate=true,unfit=keep}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
