#pragma once

// Small random tensors of any dtype, stored in any way. Values are small numbers, so that sums stay finite.

#include <onnx/onnx_pb.h>

#include <random>
#include <string>
#include <vector>

namespace gomai::testing {

// Dtypes that Cast turns into float, and those that it doesn't.
const std::vector<int>& CastableDtypes();
const std::vector<int>& ExoticDtypes();

// In raw_data.
onnx::TensorProto RandomTensorProto(int dtype, const std::vector<int64_t>& dims, std::mt19937_64& random);
// From raw_data into the typed field, where that is simple; else it stays.
void StoreTyped(onnx::TensorProto& tensor);
// From raw_data to the end of `data`, which is to be the file `name`. Strings stay.
void StoreExternal(onnx::TensorProto& tensor, const std::string& name, std::string& data, std::mt19937_64& random);

}  // namespace gomai::testing
