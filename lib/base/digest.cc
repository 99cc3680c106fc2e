// SHA-256 by libcrypto: it uses the processor's SHA instructions, which matter for --digest=full on 185 MB.
#include "lib/base/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include "lib/base/status.h"

namespace gomai {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  GOMAI_CHECK(state_->context != nullptr);
  GOMAI_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() { EVP_MD_CTX_free(state_->context); }

void Sha256::Update(std::span<const uint8_t> bytes) {
  GOMAI_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::Hex() {
  uint8_t digest[32];
  unsigned int length = 0;
  GOMAI_CHECK(EVP_DigestFinal_ex(state_->context, digest, &length) == 1 && length == sizeof(digest));
  std::string hex;
  for (const uint8_t byte : digest) {
    hex += fmt::format("{:02x}", byte);
  }
  return hex;
}

}  // namespace gomai
