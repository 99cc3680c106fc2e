// freeze-shapes: fixed sizes for the dims of inputs, by input or by symbol, and what follows from them in every
// declared shape.
//
// All keys become one assignment of numbers to dims before anything is written, so that keys that contradict each
// other are found whatever their order. Then the declarations are completed from inference on a working copy; what
// they now say wrongly is the runner's to correct, as after every edit.
#include <algorithm>
#include <map>

#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/pass/declared_shapes.h"
#include "lib/pass/freeze.h"
#include "lib/pass/pass.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

constexpr int64_t kKeep = -1;

bool IsShape(std::string_view text) {
  return text.starts_with('[') || text.find('x') != std::string_view::npos || text == "?";
}

// "3x544x?" or "[3,544,?]".
absl::StatusOr<std::vector<int64_t>> ParseShape(const std::string& key, std::string_view text) {
  std::string_view list = text;
  char separator = 'x';
  if (text.starts_with('[') && text.ends_with(']')) {
    list = text.substr(1, text.size() - 2);
    separator = ',';
  }
  std::vector<int64_t> shape;
  for (const std::string& part : SplitList(list, separator)) {
    const std::string_view word = Trim(part);
    const std::optional<int64_t> size = ParseInt64(word);
    if (word != "?" && (!size || *size < 0)) {
      return InvalidArgument(
          "'{}={}': '{}' is no size; give a shape as 3x480x640 or [3,480,640], with ? for a dim that stays as it is",
          key, text, word);
    }
    shape.push_back(word == "?" ? kKeep : *size);
  }
  return shape;
}

