// Probes, the search for what is baked, and the result.
//
// The search: put the marker in, repair what is surely baked, look again, until nothing new turns up; then try what is
// possibly baked, and keep what takes a fault away. A fault is a node that inference now finds impossible, or an output
// that led with the batch and doesn't any more. Where the batch is open, its baked size isn't known: each size that a
// constant puts in the batch's place is tried, and holds only if the model has no fault at that size and has one at
// others without the repairs.
#include "lib/pass/batch.h"

#include <algorithm>
#include <set>

#include "lib/pass/declared_shapes.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

constexpr int kMostRounds = 64;
constexpr int kMostTrials = 64;
constexpr size_t kMostSizes = 8;

bool Has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Sets the axis itself: inputs and symbols.
void SetAxis(onnx::ModelProto& proto, const BatchAxis& axis, int64_t size) {
  for (onnx::ValueInfoProto& input : *proto.mutable_graph()->mutable_input()) {
    if (Has(axis.inputs, input.name())) {
      if (onnx::TensorShapeProto* shape = MutableShape(*input.mutable_type());
          shape != nullptr && shape->dim_size() > 0) {
        shape->mutable_dim(0)->set_dim_value(size);
      }
    }
  }
  for (const std::string& symbol : axis.symbols) {
    BindSymbol(proto, symbol, size);
  }
}

class Planner {
 public:
  Planner(const Model& model, const Index& index, const BatchAxis& axis, int64_t size)
      : model_(model), index_(index), axis_(axis), size_(size) {}

