// libFuzzer target: the wire layer. Inflate(Deflate(x)) == x or a status that protobuf agrees with, at three
// thresholds.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/wire_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const int threshold : {1, 16, 4096}) {
    if (const std::string fault = gomai::testing::CheckRoundTrip(bytes, static_cast<uint64_t>(threshold));
        !fault.empty()) {
      std::fprintf(stderr, "threshold %d: %s\n", threshold, fault.c_str());
      std::abort();
    }
  }
  return 0;
}
