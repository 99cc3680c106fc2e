// What Deflate leaves out and what it leaves alone, on hand-built bytes; and what it refuses.
#include "lib/wire/deflate.h"

#include <onnx/onnx_pb.h>

#include <catch2/catch_test_macros.hpp>

#include "lib/wire/marker.h"
#include "lib/wire/reader.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

using testing::CheckRoundTrip;
using wire::WireType;

std::string Field(uint32_t number, const std::string& contents) {
  std::string out;
  wire::AppendLengthField(&out, number, contents);
  return out;
}

std::string Varint(uint32_t number, uint64_t value) {
  std::string out;
  wire::AppendVarint(&out, wire::Tag(number, WireType::kVarint));
  wire::AppendVarint(&out, value);
  return out;
}

// The length with one superfluous byte.
std::string LongField(uint32_t number, const std::string& contents) {
  std::string out;
  wire::AppendVarint(&out, wire::Tag(number, WireType::kLength));
  wire::AppendVarint(&out, contents.size());
  out.back() = static_cast<char>(out.back() | '\x80');
  out += '\0';
  return out + contents;
}

const std::string kPayload(64, 'p');
const std::string kName = Field(8, "w");
const std::string kRaw = Field(9, kPayload);

std::string Model(const std::string& tensor) { return Field(7, Field(5, tensor)); }

// How many payloads go, after checking that all comes back.
size_t LeftOut(const std::string& model, uint64_t threshold = 16) {
  size_t left_out = 0;
  CHECK(CheckRoundTrip(model, threshold, &left_out) == "");
  return left_out;
}

absl::StatusOr<wire::Skeleton> Deflate(const std::string& model, uint64_t threshold = 16) {
  return wire::Deflate({reinterpret_cast<const uint8_t*>(model.data()), model.size()}, 5, threshold);
}

TEST_CASE("plain payloads go, in any place among the fields") {
  CHECK(LeftOut(Model(kName + kRaw)) == 1);
  CHECK(LeftOut(Model(kRaw + kName)) == 1);
  CHECK(LeftOut(Model(Field(12, "doc") + kRaw + kName)) == 1);
  CHECK(LeftOut(Model(Field(4, kPayload))) == 1);
  CHECK(LeftOut(Model(kName + Field(10, kPayload))) == 1);
  CHECK(LeftOut(Model(kRaw + Varint(14, 0))) == 1);
  CHECK(LeftOut(Model(Varint(14, 0) + kName + kRaw)) == 1);
  CHECK(LeftOut(Model(kRaw + Field(16, Field(1, "key")) + Field(99, "unknown"))) == 1);
  CHECK(LeftOut(Field(99, "unknown") + Model(kRaw) + Varint(98, 7)) == 1);
}

TEST_CASE("the threshold is what is left out at least") {
  CHECK(LeftOut(Model(kRaw), 64) == 1);
  CHECK(LeftOut(Model(kRaw), 65) == 0);
  CHECK(LeftOut(Model(Field(9, "")), 1) == 0);
  CHECK(LeftOut(Model(Field(9, "")), 0) == 0);
  CHECK(LeftOut(Model(Field(9, "x")), 0) == 1);
}

TEST_CASE("whatever is odd stays") {
  CHECK(LeftOut(Model(kRaw + kRaw)) == 0);  // two occurrences
  CHECK(LeftOut(Model(Field(4, kPayload) + Field(4, kPayload))) == 0);
  CHECK(LeftOut(Model(kRaw + Field(7, std::string("\x01")))) == 0);  // two payload fields
  CHECK(LeftOut(Model(kRaw + Varint(5, 3))) == 0);
  CHECK(LeftOut(Model(kRaw + Field(6, "text"))) == 0);
  CHECK(LeftOut(Model(kRaw + Varint(9, 3))) == 0);  // a wrong wire type beside it
  CHECK(LeftOut(Model(kRaw + Field(13, Field(1, "location")))) == 0);
  CHECK(LeftOut(Model(kRaw + Varint(14, 1))) == 0);
  CHECK(LeftOut(Model(kRaw + Varint(14, 0) + Varint(14, 0))) == 0);
  CHECK(LeftOut(Model(kRaw + Varint(14, 7))) == 0);                   // not a location that is known
  CHECK(LeftOut(Model(kRaw + std::string("\x70\x80\x00", 3))) == 0);  // DEFAULT in two bytes
  CHECK(LeftOut(Model(kRaw + Field(3, Varint(1, 0)))) == 0);          // a segment
  CHECK(LeftOut(Model(Field(5, kPayload))) == 0);                     // varints
  CHECK(LeftOut(Model(Field(7, kPayload))) == 0);
}

