// gomai-edit: edits by hand, each checked before it lands.
#include "tools/common/edit_flags.h"
#include "tools/common/pipeline_job.h"
#include "tools/common/tool.h"

namespace gomai {
namespace {

constexpr char kExamples[] =
    R"(  gomai-edit in.onnx -o out.onnx --node /extra/MaxPool --attr kernel_shape=3,3 --attr pads=1,1,1,1
      attributes of one node, of the types that the operator's schema says
  gomai-edit in.onnx -o out.onnx --node 'If_3::then_branch::#4' --const 1=0.5 --this-use-only
      the constant at input 1 of a node in a body, for that node alone
  gomai-edit in.onnx -o out.onnx --delete-node Relu_7 --rename logits=scores --opset 17
      several edits, one after the other
  gomai-edit in.onnx -o out.onnx --insert 'op=Clip,on=x,inputs=.;low;high' --drop-output y
  gomai-edit in.onnx -o out.onnx --batch N --shape 'boxes:[N,4]'
      an open batch
  gomai-edit -if in.onnx -of out.onnx -on Conv_1 -a group int64 2 -da dilations
      the flags of sam4onnx mean what they mean there, long and short, in any order)";

}  // namespace
}  // namespace gomai

int main(int argc, char** argv) {
  gomai::Tool tool("gomai-edit", "change a model by hand: attributes, constants, nodes, names, shapes",
                   gomai::kExamples);
  gomai::PipelineJob job;
  gomai::AddModelFlags(tool.app(), &job, "-o");  // --output names a tensor here
  const gomai::EditFlags edits(tool.app());
  gomai::AddPipelineJobFlags(tool.app(), &job);
  tool.TranslateArguments(gomai::TranslateSamFlags);
  return tool.Main(argc, argv, [&]() -> absl::StatusOr<int> {
    GOMAI_ASSIGN_OR_RETURN(const gomai::Pipeline pipeline, edits.MakePipeline());
    return gomai::RunPipelineJob(tool, job, pipeline);
  });
}