std::string Quoted(const std::vector<std::string>& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

class Freezing {
 public:
  explicit Freezing(const Model& model) : model_(model), symbols_(InputSymbols(model.proto())) {
    for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
      names_.push_back(input.name());
    }
  }

  absl::Status Add(const std::string& key, const std::string& value) {
    if (IsShape(value)) {
      GOMAI_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, ParseShape(key, value));
      return AddInput(key, shape, fmt::format("{}={}", key, value));
    }
    const std::optional<int64_t> size = ParseInt64(value);
    if (!size) {
      return InvalidArgument(
          "'{}={}': give a shape (3x480x640, [5] or [] for a scalar) for an input, or a whole number for a symbol", key,
          value);
    }
    if (*size < 0) {
      return InvalidArgument("'{}={}': a size can't be negative", key, value);
    }
    return AddSymbol(key, *size, fmt::format("{}={}", key, value));
  }

  // Symbols, after all keys: their dims in inputs must not be given otherwise.
  absl::Status Check() {
    for (const onnx::ValueInfoProto& input : model_.proto().graph().input()) {
      const onnx::TensorShapeProto* shape = FindShape(input.type());
      for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
        const auto bound = bound_.find(shape->dim(i).dim_param());
        if (bound != bound_.end()) {
          GOMAI_RETURN_IF_ERROR(Assign(input.name(), i, bound->second.size, bound->second.text));
        }
      }
    }
    for (const auto& [place, size] : sizes_) {
      const onnx::TensorProto* tensor = FindDefault(model_.proto(), place.first);
      if (tensor == nullptr) {
        continue;
      }
      if (place.second >= tensor->dims_size() || tensor->dims(place.second) != size.size) {
        return InvalidArgument(
            "'{}': the input '{}' has a default value (an initializer) of shape [{}], so its dim {} can't be {}",
            size.text, place.first, fmt::join(tensor->dims(), ","), place.second, size.size);
      }
    }
    return absl::OkStatus();
  }

  // Writes the sizes; gives a line for each input and symbol that changed.
  std::vector<std::string> Apply(onnx::ModelProto& proto, std::vector<ShapeChange>& changes) {
    std::vector<std::string> lines;
    std::map<std::string, int64_t> freed;  // symbols of dims that were given by shape
    for (onnx::ValueInfoProto& input : *proto.mutable_graph()->mutable_input()) {
      const std::string before = DeclaredText(input.type());
      bool changed = false;
      if (const auto rank = ranks_.find(input.name()); rank != ranks_.end() && FindShape(input.type()) == nullptr) {
        auto& tensor = *input.mutable_type()->mutable_tensor_type();
        tensor.mutable_shape();
        for (int i = 0; i < rank->second; ++i) {
          tensor.mutable_shape()->add_dim();
        }
        changed = true;
      }
      onnx::TensorShapeProto* shape = MutableShape(*input.mutable_type());
      for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
        const auto size = sizes_.find({input.name(), i});
        auto& dim = *shape->mutable_dim(i);
        if (size == sizes_.end() || (dim.has_dim_value() && dim.dim_value() == size->second.size)) {
          continue;
        }
        if (!dim.dim_param().empty()) {
          freed.emplace(dim.dim_param(), size->second.size);
        }
        dim.set_dim_value(size->second.size);
        changed = true;
      }
      if (changed) {
        lines.push_back(fmt::format("froze input {} at {}", input.name(), ShapeText(input.type())));
        changes.push_back({input.name(), before, DeclaredText(input.type())});
      }
    }
    // A symbol that no input carries any more has no meaning left but the number that took its place.
    const std::vector<std::string> left = InputSymbols(proto);
    for (const auto& [symbol, size] : freed) {
      if (std::find(left.begin(), left.end(), symbol) == left.end() || bound_.contains(symbol)) {
        std::vector<ShapeChange> bound =
            BindSymbol(proto, symbol, bound_.contains(symbol) ? bound_.at(symbol).size : size);
        changes.insert(changes.end(), bound.begin(), bound.end());
      }
    }
    for (const auto& [symbol, size] : bound_) {
      std::vector<ShapeChange> bound = BindSymbol(proto, symbol, size.size);
      if (!bound.empty() && !freed.contains(symbol)) {
        lines.push_back(fmt::format("bound symbol {} to {}", symbol, size.size));
      }
      changes.insert(changes.end(), bound.begin(), bound.end());
    }
    return lines;
  }

  // Other inputs that keep a symbol of a dim that was frozen by shape.
  void NoteShared(const onnx::ModelProto& after, const Diagnostics& diagnostics) const {
    for (const auto& [place, size] : sizes_) {
      const onnx::ValueInfoProto& input = Input(place.first);
      const onnx::TensorShapeProto* shape = FindShape(input.type());
      const std::string symbol = shape == nullptr ? "" : shape->dim(place.second).dim_param();
      if (symbol.empty() || bound_.contains(symbol)) {
        continue;
      }
      std::vector<std::string> others;
      for (const onnx::ValueInfoProto& other : after.graph().input()) {
        const onnx::TensorShapeProto* dims = FindShape(other.type());
        for (int i = 0; dims != nullptr && i < dims->dim_size(); ++i) {
          if (dims->dim(i).dim_param() == symbol && (others.empty() || others.back() != "'" + other.name() + "'")) {
            others.push_back("'" + other.name() + "'");
          }
        }
      }
      if (!others.empty()) {
        diagnostics.Note(input.name(), "its dim {} was {}, a symbol that {} still {}; {}={} freezes all of them",
                         place.second, symbol, fmt::join(others, " and "), others.size() == 1 ? "has" : "have", symbol,
                         size.size);
      }
    }
  }

 private:
  struct Size {
    int64_t size;
    std::string text;  // the key that gives it
  };

  const onnx::ValueInfoProto& Input(std::string_view name) const {
    const auto& inputs = model_.proto().graph().input();
    return *std::find_if(inputs.begin(), inputs.end(), [&](const auto& input) { return input.name() == name; });
  }

  absl::Status AddInput(const std::string& name, const std::vector<int64_t>& shape, const std::string& text) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) {
      if (std::find(symbols_.begin(), symbols_.end(), name) != symbols_.end()) {
        return InvalidArgument("'{}': '{}' is a symbol, whose size is one number: {}=NUMBER", text, name, name);
      }
      return NotFound("'{}': the model has no input '{}'{} (inputs: {})", text, name,
                      DidYouMean(name, {names_.begin(), names_.end()}), Quoted(names_));
    }
    const onnx::TypeProto& type = Input(name).type();
    if (!type.has_tensor_type() && !type.has_sparse_tensor_type()) {
      return InvalidArgument("'{}': the input '{}' is {}; only tensors have a shape to freeze", text, name,
                             DeclaredText(type));
    }
    const onnx::TensorShapeProto* declared = FindShape(type);
    if (declared == nullptr && type.has_sparse_tensor_type()) {
      return InvalidArgument("'{}': the input '{}' is a sparse tensor of unknown rank", text, name);
    }
    const auto [rank, first] = ranks_.emplace(name, static_cast<int>(shape.size()));
    if (static_cast<size_t>(rank->second) != shape.size() ||
        (declared != nullptr && static_cast<size_t>(declared->dim_size()) != shape.size())) {
      return InvalidArgument("'{}': the input '{}' has {} dims ({}), the shape given has {}", text, name,
                             declared != nullptr ? declared->dim_size() : rank->second, DeclaredText(type),
                             shape.size());
    }
    for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
      if (shape[static_cast<size_t>(i)] != kKeep) {
        GOMAI_RETURN_IF_ERROR(Assign(name, i, shape[static_cast<size_t>(i)], text));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddSymbol(const std::string& symbol, int64_t size, const std::string& text) {
    if (std::find(symbols_.begin(), symbols_.end(), symbol) == symbols_.end()) {
      if (std::find(names_.begin(), names_.end(), symbol) != names_.end()) {
        return InvalidArgument("'{}': '{}' is an input of type {}; give its shape: {}=[{}] has one dim of that size",
                               text, symbol, DeclaredText(Input(symbol).type()), symbol, size);
      }
      onnx::ModelProto copy = model_.proto();
      if (const std::vector<ShapeChange> elsewhere = BindSymbol(copy, symbol, size); !elsewhere.empty()) {
        return FailedPrecondition(
            "'{}': '{}' is no input's symbol but a size that the model computes (of {}), which freezing can't fix",
            text, symbol, elsewhere.front().value);
      }
      return NotFound("'{}': no input has a symbol '{}'{} (symbols: {}; inputs: {})", text, symbol,
                      DidYouMean(symbol, {symbols_.begin(), symbols_.end()}), Quoted(symbols_), Quoted(names_));
    }
    const auto [bound, first] = bound_.emplace(symbol, Size{size, text});
    if (bound->second.size != size) {
      return InvalidArgument("'{}' and '{}' contradict each other", bound->second.text, text);
    }
    return absl::OkStatus();
  }

  absl::Status Assign(const std::string& name, int dim, int64_t size, const std::string& text) {
    if (const onnx::TensorShapeProto* shape = FindShape(Input(name).type()); shape != nullptr) {
      const std::optional<int64_t> fixed = FixedSize(shape->dim(dim));
      if (fixed && *fixed != size) {
        return InvalidArgument("'{}': dim {} of the input '{}' is fixed at {}, so it can't be {}", text, dim, name,
                               *fixed, size);
      }
    }
    const auto [place, first] = sizes_.emplace(std::pair(name, dim), Size{size, text});
    if (place->second.size != size) {
      return InvalidArgument("'{}' and '{}' contradict each other: dim {} of the input '{}' can't be {} and {}",
                             place->second.text, text, dim, name, place->second.size, size);
    }
    return absl::OkStatus();
  }

  const Model& model_;
  std::vector<std::string> symbols_;
  std::vector<std::string> names_;
  std::map<std::string, int> ranks_;  // of inputs given by shape
  std::map<std::pair<std::string, int>, Size> sizes_;
  std::map<std::string, Size> bound_;
};

