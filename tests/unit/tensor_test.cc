// Tensor values in every type and every form of storage; element types; external references and their containment.
#include "lib/model/tensor.h"

#include <onnx/defs/tensor_proto_util.h>

#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>

#include "lib/model/dtype.h"
#include "lib/model/tensors.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;
using onnx::TensorProto;

onnx::TensorProto Tensor(int dtype, std::vector<int64_t> dims) {
  TensorProto tensor;
  tensor.set_name("t");
  tensor.set_data_type(dtype);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  return tensor;
}

absl::StatusOr<Bytes> Read(const TensorProto& tensor, const fs::path& folder = {}) {
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, Model::Empty(folder));
  if (!bytes.ok()) return bytes.status();
  return Bytes(bytes->bytes().begin(), bytes->bytes().end());
}

template <typename T>
Bytes BytesOf(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST_CASE("element types") {
  CHECK(BitsPerElement(TensorProto::FLOAT) == 32);
  CHECK(BitsPerElement(TensorProto::COMPLEX128) == 128);
  CHECK(BitsPerElement(TensorProto::BOOL) == 8);
  CHECK(BitsPerElement(TensorProto::INT4) == 4);
  CHECK(BitsPerElement(TensorProto::FLOAT4E2M1) == 4);
  CHECK(BitsPerElement(TensorProto::STRING) == 0);
  CHECK(BitsPerElement(12345) == 0);
  CHECK(BitsPerElement(-1) == 0);
  CHECK(PackedBytes(TensorProto::FLOAT, 3) == 12);
  CHECK(PackedBytes(TensorProto::INT4, 3) == 2);
  CHECK(PackedBytes(TensorProto::UINT4, 0) == 0);
  CHECK(PackedBytes(25, 5) == 2);  // uint2
  CHECK(PackedBytes(27, 5) == 4);  // float6_e2m3fn: 30 bits
  CHECK(PackedBytes(TensorProto::FLOAT, uint64_t{1} << 60) == uint64_t{1} << 62);
  CHECK(DtypeName(TensorProto::FLOAT) == "float32");
  CHECK(DtypeName(TensorProto::DOUBLE) == "float64");
  CHECK(DtypeName(99) == "dtype(99)");
  // Every type of the ONNX that is built against is known, under both its names.
  std::set<std::string> names;
  for (int i = TensorProto::DataType_MIN; i <= TensorProto::DataType_MAX; ++i) {
    REQUIRE(TensorProto::DataType_IsValid(i));
    CHECK(ParseDtype(DtypeName(i)) == i);
    CHECK(ParseDtype(TensorProto::DataType_Name(static_cast<TensorProto::DataType>(i))) == i);
    names.insert(DtypeName(i));
  }
  CHECK(names.size() == TensorProto::DataType_MAX + 1);
  CHECK(ParseDtype("float") == TensorProto::FLOAT);
  CHECK(!ParseDtype("float31"));
  CHECK(!ParseDtype(""));
}

TEST_CASE("type names as manifests have them") {
  onnx::TypeProto type;
  CHECK(TypeName(type) == "");
  type.mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  CHECK(TypeName(type) == "float32");
  onnx::TypeProto nested;
  *nested.mutable_sequence_type()->mutable_elem_type()->mutable_optional_type()->mutable_elem_type() = type;
  CHECK(TypeName(nested) == "sequence(optional(float32))");
  onnx::TypeProto map;
  map.mutable_map_type()->set_key_type(TensorProto::INT64);
  *map.mutable_map_type()->mutable_value_type() = type;
  CHECK(TypeName(map) == "map(int64,float32)");
  onnx::TypeProto sparse;
  sparse.mutable_sparse_tensor_type()->set_elem_type(TensorProto::DOUBLE);
  CHECK(TypeName(sparse) == "sparse(float64)");
}

TEST_CASE("element counts") {
  CHECK(*ElementCount(Tensor(1, {})) == 1);
  CHECK(*ElementCount(Tensor(1, {2, 3})) == 6);
  CHECK(*ElementCount(Tensor(1, {0, INT64_MAX, INT64_MAX})) == 0);
  CHECK(absl::IsDataLoss(ElementCount(Tensor(1, {2, -1})).status()));
  CHECK(absl::IsDataLoss(ElementCount(Tensor(1, {0, -1})).status()));
  CHECK(absl::IsDataLoss(ElementCount(Tensor(1, {INT64_MAX, 2})).status()));
}

TEST_CASE("raw data of every type is what it is") {
  for (int dtype = 1; dtype <= TensorProto::DataType_MAX; ++dtype) {
    if (dtype == TensorProto::STRING) continue;
    TensorProto tensor = Tensor(dtype, {5});
    const uint64_t size = PackedBytes(dtype, 5);
    Bytes want(size);
    for (size_t i = 0; i < size; ++i) want[i] = static_cast<uint8_t>(i * 7 + 1);
    tensor.set_raw_data(std::string(want.begin(), want.end()));
    INFO(DtypeName(dtype));
    CHECK(TensorByteSize(tensor) == size);
    CHECK(*Read(tensor) == want);
    tensor.mutable_raw_data()->pop_back();
    CHECK(absl::IsDataLoss(Read(tensor).status()));
    tensor.mutable_raw_data()->append("xx");
    CHECK(absl::IsDataLoss(Read(tensor).status()));
  }
}

TEST_CASE("typed fields are decoded") {
  SECTION("float, as ONNX reads it") {
    TensorProto tensor = Tensor(TensorProto::FLOAT, {3});
    for (const float f : {1.5f, -0.0f, 3e38f}) tensor.add_float_data(f);
    CHECK(*Read(tensor) == BytesOf(onnx::ParseData<float>(&tensor)));
    CHECK(*Read(tensor) == BytesOf<float>({1.5f, -0.0f, 3e38f}));
  }
  SECTION("double, as ONNX reads it") {
    TensorProto tensor = Tensor(TensorProto::DOUBLE, {2});
    for (const double d : {0.1, -1e300}) tensor.add_double_data(d);
    CHECK(*Read(tensor) == BytesOf(onnx::ParseData<double>(&tensor)));
  }
  SECTION("int32, int64, as ONNX reads them") {
    TensorProto small = Tensor(TensorProto::INT32, {2});
    for (const int i : {-5, 70000}) small.add_int32_data(i);
    CHECK(*Read(small) == BytesOf(onnx::ParseData<int32_t>(&small)));
    TensorProto large = Tensor(TensorProto::INT64, {1, 2});
    for (const int64_t i : {int64_t{-5}, int64_t{1} << 50}) large.add_int64_data(i);
    CHECK(*Read(large) == BytesOf(onnx::ParseData<int64_t>(&large)));
  }
  SECTION("uint32 and uint64 share a field") {
    TensorProto small = Tensor(TensorProto::UINT32, {2});
    for (const uint64_t i : {uint64_t{4000000000}, uint64_t{1}}) small.add_uint64_data(i);
    CHECK(*Read(small) == BytesOf<uint32_t>({4000000000, 1}));
    TensorProto large = Tensor(TensorProto::UINT64, {});
    large.add_uint64_data(~uint64_t{0});
    CHECK(*Read(large) == BytesOf<uint64_t>({~uint64_t{0}}));
  }
  SECTION("complex numbers are pairs") {
    TensorProto small = Tensor(TensorProto::COMPLEX64, {2});
    for (const float f : {1.f, 2.f, 3.f, 4.f}) small.add_float_data(f);
    CHECK(*Read(small) == BytesOf<float>({1, 2, 3, 4}));
    TensorProto large = Tensor(TensorProto::COMPLEX128, {1});
    for (const double d : {1.5, -2.5}) large.add_double_data(d);
    CHECK(*Read(large) == BytesOf<double>({1.5, -2.5}));
    large.add_double_data(1);
    CHECK(absl::IsDataLoss(Read(large).status()));
  }
  SECTION("small integers, both ways of writing negative ones") {
    TensorProto tensor = Tensor(TensorProto::INT8, {3});
    for (const int i : {-1, 255, 127}) tensor.add_int32_data(i);
    CHECK(*Read(tensor) == Bytes{0xff, 0xff, 0x7f});
    for (const int dtype : {static_cast<int>(TensorProto::UINT16), static_cast<int>(TensorProto::INT16),
                            static_cast<int>(TensorProto::FLOAT16), static_cast<int>(TensorProto::BFLOAT16)}) {
      TensorProto wide = Tensor(dtype, {2});
      for (const int i : {0x3c00, 0xfffe}) wide.add_int32_data(i);
      CHECK(*Read(wide) == Bytes{0x00, 0x3c, 0xfe, 0xff});
    }
  }
  SECTION("one byte an element") {
    for (const int dtype :
         {static_cast<int>(TensorProto::BOOL), static_cast<int>(TensorProto::UINT8),
          static_cast<int>(TensorProto::FLOAT8E4M3FN), static_cast<int>(TensorProto::FLOAT8E4M3FNUZ),
          static_cast<int>(TensorProto::FLOAT8E5M2), static_cast<int>(TensorProto::FLOAT8E5M2FNUZ), 24}) {
      TensorProto tensor = Tensor(dtype, {2});
      for (const int i : {1, 0}) tensor.add_int32_data(i);
      INFO(DtypeName(dtype));
      CHECK(*Read(tensor) == Bytes{1, 0});
    }
  }
  SECTION("below a byte: packed numbers, low bits first") {
    for (const int dtype : {static_cast<int>(TensorProto::INT4), static_cast<int>(TensorProto::UINT4),
                            static_cast<int>(TensorProto::FLOAT4E2M1)}) {
      TensorProto tensor = Tensor(dtype, {3});
      for (const int i : {0x21, 0x03}) tensor.add_int32_data(i);
      CHECK(*Read(tensor) == Bytes{0x21, 0x03});
      tensor.add_int32_data(0);
      CHECK(absl::IsDataLoss(Read(tensor).status()));
    }
    for (const int dtype : {25, 26}) {
      TensorProto tensor = Tensor(dtype, {5});
      for (const int i : {0xe4, 0x01}) tensor.add_int32_data(i);
      CHECK(*Read(tensor) == Bytes{0xe4, 0x01});
    }
  }
  SECTION("six bits: one element a number, packed four in three bytes") {
    for (const int dtype : {27, 28}) {
      TensorProto tensor = Tensor(dtype, {5});
      for (const int i : {1, 2, 3, 63, 32}) tensor.add_int32_data(i);
      CHECK(*Read(tensor) == Bytes{0x81, 0x30, 0xfc, 0x20});
    }
  }
}

TEST_CASE("odd and empty tensors") {
  CHECK(Read(Tensor(TensorProto::FLOAT, {0}))->empty());
  CHECK(Read(Tensor(TensorProto::INT64, {3, 0}))->empty());
  CHECK(absl::IsDataLoss(Read(Tensor(TensorProto::FLOAT, {})).status()));
  CHECK(absl::IsDataLoss(Read(Tensor(TensorProto::UNDEFINED, {})).status()));
  CHECK(absl::IsDataLoss(Read(Tensor(777, {})).status()));
  CHECK(absl::IsDataLoss(Read(Tensor(TensorProto::FLOAT, {INT64_MAX})).status()));
  // Values in the field of another type don't count.
  TensorProto wrong = Tensor(TensorProto::FLOAT, {1});
  wrong.add_int32_data(1);
  CHECK(absl::IsDataLoss(Read(wrong).status()));
  // Some exporters write an empty raw_data beside the values.
  TensorProto both = Tensor(TensorProto::FLOAT, {1});
  both.add_float_data(2);
  both.set_raw_data("");
  CHECK(*Read(both) == BytesOf<float>({2}));
}

TEST_CASE("strings") {
  TensorProto tensor = Tensor(TensorProto::STRING, {2});
  tensor.add_string_data("ab");
  CHECK(absl::IsDataLoss(ReadStrings(tensor).status()));
  tensor.add_string_data("c");
  CHECK(*ReadStrings(tensor) == std::vector<std::string>{"ab", "c"});
  CHECK(TensorByteSize(tensor) == 3);
  CHECK(absl::IsInvalidArgument(Read(tensor).status()));
  CHECK(absl::IsInvalidArgument(ReadStrings(Tensor(TensorProto::FLOAT, {})).status()));
}

TEST_CASE("payloads behind markers: raw, float and double, equal to what ONNX reads from the file") {
  const testing::TemporaryFolder folder;
  onnx::ModelProto proto;
  proto.mutable_graph()->set_name("g");
  std::string raw;
  for (int i = 0; i < 5000; ++i) raw += static_cast<char>(i * 31);
  TensorProto* bytes = proto.mutable_graph()->add_initializer();
  *bytes = Tensor(TensorProto::UINT8, {5000});
  bytes->set_raw_data(raw);
  TensorProto* floats = proto.mutable_graph()->add_initializer();
  *floats = Tensor(TensorProto::FLOAT, {50, 60});
  TensorProto* doubles = proto.mutable_graph()->add_initializer();
  *doubles = Tensor(TensorProto::DOUBLE, {70000});
  TensorProto* bad = proto.mutable_graph()->add_initializer();
  *bad = Tensor(TensorProto::FLOAT16, {2500});  // half floats in float_data
  for (int i = 0; i < 3000; ++i) floats->add_float_data(static_cast<float>(i) / 7);
  for (int i = 0; i < 70000; ++i) doubles->add_double_data(i / 7.0);
  for (int i = 0; i < 1250; ++i) bad->add_float_data(1);
  testing::WriteFile(folder / "m.onnx", proto.SerializeAsString());

  const absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
  REQUIRE(model.ok());
  const auto& tensors = model->proto().graph().initializer();
  for (const TensorProto& tensor : tensors) {
    CHECK(FindMarker(tensor).has_value());
    CHECK(!IsExternal(tensor));
  }
  CHECK(model->payload_bytes() == 5000 + 12000 + 560000 + 5000);
  CHECK(ReadTensor(tensors[0], *model)->As<char>().size() == 5000);
  CHECK(std::memcmp(ReadTensor(tensors[0], *model)->bytes().data(), raw.data(), 5000) == 0);
  const auto read_floats = ReadTensor(tensors[1], *model);
  REQUIRE(read_floats.ok());
  CHECK(std::vector<float>(read_floats->As<float>().begin(), read_floats->As<float>().end()) ==
        onnx::ParseData<float>(floats));
  const auto read_doubles = ReadTensor(tensors[2], *model);
  REQUIRE(read_doubles.ok());
  CHECK(std::bit_cast<uintptr_t>(read_doubles->bytes().data()) % 8 == 0);
  CHECK(std::vector<double>(read_doubles->As<double>().begin(), read_doubles->As<double>().end()) ==
        onnx::ParseData<double>(doubles));
  CHECK(absl::IsDataLoss(ReadTensor(tensors[3], *model).status()));
  // A tensor that moved to a model which doesn't know the file.
  CHECK(absl::IsInternal(ReadTensor(tensors[0], Model::Empty()).status()));
  Model other = Model::Empty();
  other.Adopt(*model);
  CHECK(ReadTensor(tensors[0], other).ok());
}

TEST_CASE("external data") {
  const testing::TemporaryFolder folder;
  testing::WriteFile(folder / "w.bin", std::string("xxxx") + std::string("\x01\x02\x03\x04\x05\x06\x07\x08", 8));
  const auto external = [](std::vector<std::pair<std::string, std::string>> entries, int64_t count = 2) {
    TensorProto tensor = Tensor(TensorProto::INT32, {count});
    tensor.set_data_location(TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      tensor.add_external_data()->set_key(key);
      tensor.mutable_external_data(tensor.external_data_size() - 1)->set_value(value);
    }
    return tensor;
  };
  const fs::path& f = folder.path();
  CHECK(IsExternal(external({})));
  CHECK(*Read(external({{"location", "w.bin"}, {"offset", "4"}, {"length", "8"}}), f) == Bytes{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(*Read(external({{"location", "w.bin"}, {"offset", "4"}}), f) == Bytes{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(*Read(external({{"location", "w.bin"}}, 1), f) == Bytes{'x', 'x', 'x', 'x'});
  CHECK(absl::IsDataLoss(Read(external({{"location", "w.bin"}, {"offset", "5"}}), f).status()));
  CHECK(absl::IsDataLoss(Read(external({{"location", "w.bin"}, {"offset", "99999999999"}}), f).status()));
  CHECK(absl::IsDataLoss(Read(external({{"location", "w.bin"}, {"length", "4"}}), f).status()));
  CHECK(absl::IsDataLoss(Read(external({{"location", "w.bin"}, {"offset", "-4"}}), f).status()));
  CHECK(absl::IsDataLoss(Read(external({{"location", "w.bin"}, {"offset", "4 "}}), f).status()));
  CHECK(absl::IsDataLoss(Read(external({{"offset", "4"}}), f).status()));
  CHECK(absl::IsNotFound(Read(external({{"location", "absent.bin"}}), f).status()));
  CHECK(absl::IsInvalidArgument(Read(external({{"location", "../w.bin"}}), f).status()));
}

TEST_CASE("external locations stay in the model's folder") {
  const testing::TemporaryFolder outer;
  const fs::path folder = outer / "model";
  fs::create_directories(folder / "sub");
  testing::WriteFile(outer / "secret", "s");
  testing::WriteFile(folder / "w", "w");
  testing::WriteFile(folder / "sub" / "w", "w");
  fs::create_symlink("w", folder / "inside");
  fs::create_symlink(outer / "secret", folder / "outside");
  fs::create_symlink("..", folder / "up");
  fs::create_symlink("nowhere", folder / "dangling");
  fs::create_symlink("../nowhere", folder / "dangling-out");
  fs::create_symlink("loop", folder / "loop");
  fs::create_directory_symlink(folder, outer / "link-to-model");

  for (const char* good : {"w", "sub/w", "./w", "inside", "sub//w"}) {
    INFO(good);
    CHECK(ResolveExternal(folder, good).ok());
    CHECK(ResolveExternal(outer / "link-to-model", good).ok());
  }
  for (const char* absent : {"nope", "sub/nope", "dangling"}) {
    INFO(absent);
    CHECK(CheckExternalLocation(folder, absent).ok());
    CHECK(absl::IsNotFound(ResolveExternal(folder, absent).status()));
  }
  for (const std::string& bad :
       {std::string("../secret"), std::string("sub/../../secret"), std::string("sub/../w"), std::string("outside"),
        std::string("up/secret"), std::string("dangling-out"), (folder / "w").string(), std::string("/etc/passwd"),
        std::string(""), std::string(".."), std::string("w\0x", 3), std::string("loop")}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(CheckExternalLocation(folder, bad)));
    CHECK(absl::IsInvalidArgument(ResolveExternal(folder, bad).status()));
  }
  // A folder that starts with the same letters is another folder.
  fs::create_directory(outer / "model2");
  testing::WriteFile(outer / "model2" / "w", "w");
  fs::create_symlink("../model2/w", folder / "neighbour");
  CHECK(absl::IsInvalidArgument(CheckExternalLocation(folder, "neighbour")));
}

TEST_CASE("setting values keeps what else the tensor says") {
  TensorProto tensor = Tensor(TensorProto::FLOAT, {1});
  tensor.set_doc_string("doc");
  tensor.add_float_data(1);
  SetRawData(tensor, "abcd");
  CHECK(tensor.raw_data() == "abcd");
  CHECK(tensor.float_data_size() == 0);
  CHECK(tensor.doc_string() == "doc");
  CHECK(!tensor.has_data_location());
  SetMarker(tensor, {3, 10, 4, 9, true});
  CHECK(FindMarker(tensor)->offset == 10);
  SetRawData(tensor, "efgh");
  CHECK(!FindMarker(tensor));
  CHECK(tensor.has_data_location());
  CHECK(tensor.data_location() == TensorProto::DEFAULT);
  SetExternal(tensor, "file", 64, 4);
  CHECK(IsExternal(tensor));
  CHECK(!tensor.has_raw_data());
  CHECK(ReadExternalReference(tensor)->offset == 64);
  SetRawData(tensor, "abcd");
  CHECK(!tensor.has_data_location());
}

TEST_CASE("every tensor is met, once, changeable or not") {
  onnx::ModelProto model;
  int count = 0;
  const auto name = [&](TensorProto* tensor) { tensor->set_name(std::to_string(count++)); };
  name(model.mutable_graph()->add_initializer());
  name(model.mutable_graph()->add_sparse_initializer()->mutable_values());
  name(model.mutable_graph()->mutable_sparse_initializer(0)->mutable_indices());
  onnx::AttributeProto* attribute = model.mutable_graph()->add_node()->add_attribute();
  name(attribute->mutable_t());
  name(attribute->add_tensors());
  name(attribute->mutable_sparse_tensor()->mutable_values());
  name(attribute->add_sparse_tensors()->mutable_indices());
  name(attribute->mutable_g()->add_initializer());
  name(attribute->add_graphs()->add_node()->add_attribute()->mutable_t());
  name(model.add_functions()->add_node()->add_attribute()->mutable_t());
  name(model.mutable_functions(0)->add_attribute_proto()->mutable_t());
  name(model.mutable_functions(0)->mutable_node(0)->add_attribute()->mutable_g()->add_initializer());
  name(model.add_training_info()->mutable_algorithm()->add_initializer());
  name(model.mutable_training_info(0)->mutable_initialization()->add_initializer());
  std::vector<std::string> seen;
  ForEachTensor(std::as_const(model), [&](const TensorProto& t, TensorPlace) { seen.push_back(t.name()); });
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == static_cast<size_t>(count));
  CHECK(seen.size() == static_cast<size_t>(count));
  std::vector<std::string> again;
  ForEachTensor(model, [&](TensorProto& t, TensorPlace) { again.push_back(t.name()); });
  CHECK(again == seen);
}

}  // namespace
}  // namespace gomai
