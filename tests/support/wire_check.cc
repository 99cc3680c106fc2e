// See wire_check.h.
#include "tests/support/wire_check.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "lib/model/model.h"

namespace gomai::testing {
namespace {

constexpr uint64_t kSource = 42;

std::string Difference(std::string_view got, std::string_view want) {
  size_t at = 0;
  while (at < got.size() && at < want.size() && got[at] == want[at]) {
    ++at;
  }
  return fmt::format("{} bytes instead of {}, first difference at {}", got.size(), want.size(), at);
}

}  // namespace

std::string Assemble(const wire::GatherList& list, std::string_view source) {
  std::string bytes;
  for (const wire::Piece& piece : list.pieces) {
    bytes += (piece.is_payload ? source : std::string_view(list.literals)).substr(piece.offset, piece.length);
  }
  return bytes;
}

std::string CheckRoundTrip(std::string_view bytes, uint64_t threshold, size_t* left_out) {
  const std::span<const uint8_t> span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const absl::StatusOr<wire::Skeleton> skeleton = wire::Deflate(span, kSource, threshold);
  onnx::ModelProto direct;
  const bool parses = direct.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!skeleton.ok()) {
    const bool refused = absl::IsInvalidArgument(skeleton.status()) && bytes.find(wire::kMarkerKey) != bytes.npos;
    return refused || (absl::IsDataLoss(skeleton.status()) && !parses)
               ? ""
               : fmt::format("Deflate says '{}', but protobuf parses it", Message(skeleton.status()));
  }
  if (left_out != nullptr) {
    *left_out += skeleton->payloads.size();
  }
  const absl::StatusOr<wire::GatherList> exact = wire::Inflate(skeleton->bytes, wire::PayloadPlace::kAtMarker);
  if (!exact.ok()) {
    return fmt::format("Inflate says '{}'", Message(exact.status()));
  }
  if (const std::string again = Assemble(*exact, bytes); again != bytes || exact->size != bytes.size()) {
    return "inflated differs: " + Difference(again, bytes);
  }
  onnx::ModelProto light;
  if (light.ParseFromString(skeleton->bytes) != parses) {
    return fmt::format("the skeleton {} parse, the model {}", parses ? "doesn't" : "does", parses ? "does" : "doesn't");
  }
  if (!parses) {
    return "";
  }
  std::string want;
  std::string edited;
  if (!SerializeDeterministic(direct, &want) || !SerializeDeterministic(light, &edited)) {
    return "can't be serialised";
  }
  const absl::StatusOr<wire::GatherList> ordered = wire::Inflate(edited, wire::PayloadPlace::kCanonical);
  if (!ordered.ok()) {
    return fmt::format("Inflate in field order says '{}'", Message(ordered.status()));
  }
  const std::string got = Assemble(*ordered, bytes);
  return got == want && ordered->size == want.size() ? "" : "inflated in field order differs: " + Difference(got, want);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw std::runtime_error("can't read " + path);
  }
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) {
    throw std::runtime_error("can't write " + path);
  }
}

}  // namespace gomai::testing
