// set-shape: declared shapes of inputs, outputs and values inside, as the user says.
//
// All is done on a copy: inputs get their shapes, inference says what follows from them, and what was declared on the
// ground of the old ones is opened. What the user says of other values must not contradict what inference proves.
#include <set>

#include "lib/base/text.h"
#include "lib/pass/declared_shapes.h"
#include "lib/pass/freeze.h"
#include "lib/pass/open_shapes.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

struct Wanted {
  ValueId value = kNone;
  std::optional<onnx::TensorShapeProto> shape;  // nullopt: unknown rank
  bool is_input = false;
};

class Setter {
 public:
  explicit Setter(PassContext& context)
      : context_(context), index_(context.index()), force_(context.options().Bool("force")) {}

  absl::Status Run() {
    std::set<ValueId> seen;
    for (const auto& [name, text] : context_.options().Map("NAME=SHAPE")) {
      Wanted wanted;
      GOMAI_ASSIGN_OR_RETURN(wanted.value, Find(name));
      if (!seen.insert(wanted.value).second) {
        return InvalidArgument("'{}' is named twice", name);
      }
      if (text != "?") {
        absl::StatusOr<onnx::TensorShapeProto> shape = ParseShapeText(text);
        if (!shape.ok()) {
          return Annotate(shape.status(), fmt::format("the shape '{}' of '{}'", text, name));
        }
        wanted.shape = *std::move(shape);
      }
      GOMAI_RETURN_IF_ERROR(CheckInput(&wanted));
      wanted_.push_back(std::move(wanted));
    }
    GOMAI_ASSIGN_OR_RETURN(const Facts before, InferFacts(context_.model(), index_));
    Model copy = context_.model().Copy();
    const Index copied(copy.proto());
    for (const Wanted& wanted : wanted_) {
      if (wanted.is_input) {
        SetShape(wanted, MutableInfo(copied, wanted.value)->mutable_type());
      }
    }
    GOMAI_RETURN_IF_ERROR(CheckProblems(copy));
    GOMAI_ASSIGN_OR_RETURN(std::vector<ShapeChange> opened, OpenDeclaredShapes(before, index_, copy));
    GOMAI_ASSIGN_OR_RETURN(const Facts after, InferFacts(copy, copied));
    for (const Wanted& wanted : wanted_) {
      if (!wanted.is_input) {
        GOMAI_RETURN_IF_ERROR(Declare(wanted, after, copied));
      }
    }
    if (changes_.empty() && opened.empty()) {
      return absl::OkStatus();
    }
    std::vector<ShapeChange> all = MergeShapeChanges(std::move(opened), std::move(changes_));
    onnx::ModelProto* edited = nullptr;
    for (const ShapeChange& change : all) {
      edited = &context_.editor().MutableModel(
          fmt::format("declared shape of {}: {} -> {}", change.value, change.before, change.after));
    }
    edited->Swap(&copy.mutable_proto());
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<ValueId> Find(const std::string& name) const {
    std::vector<std::string_view> names;
    std::vector<std::string> places;
    ValueId found = kNone;
    for (ValueId id = 0; id < static_cast<ValueId>(index_.values().size()); ++id) {
      const Index::Value& value = index_.value(id);
      if (index_.InFunction(value.scope)) {
        continue;
      }
      names.push_back(value.name);
      if (value.name == name) {
        found = id;
        places.push_back(index_.ScopeName(value.scope));
      }
    }
    if (places.size() > 1) {
      return InvalidArgument("'{}' is the name of several values, each its own: in {}; rename one first", name,
                             fmt::join(places, ", "));
    }
    return found != kNone ? absl::StatusOr<ValueId>(found)
                          : NotFound("there is no value '{}'{}", name, DidYouMean(name, names));
  }

  absl::Status CheckInput(Wanted* wanted) const {
    const Index::Value& value = index_.value(wanted->value);
    wanted->is_input = value.scope == index_.main_scope() && value.origin == Index::Origin::kInput;
    if (value.initializer != nullptr || value.sparse_initializer != nullptr) {
      return InvalidArgument("'{}' has its shape from its values; set-constants changes them", value.name);
    }
    if (!wanted->is_input && value.producer == kNone) {
      return InvalidArgument("'{}' is an input of {}, whose shape follows from what is handed in", value.name,
                             index_.ScopeName(value.scope));
    }
    if (wanted->is_input && (value.info == nullptr || !value.info->type().has_tensor_type())) {
      return InvalidArgument("'{}' is no tensor", value.name);
    }
    return absl::OkStatus();
  }

  static onnx::ValueInfoProto* MutableInfo(const Index& copied, ValueId value) {
    return const_cast<onnx::ValueInfoProto*>(copied.value(value).info);  // of the copy, which is ours
  }

  void SetShape(const Wanted& wanted, onnx::TypeProto* type) {
    const std::string before = DeclaredText(*type);
    // Denotations of dims are facts about what they are, and stay with them.
    onnx::TensorShapeProto shape = wanted.shape.value_or(onnx::TensorShapeProto());
    if (const onnx::TensorShapeProto* old = FindShape(*type); old != nullptr && old->dim_size() == shape.dim_size()) {
      for (int i = 0; i < shape.dim_size(); ++i) {
        if (old->dim(i).has_denotation()) {
          shape.mutable_dim(i)->set_denotation(old->dim(i).denotation());
        }
      }
    }
    if (wanted.shape) {
      type->mutable_tensor_type()->mutable_shape()->Swap(&shape);
    } else {
      type->mutable_tensor_type()->clear_shape();
    }
    const Index::Value& value = index_.value(wanted.value);
    if (std::string after = DeclaredText(*type); after != before) {
      std::string name(value.name);
      name += value.scope == index_.main_scope() ? "" : fmt::format(" in {}", index_.ScopeName(value.scope));
      changes_.push_back({std::move(name), before, std::move(after)});
    }
  }

  absl::Status CheckProblems(const Model& copy) const {
    if (force_) {
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const Inferred before, InferAll(context_.model(), index_));
    GOMAI_ASSIGN_OR_RETURN(const Inferred after, InferAll(copy, Index(copy.proto())));
    const std::vector<std::string> problems = NewProblems(before.problems, after.problems);
    return problems.empty() ? absl::OkStatus()
                            : InvalidArgument(
                                  "the model can't take that: {}; nothing was changed (force=true does it "
                                  "all the same)",
                                  ListProblems(problems));
  }

  // A value that a node makes.
  absl::Status Declare(const Wanted& wanted, const Facts& facts, const Index& copied) {
    const Index::Value& value = index_.value(wanted.value);
    const onnx::TypeProto& inferred = facts.types[static_cast<size_t>(wanted.value)];
    onnx::ValueInfoProto* info = MutableInfo(copied, wanted.value);
    const onnx::TensorShapeProto* proven =
        facts.proven[static_cast<size_t>(wanted.value)] ? FindShape(inferred) : nullptr;
    if (proven != nullptr && wanted.shape) {
      bool fits = proven->dim_size() == wanted.shape->dim_size();
      for (int i = 0; fits && i < proven->dim_size(); ++i) {
        fits = !proven->dim(i).has_dim_value() || !wanted.shape->dim(i).has_dim_value() ||
               proven->dim(i).dim_value() == wanted.shape->dim(i).dim_value();
      }
      if (!fits) {
        onnx::TypeProto said;
        *said.mutable_tensor_type()->mutable_shape() = *wanted.shape;
        return InvalidArgument("'{}' is {}, as follows from the model's inputs; it can't be declared {}", value.name,
                               ShapeText(inferred), ShapeText(said));
      }
    }
    if (info == nullptr) {
      if (!inferred.has_tensor_type()) {
        return InvalidArgument("the dtype of '{}' isn't known, and nothing declares it", value.name);
      }
      auto& graph = const_cast<onnx::GraphProto&>(*copied.scope(value.scope).graph);
      info = graph.add_value_info();
      info->set_name(std::string(value.name));
      info->mutable_type()->mutable_tensor_type()->set_elem_type(inferred.tensor_type().elem_type());
    }
    if (!info->type().has_tensor_type()) {
      return InvalidArgument("'{}' is no tensor", value.name);
    }
    SetShape(wanted, info->mutable_type());
    return absl::OkStatus();
  }

  PassContext& context_;
  const Index& index_;
  const bool force_;
  std::vector<Wanted> wanted_;
  std::vector<ShapeChange> changes_;
};

absl::Status Run(PassContext& context) { return Setter(context).Run(); }

}  // namespace

const PassInfo& SetShapePass() {
  static const PassInfo info = {
      .name = "set-shape",
      .summary = "declare other shapes of inputs, outputs and values",
      .description =
          "Each NAME=SHAPE declares the shape of an input, an output or a value inside, in bodies too: 1x3x480x640, or "
          "[N,3,H,W] with symbols, ? for an open dim, ? alone for an unknown rank. Only what is named is set; what was "
          "declared elsewhere because of an input's old sizes is opened where it no longer follows, and brought up to "
          "date where another size does; each is reported.\n\n"
          "Errors: a shape that makes a node impossible (force=true takes it); a shape of a computed value that "
          "contradicts what follows from the inputs; a value with an initializer. An output whose known size becomes "
          "another needs leave for that (--allow-shape-change). To fix open dims alone freeze-shapes is the pass; for "
          "the batch fix-batch and symbolic-batch, which look after constants that carry it.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kAllGraphs,
      .options =
          {
              {.name = "NAME=SHAPE", .type = OptionType::kMap, .required = true, .help = "values and their shapes"},
              {.name = "force",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "take a shape that makes a node impossible"},
          },
      .examples = {"set-shape{image=1x3x480x640}", "set-shape{image=[N,3,H,W],scores=[N,?]}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
