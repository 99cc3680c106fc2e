// set-attributes: attributes of one node, changed, added or deleted.
//
// The operator's schema says which attributes there are and of what type, so 1 is a float where one is wanted, and a
// list stays a list. All is checked before anything is changed; what the schema allows is then tried by inference,
// which knows how long a list must be.
#include <algorithm>
#include <array>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/parse_attribute.h"
#include "lib/model/attribute.h"
#include "lib/pass/pass.h"
#include "lib/pass/try_edit.h"
#include "lib/pass/unit_pool.h"

namespace gomai {
namespace {

using Type = onnx::AttributeProto::AttributeType;
constexpr std::string_view kPrefix = "attr.";

// numpy's names say what an element is, not whether there is a list of them.
constexpr std::array<std::pair<std::string_view, std::pair<Type, Type>>, 6> kElementTypes = {
    {{"int64", {onnx::AttributeProto::INT, onnx::AttributeProto::INTS}},
     {"int32", {onnx::AttributeProto::INT, onnx::AttributeProto::INTS}},
     {"float32", {onnx::AttributeProto::FLOAT, onnx::AttributeProto::FLOATS}},
     {"float64", {onnx::AttributeProto::FLOAT, onnx::AttributeProto::FLOATS}},
     {"str", {onnx::AttributeProto::STRING, onnx::AttributeProto::STRINGS}},
     {"bool", {onnx::AttributeProto::INT, onnx::AttributeProto::INTS}}}};

struct Wanted {
  std::string name;
  std::vector<Type> types;  // as given; empty: the schema's
  std::string type_text;
  std::string value;
};

// "attr.NAME" or "attr.NAME:TYPE".
absl::StatusOr<Wanted> ParseKey(const std::string& key, const std::string& value) {
  if (!key.starts_with(kPrefix) || key.size() == kPrefix.size()) {
    return NotFound("the pass 'set-attributes' has no option '{}'{}; attributes are given as attr.NAME=VALUE", key,
                    DidYouMean(key, {"node", "delete", "force"}));
  }
  Wanted wanted;
  wanted.name = key.substr(kPrefix.size());
  wanted.value = value;
  const size_t colon = wanted.name.rfind(':');
  if (colon == std::string::npos) {
    return wanted;
  }
  wanted.type_text = wanted.name.substr(colon + 1);
  wanted.name.resize(colon);
  if (const std::optional<Type> type = ParseAttributeType(wanted.type_text)) {
    wanted.types = {*type};
  }
  for (const auto& [name, types] : kElementTypes) {
    if (name == wanted.type_text) {
      wanted.types = {types.first, types.second};
    }
  }
  if (wanted.types.empty()) {
    return InvalidArgument(
        "'{}' is no type of an attribute; write int, ints, float, floats, string or strings (or int64, float32, str), "
        "or leave it out, and the operator's schema says it",
        wanted.type_text);
  }
  return wanted;
}

class Setter {
 public:
  Setter(PassContext& context, NodeId id)
      : context_(context), index_(context.index()), id_(id), force_(context.options().Bool("force")) {}

  absl::Status Run() {
    edited_ = *index_.node(id_).proto;
    GOMAI_RETURN_IF_ERROR(FindSchema());
    const std::vector<std::string> deleted = context_.options().List("delete");
    if (deleted.empty() && context_.options().Map("attr.NAME=VALUE").empty()) {
      return InvalidArgument("nothing to set: give attr.NAME=VALUE or delete=NAME");
    }
    std::set<std::string> seen;
    for (const std::string& name : deleted) {
      if (!seen.insert(name).second) {
        return InvalidArgument("the attribute '{}' is named twice", name);
      }
      GOMAI_RETURN_IF_ERROR(Delete(name));
    }
    for (const auto& [key, value] : context_.options().Map("attr.NAME=VALUE")) {
      GOMAI_ASSIGN_OR_RETURN(const Wanted wanted, ParseKey(key, value));
      if (!seen.insert(wanted.name).second) {
        return InvalidArgument("the attribute '{}' is named twice", wanted.name);
      }
      absl::StatusOr<onnx::AttributeProto> attribute = Make(wanted);
      if (!attribute.ok()) {
        return Annotate(attribute.status(), index_.Describe(id_));
      }
      Keep(wanted.name, &*attribute);
      SetAttribute(edited_, *std::move(attribute));
    }
    GOMAI_RETURN_IF_ERROR(Annotate(
        EditChecked(
            context_, [&](Editor& editor) { *editor.MutableNode(id_).mutable_attribute() = edited_.attribute(); },
            force_),
        index_.Describe(id_)));
    Advise();
    return absl::OkStatus();
  }

