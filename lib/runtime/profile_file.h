#pragma once

// Internal to lib/runtime: the file that a runtime profiles a session into: taken hold of and unlinked as soon as it is
// there, so that nothing stays of it, whatever becomes of the process.

#include <memory>
#include <string>

#include "lib/base/status.h"

namespace gomai {

class ProfileFile {
 public:
  // In the temporary folder, of this process; the runtime adds a time to it.
  static std::string NewPrefix();
  // The file that was begun under the prefix. kNotFound if there is none.
  static absl::StatusOr<std::unique_ptr<ProfileFile>> Open(const std::string& prefix);
  // What a process that was killed left before it could take hold of it.
  static void RemoveOf(int64_t process);
  ~ProfileFile();
  ProfileFile(const ProfileFile&) = delete;
  ProfileFile& operator=(const ProfileFile&) = delete;

  absl::StatusOr<std::string> Read() const;  // all that is in it

 private:
  explicit ProfileFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace gomai
