"""The name of this machine's processor and board, and its instruction sets, as the kernel says.

Runs on Python 3.8 with the standard library alone.
"""

from __future__ import annotations

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")

# Instruction sets that decide a CPU's speed and how it adds 8-bit products, by the kernel's names.
# Processors of one name may differ in them.
_INSTRUCTION_SETS = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx_vnni", "avx512_vnni"},
    "bfloat16": {"avx512_bf16"},
    "AMX": {"amx_int8", "amx_bf16"},
}


def processor() -> str:
    """The processor's name, such as "AMD EPYC 7763 64-Core Processor"."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def cpu_flags() -> set[str]:
    """Instruction sets of this CPU by the kernel's names, such as avx2; empty where unknown."""
    return set(_cpu_info("flags").split())


def instruction_sets() -> list[str]:
    """The instruction sets of this CPU that decide its speed here, such as ["AVX2", "VNNI"]."""
    flags = cpu_flags()
    return [name for name, names in _INSTRUCTION_SETS.items() if names & flags]


def has_vnni() -> bool:
    """Whether this CPU adds products of 8 bits in 32 bits, in one instruction."""
    return "VNNI" in instruction_sets()


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers, in one instruction."""
    return "bfloat16" in instruction_sets()


def jetson() -> str:
    """The name of this Jetson board, or "" on any other machine."""
    board = BOARD.read_text().strip("\0\n ") if BOARD.is_file() else ""
    return board if "jetson" in board.lower() else ""


def _cpu_info(field: str) -> str:
    """The first value of a field of /proc/cpuinfo, or ""."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() == field:
                return value.strip()
    return ""
