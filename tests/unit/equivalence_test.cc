// Candidates beside references: real splits, parts broken on purpose, outputs that lack, runs that fail.
#include "lib/compare/equivalence.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numbers>

#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/split/plan.h"
#include "lib/split/presets.h"
#include "lib/split/split.h"
#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai {
namespace {

using testing::TemporaryFolder;

Backend& Runtime() {
  static const absl::StatusOr<std::unique_ptr<Backend>> backend = LoadOnnxRuntime({});
  if (!backend.ok()) {
    SKIP("no ONNX Runtime here: " << Message(backend.status()));
  }
  return **backend;
}

// A manifest in `folder`, of the model cut by the plan.
std::filesystem::path SplitInto(const std::filesystem::path& folder, const std::filesystem::path& file,
                                const Plan& plan, bool use_aliases = false, Weights weights = Weights::kKeep) {
  const absl::StatusOr<Model> model = Model::Load(file);
  REQUIRE(model.ok());
  const Index index(model->proto());
  const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
  REQUIRE(shapes.ok());
  const absl::StatusOr<Split> split = ResolvePlan(plan, *model, index, *shapes, {}, {});
  INFO(split.status().ToString());
  REQUIRE(split.ok());
  WriteSplitOptions options;
  options.folder = folder;
  options.use_aliases = use_aliases;
  options.save.weights = weights;
  const absl::StatusOr<WriteSplitReport> written = WriteSplit(*split, *model, index, options, {});
  INFO(written.status().ToString());
  REQUIRE(written.ok());
  return folder / "manifest.json";
}

Plan MaskRcnnPlan() {
  const absl::StatusOr<Model> model = Model::Load(testing::TinyModel());
  REQUIRE(model.ok());
  const absl::StatusOr<Plan> plan = PlanFromPreset("torchvision-maskrcnn", Index(model->proto()), nullptr);
  REQUIRE(plan.ok());
  return *plan;
}

HostTensor Image(int64_t height, int64_t width, double deviation, uint64_t seed) {
  ValueSpec spec;
  spec.name = "image";
  spec.dtype = onnx::TensorProto::FLOAT;
  spec.type = "float32";
  HostTensor image = *RandomTensor(spec, seed, {3, height, width});
  if (deviation > 0) {  // normal, by Box and Muller
    const HostTensor other = *RandomTensor(spec, seed + 1000, {3, height, width});
    HostTensor normal = *HostTensor::Create(spec.dtype, {3, height, width});
    const auto u = image.As<float>();
    const auto v = other.As<float>();
    auto* out = reinterpret_cast<float*>(normal.mutable_bytes().data());
    for (size_t i = 0; i < u.size(); ++i) {
      out[i] = static_cast<float>(deviation * std::sqrt(-2 * std::log(1.0 - static_cast<double>(u[i]))) *
                                  std::cos(2 * std::numbers::pi * static_cast<double>(v[i])));
    }
    return normal;
  }
  return image;
}

std::unique_ptr<Equivalence> Open(const std::filesystem::path& reference, const std::filesystem::path& candidate,
                                  const EquivalenceOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<Equivalence>> opened = Equivalence::Open(reference, candidate, Runtime(), options);
  INFO(opened.status().ToString());
  REQUIRE(opened.ok());
  return *std::move(opened);
}

SampleReport Compare(Equivalence& equivalence, const NamedTensors& feeds) {
  absl::StatusOr<SampleReport> report = equivalence.Compare(feeds);
  INFO(report.status().ToString());
  REQUIRE(report.ok());
  return *std::move(report);
}

void CheckAllBits(const SampleReport& report) {
  CHECK(report.candidate_failure.empty());
  for (const TensorComparison& c : report.tensors) {
    CHECK(c.equal);
    CHECK(c.differing_bits == 0);
    CHECK(c.Why().empty());
  }
}

std::vector<std::string> PartsThatDiffer(const Equivalence& equivalence, const SampleReport& report) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < report.tensors.size(); ++i) {
    if (!report.tensors[i].equal && (parts.empty() || parts.back() != equivalence.rows()[i].part)) {
      parts.push_back(equivalence.rows()[i].part);
    }
  }
  return parts;
}

