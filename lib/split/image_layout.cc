// Sizes tell the layout: nobody has more than four colours, or images that are four pixels high.
#include "lib/split/image_layout.h"

#include <fmt/ranges.h>

namespace gomai {
namespace {

bool IsChannels(int64_t dim) { return dim >= 1 && dim <= 4; }

size_t At(std::span<const int64_t> shape, int axis) { return shape.size() - static_cast<size_t>(-axis); }

}  // namespace

ImageAxes AxesOf(std::span<const int64_t> shape) {
  if (shape.size() < 2) {
    return {};
  }
  if (shape.size() == 2) {
    return {.channels = 0, .height = -2, .width = -1};
  }
  if (IsChannels(shape.back()) && !IsChannels(shape[At(shape, -3)])) {
    return {.channels = -1, .height = -3, .width = -2};
  }
  return {.channels = -3, .height = -2, .width = -1};
}

ImageSize SizeOf(std::span<const int64_t> shape, const ImageAxes& axes) {
  if (axes.height == 0 || shape.size() < static_cast<size_t>(-axes.height)) {
    return {};
  }
  return {shape[At(shape, axes.height)], shape[At(shape, axes.width)]};
}

std::string LayoutName(std::span<const int64_t> shape) {
  const bool last = AxesOf(shape).channels == -1;
  switch (shape.size()) {
    case 4:
      return last ? "NHWC" : "NCHW";
    case 3:
      return last ? "HWC" : "CHW";
    case 2:
      return "HW";
    default:
      return "";
  }
}

absl::StatusOr<std::vector<int64_t>> ImageShape(const ValueSpec& image, const std::vector<int64_t>& size) {
  const auto fits = [&](const std::vector<int64_t>& shape) {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (image.shape[i] >= 0 && image.shape[i] != shape[i]) {
        return false;
      }
    }
    return true;
  };
  if (image.has_shape && size.size() == image.shape.size() && fits(size)) {
    return size;
  }
  const ImageAxes axes = AxesOf(image.shape);
  if (image.has_shape && size.size() == 2 && axes.height != 0) {
    std::vector<int64_t> shape = image.shape;
    shape[At(shape, axes.height)] = size[0];
    shape[At(shape, axes.width)] = size[1];
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool channels = axes.channels != 0 && i == At(shape, axes.channels);
      shape[i] = shape[i] >= 0 ? shape[i] : channels ? 3 : 1;
    }
    if (fits(shape)) {
      return shape;
    }
  }
  return InvalidArgument("an image size of {} doesn't fit the input '{}', {}; give HxW or the whole shape",
                         fmt::join(size, "x"), image.name, DescribeSpec(image));
}

}  // namespace gomai
