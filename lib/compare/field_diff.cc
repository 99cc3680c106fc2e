// Generic comparison by protobuf's reflection; see field_diff.h. A list of known fields would silently lose the next
// field that ONNX adds; so this knows words for a few messages (types, metadata, opset imports) and goes through all
// others as they are.
#include "lib/compare/field_diff.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

#include "lib/model/domain.h"
#include "lib/model/dtype.h"

namespace gomai {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string ShapeText(const onnx::TensorShapeProto& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.dim_size(); ++i) {
    const onnx::TensorShapeProto::Dimension& dim = shape.dim(i);
    text += i == 0 ? "" : ", ";
    text += dim.has_dim_value()                               ? std::to_string(dim.dim_value())
            : dim.has_dim_param() && !dim.dim_param().empty() ? dim.dim_param()
                                                              : "?";
  }
  return text + "]";
}

std::string OneLine(const Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(message, &text);
  while (text.ends_with(' ')) {
    text.pop_back();
  }
  return "{" + text + "}";
}

template <typename Get>
std::string ScalarText(const FieldDescriptor& field, const Get& get) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_FLOAT:
      return fmt::format("{}", get.f());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{}", get.d());
    case FieldDescriptor::CPPTYPE_STRING:
      return QuotedText(get.s());
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(get.i32());
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(get.i64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(get.u32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(get.u64());
    case FieldDescriptor::CPPTYPE_BOOL:
      return get.b() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = field.enum_type()->FindValueByNumber(get.e());
      return value != nullptr ? std::string(value->name()) : std::to_string(get.e());
    }
    default:
      return "";
  }
}

struct Singular {
  const Message& m;
  const Reflection& r;
  const FieldDescriptor* field;
  float f() const { return r.GetFloat(m, field); }
  double d() const { return r.GetDouble(m, field); }
  std::string s() const { return r.GetString(m, field); }
  int32_t i32() const { return r.GetInt32(m, field); }
  int64_t i64() const { return r.GetInt64(m, field); }
  uint32_t u32() const { return r.GetUInt32(m, field); }
  uint64_t u64() const { return r.GetUInt64(m, field); }
  bool b() const { return r.GetBool(m, field); }
  int e() const { return r.GetEnumValue(m, field); }
};

struct Element {
  const Message& m;
  const Reflection& r;
  const FieldDescriptor* field;
  int i;
  float f() const { return r.GetRepeatedFloat(m, field, i); }
  double d() const { return r.GetRepeatedDouble(m, field, i); }
  std::string s() const { return r.GetRepeatedString(m, field, i); }
  int32_t i32() const { return r.GetRepeatedInt32(m, field, i); }
  int64_t i64() const { return r.GetRepeatedInt64(m, field, i); }
  uint32_t u32() const { return r.GetRepeatedUInt32(m, field, i); }
  uint64_t u64() const { return r.GetRepeatedUInt64(m, field, i); }
  bool b() const { return r.GetRepeatedBool(m, field, i); }
  int e() const { return r.GetRepeatedEnumValue(m, field, i); }
};

std::string ListText(const Message& m, const FieldDescriptor* field) {
  const Reflection& r = *m.GetReflection();
  std::string text = "[";
  for (int i = 0; i < r.FieldSize(m, field); ++i) {
    text += (i == 0 ? "" : ", ") + ScalarText(*field, Element{m, r, field, i});
  }
  return text + "]";
}

std::string UnknownText(const Message& message) {
  const google::protobuf::UnknownFieldSet& unknown = message.GetReflection()->GetUnknownFields(message);
  std::string text;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const google::protobuf::UnknownField& field = unknown.field(i);
    text += text.empty() ? "" : ", ";
    switch (field.type()) {
      case google::protobuf::UnknownField::TYPE_VARINT:
        text += fmt::format("{}: {}", field.number(), field.varint());
        break;
      case google::protobuf::UnknownField::TYPE_FIXED32:
        text += fmt::format("{}: {:#x}", field.number(), field.fixed32());
        break;
      case google::protobuf::UnknownField::TYPE_FIXED64:
        text += fmt::format("{}: {:#x}", field.number(), field.fixed64());
        break;
      case google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED:
        text += fmt::format("{}: {}", field.number(), QuotedText(field.length_delimited()));
        break;
      case google::protobuf::UnknownField::TYPE_GROUP:
        text += fmt::format("{}: a group", field.number());
        break;
    }
  }
  return text.empty() ? "none" : text;
}

