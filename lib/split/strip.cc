// A split in two by a plan that asks for the network's input and for the Shapes of the image that the network reads;
// then sizes are put in.
#include "lib/split/strip.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/editor.h"
#include "lib/model/dtype.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/split/image_layout.h"
#include "lib/split/selector.h"
#include "lib/split/split.h"

namespace gomai {
namespace {

constexpr const char* kPart = "preprocess";

// `value` and all that it is computed from.
std::set<ValueId> Before(const Index& index, ValueId value) {
  std::set<ValueId> before;
  std::vector<ValueId> work{value};
  while (!work.empty()) {
    const ValueId id = work.back();
    work.pop_back();
    if (id == kNone || !before.insert(id).second || index.value(id).producer == kNone) {
      continue;
    }
    const Index::Node& node = index.node(index.value(id).producer);
    work.insert(work.end(), node.inputs.begin(), node.inputs.end());
    work.insert(work.end(), node.captures.begin(), node.captures.end());
  }
  return before;
}

bool IsModelInput(const Index::Value& value) {
  return value.origin == Index::Origin::kInput && value.initializer == nullptr && value.sparse_initializer == nullptr;
}

bool IsShapeOf(const Index& index, const Index::Use& use) {
  const Index::Node& node = index.node(use.node);
  return use.input == 0 && node.scope == index.main_scope() && node.proto->op_type() == "Shape" &&
         node.proto->domain().empty() && node.outputs.size() == 1 && node.outputs[0] != kNone;
}

void SetInputShape(const std::string& name, const std::vector<int64_t>& shape, Model* model) {
  for (onnx::ValueInfoProto& input : *model->mutable_proto().mutable_graph()->mutable_input()) {
    if (input.name() == name) {
      onnx::TensorShapeProto& declared = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
      declared.Clear();
      for (const int64_t dim : shape) {
        declared.add_dim()->set_dim_value(dim);
      }
    }
  }
}

template <typename Declarations>
void EraseNamed(const std::set<std::string>& names, Declarations* declarations) {
  declarations->erase(
      std::remove_if(declarations->begin(), declarations->end(),
                     [&](const onnx::ValueInfoProto& declared) { return names.contains(declared.name()); }),
      declarations->end());
}

class Stripper {
 public:
  Stripper(const Model& model, const Index& index, const StripOptions& options, Backend& backend,
           const Diagnostics& diagnostics)
      : model_(model), index_(index), options_(options), backend_(backend), diagnostics_(diagnostics) {}

  absl::StatusOr<Stripped> Run() {
    GOMAI_RETURN_IF_ERROR(FindCut());
    GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapes(model_, index_));
    Plan plan;
    plan.parts.push_back({.name = kPart, .outputs = {Name(cut_)}, .inputs = {}, .forbid_ops = {}, .max_nodes = {}});
    AddShapes(&plan.parts.front().outputs);
    GOMAI_ASSIGN_OR_RETURN(Split split, ResolvePlan(plan, model_, index_, shapes, {}, diagnostics_));
    if (split.parts.size() != 2 || split.parts[1].nodes.empty()) {
      return FailedPrecondition("nothing is left of the model behind '{}'", Name(cut_));
    }
    PutCutFirst(&split.parts[1].inputs);
    GOMAI_ASSIGN_OR_RETURN(Model preprocess, BuildPart(split, 0, model_, index_, {}));
    GOMAI_ASSIGN_OR_RETURN(Model network, BuildPart(split, 1, model_, index_, {}));
    GOMAI_RETURN_IF_ERROR(ShareShapes(&preprocess, &network));
    Stripped stripped{std::move(preprocess), std::move(network), Name(image_), Name(cut_), {}, {}, false};
    for (const ValueId output : split.parts[0].outputs) {
      if (index_.value(output).is_graph_output) {
        diagnostics_.Warn(Name(output), "this output of the model is made before '{}': only what comes off has it now",
                          Name(cut_));
      }
    }
    for (const ValueId input : split.parts[1].inputs) {
      if (input != cut_ && split.producer.contains(input) && !shared_.contains(Name(input))) {
        stripped.sizes.push_back(Name(input));
      }
    }
    GOMAI_RETURN_IF_ERROR(SetSizes(&stripped));
    return stripped;
  }

 private:
  std::string Name(ValueId value) const { return std::string(index_.value(value).name); }

