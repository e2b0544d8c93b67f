"""How fast one training step is here: the trainer's way and others, against a plain loop.

    python tools/benchmark_training.py [--backbone tf_efficientnet_lite0 --size 96 --batch 32]

Each way trains its own copy of one network on the same pictures; the steps are interleaved in one
run, so a slow moment of the machine affects all of them. Rates are medians. The last row is what
the input pipeline delivers on one core, with augmentation: where it is slower than the training,
the network waits for it.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from clipassistnet import model
from clipassistnet.deploy.device import device_name
from clipassistnet.training.batches import FrameTable

PLAIN = "plain loop"


def ways(device: torch.device) -> dict[str, dict[str, bool]]:
    """What each way of training does beyond the plain loop."""
    found = {
        PLAIN: {},
        "channels last": {"channels_last": True},
        "channels last, fused Adam (the trainer)": {"channels_last": True, "fused": True},
    }
    if device.type == "cuda" or torch.backends.mkldnn.is_available():
        found["the same in bfloat16"] = {"channels_last": True, "fused": True, "bfloat16": True}
    return found


def step_of(
    network: torch.nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    channels_last: bool = False,
    fused: bool = False,
    bfloat16: bool = False,
) -> Callable[[], float]:
    """A function that trains a copy of the network for one step and returns its loss."""
    own = copy.deepcopy(network).train()
    if channels_last:
        own.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    trainable = [each for each in own.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(trainable, fused=fused, foreach=False)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(own(images).float(), targets)
        loss.backward()
        optimizer.step()
        return loss.item()  # waits for the device

    return step


class Noise:
    """Frames that cost nothing to read."""

    def __init__(self, size: int):
        self.picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)

    def get(self, video: str, frame: int) -> np.ndarray:
        return self.picture.copy()

    def digest(self, video=None, frames=None) -> str:
        return "noise"


def pipeline(size: int, frames: int) -> float:
    """Augmented and preprocessed pictures a second, in this process."""
    rows = pd.DataFrame({"video": "v", "frame": range(frames), "target": 0})
    table = FrameTable(Noise(size), rows, mean=(0.5,) * 3, std=(0.5,) * 3, augment=True)
    table[0]
    start = time.perf_counter()
    for number in range(frames):
        table[number]
    return frames / (time.perf_counter() - start)


def measure(
    network: torch.nn.Module, size: int, batch: int, repeats: int, device: torch.device
) -> pd.DataFrame:
    """Rows: way, images a second (median), ratio to the plain loop, loss of the last step."""
    torch.manual_seed(0)
    images = torch.randn(batch, 3, size, size, device=device)
    targets = torch.arange(batch, device=device) % 2
    network = network.to(device)
    steps = {name: step_of(network, images, targets, **does) for name, does in ways(device).items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses = {name: step() for name, step in steps.items()}  # the first step is slow
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            losses[name] = step()
            seconds[name].append(time.perf_counter() - start)
    rates = {name: batch / float(np.median(each)) for name, each in seconds.items()}
    rows = [
        {"way": name, "images_per_second": rate, "ratio": rate / rates[PLAIN], "loss": losses[name]}
        for name, rate in rates.items()
    ]
    rate = pipeline(size, 8 * batch)
    rows.append({"way": "input pipeline, one core", "images_per_second": rate})
    rows[-1] |= {"ratio": rate / rates[PLAIN], "loss": np.nan}
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=96, help="side of the pictures in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=15, help="timed steps of each way")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = model.build(options.backbone, "none")
    rows = measure(network, options.size, options.batch, options.repeats, device)
    print(
        f"{options.backbone}, {options.size} px, batches of {options.batch}, all layers trained, "
        f"on: {device_name(device.type)}"
    )
    print(rows.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
