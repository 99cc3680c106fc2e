#pragma once

// What a runtime is doing at this moment, so that a program's crash handler can say whose fault it was: a model may
// make a runtime divide by zero or overflow its stack, and no status comes back from that.
//
//   const RuntimeActivity activity("running 'm.onnx'");
//   api.Run(...);

#include <string>

namespace gomai {

// Of concurrent activities the latest is told.
class RuntimeActivity {
 public:
  explicit RuntimeActivity(std::string doing);
  ~RuntimeActivity();
  RuntimeActivity(const RuntimeActivity&) = delete;
  RuntimeActivity& operator=(const RuntimeActivity&) = delete;

 private:
  const std::string doing_;
  const char* before_;
};

// nullptr: no runtime is at work. Async-signal-safe.
const char* CurrentRuntimeActivity() noexcept;

}  // namespace gomai
