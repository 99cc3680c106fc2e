// set-constants: values of constants, wherever and however they are stored.
//
// A constant is an initializer, dense or sparse, or what a Constant node gives in one of its attributes. Its dtype and
// shape hold unless the user forces others. Who else reads it is looked at first: what was meant for one node must not
// reach others unseen.
#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/parse_tensor.h"
#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/pass/new_constants.h"
#include "lib/pass/pass.h"
#include "lib/pass/try_edit.h"
#include "lib/runtime/npy.h"

namespace gomai {
namespace {

constexpr std::string_view kPrefix = "const.";
constexpr uint64_t kLargest = uint64_t{64} << 20;  // bytes that are taken into the model's structure

struct Wanted {
  std::string name;
  std::optional<int> dtype;
  std::string text;
};

// "const.NAME" or "const.NAME:DTYPE"; names with colons that no dtype follows are names.
absl::StatusOr<Wanted> ParseKey(const std::string& key, const std::string& text) {
  if (!key.starts_with(kPrefix) || key.size() == kPrefix.size()) {
    return NotFound("the pass 'set-constants' has no option '{}'{}; constants are given as const.NAME=VALUE", key,
                    DidYouMean(key, {"node", "this-use-only", "force"}));
  }
  Wanted wanted{key.substr(kPrefix.size()), std::nullopt, text};
  const size_t colon = wanted.name.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    wanted.dtype = ParseDtype(wanted.name.substr(colon + 1));
    if (wanted.dtype) {
      wanted.name.resize(colon);
    }
  }
  return wanted;
}

class Setter {
 public:
  Setter(PassContext& context, NodeId node)
      : context_(context),
        index_(context.index()),
        node_(node),
        force_(context.options().Bool("force")),
        own_(context.options().Bool("this-use-only")) {}

  absl::Status Run() {
    if (own_ && node_ == kNone) {
      return InvalidArgument("this-use-only needs node=, the reader that is to have values of its own");
    }
    for (const auto& [key, text] : context_.options().Map("const.NAME=VALUE")) {
      GOMAI_ASSIGN_OR_RETURN(const Wanted wanted, ParseKey(key, text));
      GOMAI_ASSIGN_OR_RETURN(const ValueId value, Find(wanted.name));
      if (std::any_of(edits_.begin(), edits_.end(), [&](const Edit& edit) { return edit.value == value; })) {
        return InvalidArgument("the constant '{}' is named twice", wanted.name);
      }
      GOMAI_RETURN_IF_ERROR(CheckReaders(value));
      absl::StatusOr<onnx::TensorProto> tensor = Make(wanted, value);
      if (!tensor.ok()) {
        return Annotate(tensor.status(), fmt::format("constant '{}'", wanted.name));
      }
      edits_.push_back({value, *std::move(tensor)});
    }
    return EditChecked(
        context_, [&](Editor& editor) { Apply(editor); }, force_);
  }

 private:
  struct Edit {
    ValueId value;
    onnx::TensorProto tensor;  // without a name
  };

  bool IsConstantNode(NodeId id) const {
    return id != kNone && index_.node(id).proto->op_type() == "Constant" &&
           IsDefaultDomain(index_.node(id).proto->domain());
  }
  bool IsStored(const Index::Value& value) const {
    return value.initializer != nullptr || value.sparse_initializer != nullptr || IsConstantNode(value.producer);
  }

  absl::Status NotStored(const Index::Value& value) const {
    return InvalidArgument("'{}' is no constant: it is {}", value.name,
                           value.producer != kNone ? fmt::format("computed by {}", index_.Describe(value.producer))
                                                   : "an input without a default");
  }

  absl::StatusOr<ValueId> Find(const std::string& name) const {
    return node_ == kNone ? FindAnywhere(name) : FindInput(name);
  }

  absl::StatusOr<ValueId> FindInput(const std::string& name) const {
    const Index::Node& node = index_.node(node_);
    std::vector<std::string_view> names;
    ValueId found = kNone;
    for (const ValueId input : node.inputs) {
      if (input != kNone) {
        if (IsStored(index_.value(input))) {
          names.push_back(index_.value(input).name);
        }
        found = index_.value(input).name == name ? input : found;
      }
    }
    if (const std::optional<int64_t> position = ParseInt64(name);
        found == kNone && position && *position >= 0 && *position < static_cast<int64_t>(node.inputs.size())) {
      found = node.inputs[static_cast<size_t>(*position)];
      if (found == kNone) {
        return InvalidArgument("input {} of {} is absent", *position, index_.Describe(node_));
      }
    }
    if (found == kNone) {
      return NotFound("{} reads no constant '{}'{} ({})", index_.Describe(node_), name, DidYouMean(name, names),
                      names.empty() ? "it reads none" : fmt::format("it reads: {}", fmt::join(names, ", ")));
    }
    return IsStored(index_.value(found)) ? absl::StatusOr<ValueId>(found) : NotStored(index_.value(found));
  }

