#pragma once

// Survey: what each part of a split holds and costs, before anything is written.
//
// Multiply-accumulates are those of lib/shape/macs.h; bytes are those of boundary tensors per call. Both are known only
// where shapes are. If just the first axis is open (a list of RoIs), they are per row.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/index.h"
#include "lib/shape/infer.h"
#include "lib/shape/macs.h"
#include "lib/split/split.h"

namespace gomai {

struct PartSurvey {
  std::string name;
  std::string device;
  int64_t nodes = 0;  // own nodes, those in bodies included
  int64_t copied_constants = 0;
  Amount macs;
  Amount bytes_in;
  Amount bytes_out;
  uint64_t weight_bytes = 0;
  std::vector<std::string> dynamic;  // why, if anything is: "input image", "3 inputs", "4 NonZero"; empty: all static
  bool plain_cnn = false;
  std::string not_plain;  // the first node that isn't: an address with its op
};

std::vector<PartSurvey> SurveySplit(const Split& split, const Index& index, const Shapes& shapes);

}  // namespace gomai
