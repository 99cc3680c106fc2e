"""Quantises a model to QDQ form with ONNX Runtime's static quantiser, calibrated by made-up inputs.

quantise.py IN.onnx OUT.onnx uint8|int8 1x3x128x160, the shape of its one input
"""
import sys

import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

source, target, dtype, shape = sys.argv[1:]
activation = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}[dtype]
(image,) = ort.InferenceSession(source, providers=["CPUExecutionProvider"]).get_inputs()
random = np.random.default_rng(0)


class Samples(CalibrationDataReader):
    def __init__(self):
        self.left = 2

    def get_next(self):
        self.left -= 1
        if self.left < 0:
            return None
        return {image.name: random.normal(size=[int(dim) for dim in shape.split("x")]).astype(np.float32)}


quantize_static(source, target, Samples(), quant_format=QuantFormat.QDQ, activation_type=activation,
                weight_type=QuantType.QInt8, extra_options={"ActivationSymmetric": activation == QuantType.QInt8})