  absl::StatusOr<BatchPlan> Plan() {
    GOMAI_ASSIGN_OR_RETURN(base_, InferAll(model_, index_));
    marker_ = FindMarker(model_, base_);
    if (axis_.size != 0) {
      return PlanFixed(axis_.size);
    }
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe bare, ProbeBatch(model_, axis_, marker_, {}, 1));
    return PlanOpen(bare);
  }

 private:
  struct Attempt {
    std::vector<BakedSize> repairs;
    std::vector<std::string> faults;
    std::vector<BakedSize> left;  // possibly baked, neither repaired nor needed
  };

  std::vector<std::string> Faults(const BatchProbe& probe, int64_t size) const {
    std::vector<std::string> faults = NewProblems(base_.problems, probe.inferred.problems);
    for (const std::string& output : leading_) {
      const int64_t dim =
          LeadingDim(probe.index, probe.inferred, probe.index.FindValue(probe.index.main_scope(), output));
      if (dim != size) {
        faults.push_back(fmt::format("output '{}' doesn't follow the batch", output));
      }
    }
    return faults;
  }

  // Fewer faults, or the first is gone and what it hid has come to light. (In the end there must be none.)
  static bool TakesAway(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    return after.size() < before.size() || !NewProblems(after, {before.front()}).empty();
  }

  absl::StatusOr<Attempt> Repair(int64_t old_size) {
    Attempt attempt;
    BakedSizes found;
    for (int round = 0; round < kMostRounds; ++round) {
      GOMAI_ASSIGN_OR_RETURN(const BatchProbe probe, ProbeBatch(model_, axis_, marker_, attempt.repairs, old_size));
      attempt.faults = Faults(probe, marker_);
      found = FindBaked(model_, index_, probe, marker_, old_size);
      if (!found.sure.empty()) {
        attempt.repairs.insert(attempt.repairs.end(), found.sure.begin(), found.sure.end());
        continue;
      }
      bool better = false;
      for (const BakedSize& possible : found.possible) {
        if (attempt.faults.empty() || ++trials_ > kMostTrials) {
          break;
        }
        std::vector<BakedSize> more = attempt.repairs;
        more.push_back(possible);
        const absl::StatusOr<BatchProbe> trial = ProbeBatch(model_, axis_, marker_, more, old_size);
        if (trial.ok() && TakesAway(attempt.faults, Faults(*trial, marker_))) {
          attempt.repairs = std::move(more);
          better = true;
          break;
        }
      }
      if (!better) {
        break;
      }
    }
    attempt.left = std::move(found.possible);
    std::sort(attempt.repairs.begin(), attempt.repairs.end(), [](const BakedSize& a, const BakedSize& b) {
      return std::tie(a.node, a.input, a.element) < std::tie(b.node, b.input, b.element);
    });
    return attempt;
  }

  // Every size is what it was, or the marker in the old batch's place.
  absl::StatusOr<std::vector<std::string>> CheckScaling(const std::vector<BakedSize>& repairs, int64_t old_size) {
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe old, ProbeBatch(model_, axis_, old_size, {}, 1));
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe now, ProbeBatch(model_, axis_, marker_, repairs, old_size));
    std::vector<std::string> wrong;
    for (NodeId id = 0; id < static_cast<NodeId>(index_.nodes().size()); ++id) {
      for (size_t i = 0; i < index_.node(id).outputs.size(); ++i) {
        const ValueId before = old.index.node(id).outputs[i];
        const ValueId after = now.index.node(id).outputs[i];
        if (before == kNone || after == kNone) {
          continue;
        }
        const onnx::TensorShapeProto* was = FindShape(old.inferred.types[static_cast<size_t>(before)]);
        const onnx::TensorShapeProto* is = FindShape(now.inferred.types[static_cast<size_t>(after)]);
        if (was == nullptr || is == nullptr) {
          continue;
        }
        bool scales = was->dim_size() == is->dim_size();
        for (int d = 0; scales && d < was->dim_size(); ++d) {
          const int64_t a = was->dim(d).dim_value();
          const int64_t b = is->dim(d).dim_value();
          scales = !was->dim(d).has_dim_value() || !is->dim(d).has_dim_value() || a == b ||
                   (a % old_size == 0 && b == a / old_size * marker_);
        }
        if (!scales) {
          wrong.push_back(fmt::format("{}: at batch {} it makes {}, which doesn't become another batch by a factor",
                                      index_.Describe(id), old_size,
                                      ShapeText(old.inferred.types[static_cast<size_t>(before)])));
          break;
        }
      }
    }
    return wrong;
  }

  std::string Doubt(const BakedSize& baked) const {
    return fmt::format("{}: its operand '{}' has {} in the batch's place (element {}), which may be an old batch",
                       index_.Describe(baked.node), index_.node(baked.node).proto->input(baked.input), baked.value,
                       baked.element);
  }

  // Is the output computed from one of the axis's inputs?
  bool DependsOnAxis(const std::string& output) {
    if (reached_.empty()) {
      reached_.resize(index_.values().size());
      std::vector<ValueId> work;
      const auto reach = [&](ValueId value) {
        if (value != kNone && !reached_[static_cast<size_t>(value)]) {
          reached_[static_cast<size_t>(value)] = true;
          work.push_back(value);
        }
      };
      for (const std::string& input : axis_.inputs) {
        reach(index_.FindValue(index_.main_scope(), input));
      }
      while (!work.empty()) {
        const ValueId value = work.back();
        work.pop_back();
        for (const Index::Use& use : index_.value(value).uses) {
          for (const ValueId made : index_.node(use.node).outputs) {
            reach(made);
          }
        }
      }
    }
    const ValueId value = index_.FindValue(index_.main_scope(), output);
    return value != kNone && reached_[static_cast<size_t>(value)];
  }

  // The faults at the size asked for, whose numbers say more than the marker's; at the marker if it has none.
  absl::StatusOr<std::vector<std::string>> InUsersTerms(const std::vector<std::string>& faults,
                                                        const std::vector<BakedSize>& repairs, int64_t old_size) const {
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe probe, ProbeBatch(model_, axis_, size_, repairs, old_size));
    std::vector<std::string> wanted = Faults(probe, size_);
    return wanted.empty() ? faults : wanted;
  }

  // Outputs that lead with the batch at its old size.
  absl::Status FindLeading(int64_t old_size) {
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe old, ProbeBatch(model_, axis_, old_size, {}, 1));
    leading_.clear();
    for (const onnx::ValueInfoProto& output : model_.proto().graph().output()) {
      const ValueId value = old.index.FindValue(old.index.main_scope(), output.name());
      if (LeadingDim(old.index, old.inferred, value) == old_size && old_size > 1 && DependsOnAxis(output.name())) {
        leading_.push_back(output.name());
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<BatchPlan> PlanFixed(int64_t old_size) {
    BatchPlan plan;
    plan.old_size = old_size;
    GOMAI_RETURN_IF_ERROR(FindLeading(old_size));
    GOMAI_ASSIGN_OR_RETURN(Attempt attempt, Repair(old_size));
    plan.repairs = std::move(attempt.repairs);
    if (!attempt.faults.empty()) {
      GOMAI_ASSIGN_OR_RETURN(plan.doubts, InUsersTerms(attempt.faults, plan.repairs, old_size));
    }
    for (const BakedSize& baked : attempt.left) {
      if (old_size > 1 && index_.node(baked.node).proto->op_type() == "Reshape") {
        plan.doubts.push_back(Doubt(baked));
      }
    }
    if (plan.doubts.empty()) {
      GOMAI_ASSIGN_OR_RETURN(plan.doubts, CheckScaling(plan.repairs, old_size));
    }
    return plan;
  }

  // Sizes that constants put in the batch's place: surely so if they are the batch at all, or perhaps.
  std::vector<int64_t> BakedCandidates(const BatchProbe& bare) const {
    std::set<int64_t> sizes;
    std::set<int64_t> perhaps;
    for (NodeId id = 0; id < static_cast<NodeId>(index_.nodes().size()); ++id) {
      const Index::Node& node = index_.node(id);
      const std::string& op = node.proto->op_type();
      const bool made = op == "Expand" || op == "Tile" || op == "ConstantOfShape";
      const size_t operand = op == "Resize" ? 3 : op == "Slice" ? 2 : op == "ConstantOfShape" ? 0 : 1;
      if ((!made && op != "Reshape" && op != "Resize" && op != "Slice") || operand >= node.inputs.size() ||
          node.inputs[operand] == kNone) {
        continue;
      }
      if (const auto values = ConstantInts(model_, index_, node.inputs[operand]); values && !values->empty()) {
        made ? void(perhaps.insert(values->front())) : sizes.insert(values->begin(), values->end());
      }
    }
    std::vector<int64_t> candidates;
    int looked = 0;
    for (const int64_t size : sizes) {
      if (size > 0 && ++looked <= kMostTrials && !FindBaked(model_, index_, bare, marker_, size).sure.empty()) {
        candidates.push_back(size);
      }
    }
    for (const int64_t size : perhaps) {
      if (size > 0 && std::find(candidates.begin(), candidates.end(), size) == candidates.end()) {
        candidates.push_back(size);
      }
    }
    candidates.resize(std::min(candidates.size(), kMostSizes));
    return candidates;
  }

  absl::StatusOr<BatchPlan> PlanOpen(const BatchProbe& bare) {
    // What an output's symbol says of it must come true.
    leading_.clear();
    for (const onnx::ValueInfoProto& output : model_.proto().graph().output()) {
      const onnx::TensorShapeProto* shape = FindShape(output.type());
      if (shape != nullptr && shape->dim_size() > 0 && !shape->dim(0).dim_param().empty() &&
          std::find(axis_.symbols.begin(), axis_.symbols.end(), shape->dim(0).dim_param()) != axis_.symbols.end()) {
        leading_.push_back(output.name());
      }
    }
    // An output whose leading dim inference can't see proves nothing.
    std::erase_if(leading_, [&](const std::string& output) {
      return LeadingDim(bare.index, bare.inferred, bare.index.FindValue(bare.index.main_scope(), output)) == 0 &&
             bare.inferred.problems.size() <= base_.problems.size();
    });
    BatchPlan plan;
    const std::vector<std::string> bare_faults = Faults(bare, marker_);
    const std::vector<int64_t> sizes = BakedCandidates(bare);
    if (bare_faults.empty() && sizes.empty()) {
      return plan;
    }
    std::vector<BakedSize> others;  // constants that would be another batch's
    for (const int64_t old_size : sizes) {
      const BakedSizes found = FindBaked(model_, index_, bare, marker_, old_size);
      if (old_size != size_) {
        others.insert(others.end(), found.sure.begin(), found.sure.end());
      }
    }
    // The model may be made for the very size that is asked for.
    if (others.empty()) {
      GOMAI_ASSIGN_OR_RETURN(const BatchProbe wanted, ProbeBatch(model_, axis_, size_, {}, 1));
      if (Faults(wanted, size_).empty()) {
        return plan;
      }
    }
    for (const int64_t old_size : sizes) {
      GOMAI_ASSIGN_OR_RETURN(const BatchProbe old, ProbeBatch(model_, axis_, old_size, {}, 1));
      if (bare_faults.empty() || !Faults(old, old_size).empty()) {
        continue;
      }
      GOMAI_ASSIGN_OR_RETURN(Attempt attempt, Repair(old_size));
      if (!attempt.faults.empty()) {
        continue;
      }
      GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> wrong, CheckScaling(attempt.repairs, old_size));
      if (wrong.empty()) {
        plan.old_size = old_size;
        plan.repairs = std::move(attempt.repairs);
        return plan;
      }
    }
    if (!bare_faults.empty()) {
      GOMAI_ASSIGN_OR_RETURN(plan.doubts, InUsersTerms(bare_faults, {}, 1));
    }
    for (const BakedSize& baked : others) {
      plan.doubts.push_back(Doubt(baked));
    }
    return plan;
  }

  const Model& model_;
  const Index& index_;
  const BatchAxis& axis_;
  int64_t size_;
  int64_t marker_ = 0;
  int trials_ = 0;
  Inferred base_;
  std::vector<std::string> leading_;
  std::vector<bool> reached_;  // by ValueId: computed from the axis's inputs
};

}  // namespace

