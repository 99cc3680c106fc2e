// large-kernel-pool-split: a pool with a large window as several pools with small ones.
//
// A mean of equal blocks is the mean of their means, so a window may be divided into factors if the blocks lie on its
// stride. A maximum may be taken in steps of any width: windows of 5 and of 3 in a row see what a window of 7 sees.
#include <algorithm>

#include "lib/model/attribute.h"
#include "lib/pass/rewrite.h"

namespace gomai {
namespace {

constexpr size_t kMostStages = 16;
constexpr int64_t kLargest = int64_t{1} << 24;  // of what makes sense as a window

struct Stage {
  std::vector<int64_t> kernel, strides, pads_begin, pads_end;
  explicit Stage(size_t axes) : kernel(axes, 1), strides(axes, 1), pads_begin(axes, 0), pads_end(axes, 0) {}
};

// Factors of at most `most`, the largest first, as few as greed finds; empty: a prime factor is larger.
std::vector<int64_t> Factors(int64_t number, int64_t most) {
  std::vector<int64_t> factors;
  while (number > 1) {
    int64_t factor = std::min(number, most);
    while (number % factor != 0) {
      --factor;
    }
    if (factor == 1) {
      return {};
    }
    factors.push_back(factor);
    number /= factor;
  }
  return factors.empty() ? std::vector<int64_t>{1} : factors;
}

class Pools {
 public:
  Pools(Rewriter& rewriter, int64_t most) : rewriter_(rewriter), most_(most) {}

  bool Applies(NodeId id) const {
    const std::string& op = rewriter_.proto(id).op_type();
    if ((op != "MaxPool" && op != "AveragePool" && op != "GlobalMaxPool" && op != "GlobalAveragePool") ||
        !rewriter_.Is(id, op)) {
      return false;
    }
    if (op.starts_with("Global")) {
      const int rank = rewriter_.Rank(rewriter_.Input(id, 0));
      for (int i = 2; i < rank; ++i) {
        if (rewriter_.Dim(rewriter_.Input(id, 0), i).value_or(most_ + 1) > most_) {
          return true;
        }
      }
      return rank < 0;
    }
    const std::vector<int64_t> kernel = rewriter_.Ints(id, "kernel_shape").value_or(std::vector<int64_t>());
    return std::any_of(kernel.begin(), kernel.end(), [&](int64_t size) { return size > most_; });
  }

  absl::StatusOr<std::string> Rewrite(NodeId id) {
    const std::string op = rewriter_.proto(id).op_type();
    const bool average = op.ends_with("AveragePool");
    Stage whole(0);
    std::vector<int64_t> dilations;
    if (const std::string why = Read(id, &whole, &dilations); !why.empty()) {
      return why;
    }
    if (rewriter_.Int(id, "ceil_mode", 0) != 0 && !CeilIsIdle(id, whole, dilations)) {
      return "with ceil_mode its last window may reach beyond the input, and where that counts depends on the padding "
             "of "
             "each pool";
    }
    std::string why_not;
    std::vector<Stage> stages = Undilated(dilations) ? InBlocks(whole, &why_not) : std::vector<Stage>();
    if (stages.empty() && average) {
      return !Undilated(dilations) ? "its windows have gaps (dilations)" : why_not;
    }
    if (stages.empty()) {
      if (most_ < 2) {
        return "windows of one element can't grow";
      }
      stages = InSteps(whole, &why_not);
      if (stages.empty()) {
        return why_not;
      }
    }
    Write(id, average ? "AveragePool" : "MaxPool", stages, dilations);
    return "";
  }

 private:
  static bool Undilated(const std::vector<int64_t>& dilations) {
    return std::all_of(dilations.begin(), dilations.end(), [](int64_t dilation) { return dilation == 1; });
  }

  // Do the windows end exactly where the padded input ends, so that rounding up gives none more?
  bool CeilIsIdle(NodeId id, const Stage& whole, const std::vector<int64_t>& dilations) const {
    for (size_t i = 0; i < whole.kernel.size(); ++i) {
      const std::optional<int64_t> size = rewriter_.Dim(rewriter_.Input(id, 0), static_cast<int>(i) + 2);
      const int64_t window = (whole.kernel[i] - 1) * dilations[i] + 1;
      if (whole.strides[i] != 1 &&
          (!size || (*size + whole.pads_begin[i] + whole.pads_end[i] - window) % whole.strides[i] != 0)) {
        return false;
      }
    }
    return true;
  }

