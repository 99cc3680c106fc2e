// Every operator that ONNX knows, in every version, with attributes and constants that nobody would write: inference
// ends, in bounded memory, whatever they hold.
#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "lib/graph/index.h"
#include "lib/graph/verify.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

using Random = std::mt19937_64;

int64_t OddNumber(Random& random) {
  static constexpr int64_t kNumbers[] = {0,
                                         1,
                                         2,
                                         3,
                                         -1,
                                         -2,
                                         4,
                                         7,
                                         64,
                                         1000,
                                         -1000,
                                         INT32_MAX,
                                         INT32_MIN,
                                         INT64_MAX,
                                         INT64_MIN,
                                         INT64_MAX - 1,
                                         INT64_C(4294967296),
                                         INT64_C(1099511627776),
                                         INT64_C(4611686018427387904)};
  return kNumbers[random() % std::size(kNumbers)];
}

// Small ones mostly, so that functions get as far as they can.
int64_t Number(Random& random) {
  return random() % 3 == 0 ? OddNumber(random) : static_cast<int64_t>(random() % 5) - 1;
}

onnx::TensorProto Constant(Random& random, int type) {
  onnx::TensorProto tensor;
  tensor.set_data_type(type);
  int64_t count = 1;
  if (random() % 4 != 0) {
    count = static_cast<int64_t>(random() % 6);
    tensor.add_dims(count);
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t number = Number(random);
    switch (type) {
      case onnx::TensorProto::FLOAT:
        tensor.add_float_data(static_cast<float>(number));
        break;
      case onnx::TensorProto::INT64:
        tensor.add_int64_data(number);
        break;
      default:
        tensor.add_int32_data(static_cast<int32_t>(number));
        break;
    }
  }
  return tensor;
}

onnx::TypeProto Type(Random& random) {
  static constexpr int kTypes[] = {onnx::TensorProto::FLOAT, onnx::TensorProto::FLOAT, onnx::TensorProto::INT64,
                                   onnx::TensorProto::INT32, onnx::TensorProto::BOOL,  onnx::TensorProto::UINT8,
                                   onnx::TensorProto::STRING};
  onnx::TypeProto type;
  onnx::TypeProto::Tensor* tensor = type.mutable_tensor_type();
  if (random() % 16 == 0) {
    tensor = type.mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type();
  } else if (random() % 32 == 0) {
    tensor = type.mutable_optional_type()->mutable_elem_type()->mutable_tensor_type();
  }
  tensor->set_elem_type(kTypes[random() % std::size(kTypes)]);
  if (random() % 8 != 0) {
    onnx::TensorShapeProto* shape = tensor->mutable_shape();
    const int rank = static_cast<int>(random() % 6);
    for (int i = 0; i < rank; ++i) {
      const uint64_t kind = random() % 8;
      if (kind == 0) {
        shape->add_dim();
      } else if (kind == 1) {
        shape->add_dim()->set_dim_param("n");
      } else {
        shape->add_dim()->set_dim_value(Number(random));
      }
    }
  }
  return type;
}

std::string Text(Random& random) {
  static const char* const kTexts[] = {"",    "SAME_UPPER",   "VALID",    "linear", "ij,jk->ik",
                                       "...", "......,->...", "constant", "x"};
  return kTexts[random() % std::size(kTexts)];
}

