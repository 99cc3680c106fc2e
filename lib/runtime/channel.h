#pragma once

// Internal to lib/runtime: messages between a program and its worker process: JSON, and descriptors of shared memory
// beside it, over a socket of their own. Not stdin and stdout: vendors' libraries print there.

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace gomai {

struct ChannelMessage {
  nlohmann::json json;
  std::vector<int> descriptors;  // of a message that came in: the reader's to close, at most one as things are
};

class Channel {
 public:
  explicit Channel(int socket) : socket_(socket) {}
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // kUnavailable: the other side is gone.
  absl::Status Send(const nlohmann::json& json, int descriptor = -1);
  // `wait`, if given, is asked some times a second while nothing comes, and ends the waiting by an error. kUnavailable:
  // the other side is gone; kDataLoss: what came is no message.
  absl::StatusOr<ChannelMessage> Receive(const std::function<absl::Status()>& wait = {});

 private:
  absl::Status Fill(char* to, size_t size, std::vector<int>* descriptors, const std::function<absl::Status()>& wait);

  int socket_;
};

}  // namespace gomai