TEST_CASE("superfluous bytes in lengths stay as they are") {
  CHECK(LeftOut(Model(LongField(9, kPayload))) == 0);
  CHECK(LeftOut(Field(7, LongField(5, kRaw))) == 0);
  CHECK(LeftOut(LongField(7, Field(5, kRaw))) == 0);
  // A sibling's odd length is no reason to keep this one.
  CHECK(LeftOut(Field(7, LongField(5, kRaw) + Field(5, kRaw))) == 1);
  // So is one that isn't on the way.
  CHECK(LeftOut(Model(LongField(8, "name") + kRaw)) == 1);
}

TEST_CASE("singular messages that occur twice are protobuf's to merge") {
  CHECK(LeftOut(Model(kRaw) + Model(kRaw)) == 0);
  CHECK(LeftOut(Model(kRaw) + Field(7, "")) == 0);
  CHECK(LeftOut(Field(7, "") + Model(kRaw)) == 0);
  const auto node = [](const std::string& attribute) { return Field(7, Field(1, Field(5, attribute))); };
  CHECK(LeftOut(node(Field(5, kRaw))) == 1);
  CHECK(LeftOut(node(Field(5, kRaw) + Field(5, kRaw))) == 0);
  CHECK(LeftOut(node(Field(6, Field(5, kRaw)) + Field(6, ""))) == 0);
  CHECK(LeftOut(node(Field(5, kRaw) + Field(5, kRaw) + Field(10, kRaw))) == 1);  // `tensors` is repeated
  CHECK(LeftOut(node(Field(22, Field(1, kRaw) + Field(1, kRaw) + Field(2, kRaw)))) == 1);
}

TEST_CASE("groups are skipped as unknown fields") {
  const std::string group = std::string("\x9b\x06") + Varint(1, 5) + "\x13" + Field(9, "inside") + "\x14" + "\x9c\x06";
  CHECK(LeftOut(group + Model(group + kRaw + group)) == 1);
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += '\x0b';
  const absl::StatusOr<wire::Skeleton> skeleton = Deflate(deep + Model(kRaw));
  CHECK(absl::IsDataLoss(skeleton.status()));
}

TEST_CASE("a model 10,000 bodies deep is copied, not descended into") {
  std::string graph = Field(5, kRaw);
  for (int i = 0; i < 10000; ++i) {
    std::string attribute;
    wire::AppendLengthField(&attribute, 6, graph);
    std::string node;
    wire::AppendLengthField(&node, 5, attribute);
    graph.clear();
    wire::AppendLengthField(&graph, 1, node);
  }
  CHECK(LeftOut(Field(7, graph)) == 0);
  // Whatever protobuf can still parse is descended into.
  for (const int bodies : {10, 30, 31, 32, 33, 34, 40}) {
    std::string inner = Field(5, kRaw);
    for (int i = 0; i < bodies; ++i) {
      inner = Field(1, Field(5, Field(6, inner)));
    }
    const std::string model = Field(7, inner);
    onnx::ModelProto proto;
    if (proto.ParseFromString(model)) {
      CHECK(LeftOut(model) == 1);
    }
  }
}

TEST_CASE("bytes that aren't protobuf are refused with their place") {
  const auto message = [](const std::string& model) {
    const absl::StatusOr<wire::Skeleton> skeleton = Deflate(model);
    REQUIRE(absl::IsDataLoss(skeleton.status()));
    return std::string(Message(skeleton.status()));
  };
  CHECK(message(std::string("\x3a\xff", 2)) == "byte 1: a number is cut off by the end of its message");
  CHECK(message(std::string("\x3a\x05\x00", 3)) == "byte 0: a field runs past the end of its message");
  CHECK(message(std::string("\x08\x01\x3f", 3)) == "byte 2: a field has an unknown wire type");
  CHECK(message(std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10)) ==
        "byte 0: a field runs past the end of its message");
  CHECK(message(std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11)) ==
        "byte 1: a number doesn't fit in 64 bits");
  CHECK(message(std::string("\x00\x01", 2)) == "byte 0: a field number is out of range");
  CHECK(message("\x0c") == "byte 0: a group ends that didn't begin");
  CHECK(message("\x0b") == "byte 1: a group isn't closed before the end of its message");
  // Inside a tensor, too: a length that would leave it.
  CHECK(message(Field(7, Field(5, std::string("\x4a\x7f\x00", 3)))) ==
        "byte 4: a field runs past the end of its message");
}