  absl::StatusOr<ValueId> FindAnywhere(const std::string& name) const {
    std::vector<std::string_view> names;
    std::vector<std::string> places;
    ValueId found = kNone;
    ValueId other = kNone;
    for (ValueId id = 0; id < static_cast<ValueId>(index_.values().size()); ++id) {
      const Index::Value& value = index_.value(id);
      const bool stored = IsStored(value);
      if (value.name == name) {
        (stored ? found : other) = id;
        if (stored) {
          places.push_back(index_.ScopeName(value.scope));
        }
      }
      if (stored) {
        names.push_back(value.name);
      }
    }
    if (places.size() > 1) {
      return InvalidArgument("'{}' is the name of several constants: in {}; choose by a reader, with node=", name,
                             fmt::join(places, ", "));
    }
    if (found == kNone && other != kNone) {
      return NotStored(index_.value(other));
    }
    if (found == kNone) {
      return NotFound("there is no constant '{}'{}", name, DidYouMean(name, names));
    }
    return found;
  }

  std::vector<std::string> OtherReaders(ValueId id) const {
    const Index::Value& value = index_.value(id);
    std::vector<std::string> others;
    for (const Index::Use& use : value.uses) {
      if (use.node != node_ && use.input >= 0) {
        others.push_back(index_.Describe(use.node));
      }
    }
    if (value.is_graph_output) {
      others.push_back(fmt::format("the outputs of {}", index_.ScopeName(value.scope)));
    }
    return others;
  }

  // What was named for one node must not change others.
  absl::Status CheckReaders(ValueId id) const {
    const Index::Value& value = index_.value(id);
    const std::vector<std::string> others = node_ == kNone || own_ ? std::vector<std::string>() : OtherReaders(id);
    if (others.empty()) {
      return absl::OkStatus();
    }
    return InvalidArgument(
        "'{}' is read by {} too, which would change as well; this-use-only=true gives {} a constant of its own, and "
        "without node= all readers change",
        value.name, fmt::join(others, ", "), index_.Describe(node_));
  }

  // The constant as it is now; a sparse one without values, of its dense dtype and shape.
  absl::StatusOr<onnx::TensorProto> Present(ValueId id) const {
    const Index::Value& value = index_.value(id);
    if (value.initializer != nullptr) {
      return *value.initializer;
    }
    const onnx::SparseTensorProto* sparse = value.sparse_initializer;
    if (sparse == nullptr) {
      const onnx::NodeProto& node = *index_.node(value.producer).proto;
      onnx::TensorProto made;
      if (const onnx::TensorProto* tensor = ConstantValue(node, &made)) {
        return *tensor;
      }
      const onnx::AttributeProto* attribute = FindAttribute(node, "sparse_value");
      if (attribute == nullptr) {
        return InvalidArgument("{} takes its value from the function's caller", index_.Describe(value.producer));
      }
      sparse = &attribute->sparse_tensor();
    }
    onnx::TensorProto dense;
    dense.set_data_type(sparse->values().data_type());
    *dense.mutable_dims() = sparse->dims();
    return dense;
  }

  absl::StatusOr<onnx::TensorProto> Read(const Wanted& wanted, int dtype, const onnx::TensorProto& present) const {
    if (wanted.text.starts_with('@')) {
      GOMAI_ASSIGN_OR_RETURN(const HostTensor file, ReadTensorFile(wanted.text.substr(1)));
      if (file.dtype() != dtype) {
        return InvalidArgument("{} holds {}, and it is {}", wanted.text.substr(1), DtypeName(file.dtype()),
                               DtypeName(dtype));
      }
      if (file.bytes().size() > kLargest) {
        return ResourceExhausted("{} holds {}; at most {} are taken", wanted.text.substr(1),
                                 FormatBytes(file.bytes().size()), FormatBytes(kLargest));
      }
      return ToTensorProto(file);
    }
    GOMAI_ASSIGN_OR_RETURN(TensorText text, ParseTensorText(wanted.text));
    // One element stands for any shape of one, and a list without brackets for any vector.
    if (text.elements.size() == 1 && text.shape.empty() &&
        std::all_of(present.dims().begin(), present.dims().end(), [](int64_t dim) { return dim == 1; })) {
      text.shape.assign(present.dims().begin(), present.dims().end());
    }
    return TensorOfText(dtype, text);
  }

