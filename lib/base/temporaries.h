#pragma once

// Temporary files in the making, so that an interrupted process can take them away.
//
// A program's handler of SIGINT and the like calls RemoveTemporaries(), which does nothing that a signal handler must
// not do; OutputFile (file.h) registers what it writes.

#include <string>

namespace gomai {

struct Temporary;  // an entry of the list; entries are reused, never freed

// Thread-safe.
Temporary* RememberTemporary(const std::string& path);
void ForgetTemporary(Temporary* entry);  // nullptr: nothing

// Removes every file that is remembered. Async-signal-safe.
void RemoveTemporaries() noexcept;

}  // namespace gomai
