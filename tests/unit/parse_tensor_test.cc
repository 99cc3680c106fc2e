// Tensors as text, in every dtype and every field that can hold them; and numbers of small floats, all codes of them.
#include "lib/graph/parse_tensor.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "lib/model/dtype.h"
#include "lib/model/model.h"
#include "lib/model/numbers.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

std::span<const uint8_t> Span(const std::string& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

absl::StatusOr<onnx::TensorProto> Parse(int dtype, std::string_view text) {
  GOMAI_ASSIGN_OR_RETURN(const TensorText parsed, ParseTensorText(text));
  return TensorOfText(dtype, parsed);
}

TEST_CASE("brackets give the shape") {
  const auto shape = [](std::string_view text) {
    const absl::StatusOr<TensorText> parsed = ParseTensorText(text);
    INFO(text << ": " << parsed.status());
    REQUIRE(parsed.ok());
    return parsed->shape;
  };
  CHECK(shape("5") == std::vector<int64_t>{});
  CHECK(shape("[5]") == std::vector<int64_t>{1});
  CHECK(shape("1, 2,3") == std::vector<int64_t>{3});
  CHECK(shape("[[1,2,3],[4,5,6]]") == std::vector<int64_t>{2, 3});
  CHECK(shape("[[[1]],[[2]]]") == std::vector<int64_t>{2, 1, 1});
  CHECK(shape("[]") == std::vector<int64_t>{0});
  CHECK(shape("[[],[]]") == std::vector<int64_t>{2, 0});
  for (const char* wrong : {"", "[", "]", "[1,", "[1,]", "[1]]", "[[1],[2,3]]", "[1,[2]]", "[[1],2]", "1,[2]", "[1][2]",
                            "[1],2", "[1 , ,2]", "\"a"}) {
    INFO(wrong);
    CHECK(ParseTensorText(wrong).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseTensorText(std::string(1000, '[')).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(ParseTensorText("['a,b', \"[c]\"]")->elements == std::vector<std::string>{"a,b", "[c]"});
}

TEST_CASE("every dtype takes its own values, exactly, and no others") {
  struct Case {
    int dtype;
    const char* good;
    std::vector<const char*> bad;
  };
  const std::vector<Case> cases = {
      {onnx::TensorProto::FLOAT, "[0.5,-inf,nan,-0.0,3.4e38]", {"1e39", "x", "1x"}},
      {onnx::TensorProto::DOUBLE, "[0.1,1e308,inf]", {"abc"}},
      {onnx::TensorProto::FLOAT16, "[65504,-0.0,6e-8,inf]", {"65520", "1e5"}},
      {onnx::TensorProto::BFLOAT16, "[3.3e38,0.1,nan]", {"3.4e39"}},
      {onnx::TensorProto::FLOAT8E4M3FN, "[448,-448,0.0625,nan]", {"inf", "500"}},
      {onnx::TensorProto::FLOAT8E5M2, "[57344,-inf,nan]", {"1e6"}},
      {onnx::TensorProto::FLOAT8E4M3FNUZ, "[240,nan]", {"inf", "300"}},
      {onnx::TensorProto::FLOAT8E5M2FNUZ, "[57344,nan]", {"inf"}},
      {onnx::TensorProto::INT8, "[-128,127]", {"128", "0.5", "-129"}},
      {onnx::TensorProto::UINT8, "[0,255]", {"-1", "256"}},
      {onnx::TensorProto::INT16, "[-32768,32767]", {"32768"}},
      {onnx::TensorProto::UINT16, "[0,65535]", {"65536"}},
      {onnx::TensorProto::INT32, "[-2147483648,2147483647]", {"2147483648", "1.5"}},
      {onnx::TensorProto::UINT32, "[4294967295]", {"-1", "4294967296"}},
      {onnx::TensorProto::INT64, "[-9223372036854775808,9223372036854775807]", {"9223372036854775808", "1.0"}},
      {onnx::TensorProto::UINT64, "[18446744073709551615]", {"-1", "18446744073709551616"}},
      {onnx::TensorProto::BOOL, "[true,false,1,0]", {"2", "yes"}},
      {onnx::TensorProto::COMPLEX64, "[1+2j,-3,4j,1e-3-1e+2j]", {"1+j2", "i"}},
      {onnx::TensorProto::COMPLEX128, "[1+2j]", {"j2"}},
      {onnx::TensorProto::STRING, "[a,'b c']", {}},
      {21, "[0,15,7]", {"16", "-1"}},          // uint4
      {22, "[-8,7,-1]", {"8", "-9"}},          // int4
      {23, "[6,-0.5,0,1.5]", {"inf", "100"}},  // float4e2m1
      {25, "[0,3,1]", {"4"}},                  // uint2
      {26, "[-2,1,0]", {"2"}},                 // int2
  };
  const Model model = Model::Empty();
  for (const Case& c : cases) {
    INFO(DtypeName(c.dtype));
    const absl::StatusOr<onnx::TensorProto> tensor = Parse(c.dtype, c.good);
    INFO(tensor.status());
    REQUIRE(tensor.ok());
    CHECK(tensor->data_type() == c.dtype);
    if (c.dtype != onnx::TensorProto::STRING) {
      CHECK(ReadTensor(*tensor, model).ok());  // as many bytes as the shape wants
    }
    for (const char* bad : c.bad) {
      INFO(bad);
      CHECK(Parse(c.dtype, bad).status().code() == absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST_CASE(
    "small floats: every code is read and written back, and what lies between goes to the nearest, ties to even") {
  for (const int dtype :
       {static_cast<int>(onnx::TensorProto::FLOAT16), static_cast<int>(onnx::TensorProto::BFLOAT16),
        static_cast<int>(onnx::TensorProto::FLOAT8E4M3FN), static_cast<int>(onnx::TensorProto::FLOAT8E5M2), 23, 24}) {
    INFO(DtypeName(dtype));
    const int bits = BitsPerElement(dtype);
    const uint32_t codes = 1u << bits;
    double last = std::numeric_limits<double>::quiet_NaN();
    for (uint32_t code = 0; code < codes; ++code) {
      std::string bytes = {static_cast<char>(code & 255u), static_cast<char>(code >> 8)};
      bytes.resize(bits > 8 ? 2 : 1);
      const auto number = UnpackNumbers(dtype, Span(bytes), 1);
      REQUIRE(number);
      if (std::isnan((*number)[0])) {
        last = (*number)[0];
        continue;
      }
      REQUIRE(PackNumbers(dtype, *number, /*exact=*/true) == bytes);
      const double value = (*number)[0];
      if (code % 97 == 1 && std::isfinite(last) && std::isfinite(value) && std::abs(value) > std::abs(last)) {
        // Between two neighbours: nearer ones win, the middle goes to the even code, and exactness is refused.
        const double middle = (last + value) / 2;
        const std::string even = *PackNumbers(dtype, {code % 2 == 0 ? value : last});
        CHECK(PackNumbers(dtype, {middle}) == even);
        CHECK(PackNumbers(dtype, {middle + (value - last) / 8}) == bytes);
        CHECK_FALSE(PackNumbers(dtype, {middle}, /*exact=*/true));
      }
      last = value;
    }
  }
  CHECK(*UnpackNumbers(onnx::TensorProto::FLOAT16, Span(*PackNumbers(onnx::TensorProto::FLOAT16, {1e6})), 1) ==
        std::vector<double>{std::numeric_limits<double>::infinity()});
  CHECK_FALSE(UnpackNumbers(onnx::TensorProto::INT64, Span(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8)), 1));
}

TEST_CASE("values are replaced in the field that holds them") {
  const Model model = Model::Empty();
  const auto check = [&](int dtype, const std::function<void(onnx::TensorProto&)>& fill, const char* field) {
    INFO(DtypeName(dtype) << " in " << field);
    onnx::TensorProto tensor;
    tensor.set_name("t");
    tensor.set_data_type(dtype);
    tensor.add_dims(2);
    fill(tensor);
    const absl::StatusOr<onnx::TensorProto> wanted = Parse(dtype, "[1,0]");
    REQUIRE(wanted.ok());
    ReplaceData(tensor, wanted->raw_data());
    const google::protobuf::FieldDescriptor* descriptor = onnx::TensorProto::descriptor()->FindFieldByName(field);
    CHECK(tensor.GetReflection()->FieldSize(tensor, descriptor) > 0);
    CHECK_FALSE(tensor.has_raw_data());
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model);
    INFO(bytes.status());
    REQUIRE(bytes.ok());
    CHECK(UnpackNumbers(dtype, bytes->bytes(), 2) == std::vector<double>{1, 0});
  };
  check(
      onnx::TensorProto::FLOAT, [](auto& t) { t.add_float_data(5), t.add_float_data(6); }, "float_data");
  check(
      onnx::TensorProto::DOUBLE, [](auto& t) { t.add_double_data(5), t.add_double_data(6); }, "double_data");
  check(
      onnx::TensorProto::INT64, [](auto& t) { t.add_int64_data(5), t.add_int64_data(6); }, "int64_data");
  check(
      onnx::TensorProto::UINT64, [](auto& t) { t.add_uint64_data(5), t.add_uint64_data(6); }, "uint64_data");
  check(
      onnx::TensorProto::UINT32, [](auto& t) { t.add_uint64_data(5), t.add_uint64_data(6); }, "uint64_data");
  for (const int dtype :
       {onnx::TensorProto::INT32, onnx::TensorProto::INT16, onnx::TensorProto::INT8, onnx::TensorProto::UINT16,
        onnx::TensorProto::UINT8, onnx::TensorProto::BOOL, onnx::TensorProto::FLOAT16, onnx::TensorProto::BFLOAT16}) {
    check(
        dtype, [](auto& t) { t.add_int32_data(1), t.add_int32_data(1); }, "int32_data");
  }
  check(
      22, [](auto& t) { t.add_int32_data(0x21); }, "int32_data");  // two int4 in one entry
}

}  // namespace
}  // namespace gomai