  // The pool as one stage; why it can't be read, or "".
  std::string Read(NodeId id, Stage* whole, std::vector<int64_t>* dilations) const {
    const std::string& op = rewriter_.proto(id).op_type();
    if (op == "MaxPool" && rewriter_.IsUsed(rewriter_.Output(id, 1))) {
      return "its second result, the indices, is read";
    }
    if (op.starts_with("Global")) {
      const std::optional<std::vector<int64_t>> shape = rewriter_.FixedShape(rewriter_.Input(id, 0));
      if (!shape || shape->size() < 3 || shape->size() > 5) {
        return "the shape of its input isn't known (or its rank isn't 3 to 5); freeze-shapes may settle it";
      }
      *whole = Stage(shape->size() - 2);
      whole->kernel.assign(shape->begin() + 2, shape->end());
      whole->strides = whole->kernel;
      dilations->assign(whole->kernel.size(), 1);
      return std::count(whole->kernel.begin(), whole->kernel.end(), 0) > 0 ? "its input is empty" : "";
    }
    const std::vector<int64_t> kernel = *rewriter_.Ints(id, "kernel_shape");
    const size_t axes = kernel.size();
    const std::string auto_pad = rewriter_.String(id, "auto_pad", "NOTSET");
    if (!auto_pad.empty() && auto_pad != "NOTSET") {
      return fmt::format("its auto_pad is {}; explicit-attributes makes pads of it", auto_pad);
    }
    *whole = Stage(axes);
    whole->kernel = kernel;
    whole->strides = rewriter_.Ints(id, "strides").value_or(std::vector<int64_t>(axes, 1));
    *dilations = rewriter_.Ints(id, "dilations").value_or(std::vector<int64_t>(axes, 1));
    const std::vector<int64_t> pads = rewriter_.Ints(id, "pads").value_or(std::vector<int64_t>(2 * axes, 0));
    if (whole->strides.size() != axes || dilations->size() != axes || pads.size() != 2 * axes) {
      return "its attributes don't fit together";
    }
    for (size_t i = 0; i < axes; ++i) {
      for (const int64_t value : {kernel[i], whole->strides[i], (*dilations)[i]}) {
        if (value < 1 || value > kLargest) {
          return fmt::format("a kernel, stride or dilation of it isn't between 1 and {}", kLargest);
        }
      }
      if (std::min(pads[i], pads[axes + i]) < 0 || std::max(pads[i], pads[axes + i]) >= kernel[i]) {
        return "its padding is negative, or as wide as its window";
      }
    }
    whole->pads_begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(axes));
    whole->pads_end.assign(pads.begin() + static_cast<int64_t>(axes), pads.end());
    // With one window along an axis its stride says nothing, and any will do.
    for (size_t i = 0; i < axes; ++i) {
      const std::optional<int64_t> size = rewriter_.Dim(rewriter_.Input(id, 0), static_cast<int>(i) + 2);
      if (size && *size >= kernel[i] && *size - kernel[i] < whole->strides[i] && whole->strides[i] < kernel[i] &&
          (*dilations)[i] == 1 && pads[i] == 0 && pads[axes + i] == 0) {
        whole->strides[i] = kernel[i];
      }
    }
    return "";
  }

  // Factors along each axis; the blocks of each stage must lie on the stride.
  std::vector<Stage> InBlocks(const Stage& whole, std::string* why) const {
    const size_t axes = whole.kernel.size();
    std::vector<std::vector<int64_t>> factors(axes);
    size_t count = 1;
    for (size_t i = 0; i < axes; ++i) {
      factors[i] = Factors(whole.kernel[i], most_);
      int64_t blocks = 1;
      for (size_t j = 0; j + 1 < factors[i].size(); ++j) {
        blocks *= factors[i][j];
      }
      if (factors[i].empty()) {
        *why = fmt::format("its window of {} along axis {} has a prime factor above {}", whole.kernel[i], i + 2, most_);
        return {};
      }
      if (whole.pads_begin[i] != 0 || whole.pads_end[i] != 0) {
        *why = fmt::format("it is padded along axis {}, so that its windows aren't all of equal blocks", i + 2);
        return {};
      }
      if (whole.strides[i] % blocks != 0) {
        *why = fmt::format("its windows of {} stand {} apart along axis {}, which blocks of {} don't fit",
                           whole.kernel[i], whole.strides[i], i + 2, blocks);
        return {};
      }
      count = std::max(count, factors[i].size());
    }
    std::vector<Stage> stages(count, Stage(axes));
    for (size_t i = 0; i < axes; ++i) {
      int64_t left = whole.strides[i];
      for (size_t j = 0; j < factors[i].size(); ++j) {
        const bool last = j + 1 == factors[i].size();
        Stage& stage = stages[count - factors[i].size() + j];
        stage.kernel[i] = factors[i][j];
        stage.strides[i] = last ? left : factors[i][j];
        left /= factors[i][j];
      }
    }
    return stages;
  }

