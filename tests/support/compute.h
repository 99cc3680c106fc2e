#pragma once

// A model computed by ONNX Runtime on small tensors that a test makes up.

#include <random>
#include <string>
#include <vector>

#include "lib/compare/tensors.h"
#include "lib/model/model.h"
#include "lib/runtime/backend.h"

namespace gomai::testing {

// From the text of a whole model.
Model LoadModelText(const std::string& text);

// Skips the test case if there is no runtime.
absl::StatusOr<NamedTensors> Compute(const Model& model, const NamedTensors& feeds);

// Values rounded to the dtype, row-major.
HostTensor MakeTensor(int dtype, const std::vector<int64_t>& shape, const std::vector<double>& values);
// Uniform.
HostTensor UniformTensor(int dtype, const std::vector<int64_t>& shape, double low, double high,
                         std::mt19937_64& random);
std::vector<double> ValuesOf(const HostTensor& tensor);

// Every expected output is there, within the tolerance, and no other.
void CheckClose(const NamedTensors& got, const NamedTensors& expected, const Tolerance& tolerance);

}  // namespace gomai::testing
