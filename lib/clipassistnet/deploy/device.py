"""The device that networks run on: its name in every figure, and its memory in use."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from pathlib import Path

import torch

from clipassistnet.identity import hardware

MEMORY = Path("/proc/self/statm")


def device_name(device: str = "cpu", *, threads: bool = True) -> str:
    """The device of a figure: "AMD EPYC (AVX2), 2 threads", "NVIDIA H200", or a Jetson board.

    `device` is "cpu" or "cuda"; `threads`: whether to give the number of threads. A CPU is named
    with its instruction sets. The CPU of a Jetson is named as such, so that its figures are not
    taken for those of the board's GPU.
    """
    jetson = hardware.jetson()
    if device == "cuda":
        return jetson or torch.cuda.get_device_name()
    sets, number = ", ".join(hardware.instruction_sets()), torch.get_num_threads()
    name = hardware.processor() + (f" ({sets})" if sets else "")
    if threads:
        name += ", 1 thread" if number == 1 else f", {number} threads"
    return f"{name} (the CPU of {jetson}, not its GPU)" if jetson else name


def memory_in_use(device: str) -> int:
    """Bytes of resident memory of this process ("cpu"), or in use on the GPU ("cuda").

    0 where the kernel does not say (on other systems than Linux).
    """
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)  # otherwise freed memory still counts
    if not MEMORY.is_file():
        return 0
    return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
