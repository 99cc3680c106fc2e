#pragma once

// Where an image tensor holds channels, height and width: told by its sizes alone, since ONNX doesn't say.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/runtime/backend.h"

namespace gomai {

// Axes counted from the end, as ONNX allows: -1 is the last. 0: the tensor has none.
struct ImageAxes {
  int channels = 0;
  int height = 0;
  int width = 0;
  bool operator==(const ImageAxes&) const = default;
};

// Height and width of an image, in pixels.
struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const ImageSize&) const = default;
};

// Channels come last if the last dim is 1 to 4 and the third from the end isn't; else before height and width. An open
// dim is -1. Below rank 3 there are no channels, below rank 2 there is nothing.
ImageAxes AxesOf(std::span<const int64_t> shape);
ImageSize SizeOf(std::span<const int64_t> shape, const ImageAxes& axes);
// "NCHW", "NHWC", "CHW", "HWC", "HW"; "" for another rank.
std::string LayoutName(std::span<const int64_t> shape);

// The image input's shape for `size`: height and width, or the whole shape. Its fixed dims stay; of the open ones the
// batch becomes 1 and the channels 3. kInvalidArgument if that doesn't fit.
absl::StatusOr<std::vector<int64_t>> ImageShape(const ValueSpec& image, const std::vector<int64_t>& size);

}  // namespace gomai