std::filesystem::path SaveGraph(const TemporaryFolder& folder, const std::string& name, const char* graph) {
  std::ofstream(folder / name, std::ios::binary) << testing::ParseGraph(graph).SerializeAsString();
  return folder / name;
}

TEST_CASE("a split detection model equals the whole bit for bit, with and without detections") {
  const TemporaryFolder folder;
  const auto manifest = SplitInto(folder / "parts", testing::TinyModel(), MaskRcnnPlan());
  Tolerance bits;
  bits.bits = true;
  for (const bool isolated : {false, true}) {
    EquivalenceOptions options;
    options.isolated = isolated;
    const auto equivalence = Open(testing::TinyModel(), manifest, options);
    CHECK(equivalence->rows().size() > 30);
    CHECK(equivalence->parts().size() == 7);
    REQUIRE(equivalence->SetTolerances(bits, {}).ok());
    const SampleReport report = Compare(*equivalence, {{"image", Image(128, 192, 0, 1)}});
    CheckAllBits(report);
    CHECK(report.parts.size() == 7);
    CHECK(report.reference_seconds > 0);
    CHECK(report.candidate_seconds > 0);
    CheckAllBits(Compare(*equivalence, {{"image", Image(150, 170, 0, 2)}}));
  }
  const auto equivalence = Open(testing::TinyModel(), manifest);
  const SampleReport none = Compare(*equivalence, {{"image", Image(128, 192, 4, 3)}});
  CheckAllBits(none);
  const auto boxes = std::find_if(equivalence->rows().begin(), equivalence->rows().end(),
                                  [](const EquivalenceRow& row) { return row.tensor == "boxes"; });
  REQUIRE(boxes != equivalence->rows().end());
  CHECK(none.shapes[static_cast<size_t>(boxes - equivalence->rows().begin())] == std::vector<int64_t>{0, 4});
}

TEST_CASE("friendly names are compared with the tensors that they stand for") {
  const TemporaryFolder folder;
  const auto manifest = SplitInto(folder / "parts", testing::TinyModel(), MaskRcnnPlan(), /*use_aliases=*/true);
  const auto equivalence = Open(testing::TinyModel(), manifest);
  size_t renamed = 0;
  for (const EquivalenceRow& row : equivalence->rows()) {
    CHECK(row.missing.empty());
    renamed += row.name != row.tensor ? 1 : 0;
  }
  CHECK(renamed > 10);
  CheckAllBits(Compare(*equivalence, {{"image", Image(128, 192, 0, 1)}}));
}

TEST_CASE("parts that refer to the whole's unaligned weights are compared through an aligned copy") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(testing::TinyModel(), folder / "whole.onnx");
  const auto manifest =
      SplitInto(folder.path(), folder / "whole.onnx", MaskRcnnPlan(), /*use_aliases=*/false, Weights::kReference);
  TemporaryModels copies;
  int unaligned = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().extension() == ".onnx") {
      const absl::StatusOr<std::filesystem::path> aligned = copies.Aligned(entry.path());
      REQUIRE(aligned.ok());
      if (*aligned != entry.path()) {
        ++unaligned;
        CHECK(*copies.Aligned(*aligned) == *aligned);  // the copy is aligned indeed
      }
    }
  }
  CHECK(unaligned > 0);
  const auto equivalence = Open(folder / "whole.onnx", manifest);
  CheckAllBits(Compare(*equivalence, {{"image", Image(128, 192, 0, 1)}}));
  // A changed part is still found to be changed.
  std::ofstream(folder / "box.onnx", std::ios::binary | std::ios::app) << std::string("\x12\x00", 2);
  const auto changed = Equivalence::Open(folder / "whole.onnx", manifest, Runtime(), {});
  CHECK(changed.status().code() == absl::StatusCode::kFailedPrecondition);
}

