// HostTensor, its range, and made-up tensors.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <limits>

#include "lib/runtime/backend.h"
#include "lib/runtime/tensor.h"

namespace gomai {
namespace {

using onnx::TensorProto;
using Shape = std::vector<int64_t>;

TEST_CASE("tensors are zeroed, aligned and sized by dtype and shape") {
  for (const int dtype : {TensorProto::FLOAT, TensorProto::INT4, TensorProto::BOOL, TensorProto::COMPLEX128}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{0, 4}, Shape{2, 3, 5}}) {
      const absl::StatusOr<HostTensor> tensor = HostTensor::Create(dtype, shape);
      REQUIRE(tensor.ok());
      CHECK(tensor->bytes().size() == PackedBytes(dtype, static_cast<uint64_t>(tensor->count())));
      CHECK(reinterpret_cast<uintptr_t>(tensor->bytes().data()) % 64 == 0);
      CHECK(tensor->bytes().data() != nullptr);
      CHECK(std::all_of(tensor->bytes().begin(), tensor->bytes().end(), [](uint8_t byte) { return byte == 0; }));
    }
  }
  CHECK(HostTensor::Create(TensorProto::FLOAT, {2, 0})->Describe() == "float32 [2,0]");
  CHECK(HostTensor::Create(TensorProto::STRING, {2})->strings() == std::vector<std::string>(2));
}

TEST_CASE("shapes that make no sense are refused") {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  CHECK(Message(HostTensor::Create(TensorProto::FLOAT, {2, -1}).status()) ==
        "the shape [2,-1] has a negative dimension");
  CHECK_FALSE(HostTensor::Create(TensorProto::FLOAT, {huge, huge}).ok());
  CHECK_FALSE(HostTensor::Create(TensorProto::FLOAT, {huge}).ok());
  CHECK_FALSE(HostTensor::Create(TensorProto::STRING, {huge}).ok());
  CHECK_FALSE(HostTensor::Create(TensorProto::UNDEFINED, {1}).ok());
  // A factor of zero makes it empty, however large the others are.
  CHECK(HostTensor::Create(TensorProto::FLOAT, {huge, huge, 0})->bytes().empty());
}

TEST_CASE("an unaligned tensor is copied, an aligned one is not") {
  const auto block = std::make_shared<std::vector<uint8_t>>(256);
  for (size_t i = 0; i < block->size(); ++i) {
    (*block)[i] = static_cast<uint8_t>(i);
  }
  const size_t skip = 64 - reinterpret_cast<uintptr_t>(block->data()) % 64;
  const std::span<const uint8_t> bytes(block->data(), block->size());
  const HostTensor at = HostTensor::Wrap(TensorProto::UINT8, {8}, bytes.subspan(skip, 8), block);
  const HostTensor off = HostTensor::Wrap(TensorProto::UINT8, {8}, bytes.subspan(skip + 4, 8), block);
  CHECK(Aligned(at)->bytes().data() == at.bytes().data());
  const absl::StatusOr<HostTensor> copy = Aligned(off);
  REQUIRE(copy.ok());
  CHECK(copy->bytes().data() != off.bytes().data());
  CHECK(std::equal(copy->bytes().begin(), copy->bytes().end(), off.bytes().begin(), off.bytes().end()));
}

TEST_CASE("ranges are over finite values") {
  absl::StatusOr<HostTensor> floats = HostTensor::Create(TensorProto::FLOAT, {4});
  const float values[] = {-1.5F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 2};
  std::memcpy(floats->mutable_bytes().data(), values, sizeof(values));
  const TensorRange range = RangeOf(*floats);
  CHECK(range.min == "-1.5");
  CHECK(range.max == "2");
  CHECK(range.nan == 1);
  CHECK(range.infinite == 1);
  absl::StatusOr<HostTensor> half = HostTensor::Create(TensorProto::FLOAT16, {2});
  const uint16_t halves[] = {0x3555, 0xc000};
  std::memcpy(half->mutable_bytes().data(), halves, sizeof(halves));
  CHECK(RangeOf(*half).min == "-2");
  CHECK(RangeOf(*half).max == "0.333252");
  CHECK(RangeOf(*HostTensor::Create(TensorProto::FLOAT, {0, 4})).min.empty());
}

ValueSpec Spec(const std::string& name, int dtype, Shape shape) {
  ValueSpec spec;
  spec.name = name;
  spec.dtype = dtype;
  spec.type = DtypeName(dtype);
  spec.has_shape = true;
  spec.shape = std::move(shape);
  spec.symbols.resize(spec.shape.size());
  return spec;
}

