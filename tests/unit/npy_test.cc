// .npy, .npz and .pb: what numpy wrote is read, what is written is what numpy writes, and hostile files get errors.
#include "lib/runtime/npy.h"

#include <onnx/onnx_pb.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>

#include "tests/support/paths.h"
#include "tests/unit/npy_bytes.h"

namespace gomai {
namespace {

using onnx::TensorProto;

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

HostTensor Parse(std::string_view file) {
  absl::StatusOr<HostTensor> tensor = ParseNpy(Bytes(file), "x.npy");
  INFO(tensor.status().ToString());
  REQUIRE(tensor.ok());
  return *std::move(tensor);
}

template <typename T>
std::vector<T> Values(const HostTensor& tensor) {
  const std::span<const T> values = tensor.As<T>();
  return {values.begin(), values.end()};
}

std::filesystem::path Write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

using Shape = std::vector<int64_t>;

TEST_CASE("what numpy wrote is read") {
  const HostTensor floats = Parse(testing::kFloat2x3);
  CHECK(floats.dtype() == TensorProto::FLOAT);
  CHECK(floats.shape() == Shape{2, 3});
  CHECK(Values<float>(floats) == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(reinterpret_cast<uintptr_t>(floats.bytes().data()) % 64 == 0);

  const HostTensor fortran = Parse(testing::kFortran2x3);
  CHECK(fortran.dtype() == TensorProto::INT16);
  CHECK(Values<int16_t>(fortran) == std::vector<int16_t>{0, 1, 2, 3, 4, 5});

  CHECK(Values<int32_t>(Parse(testing::kBigEndian3)) == std::vector<int32_t>{1, 2, -3});
  CHECK(Parse(testing::kUnicode2).strings() == std::vector<std::string>{"añ", "水𝄞z"});
  CHECK(Parse(testing::kBytes2).strings() == std::vector<std::string>{"ab", "c"});
  CHECK(Parse(testing::kScalar).shape().empty());
  CHECK(Values<double>(Parse(testing::kScalar)) == std::vector<double>{2.5});
  CHECK(Parse(testing::kEmpty0x4).shape() == Shape{0, 4});
  CHECK(Parse(testing::kEmpty0x4).dtype() == TensorProto::INT64);
  CHECK(Values<uint8_t>(Parse(testing::kBool2)) == std::vector<uint8_t>{1, 0});
  CHECK(Parse(testing::kBool2).dtype() == TensorProto::BOOL);
  CHECK(Values<uint16_t>(Parse(testing::kHalfV2)) == std::vector<uint16_t>{0x3e00});
  CHECK(Values<float>(Parse(testing::kComplexBig)) == std::vector<float>{1, 2});
}

TEST_CASE("what is written is what numpy writes, byte for byte") {
  // Files in numpy's own order and version come back as they were.
  for (const std::string_view file :
       {testing::kFloat2x3, testing::kUnicode2, testing::kScalar, testing::kEmpty0x4, testing::kBool2}) {
    const absl::StatusOr<std::string> printed = PrintNpy(Parse(file));
    REQUIRE(printed.ok());
    CHECK(*printed == file);
  }
}

TEST_CASE("types that numpy lacks are written as it sees them") {
  absl::StatusOr<HostTensor> brain = HostTensor::Create(TensorProto::BFLOAT16, {2});
  brain->mutable_bytes()[1] = 0x3f;
  const absl::StatusOr<std::string> file = PrintNpy(*brain);
  REQUIRE(file.ok());
  CHECK(file->find("'descr': '<V2'") != std::string::npos);
  const HostTensor back = Parse(*file);
  CHECK(back.dtype() == TensorProto::BFLOAT16);
  CHECK(back.bytes()[1] == 0x3f);

  absl::StatusOr<HostTensor> nibbles = HostTensor::Create(TensorProto::INT4, {3});
  nibbles->mutable_bytes()[0] = 0xf1;  // 1, -1
  nibbles->mutable_bytes()[1] = 0x08;  // -8
  CHECK(Values<int8_t>(Parse(*PrintNpy(*nibbles))) == std::vector<int8_t>{1, -1, -8});

  const absl::StatusOr<HostTensor> eighth = HostTensor::Create(TensorProto::FLOAT8E4M3FN, {1});
  const absl::StatusOr<HostTensor> void_bytes = ParseNpy(Bytes(*PrintNpy(*eighth)), "x.npy");
  CHECK(void_bytes.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(Message(void_bytes.status()) ==
        "x.npy has elements of numpy's type '|V1', which ONNX lacks; convert them, or give a .pb file");
}

TEST_CASE("files are written whole, under names that never collide") {
  CHECK(FileStemForTensor("/a/b_output_0") == "%2Fa%2Fb_output_0");
  CHECK(FileStemForTensor("a%2Fb") == "a%252Fb");
  CHECK(FileStemForTensor("ä") == "%C3%A4");
  const testing::TemporaryFolder folder;
  const HostTensor tensor = Parse(testing::kFloat2x3);
  REQUIRE(WriteTensors(folder / "deep/er", {{"/x", tensor}}).ok());
  const absl::StatusOr<HostTensor> back = ReadTensorFile(folder / "deep/er/%2Fx.npy");
  REQUIRE(back.ok());
  CHECK(back->shape() == Shape{2, 3});
  // An input isn't overwritten.
  const absl::Status status = WriteTensors(folder / "deep/er", {{"/x", tensor}}, {folder / "deep/../deep/er/%2Fx.npy"});
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(Message(status).find("is an input and would be overwritten by the output '/x'") != std::string_view::npos);
}

TEST_CASE("npz members are read, deflated and stored") {
  const testing::TemporaryFolder folder;
  const std::filesystem::path deflated = Write(folder / "a.npz", testing::kNpzDeflated);
  const absl::StatusOr<std::vector<std::string>> names = ListNpz(deflated);
  REQUIRE(names.ok());
  CHECK(*names == std::vector<std::string>{"a", "b"});
  CHECK(Values<int64_t>(*ReadTensorFile(deflated, "b")) == std::vector<int64_t>{0, 1, 2});
  CHECK(Values<float>(*ReadTensorFile(deflated, "a")) == std::vector<float>(5, 0.0F));
  CHECK(Message(ReadTensorFile(deflated).status()).ends_with("holds 2 arrays, one is wanted; name one"));
  CHECK(ReadTensorFile(deflated, "c").status().code() == absl::StatusCode::kNotFound);
  const std::filesystem::path stored = Write(folder / "s.npz", testing::kNpzStored);
  CHECK(Values<uint8_t>(*ReadTensorFile(stored)) == std::vector<uint8_t>{0, 1, 2});
}

TEST_CASE("every truncation and every changed byte of a npz or npy is read or refused, never worse") {
  const testing::TemporaryFolder folder;
  int refused = 0;
  for (const std::string_view original : {testing::kNpzDeflated, testing::kNpzStored, testing::kUnicode2}) {
    const bool zip = original != testing::kUnicode2;
    const auto read = [&](const std::string& bytes) {
      if (!zip) {
        return ParseNpy(Bytes(bytes), "x").status();
      }
      const std::filesystem::path path = Write(folder / "x.npz", bytes);
      const absl::StatusOr<std::vector<std::string>> names = ListNpz(path);
      absl::Status status = names.status();
      for (size_t i = 0; status.ok() && i < names->size(); ++i) {
        status = (*names)[i].empty() ? absl::OkStatus() : ReadTensorFile(path, (*names)[i]).status();
      }
      return status;
    };
    REQUIRE(read(std::string(original)).ok());
    for (size_t length = 0; length < original.size(); ++length) {
      CHECK_FALSE(read(std::string(original.substr(0, length))).ok());
    }
    for (size_t i = 0; i < original.size(); ++i) {
      std::string bytes(original);
      bytes[i] = static_cast<char>(bytes[i] ^ 0xff);
      refused += read(bytes).ok() ? 0 : 1;
    }
  }
  CHECK(refused > 500);
}

TEST_CASE("hostile headers get errors before memory is taken") {
  const auto error = [](const std::string& dict) {
    std::string file("\x93NUMPY\x01\x00", 8);
    file.push_back(static_cast<char>(dict.size()));
    file.push_back('\0');
    const absl::StatusOr<HostTensor> tensor = ParseNpy(Bytes(file + dict), "x.npy");
    CHECK_FALSE(tensor.ok());
    return std::string(Message(tensor.status()));
  };
  CHECK(error("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9999999), }") ==
        "x.npy should hold <f4 [99999999999, 9999999], but only 0 bytes of values are there; it is cut short or "
        "damaged");
  CHECK(error("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }")
            .find("cut short or damaged") != std::string::npos);
  CHECK(error("{'descr': '<U0', 'fortran_order': False, 'shape': (99999999999,), }").find("cut short") !=
        std::string::npos);
  CHECK(error("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }") ==
        "x.npy: its header's shape makes no sense");
  CHECK(error("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") ==
        "x.npy: it holds Python objects, which gomai doesn't read; convert them to numbers or strings");
  CHECK(error("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }") ==
        "x.npy: it is a structured array; give plain numbers or strings");
  CHECK(error("{'descr': '<f4', 'shape': (), }") == "x.npy: its header isn't what numpy writes");
  CHECK(error("__import__('os')") == "x.npy: its header isn't what numpy writes");
  CHECK(Message(ParseNpy(Bytes("no numpy here"), "x.npy").status()) ==
        "x.npy is not a .npy file: it doesn't begin with numpy's mark");
  CHECK(Message(ReadTensorFile("x.txt").status()) ==
        "'x.txt' is not a tensor file that gomai reads; give .npy, .npz or .pb");
}

TEST_CASE("a TensorProto file is read, and a wrong one refused") {
  const testing::TemporaryFolder folder;
  TensorProto proto;
  proto.set_data_type(TensorProto::FLOAT);
  proto.add_dims(2);
  proto.add_float_data(1.5F);
  proto.add_float_data(-2);
  const absl::StatusOr<HostTensor> tensor = ReadTensorFile(Write(folder / "a.pb", proto.SerializeAsString()));
  REQUIRE(tensor.ok());
  CHECK(Values<float>(*tensor) == std::vector<float>{1.5F, -2});
  proto.add_dims(1000000);
  CHECK_FALSE(ReadTensorFile(Write(folder / "b.pb", proto.SerializeAsString())).ok());
  CHECK(
      Message(ReadTensorFile(Write(folder / "c.pb", "not a tensor")).status()).ends_with("is not an ONNX TensorProto"));
  proto.Clear();
  proto.set_data_type(TensorProto::STRING);
  proto.add_dims(1);
  proto.add_string_data("sträng");
  CHECK(ReadTensorFile(Write(folder / "d.pb", proto.SerializeAsString()))->strings() ==
        std::vector<std::string>{"sträng"});
}

}  // namespace
}  // namespace gomai
