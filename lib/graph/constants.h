#pragma once

// Which values depend on constants alone: the analysis behind Index::IsConstant.
//
// A value is constant if it is an initializer that no caller can override, or comes from a constant node. A node is
// constant if all its inputs and captures are, and nothing in it or in what it calls draws random numbers or may keep
// state. Order-independent and O(nodes + edges); a node in or behind a cycle is not constant.

#include <vector>

#include "lib/graph/index.h"

namespace gomai {

struct ConstantSets {
  std::vector<bool> values;  // by ValueId
  std::vector<bool> nodes;   // by NodeId
};

ConstantSets FindConstants(const Index& index);

// By NodeId: does it, or anything in its bodies or in what it calls, draw random numbers or perhaps keep state?
std::vector<bool> FindImpureNodes(const Index& index);

}  // namespace gomai
