#pragma once

// Tensors as people write them: 5, 0.5,-inf, [[1,2],[3,4]], ["a","b c"].
//
//   GOMAI_ASSIGN_OR_RETURN(const TensorText text, ParseTensorText("[[1,2],[3,4]]"));   // shape 2x2, 4 elements
//   GOMAI_ASSIGN_OR_RETURN(onnx::TensorProto tensor, TensorOfText(onnx::TensorProto::INT64, text));
//
// Every element is read by the dtype, exactly: 0.5 is no integer, 300 no uint8, 1e39 no float32. Floats take inf, -inf,
// nan and -0.0, bools true, false, 1 and 0, complex numbers 1+2j.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

struct TensorText {
  std::vector<int64_t> shape;  // of the brackets; a list without brackets has one dim, a single element none
  std::vector<std::string> elements;
};

// kInvalidArgument for brackets that don't pair or rows of unequal length, with the position.
absl::StatusOr<TensorText> ParseTensorText(std::string_view text);

// A tensor without a name, of the text's shape; values in raw_data (strings in string_data). kInvalidArgument naming
// the element that the dtype can't hold.
absl::StatusOr<onnx::TensorProto> TensorOfText(int dtype, const TensorText& text);

}  // namespace gomai
