// See activity.h. One pointer for the whole process, since a runtime's own threads crash as well.
#include "lib/runtime/activity.h"

#include <atomic>
#include <utility>

namespace gomai {
namespace {

std::atomic<const char*> current = nullptr;

}  // namespace

RuntimeActivity::RuntimeActivity(std::string doing)
    : doing_(std::move(doing)), before_(current.exchange(doing_.c_str())) {}

RuntimeActivity::~RuntimeActivity() {
  const char* mine = doing_.c_str();
  current.compare_exchange_strong(mine, before_);
}

const char* CurrentRuntimeActivity() noexcept { return current; }

}  // namespace gomai
