// Whatever comes in, loading, reading values and saving end in a result or a status; and what was saved loads again.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <random>

#include "lib/model/model.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "tests/support/mutate.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

TEST_CASE("broken models end in a status, sound ones come back") {
  const testing::TemporaryFolder folder;
  const std::string seed = testing::RichModel(60);
  testing::WriteFile(folder / "w.bin", "abc");
  std::mt19937_64 random(31337);
  int loaded = 0;
  int saved = 0;
  for (int i = 0; i < 1500; ++i) {
    INFO("mutation " << i);
    testing::WriteFile(folder / "m.onnx", i == 0 ? seed : testing::Mutate(seed, random));
    absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
    if (!model.ok()) {
      CHECK((absl::IsDataLoss(model.status()) || absl::IsInvalidArgument(model.status())));
      continue;
    }
    ++loaded;
    REQUIRE(model->Unchanged());
    std::vector<std::string> values;
    ForEachTensor(model->proto(), [&](const onnx::TensorProto& tensor, TensorPlace) {
      const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, *model);
      values.push_back(bytes.ok() ? std::string(bytes->bytes().begin(), bytes->bytes().end())
                                  : bytes.status().ToString());
    });
    model->mutable_proto().mutable_graph()->set_name("edited");
    for (const Weights weights : {Weights::kKeep, Weights::kInline, Weights::kExternal, Weights::kReference}) {
      SaveOptions options;
      options.weights = weights;
      const std::filesystem::path out = folder / "out.onnx";
      std::filesystem::remove(out);  // replacing a file makes some file systems write it out at once
      if (!Save(*model, out, options).ok()) {
        continue;
      }
      ++saved;
      absl::StatusOr<Model> again = Model::Load(out);
      INFO(again.status().ToString());
      REQUIRE(again.ok());
      size_t at = 0;
      ForEachTensor(again->proto(), [&](const onnx::TensorProto& tensor, TensorPlace) {
        const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, *again);
        REQUIRE(at < values.size());
        if (bytes.ok()) {
          CHECK(std::string(bytes->bytes().begin(), bytes->bytes().end()) == values[at]);
        }
        ++at;
      });
      CHECK(at == values.size());
    }
  }
  CHECK(loaded > 200);
  CHECK(saved > 200);
}

TEST_CASE("every model at hand: saved after an edit it is what protobuf makes of it") {
  const testing::TemporaryFolder folder;
  int count = 0;
  for (const std::filesystem::path& path : testing::AllModels()) {
    INFO(path);
    absl::StatusOr<Model> model = Model::Load(path);
    REQUIRE(model.ok());
    REQUIRE(model->Unchanged());
    onnx::ModelProto direct;
    REQUIRE(direct.ParseFromString(testing::ReadFile(path.string())));
    model->mutable_proto().set_domain("edited");
    direct.set_domain("edited");
    std::string want;
    REQUIRE(SerializeDeterministic(direct, &want));
    std::filesystem::remove(folder / "out.onnx");
    REQUIRE(Save(*model, folder / "out.onnx", {}).ok());
    REQUIRE(testing::ReadFile(folder / "out.onnx") == want);
    ++count;
  }
  CHECK(count > 1000);
}

}  // namespace
}  // namespace gomai
