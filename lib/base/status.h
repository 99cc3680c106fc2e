#pragma once

// Errors, and the bridge between std::string_view and Abseil's.
//
// The library reports failure by value: absl::Status or absl::StatusOr<T>, never an exception, never an exit. A message
// says what is wrong, where, and what to do. The code is the failure class, which tools turn into an exit code:
//
//   kFailedPrecondition  a negative verdict: a pass refuses, a check fails        exit 1
//   kInvalidArgument     what the user gave makes no sense                        exit 2
//   kNotFound            a name or file that isn't there                          exit 2
//   kDataLoss            a broken file                                            exit 2
//   kUnavailable         a runtime or device that isn't there                     exit 2
//   kResourceExhausted   a limit: disk, 2 GiB, memory                             exit 2
//   kInternal            the operating system or a library failed                 exit 2
//
//   absl::StatusOr<int> Half(int x) {
//     if (x % 2 != 0) return InvalidArgument("{} is odd; give an even number", x);
//     return x / 2;
//   }
//   absl::Status Use() {
//     GOMAI_ASSIGN_OR_RETURN(int half, Half(8));
//     GOMAI_RETURN_IF_ERROR(Store(half));
//     return absl::OkStatus();
//   }

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace gomai {

// Debian 12's Abseil has a string_view of its own, to which std::string_view doesn't convert; a newer one is std's.
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view Message(const absl::Status& status) {
  const absl::string_view text = status.message();
  return {text.data(), text.size()};
}

inline absl::Status MakeStatus(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, ToAbsl(message));
}

#define GOMAI_DEFINE_ERROR_(name, code)                                                  \
  template <typename... Args>                                                            \
  [[nodiscard]] absl::Status name(fmt::format_string<Args...> f, Args&&... a) {          \
    return MakeStatus(absl::StatusCode::code, fmt::format(f, std::forward<Args>(a)...)); \
  }
GOMAI_DEFINE_ERROR_(FailedPrecondition, kFailedPrecondition)
GOMAI_DEFINE_ERROR_(InvalidArgument, kInvalidArgument)
GOMAI_DEFINE_ERROR_(NotFound, kNotFound)
GOMAI_DEFINE_ERROR_(DataLoss, kDataLoss)
GOMAI_DEFINE_ERROR_(Unavailable, kUnavailable)
GOMAI_DEFINE_ERROR_(ResourceExhausted, kResourceExhausted)
GOMAI_DEFINE_ERROR_(Internal, kInternal)
#undef GOMAI_DEFINE_ERROR_

// The same status with "context: " before its message.
[[nodiscard]] inline absl::Status Annotate(const absl::Status& status, std::string_view context) {
  return status.ok() ? status : MakeStatus(status.code(), fmt::format("{}: {}", context, Message(status)));
}

// Ends the process: for our own bugs only, never for input.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace gomai

#define GOMAI_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::gomai::CheckFailed(#condition, __FILE__, __LINE__))

#define GOMAI_RETURN_IF_ERROR(expression)                                   \
  do {                                                                      \
    if (::absl::Status gomai_status_ = (expression); !gomai_status_.ok()) { \
      return gomai_status_;                                                 \
    }                                                                       \
  } while (false)

#define GOMAI_CONCAT_INNER_(a, b) a##b
#define GOMAI_CONCAT_(a, b) GOMAI_CONCAT_INNER_(a, b)
#define GOMAI_ASSIGN_OR_RETURN(lhs, expression) \
  GOMAI_ASSIGN_OR_RETURN_IMPL_(GOMAI_CONCAT_(gomai_statusor_, __LINE__), lhs, expression)
#define GOMAI_ASSIGN_OR_RETURN_IMPL_(temporary, lhs, expression) \
  auto temporary = (expression);                                 \
  if (!temporary.ok()) {                                         \
    return std::move(temporary).status();                        \
  }                                                              \
  lhs = *std::move(temporary)