 private:
  // What the node is: an operator that ONNX knows; else the attributes that are there are all that is known.
  absl::Status FindSchema() {
    const onnx::NodeProto& node = *index_.node(id_).proto;
    if (index_.CalledFunction(node) != kNone) {
      return absl::OkStatus();
    }
    const absl::StatusOr<const onnx::OpSchema*> schema =
        RequireSchema(context_.model().proto(), index_, index_.node(id_).scope, node.domain(), node.op_type());
    if (schema.ok()) {
      schema_ = *schema;
    }
    return absl::OkStatus();
  }

  absl::Status Delete(const std::string& name) {
    auto& attributes = *edited_.mutable_attribute();
    const auto found = std::find_if(attributes.begin(), attributes.end(),
                                    [&](const onnx::AttributeProto& a) { return a.name() == name; });
    if (found == attributes.end()) {
      std::vector<std::string_view> names;
      for (const onnx::AttributeProto& a : index_.node(id_).proto->attribute()) {
        names.push_back(a.name());
      }
      return NotFound("{} has no attribute '{}' to delete{} ({})", index_.Describe(id_), name, DidYouMean(name, names),
                      names.empty() ? "it has none" : fmt::format("it has: {}", fmt::join(names, ", ")));
    }
    if (schema_ != nullptr && !force_) {
      const auto known = schema_->attributes().find(name);
      if (known != schema_->attributes().end() && known->second.required) {
        return InvalidArgument("{} needs its attribute '{}', so it can't be deleted (force=true does it all the same)",
                               index_.Describe(id_), name);
      }
    }
    attributes.erase(found);
    return absl::OkStatus();
  }

  absl::StatusOr<onnx::AttributeProto> Make(const Wanted& wanted) const {
    const onnx::AttributeProto* present = FindAttribute(*index_.node(id_).proto, wanted.name);
    std::optional<Type> declared;
    if (schema_ != nullptr) {
      const auto known = schema_->attributes().find(wanted.name);
      if (known != schema_->attributes().end()) {
        declared = known->second.type;
      } else if (!force_) {
        return ParseAttribute(*schema_, wanted.name, wanted.value).status();  // says which there are
      }
    } else if (present != nullptr) {
      declared = present->type();
    } else if (!force_) {
      return InvalidArgument(
          "nothing says whether this operator has an attribute '{}', since ONNX doesn't know it and the node has none "
          "of "
          "that name; force=true adds it",
          wanted.name);
    }
    const bool agrees = !declared || wanted.types.empty() ||
                        std::find(wanted.types.begin(), wanted.types.end(), *declared) != wanted.types.end();
    if (!agrees && !force_) {
      return InvalidArgument(
          "the attribute '{}' is {} {}, not {}; leave the type out, or give that one", wanted.name,
          *declared == onnx::AttributeProto::INT || *declared == onnx::AttributeProto::INTS ? "an" : "a",
          AttributeTypeName(*declared), wanted.type_text);
    }
    if (declared && agrees) {
      return ParseAttributeAs(*declared, wanted.name, wanted.value);
    }
    // Forced: the type that was given, a list if it looks like one.
    const std::optional<Type> guess = GuessAttributeType(wanted.value);
    if (wanted.types.size() == 1) {
      return ParseAttributeAs(wanted.types[0], wanted.name, wanted.value);
    }
    const bool list = !guess || *guess == onnx::AttributeProto::INTS || *guess == onnx::AttributeProto::FLOATS ||
                      *guess == onnx::AttributeProto::STRINGS;
    if (wanted.types.size() == 2) {
      return ParseAttributeAs(wanted.types[list ? 1 : 0], wanted.name, wanted.value);
    }
    if (!guess) {
      return InvalidArgument("of what type is the empty list '{}'? Say attr.{}:ints=[], floats or strings", wanted.name,
                             wanted.name);
    }
    return ParseAttributeAs(*guess, wanted.name, wanted.value);
  }