// The file with one bit of its largest initializer flipped: bit 20 of the middle float.
void FlipWeight(const std::filesystem::path& file, const std::filesystem::path& target) {
  absl::StatusOr<Model> model = Model::Load(file);
  REQUIRE(model.ok());
  onnx::TensorProto* largest = nullptr;
  for (auto& tensor : *model->mutable_proto().mutable_graph()->mutable_initializer()) {
    if (tensor.data_type() == onnx::TensorProto::FLOAT &&
        (largest == nullptr || TensorByteSize(tensor) > TensorByteSize(*largest))) {
      largest = &tensor;
    }
  }
  REQUIRE(largest != nullptr);
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(*largest, *model);
  REQUIRE(bytes.ok());
  std::string values(bytes->bytes().begin(), bytes->bytes().end());
  values[values.size() / 8 * 4 + 2] ^= 0x10;
  SetRawData(*largest, std::move(values));
  REQUIRE(Save(*model, target, {}).ok());
}

TEST_CASE("a flipped bit of a weight is found, and its part named") {
  const TemporaryFolder folder;
  const auto manifest = SplitInto(folder / "parts", testing::TinyModel(), MaskRcnnPlan());
  FlipWeight(folder / "parts/box.onnx", folder / "broken.onnx");
  EquivalenceOptions options;
  options.candidate.replace = {{"box", folder / "broken.onnx"}};
  const NamedTensors feeds{{"image", Image(128, 192, 0, 1)}};

  const auto chained = Open(testing::TinyModel(), manifest, options);
  const std::vector<std::string> behind = PartsThatDiffer(*chained, Compare(*chained, feeds));
  REQUIRE_FALSE(behind.empty());
  CHECK(behind.front() == "box");

  options.isolated = true;
  const auto isolated = Open(testing::TinyModel(), manifest, options);
  const SampleReport report = Compare(*isolated, feeds);
  CHECK(PartsThatDiffer(*isolated, report) == std::vector<std::string>{"box"});
  // Within a tolerance that is wide enough it passes.
  Tolerance wide;
  wide.atol = 1e6;
  REQUIRE(isolated->SetTolerances(wide, {}).ok());
  CHECK(PartsThatDiffer(*isolated, Compare(*isolated, feeds)).empty());
}

constexpr char kWhole[] = R"(g (float[n, 3] x) => (float[n, 3] y, float[n, 3] z) <float[1] two = {2}> {
  a = Mul (x, two)
  y = Relu (a)
  z = Neg (a)
})";

TEST_CASE("an edited constant is found") {
  const TemporaryFolder folder;
  const auto whole = SaveGraph(folder, "whole.onnx", kWhole);
  std::string edited = kWhole;
  edited.replace(edited.find("{2}"), 3, "{2.0000002}");
  const auto candidate = SaveGraph(folder, "edited.onnx", edited.c_str());
  const auto equivalence = Open(whole, candidate);
  const NamedTensors feeds{{"x", *RandomTensor(equivalence->inputs()[0], 1, {4, 3})}};
  const SampleReport report = Compare(*equivalence, feeds);
  REQUIRE(report.tensors.size() == 2);
  CHECK_FALSE(report.tensors[0].equal);
  CHECK(report.tensors[0].worst_index.size() == 2);
  Tolerance loose;
  loose.rtol = 1e-6;
  Tolerance strict;
  strict.rtol = 1e-9;
  REQUIRE(equivalence->SetTolerances(loose, {{"z", strict}}).ok());
  const SampleReport mixed = Compare(*equivalence, feeds);
  CHECK(mixed.tensors[0].equal);
  CHECK_FALSE(mixed.tensors[1].equal);
  const absl::Status unknown = equivalence->SetTolerances(loose, {{"zz", strict}});
  CHECK(unknown.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(Message(unknown)) == "no tensor 'zz' is compared; did you mean 'z' or 'y'?");
}

TEST_CASE("outputs that one side lacks, and tensors of another dtype or shape, differ") {
  const TemporaryFolder folder;
  const auto whole = SaveGraph(folder, "whole.onnx", kWhole);
  const auto other = SaveGraph(folder, "other.onnx", R"(g (float[n, 3] x) => (double[n, 3] y, float[n, 3] w) {
    b = Add (x, x)
    r = Relu (b)
    y = Cast <to = 11> (r)
    w = Neg (b)
  })");
  const auto equivalence = Open(whole, other);
  const SampleReport report = Compare(*equivalence, {{"x", *RandomTensor(equivalence->inputs()[0], 1, {4, 3})}});
  REQUIRE(report.tensors.size() == 3);
  CHECK(report.tensors[0].Why() == "dtype float64, reference float32");
  CHECK(equivalence->rows()[1].tensor == "z");
  CHECK(report.tensors[1].Why() == "the candidate has no such output");
  CHECK(equivalence->rows()[2].tensor == "w");
  CHECK(report.tensors[2].Why() == "the reference has no such output");
  for (const TensorComparison& c : report.tensors) {
    CHECK_FALSE(c.equal);
  }
}

