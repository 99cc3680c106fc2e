#pragma once

// What every tool does when a signal comes. Internal to tools/common.
//
// SIGINT, SIGTERM, SIGHUP: temporary files go, then the process ends as its caller expects.
// SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT while a runtime is at work: the same, a word about what it was doing,
// exit 2. Anywhere else these are our own faults, and end the process as such.

namespace gomai {

// `name`: the program's; it must stay alive.
void HandleSignals(const char* name);

// From here on the first SIGINT is only noted, and told to whoever asks; the second one ends the process as before.
void AskOnInterrupt();
bool InterruptAsked();

}  // namespace gomai