  absl::Status FindCut() {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<ValueId> values, Select(index_, options_.at, ValueOrder::kFirstUse));
    if (values.size() != 1) {
      std::vector<std::string> names;
      for (const ValueId value : values) {
        names.push_back(Name(value));
      }
      return InvalidArgument("'{}' stands for {} tensors ({}); name the one that enters the network", options_.at,
                             values.size(), fmt::join(names, ", "));
    }
    cut_ = values.front();
    if (index_.value(cut_).producer == kNone || index_.IsConstant(cut_)) {
      return InvalidArgument("'{}' is {}: nothing lies before it that could be taken off", Name(cut_),
                             index_.IsConstant(cut_) ? "a constant" : "an input of the model");
    }
    before_ = Before(index_, cut_);
    std::vector<std::string> names;
    for (const ValueId value : before_) {
      if (IsModelInput(index_.value(value))) {
        names.push_back(Name(value));
        image_ = options_.input.empty() || Name(value) == options_.input ? value : image_;
      }
    }
    if (options_.input.empty() && names.size() != 1) {
      image_ = kNone;
    }
    if (image_ != kNone) {
      return absl::OkStatus();
    }
    if (!options_.input.empty()) {
      return NotFound("what makes '{}' doesn't read an input '{}'{} (it reads: {})", Name(cut_), options_.input,
                      DidYouMean(options_.input, {names.begin(), names.end()}), fmt::join(names, ", "));
    }
    return InvalidArgument(
        "what makes '{}' reads {} inputs of the model ({}); say with the option input which is the image", Name(cut_),
        names.size(), fmt::join(names, ", "));
  }

  // The image's Shapes that others than the removed part read: they are computed there and cross.
  void AddShapes(std::vector<std::string>* outputs) {
    const Index::Value& image = index_.value(image_);
    for (const Index::Use& use : image.uses) {
      const Index::Node& node = index_.node(use.node);
      const bool in_preprocess = std::any_of(node.outputs.begin(), node.outputs.end(),
                                             [&](ValueId output) { return before_.contains(output); });
      if (in_preprocess || node.scope != index_.main_scope()) {
        continue;
      }
      if (IsShapeOf(index_, use)) {
        outputs->push_back(Name(node.outputs[0]));
        // Exporters write the same Shape once for each dim that they want: one is enough.
        std::string attributes;
        for (const onnx::AttributeProto& attribute : node.proto->attribute()) {
          attributes += attribute.SerializeAsString();
        }
        const auto [same, fresh] = shapes_.emplace(attributes, outputs->back());
        if (!fresh) {
          shared_.emplace(outputs->back(), same->second);
        }
      } else {
        diagnostics_.Warn(index_.Describe(use.node), "it reads '{}' itself, behind the cut: that stays an input",
                          image.name);
      }
    }
  }

  void PutCutFirst(std::vector<ValueId>* inputs) const {
    if (const auto found = std::find(inputs->begin(), inputs->end(), cut_); found != inputs->end()) {
      std::rotate(inputs->begin(), found, found + 1);
    }
  }

  // Of Shapes that are the same, all but the first go, on both sides of the cut.
  absl::Status ShareShapes(Model* preprocess, Model* network) const {
    std::set<std::string> gone;
    for (const auto& [name, first] : shared_) {
      gone.insert(name);
      Editor editor(*network);
      GOMAI_ASSIGN_OR_RETURN(const ValueId value, editor.index().RequireValue(name));
      if (editor.index().value(value).is_graph_output) {
        return FailedPrecondition("'{}', the Shape of the image, is an output of the model", name);
      }
      editor.ReplaceUses(value, first);
      GOMAI_RETURN_IF_ERROR(editor.Commit().status());
    }
    EraseNamed(gone, network->mutable_proto().mutable_graph()->mutable_input());
    EraseNamed(gone, preprocess->mutable_proto().mutable_graph()->mutable_output());
    Editor editor(*preprocess);
    for (const auto& [name, first] : shared_) {
      GOMAI_ASSIGN_OR_RETURN(const ValueId value, editor.index().RequireValue(name));
      editor.EraseNode(editor.index().value(value).producer);
    }
    return editor.Commit().status();
  }

