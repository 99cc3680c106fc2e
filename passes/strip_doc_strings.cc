// strip-doc-strings: every doc_string, wherever one may stand.
//
// Found by the protobuf's own description instead of a list of places: a place that a newer ONNX adds is covered too.
// Iterative, with a stack of messages, so that deep bodies cost no machine stack. Counted first on the model as it is,
// so that a model without doc strings isn't copied.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <map>
#include <set>

#include "lib/model/seeded.h"
#include "lib/model/tensor.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Calls visit(message, field) for each message with a doc string. Only fields that are present are met, so nothing
// becomes present by looking.
template <typename Visit>
void ForEachDocString(const Message& root, Visit visit) {
  std::vector<const Message*> stack = {&root};
  std::vector<const FieldDescriptor*> fields;
  while (!stack.empty()) {
    const Message& message = *stack.back();
    stack.pop_back();
    const Reflection& reflection = *message.GetReflection();
    fields.clear();
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        if (field->is_repeated()) {
          for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
            stack.push_back(&reflection.GetRepeatedMessage(message, field, i));
          }
        } else {
          stack.push_back(&reflection.GetMessage(message, field));
        }
      } else if (field->name() == "doc_string") {
        visit(message, field);
      }
    }
  }
}

absl::Status Run(PassContext& context) {
  const bool weights = context.options().Bool("weights");
  // "ModelProto" -> "model", in the order in which a reader of the report would look for them.
  static constexpr std::pair<const char*, const char*> kPlaces[] = {
      {"ModelProto", "the model"},  {"GraphProto", "graphs"},         {"FunctionProto", "functions"},
      {"NodeProto", "nodes"},       {"AttributeProto", "attributes"}, {"TensorProto", "tensors"},
      {"ValueInfoProto", "values"},
  };
  const auto rules = [&](const onnx::ModelProto& model) {
    std::set<const Message*> tensors;
    for (const onnx::TensorProto& tensor : model.graph().initializer()) {
      if (!weights && IsExternal(tensor) && IsSeededText(tensor.doc_string())) {
        tensors.insert(&tensor);
      }
    }
    return tensors;
  };
  const onnx::ModelProto& model = context.model().proto();
  const std::set<const Message*> kept = rules(model);
  std::map<std::string, int64_t> counts;
  ForEachDocString(model, [&](const Message& message, const FieldDescriptor*) {
    counts[message.GetDescriptor()->name()] += kept.contains(&message) ? 0 : 1;
  });
  onnx::ModelProto* work = nullptr;
  const auto note = [&](const std::string& type, const std::string& place) {
    if (const auto count = counts.find(type); count != counts.end()) {
      if (count->second > 0) {
        work = &context.editor().MutableModel(
            type == "ModelProto"
                ? "removed the doc string of the model"
                : fmt::format("removed {} doc string{} of {}", count->second, count->second == 1 ? "" : "s", place));
      }
      counts.erase(count);
    }
  };
  for (const auto& [type, place] : kPlaces) {
    note(type, place);
  }
  while (!counts.empty()) {
    const std::string type = counts.begin()->first;
    note(type, type);
  }
  if (!kept.empty()) {
    context.diagnostics().Note("", "kept {} that fill-weights makes up values by; weights=true removes them too",
                               kept.size() == 1 ? "a doc string" : fmt::format("{} doc strings", kept.size()));
  }
  if (work == nullptr) {
    return absl::OkStatus();
  }
  const std::set<const Message*> kept_in_work = rules(*work);
  ForEachDocString(*work, [&](const Message& message, const FieldDescriptor* field) {
    if (!kept_in_work.contains(&message)) {
      message.GetReflection()->ClearField(const_cast<Message*>(&message), field);  // work is ours to change
    }
  });
  return absl::OkStatus();
}

}  // namespace

const PassInfo& StripDocStringsPass() {
  static const PassInfo info = {
      .name = "strip-doc-strings",
      .summary = "remove doc strings everywhere",
      .description =
          "Removes every doc string: of the model, graphs and bodies, functions, nodes, attributes, tensors and value "
          "descriptions. Exporters write stack traces there, which make files large and tell where a model was made. "
          "Metadata properties stay.\n\n"
          "The doc string of an external initializer that says 'seeded-uniform mean=M std=S' is data that "
          "fill-weights needs, and stays unless weights=true.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options = {{.name = "weights",
                   .type = OptionType::kBool,
                   .default_value = "false",
                   .help = "also remove the rules that fill-weights needs"}},
      .examples = {"strip-doc-strings", "strip-doc-strings{weights=true}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