absl::Status Run(PassContext& context) {
  Freezing freezing(context.model());
  for (const auto& [key, value] : context.options().Map("shapes")) {
    GOMAI_RETURN_IF_ERROR(freezing.Add(key, value));
  }
  GOMAI_RETURN_IF_ERROR(freezing.Check());
  Model frozen = context.model().Copy();
  std::vector<ShapeChange> changes;
  std::vector<std::string> lines = freezing.Apply(frozen.mutable_proto(), changes);
  freezing.NoteShared(frozen.proto(), context.diagnostics());

  const Index index(frozen.proto());
  GOMAI_ASSIGN_OR_RETURN(const Inferred after, InferAll(frozen, index));
  std::vector<std::string> problems;
  if (!after.problems.empty()) {  // those that were there before aren't the size's
    GOMAI_ASSIGN_OR_RETURN(const Inferred before, InferAll(context.model(), context.index()));
    problems = NewProblems(before.problems, after.problems);
  }
  if (!problems.empty() && !context.options().Bool("force")) {
    return FailedPrecondition(
        "the model can't run at this size: {}. Choose another size, or freeze it all the same with force=true",
        ListProblems(problems));
  }
  for (const std::string& problem : problems) {
    context.diagnostics().Warn("", "the model can't run at this size: {}", problem);
  }
  // Completed first: an output that is open as 0 isn't false.
  GOMAI_ASSIGN_OR_RETURN(
      std::vector<ShapeChange> completed,
      RefreshDeclaredShapes(frozen, index, after.types, {.correct = false, .complete = CompleteShapes::kNumbers}));
  GOMAI_ASSIGN_OR_RETURN(
      std::vector<ShapeChange> corrected,
      RefreshDeclaredShapes(frozen, index, after.types, {.allow_outputs = context.allow_shape_change()}));
  context.DeclareShapesCorrect();
  if (lines.empty()) {
    lines.push_back(fmt::format("completed {} declared shapes", completed.size()));
  }
  for (const std::string& line : lines) {
    context.editor().MutableModel(line);
  }
  context.editor().MutableModel(lines.front()).Swap(&frozen.mutable_proto());
  changes = MergeShapeChanges(std::move(changes), std::move(completed));
  context.ReportShapes(MergeShapeChanges(std::move(changes), std::move(corrected)));
  return absl::OkStatus();
}

}  // namespace

