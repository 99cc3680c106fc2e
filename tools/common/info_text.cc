// See info_text.h.
#include "tools/common/info_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/shape/infer.h"

namespace gomai {

std::string Grouped(uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      text += ',';
    }
    text += digits[i];
  }
  return text;
}

std::string Plural(uint64_t count, std::string_view singular, std::string_view plural) {
  return fmt::format("{} {}", Grouped(count), count == 1 ? singular : plural);
}

std::vector<std::string> CountItems(const std::vector<Count>& counts, size_t limit) {
  std::vector<std::string> items;
  for (size_t i = 0; i < std::min(limit, counts.size()); ++i) {
    items.push_back(fmt::format("{} {}", counts[i].count, counts[i].name));
  }
  if (counts.size() > limit) {
    items.push_back(fmt::format("{} more", counts.size() - limit));
  }
  return items;
}

nlohmann::ordered_json CountJson(const std::vector<Count>& counts) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const Count& count : counts) {
    json[count.name] = count.count;
  }
  return json;
}

std::string Dims(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return type.has_tensor_type() ? "any rank" : "";
  }
  std::string text;
  for (const onnx::TensorShapeProto::Dimension& dim : shape->dim()) {
    text += fmt::format("{}{}", text.empty() ? "" : " x ",
                        dim.has_dim_value()       ? std::to_string(dim.dim_value())
                        : dim.dim_param().empty() ? "?"
                                                  : dim.dim_param());
  }
  return text.empty() ? "scalar" : text;
}

nlohmann::ordered_json ShapeJson(const onnx::TypeProto& type) {
  const onnx::TensorShapeProto* shape = FindShape(type);
  if (shape == nullptr) {
    return nullptr;
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const onnx::TensorShapeProto::Dimension& dim : shape->dim()) {
    json.push_back(dim.has_dim_value()       ? nlohmann::ordered_json(dim.dim_value())
                   : dim.dim_param().empty() ? nlohmann::ordered_json()
                                             : nlohmann::ordered_json(dim.dim_param()));
  }
  return json;
}

}  // namespace gomai
