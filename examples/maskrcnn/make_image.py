#!/usr/bin/env python3
"""Makes an input image for the detection models: float32 [3, height, width], saved as .npy.

    make_image.py --kind natural --height 544 --width 960 --seed 1 -o image.npy
    make_image.py --kind noise --scale 4 --height 128 --width 192 -o none.npy

natural  what detectors answer to: noise whose spectrum falls as 1/frequency, as photographs' does, and flat discs and
         boxes with hard edges on top; values in 0..1.
noise    independent N(0, scale²) values: the models find nothing in it (scale 1 for the big one, 4 for the tiny one).

The same flags give the same file. Needs numpy; cmake/bootstrap.sh puts one into ${XDG_CACHE_HOME:-~/.cache}/gomai/venv.
"""
import argparse

import numpy as np


def natural(rng, height, width):
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.fftfreq(width)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1.0
    spectrum = rng.normal(size=(3, height, width)) + 1j * rng.normal(size=(3, height, width))
    image = np.fft.ifft2(spectrum / frequency, axes=(1, 2)).real
    image -= image.mean(axis=(1, 2), keepdims=True)
    image = 0.45 + 0.22 * image / image.std(axis=(1, 2), keepdims=True)

    rows, columns = np.mgrid[:height, :width]
    for _ in range(14):
        colour = rng.uniform(size=(3, 1))
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        radius = rng.uniform(0.03, 0.2) * min(height, width)
        if rng.random() < 0.5:
            inside = np.hypot(rows - y, columns - x) < radius
        else:
            inside = (abs(rows - y) < radius) & (abs(columns - x) < radius * rng.uniform(0.4, 2.0))
        image[:, inside] = 0.8 * colour + 0.2 * image[:, inside]
    return np.clip(image, 0.0, 1.0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--kind", choices=["natural", "noise"], default="natural")
    parser.add_argument("--height", type=int, default=544)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="standard deviation of --kind noise (default: 1)")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.npy")
    arguments = parser.parse_args()
    if min(arguments.height, arguments.width) < 1:
        parser.error("--height and --width must be 1 or more")

    rng = np.random.default_rng(arguments.seed)
    if arguments.kind == "natural":
        image = natural(rng, arguments.height, arguments.width)
    else:
        image = rng.normal(scale=arguments.scale, size=(3, arguments.height, arguments.width))
    with open(arguments.output, "wb") as file:  # numpy would append .npy to a name that lacks it
        np.save(file, image.astype(np.float32))


if __name__ == "__main__":
    main()
