#!/usr/bin/python3
"""Exports a torchvision detection model to ONNX, as people do it: torch.onnx.export, dynamic image size, no post-processing.

    /usr/bin/python3 export.py --model maskrcnn-v2 --opset 13 -o maskrcnn_v2.onnx

Needs Debian's python3-torch and python3-torchvision (run.sh beside this file installs them). Nothing is downloaded: the
weights are seeded random numbers. So that such a model still behaves like a trained one, one pass over a made-up image
calibrates it: each batch norm gets the statistics of what it sees, and the last layers of the RPN and of the heads are
scaled so that scores and boxes depend on the image instead of all being alike.

Input `image`: float32 [3, height, width], values in 0..1. Outputs: boxes [N, 4], labels [N], scores [N], and masks
[N, 1, height, width] (Mask R-CNN) or keypoints [N, 17, 3] and keypoint_scores [N, 17] (Keypoint R-CNN).
"""
import argparse
import functools
import sys
import time
import warnings

import torch
import torchvision
from torch import nn
from torchvision.models import detection
from torchvision.ops import FrozenBatchNorm2d

NO_WEIGHTS = {"weights": None, "weights_backbone": None}


def tiny_maskrcnn():
    """Mask R-CNN over a thin MobileNetV3-small with a feature pyramid: 6 classes, every head narrow, small images."""
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.models.detection.rpn import AnchorGenerator
    from torchvision.models.mobilenetv3 import MobileNetV3, _mobilenet_v3_conf
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    settings, last_channel = _mobilenet_v3_conf("mobilenet_v3_small", width_mult=0.5)
    norm = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    features = MobileNetV3(settings, last_channel, norm_layer=norm).features
    # The last layer of each resolution from 1/4 to 1/32.
    strides = [i for i, layer in enumerate(features) if getattr(layer, "_is_cn", False)]
    stages = strides[1:] + [len(features) - 1]
    channels = [features[i].out_channels for i in stages]
    width = 32
    backbone = BackboneWithFPN(
        features, {str(i): str(n) for n, i in enumerate(stages)}, channels, width, extra_blocks=LastLevelMaxPool()
    )
    sizes = tuple((16 * 2**level,) for level in range(len(stages) + 1))
    names = [str(n) for n in range(len(stages))]
    resolution = {"box": 5, "mask": 8}
    pool = {k: torchvision.ops.MultiScaleRoIAlign(names, output_size=v, sampling_ratio=2) for k, v in resolution.items()}
    return detection.MaskRCNN(
        backbone,
        min_size=128,
        max_size=224,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=100,
        box_roi_pool=pool["box"],
        box_head=TwoMLPHead(width * resolution["box"] ** 2, 64),
        box_predictor=FastRCNNPredictor(64, 6),
        mask_roi_pool=pool["mask"],
        mask_head=MaskRCNNHeads(width, (32, 32), 1),
        mask_predictor=MaskRCNNPredictor(32, 32, 6),
        box_detections_per_img=20,
    )


# name: what makes it, the names of its outputs, the size of the image that the export is traced with
MODELS = {
    "maskrcnn-v1": (functools.partial(detection.maskrcnn_resnet50_fpn, **NO_WEIGHTS), ["masks"], (544, 960)),
    "maskrcnn-v2": (functools.partial(detection.maskrcnn_resnet50_fpn_v2, **NO_WEIGHTS), ["masks"], (544, 960)),
    "keypoint": (
        functools.partial(detection.keypointrcnn_resnet50_fpn, **NO_WEIGHTS),
        ["keypoints", "keypoint_scores"],
        (544, 960),
    ),
    "fasterrcnn": (functools.partial(detection.fasterrcnn_resnet50_fpn, **NO_WEIGHTS), [], (544, 960)),
    "tiny": (tiny_maskrcnn, ["masks"], (128, 192)),
}


