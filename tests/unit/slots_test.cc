// Slots of a batch that differ, by name, and those that nobody wrote.
#include "lib/compare/slots.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/model/dtype.h"
#include "lib/model/numbers.h"
#include "lib/runtime/sentinel.h"
#include "tests/support/compute.h"

namespace gomai {
namespace {

using onnx::TensorProto;
using testing::MakeTensor;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

HostTensor Rows(int64_t rows, const std::vector<double>& values, int dtype = TensorProto::FLOAT) {
  return MakeTensor(dtype, {rows, static_cast<int64_t>(values.size()) / rows}, values);
}

// Ones but for the slots that are given.
std::string DescribeBad(int64_t rows, const std::vector<int64_t>& bad, size_t max_runs = 8) {
  std::vector<double> values(static_cast<size_t>(rows), 1);
  const HostTensor reference = Rows(rows, values);
  for (const int64_t slot : bad) {
    values[static_cast<size_t>(slot)] = 3.5;
  }
  return DescribeSlots(CompareSlots(Rows(rows, values), reference, {}), max_runs);
}

TEST_CASE("each slot by itself") {
  const HostTensor reference = Rows(4, {1, 2, 3, 4, 5, 6, 7, kNan});
  const HostTensor candidate = Rows(4, {1, 2, 3.5, 4, 8, 2, kInf, kNan});
  const SlotComparison c = CompareSlots(candidate, reference, {.atol = 0.5});
  CHECK_FALSE(c.equal);
  CHECK(c.bad == std::vector<int64_t>{2, 3});
  REQUIRE(c.slots.size() == 4);
  CHECK(c.slots[0].equal);
  CHECK(c.slots[0].differing == 0);
  CHECK(c.slots[1].equal);
  CHECK(c.slots[1].differing == 1);
  CHECK(c.slots[1].max_abs == 0.5);
  CHECK(c.slots[2].slot == 2);
  CHECK(c.slots[2].max_abs == 4);
  CHECK(c.slots[2].rmse == Catch::Approx(std::sqrt(12.5)));
  CHECK(c.slots[3].nonfinite == 2);
  CHECK(c.slots[3].max_abs == 0);
  CHECK(c.slots[3].differing == 1);
  CHECK(DescribeSlots(c) == "slots 2, 3 of 4 differ (max abs 4, 2 not finite); slots 0, 1 are equal");
  // A cosine is one of each slot: the second row alone points elsewhere.
  CHECK(CompareSlots(Rows(2, {2, 4, 3, -1}), Rows(2, {1, 2, 3, 1}), {.min_cosine = 0.99}).bad ==
        std::vector<int64_t>{1});
}

TEST_CASE("slots in words") {
  CHECK(DescribeBad(4, {}) == "all 4 slots are equal");
  CHECK(DescribeBad(1, {}) == "the one slot is equal");
  CHECK(DescribeBad(1, {0}) == "the one slot differs (max abs 2.5)");
  CHECK(DescribeBad(4, {0, 1, 2, 3}) == "all 4 slots differ (max abs 2.5)");
  CHECK(DescribeBad(4, {1, 2, 3}) == "slots 1..3 of 4 differ (max abs 2.5); slot 0 is equal");
  CHECK(DescribeBad(9, {1, 4, 5, 6, 8}) == "slots 1, 4..6, 8 of 9 differ (max abs 2.5); slots 0, 2, 3, 7 are equal");
  CHECK(DescribeBad(9, {0, 2, 4, 6, 8}, 3) ==
        "slots 0, 2, 4, … (5 in all) of 9 differ (max abs 2.5); slots 1, 3, 5, … (4 in all) are equal");
  CHECK(DescribeSlots(CompareSlots(MakeTensor(TensorProto::FLOAT, {0, 3}, {}),
                                   MakeTensor(TensorProto::FLOAT, {0, 3}, {}), {})) == "there are no slots");
}

TEST_CASE("slots of scalars, strings and packed types") {
  CHECK(CompareSlots(MakeTensor(TensorProto::INT32, {}, {1}), MakeTensor(TensorProto::INT32, {}, {1}), {}).equal);
  CHECK(CompareSlots(MakeTensor(TensorProto::INT32, {}, {1}), MakeTensor(TensorProto::INT32, {}, {2}), {}).bad ==
        std::vector<int64_t>{0});
  CHECK(CompareSlots(MakeTensor(TensorProto::FLOAT, {3, 0}, {}), MakeTensor(TensorProto::FLOAT, {3, 0}, {}), {})
            .slots.size() == 3);
  const SlotComparison strings = CompareSlots(HostTensor::Strings({2, 2}, {"a", "b", "c", "d"}),
                                              HostTensor::Strings({2, 2}, {"a", "b", "x", "d"}), {});
  CHECK(strings.bad == std::vector<int64_t>{1});
  CHECK(DescribeSlots(strings) == "slot 1 of 2 differs (1 element); slot 0 is equal");
  // Rows of three int4 begin inside bytes.
  std::vector<double> values = {1, -2, 3, 4, 5, -6, 7, -8, 0, 1, 2, 3};
  const HostTensor reference = Rows(4, values, 22);
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<double> other = values;
    other[i] = values[i] + (values[i] < 0 ? 3 : -3);
    const SlotComparison c = CompareSlots(Rows(4, other, 22), reference, {});
    CHECK(c.bad == std::vector<int64_t>{static_cast<int64_t>(i) / 3});
    CHECK(c.slots[i / 3].max_abs == 3);
  }
}

TEST_CASE("slots that can't be compared") {
  const HostTensor a = Rows(2, {1, 2, 3, 4});
  CHECK(DescribeSlots(CompareSlots(a, Rows(1, {1, 2, 3, 4}), {})) == "shape [2,2], reference [1,4]");
  CHECK(CompareSlots(a, Rows(2, {1, 2, 3, 4}, TensorProto::DOUBLE), {}).problem == "dtype float32, reference float64");
  CHECK_FALSE(CompareSlots(a, Rows(1, {1, 2, 3, 4}), {}).equal);
  const HostTensor cut = HostTensor::Wrap(TensorProto::FLOAT, {2, 2}, a.bytes().first(12), nullptr);
  CHECK(CompareSlots(cut, a, {}).problem == "12 bytes, reference 16 bytes");
}

// A tensor as the fill leaves it.
HostTensor Filled(int dtype, const std::vector<int64_t>& shape) {
  HostTensor tensor = *HostTensor::Create(dtype, shape);
  FillSentinel(tensor.mutable_bytes(), dtype);
  return tensor;
}

constexpr int kInt4 = 22;
constexpr int kFloat4 = 23;

TEST_CASE("a buffer that nobody wrote, of every dtype") {
  for (const int dtype :
       {TensorProto::FLOAT, TensorProto::DOUBLE, TensorProto::FLOAT16, TensorProto::BFLOAT16, TensorProto::INT64,
        TensorProto::UINT64, TensorProto::INT32, TensorProto::UINT32, TensorProto::INT16, TensorProto::UINT16,
        TensorProto::INT8, TensorProto::UINT8, TensorProto::BOOL, TensorProto::FLOAT8E4M3FN, TensorProto::FLOAT8E5M2,
        TensorProto::COMPLEX64, TensorProto::COMPLEX128, static_cast<onnx::TensorProto_DataType>(kInt4),
        static_cast<onnx::TensorProto_DataType>(kFloat4)}) {
    CAPTURE(DtypeName(dtype));
    const UnwrittenReport all = UnwrittenSlots(Filled(dtype, {3, 17}));
    CHECK(all.problem.empty());
    CHECK(all.slot_count == 3);
    CHECK(all.slots == std::vector<int64_t>{0, 1, 2});
    CHECK(all.elements == 0);
    CHECK(all.Why() == "none of 3 slots was written");
    // Zeros, ones and bytes of one kind are results.
    for (const int byte : {0x00, 0x01, 0xff, 0x80, 0x7f}) {
      HostTensor written = *HostTensor::Create(dtype, {3, 17});
      std::memset(written.mutable_bytes().data(), byte, written.mutable_bytes().size());
      CHECK(UnwrittenSlots(written).slots.empty());
      CHECK(UnwrittenSlots(written).elements == 0);
      CHECK(UnwrittenSlots(written).Why().empty());
    }
    // The middle slot is written, in whole bytes: also where others begin inside one.
    HostTensor some = Filled(dtype, {3, 32});
    const size_t size = some.bytes().size() / 3;
    std::memset(some.mutable_bytes().data() + size, 0, size);
    CHECK(UnwrittenSlots(some).slots == std::vector<int64_t>{0, 2});
    CHECK(UnwrittenSlots(some).elements == 0);
    CHECK(UnwrittenSlots(some).Why() == "slots 0, 2 of 3 weren't written");
  }
}

TEST_CASE("a slot that is written in part") {
  for (const int dtype : {TensorProto::FLOAT, TensorProto::DOUBLE, TensorProto::FLOAT16, TensorProto::BFLOAT16,
                          TensorProto::INT64, TensorProto::INT32, TensorProto::BOOL}) {
    CAPTURE(DtypeName(dtype));
    HostTensor tensor = Filled(dtype, {4, 5});
    const size_t element = tensor.bytes().size() / 20;
    uint8_t* data = tensor.mutable_bytes().data();
    std::memset(data, 0, 5 * element);                 // slot 0
    std::memset(data + 7 * element, 0, element);       // one of slot 1
    std::memset(data + 15 * element, 0, 4 * element);  // all but one of slot 3
    const UnwrittenReport report = UnwrittenSlots(tensor);
    CHECK(report.slots == std::vector<int64_t>{2});
    CHECK(report.elements == 5);
    CHECK(report.Why() == "slot 2 of 4 wasn't written, nor were 5 elements of others");
  }
}

TEST_CASE("a single element of a small integer type tells nothing") {
  for (const auto& [dtype, sure] : {std::pair<int, int64_t>{TensorProto::UINT8, 16},
                                    {TensorProto::INT8, 16},
                                    {TensorProto::FLOAT8E4M3FN, 16},
                                    {kInt4, 16},
                                    {TensorProto::INT16, 4},
                                    {TensorProto::UINT16, 4},
                                    {TensorProto::BOOL, 1},
                                    {TensorProto::FLOAT16, 1}}) {
    CAPTURE(DtypeName(dtype));
    if (sure > 1) {
      CHECK(UnwrittenSlots(Filled(dtype, {1, sure - 1})).slots.empty());
      CHECK(UnwrittenSlots(Filled(dtype, {1, sure - 1})).elements == 0);
      // Small slots in a row: no slot by itself, but all of them together.
      const UnwrittenReport small = UnwrittenSlots(Filled(dtype, {sure, 1}));
      CHECK(small.slots.empty());
      CHECK(small.elements == sure);
      CHECK(small.Why() == fmt::format("{} elements weren't written", sure));
    }
    CHECK(UnwrittenSlots(Filled(dtype, {1, sure})).slots == std::vector<int64_t>{0});
    CHECK(UnwrittenSlots(Filled(dtype, {1, sure})).Why() == "the one slot wasn't written");
  }
}

TEST_CASE("what the fill means") {
  for (const int dtype : {TensorProto::FLOAT, TensorProto::DOUBLE, TensorProto::FLOAT16, TensorProto::BFLOAT16}) {
    CAPTURE(DtypeName(dtype));
    const HostTensor filled = Filled(dtype, {4});
    for (const double value : testing::ValuesOf(filled)) {
      CHECK(std::isnan(value));
    }
    // The NaN that arithmetic gives isn't it.
    const HostTensor nan = MakeTensor(dtype, {4}, {kNan, -kNan, kInf - kInf, std::sqrt(-1.0)});
    CHECK(UnwrittenSlots(nan).elements == 0);
    CHECK(UnwrittenSlots(nan).slots.empty());
  }
  const HostTensor bools = Filled(TensorProto::BOOL, {9});
  for (const uint8_t byte : bools.bytes()) {
    CHECK(byte > 1);
  }
  CHECK(UnwrittenSlots(Filled(TensorProto::FLOAT, {})).Why() == "the one slot wasn't written");
  CHECK(UnwrittenSlots(*HostTensor::Create(TensorProto::FLOAT, {0, 3})).Why().empty());
  CHECK(UnwrittenSlots(*HostTensor::Create(TensorProto::FLOAT, {3, 0})).Why().empty());
  CHECK(UnwrittenSlots(HostTensor::Strings({1}, {"a"})).problem ==
        "what wasn't written can't be told for dtype string");
}

}  // namespace
}  // namespace gomai
