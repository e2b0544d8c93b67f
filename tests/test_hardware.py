"""The names of processors and boards."""

import pytest
import torch

from clipassistnet import deploy
from clipassistnet.identity import hardware


def test_device_name_tells_processor_and_threads():
    threads = torch.get_num_threads()
    assert deploy.device_name().endswith(f", {threads} thread" + "s" * (threads > 1))
    if not hardware.BOARD.is_file():
        assert "Jetson" not in deploy.device_name()


def test_device_name_keeps_a_jetsons_cpu_apart_from_its_gpu(tmp_path, monkeypatch):
    board = tmp_path / "model"
    board.write_text("NVIDIA Jetson AGX Xavier Developer Kit\0")
    monkeypatch.setattr(hardware, "BOARD", board)
    assert deploy.device_name("cuda") == "NVIDIA Jetson AGX Xavier Developer Kit"
    cpu = deploy.device_name("cpu")
    assert "thread" in cpu
    assert cpu.endswith("(the CPU of NVIDIA Jetson AGX Xavier Developer Kit, not its GPU)")
    board.write_text("Raspberry Pi 5 Model B\0")
    assert "Raspberry" not in deploy.device_name("cpu")


@pytest.mark.parametrize(
    ("text", "name", "sets", "vnni"),
    [
        ("model name\t: Some CPU\nflags\t\t: avx2 avx_vnni\n", "Some CPU", ["AVX2", "VNNI"], True),
        ("flags: sse\nmodel name : One\nmodel name : Two\n", "One", [], False),
    ],
)
def test_what_the_kernel_says_of_the_processor(tmp_path, monkeypatch, text, name, sets, vnni):
    monkeypatch.setattr(hardware, "CPU_INFO", tmp_path / "cpuinfo")
    assert hardware.processor()  # by the platform, where the kernel says nothing
    assert hardware.cpu_flags() == set()
    (tmp_path / "cpuinfo").write_text(text)
    assert hardware.processor() == name
    assert hardware.instruction_sets() == sets
    assert hardware.has_vnni() == vnni
