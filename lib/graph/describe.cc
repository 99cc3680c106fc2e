// Attributes and node differences as text. Every difference of the bytes must give a line, or a change set would claim
// that nothing happened; what has no words of its own is "other fields".
#include "lib/graph/describe.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/model/attribute.h"
#include "lib/model/dtype.h"

namespace gomai {
namespace {

constexpr int kMaxElements = 8;
constexpr size_t kMaxText = 60;

std::string Quoted(const std::string& text) {
  std::string shown;
  for (const char c : text.substr(0, kMaxText)) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return fmt::format("\"{}{}\"", shown, text.size() > kMaxText ? "…" : "");
}

template <typename List, typename Print>
std::string ListText(const List& list, Print print) {
  std::string text = "[";
  for (int i = 0; i < std::min(list.size(), kMaxElements); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", print(list.Get(i)));
  }
  return text + (list.size() > kMaxElements ? fmt::format(", … {} in all]", list.size()) : "]");
}

std::string TensorText(const onnx::TensorProto& tensor) {
  return fmt::format("{} {}", DtypeName(tensor.data_type()),
                     ListText(tensor.dims(), [](int64_t dim) { return std::to_string(dim); }));
}

std::string GraphText(const onnx::GraphProto& graph) {
  return fmt::format("graph of {} node{}", graph.node_size(), graph.node_size() == 1 ? "" : "s");
}

void DescribeNames(const char* what, const google::protobuf::RepeatedPtrField<std::string>& before,
                   const google::protobuf::RepeatedPtrField<std::string>& after, std::vector<std::string>* lines) {
  for (int i = 0; i < std::max(before.size(), after.size()); ++i) {
    if (i >= before.size()) {
      lines->push_back(fmt::format("{} {} \"{}\" added", what, i, after.Get(i)));
    } else if (i >= after.size()) {
      lines->push_back(fmt::format("{} {} \"{}\" removed", what, i, before.Get(i)));
    } else if (before.Get(i) != after.Get(i)) {
      lines->push_back(fmt::format("{} {} \"{}\" -> \"{}\"", what, i, before.Get(i), after.Get(i)));
    }
  }
}

}  // namespace

std::string AttributeText(const onnx::AttributeProto& attribute) {
  if (!attribute.ref_attr_name().empty()) {
    return "@" + attribute.ref_attr_name();
  }
  switch (attribute.type()) {
    case onnx::AttributeProto::FLOAT:
      return fmt::format("{}", attribute.f());
    case onnx::AttributeProto::INT:
      return fmt::format("{}", attribute.i());
    case onnx::AttributeProto::STRING:
      return Quoted(attribute.s());
    case onnx::AttributeProto::TENSOR:
      return TensorText(attribute.t());
    case onnx::AttributeProto::GRAPH:
      return GraphText(attribute.g());
    case onnx::AttributeProto::SPARSE_TENSOR:
      return "sparse " + TensorText(attribute.sparse_tensor().values());
    case onnx::AttributeProto::TYPE_PROTO:
      return TypeName(attribute.tp());
    case onnx::AttributeProto::FLOATS:
      return ListText(attribute.floats(), [](float f) { return fmt::format("{}", f); });
    case onnx::AttributeProto::INTS:
      return ListText(attribute.ints(), [](int64_t i) { return std::to_string(i); });
    case onnx::AttributeProto::STRINGS:
      return ListText(attribute.strings(), Quoted);
    case onnx::AttributeProto::TENSORS:
      return ListText(attribute.tensors(), TensorText);
    case onnx::AttributeProto::GRAPHS:
      return ListText(attribute.graphs(), GraphText);
    case onnx::AttributeProto::SPARSE_TENSORS:
      return fmt::format("{} sparse tensors", attribute.sparse_tensors_size());
    case onnx::AttributeProto::TYPE_PROTOS:
      return ListText(attribute.type_protos(), [](const onnx::TypeProto& type) { return TypeName(type); });
    default:
      return "no type";
  }
}

std::vector<std::string> DescribeNodeChanges(const onnx::NodeProto& before, const onnx::NodeProto& after) {
  std::vector<std::string> lines;
  const auto field = [&](const char* what, const std::string& old_text, const std::string& new_text) {
    if (old_text != new_text) {
      lines.push_back(fmt::format("{} {} -> {}", what, Quoted(old_text), Quoted(new_text)));
    }
  };
  field("op type", before.op_type(), after.op_type());
  field("domain", before.domain(), after.domain());
  field("overload", before.overload(), after.overload());
  field("name", before.name(), after.name());
  DescribeNames("input", before.input(), after.input(), &lines);
  DescribeNames("output", before.output(), after.output(), &lines);
  for (const onnx::AttributeProto& attribute : before.attribute()) {
    const onnx::AttributeProto* now = FindAttribute(after, attribute.name());
    if (now == nullptr) {
      lines.push_back(fmt::format("attribute {} {} removed", attribute.name(), AttributeText(attribute)));
    } else if (now->SerializePartialAsString() != attribute.SerializePartialAsString()) {
      const std::string old_text = AttributeText(attribute);
      const std::string new_text = AttributeText(*now);
      lines.push_back(old_text == new_text
                          ? fmt::format("attribute {} changed", attribute.name())
                          : fmt::format("attribute {} {} -> {}", attribute.name(), old_text, new_text));
    }
  }
  for (const onnx::AttributeProto& attribute : after.attribute()) {
    if (FindAttribute(before, attribute.name()) == nullptr) {
      lines.push_back(fmt::format("attribute {} {} added", attribute.name(), AttributeText(attribute)));
    }
  }
  field("doc string", before.doc_string(), after.doc_string());
  if (lines.empty() && before.SerializePartialAsString() != after.SerializePartialAsString()) {
    lines.emplace_back("other fields");
  }
  return lines;
}

}  // namespace gomai
