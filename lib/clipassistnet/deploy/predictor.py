"""One interface for every backend: frames in, p(invisible) out, on a device honestly named."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from clipassistnet.transforms import preprocess

CPU_INFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")


class BackendError(RuntimeError):
    """A backend that is absent, or whose conversion cannot be trusted; the message says why."""


@dataclass(frozen=True)
class Predictor:
    """An ensemble on one backend, at one precision, ready to score frames.

    `run` takes normalised frames, float32 (n, 3, image_size, image_size) with n <= `batch`, on the
    CPU, and returns float32 (n,). `reason` says why this backend was taken.
    """

    backend: str
    precision: str
    device: str
    reason: str
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch: int
    run: Callable[[torch.Tensor], np.ndarray]

    def predict(self, frames: np.ndarray) -> np.ndarray:
        """p(invisible) of each frame: uint8 RGB (N, H, W, 3) to float32 (N,), in order.

        Raises ValueError for frames of another type or shape (from `preprocess`), BackendError
        where the backend returns another number of scores than it was given frames.
        """
        scores = np.empty(len(frames), np.float32)
        for start in range(0, len(frames), self.batch):
            part = frames[start : start + self.batch]
            result = self.run(preprocess(part, self.image_size, self.mean, self.std))
            # Assigning would broadcast a single score over the batch without a word.
            if result.shape != (len(part),):
                raise BackendError(
                    f"{self.backend}: scores of shape {result.shape} for {len(part)} frames"
                )
            scores[start : start + len(part)] = result
        return scores


def device_name(device: str = "cpu") -> str:
    """What a figure was measured on: "AMD EPYC, 2 threads", "NVIDIA H200", a Jetson's board name.

    `device` is "cpu" or "cuda". The CPU of a Jetson is named as such, so that its figures are never
    taken for those of the board's GPU.
    """
    board = BOARD.read_text().strip("\0\n ") if BOARD.is_file() else ""
    jetson = board if "jetson" in board.lower() else ""
    if device == "cuda":
        return jetson or torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    name = f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"
    return f"{name} (the CPU of {jetson}, not its GPU)" if jetson else name


def _processor() -> str:
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
