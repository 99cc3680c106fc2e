// See channel.h. A message is its length, 8 bytes, then the JSON; a descriptor travels with the length.
#include "lib/runtime/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace gomai {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 30;
constexpr int kAskEveryMs = 20;

absl::Status Gone() { return Unavailable("the other process is gone"); }

}  // namespace

Channel::~Channel() { ::close(socket_); }

absl::Status Channel::Send(const nlohmann::json& json, int descriptor) {
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  uint64_t size = text.size();
  struct iovec part {
    &size, sizeof(size)
  };
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr message {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent != static_cast<ssize_t>(sizeof(size))) {
    return Gone();
  }
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::send(socket_, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) {
      return Gone();
    }
    done += n > 0 ? static_cast<size_t>(n) : 0;
  }
  return absl::OkStatus();
}

absl::Status Channel::Fill(char* to, size_t size, std::vector<int>* descriptors,
                           const std::function<absl::Status()>& wait) {
  for (size_t done = 0; done < size;) {
    struct pollfd ready {
      socket_, POLLIN, 0
    };
    const int polled = ::poll(&ready, 1, wait ? kAskEveryMs : -1);
    if (polled == 0 || (polled < 0 && errno == EINTR)) {
      if (wait) {
        GOMAI_RETURN_IF_ERROR(wait());
      }
      continue;
    }
    struct iovec part {
      to + done, size - done
    };
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    struct msghdr message {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = ::recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return Gone();
    }
    for (struct cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
        descriptors->push_back(descriptor);
      }
    }
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<ChannelMessage> Channel::Receive(const std::function<absl::Status()>& wait) {
  ChannelMessage message;
  uint64_t size = 0;
  std::string text;
  absl::Status filled = Fill(reinterpret_cast<char*>(&size), sizeof(size), &message.descriptors, wait);
  if (filled.ok() && size > kMostBytes) {
    filled = DataLoss("a message of {} bytes from the other process", size);
  }
  if (filled.ok()) {
    text.resize(size);
    filled = Fill(text.data(), size, &message.descriptors, wait);
  }
  if (filled.ok()) {
    message.json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!message.json.is_object()) {
      filled = DataLoss("what came from the other process is no message");
    }
  }
  if (!filled.ok()) {
    for (const int descriptor : message.descriptors) {
      ::close(descriptor);
    }
    return filled;
  }
  return message;
}

}  // namespace gomai
