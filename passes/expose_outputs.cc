// expose-outputs: intermediate values as outputs of the model, with the types that inference finds.
//
// All values asked for are looked at before any is added, so that an error names everything that is wrong at once.
#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/model/dtype.h"
#include "lib/pass/pass.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

// The definitions of a name in bodies, as "ADDRESS (Op) output 0".
std::string PlacesInBodies(const Index& index, std::string_view name) {
  std::string places;
  for (ScopeId id = 1; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    const ValueId value_id = index.FindValue(id, name);
    if (value_id == kNone) {
      continue;
    }
    const Index::Value& value = index.value(value_id);
    places += places.empty() ? "" : ", ";
    places += value.producer != kNone ? fmt::format("{} output {}", index.Describe(value.producer), value.output)
                                      : index.ScopeName(id);
  }
  return places;
}

absl::Status NotInMainGraph(const Index& index, const std::string& name) {
  if (const std::string places = PlacesInBodies(index, name); !places.empty()) {
    return InvalidArgument(
        "'{}' is a value inside a body or a function ({}); only values of the main graph can be outputs of the model, "
        "so make the body's own output carry it",
        name, places);
  }
  return index.RequireValue(name).status();
}

bool IsOutput(const onnx::GraphProto& graph, std::string_view name) {
  return std::any_of(graph.output().begin(), graph.output().end(),
                     [&](const onnx::ValueInfoProto& output) { return output.name() == name; });
}

absl::StatusOr<std::vector<ValueId>> MatchExact(const PassContext& context, const std::vector<std::string>& names) {
  const Index& index = context.index();
  std::vector<ValueId> values;
  for (const std::string& name : names) {
    const ValueId value = index.FindValue(index.main_scope(), name);
    if (value == kNone) {
      return NotInMainGraph(index, name);
    }
    if (IsOutput(context.model().proto().graph(), name)) {
      return InvalidArgument("'{}' is an output already", name);
    }
    if (std::find(values.begin(), values.end(), value) != values.end()) {
      return InvalidArgument("'{}' is named twice", name);
    }
    values.push_back(value);
  }
  return values;
}

// What nodes compute, in node order for each pattern; weights and inputs are not meant by a pattern.
absl::StatusOr<std::vector<ValueId>> MatchGlobs(const PassContext& context, const std::vector<std::string>& patterns) {
  const Index& index = context.index();
  std::vector<ValueId> values;
  std::set<ValueId> seen;
  for (const std::string& pattern : patterns) {
    size_t hits = 0;
    size_t added = 0;
    for (const NodeId node : index.scope(index.main_scope()).nodes) {
      for (const ValueId value : index.node(node).outputs) {
        if (value != kNone && GlobMatch(pattern, index.value(value).name)) {
          ++hits;
          if (!IsOutput(context.model().proto().graph(), index.value(value).name)) {
            ++added;
            if (seen.insert(value).second) {
              values.push_back(value);
            }
          }
        }
      }
    }
    if (hits == 0) {
      for (const Index::Value& value : index.values()) {
        if (value.scope != index.main_scope() && GlobMatch(pattern, value.name)) {
          return NotInMainGraph(index, std::string(value.name));
        }
      }
      std::vector<std::string_view> names;
      for (const Index::Value& value : index.values()) {
        if (value.scope == index.main_scope() && value.origin == Index::Origin::kNode) {
          names.push_back(value.name);
        }
      }
      return NotFound("no node of the main graph computes a value that '{}' matches{}", pattern,
                      DidYouMean(pattern, names));
    }
    if (added == 0) {
      return InvalidArgument("all that '{}' matches is an output already", pattern);
    }
  }
  return values;
}

absl::Status Run(PassContext& context) {
  const std::vector<std::string> tensors = context.options().List("tensors");
  if (tensors.empty() || std::find(tensors.begin(), tensors.end(), "") != tensors.end()) {
    return InvalidArgument("the option 'tensors' must name values, separated by ';'");
  }
  GOMAI_ASSIGN_OR_RETURN(const std::vector<ValueId> values, context.options().String("match") == "glob"
                                                                ? MatchGlobs(context, tensors)
                                                                : MatchExact(context, tensors));
  const Index& index = context.index();
  GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapes(context.model(), index));
  std::vector<std::string> unknown;
  std::vector<onnx::ValueInfoProto> outputs;
  for (const ValueId id : values) {
    const Index::Value& value = index.value(id);
    const onnx::TypeProto* type = shapes.Find(value.name);
    if (type == nullptr && value.info != nullptr && value.info->has_type()) {
      type = &value.info->type();
    }
    if (type == nullptr || TypeName(*type).empty()) {
      unknown.push_back(
          fmt::format("'{}'{}", value.name, value.producer == kNone ? "" : " of " + index.Describe(value.producer)));
      continue;
    }
    onnx::ValueInfoProto& output = outputs.emplace_back();
    output.set_name(std::string(value.name));
    *output.mutable_type() = *type;
    if (type->has_tensor_type() && FindShape(*type) == nullptr) {
      context.diagnostics().Warn(std::string(value.name),
                                 "its rank is unknown, so the output is written without a shape");
    }
  }
  if (!unknown.empty()) {
    return FailedPrecondition("the type of {} is unknown, so {} can't be made an output; leave {} out",
                              fmt::join(unknown, ", "), unknown.size() == 1 ? "it" : "they",
                              unknown.size() == 1 ? "it" : "them");
  }
  for (onnx::ValueInfoProto& output : outputs) {
    context.editor().AddGraphOutput(std::move(output));
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& ExposeOutputsPass() {
  static const PassInfo info = {
      .name = "expose-outputs",
      .summary = "make values inside the model outputs of it",
      .description =
          "Adds values of the main graph to the model's outputs, after those that are there, in the order given; each "
          "with the type and shape that inference finds. With match=glob each name is a pattern (* and ?) over the "
          "values that nodes compute, and what is an output already is passed over.\n\n"
          "A value whose type can't be found is refused. A name that the model doesn't have, that is an output already "
          "or that lies inside a body is an error.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kMain,
      .options =
          {
              {.name = "tensors",
               .type = OptionType::kList,
               .required = true,
               .help = "the values to expose, separated by ';'"},
              {.name = "match", .default_value = "exact", .help = "how names are meant", .choices = {"exact", "glob"}},
          },
      .examples = {"expose-outputs{tensors=features_0;features_1}",
                   "expose-outputs{tensors=/head/*/Conv_output_0,match=glob}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
