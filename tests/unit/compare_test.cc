// Every rule of comparing tensors, and the traps: tolerances that would pass either-or, NaN on one side, lost
// precision.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/compare/tensors.h"
#include "lib/model/elements.h"

namespace gomai {
namespace {

using onnx::TensorProto;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

template <typename T>
HostTensor Make(int dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  HostTensor tensor = *HostTensor::Create(dtype, std::move(shape));
  REQUIRE(tensor.bytes().size() == values.size() * sizeof(T));
  if (!values.empty()) {
    std::memcpy(tensor.mutable_bytes().data(), values.data(), values.size() * sizeof(T));
  }
  return tensor;
}

HostTensor Floats(const std::vector<float>& values) {
  return Make<float>(TensorProto::FLOAT, {static_cast<int64_t>(values.size())}, values);
}

TensorComparison Compare(const std::vector<float>& candidate, const std::vector<float>& reference,
                         const Tolerance& tolerance = {}) {
  return CompareTensors(Floats(candidate), Floats(reference), tolerance);
}

TEST_CASE("exact means equal in value, and zero signs are counted") {
  const TensorComparison c = Compare({0.0f, -0.0f, 1}, {-0.0f, -0.0f, 1});
  CHECK(c.equal);
  CHECK(c.zero_signs == 1);
  CHECK(c.differing == 0);
  CHECK(c.differing_bits == 1);
  CHECK(c.Why().empty());
  CHECK_FALSE(Compare({1}, {std::nextafter(1.0f, 2.0f)}).equal);
}

TEST_CASE("bit for bit tells zeros and NaNs apart") {
  const TensorComparison c = Compare({1, 0.0f, 2}, {1, -0.0f, 2}, {.bits = true});
  CHECK_FALSE(c.equal);
  CHECK(c.out_of_tolerance == 1);
  CHECK(c.worst_index == std::vector<int64_t>{1});
  CHECK(c.worst_candidate == "0");
  CHECK(c.worst_reference == "-0");
  CHECK(Compare({kNan, 1}, {kNan, 1}, {.bits = true}).equal);
  const float other = std::bit_cast<float>(0x7fc00001u);
  CHECK_FALSE(Compare({other, 1}, {kNan, 1}, {.bits = true}).equal);
  CHECK(Compare({other, 1}, {kNan, 1}).equal);
}

TEST_CASE("NaN equals NaN at the same place only") {
  for (const Tolerance& tolerance :
       {Tolerance{}, Tolerance{.rtol = 10, .atol = 1e30}, Tolerance{.min_cosine = -1}, Tolerance{.bits = true}}) {
    CAPTURE(tolerance.rtol, tolerance.bits);
    CHECK(Compare({kNan, 1, 2}, {kNan, 1, 2}, tolerance).equal);
    for (const auto& [a, b] : {std::pair<float, float>{kNan, 1}, {1, kNan}, {kNan, kInf}}) {
      const TensorComparison c = Compare({0, a, 2}, {0, b, 2}, tolerance);
      CHECK_FALSE(c.equal);
      CHECK(c.nan_mismatch == 1);
      CHECK(c.worst_index == std::vector<int64_t>{1});
      CHECK(c.Why() == "1 NaN on one side only");
    }
  }
  const TensorComparison swapped = Compare({kNan, 1}, {1, kNan}, {.atol = 1e9});
  CHECK(swapped.nan_candidate == 1);
  CHECK(swapped.nan_reference == 1);
  CHECK(swapped.nan_mismatch == 2);
}

TEST_CASE("an infinity equals only itself, whatever the tolerance") {
  CHECK(Compare({kInf, -kInf}, {kInf, -kInf}, {.rtol = 1e-5}).equal);
  CHECK_FALSE(Compare({kInf}, {-kInf}, {.rtol = 1}).equal);
  CHECK_FALSE(Compare({1e30f}, {kInf}, {.rtol = 1}).equal);  // |a-b| <= rtol*inf would hold
  CHECK_FALSE(Compare({kInf}, {1e30f}, {.rtol = 1, .atol = 1e38}).equal);
  const TensorComparison c = Compare({kInf, 1}, {kInf, 1.5f}, {.atol = 1});
  CHECK(c.equal);
  CHECK(c.inf_candidate == 1);
  CHECK(c.inf_reference == 1);
  CHECK(c.max_abs == 0.5);
  CHECK(std::isfinite(c.rmse));
}

TEST_CASE("tolerances add up and are relative to the reference") {
  // 0.9 off at 100: neither atol 0.5 nor rtol 0.005 (0.5) alone allows it, their sum does.
  CHECK(Compare({100.9f}, {100}, {.rtol = 0.005, .atol = 0.5}).equal);
  CHECK_FALSE(Compare({100.9f}, {100}, {.rtol = 0.005}).equal);
  CHECK_FALSE(Compare({100.9f}, {100}, {.atol = 0.5}).equal);
  // Near zero rtol allows nothing, however close in absolute terms.
  CHECK_FALSE(Compare({1e-6f}, {0}, {.rtol = 0.1}).equal);
  CHECK(Compare({1e-6f}, {0}, {.rtol = 0.1, .atol = 1e-5}).equal);
  // b is the reference: 1.1 is within 10 % of 1.0's double, not of 1.0.
  CHECK_FALSE(Compare({2}, {1}, {.rtol = 0.6}).equal);
  CHECK(Compare({1}, {2}, {.rtol = 0.6}).equal);
  CHECK_FALSE(Compare({1}, {2}, {.rtol = std::nan("")}).equal);
}

TEST_CASE("metrics") {
  const TensorComparison c = Compare({1, 2, 3, 5}, {1, 2, 4, 4}, {.atol = 1});
  CHECK(c.equal);
  CHECK(c.differing == 2);
  CHECK(c.max_abs == 1);
  CHECK(c.mean_abs == 0.5);
  CHECK(c.rmse == Catch::Approx(std::sqrt(0.5)));
  CHECK(c.max_rel == 0.25);
  CHECK(c.cosine == Catch::Approx(37 / std::sqrt(39.0 * 37.0)));
  CHECK(c.snr_db == Catch::Approx(10 * std::log10(37 / 2.0)));
  CHECK(c.psnr_db == Catch::Approx(10 * std::log10(16 / 0.5)));
  CHECK(std::isinf(Compare({1}, {0}, {.atol = 1}).max_rel));
}

TEST_CASE("norms of zero") {
  CHECK(Compare({0, 0}, {-0.0f, 0}).cosine == 1);
  CHECK(std::isinf(Compare({0, 0}, {-0.0f, 0}).snr_db));
  const TensorComparison c = Compare({1, 0}, {0, 0}, {.min_cosine = 0.5});
  CHECK(c.cosine == 0);
  CHECK(c.snr_db == -std::numeric_limits<double>::infinity());
  CHECK_FALSE(c.equal);
  CHECK_FALSE(Compare({0, 0}, {0, 3}, {.min_cosine = 0.5}).equal);
}

TEST_CASE("cosine and SNR are conditions like the others") {
  CHECK(Compare({1, 2.001f}, {1, 2}, {.min_cosine = 0.999}).equal);
  CHECK_FALSE(Compare({1, -2}, {1, 2}, {.min_cosine = 0.999}).equal);
  CHECK_FALSE(Compare({2, 4}, {1, 2}, {.min_snr_db = 20.0}).equal);  // same direction, twice the size
  CHECK(Compare({2, 4}, {1, 2}, {.min_cosine = 0.999}).equal);
  // Both stated: both must hold.
  CHECK_FALSE(Compare({2, 4}, {1, 2}, {.atol = 0.1, .min_cosine = 0.999}).equal);
  CHECK_FALSE(Compare({-1e-4f, 1e-4f}, {1e-4f, 1e-4f}, {.atol = 1, .min_cosine = 0.999}).equal);
}

TEST_CASE("empty tensors and scalars") {
  const HostTensor none = Make<float>(TensorProto::FLOAT, {0, 4}, {});
  const TensorComparison c = CompareTensors(none, none, {.min_cosine = 0.99, .min_snr_db = 30.0});
  CHECK(c.equal);
  CHECK(c.count == 0);
  CHECK(c.cosine == 1);
  CHECK(CompareTensors(none, Make<float>(TensorProto::FLOAT, {4, 0}, {}), {}).problem ==
        "shape [0,4], reference [4,0]");
  const TensorComparison scalar =
      CompareTensors(Make<float>(TensorProto::FLOAT, {}, {1}), Make<float>(TensorProto::FLOAT, {}, {2}), {});
  CHECK_FALSE(scalar.equal);
  CHECK(scalar.worst_index.empty());
  CHECK(scalar.worst_reference == "2");
  CHECK(scalar.Why() == "1 of 1 element differ");
}

TEST_CASE("another dtype or shape isn't comparable") {
  const HostTensor floats = Make<float>(TensorProto::FLOAT, {2, 3}, std::vector<float>(6));
  const HostTensor ints = Make<int32_t>(TensorProto::INT32, {2, 3}, std::vector<int32_t>(6));
  const HostTensor flat = Make<float>(TensorProto::FLOAT, {6}, std::vector<float>(6));
  CHECK(CompareTensors(ints, floats, {.atol = 9}).problem == "dtype int32, reference float32");
  CHECK_FALSE(CompareTensors(ints, floats, {.atol = 9}).equal);
  CHECK(CompareTensors(flat, floats, {.atol = 9}).problem == "shape [6], reference [2,3]");
  CHECK_FALSE(CompareTensors(flat, floats, {.atol = 9}).equal);
  CHECK(CompareTensors(flat, floats, {}).Why() == "shape [6], reference [2,3]");
}

TEST_CASE("integers beyond 2^53 keep their differences") {
  const int64_t big = (int64_t{1} << 53);
  const auto compare = [](std::vector<int64_t> a, std::vector<int64_t> b, const Tolerance& tolerance) {
    return CompareTensors(Make<int64_t>(TensorProto::INT64, {static_cast<int64_t>(a.size())}, a),
                          Make<int64_t>(TensorProto::INT64, {static_cast<int64_t>(b.size())}, b), tolerance);
  };
  const TensorComparison c = compare({big + 1, 5}, {big, 5}, {});
  CHECK_FALSE(c.equal);
  CHECK(c.max_abs == 1);
  CHECK(c.worst_candidate == "9007199254740993");
  CHECK(compare({big + 1}, {big}, {.atol = 1}).equal);
  CHECK_FALSE(compare({big + 2}, {big}, {.atol = 1}).equal);
  const int64_t least = std::numeric_limits<int64_t>::min();
  const int64_t most = std::numeric_limits<int64_t>::max();
  CHECK(compare({least}, {most}, {}).max_abs == Catch::Approx(18446744073709551615.0));
  CHECK_FALSE(compare({most - 1}, {most}, {}).equal);
  const auto a = Make<uint64_t>(TensorProto::UINT64, {1}, {~uint64_t{0}});
  const auto b = Make<uint64_t>(TensorProto::UINT64, {1}, {~uint64_t{0} - 1});
  CHECK_FALSE(CompareTensors(a, b, {}).equal);
  CHECK(CompareTensors(a, b, {}).max_abs == 1);
}

TEST_CASE("the worst place has coordinates and values that read back") {
  std::vector<float> reference(24, 1);
  std::vector<float> candidate = reference;
  candidate[3] = 1.5f;
  candidate[17] = 0.1f;
  const TensorComparison c = CompareTensors(Make(TensorProto::FLOAT, {2, 3, 4}, candidate),
                                            Make(TensorProto::FLOAT, {2, 3, 4}, reference), {});
  CHECK(c.worst_index == std::vector<int64_t>{1, 1, 1});
  CHECK(c.worst_candidate == "0.1");
  CHECK(std::stof(c.worst_candidate) == 0.1f);
  CHECK(c.differing == 2);
  CHECK(c.Why() == "2 of 24 elements differ");
}

TEST_CASE("strings, bools and small integers") {
  const HostTensor a = HostTensor::Strings({2, 1}, {"x", "caf\xc3\xa9"});
  const HostTensor b = HostTensor::Strings({2, 1}, {"x", "cafe"});
  CHECK(CompareTensors(a, a, {.bits = true}).equal);
  const TensorComparison c = CompareTensors(a, b, {.atol = 100});
  CHECK_FALSE(c.equal);
  CHECK(c.worst_index == std::vector<int64_t>{1, 0});
  CHECK(c.worst_reference == "\"cafe\"");

  const auto t = Make<uint8_t>(TensorProto::BOOL, {2}, {1, 0});
  const auto f = Make<uint8_t>(TensorProto::BOOL, {2}, {1, 1});
  CHECK_FALSE(CompareTensors(t, f, {}).equal);
  CHECK(CompareTensors(t, f, {}).worst_candidate == "false");
  CHECK(CompareTensors(Make<int8_t>(TensorProto::INT8, {1}, {-128}), Make<int8_t>(TensorProto::INT8, {1}, {127}), {})
            .max_abs == 255);
}

TEST_CASE("elements that share a byte") {
  // Three int4 elements: 1, -1, 7 against 1, -2, 7; the unused high half of the last byte is no element.
  const auto a = Make<uint8_t>(TensorProto::INT4, {3}, {0xf1, 0x07});
  const auto b = Make<uint8_t>(TensorProto::INT4, {3}, {0xe1, 0x57});
  const TensorComparison c = CompareTensors(a, b, {.bits = true});
  CHECK(c.differing == 1);
  CHECK(c.worst_index == std::vector<int64_t>{1});
  CHECK(c.worst_candidate == "-1");
  CHECK(c.worst_reference == "-2");
  const auto padded = Make<uint8_t>(TensorProto::UINT4, {1}, {0x31});
  CHECK(CompareTensors(padded, Make<uint8_t>(TensorProto::UINT4, {1}, {0x41}), {.bits = true}).equal);
  CHECK(
      CompareTensors(Make<uint8_t>(TensorProto::UINT4, {2}, {0xf1}), Make<uint8_t>(TensorProto::UINT4, {2}, {0xe1}), {})
          .worst_candidate == "15");
}

TEST_CASE("small floats decode as their formats say") {
  using elements::DecodeSmallFloat;
  using elements::Special;
  const auto half = DecodeSmallFloat<5, 10, 15, Special::kIeee>;
  CHECK(half(0x3c00) == 1);
  CHECK(half(0xc000) == -2);
  CHECK(half(0x7bff) == 65504);
  CHECK(half(0x0001) == std::ldexp(1.0f, -24));
  CHECK(half(0x3555) == 0.333251953125f);
  CHECK(std::isinf(half(0x7c00)));
  CHECK(std::isnan(half(0x7e00)));
#ifdef __FLT16_MAX__
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {  // the compiler's own type is the oracle
    const float expected = static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
    const float got = half(bits);
    if (std::isnan(expected) ? !std::isnan(got) : std::bit_cast<uint32_t>(expected) != std::bit_cast<uint32_t>(got)) {
      FAIL("half " << bits << ": " << got << ", not " << expected);
    }
  }
#endif
  CHECK(elements::DecodeBfloat16(0x3f80) == 1);
  const auto e4m3 = DecodeSmallFloat<4, 3, 7, Special::kNanOnly>;
  CHECK(e4m3(0x7e) == 448);
  CHECK(std::isnan(e4m3(0x7f)));
  CHECK(e4m3(0x01) == std::ldexp(1.0f, -9));
  const auto e4m3uz = DecodeSmallFloat<4, 3, 8, Special::kNegativeZeroIsNan>;
  CHECK(e4m3uz(0x7f) == 240);
  CHECK(std::isnan(e4m3uz(0x80)));
  const auto e5m2 = DecodeSmallFloat<5, 2, 15, Special::kIeee>;
  CHECK(e5m2(0x7b) == 57344);
  CHECK(std::isinf(e5m2(0x7c)));
  const auto e5m2uz = DecodeSmallFloat<5, 2, 16, Special::kNegativeZeroIsNan>;
  CHECK(e5m2uz(0x7f) == 57344);
  const auto e2m1 = DecodeSmallFloat<2, 1, 1, Special::kFinite>;
  const std::vector<float> fours{0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (uint32_t i = 0; i < 8; ++i) {
    CHECK(e2m1(i) == fours[i]);
    CHECK(e2m1(i | 8) == -fours[i]);
  }
  CHECK(elements::DecodeE8m0(127) == 1);
  CHECK(elements::DecodeE8m0(0) == std::ldexp(1.0f, -127));
  CHECK(std::isnan(elements::DecodeE8m0(255)));
}

TEST_CASE("half floats, doubles and complex numbers") {
  const auto a = Make<uint16_t>(TensorProto::FLOAT16, {2}, {0x3c00, 0x3c01});
  const auto b = Make<uint16_t>(TensorProto::FLOAT16, {2}, {0x3c00, 0x3c00});
  CHECK_FALSE(CompareTensors(a, b, {}).equal);
  CHECK(CompareTensors(a, b, {.rtol = 1e-3}).equal);
  CHECK(CompareTensors(a, b, {}).worst_candidate == "1.0009766");

  const double huge = std::numeric_limits<double>::max();
  const TensorComparison c = CompareTensors(Make<double>(TensorProto::DOUBLE, {2}, {huge, 1}),
                                            Make<double>(TensorProto::DOUBLE, {2}, {huge, 2}), {});
  CHECK(c.cosine == Catch::Approx(1));  // squares would overflow a double
  CHECK(c.max_abs == 1);

  const auto z = Make<float>(TensorProto::COMPLEX64, {2}, {1, 2, 3, 4});
  const auto w = Make<float>(TensorProto::COMPLEX64, {2}, {1, 2, 3, 5});
  const TensorComparison complex = CompareTensors(z, w, {});
  CHECK_FALSE(complex.equal);
  CHECK(complex.worst_index == std::vector<int64_t>{1});
  CHECK(complex.worst_reference == "(3,5)");
}

}  // namespace
}  // namespace gomai
