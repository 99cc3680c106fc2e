// Writes the fuzz targets' first corpus: small models, the small ones among the hostile files, and mutations of both.
// The same files each time: make_corpus FOLDER
#include <cstdio>
#include <filesystem>
#include <random>

#include "tests/support/hostile.h"
#include "tests/support/mutate.h"
#include "tests/support/wire_check.h"

int main(int argc, char** argv) {
  namespace testing = gomai::testing;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& bytes) {
    testing::WriteFile((folder / name).string(), bytes);
  };
  write("rich", testing::RichModel());
  write("sound", testing::SoundModel());
  constexpr size_t kSmall = 700;
  std::mt19937_64 random(20240301);
  int count = 0;
  for (const testing::HostileModel& model : testing::HostileModels()) {
    if (model.bytes.size() <= kSmall && ++count % 3 != 0) {
      write("hostile_" + model.name, model.bytes);
    }
  }
  for (int i = 0; i < 20; ++i) {
    write("rich_" + std::to_string(i), testing::Mutate(testing::RichModel(), random));
  }
  for (int i = 0; i < 5; ++i) {
    write("sound_" + std::to_string(i), testing::Mutate(testing::SoundModel(), random));
  }
  return 0;
}
