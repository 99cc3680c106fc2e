// libFuzzer target: a model from any bytes is loaded, indexed, verified, and serialised; what it was serialised to
// loads as the same again. No file is left behind: the bytes come from a file in memory.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/graph/index.h"
#include "lib/graph/verify.h"
#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/shape/infer.h"

namespace {

using gomai::Model;

[[noreturn]] void Fail(const char* what, std::string_view more) {
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(more.size()), more.data());
  std::abort();
}

absl::StatusOr<Model> LoadBytes(const void* data, size_t size) {
  const int descriptor = ::memfd_create("fuzz.onnx", MFD_CLOEXEC);
  if (descriptor < 0 || ::write(descriptor, data, size) != static_cast<ssize_t>(size)) {
    Fail("memfd", "can't make a file in memory");
  }
  absl::StatusOr<Model> model = Model::Load("/proc/self/fd/" + std::to_string(descriptor));
  ::close(descriptor);
  return model;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::StatusOr<Model> model = LoadBytes(data, size);
  if (!model.ok()) {
    if (gomai::Message(model.status()).empty()) {
      Fail("load", "refused without a word");
    }
    return 0;
  }
  if (!model->Unchanged()) {
    Fail("load", "the proto isn't what was loaded");
  }
  const gomai::Index index(model->proto());
  for (const gomai::Fault& fault : gomai::Verify(*model, index)) {
    if (fault.message.empty()) {
      Fail("verify", "a fault without a word");
    }
  }
  if (gomai::VerifyForWriting(*model, index).ok()) {
    (void)gomai::InferShapes(*model, index);
  }
  const absl::StatusOr<std::string> bytes = gomai::SerializeInline(*model);
  if (!bytes.ok()) {
    return 0;  // external data that isn't there
  }
  const absl::StatusOr<Model> again = LoadBytes(bytes->data(), bytes->size());
  if (!again.ok()) {
    Fail("load again", gomai::Message(again.status()));
  }
  const absl::StatusOr<std::string> same = gomai::SerializeInline(*again);
  if (!same.ok() || *same != *bytes) {
    Fail("serialise again", "other bytes");
  }
  return 0;
}
