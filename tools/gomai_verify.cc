// gomai-verify: prove that a candidate model, or the parts of a split, compute what a reference does.
#include "lib/compare/equivalence.h"
#include "tools/common/tool.h"
#include "tools/common/verify_flags.h"
#include "tools/common/verify_report.h"

namespace gomai {
namespace {

constexpr char kExamples[] = R"(  gomai-verify model.onnx parts/manifest.json --input image=a.npy --input image=b.npy
      the parts as a chain, on two samples: every tensor that crosses and every output equal
  gomai-verify model.onnx parts/manifest.json --input image=a.npy --bits
      equal bit for bit
  gomai-verify model.onnx edited.onnx --random --input-shape image:3x480x640 --rtol masks=1e-3
      two models, on a made-up input, one output within a tolerance
  gomai-verify model.onnx parts --input image=a.npy --replace box=b.onnx --isolated --cosine 0.999
      a part of your own in place of one of the split's, each part judged on the reference's tensors
  gomai-verify model.onnx parts --input image=a.npy --target npu.json --isolated
      the parts for an NPU on it, each on the reference's tensors
  gomai-verify model.onnx parts --input image=a.npy --target npu.json --detections boxes,labels
      all of them one after another, the detections at the end compared as a set)";

absl::StatusOr<int> Run(Tool& tool, VerifyArguments& arguments) {
  if (arguments.target.list_devices) {
    GOMAI_RETURN_IF_ERROR(ListDevices(tool, arguments.target));
    return 0;
  }
  if (arguments.candidate.empty()) {
    return InvalidArgument("a reference and a candidate are required (--help shows how)");
  }
  arguments.target.runtime.runtime.diagnostics = tool.diagnostics();
  GOMAI_ASSIGN_OR_RETURN(const EquivalenceOptions options, VerifyOptions(tool, arguments));
  tool.FinishOnInterrupt();
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, LoadOnnxRuntime(arguments.target.runtime.runtime));
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Equivalence> equivalence,
                         Equivalence::Open(arguments.reference, arguments.candidate, *backend, options));
  GOMAI_RETURN_IF_ERROR(SetVerifyTolerances(arguments, *equivalence));
  GOMAI_ASSIGN_OR_RETURN(const std::vector<NamedTensors> samples, VerifySamples(arguments, equivalence->inputs()));
  VerifyReport report(*equivalence);
  if (arguments.metrics) {
    report.ShowMetrics();
  }
  size_t done = 0;
  for (; done < samples.size() && !Tool::Interrupted(); ++done) {
    arguments.progress = fmt::format("sample {} of {}: ", done + 1, samples.size());
    absl::StatusOr<SampleReport> sample = equivalence->Compare(samples[done]);
    if (absl::IsCancelled(sample.status())) {
      break;
    }
    GOMAI_RETURN_IF_ERROR(sample.status());
    report.Add(*std::move(sample));
  }
  const bool interrupted = done < samples.size();
  if (done > 0) {
    report.NoteEvidence(*equivalence);
    tool.document() = report.Document(backend->Describe());
    tool.Print(report.Text(backend->Describe()));
  }
  if (interrupted) {
    tool.document()["interrupted"] = true;
    return Internal("interrupted after {} of {} samples", done, samples.size());
  }
  return report.equal() ? 0 : 1;
}

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-verify", "prove that a candidate computes what a reference model does", gomai::kExamples);
  gomai::VerifyArguments arguments;
  gomai::AddVerifyFlags(tool.app(), &arguments);
  return tool.Main(argc, argv, [&] { return gomai::Run(tool, arguments); });
}
