"""One interface for every backend: frames in, scores out, on a device honestly named."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import os
import platform
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from torch import nn

from clipassistnet.model.classifier import TIP_INVISIBLE
from clipassistnet.transforms import preprocess, resize

CPU_INFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")
MEMORY = Path("/proc/self/statm")

# Instruction sets that decide a CPU's speed, and how 8-bit products are added, by the kernel's
# names. Processors with and without them may bear one name.
_INSTRUCTIONS = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx_vnni", "avx512_vnni"},
    "bfloat16": {"avx512_bf16"},
    "AMX": {"amx_int8", "amx_bf16"},
}


class BackendError(RuntimeError):
    """A backend that is absent, or whose conversion cannot be trusted; the message says why."""


class Engine:
    """The files of an engine, in a folder that lives as long as this object; see saved.py.

    `weights`: digest of the ensemble that it is made of, `members` their number.
    """

    def __init__(self, ensemble: nn.Module) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clipassistnet-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.weights, self.members = weights_digest(ensemble), len(ensemble.models)


@dataclass(frozen=True)
class Predictor:
    """An ensemble on one backend, at one precision, ready to score frames.

    `run` takes what `prepare` gives of n <= `batch` frames, and returns float32 (n,). `reason` says
    why this backend was taken, `memory` how many bytes loading it and one call took (of the
    process, or of the GPU), `engine` what can be saved of it, `predicts` what the scores are the
    probability of. Of an ensemble that judges crops, mean and std are None and `located` is what
    its spec has under that name, see located.py.
    """

    backend: str
    precision: str
    device: str
    reason: str
    image_size: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    batch: int
    memory: int
    run: Callable[[torch.Tensor], np.ndarray]
    engine: Engine | None = None
    predicts: str = TIP_INVISIBLE
    located: dict | None = None

    @property
    def name(self) -> str:
        """Such as "openvino int8"."""
        return f"{self.backend} {self.precision}"

    def prepare(self, frames: np.ndarray) -> torch.Tensor | np.ndarray:
        """Frames uint8 RGB (N, H, W, 3) as `run` takes them, resized to image_size.

        Normalised, float32 (N, 3, S, S) on the CPU; as they are where crops will be cut from them.
        """
        if self.located:
            return np.stack([resize(frame, self.image_size) for frame in frames])
        return preprocess(frames, self.image_size, self.mean, self.std)

    def predict(self, frames: np.ndarray) -> np.ndarray:
        """p(what it predicts) of each frame: uint8 RGB (N, H, W, 3) to float32 (N,), in order.

        Raises ValueError for frames of another type or shape (from `preprocess`), BackendError
        where the backend returns another number of scores than it was given frames.
        """
        scores = np.empty(len(frames), np.float32)
        for start in range(0, len(frames), self.batch):
            part = frames[start : start + self.batch]
            result = self.run(self.prepare(part))
            # Assigning would broadcast a single score over the batch without a word.
            if result.shape != (len(part),):
                raise BackendError(
                    f"{self.backend}: scores of shape {result.shape} for {len(part)} frames"
                )
            scores[start : start + len(part)] = result
        return scores


def weights_digest(ensemble: nn.Module) -> str:
    """SHA-256 of every parameter and buffer of the ensemble, with its name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(ensemble.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def memory_in_use(device: str) -> int:
    """Bytes of resident memory of this process ("cpu"), or in use on the GPU ("cuda")."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # freed, but kept for later: glibc alone
        ctypes.CDLL(None).malloc_trim(0)
    if not MEMORY.is_file():
        return 0
    return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def device_name(device: str = "cpu", *, threads: bool = True) -> str:
    """What a figure was measured on: "AMD EPYC (AVX2), 2 threads", "NVIDIA H200", a Jetson's board.

    `device` is "cpu" or "cuda"; `threads`: whether to tell the number of threads. A CPU is named
    with the instruction sets that matter here; that of a Jetson as such, so that its figures are
    never taken for those of the board's GPU.
    """
    board = BOARD.read_text().strip("\0\n ") if BOARD.is_file() else ""
    jetson = board if "jetson" in board.lower() else ""
    if device == "cuda":
        return jetson or torch.cuda.get_device_name()
    number = torch.get_num_threads()
    name = _processor() + (f", {number} thread{'s' if number > 1 else ''}" if threads else "")
    return f"{name} (the CPU of {jetson}, not its GPU)" if jetson else name


def cpu_flags() -> set[str]:
    """Instruction sets of this CPU by the kernel's names, such as avx2; empty where unknown."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("flags"):
                return set(line.split(":", 1)[1].split())
    return set()


def has_vnni() -> bool:
    """Whether this CPU adds products of 8 bits in 32 bits, in one instruction."""
    return bool(_INSTRUCTIONS["VNNI"] & cpu_flags())


def _processor() -> str:
    sets = ", ".join(name for name, flags in _INSTRUCTIONS.items() if flags & cpu_flags())
    return _processor_name() + (f" ({sets})" if sets else "")


def _processor_name() -> str:
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