TEST_CASE("an input that the reference doesn't have is a verdict; one that the candidate doesn't need is none") {
  const TemporaryFolder folder;
  const auto whole = SaveGraph(folder, "whole.onnx", "g (float[2] x, float[2] u) => (float[2] y) { y = Relu (x) }");
  const auto less = SaveGraph(folder, "less.onnx", "g (float[2] x) => (float[2] y) { y = Relu (x) }");
  const auto equivalence = Open(whole, less);
  const HostTensor x = *RandomTensor(equivalence->inputs()[0], 1, {2});
  CheckAllBits(Compare(*equivalence, {{"x", x}, {"u", x}}));
  const absl::Status more = Equivalence::Open(less, whole, Runtime(), {}).status();
  CHECK(more.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Message(more).find("an input 'u' that the reference doesn't have") != std::string_view::npos);
  const auto ints = SaveGraph(folder, "ints.onnx", "g (int32[2] x) => (int32[2] y) { y = Abs (x) }");
  CHECK(Equivalence::Open(less, ints, Runtime(), {}).status().code() == absl::StatusCode::kFailedPrecondition);
}

// Divides its one dimension into rows of four: fails for lengths that four doesn't divide.
constexpr char kRows[] = R"(g (float[n] x) => (float[m, 4] y) <int64[2] s = {-1, 4}> { [rows] y = Reshape (x, s) })";

TEST_CASE("a reference that fails is an error that names the node, a candidate that fails is a verdict") {
  const TemporaryFolder folder;
  const auto rows = SaveGraph(folder, "rows.onnx", kRows);
  const auto halves = SaveGraph(folder, "halves.onnx",
                                "g (float[n] x) => (float[m, 2] y) <int64[2] s = {-1, 2}> { y = Reshape (x, s) }");
  const auto reference_fails = Open(rows, halves);
  const HostTensor six = *RandomTensor(reference_fails->inputs()[0], 1, {6});
  const absl::Status status = reference_fails->Compare({{"x", six}}).status();
  CHECK(status.code() == absl::StatusCode::kInternal);
  CHECK(Message(status).find("the reference") == 0);
  CHECK(Message(status).find("Reshape") != std::string_view::npos);

  const auto candidate_fails = Open(halves, rows);
  const SampleReport report = Compare(*candidate_fails, {{"x", six}});
  CHECK(report.candidate_failure.find("Reshape") != std::string::npos);
  REQUIRE(report.tensors.size() == 1);
  CHECK_FALSE(report.tensors[0].equal);
  CHECK(report.tensors[0].Why() == "not reached");
}

TEST_CASE("the reference's own file stays as it is, and nothing is left behind") {
  const TemporaryFolder folder;
  const auto whole = SaveGraph(folder, "whole.onnx", kWhole);
  Plan plan;
  plan.parts.push_back({"first", {"a"}, std::nullopt, {}, std::nullopt, "cpu"});
  const auto manifest = SplitInto(folder / "parts", whole, plan);
  const auto count = [](const std::filesystem::path& where) {
    return std::distance(std::filesystem::directory_iterator(where), std::filesystem::directory_iterator());
  };
  const TemporaryFolder temporary;
  const char* old = std::getenv("TMPDIR");
  const std::string kept = old == nullptr ? "" : old;
  ::setenv("TMPDIR", temporary.path().c_str(), 1);
  {
    const auto equivalence = Open(whole, manifest);
    CHECK(equivalence->rows().size() == 3);
    CheckAllBits(Compare(*equivalence, {{"x", *RandomTensor(equivalence->inputs()[0], 1, {4, 3})}}));
  }
  old == nullptr ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", kept.c_str(), 1);
  CHECK(count(temporary.path()) == 0);
  CHECK(count(folder.path()) == 2);
}

}  // namespace
}  // namespace gomai
