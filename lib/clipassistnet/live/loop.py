"""The live loop: takes what the threads bring, decides, shows, records, logs."""

from __future__ import annotations

import collections
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from clipassistnet.live.capture import Capture, Picture
from clipassistnet.live.history import History
from clipassistnet.live.journal import Clerk, Journal
from clipassistnet.live.latency import Latencies
from clipassistnet.live.newest import Newest
from clipassistnet.live.overlay import Overlay, View
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.recorder import Recorder
from clipassistnet.live.scoring import Score, Scorer
from clipassistnet.live.screen import NoScreen
from clipassistnet.live.sound import Sound
from clipassistnet.live.state import LIMIT, Assistant, State
from clipassistnet.live.switches import Appearance

_TICK = 0.02  # seconds: how late a fault may be noticed
_REDRAW = 0.1  # seconds between drawings where no picture comes
_SIZE = (640, 360)  # of the canvas before the first picture
KEYS = "a arms and disarms, p prints latencies, q quits"


class Live:
    """Feedback on a live source until it ends, q is pressed or `stop` is called.

    The caller's thread decides and draws, and waits for nothing: not for the source, the network or
    the disk, which have a thread each. `source` opens the source (see source.opener), `predict`
    scores uint8 RGB (1, H, W, 3), `switches` have a name, a fault and poll() (see arming);
    `appearance` is the switch that a clip applier drives by appearing. Whoever spoke last is
    obeyed: a key disarms until the next one appears. Times in the log are seconds since `run`
    began.
    """

    def __init__(
        self,
        source: Callable,
        predict: Callable[[np.ndarray], np.ndarray],
        assistant: Assistant,
        *,
        screen=None,
        recorder: Recorder | None = None,
        journal: Journal | None = None,
        switches: Sequence = (),
        appearance: Appearance | None = None,
        sound: Sound | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.assistant, self.screen = assistant, screen or NoScreen()
        self.recorder, self.sound = recorder, sound
        self.journal = Clerk(journal) if journal else None
        self.switches = [*switches, appearance] if appearance else list(switches)
        self._appearance = appearance
        self.latencies = Latencies("arrival to decision", "arrival to screen")
        self._wake = threading.Event()
        # No events: a signal handler that needs a lock which this very thread holds waits for ever.
        self._stop_asked = self._report_asked = False
        self._to_score, self._to_show = Newest(), Newest(self._wake)
        self._scores = collections.deque()  # type: collections.deque[Score]
        self._capture = Capture(source, PictureCheck(size), self._to_score, self._to_show)
        presence = appearance.predict if appearance else None
        self._scorer = Scorer(predict, self._to_score, self._post, presence)
        self._history, self._overlay = History(), Overlay(size or _SIZE)
        self._picture = None  # type: Picture | None
        self._decision = None
        self._sound = self._drawn = -math.inf
        self._start, self._count = 0.0, 0

    def run(self) -> dict:
        """Run to the end; returns pictures, scored, dropped and the latencies' summary."""
        self._start = time.monotonic()
        if self.assistant.armed:
            self._log("armed", self._start, by="command line")
        self._capture.start()
        self._scorer.start()
        try:
            while not self._stop_asked and not self._ended():
                self._wake.wait(_TICK)
                self._wake.clear()
                self._step()
        finally:
            self._close()
        return self.summary()

    def stop(self) -> None:
        """End `run` soon; from any thread or a signal handler."""
        self._stop_asked = True

    def ask_report(self) -> None:
        """Have the latencies printed soon; from any thread or a signal handler."""
        self._report_asked = True

    def arm(self, armed: bool, by: str) -> None:
        """Arm or disarm, and log by what; nothing happens where it is so already."""
        if armed == self.assistant.armed:
            return
        self.assistant.armed = armed
        self._log("armed" if armed else "disarmed", time.monotonic(), by=by)

    def summary(self) -> dict:
        """Pictures that arrived, were scored, were passed over for newer ones; latencies."""
        return {
            "pictures": self._capture.count,
            "scored": self._count,
            "dropped": self._to_score.dropped,
            "not_recorded": self.recorder.dropped if self.recorder else 0,
            "latencies": self.latencies.summary(),
        }

    def _post(self, score: Score) -> None:
        self._scores.append(score)
        self._wake.set()

    def _ended(self) -> bool:
        """A file has ended, and its last picture had time to be scored and shown."""
        return self._capture.ended.is_set() and time.monotonic() - self._sound > 0.8 * LIMIT

    def _step(self) -> None:
        picture = self._to_show.take()
        if picture is not None:
            self._take(picture)
        results = [self._scores.popleft() for _ in range(len(self._scores))]
        for result in results:
            self.assistant.scored(result.picture.arrival, result.value, result.fault)
            if self._appearance:
                self._appearance.scored(result.picture.arrival, result.presence)
        self._poll()
        now = time.monotonic()
        previous, self._decision = self._decision, self.assistant.decide(now)
        for result in results:
            self._note(result, now)
        if self._decision != previous:
            state, cause = self._decision.state.value, self._decision.cause
            self._log("state", now, state=state, cause=cause)
            if self.sound and (previous is None or self._decision.state is not previous.state):
                self.sound.play(self._decision.state)
        if picture is not None or self._decision != previous or now - self._drawn > _REDRAW:
            self._draw(now, new=picture is not None and picture.frame is not None)

    def _take(self, picture: Picture) -> None:
        self.assistant.picture(picture.arrival, picture.fault)
        if not picture.fault:
            self._sound = picture.arrival
        if picture.frame is not None:
            if self._picture is None:
                self._overlay = Overlay((picture.frame.shape[1], picture.frame.shape[0]))
            self._picture = picture

    def _poll(self) -> None:
        """What is not a picture: switches, keys, the recording's health, a wish for a report."""
        for switch in self.switches:
            order = switch.poll()
            if order is not None:
                self.arm(order, switch.name)
        key = self.screen.key()
        if key == "a":
            self.arm(not self.assistant.armed, "key")
        elif key == "q":
            self.stop()
        if key == "p" or self._report_asked:
            self._report_asked = False
            self._report("latency")
        records = [record for record in (self.recorder, self.journal) if record is not None]
        self.assistant.record_fault = next((r.fault for r in records if r.fault), "")

    def _note(self, result: Score, now: float) -> None:
        """Log one scored picture, after the decision which it led to."""
        self._count += 1
        latency = now - result.picture.arrival
        self.latencies.add("arrival to decision", latency)
        self._history.add(now, result.value, self._decision.state)
        self._log(
            "decision",
            now,
            picture=result.picture.number,
            arrival=result.picture.arrival - self._start,
            latency_ms=1000 * latency,
            score=result.value,
            state=self._decision.state.value,
            dropped=self._to_score.dropped,
            **({"presence": result.presence} if self._appearance else {}),
            **({"fault": result.fault} if result.fault else {}),
        )

    def _draw(self, now: float, new: bool) -> None:
        lost = self._decision.state is State.NO_SIGNAL
        if lost:
            self._history.add(now, math.nan, State.NO_SIGNAL)
        alarm, score = self.assistant.alarm, math.nan if lost else self.assistant.score
        fresh = now - self._sound <= LIMIT
        view = View(self._decision, score, alarm.threshold, now, self._notes(now), fresh)
        frame = self._picture.frame if self._picture else None
        canvas = self._overlay.draw(frame, view, self._history)
        self.screen.show(canvas)
        self._drawn = time.monotonic()
        if new:
            self.latencies.add("arrival to screen", self._drawn - self._picture.arrival)
        if self.recorder and frame is not None:
            self.recorder.put(canvas, now - self._start)

    def _notes(self, now: float) -> str:
        notes = [f"{self._history.rate(now):.1f} scores/s", f"{self._to_score.dropped} dropped"]
        notes += [switch.fault for switch in self.switches if switch.fault]
        if self.recorder:
            notes.append("not recording" if self.recorder.fault else "REC")
        return "   ".join(notes)

    def _report(self, event: str) -> None:
        print(self.latencies.report(), file=sys.stderr, flush=True)
        self._log(event, time.monotonic(), **self.summary())

    def _log(self, event: str, now: float, **fields: object) -> None:
        if self.journal:
            self.journal.write(event, now - self._start, **fields)

    def _close(self) -> None:
        self.screen.close()  # first: its last state must not stay while the threads end
        self._capture.stop()
        self._scorer.stop()
        if self.recorder:
            self.recorder.close()
        self._report("end")
        if self.journal:
            self.journal.close()