  // Windows of a maximum that overlap: k is 1 more than what all stages add. Strides come last, padding as early as the
  // windows can hold it.
  std::vector<Stage> InSteps(const Stage& whole, std::string* why) const {
    const size_t axes = whole.kernel.size();
    std::vector<Stage> stages;
    std::vector<int64_t> left = whole.kernel;
    Stage pads = whole;
    while (stages.size() <= kMostStages &&
           std::any_of(left.begin(), left.end(), [](int64_t size) { return size > 1; })) {
      Stage& stage = stages.emplace_back(axes);
      for (size_t i = 0; i < axes; ++i) {
        stage.kernel[i] = std::min(left[i], most_);
        left[i] -= stage.kernel[i] - 1;
        const auto take = [&](int64_t* pad) {
          const int64_t taken = std::min(*pad, stage.kernel[i] - 1);
          *pad -= taken;
          return taken;
        };
        stage.pads_begin[i] = take(&pads.pads_begin[i]);
        stage.pads_end[i] = take(&pads.pads_end[i]);
      }
    }
    if (stages.size() > kMostStages) {
      *why = fmt::format("its window of {} would take more than {} pools in a row", fmt::join(whole.kernel, "x"),
                         kMostStages);
      return {};
    }
    stages.back().strides = whole.strides;
    const auto none = [](const std::vector<int64_t>& values) {
      return std::all_of(values.begin(), values.end(), [](int64_t value) { return value == 0; });
    };
    if (!none(pads.pads_begin) || !none(pads.pads_end)) {
      *why = "its padding is as wide as its window";
      return {};
    }
    return stages;
  }

  void Write(NodeId id, const std::string& op, const std::vector<Stage>& stages,
             const std::vector<int64_t>& dilations) {
    std::string input = rewriter_.Name(rewriter_.Input(id, 0));
    for (const Stage& stage : stages) {
      const bool last = &stage == &stages.back();
      std::vector<int64_t> pads = stage.pads_begin;
      pads.insert(pads.end(), stage.pads_end.begin(), stage.pads_end.end());
      std::vector<onnx::AttributeProto> attributes;
      if (!Undilated(dilations)) {
        attributes.push_back(IntsAttribute("dilations", dilations));
      }
      attributes.push_back(IntsAttribute("kernel_shape", stage.kernel));
      attributes.push_back(IntsAttribute("pads", pads));
      attributes.push_back(IntsAttribute("strides", stage.strides));
      if (last) {
        rewriter_.Become(id, op, {input}, attributes);
      } else {
        input = rewriter_.Insert(id, op, {input}, attributes);
      }
    }
  }

  Rewriter& rewriter_;
  const int64_t most_;
};

absl::Status Run(PassContext& context) {
  const int64_t most = context.options().Int("max-kernel");
  if (most < 2) {
    return InvalidArgument("the option 'max-kernel' must be at least 2, not {}", most);
  }
  GOMAI_ASSIGN_OR_RETURN(Rewriter rewriter, Rewriter::Make(context));
  Pools pools(rewriter, most);
  return rewriter.Run({.what = fmt::format("a MaxPool or AveragePool with a window above {}", most),
                       .applies = [&](NodeId id) { return pools.Applies(id); },
                       .rewrite = [&](NodeId id) { return pools.Rewrite(id); }});
}

}  // namespace

const PassInfo& LargeKernelPoolSplitPass() {
  static const PassInfo info = {
      .name = "large-kernel-pool-split",
      .summary = "split pools with large windows into several with small ones",
      .description =
          "Replaces each MaxPool, AveragePool, GlobalMaxPool and GlobalAveragePool whose window is larger than "
          "max-kernel "
          "along an axis by a row of pools whose windows aren't. A mean is divided into the factors of its window, 49 "
          "into 7 and 7, where blocks of that size lie on the stride: stride = window, and global pools of known size. "
          "A maximum is divided likewise, or else into windows in a row that overlap, with the stride in the last and "
          "the padding spread over them; that takes more comparisons, but fewer than the large window does.\n\n"
          "Maxima are exact bit for bit, means are summed in another order and rounded between.\n\n"
          "Not rewritten: ceil_mode where it adds a window; means with padding or dilations, with a prime factor above "
          "max-kernel, or with "
          "overlapping windows; the indices of a MaxPool; auto_pad; unknown sizes of a global pool; more than 16 "
          "pools in a row.",
      .effect = Effect::kReassociates,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .options = RewriteOptions({{.name = "max-kernel",
                                  .type = OptionType::kInt,
                                  .default_value = "8",
                                  .help = "the largest window that stays"}}),
      .examples = {"large-kernel-pool-split", "large-kernel-pool-split{max-kernel=7}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
