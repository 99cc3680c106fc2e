// inflate(deflate(x)) == x: on every model at hand and on thousands of files made by breaking small ones.
#include <onnx/onnx_pb.h>

#include <catch2/catch_test_macros.hpp>
#include <random>

#include "lib/wire/reader.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

using testing::CheckRoundTrip;

// A small model that has a tensor wherever a tensor can be.
std::string RichModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("test");
  const auto raw = [](onnx::TensorProto* t, const std::string& name, int size) {
    t->set_name(name);
    t->set_data_type(onnx::TensorProto::UINT8);
    t->add_dims(size);
    t->set_raw_data(std::string(static_cast<size_t>(size), 'r'));
    t->set_doc_string("after the payload");
  };
  const auto floats = [](onnx::TensorProto* t) {
    t->set_data_type(onnx::TensorProto::FLOAT);
    t->add_dims(9);
    for (int i = 0; i < 9; ++i) t->add_float_data(static_cast<float>(i));
    t->set_data_location(onnx::TensorProto::DEFAULT);
  };
  const auto doubles = [](onnx::TensorProto* t) {
    t->set_data_type(onnx::TensorProto::DOUBLE);
    for (int i = 0; i < 20; ++i) t->add_double_data(i);
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
  external->add_external_data()->set_key("location");
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

// The fields of some message on a random way down in another order, all lengths right.
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

TEST_CASE("every model at hand comes back byte for byte") {
  size_t left_out = 0;
  for (const std::filesystem::path& path : testing::AllModels()) {
    const std::string bytes = testing::ReadFile(path.string());
    for (const uint64_t threshold : {1, 64, 4096}) {
      INFO(path << ", threshold " << threshold);
      REQUIRE(CheckRoundTrip(bytes, threshold, &left_out) == "");
    }
  }
  CHECK(left_out > 1000);
}

TEST_CASE("a tensor is left out wherever it stands") {
  size_t left_out = 0;
  REQUIRE(CheckRoundTrip(RichModel(), 16, &left_out) == "");
  CHECK(left_out == 18);
}

TEST_CASE("cut at every byte") {
  const std::string model = RichModel();
  for (size_t size = 0; size <= model.size(); ++size) {
    INFO("cut to " << size << " bytes");
    REQUIRE(CheckRoundTrip(std::string_view(model).substr(0, size), 16) == "");
  }
}

TEST_CASE("broken files are refused or come back byte for byte") {
  std::vector<std::string> seeds = {RichModel()};
  for (const std::filesystem::path& path : testing::AllModels()) {
    if (std::filesystem::file_size(path) < 3000 && seeds.size() < 60) {
      seeds.push_back(testing::ReadFile(path.string()));
    }
  }
  std::mt19937_64 random(20240229);
  size_t left_out = 0;
  for (int i = 0; i < 30000; ++i) {
    const std::string bytes = Mutate(seeds[i % 3 == 0 ? 0 : random() % seeds.size()], random);
    const std::string fault = CheckRoundTrip(bytes, 1 + random() % 32, &left_out);
    INFO("mutation " << i);
    REQUIRE(fault == "");
  }
  CHECK(left_out > 10000);
}

TEST_CASE("fields in any order come back byte for byte") {
  const std::string model = RichModel();
  std::mt19937_64 random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = model;
    for (int k = 0; k < 5; ++k) {
      bytes = Reorder(bytes, random);
    }
    size_t left_out = 0;
    INFO("reordering " << i);
    REQUIRE(CheckRoundTrip(bytes, 16, &left_out) == "");
    REQUIRE(left_out > 0);
  }
}

}  // namespace
}  // namespace gomai