std::string UnknownBytes(const Message& message) {
  std::string bytes;
  message.GetReflection()->GetUnknownFields(message).SerializeToString(&bytes);
  return bytes;
}

// The string field by which entries of this type are told apart; nullptr for those that only have their position.
const FieldDescriptor* KeyField(const Descriptor& type, const DiffOptions& options) {
  if (type.full_name() == "onnx.OperatorSetIdProto") {
    return type.FindFieldByName("domain");
  }
  for (const char* name : {"key", "tensor_name", "name"}) {
    const FieldDescriptor* field = type.FindFieldByName(name);
    const bool inner_name = options.ignore_names && std::string_view(name) == "tensor_name";
    if (field != nullptr && !field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
        !inner_name) {
      return field;
    }
  }
  return nullptr;
}

class Differ {
 public:
  Differ(const SpotFunction& spot, DiffLog& log) : spot_(spot), log_(log) {}

  void Fields(const Message& a, const Message& b, const std::string& prefix,
              const std::vector<std::string_view>& skip) {
    const Descriptor& type = *a.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* field = type.field(i);
      const std::string_view name(field->name().data(), field->name().size());
      if (std::find(skip.begin(), skip.end(), name) != skip.end() ||
          (log_.options().ignore_docs && name == "doc_string") ||
          (log_.options().ignore_names && name == "tensor_name")) {
        continue;
      }
      const std::string what = prefix + std::string(name == "doc_string" ? "doc string" : name);
      if (field->is_repeated()) {
        Repeated(a, b, field, what, prefix);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Nested(a, b, field, what);
      } else {
        Scalar(a, b, field, what);
      }
    }
    if (UnknownBytes(a) != UnknownBytes(b)) {
      log_.Changed(spot_, prefix + "unknown fields", UnknownText(a), UnknownText(b));
    }
  }

 private:
  void Scalar(const Message& a, const Message& b, const FieldDescriptor* field, const std::string& what) {
    const Reflection& r = *a.GetReflection();
    std::string before = ScalarText(*field, Singular{a, r, field});
    std::string after = ScalarText(*field, Singular{b, r, field});
    if (field->real_containing_oneof() != nullptr) {
      before = r.HasField(a, field) ? before : "none";
      after = r.HasField(b, field) ? after : "none";
    }
    const bool long_strings = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && before == after;
    if (before != after || (long_strings && r.GetString(a, field) != r.GetString(b, field))) {
      log_.Changed(spot_, what, before, after);
    }
  }

  void Nested(const Message& a, const Message& b, const FieldDescriptor* field, const std::string& what) {
    const Reflection& r = *a.GetReflection();
    const bool has_a = r.HasField(a, field);
    const bool has_b = r.HasField(b, field);
    if (!has_a && !has_b) {
      return;
    }
    const Message& before = r.GetMessage(a, field);
    const Message& after = r.GetMessage(b, field);
    if (field->message_type()->full_name() == "onnx.TypeProto") {
      const auto text = [](const Message& m) { return TypeText(static_cast<const onnx::TypeProto&>(m)); };
      const std::string old_type = has_a ? text(before) : "none";
      const std::string new_type = has_b ? text(after) : "none";
      if (old_type != new_type) {
        log_.Changed(spot_, what, old_type, new_type);
        return;
      }
    }
    if (has_a && has_b) {
      Fields(before, after, what + ".", {});
    } else if (has_a) {
      log_.Changed(spot_, what, OneLine(before), "none");
    } else {
      log_.Changed(spot_, what, "none", OneLine(after));
    }
  }

  void Repeated(const Message& a, const Message& b, const FieldDescriptor* field, const std::string& what,
                const std::string& prefix) {
    const Reflection& r = *a.GetReflection();
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      std::string before = ListText(a, field);
      std::string after = ListText(b, field);
      if (before != after) {
        log_.Changed(spot_, what, std::move(before), std::move(after));
      }
      return;
    }
    const int count_a = r.FieldSize(a, field);
    const int count_b = r.FieldSize(b, field);
    if (count_a == 0 && count_b == 0) {
      return;
    }
    const FieldDescriptor* key = KeyField(*field->message_type(), log_.options());
    const auto key_of = [&](const Message& m, int i) {
      const Message& entry = r.GetRepeatedMessage(m, field, i);
      const std::string text = key == nullptr ? std::to_string(i) : entry.GetReflection()->GetString(entry, key);
      return key != nullptr && key->name() == "domain" ? DomainText(text) : text;
    };
    std::vector<std::string> before, after;
    for (int i = 0; i < count_a; ++i) {
      before.push_back(key_of(a, i));
    }
    for (int i = 0; i < count_b; ++i) {
      after.push_back(key_of(b, i));
    }
    const ListMatch match = MatchLists(before, after);
    for (const auto& [i, j] : match.both) {
      Entry(r.GetRepeatedMessage(a, field, i), r.GetRepeatedMessage(b, field, j), key,
            EntryName(*field, before[static_cast<size_t>(i)], prefix));
    }
    for (const int i : match.removed) {
      log_.Removed(spot_, EntryName(*field, before[static_cast<size_t>(i)], prefix),
                   EntryText(r.GetRepeatedMessage(a, field, i)));
    }
    for (const int j : match.added) {
      log_.Added(spot_, EntryName(*field, after[static_cast<size_t>(j)], prefix),
                 EntryText(r.GetRepeatedMessage(b, field, j)));
    }
    log_.Order(spot_, what, match.moved, match.both.size());
  }

  static std::string EntryName(const FieldDescriptor& field, const std::string& key, const std::string& prefix) {
    if (field.name() == "metadata_props") {
      return fmt::format("{}metadata {}", prefix, QuotedText(key));
    }
    if (field.name() == "opset_import") {
      return fmt::format("{}opset {}", prefix, key);
    }
    return fmt::format("{}{}[{}]", prefix, field.name(), key);
  }

  static std::string EntryText(const Message& entry) {
    const std::string type(entry.GetDescriptor()->full_name());
    if (type == "onnx.StringStringEntryProto") {
      return QuotedText(static_cast<const onnx::StringStringEntryProto&>(entry).value());
    }
    if (type == "onnx.OperatorSetIdProto") {
      return std::to_string(static_cast<const onnx::OperatorSetIdProto&>(entry).version());
    }
    return OneLine(entry);
  }

  void Entry(const Message& a, const Message& b, const FieldDescriptor* key, const std::string& name) {
    const std::string type(a.GetDescriptor()->full_name());
    std::vector<std::string_view> skip;
    if (key != nullptr) {
      skip.emplace_back(key->name().data(), key->name().size());
    }
    if (type == "onnx.StringStringEntryProto" || type == "onnx.OperatorSetIdProto") {
      const std::string before = EntryText(a);
      const std::string after = EntryText(b);
      const std::string_view value = type == "onnx.OperatorSetIdProto" ? "version" : "value";
      if (before != after) {
        log_.Changed(spot_, name, before, after);
        skip.push_back(value);
      }
    }
    Fields(a, b, name + ".", skip);
  }

  const SpotFunction& spot_;
  DiffLog& log_;
};

}  // namespace