def example_image(height, width, seed):
    """Smooth colour noise with hard-edged boxes in it: what a detector's filters answer to. float32 [3, H, W] in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(3, height, width)
    for octave in range(6):
        cells = 2 ** (octave + 1)
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        image += nn.functional.interpolate(noise, (height, width), mode="bilinear", align_corners=False)[0] / cells
    image = (image - image.min()) / (image.max() - image.min())
    for _ in range(12):
        cy, cx, h, w, *colour = torch.rand(7, generator=generator).tolist()
        top, left = int(cy * height), int(cx * width)
        box = image[:, top : top + int((0.05 + 0.3 * h) * height), left : left + int((0.05 + 0.3 * w) * width)]
        box.mul_(0.2).add_(0.8 * torch.tensor(colour)[:, None, None])
    return image


def calibrate(model, image):
    """One pass over `image` that gives norms their statistics and the last layers an output of mean 0 and a useful spread."""
    spread = {
        "rpn.head.cls_logits": 2.0,
        "rpn.head.bbox_pred": 0.3,
        "roi_heads.box_predictor.cls_score": 3.0,
        "roi_heads.box_predictor.bbox_pred": 1.0,
        "roi_heads.mask_predictor.mask_fcn_logits": 3.0,
        "roi_heads.keypoint_predictor.kps_score_lowres": 3.0,
    }
    hooks, done = [], set()

    def set_statistics(module, inputs):
        if module not in done:  # the RPN's head sees five feature maps; the first, the largest, decides
            done.add(module)
            variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), unbiased=False)
            module.running_mean.copy_(mean)
            module.running_var.copy_(variance + 1e-3)

    def set_spread(std, module, _inputs, output):
        if module in done or output.numel() == 0:
            return output
        done.add(module)
        axes = [a for a in range(output.dim()) if a != 1]
        mean = output.mean(dim=axes)
        factor = std / (output.std() + 1e-6)
        module.weight.mul_(factor)
        module.bias.sub_(mean).mul_(factor)
        shape = [-1 if a == 1 else 1 for a in range(output.dim())]
        return (output - mean.reshape(shape)) * factor

    for name, module in model.named_modules():
        if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d)):
            hooks.append(module.register_forward_pre_hook(set_statistics))
        elif name in spread:
            hooks.append(module.register_forward_hook(functools.partial(set_spread, spread[name])))
    with torch.no_grad():
        model([image])
    for hook in hooks:
        hook.remove()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", required=True, choices=MODELS)
    parser.add_argument("--opset", type=int, default=13, help="ONNX opset, 11 to 17 (default: 13)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the example image (default: 0)")
    parser.add_argument("--height", type=int, help="of the image that the export is traced with")
    parser.add_argument("--width", type=int)
    parser.add_argument("-o", "--output", required=True, metavar="FILE.onnx")
    arguments = parser.parse_args()
    if not 11 <= arguments.opset <= 17:
        parser.error(f"--opset {arguments.opset}: torchvision's models need 11, and this torch knows 17 at most")

    make, extra_outputs, (height, width) = MODELS[arguments.model]
    height, width = arguments.height or height, arguments.width or width
    start = time.monotonic()
    torch.manual_seed(arguments.seed)
    model = make().eval()
    image = example_image(height, width, arguments.seed)
    calibrate(model, image)
    with torch.no_grad():
        result = model([image])[0]
    if len(result["scores"]) == 0 or not all(torch.isfinite(v.float()).all() for v in result.values()):
        sys.exit(f"export: with --seed {arguments.seed} the model finds nothing in the example image; try another seed")

    outputs = ["boxes", "labels", "scores"] + extra_outputs
    # Traced code warns about each Python branch it follows; torchvision's own exports give dozens of these.
    warnings.filterwarnings("ignore")
    axes = {name: {0: "detections"} for name in outputs}
    axes["image"] = {1: "height", 2: "width"}
    if "masks" in outputs:
        axes["masks"].update({2: "height", 3: "width"})
    torch.onnx.export(
        model,
        ([image],),
        arguments.output,
        opset_version=arguments.opset,
        input_names=["image"],
        output_names=outputs,
        dynamic_axes=axes,
    )
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{arguments.output}: {arguments.model}, opset {arguments.opset}, {parameters / 1e6:.1f} M parameters, "
        f"{len(result['scores'])} detections in the {height}x{width} example, {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
