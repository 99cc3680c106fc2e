#!/usr/bin/env python3
"""Quantises a part to QDQ form with ONNX Runtime's static quantiser, calibrated on what gomai-run dumped.

    quantise.py IN.onnx OUT.onnx u8|u16 DUMP/PART...      a folder of DUMP/PART/TENSOR.npy for each sample

Activations of 8 or 16 bits, weights of 8, one scale a tensor. A part that takes its rows in fixed numbers gets the first
of them, padded with zeros.
"""
import logging
import pathlib
import sys

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SAFE = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def file_name(tensor):
    """As gomai-run names files: bytes that aren't safe as %XX."""
    return "".join(chr(byte) if byte in SAFE else f"%{byte:02X}" for byte in tensor.encode()) + ".npy"


def rows(values, count):
    """Exactly so many rows."""
    padded = np.zeros([count, *values.shape[1:]], values.dtype)
    padded[:min(count, len(values))] = values[:count]
    return padded


class Samples(CalibrationDataReader):
    def __init__(self, inputs, folders):
        self.inputs, self.folders = inputs, iter(folders)

    def get_next(self):
        folder = next(self.folders, None)
        if folder is None:
            return None
        sample = {}
        for each in self.inputs:
            values = np.load(pathlib.Path(folder) / file_name(each.name))
            fixed = each.shape and isinstance(each.shape[0], int)
            sample[each.name] = rows(values, each.shape[0]) if fixed and len(values) != each.shape[0] else values
        return sample


def main(source, target, bits, *folders):
    logging.getLogger().setLevel(logging.ERROR)  # it advises a preprocessing that the parts had
    inputs = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).get_inputs()
    quantize_static(source, target, Samples(inputs, folders), quant_format=QuantFormat.QDQ,
                    activation_type={"u8": QuantType.QUInt8, "u16": QuantType.QUInt16}[bits],
                    weight_type=QuantType.QInt8 if bits == "u8" else QuantType.QUInt8,
                    extra_options={"WeightSymmetric": bits == "u8"})


if __name__ == "__main__":
    if len(sys.argv) < 5 or sys.argv[3] not in ("u8", "u16"):
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