  // The doc string of the attribute that is replaced stays.
  void Keep(const std::string& name, onnx::AttributeProto* attribute) const {
    const onnx::AttributeProto* present = FindAttribute(*index_.node(id_).proto, name);
    if (present != nullptr && present->has_doc_string()) {
      attribute->set_doc_string(present->doc_string());
    }
  }

  // A kernel of 1 that is made larger is the usual way to please a device, and there is one that keeps the values.
  void Advise() const {
    const onnx::AttributeProto* kernel = FindAttribute(edited_, "kernel_shape");
    if (IsUnitPool(index_, id_) && kernel != nullptr &&
        std::any_of(kernel->ints().begin(), kernel->ints().end(), [](int64_t size) { return size != 1; })) {
      context_.diagnostics().Warn(index_.Describe(id_),
                                  "values change: each is the largest of several neighbours now, where it was one "
                                  "element; the pass maxpool-1x1{{node={}}} replaces this MaxPool with the same values",
                                  index_.Address(id_));
    }
  }

  PassContext& context_;
  const Index& index_;
  const NodeId id_;
  const bool force_;
  const onnx::OpSchema* schema_ = nullptr;  // nullptr: ONNX doesn't know the operator
  onnx::NodeProto edited_;
};

absl::Status Run(PassContext& context) {
  GOMAI_ASSIGN_OR_RETURN(const NodeId id, context.index().FindNode(context.options().String("node")));
  return Setter(context, id).Run();
}

}  // namespace

const PassInfo& SetAttributesPass() {
  static const PassInfo info = {
      .name = "set-attributes",
      .summary = "change, add and delete attributes of a node",
      .description =
          "Sets attributes of the node at an address (its name, #INDEX, or an op type that occurs once; "
          "OUTER::ATTRIBUTE::INNER in a body). The operator's schema at the model's opset says which attributes there "
          "are and of what type: attr.alpha=1 is a float, attr.kernel_shape=3,3 a list, with brackets or without; "
          "attr.axes=[] is an empty one. Numbers may be inf, -inf, nan and -0.0. An attribute that is there is "
          "replaced where it stands, another one added at the end; delete= takes some away, and the default holds from "
          "then on.\n\n"
          "attr.NAME:TYPE=VALUE says the type too (int, ints, float, floats, string, strings, or int64, float32, str, "
          "each with or without a list), and must agree with the schema. For an operator that ONNX doesn't know, the "
          "attribute that is there says it.\n\n"
          "Errors: an attribute that the operator doesn't have, a value of another type, a required one deleted, and "
          "what inference then finds impossible, here or further on: a list of the wrong length, shapes that no longer "
          "fit. force=true does it all the same. Values that follow are others, so the effect is approximate. For a "
          "MaxPool of kernel 1 a warning names maxpool-1x1, which keeps them.",
      .effect = Effect::kApproximate,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "node", .required = true, .help = "the address of the node"},
              {.name = "attr.NAME=VALUE", .type = OptionType::kMap, .help = "attributes to set"},
              {.name = "delete", .type = OptionType::kList, .help = "attributes to delete, separated by ';'"},
              {.name = "force",
               .type = OptionType::kBool,
               .default_value = "false",
               .help = "don't go by the schema or by inference"},
          },
      .examples = {"set-attributes{node=/extra/MaxPool,attr.kernel_shape=[3,3],attr.pads=[1,1,1,1]}",
                   "set-attributes{node=If_3::then_branch::#4,attr.alpha=0.2,delete=beta}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
