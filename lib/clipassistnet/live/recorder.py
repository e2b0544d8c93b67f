"""Records the overlay as Matroska, which can be played up to the last picture after a crash."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from fractions import Fraction

import numpy as np

_TIME_BASE = Fraction(1, 1000)
_QUEUE = 8  # pictures; some 70 MB at 1920 x 1080
_RETRY = 1.0  # seconds
_STALLED = 2.0  # seconds in one write


class RecordError(RuntimeError):
    """A recording that cannot be made, and what would help."""


def require_pyav() -> None:
    """RecordError, naming the remedy, where PyAV cannot be imported."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise RecordError(
            "recording needs PyAV: pip install av "
            f"(OpenCV's own writer leaves nothing playable after a crash; {error})"
        ) from error


def free_name(path: str, part: int = 1) -> str:
    """`path`, or `path` with -2, -3 ... before its ending where files with these names exist."""
    stem, ending = os.path.splitext(path)
    while True:
        name = path if part == 1 else f"{stem}-{part}{ending}"
        if not (os.path.isfile(name) and os.path.getsize(name)):
            return name
        part += 1


class Writer:
    """One Matroska file of pictures of one size (width, height), both even, in H.264."""

    def __init__(self, path: str, size: tuple[int, int], rate: int = 25) -> None:
        """OSError where the file cannot be written; `rate` (pictures a second) is nominal."""
        import av

        # Python's own unbuffered file: the write that meets a full disk raises the error.
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        # A cluster is written when it is complete: one for each picture, or a crash loses seconds.
        options = {"flush_packets": "1", "cluster_time_limit": "1"}
        try:
            self._container = av.open(self._file, "w", format="matroska", options=options)
            self._stream = self._container.add_stream("libx264", rate=rate)
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = "yuv420p"
            # No delay: no picture waits in the encoder for the next ones.
            codec: dict[str, object] = {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "crf": "23",
                "g": str(rate),
            }
            self._stream.options = codec
            self._stream.codec_context.time_base = _TIME_BASE
        except BaseException:
            self._file.close()
            raise
        self._last = -1

    def write(self, canvas: np.ndarray, seconds: float) -> None:
        """Add a picture, BGR uint8 (H, W, 3), to be shown from `seconds` on."""
        import av

        frame = av.VideoFrame.from_ndarray(canvas, format="bgr24")
        self._last = max(self._last + 1, round(seconds / _TIME_BASE))
        frame.pts, frame.time_base = self._last, _TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, the index and the duration."""
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close after a failed write, whatever else fails."""
        for part in (self._container, self._file):
            with contextlib.suppress(Exception):  # the write has reported its fault already
                part.close()


class Recorder(threading.Thread):
    """Writes pictures in its own thread. After a failure it continues in a new file.

    `path`: the first file; the next ones are numbered (see free_name). `fault` says why nothing is
    being written. `dropped` counts pictures that came faster than they could be encoded.
    """

    def __init__(self, path: str) -> None:
        """RecordError without PyAV, or where the folder cannot be written to."""
        require_pyav()
        folder = os.path.dirname(path) or "."
        if not os.access(folder, os.W_OK):
            raise RecordError(f"{path}: no folder {folder} that can be written to")
        super().__init__(name="recorder", daemon=True)
        self._path, self.path = path, free_name(path)
        self.dropped = 0
        self._pictures: queue.Queue[tuple[np.ndarray, float] | None] = queue.Queue(_QUEUE)
        self._writer: Writer | None = None
        self._failed, self._retry_at = "", 0.0
        self._writing_since: float | None = None
        self.start()

    @property
    def fault(self) -> str:
        """Why nothing is being written; "" while all is well."""
        since = self._writing_since
        if since is not None and time.monotonic() - since > _STALLED:
            return "recording stalled: the disk or the processor is too slow"
        return self._failed

    @property
    def written(self) -> bool:
        """Whether there is a file with anything in it."""
        return os.path.isfile(self.path) and os.path.getsize(self.path) > 0

    def put(self, canvas: np.ndarray, seconds: float) -> None:
        """Add a picture to be shown from `seconds` on; never waits."""
        try:
            self._pictures.put_nowait((canvas, seconds))
        except queue.Full:
            self.dropped += 1

    def run(self) -> None:
        """Write pictures until `close` is called."""
        while True:
            job = self._pictures.get()
            if job is None:
                break
            if self._failed and time.monotonic() < self._retry_at:
                continue
            self._writing_since = time.monotonic()
            try:
                self._write(*job)
                self._failed = ""
            except Exception as error:  # of the disk or of FFmpeg: only the recording fails
                self._give_up(error)
            finally:
                self._writing_since = None

    def close(self) -> None:
        """Finish the file; waits some seconds at most."""
        try:
            self._pictures.put(None, timeout=2)
        except queue.Full:
            return  # stalled: what is on the disk can be played
        self.join(timeout=5)
        if self._writer is None or self.is_alive():
            return
        try:
            self._writer.close()
        except Exception as error:
            self._give_up(error)

    def _write(self, canvas: np.ndarray, seconds: float) -> None:
        if self._writer is None:
            self.path = free_name(self._path)
            self._writer = Writer(self.path, (canvas.shape[1], canvas.shape[0]))
        self._writer.write(canvas, seconds)

    def _give_up(self, error: Exception) -> None:
        self._failed = f"recording failed: {getattr(error, 'strerror', None) or error}"
        self._retry_at = time.monotonic() + _RETRY
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