  absl::StatusOr<onnx::TensorProto> Make(const Wanted& wanted, ValueId id) const {
    GOMAI_ASSIGN_OR_RETURN(const onnx::TensorProto present, Present(id));
    const int dtype = wanted.dtype.value_or(present.data_type());
    if (dtype != present.data_type() && !force_) {
      return InvalidArgument("it is {}, not {} (force=true changes its dtype)", DtypeName(present.data_type()),
                             DtypeName(dtype));
    }
    GOMAI_ASSIGN_OR_RETURN(onnx::TensorProto tensor, Read(wanted, dtype, present));
    const bool same =
        std::equal(tensor.dims().begin(), tensor.dims().end(), present.dims().begin(), present.dims().end());
    if (!same && !force_) {
      return InvalidArgument(
          "its shape is [{}], and the value's is [{}]: write as many elements, with brackets for each "
          "dim (force=true changes its shape)",
          fmt::join(present.dims(), ","), fmt::join(tensor.dims(), ","));
    }
    return tensor;
  }

  void Apply(Editor& editor) {
    for (const Edit& edit : edits_) {
      const Index::Value& value = index_.value(edit.value);
      if (own_ && !OtherReaders(edit.value).empty()) {
        GivePrivate(editor, edit);
      } else if (value.initializer != nullptr) {
        ReplaceTensor(edit.tensor, &editor.MutableInitializer(edit.value));
      } else if (value.producer != kNone) {
        ReplaceConstantValue(edit.tensor, &editor.MutableNode(value.producer));
      } else {
        editor.EraseInitializer(edit.value);  // sparse: a dense one of that name takes its place
        onnx::TensorProto tensor = edit.tensor;
        tensor.set_name(std::string(value.name));
        editor.AddInitializer(value.scope, std::move(tensor));
      }
    }
  }

  void GivePrivate(Editor& editor, const Edit& edit) {
    const Index::Value& value = index_.value(edit.value);
    onnx::TensorProto tensor = edit.tensor;
    const std::string name = editor.FreshName(fmt::format("{}_own", value.name));
    const ScopeId scope = index_.node(node_).scope;
    if (const int64_t version = context_.model().proto().ir_version();
        index_.InFunction(scope) || (version > 0 && version < 4)) {
      editor.InsertNode(scope, ConstantNode(name, name, std::move(tensor)), node_);
    } else {
      tensor.set_name(name);
      editor.AddInitializer(scope, std::move(tensor));
    }
    for (size_t i = 0; i < index_.node(node_).inputs.size(); ++i) {
      if (index_.node(node_).inputs[i] == edit.value) {
        editor.SetInput(node_, static_cast<int>(i), name);
      }
    }
  }

  PassContext& context_;
  const Index& index_;
  const NodeId node_;
  const bool force_;
  const bool own_;
  std::vector<Edit> edits_;
};

absl::Status Run(PassContext& context) {
  NodeId node = kNone;
  if (const std::string& address = context.options().String("node"); !address.empty()) {
    GOMAI_ASSIGN_OR_RETURN(node, context.index().FindNode(address));
  }
  return Setter(context, node).Run();
}

}  // namespace

const PassInfo& SetConstantsPass() {
  static const PassInfo info = {
      .name = "set-constants",
      .summary = "change the values of constants",
      .description =
          "Each const.NAME=VALUE gives an initializer, or what a Constant node gives, other values; dtype and shape "
          "stay. VALUE is 5, 0.5,-inf or [[1,2],[3,4]] with brackets for each dim, or @FILE.npy; every element must be "
          "one of the dtype: 0.5 is no integer and 300 no uint8. It stays in the form in which it is stored (raw "
          "bytes, "
          "a typed field, an attribute of a Constant); a sparse one becomes dense.\n\n"
          "Without node= the name is looked for in all scopes, and all readers change. With node= it must be an input "
          "of that node, by name or by position; if others read it too that is an error which names them, unless "
          "this-use-only=true gives the node a constant of its own. const.NAME:DTYPE=VALUE says the dtype as well, "
          "which must be the constant's.\n\n"
          "Errors: no such constant, or several; another dtype, shape or number of elements; what inference then finds "
          "impossible, such as a Reshape to another number of elements. force=true takes another dtype or shape. "
          "Values "
          "that follow are others: the effect is approximate.",
      .effect = Effect::kApproximate,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "const.NAME=VALUE", .type = OptionType::kMap, .required = true, .help = "the new values"},
              {.name = "node", .help = "the address of the node that reads them"},
              {.name = "this-use-only",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "a constant with other readers: give the node a copy of its own"},
              {.name = "force",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "take another dtype or shape, and don't go by inference"},
          },
      .examples = {"set-constants{const.limit=0.5}", "set-constants{const.shape=[1,-1,4],node=Reshape_7}",
                   "set-constants{const.1=-inf,node=Clip_3,this-use-only=true}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
