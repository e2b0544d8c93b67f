"""The live loop: takes what the threads bring, decides, shows, records and logs."""

from __future__ import annotations

import collections
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence

from clipassistnet.alarm import LIMIT, Assistant, Decision
from clipassistnet.live.arming import AutomaticArming, Switch
from clipassistnet.live.journal import Journal, JournalThread
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.profile import Latencies
from clipassistnet.live.recorder import Recorder
from clipassistnet.live.screen import NoScreen, Screen
from clipassistnet.live.session import Picture, Score, Session
from clipassistnet.live.sound import Sound
from clipassistnet.live.source import Source
from clipassistnet.live.threads import Capture, NewestItem, Predict, Scorer

_TICK = 0.02  # seconds: how late a fault may be noticed
_REDRAW = 0.1  # seconds between drawings while no picture comes
KEYS = "a arms and disarms, p prints latencies, q quits"


class Live:
    """Feedback on a live source until it ends, q is pressed or `stop` is called.

    The caller's thread decides and draws. It never waits for the source, the network or the disk,
    each of which has its own thread. Times in the log are seconds since `run` began.

    Args:
        source: opens the source (see source.opener).
        predict: scores uint8 RGB (1, H, W, 3).
        assistant: decides the state.
        screen: shows the overlay; None shows it nowhere.
        switches: what arms and disarms (see `arming`). The last order counts: after a key disarmed,
            only the next order arms again.
        arming: the switch that arms when a clip applier appears.
        size: width and height expected; None takes those of the first picture.
        training: what the network was trained on, a line for the overlay.
    """

    def __init__(
        self,
        source: Callable[[], Source],
        predict: Predict,
        assistant: Assistant,
        *,
        screen: Screen | None = None,
        recorder: Recorder | None = None,
        journal: Journal | None = None,
        switches: Sequence[Switch] = (),
        arming: AutomaticArming | None = None,
        sound: Sound | None = None,
        size: tuple[int, int] | None = None,
        training: str = "",
    ) -> None:
        self.session = Session(
            assistant,
            switches=switches,
            arming=arming,
            log=self._log,
            size=size,
            training=training,
        )
        self.screen, self.recorder, self.sound = screen or NoScreen(), recorder, sound
        self.journal = JournalThread(journal) if journal else None
        self.latencies = Latencies("arrival to decision", "arrival to screen")
        self._wake = threading.Event()
        # Plain flags: a signal handler must not wait for a lock that this very thread holds.
        self._stop_requested = self._report_requested = False
        self._to_score, self._to_show = NewestItem(), NewestItem(self._wake)
        self._scores: collections.deque[Score] = collections.deque()
        self._capture = Capture(source, PictureCheck(size), self._to_score, self._to_show)
        clip_applier = arming.predict if arming else None
        self._scorer = Scorer(predict, self._to_score, self._post, clip_applier)
        self._arming = arming
        self._drawn, self._start, self._count = -math.inf, 0.0, 0

    def run(self) -> dict[str, object]:
        """Run to the end; returns pictures, scored, dropped, not_recorded and latencies."""
        self._start = time.monotonic()
        if self.session.assistant.armed:
            self._log("armed", self._start, by="command line")
        self._capture.start()
        self._scorer.start()
        try:
            while not self._stop_requested and not self._ended():
                self._wake.wait(_TICK)
                self._wake.clear()
                self._step()
        finally:
            self._close()
        return self.summary()

    def stop(self) -> None:
        """End `run` soon; from any thread or a signal handler."""
        self._stop_requested = True

    def request_report(self) -> None:
        """Have the latencies printed soon; from any thread or a signal handler."""
        self._report_requested = True

    def summary(self) -> dict[str, object]:
        """Pictures that arrived, were scored, and were dropped for newer ones; latencies."""
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
        """Whether a file has ended, and its last picture had time to be scored and shown."""
        waited = time.monotonic() - self.session.last_good
        return self._capture.ended.is_set() and waited > 0.8 * LIMIT

    def _step(self) -> None:
        picture = self._to_show.take()
        scores = [self._scores.popleft() for _ in range(len(self._scores))]
        self._take_key(self.screen.key())
        self.session.take(time.monotonic(), picture, scores)
        # The clock is read again: a switch may have been slow, and the decision must know.
        self._decide(time.monotonic(), picture, scores)

    def _take_key(self, key: str) -> None:
        if key == "a":
            self.session.arm(not self.session.assistant.armed, "key", time.monotonic())
        elif key == "q":
            self.stop()
        if key == "p" or self._report_requested:
            self._report_requested = False
            self._report("latency")

    def _decide(self, now: float, picture: Picture | None, scores: Sequence[Score]) -> None:
        """Decide after `session.take`, and log, sound and show what was decided."""
        previous = self.session.decision
        decision = self.session.decide(now, self._record_fault())
        for score in scores:
            self._log_score(score, decision, now)
        if decision != previous:
            self._log("state", now, state=decision.state.value, cause=decision.cause)
            self.screen.show_state(decision)
            if self.sound and (previous is None or decision.state is not previous.state):
                self.sound.play(decision.state)
        if picture is not None or decision != previous or now - self._drawn > _REDRAW:
            self._draw(decision, now, picture)

    def _record_fault(self) -> str:
        records = [record for record in (self.recorder, self.journal) if record is not None]
        return next((record.fault for record in records if record.fault), "")

    def _log_score(self, score: Score, decision: Decision, now: float) -> None:
        """Log one scored picture, with the decision that it led to."""
        self._count += 1
        latency = now - score.picture.arrival
        self.latencies.add("arrival to decision", latency)
        self._log(
            "decision",
            now,
            picture=score.picture.number,
            arrival=score.picture.arrival - self._start,
            latency_ms=1000 * latency,
            score=score.value,
            state=decision.state.value,
            dropped=self._to_score.dropped,
            **({"presence": score.clip_applier} if self._arming else {}),
            **({"fault": score.fault} if score.fault else {}),
        )

    def _draw(self, decision: Decision, now: float, picture: Picture | None) -> None:
        canvas = self.session.canvas(decision, now, self._notes(now))
        self.screen.show(canvas)
        self._drawn = time.monotonic()
        if picture is not None and picture.frame is not None:
            self.latencies.add("arrival to screen", self._drawn - picture.arrival)
        if self.recorder and self.session.has_frame:
            self.recorder.put(canvas, now - self._start)

    def _notes(self, now: float) -> list[str]:
        rate = f"{self.session.history.rate(now):.1f} scores/s"
        notes = [rate, f"{self._to_score.dropped} dropped"]
        if self.recorder:
            notes.append("not recording" if self.recorder.fault else "REC")
        return notes

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