onnx::AttributeProto Attribute(Random& random, const std::string& name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(type);
  const int count = static_cast<int>(random() % 6);
  switch (type) {
    case onnx::AttributeProto::INT:
      attribute.set_i(Number(random));
      break;
    case onnx::AttributeProto::FLOAT:
      attribute.set_f(static_cast<float>(Number(random)));
      break;
    case onnx::AttributeProto::STRING:
      attribute.set_s(Text(random));
      break;
    case onnx::AttributeProto::TENSOR:
      *attribute.mutable_t() =
          Constant(random, random() % 2 == 0 ? onnx::TensorProto::FLOAT : onnx::TensorProto::INT64);
      break;
    case onnx::AttributeProto::INTS:
      for (int i = 0; i < count; ++i) attribute.add_ints(Number(random));
      break;
    case onnx::AttributeProto::FLOATS:
      for (int i = 0; i < count; ++i) attribute.add_floats(static_cast<float>(Number(random)));
      break;
    case onnx::AttributeProto::STRINGS:
      for (int i = 0; i < count; ++i) attribute.add_strings(Text(random));
      break;
    case onnx::AttributeProto::GRAPH: {
      onnx::GraphProto* body = attribute.mutable_g();
      body->set_name("body");
      const int inputs = static_cast<int>(random() % 4);
      for (int i = 0; i < inputs; ++i) {
        onnx::ValueInfoProto* input = body->add_input();
        input->set_name("body_" + std::to_string(i));
        *input->mutable_type() = Type(random);
        if (random() % 2 == 0) *body->add_output() = *input;
      }
      break;
    }
    case onnx::AttributeProto::TYPE_PROTO:
      *attribute.mutable_tp() = Type(random);
      break;
    default:
      break;
  }
  return attribute;
}

// One node of the operator; its inputs are graph inputs or constants.
onnx::ModelProto OddModel(Random& random, const onnx::OpSchema& schema) {
  onnx::ModelProto model;
  model.set_ir_version(10);
  onnx::OperatorSetIdProto* opset = model.add_opset_import();
  opset->set_domain(schema.domain());
  opset->set_version(schema.since_version());
  if (!schema.domain().empty()) {
    model.add_opset_import()->set_version(21);
  }
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("odd");
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type(schema.Name());
  node->set_domain(schema.domain());
  const int most = std::min(schema.max_input(), schema.min_input() + 3);
  const int inputs =
      schema.min_input() + static_cast<int>(random() % static_cast<uint64_t>(most - schema.min_input() + 1));
  for (int i = 0; i < inputs; ++i) {
    const std::string name = "in" + std::to_string(i);
    node->add_input(random() % 24 == 0 ? "" : name);
    if (i > 0 && random() % 2 == 0) {
      static constexpr int kTypes[] = {onnx::TensorProto::INT64, onnx::TensorProto::INT64, onnx::TensorProto::INT32,
                                       onnx::TensorProto::FLOAT};
      onnx::TensorProto* tensor = graph->add_initializer();
      *tensor = Constant(random, kTypes[random() % std::size(kTypes)]);
      tensor->set_name(name);
    } else {
      onnx::ValueInfoProto* input = graph->add_input();
      input->set_name(name);
      *input->mutable_type() = Type(random);
    }
  }
  const int outputs = std::min(schema.max_output(), schema.min_output() + static_cast<int>(random() % 4));
  for (int i = 0; i < outputs; ++i) {
    node->add_output("out" + std::to_string(i));
  }
  for (const auto& [name, attribute] : schema.attributes()) {
    if (attribute.required ? random() % 16 != 0 : random() % 2 == 0) {
      *node->add_attribute() = Attribute(random, name, attribute.type);
    }
  }
  return model;
}

TEST_CASE("inference takes every operator with odd operands") {
  std::vector<onnx::OpSchema> schemas = onnx::OpSchemaRegistry::get_all_schemas_with_history();
  std::sort(schemas.begin(), schemas.end(), [](const onnx::OpSchema& a, const onnx::OpSchema& b) {
    return std::tuple(a.domain(), a.Name(), a.since_version()) < std::tuple(b.domain(), b.Name(), b.since_version());
  });
  REQUIRE(schemas.size() > 300);
  Random random(20);
  int64_t inferred = 0;
  for (const onnx::OpSchema& schema : schemas) {
    for (int i = 0; i < 200; ++i) {
      onnx::ModelProto proto = OddModel(random, schema);
      INFO(proto.ShortDebugString());
      const Model model = Model::FromProto(std::move(proto));
      const Index index(model.proto());
      if (!VerifyForWriting(model, index).ok()) {
        continue;
      }
      const absl::StatusOr<Shapes> shapes = InferShapes(model, index);
      inferred += shapes.ok() ? 1 : 0;
    }
  }
  CHECK(inferred > 1000);
}

}  // namespace
}  // namespace gomai
