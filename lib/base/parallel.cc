// Threads that take the next number until none is left. They live for one call: what they are used for takes
// milliseconds.
#include "lib/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace gomai {

absl::Status ParallelFor(size_t count, const std::function<absl::Status(size_t)>& work) {
  std::vector<absl::Status> results(count);
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      results[i] = work(i);
    }
  };
  const size_t threads = std::min<size_t>(count, std::max(1U, std::thread::hardware_concurrency()));
  std::vector<std::thread> others;
  for (size_t t = 1; t < threads; ++t) {
    others.emplace_back(run);
  }
  run();
  for (std::thread& thread : others) {
    thread.join();
  }
  for (absl::Status& result : results) {
    GOMAI_RETURN_IF_ERROR(std::move(result));
  }
  return absl::OkStatus();
}

}  // namespace gomai