void DiffFields(const google::protobuf::Message& before, const google::protobuf::Message& after,
                const std::string& prefix, const std::vector<std::string_view>& skip, const SpotFunction& spot,
                DiffLog& log) {
  Differ(spot, log).Fields(before, after, prefix, skip);
}

std::string TypeText(const onnx::TypeProto& type) {
  const auto tensor = [](const auto& t, std::string_view kind) {
    return fmt::format("{}{}{}", kind, DtypeName(t.elem_type()),
                       t.has_shape() ? " " + ShapeText(t.shape()) : " of any rank");
  };
  std::string open;
  std::string close;
  for (const onnx::TypeProto* t = &type;;) {
    switch (t->value_case()) {
      case onnx::TypeProto::kTensorType:
        return open + tensor(t->tensor_type(), "") + close;
      case onnx::TypeProto::kSparseTensorType:
        return open + tensor(t->sparse_tensor_type(), "sparse ") + close;
      case onnx::TypeProto::kSequenceType:
        open += "sequence(";
        t = &t->sequence_type().elem_type();
        break;
      case onnx::TypeProto::kOptionalType:
        open += "optional(";
        t = &t->optional_type().elem_type();
        break;
      case onnx::TypeProto::kMapType:
        open += fmt::format("map({}, ", DtypeName(t->map_type().key_type()));
        t = &t->map_type().value_type();
        break;
      default: {
        const std::string other = TypeName(*t);
        return open + (other.empty() ? "none" : other) + close;
      }
    }
    close += ")";
  }
}

}  // namespace gomai
