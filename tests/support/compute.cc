#include "tests/support/compute.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <numeric>

#include "lib/model/numbers.h"
#include "lib/model/save.h"
#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai::testing {

Model LoadModelText(const std::string& text) {
  INFO(text);
  return Model::FromProto(ParseModel(text.c_str()));
}

absl::StatusOr<NamedTensors> Compute(const Model& model, const NamedTensors& feeds) {
  const absl::StatusOr<std::string> bytes = SerializeInline(model);
  REQUIRE(bytes.ok());
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, RuntimeOrSkip().OpenBytes(*bytes, SessionOptions()));
  return session->Run(feeds, {});
}

HostTensor MakeTensor(int dtype, const std::vector<int64_t>& shape, const std::vector<double>& values) {
  absl::StatusOr<HostTensor> tensor = HostTensor::Create(dtype, shape);
  REQUIRE(tensor.ok());
  const std::optional<std::string> bytes = PackNumbers(dtype, values);
  REQUIRE(bytes);
  REQUIRE(bytes->size() == tensor->bytes().size());
  if (!bytes->empty()) {
    std::memcpy(tensor->mutable_bytes().data(), bytes->data(), bytes->size());
  }
  return *std::move(tensor);
}

HostTensor UniformTensor(int dtype, const std::vector<int64_t>& shape, double low, double high,
                         std::mt19937_64& random) {
  const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) {
    value = std::uniform_real_distribution<double>(low, high)(random);
  }
  return MakeTensor(dtype, shape, values);
}

std::vector<double> ValuesOf(const HostTensor& tensor) {
  const auto values = UnpackNumbers(tensor.dtype(), tensor.bytes(), tensor.count());
  REQUIRE(values);
  return *values;
}

void CheckClose(const NamedTensors& got, const NamedTensors& expected, const Tolerance& tolerance) {
  REQUIRE(got.size() == expected.size());
  for (const auto& [name, tensor] : expected) {
    const TensorComparison comparison = CompareTensors(got.at(name), tensor, tolerance);
    INFO("output " << name << ": " << comparison.problem << " " << comparison.Why());
    CHECK(comparison.equal);
  }
}

}  // namespace gomai::testing
