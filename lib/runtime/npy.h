#pragma once

// numpy's .npy (format 1.0 to 3.0) and .npz files, and ONNX TensorProto .pb files, as HostTensors.
//
// Read: little- and big-endian, C and Fortran order, bool, ints, floats, float16, complex; numpy's unicode ("<U8") and
// byte strings ("|S8"). Types that numpy lacks are written as numpy sees them without ml_dtypes: bfloat16 as 2-byte
// void (read back as bfloat16), float8 as 1-byte void, 2- and 4-bit types one byte an element (int4 as int8, uint4 as
// uint8). Strings must be UTF-8 without zero bytes at their end, which numpy can't hold.
// Source: numpy/lib/format.py (NEP 1); PKWARE's APPNOTE for .npz, which is a zip file.
//
// A file's header is not believed: what it says must fit the bytes that are there, before memory is taken for it.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"
#include "lib/runtime/tensor.h"

namespace gomai {

// By extension: .npy, .npz (`member` or its only array), .pb. Errors name the file and what is wrong with it.
absl::StatusOr<HostTensor> ReadTensorFile(const std::filesystem::path& path, const std::string& member = "");
// The arrays in a .npz, in the file's order, as `member` takes them.
absl::StatusOr<std::vector<std::string>> ListNpz(const std::filesystem::path& path);

absl::Status WriteNpy(const std::filesystem::path& path, const HostTensor& tensor);
// Each tensor as FOLDER/<FileStemForTensor(name)>.npy; the folder is made if need be. Each file is whole or not there.
// kInvalidArgument, and nothing is written, if one of them would overwrite a file of `inputs`.
absl::Status WriteTensors(const std::filesystem::path& folder, const NamedTensors& tensors,
                          const std::vector<std::filesystem::path>& inputs = {});

// A tensor's name as a file stem: bytes outside [A-Za-z0-9._-] as %XX, so that names never collide.
std::string FileStemForTensor(std::string_view name);

// The bytes of a .npy file in memory; `origin` begins the messages.
absl::StatusOr<HostTensor> ParseNpy(std::span<const uint8_t> file, const std::string& origin);
absl::StatusOr<std::string> PrintNpy(const HostTensor& tensor);

}  // namespace gomai
