#pragma once

// Models to break, and breaking them: the same for the same seed, everywhere.

#include <random>
#include <string>

namespace gomai::testing {

// A small model (1.5 KB at scale 1) that has a tensor wherever a tensor can be; payloads grow with `scale`. One tensor
// is external, in "w.bin" (3 bytes).
std::string RichModel(int scale = 1);

// One to four accidents: bytes changed, added, removed or repeated, the end cut off, fields in another order.
std::string Mutate(std::string bytes, std::mt19937_64& random);

// The fields of some message on a random way down in another order, all lengths right.
std::string Reorder(const std::string& model, std::mt19937_64& random);

}  // namespace gomai::testing