absl::StatusOr<BatchProbe> ProbeBatch(const Model& model, const BatchAxis& axis, int64_t size,
                                      const std::vector<BakedSize>& repairs, int64_t old_size) {
  Model copy = model.Copy();
  GOMAI_RETURN_IF_ERROR(RepairConstants(copy, repairs, old_size, size));
  SetAxis(copy.mutable_proto(), axis, size);
  onnx::GraphProto& graph = *copy.mutable_proto().mutable_graph();
  for (auto* list : {graph.mutable_value_info(), graph.mutable_output()}) {
    for (onnx::ValueInfoProto& info : *list) {
      onnx::TensorShapeProto* shape = info.has_type() ? MutableShape(*info.mutable_type()) : nullptr;
      if (shape != nullptr && shape->dim_size() > 0) {
        shape->mutable_dim(0)->clear_value();
      }
    }
  }
  Index index(copy.proto());
  GOMAI_ASSIGN_OR_RETURN(Inferred inferred, InferAll(copy, index));
  return BatchProbe{std::move(copy), std::move(inferred), std::move(index)};
}

absl::StatusOr<BatchPlan> PlanBatch(const Model& model, const Index& index, const BatchAxis& axis, int64_t size) {
  return Planner(model, index, axis, size).Plan();
}

absl::StatusOr<Model> WithBatch(const Model& model, const BatchAxis& axis, int64_t size, const BatchPlan& plan,
                                std::vector<std::string>* lines) {
  Model fixed = model.Copy();
  const Index index(model.proto());
  lines->push_back(fmt::format("fixed the batch of {} at {}", axis.Text(), size));
  for (const BakedSize& repair : plan.repairs) {
    lines->push_back(fmt::format("{}: \"{}\" [{}]: {} -> {}", index.Describe(repair.node),
                                 index.node(repair.node).proto->input(repair.input), repair.element, repair.value,
                                 repair.value / plan.old_size * size));
  }
  GOMAI_RETURN_IF_ERROR(RepairConstants(fixed, plan.repairs, plan.old_size, size));
  SetAxis(fixed.mutable_proto(), axis, size);
  if (axis.size == 0) {
    return fixed;
  }
  // Outputs that are declared with the old batch: they follow it, by design.
  GOMAI_ASSIGN_OR_RETURN(const BatchProbe probe, ProbeBatch(model, axis, size, plan.repairs, plan.old_size));
  for (onnx::ValueInfoProto& output : *fixed.mutable_proto().mutable_graph()->mutable_output()) {
    onnx::TensorShapeProto* shape = output.has_type() ? MutableShape(*output.mutable_type()) : nullptr;
    const ValueId value = probe.index.FindValue(probe.index.main_scope(), output.name());
    if (shape != nullptr && shape->dim_size() > 0 && shape->dim(0).dim_value() == axis.size &&
        LeadingDim(probe.index, probe.inferred, value) == size) {
      shape->mutable_dim(0)->set_dim_value(size);
    }
  }
  return fixed;
}

}  // namespace gomai
