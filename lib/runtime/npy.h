#pragma once

// numpy's .npy (format 1.0 to 3.0) and .npz files, and ONNX TensorProto .pb files, as HostTensors.
//
// Read: little- and big-endian, C and Fortran order, bool, ints, floats, float16, complex; numpy's unicode strings
// ("<U8"). Types that numpy lacks (bfloat16, float8, int4) are written as raw void/uint8 as ml_dtypes-less numpy sees
// them. Source: numpy/lib/format (NEP 1).

#include <filesystem>
#include <string>

#include "lib/base/status.h"
#include "lib/runtime/tensor.h"

namespace gomai {

// By extension: .npy, .npz (`member` or its only array), .pb. Errors name the file and what is wrong with it.
absl::StatusOr<HostTensor> ReadTensorFile(const std::filesystem::path& path, const std::string& member = "");
absl::Status WriteNpy(const std::filesystem::path& path, const HostTensor& tensor);

// A tensor's name as a file stem: bytes outside [A-Za-z0-9._-] as %XX, so that names never collide.
std::string FileStemForTensor(std::string_view name);

}  // namespace gomai
