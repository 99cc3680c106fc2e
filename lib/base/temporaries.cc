// Temporary files; see temporaries.h. A list that only grows: the handler may come between any two steps, so each step
// is one atomic exchange, and whoever takes a path out of an entry owns it.
#include "lib/base/temporaries.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace gomai {

struct Temporary {
  std::atomic<char*> path = nullptr;
  Temporary* next = nullptr;
};

namespace {

std::atomic<Temporary*> entries = nullptr;

}  // namespace

Temporary* RememberTemporary(const std::string& path) {
  char* const copy = ::strdup(path.c_str());
  for (Temporary* entry = entries; entry != nullptr; entry = entry->next) {
    char* free_entry = nullptr;
    if (entry->path.compare_exchange_strong(free_entry, copy)) {
      return entry;
    }
  }
  auto* const entry = new Temporary;
  entry->path = copy;
  entry->next = entries;
  while (!entries.compare_exchange_weak(entry->next, entry)) {
  }
  return entry;
}

void ForgetTemporary(Temporary* entry) {
  if (entry != nullptr) {
    std::free(entry->path.exchange(nullptr));
  }
}

void RemoveTemporaries() noexcept {
  for (Temporary* entry = entries; entry != nullptr; entry = entry->next) {
    if (const char* path = entry->path.exchange(nullptr); path != nullptr) {
      ::unlink(path);
    }
  }
}

}  // namespace gomai
