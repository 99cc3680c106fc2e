#pragma once

// Models that mean harm, or could as well: the same list for the library's tests and the programs'.

#include <filesystem>
#include <string>
#include <vector>

namespace gomai::testing {

struct HostileModel {
  std::string name;    // of the file, without ".onnx"
  bool sound = false;  // nothing is wrong with it but its size or its names: tools may succeed
  std::string bytes;
};
std::vector<HostileModel> HostileModels();

// A model with bodies, a function and inline weights, that all tools take: to be cut and changed.
std::string SoundModel();

// Manifests beside which "a.onnx" (a float[2] x -> float[2] h) may lie.
struct HostileManifest {
  std::string name;
  std::string text;
};
std::vector<HostileManifest> HostileManifests();

// What they refer to: "w.bin" (64 bytes), "link.bin" that leads out of the folder, "circle.bin" that leads to itself,
// "pipe.bin", a named pipe that nobody writes, and "folder.bin", a folder.
void WriteHostileData(const std::filesystem::path& folder);

}  // namespace gomai::testing
