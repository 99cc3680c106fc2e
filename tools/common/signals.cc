// See signals.h. Handlers do only what POSIX allows them: write, unlink, _exit.
#include "tools/common/signals.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "lib/base/temporaries.h"
#include "lib/runtime/activity.h"

namespace gomai {
namespace {

constexpr int kTrouble = 2;
#ifdef __SANITIZE_ADDRESS__  // its own handlers of crashes say more
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr size_t kHandlerStack = size_t{64} << 10;

const char* program = "gomai";

volatile std::sig_atomic_t ask = 0;
volatile std::sig_atomic_t asked = 0;

void Say(const char* text) {
  // Nobody is left to tell if this fails.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void End(int signal) {
  if (signal == SIGINT && ask != 0 && asked == 0) {
    asked = 1;
    Say("\n");
    Say(program);
    Say(": interrupted; finishing what runs, then telling what is done. Once more ends it at once\n");
    return;
  }
  RemoveTemporaries();
  std::signal(signal, SIG_DFL);
  ::raise(signal);  // ends the process once the handler returns, as its caller expects
}

const char* Meaning(int signal) {
  switch (signal) {
    case SIGFPE:
      return "SIGFPE: an integer division by zero, or one that overflows";
    case SIGSEGV:
      return "SIGSEGV: memory that isn't its own, or a stack that overflowed";
    case SIGBUS:
      return "SIGBUS: memory that isn't there, such as a file that shrank";
    case SIGILL:
      return "SIGILL: an instruction that this processor doesn't have";
    default:
      return "SIGABRT: it gave up";
  }
}

void Crash(int signal) {
  const char* doing = CurrentRuntimeActivity();
  if (doing == nullptr) {
    End(signal);
    return;
  }
  RemoveTemporaries();
  for (const char* text : {program, ": ONNX Runtime crashed while it was ", doing, " (", Meaning(signal),
                           "); the model or this runtime's version is at fault: gomai-info shows what the model holds, "
                           "--ort-library takes another runtime\n"}) {
    Say(text);
  }
  ::_exit(kTrouble);
}

}  // namespace

void AskOnInterrupt() { ask = 1; }

bool InterruptAsked() { return asked != 0; }

void HandleSignals(const char* name) {
  program = name;
  struct sigaction action {};
  action.sa_handler = End;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {  // nohup stays nohup
      ::sigaction(signal, &action, nullptr);
    }
  }
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit fails then, and is told like any other
  if (kSanitized) {
    return;
  }
  static char stack[kHandlerStack];  // an overflowed one holds no handler
  stack_t handler_stack{};
  handler_stack.ss_sp = stack;
  handler_stack.ss_size = sizeof(stack);
  ::sigaltstack(&handler_stack, nullptr);
  action.sa_handler = Crash;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace gomai