TEST_CASE("made-up values depend on seed, name and index only, and are the same for ever") {
  const ValueSpec spec = Spec("image", TensorProto::FLOAT, {-1, -1});
  const absl::StatusOr<HostTensor> small = RandomTensor(spec, 7, {1, 3});
  const absl::StatusOr<HostTensor> large = RandomTensor(spec, 7, {2, 3});
  REQUIRE(small.ok());
  REQUIRE(large.ok());
  CHECK(std::equal(small->bytes().begin(), small->bytes().end(), large->bytes().begin()));
  // 717112 and 10084705 of 2^24, computed apart from this code.
  CHECK(small->As<float>()[0] == 717112 * 0x1p-24F);
  CHECK(small->As<float>()[1] == 10084705 * 0x1p-24F);
  CHECK(RandomTensor(spec, 8, {1, 3})->As<float>()[0] != small->As<float>()[0]);
  CHECK(RandomTensor(Spec("other", TensorProto::FLOAT, {3}), 7, {3})->As<float>()[0] != small->As<float>()[0]);
  CHECK(Message(RandomTensor(Spec("x", TensorProto::FLOAT, {3, -1}), 7, {2, 2}).status()) ==
        "input 'x' is float32 [3,?]; the shape [2,2] doesn't fit");
}

TEST_CASE("made-up values of every type are in range") {
  const absl::StatusOr<HostTensor> halves = RandomTensor(Spec("h", TensorProto::FLOAT16, {1000}), 1, {1000});
  REQUIRE(halves.ok());
  const TensorRange half = RangeOf(*halves);
  CHECK(std::stod(half.min) >= 0);
  CHECK(std::stod(half.min) < 0.01);
  CHECK(std::stod(half.max) < 1);
  CHECK(std::stod(half.max) > 0.99);
  const absl::StatusOr<HostTensor> brains = RandomTensor(Spec("b", TensorProto::BFLOAT16, {1000}), 1, {1000});
  CHECK(std::stod(RangeOf(*brains).max) == 0.996094);
  const absl::StatusOr<HostTensor> ints = RandomTensor(Spec("i", TensorProto::INT64, {1000}), 1, {1000});
  CHECK(RangeOf(*ints).min == "0");
  CHECK(RangeOf(*ints).max == "7");
  const absl::StatusOr<HostTensor> bools = RandomTensor(Spec("i", TensorProto::BOOL, {1000}), 1, {1000});
  CHECK(RangeOf(*bools).max == "1");
  // Each of 4 bits in [0,8): no byte has a nibble's top bit.
  const absl::StatusOr<HostTensor> nibbles = RandomTensor(Spec("i", TensorProto::INT4, {7}), 1, {7});
  REQUIRE(nibbles.ok());
  CHECK(nibbles->bytes().size() == 4);
  CHECK(std::all_of(nibbles->bytes().begin(), nibbles->bytes().end(), [](uint8_t b) { return (b & 0x88) == 0; }));
  CHECK(RandomTensor(Spec("s", TensorProto::STRING, {2}), 1, {2})->strings() == std::vector<std::string>{"s0", "s1"});
  for (int dtype = 1; dtype <= 26; ++dtype) {
    CAPTURE(dtype);
    CHECK(RandomTensor(Spec("any", dtype, {5}), 1, {5}).ok());
  }
}

TEST_CASE("inputs are made up for what isn't given") {
  const std::vector<ValueSpec> inputs = {Spec("a", TensorProto::FLOAT, {2}), Spec("b", TensorProto::FLOAT, {-1, 4})};
  CHECK(Message(RandomInputs(inputs, 0, {}, {}).status()) ==
        "input 'b' is float32 [?,4]; say what size to make up for it");
  CHECK(Message(RandomInputs(inputs, 0, {{"bb", {3, 4}}}, {}).status())
            .starts_with("a shape is given for 'bb', which is no input of the model"));
  const absl::StatusOr<NamedTensors> made = RandomInputs(inputs, 0, {{"b", {3, 4}}}, {{"a", HostTensor()}});
  REQUIRE(made.ok());
  CHECK(made->size() == 1);
  CHECK(made->at("b").shape() == Shape{3, 4});
}

TEST_CASE("shapes of inputs as people type them") {
  const auto shapes = ParseInputShapes({"image:1x3x4", "a:b:[2, 5]", "s:"});
  REQUIRE(shapes.ok());
  CHECK(shapes->at("image") == Shape{1, 3, 4});
  CHECK(shapes->at("a:b") == Shape{2, 5});
  CHECK(shapes->at("s").empty());
  CHECK_FALSE(ParseInputShapes({"image"}).ok());
  CHECK_FALSE(ParseInputShapes({"image:1x-3"}).ok());
  CHECK_FALSE(ParseInputShapes({"image:1x"}).ok());
  CHECK(Message(ParseInputShapes({"i:1", "i:2"}).status()) == "two shapes are given for the input 'i'");
}

}  // namespace
}  // namespace gomai