TEST_CASE("a file that carries the marker key is refused") {
  const std::string entry = Field(13, Field(1, std::string(wire::kMarkerKey)) + Field(2, "9"));
  for (const std::string& model : {Model(entry), Model(kRaw + entry + Varint(14, 1)), Model(entry) + Model(entry),
                                   Model(Field(13, Field(1, "location") + Field(1, std::string(wire::kMarkerKey))))}) {
    const absl::StatusOr<wire::Skeleton> skeleton = Deflate(model);
    CHECK(absl::IsInvalidArgument(skeleton.status()));
    CHECK(Message(skeleton.status()).find("reserved") != std::string_view::npos);
  }
  // As a text elsewhere it is just a text.
  CHECK(LeftOut(Model(Field(12, std::string(wire::kMarkerKey)) + kRaw)) == 1);
  CHECK(LeftOut(Model(kRaw + Field(16, Field(1, std::string(wire::kMarkerKey))))) == 1);
}

TEST_CASE("the skeleton holds markers that say where the payload is") {
  const std::string model = Model(kName + kRaw + Varint(14, 0));
  const absl::StatusOr<wire::Skeleton> skeleton = Deflate(model);
  REQUIRE(skeleton.ok());
  REQUIRE(skeleton->payloads.size() == 1);
  CHECK(skeleton->payloads[0].length == 64);
  CHECK(model.substr(skeleton->payloads[0].offset, 64) == kPayload);
  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(skeleton->bytes));
  const onnx::TensorProto& tensor = proto.graph().initializer(0);
  CHECK(tensor.name() == "w");
  CHECK(!tensor.has_raw_data());
  CHECK(tensor.data_location() == onnx::TensorProto::EXTERNAL);
  REQUIRE(tensor.external_data_size() == 4);
  CHECK(tensor.external_data(0).value() == "5");
  CHECK(tensor.external_data(1).value() == std::to_string(skeleton->payloads[0].offset));
  CHECK(tensor.external_data(2).value() == "64");
  CHECK(tensor.external_data(3).key() == wire::kMarkerKey);
  CHECK(tensor.external_data(3).value() == "9,location");
}

TEST_CASE("inflating counts the size before anything is written") {
  // Two tensors that refer to 1.2 GB each: small on paper, too large as one file.
  onnx::ModelProto proto;
  for (int i = 0; i < 2; ++i) {
    const std::string tensor = wire::MarkerToWire({1, 100, 1200000000, 9, false});
    REQUIRE(proto.mutable_graph()->add_initializer()->ParseFromString(tensor));
  }
  const absl::StatusOr<wire::GatherList> list =
      wire::Inflate(proto.SerializeAsString(), wire::PayloadPlace::kCanonical);
  CHECK(absl::IsResourceExhausted(list.status()));
  CHECK(Message(list.status()).find("--weights=external") != std::string_view::npos);
  proto.mutable_graph()->mutable_initializer()->RemoveLast();
  const absl::StatusOr<wire::GatherList> one = wire::Inflate(proto.SerializeAsString(), wire::PayloadPlace::kCanonical);
  REQUIRE(one.ok());
  CHECK(one->size == 1200000000 + 6 + 6 + 6);
}

TEST_CASE("markers are text that comes back") {
  for (const wire::Marker& marker : {wire::Marker{1, 2, 3, 9, false}, wire::Marker{7, 1ULL << 40, 1ULL << 33, 4, true},
                                     wire::Marker{~0ULL, 0, 8, 10, true}}) {
    const wire::MarkerTexts texts = wire::MarkerToTexts(marker);
    const auto back = wire::MarkerFromTexts(texts.location, texts.offset, texts.length, texts.inlined);
    REQUIRE(back.has_value());
    CHECK(back->source_id == marker.source_id);
    CHECK(back->offset == marker.offset);
    CHECK(back->length == marker.length);
    CHECK(back->field == marker.field);
    CHECK(back->explicit_location == marker.explicit_location);
  }
  CHECK(!wire::MarkerFromTexts("1", "2", "3", "8"));
  CHECK(!wire::MarkerFromTexts("file.bin", "2", "3", "9"));
  CHECK(!wire::MarkerFromTexts("1", "-2", "3", "9"));
  CHECK(!wire::MarkerFromTexts("1", "2", "", "9"));
}

}  // namespace
}  // namespace gomai
