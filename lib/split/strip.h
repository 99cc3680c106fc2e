#pragma once

// Preprocessing off: a model cut at the tensor that enters the network, with what lies before it as a model of its own.
//
// What the network reads from before the cut, besides that tensor, crosses as well: sizes, as a rule (of the image, of
// the resized image), which later parts need to place boxes. Where only the Shape of the image is needed, its Shape
// crosses and the image is no input any more. The sizes become inputs of the model, or constants for one image size.
//
//   GOMAI_ASSIGN_OR_RETURN(Stripped stripped, StripPreprocess(model, {.at = "normalised", .image_size = {480, 640}},
//                                                             *backend, diagnostics));
//   // stripped.preprocess and stripped.network, chained, are the model
//
// Cost: that of a split, and one run of the removed part (to learn the sizes it gives) on an image of zeros.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/runtime/backend.h"

namespace gomai {

struct StripOptions {
  std::string at;     // a tensor, or a selector as plans have them
  std::string input;  // the image among the model's inputs; "": the one that the removed part reads
  // Height and width, or the whole shape. The network's input gets network_size; without it the size that an image of
  // image_size leads to (if both are given they must agree); without either its sizes stay open.
  std::vector<int64_t> image_size;
  std::vector<int64_t> network_size;
  bool constants = false;  // the sizes that cross become constants, for an image of image_size
};

struct Stripped {
  Model preprocess;                // from the image to the network's input and the sizes
  Model network;                   // the rest, with those as inputs
  std::string image;               // the image's name
  std::string network_input;       // the tensor of the cut
  std::vector<std::string> sizes;  // what crosses besides, in order
  // The whole shape of an image of image_size; empty without that. fixed_image: the sizes are constants, so
  // `preprocess` takes no other (FixImage).
  std::vector<int64_t> image_shape;
  bool fixed_image = false;
};

// Errors: kNotFound for a tensor or input that isn't there; kInvalidArgument for one where no cut can be (an input, a
// constant), for sizes that contradict the model's, for constants without image_size; kFailedPrecondition if nothing is
// left on one side; kInternal if the removed part can't be run.
absl::StatusOr<Stripped> StripPreprocess(const Model& model, const Index& index, const StripOptions& options,
                                         Backend& backend, const Diagnostics& diagnostics);

// With sizes as constants: the preprocessing's input gets the size of the one image for which they hold, so that
// another is refused. Apart from StripPreprocess, since a description needs the preprocessing that takes any.
void FixImage(Stripped* stripped);

}  // namespace gomai
