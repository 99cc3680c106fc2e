#pragma once

// Independent pieces of work on all cores.

#include <cstddef>
#include <functional>

#include "lib/base/status.h"

namespace gomai {

// Calls work(0) … work(count - 1), on as many threads as there are cores; earlier ones are started first. All are
// called whatever fails; the error is that of the lowest number, so it doesn't depend on timing. `work` must not touch
// what others touch.
absl::Status ParallelFor(size_t count, const std::function<absl::Status(size_t)>& work);

}  // namespace gomai
