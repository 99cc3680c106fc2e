#pragma once

// SHA-256 (FIPS 180-4) through OpenSSL's libcrypto, as "sha256:…" hexadecimal.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace gomai {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Update(std::span<const uint8_t> bytes);
  std::string Hex();  // 64 digits; ends the computation

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gomai
