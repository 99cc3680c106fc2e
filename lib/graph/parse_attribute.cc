// Values are read by the schema's type alone: "1" is an int where the schema wants one and a float where it wants that.
#include "lib/graph/parse_attribute.h"

#include <onnx/defs/data_type_utils.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/text.h"
#include "lib/model/attribute.h"
#include "lib/model/domain.h"

namespace gomai {
namespace {

// What is between the brackets, if there are any, at its commas.
std::vector<std::string> Elements(std::string_view value) {
  value = Trim(value);
  if (value.size() >= 2 && value.front() == '[' && value.back() == ']') {
    value = Trim(value.substr(1, value.size() - 2));
  }
  std::vector<std::string> elements = SplitList(value, ',');
  for (std::string& element : elements) {
    element = std::string(Trim(element));
  }
  return elements;
}

absl::Status WrongType(std::string_view name, std::string_view value, std::string_view wanted) {
  return InvalidArgument("the attribute '{}' must be {}, not '{}'", name, wanted, value);
}

template <typename Number, typename Parse, typename Add>
absl::Status ParseNumbers(std::string_view name, std::string_view value, bool list, std::string_view wanted,
                          const Parse& parse, const Add& add) {
  const std::vector<std::string> elements = Elements(value);
  if (!list && elements.size() != 1) {
    return WrongType(name, value, wanted);
  }
  for (const std::string& element : elements) {
    const std::optional<Number> number = parse(element);
    if (!number) {
      return WrongType(name, value, wanted);
    }
    add(*number);
  }
  return absl::OkStatus();
}

absl::Status ParseInts(std::string_view name, std::string_view value, onnx::AttributeProto* a, bool list) {
  return ParseNumbers<int64_t>(name, value, list, list ? "integers such as [1,2]" : "an integer", ParseInt64,
                               [&](int64_t number) { list ? a->add_ints(number) : a->set_i(number); });
}

absl::Status ParseFloats(std::string_view name, std::string_view value, onnx::AttributeProto* a, bool list) {
  const auto parse = [](std::string_view text) {
    std::optional<double> number = ParseDouble(text);
    return number && std::isfinite(*number) && std::abs(*number) > std::numeric_limits<float>::max() ? std::nullopt
                                                                                                     : number;
  };
  return ParseNumbers<double>(name, value, list, list ? "float32 numbers such as [0.5,2]" : "a float32 number", parse,
                              [&](double number) {
                                const auto single = static_cast<float>(number);
                                list ? a->add_floats(single) : a->set_f(single);
                              });
}

}  // namespace

absl::StatusOr<const onnx::OpSchema*> RequireSchema(const onnx::ModelProto& model, const Index& index, ScopeId scope,
                                                    std::string_view domain, std::string_view op_type) {
  const onnx::FunctionProto* function = index.scope(index.Outermost(scope)).function;
  const auto& imports = function != nullptr ? function->opset_import() : model.opset_import();
  std::optional<int> version;
  for (const onnx::OperatorSetIdProto& import : imports) {
    if (NormalDomain(import.domain()) == NormalDomain(domain)) {
      version = static_cast<int>(import.version());
    }
  }
  if (!version) {
    return InvalidArgument("{} imports no opset of the domain '{}'", function != nullptr ? "the function" : "the model",
                           domain);
  }
  const std::string own_domain(NormalDomain(domain));
  const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(std::string(op_type), *version, own_domain);
  if (schema != nullptr && !schema->Deprecated()) {
    return schema;
  }
  std::set<std::string> known;
  for (const onnx::OpSchema& each : onnx::OpSchemaRegistry::get_all_schemas_with_history()) {
    if (each.domain() == own_domain && !each.Deprecated() && each.SinceVersion() <= *version) {
      known.insert(each.Name());
    }
  }
  return NotFound("{} {}has no operator '{}' at opset {}{}", own_domain.empty() ? "ONNX" : own_domain,
                  schema != nullptr ? "deprecated it and " : "", op_type, *version,
                  DidYouMean(op_type, std::vector<std::string_view>(known.begin(), known.end())));
}

absl::StatusOr<onnx::AttributeProto> ParseAttribute(const onnx::OpSchema& schema, std::string_view name,
                                                    std::string_view value) {
  const auto found = schema.attributes().find(std::string(name));
  if (found == schema.attributes().end()) {
    std::vector<std::string_view> names;
    for (const auto& [known, attribute] : schema.attributes()) {
      names.push_back(known);
    }
    return NotFound("{} has no attribute '{}'{} ({})", schema.Name(), name, DidYouMean(name, names),
                    names.empty() ? "it has none" : fmt::format("it has: {}", fmt::join(names, ", ")));
  }
  absl::StatusOr<onnx::AttributeProto> parsed = ParseAttributeAs(found->second.type, name, value);
  return parsed.ok() ? std::move(parsed) : Annotate(parsed.status(), schema.Name());
}

absl::StatusOr<onnx::AttributeProto> ParseAttributeAs(onnx::AttributeProto::AttributeType type, std::string_view name,
                                                      std::string_view value) {
  onnx::AttributeProto a = NewAttribute(std::string(name), type);
  switch (type) {
    case onnx::AttributeProto::INT:
    case onnx::AttributeProto::INTS:
      GOMAI_RETURN_IF_ERROR(ParseInts(name, value, &a, type == onnx::AttributeProto::INTS));
      break;
    case onnx::AttributeProto::FLOAT:
    case onnx::AttributeProto::FLOATS:
      GOMAI_RETURN_IF_ERROR(ParseFloats(name, value, &a, type == onnx::AttributeProto::FLOATS));
      break;
    case onnx::AttributeProto::STRING:
      a.set_s(std::string(value));
      break;
    case onnx::AttributeProto::STRINGS:
      for (std::string& text : Elements(value)) {
        a.add_strings(std::move(text));
      }
      break;
    default:
      return InvalidArgument("the attribute '{}' is a {}, which text can't give", name,
                             onnx::AttributeProto::AttributeType_Name(type));
  }
  return a;
}

std::optional<onnx::AttributeProto::AttributeType> GuessAttributeType(std::string_view value) {
  const std::string_view text = Trim(value);
  const bool list = (text.size() >= 2 && text.front() == '[' && text.back() == ']') || text.find(',') != text.npos;
  const std::vector<std::string> elements = list ? Elements(text) : std::vector<std::string>{std::string(text)};
  if (elements.empty()) {
    return std::nullopt;
  }
  const auto all = [&](const auto& parse) {
    return std::all_of(elements.begin(), elements.end(),
                       [&](const std::string& element) { return parse(element).has_value(); });
  };
  if (all(ParseInt64)) {
    return list ? onnx::AttributeProto::INTS : onnx::AttributeProto::INT;
  }
  if (all(ParseDouble)) {
    return list ? onnx::AttributeProto::FLOATS : onnx::AttributeProto::FLOAT;
  }
  return list ? onnx::AttributeProto::STRINGS : onnx::AttributeProto::STRING;
}

namespace {

constexpr std::array<std::pair<std::string_view, onnx::AttributeProto::AttributeType>, 6> kTypeNames = {
    {{"int", onnx::AttributeProto::INT},
     {"ints", onnx::AttributeProto::INTS},
     {"float", onnx::AttributeProto::FLOAT},
     {"floats", onnx::AttributeProto::FLOATS},
     {"string", onnx::AttributeProto::STRING},
     {"strings", onnx::AttributeProto::STRINGS}}};

}  // namespace

std::string AttributeTypeName(onnx::AttributeProto::AttributeType type) {
  for (const auto& [name, each] : kTypeNames) {
    if (each == type) {
      return std::string(name);
    }
  }
  return onnx::AttributeProto::AttributeType_Name(type);
}

std::optional<onnx::AttributeProto::AttributeType> ParseAttributeType(std::string_view name) {
  for (const auto& [each, type] : kTypeNames) {
    if (each == name) {
      return type;
    }
  }
  return std::nullopt;
}

std::string SchemaType(int dtype) {
  if (dtype == onnx::TensorProto::UNDEFINED) {
    return "";
  }
  onnx::TypeProto type;
  type.mutable_tensor_type()->set_elem_type(dtype);
  try {
    return *onnx::Utils::DataTypeUtils::ToType(type);
  } catch (const std::exception&) {  // an element type that ONNX doesn't know
    return "";
  }
}

bool AcceptsDtype(const onnx::OpSchema& schema, size_t input, int dtype) {
  const std::string type = SchemaType(dtype);
  if (type.empty() || schema.inputs().empty()) {
    return true;
  }
  const auto& allowed = schema.inputs()[std::min(input, schema.inputs().size() - 1)].GetTypes();
  return std::any_of(allowed.begin(), allowed.end(), [&](const auto* each) { return *each == type; });
}

}  // namespace gomai
