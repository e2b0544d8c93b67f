"""Options of the command `clipassistnet live`."""

from __future__ import annotations

import argparse
import re

from clipassistnet.alarm import ARMING_DURATION, HYSTERESIS, MINIMUM_DURATION, THRESHOLD
from clipassistnet.commands.parsing import command_parser
from clipassistnet.live.loop import KEYS
from clipassistnet.live.shipped import DEFAULT, names
from clipassistnet.live.training_study import SETTINGS, frozen_alarm, read_alarm

_TEXT = f"""Warn when the tips of the clip applier's jaws are not visible, live or in a file.
FOR RESEARCH. NOT A MEDICAL DEVICE.

Keys in the window: {KEYS}. The signal SIGUSR1 prints the latencies too.

A picture without a clip applier counts as "not visible", so feedback is given only while armed: by
key, --armed, --arm-file, --arm-serial, or by what sees that a clip applier appears. --arm-model
takes a network of crops (of your study, or one that comes with the project), whose locator then
arms, or a run of notebook 05 with loss "presence". It arms when p(clip applier) stays more than
{HYSTERESIS} above a level for {ARMING_DURATION} seconds, and disarms when it stays at the level or
below for as long. Notebook 08 freezes the level; its table "arming" shows how well that works on
patients that were not seen. Look there first: arming at the wrong moment is worse than a pedal.
"""
_EXAMPLE = "live --source operation.mp4"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse, complete and check them; a wrong one ends the program with status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.offline and not options.record:
        parser.error("--offline: give --record, the overlay video to be written")
    if options.offline and (options.arm_file or options.arm_serial or options.sound):
        parser.error(
            "--offline: arm with --armed or --arm-model; switches and --sound are for live"
        )
    try:
        _read_alarm(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("live", _TEXT, _EXAMPLE)
    add = parser.add_argument
    add(
        "--model",
        nargs="+",
        default=[DEFAULT],
        help="run folders, the folder of a saved engine, or a network that comes with the project "
        f"(default {DEFAULT}; others: {', '.join(set(names()) - {DEFAULT}) or 'none'})",
    )
    add("--source", required=True, help='file, camera index, rtsp://..., or "a ! b" for GStreamer')
    add("--size", type=_size, metavar="WxH", help="size of the pictures (default: the first's)")
    add(
        "--display",
        choices=("auto", "window", "terminal", "none"),
        default="auto",
        help="default auto: a window where there can be one, else a line for each state",
    )
    add("--record", metavar="FILE.mkv", help="record the overlay (needs PyAV)")
    add("--log", metavar="FILE.jsonl", help="append every decision, state and arming")
    add("--sound", action="store_true", help="one tone for tip not visible, another for no signal")
    add("--offline", action="store_true", help="overlay video of a file, every frame (--record)")
    armed = parser.add_argument_group("arming")
    armed.add_argument("--armed", action="store_true", help="armed from the start")
    armed.add_argument("--arm-file", metavar="FILE", help="1 in it arms; 0, or no file, disarms")
    armed.add_argument(
        "--arm-serial", metavar="DEVICE", help="character 1 arms, 0 disarms; 9600 8N1"
    )
    armed.add_argument(
        "--arm-model", nargs="+", metavar="RUN", help="arms when it sees a clip applier"
    )
    alarm = parser.add_argument_group("alarm")
    alarm.add_argument("--alarm", metavar="FILE.json", help="the three below, from notebook 08")
    alarm.add_argument(
        "--threshold",
        type=float,
        help="p(invisible) that alarms (default: as frozen by notebook 08)",
    )
    alarm.add_argument(
        "--hysteresis", type=float, help=f"default {HYSTERESIS}, at most half the threshold"
    )
    alarm.add_argument(
        "--minimum-duration", type=float, help=f"seconds, default {MINIMUM_DURATION}"
    )
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--backend", default="auto", help="auto, torch2trt, tensorrt, torch-cuda, openvino, torch"
    )
    engine.add_argument("--precision", help="default float32, or the saved engine's own")
    engine.add_argument("--threads", type=int, help="of the CPU backends")
    return parser


def _read_alarm(options: argparse.Namespace) -> None:
    """Take the alarm's numbers from --alarm. ValueError where one of them is given beside it."""
    if options.alarm is None:
        return
    for name in SETTINGS:
        if getattr(options, name) is not None:
            raise ValueError(f"--alarm: gives {name} as well; leave one of them out")
    for name, value in read_alarm(options.alarm).items():
        setattr(options, name, value)


def complete_alarm(options: argparse.Namespace, paths: list[str]) -> str:
    """Fill in the alarm's numbers that were not given; returns where the threshold comes from.

    They are those that were frozen for the networks, and otherwise the defaults. `paths` are the
    networks' files. Raises ValueError for a broken file.
    """
    origin = f"of {options.alarm}" if options.alarm else "as given"
    frozen = frozen_alarm(paths) if options.threshold is None else None
    if frozen:
        origin = f"{frozen.origin}, {frozen.path}"
        for name, value in frozen.settings.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
    if options.threshold is None:
        origin = "a default that was fitted to nothing; give --threshold"
        options.threshold = THRESHOLD
    if options.hysteresis is None:
        # The default may exceed a low frozen threshold: then no score would end the alarm.
        options.hysteresis = min(HYSTERESIS, options.threshold / 2)
    if options.minimum_duration is None:
        options.minimum_duration = MINIMUM_DURATION
    return f"alarm from {options.threshold:.4g}: {origin}"


def _size(text: str) -> tuple[int, int]:
    size = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not size:
        raise argparse.ArgumentTypeError(
            f"{text}: expected width x height in pixels, such as 1920x1080"
        )
    return int(size[1]), int(size[2])
