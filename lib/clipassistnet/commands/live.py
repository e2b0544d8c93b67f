"""Warn when the tips of the clip applier's jaws are not visible, live or over a video file."""

from __future__ import annotations

import argparse
import signal
import time
from typing import TYPE_CHECKING

from clipassistnet.alarm import ARMING_LEVEL, Alarm, Assistant, arming_settings
from clipassistnet.commands.live_options import complete_alarm, parse
from clipassistnet.live import networks, offline
from clipassistnet.live import screen as screens
from clipassistnet.live.arming import AutomaticArming, FileSwitch, SerialSwitch, Switch
from clipassistnet.live.errors import SourceError
from clipassistnet.live.journal import Journal
from clipassistnet.live.loop import KEYS, Live
from clipassistnet.live.overlay import DISCLAIMER, start_screen
from clipassistnet.live.recorder import Recorder, free_name, require_pyav
from clipassistnet.live.sound import Sound
from clipassistnet.live.source import opener, without_password
from clipassistnet.live.training_study import arming_level, training_data

if TYPE_CHECKING:
    from clipassistnet.deploy import Predictor

_START_SCREEN = 3.0  # seconds at least
_REPORT = getattr(signal, "SIGUSR1", None)  # Windows does not have it


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    options = parse(arguments)
    (_offline if options.offline else _live)(options)
    return 0


def _offline(options: argparse.Namespace) -> None:
    require_pyav()
    paths = networks.checkpoints(options.model)
    _announce(options, paths, keys=False)
    assistant = _assistant(options)
    journal = Journal(options.log) if options.log else None
    predictor, arming = _load(options, paths), _arming(options)
    _log_start(options, predictor, paths, journal)
    out, label = free_name(options.record), training_data(paths)
    done = offline.render(
        options.source, predictor.predict, assistant, out, journal, arming, training=label
    )
    print(f"{out}: {done.frames} frames, {done.seconds:.1f} s")


def _live(options: argparse.Namespace) -> None:
    if _REPORT is not None:
        signal.signal(_REPORT, signal.SIG_IGN)  # a signal before the loop must not end the program
    # All inputs are checked before the network is loaded, which takes seconds.
    paths = networks.checkpoints(options.model)
    sound = Sound() if options.sound else None
    # The window comes before the source and the recorder: with PyAV imported first, many builds of
    # OpenCV hang at their first window, because both bring a copy of libxcb (PyAV's issue 1050).
    screen = screens.choose(options.display)
    shown_at = time.monotonic()
    _announce(options, paths, keys=isinstance(screen, screens.Window))
    assistant = _assistant(options)
    screen.show(start_screen(_start_lines(options, paths)))
    screen.key()
    source = opener(options.source, options.size)
    switches = _switches(options)
    journal = Journal(options.log) if options.log else None
    recorder = Recorder(options.record) if options.record else None
    predictor, arming = _load(options, paths), _arming(options)
    _log_start(options, predictor, paths, journal)
    _keep_start_screen(screen, shown_at)
    live = Live(
        source,
        predictor.predict,
        assistant,
        screen=screen,
        recorder=recorder,
        journal=journal,
        switches=switches,
        arming=arming,
        sound=sound,
        size=options.size,
        training=training_data(paths),
    )
    _handle_signals(live)
    _report_end(options, live.run(), recorder)


def _report_end(
    options: argparse.Namespace, summary: dict[str, object], recorder: Recorder | None
) -> None:
    """Print what was seen and where it was recorded. SourceError where there was no picture."""
    if not summary["pictures"]:
        raise SourceError(f"{without_password(options.source)}: gave no picture")
    figures = "{pictures} pictures, {scored} scored, {dropped} dropped".format(**summary)
    recorded = f", recorded in {recorder.path}" if recorder and recorder.written else ""
    print(figures + recorded)


def _start_lines(options: argparse.Namespace, paths: list[str]) -> list[str]:
    lines = [training_data(paths), *(f"network: {path}" for path in paths)]
    return [*lines, f"source: {without_password(options.source)}", f"keys: {KEYS}", "loading ..."]


def _keep_start_screen(screen: screens.Screen, shown_at: float) -> None:
    while isinstance(screen, screens.Window) and time.monotonic() - shown_at < _START_SCREEN:
        screen.key()


def _handle_signals(live: Live) -> None:
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), lambda *_: live.stop())
    if _REPORT is not None:
        signal.signal(_REPORT, lambda *_: live.request_report())


def _assistant(options: argparse.Namespace) -> Assistant:
    alarm = Alarm(options.threshold, options.hysteresis, options.minimum_duration)
    return Assistant(alarm, armed=options.armed)


def _switches(options: argparse.Namespace) -> list[Switch]:
    switches: list[Switch] = []
    if options.arm_file:
        switches.append(FileSwitch(options.arm_file))
    if options.arm_serial:
        switches.append(SerialSwitch(options.arm_serial))
    return switches


def _load(options: argparse.Namespace, paths: list[str]) -> Predictor:
    return networks.load(paths, options.backend, options.precision, options.threads)


def _arming(options: argparse.Namespace) -> AutomaticArming | None:
    """Automatic arming, where something for it was given."""
    if not options.arm_model:
        return None
    paths = networks.checkpoints(options.arm_model)
    level, origin = arming_level(paths[0]) or (ARMING_LEVEL, "a default that was fitted to nothing")
    predict = networks.load_arming(paths, options.backend, options.precision, options.threads)
    print(f"arms by p(clip applier) above {level:.4g}: {origin}")
    return AutomaticArming(predict, Alarm(*arming_settings(level)))


def _announce(options: argparse.Namespace, paths: list[str], keys: bool) -> None:
    """Settle alarm and arming, and print what will run before the networks are loaded.

    `keys`: a key can arm.
    """
    print(f"{DISCLAIMER} {training_data(paths)}.")
    print(complete_alarm(options, paths))
    if not any((options.armed, options.arm_file, options.arm_serial, options.arm_model, keys)):
        options.armed = True
        print("armed from the start, because nothing else could arm it")
    print(f"loading {len(paths)} network(s), which may take a minute ...", flush=True)


def _log_start(
    options: argparse.Namespace, predictor: Predictor, paths: list[str], journal: Journal | None
) -> None:
    """Print, and log, what runs."""
    print(f"{len(paths)} network(s) on {predictor.reason}, {predictor.precision}", flush=True)
    if journal:
        given = {name: value for name, value in vars(options).items() if name != "model"}
        given.update(source=without_password(options.source), training=training_data(paths))
        given.update(networks=networks.digests(paths), backend=predictor.reason)
        given.update(arm_networks=networks.digests(networks.checkpoints(options.arm_model or [])))
        journal.write("start", 0.0, **given)
