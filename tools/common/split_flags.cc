// Flags of a plan; see split_flags.h.
#include "tools/common/split_flags.h"

namespace gomai {

void AddPlanFlags(CLI::App& app, PlanArguments* plan) {
  app.add_option("--preset", plan->preset, "a built-in plan: " + PresetNames())->type_name("NAME");
  app.add_option("--plan", plan->plan_file, "a plan as JSON ('-': stdin)")->type_name("FILE.json");
  app.add_option(
         "--part", plan->parts,
         "a part and what it must produce: NAME=TENSOR,... or NAME=scope:/a/b; repeat for further parts, in order")
      ->type_name("NAME=T,...")
      ->allow_extra_args(false);
  app.add_option("--device", plan->devices, "PART=cpu or PART=npu; repeat")
      ->type_name("PART=D")
      ->allow_extra_args(false);
  app.add_option("--by-size", plan->by_size, "parts of at most this many bytes of weights (50M, 1G)")
      ->type_name("SIZE");
  app.add_option("--type", plan->types, "the dtype of a boundary value that can't be inferred: T:float32; repeat")
      ->type_name("T:DTYPE")
      ->allow_extra_args(false);
  app.add_option("--shape", plan->shapes, "the shape of a boundary value that can't be inferred: T:?x4; repeat")
      ->type_name("T:SHAPE")
      ->allow_extra_args(false);
  app.add_option(
         "--image-size", plan->network.image_size,
         "make the parts ready for an NPU: preprocessing off, and the sizes fixed to which the model's own resizing "
         "brings such an image")
      ->type_name("HxW");
  app.add_option("--network-size", plan->network.network_size,
                 "the same, with this size of the network's own input; images are resized outside")
      ->type_name("HxW");
  app.add_option("--network-input", plan->network.input,
                 "the tensor that enters the network (default: what the preset or plan says)")
      ->type_name("T");
  app.add_option(
         "--sizes", plan->network.sizes,
         "what the sizes of image and resized image become that later parts need: inputs (default) or constants")
      ->check(CLI::IsMember({"inputs", "constants"}))
      ->type_name("KIND");
  app.add_option("--batching", plan->batching,
                 "a part takes its rows (boxes) K at a time, padded: PART=K, or PART=limit for as many as the model "
                 "allows for; repeat")
      ->type_name("PART=K")
      ->allow_extra_args(false);
  app.add_option("--pipeline", plan->pipelines, "passes to run before the cut, behind those of the plan; repeat")
      ->type_name("PASSES")
      ->allow_extra_args(false);
  app.add_option("--part-pipeline", plan->part_pipelines,
                 "passes to run on a part: PART=PASSES, or '*=PASSES' for each part for the NPU; repeat")
      ->type_name("PART=PASSES")
      ->allow_extra_args(false);
}

}  // namespace gomai