  // The network's input gets its size, by a run of the removed part; what crosses besides becomes constant if asked
  // for.
  absl::Status SetSizes(Stripped* stripped) {
    if (options_.constants && options_.image_size.empty()) {
      return InvalidArgument("sizes as constants need to know the image's: give image-size=HxW");
    }
    if (options_.image_size.empty() && options_.network_size.empty()) {
      return absl::OkStatus();
    }
    const std::vector<int64_t>& size = options_.image_size.empty() ? options_.network_size : options_.image_size;
    GOMAI_ASSIGN_OR_RETURN(const std::string bytes, SerializeInline(stripped->preprocess));
    GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, backend_.OpenBytes(bytes, {}));
    NamedTensors feeds;
    for (const ValueSpec& spec : session->inputs()) {
      std::vector<int64_t> shape = spec.shape;
      if (spec.name == stripped->image || !spec.has_shape || std::count(shape.begin(), shape.end(), -1) != 0) {
        GOMAI_ASSIGN_OR_RETURN(shape, ImageShape(spec, size));
      }
      GOMAI_ASSIGN_OR_RETURN(HostTensor zeros, HostTensor::Create(spec.dtype, shape));
      feeds.emplace(spec.name, std::move(zeros));
    }
    absl::StatusOr<NamedTensors> outputs = session->Run(feeds, {});
    if (!outputs.ok()) {
      return Annotate(outputs.status(), fmt::format("what lies before '{}' can't be run on an image of {}",
                                                    stripped->network_input, fmt::join(size, "x")));
    }
    const std::vector<int64_t>& given = outputs->at(stripped->network_input).shape();
    GOMAI_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, NetworkShape(given));
    if (!options_.image_size.empty() && shape != given) {
      return InvalidArgument(
          "an image of {} leads to {} at '{}', not to {}: give one of the two sizes; with the network's alone images "
          "are brought to it outside, and the sizes that the rest needs are inputs",
          fmt::join(options_.image_size, "x"), fmt::join(given, "x"), stripped->network_input, fmt::join(shape, "x"));
    }
    SetInputShape(stripped->network_input, shape, &stripped->network);
    if (!options_.image_size.empty()) {
      stripped->image_shape = feeds.at(stripped->image).shape();
      SetInputShape(stripped->image, stripped->image_shape, &stripped->network);  // if the rest reads it itself
    }
    if (options_.constants) {
      stripped->fixed_image = true;
      MakeConstants(stripped, *outputs);
    }
    return absl::OkStatus();
  }

  // What the removed part gives, with the sizes that were asked for in place of its last two.
  absl::StatusOr<std::vector<int64_t>> NetworkShape(std::vector<int64_t> given) const {
    const std::vector<int64_t>& wanted = options_.network_size;
    if (wanted.empty()) {
      return given;
    }
    if (wanted.size() == given.size()) {
      return wanted;
    }
    if (wanted.size() != 2 || given.size() < 3) {
      return InvalidArgument("'{}' has the shape {}, which {} doesn't fit: give HxW or the whole shape", Name(cut_),
                             fmt::join(given, "x"), fmt::join(wanted, "x"));
    }
    const ImageAxes axes = AxesOf(given);
    given[given.size() - static_cast<size_t>(-axes.height)] = wanted[0];
    given[given.size() - static_cast<size_t>(-axes.width)] = wanted[1];
    return given;
  }

  static void MakeConstants(Stripped* stripped, const NamedTensors& outputs) {
    onnx::GraphProto& graph = *stripped->network.mutable_proto().mutable_graph();
    for (const std::string& name : stripped->sizes) {
      onnx::TensorProto& tensor = *graph.add_initializer();
      tensor = ToTensorProto(outputs.at(name));
      tensor.set_name(name);
    }
    const std::set<std::string> gone(stripped->sizes.begin(), stripped->sizes.end());
    EraseNamed(gone, graph.mutable_input());
    EraseNamed(gone, stripped->preprocess.mutable_proto().mutable_graph()->mutable_output());
    stripped->sizes.clear();
  }

  const Model& model_;
  const Index& index_;
  const StripOptions& options_;
  Backend& backend_;
  const Diagnostics& diagnostics_;
  ValueId cut_ = kNone;
  ValueId image_ = kNone;
  std::set<ValueId> before_;                   // all that the cut needs
  std::map<std::string, std::string> shapes_;  // attributes of a Shape of the image -> the first such
  std::map<std::string, std::string> shared_;  // a later one -> that
};

}  // namespace

void FixImage(Stripped* stripped) {
  if (stripped->fixed_image) {
    SetInputShape(stripped->image, stripped->image_shape, &stripped->preprocess);
  }
}

absl::StatusOr<Stripped> StripPreprocess(const Model& model, const Index& index, const StripOptions& options,
                                         Backend& backend, const Diagnostics& diagnostics) {
  return Stripper(model, index, options, backend, diagnostics).Run();
}

}  // namespace gomai
