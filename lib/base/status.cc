// GOMAI_CHECK's end: the one place of the library that writes to stderr and stops the process, for our own bugs only.
#include "lib/base/status.h"

#include <cstdio>
#include <cstdlib>

namespace gomai {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "gomai: internal error at %s:%d: %s does not hold\n", file, line, condition);
  std::abort();
}

}  // namespace gomai
