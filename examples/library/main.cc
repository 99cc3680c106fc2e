// fillet: Gomai's library in a program of your own. Loads a model, runs a pipeline of passes over it, cuts it by a
// preset, and writes the parts and their manifest:
//
//   fillet model.onnx 'prune,strip-doc-strings' torchvision-maskrcnn parts/
//
// The library never prints, throws or exits: each step returns a status, and warnings go to the Diagnostics handed in.
#include <cstdio>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/graph/verify.h"
#include "lib/model/model.h"
#include "lib/pass/pipeline.h"
#include "lib/shape/infer.h"
#include "lib/split/presets.h"
#include "lib/split/split.h"

namespace {

absl::Status Fillet(const std::string& file, const std::string& passes, const std::string& preset,
                    const std::string& folder) {
  const gomai::Diagnostics diagnostics([](const gomai::Diagnostic& diagnostic) {
    std::fprintf(stderr, "%s: %s\n", diagnostic.location.c_str(), diagnostic.message.c_str());
  });

  GOMAI_ASSIGN_OR_RETURN(gomai::Model model, gomai::Model::Load(file));
  // Whatever may come from elsewhere is verified first; all that follows may then rely on it.
  GOMAI_RETURN_IF_ERROR(gomai::VerifyForWriting(model, gomai::Index(model.proto())));

  GOMAI_ASSIGN_OR_RETURN(const gomai::Pipeline pipeline, gomai::ParsePipeline(passes));
  GOMAI_ASSIGN_OR_RETURN(const std::vector<gomai::PassReport> reports,
                         gomai::RunPipeline(pipeline, model, {}, diagnostics));
  for (const gomai::PassReport& report : reports) {
    std::printf("%s: %lld -> %lld nodes\n", report.pass.c_str(), static_cast<long long>(report.nodes_before),
                static_cast<long long>(report.nodes_after));
  }

  // An index is a view of the model as it stands, so it is made after the passes.
  const gomai::Index index(model.proto());
  GOMAI_ASSIGN_OR_RETURN(const gomai::Shapes shapes, gomai::InferShapes(model, index));
  GOMAI_ASSIGN_OR_RETURN(const gomai::Plan plan, gomai::PlanFromPreset(preset, index, nullptr));
  GOMAI_ASSIGN_OR_RETURN(const gomai::Split split, gomai::ResolvePlan(plan, model, index, shapes, {}, diagnostics));

  gomai::WriteSplitOptions options;
  options.folder = folder;
  GOMAI_ASSIGN_OR_RETURN(const gomai::WriteSplitReport written,
                         gomai::WriteSplit(split, model, index, options, diagnostics));
  for (const gomai::ManifestPart& part : written.manifest.parts) {
    std::printf("%s: %zu inputs, %zu outputs, for the %s\n", part.file.c_str(), part.inputs.size(), part.outputs.size(),
                part.device.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: fillet MODEL.onnx PASSES PRESET FOLDER\n");
    return 2;
  }
  const absl::Status status = Fillet(argv[1], argv[2], argv[3], argv[4]);
  if (!status.ok()) {
    std::fprintf(stderr, "fillet: %s\n", std::string(gomai::Message(status)).c_str());
    return 2;
  }
  return 0;
}