const PassInfo& FreezeShapesPass() {
  static const PassInfo info = {
      .name = "freeze-shapes",
      .summary = "fix the sizes of inputs",
      .description =
          "Gives open dims of the model's inputs fixed sizes, by input (image=3x480x640 or image=[3,480,640]; ? keeps "
          "a dim as it is; [5] is a vector, [] a scalar) or by symbol (height=480: every dim of that symbol, in "
          "inputs, outputs and value_info of the main graph and of bodies). A key is an input's name if the value is "
          "a shape, else a symbol. A dim is open if it has no size, a symbol, an empty symbol, or a size below 1. An "
          "input of unknown rank gets the whole shape. A dim frozen at 0 is written, but reads as open.\n\n"
          "Only what is named changes. An input frozen by shape doesn't freeze other inputs that share a symbol with "
          "it: a note (-v) names them, and the symbol frees all at once. A symbol that no input carries any more is "
          "replaced by its number everywhere.\n\n"
          "Then shapes are inferred anew: sizes in outputs and value_info that are now known become numbers, false "
          "ones are corrected, and each is reported. Constants are never touched; if inference finds that a node can't "
          "run at that size (a constant target of a Reshape made for another one, say), the pass refuses and names it, "
          "unless force=true. Refused as well: a rank or a fixed size that contradicts, also that of an input's "
          "default value; keys that contradict each other; sequences and optionals; symbols of sizes that the model "
          "computes.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kAllGraphs,
      .options =
          {
              {.name = "INPUT=SHAPE or SYMBOL=SIZE",
               .type = OptionType::kMap,
               .required = true,
               .help = "what to freeze, as often as needed"},
              {.name = "force",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "freeze even if inference finds that a node can't run at that size"},
          },
      .examples = {"freeze-shapes{image=3x480x640}", "freeze-shapes{height=480,width=640}",
                   "freeze-shapes{image=[1,3,?,?]}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
