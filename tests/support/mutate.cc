// See mutate.h.
#include "tests/support/mutate.h"

#include <onnx/onnx_pb.h>

#include <utility>
#include <vector>

#include "lib/wire/reader.h"

namespace gomai::testing {

std::string RichModel(int scale) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("test");
  const auto raw = [scale](onnx::TensorProto* t, const std::string& name, int size) {
    t->set_name(name);
    t->set_data_type(onnx::TensorProto::UINT8);
    size *= scale;
    t->add_dims(size);
    t->set_raw_data(std::string(static_cast<size_t>(size), 'r'));
    t->set_doc_string("after the payload");
  };
  const auto floats = [scale](onnx::TensorProto* t) {
    t->set_data_type(onnx::TensorProto::FLOAT);
    t->add_dims(9 * scale);
    for (int i = 0; i < 9 * scale; ++i) t->add_float_data(static_cast<float>(i));
    t->set_data_location(onnx::TensorProto::DEFAULT);
  };
  const auto doubles = [scale](onnx::TensorProto* t) {
    t->set_data_type(onnx::TensorProto::DOUBLE);
    t->add_dims(20 * scale);
    for (int i = 0; i < 20 * scale; ++i) t->add_double_data(i);
    t->set_name("doubles");
  };
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("g");
  raw(graph->add_initializer(), "w", 300);
  floats(graph->add_initializer());
  doubles(graph->add_initializer());
  onnx::TensorProto* integers = graph->add_initializer();
  for (int i = 0; i < 30; ++i) integers->add_int64_data(i * 1000);
  onnx::TensorProto* strings = graph->add_initializer();
  strings->add_string_data("some text in a tensor");
  onnx::TensorProto* external = graph->add_initializer();
  external->set_data_location(onnx::TensorProto::EXTERNAL);
  external->set_data_type(onnx::TensorProto::UINT8);
  external->add_dims(3);
  external->add_external_data()->set_key("location");
  external->mutable_external_data(0)->set_value("w.bin");
  raw(graph->add_sparse_initializer()->mutable_values(), "s", 20);
  raw(graph->mutable_sparse_initializer(0)->mutable_indices(), "i", 200);
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("If");
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(name);
    raw(attribute->mutable_g()->add_initializer(), "in body", 40);
    raw(attribute->mutable_g()->add_node()->add_attribute()->mutable_t(), "constant", 50);
  }
  onnx::AttributeProto* lists = node->add_attribute();
  raw(lists->add_tensors(), "t0", 17);
  floats(lists->add_tensors());
  raw(lists->add_graphs()->add_initializer(), "gs", 130);
  raw(lists->mutable_sparse_tensor()->mutable_values(), "sv", 21);
  raw(lists->add_sparse_tensors()->mutable_indices(), "si", 22);
  onnx::FunctionProto* function = model.add_functions();
  raw(function->add_node()->add_attribute()->mutable_t(), "in function", 33);
  raw(function->add_attribute_proto()->mutable_t(), "default", 34);
  raw(model.add_training_info()->mutable_initialization()->add_initializer(), "init", 35);
  raw(model.mutable_training_info(0)->mutable_algorithm()->add_initializer(), "algo", 36);
  return model.SerializeAsString();
}

namespace {

struct Part {
  wire::Field field;
  std::string bytes;
};

std::vector<Part> Parts(const std::string& message) {
  const wire::MemoryBytes source({reinterpret_cast<const uint8_t*>(message.data()), message.size()});
  wire::Window window(source);
  wire::Fields fields(&window, 0, message.size());
  std::vector<Part> parts;
  wire::Field field;
  while (fields.Next(&field)) {
    parts.push_back({field, message.substr(field.begin, field.end - field.begin)});
  }
  return fields.ok() ? parts : std::vector<Part>();
}

}  // namespace

std::string Reorder(const std::string& model, std::mt19937_64& random) {
  struct Level {
    std::vector<Part> parts;
    size_t child;
  };
  std::vector<Level> levels;
  std::string current = model;
  while (true) {
    std::vector<Part> parts = Parts(current);
    if (parts.empty()) {
      break;
    }
    const size_t child = random() % parts.size();
    const wire::Field field = parts[child].field;
    levels.push_back({std::move(parts), child});
    if (field.type != wire::WireType::kLength || random() % 4 == 0) {
      break;
    }
    current = current.substr(field.data, field.end - field.data);
  }
  std::string inner;
  for (size_t i = levels.size(); i-- > 0;) {
    Level& level = levels[i];
    if (i + 1 < levels.size()) {
      std::string rebuilt;
      wire::AppendLengthField(&rebuilt, level.parts[level.child].field.number, inner);
      level.parts[level.child].bytes = rebuilt;
    } else {
      for (size_t k = level.parts.size(); k > 1; --k) {
        std::swap(level.parts[k - 1], level.parts[random() % k]);
      }
    }
    inner.clear();
    for (const Part& part : level.parts) {
      inner += part.bytes;
    }
  }
  return inner;
}

std::string Mutate(std::string bytes, std::mt19937_64& random) {
  const size_t times = 1 + random() % 4;
  for (size_t i = 0; i < times && !bytes.empty(); ++i) {
    const size_t at = random() % bytes.size();
    switch (random() % 7) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, 1 + random() % 3, static_cast<char>(random()));
        break;
      case 4:
        bytes.erase(at, 1 + random() % 5);
        break;
      case 5: {  // a piece again, elsewhere
        const std::string piece = bytes.substr(at, random() % 40);
        bytes.insert(random() % bytes.size(), piece);
        break;
      }
      default:
        if (std::string reordered = Reorder(bytes, random); !reordered.empty()) {
          bytes = std::move(reordered);
        }
        break;
    }
  }
  return bytes;
}

}  // namespace gomai::testing
