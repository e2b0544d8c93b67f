"""Pictures ready before they are needed: a decoding thread that fills a store of JPEGs."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import cv2
import numpy as np

from clipassistnet.annotate.order import Frame
from clipassistnet.data.decoding import FrameError
from clipassistnet.data.image_pattern import is_pattern
from clipassistnet.data.video_source import VideoSource

LIMIT = 128 * 2**20  # bytes of JPEGs
QUALITY = 92
BACK = 3  # a step back counts as this many on: most people go forward
URGENT = 12  # steps from the current place within which a picture may be wanted at any moment


class PictureStore:
    """JPEGs of the frames around the current place of a list, decoded in a thread of its own.

    The thread decodes the missing frame that is nearest to the current place, and keeps what it
    passes on the way from the key frame if it is in the list and near enough: so a shuffled list
    costs little more than one in order, and going back as little as going on.
    """

    def __init__(
        self,
        sources: Mapping[str, VideoSource],
        items: Sequence[Frame],
        ready: Callable[[Frame], None],
        *,
        limit: int = LIMIT,
    ) -> None:
        """Start the thread. It ends with `close`.

        Args:
            sources: of each video.
            items: the frame of each place; one may come several times.
            ready: called from the thread when a frame can be had by `get`, or has failed.
            limit: bytes of all JPEGs together.
        """
        self.sources, self._items, self._ready = sources, items, ready
        self._limit, self._held = limit, 0
        self.decoded = 0  # pictures so far
        self._place, self._closed = 0, False
        self._horizon = float("inf")  # distance from which on there is no room
        self._jpegs: dict[Frame, bytes] = {}
        self._failed: dict[Frame, str] = {}
        self._places: dict[Frame, list[int]] = {}
        for place, item in enumerate(items):
            self._places.setdefault(item, []).append(place)
        # Of each video: the group of pictures of each frame, and the frames of each group.
        self._groups: dict[str, tuple[dict[int, int], dict[int, list[int]]]] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def move(self, place: int) -> None:
        """The annotator is at this place now; a picture that failed there is tried once more."""
        with self._changed:
            self._horizon += BACK * abs(place - self._place)
            self._place = place
            self._failed.pop(self._items[place], None)
            self._changed.notify()

    def get(self, item: Frame) -> bytes | str | None:
        """JPEG of a frame; or, as str, why it cannot be had; or None while it is not ready."""
        with self._changed:
            return self._jpegs.get(item) or self._failed.get(item)

    @property
    def held(self) -> int:
        """Bytes of all JPEGs that are held."""
        return self._held

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                item = self._next()
                while item is None and not self._closed:
                    self._changed.wait()
                    item = self._next()
                if self._closed or item is None:
                    return
            self._decode(item)

    def _next(self) -> Frame | None:
        """The missing frame nearest to the current place."""
        for place in self._outward():
            item = self._items[place]
            if item not in self._jpegs and item not in self._failed:
                return item
        return None

    def _outward(self) -> Iterator[int]:
        """Places from the current one outward, as far as there is room."""
        count = len(self._items)
        farthest = max(count - self._place, BACK * (self._place + 1))
        for distance in range(int(min(self._horizon, farthest))):
            if self._place + distance < count:
                yield self._place + distance
            back = self._place - distance // BACK
            if distance and distance % BACK == 0 and back >= 0:
                yield back

    def _distance(self, item: Frame) -> int:
        """How far a frame is from the current place."""
        steps = (place - self._place for place in self._places[item])
        return min(step if step >= 0 else -step * BACK for step in steps)

    def _decode(self, urgent: Frame) -> None:
        """Decode a frame, and the missing ones of its group of pictures that are near enough."""
        video = urgent[0]
        wanted = [urgent[1]]
        try:
            wanted = self._group(urgent)
            pictures = self.sources[video].pictures(wanted)
            for index, (pixels, _) in enumerate(pictures):
                self._keep((video, wanted[index]), _jpeg(pixels))
                if self._is_elsewhere(video, wanted[index + 1 :]):
                    return
        except (FrameError, OSError, cv2.error) as error:
            with self._changed:
                failed = [(video, frame) for frame in wanted if (video, frame) not in self._jpegs]
                self._failed.update(dict.fromkeys(failed, str(error)))
            for item in failed:
                self._ready(item)

    def _group(self, urgent: Frame) -> list[int]:
        """The missing frames, ascending, that are decoded from the same key frame as this one."""
        video, frame = urgent
        if video not in self._groups:
            frames = np.unique([each for name, each in self._places if name == video])
            group_of = dict(zip(frames.tolist(), _groups(self.sources[video], frames), strict=True))
            members: dict[int, list[int]] = {}
            for each, group in group_of.items():
                members.setdefault(group, []).append(each)
            self._groups[video] = group_of, members
        group_of, members = self._groups[video]
        with self._changed:
            found = [
                each
                for each in members[group_of[frame]]
                if (video, each) not in self._jpegs
                and (video, each) not in self._failed
                and self._distance((video, each)) < self._horizon
            ]
        return sorted({*found, frame})

    def _is_elsewhere(self, video: str, rest: list[int]) -> bool:
        """Whether the annotator may need another picture sooner than the rest of this group."""
        with self._changed:
            item = self._next()
            if self._closed or item is None:
                return True
            inside = item[0] == video and item[1] in rest
            return not inside and self._distance(item) <= URGENT

    def _keep(self, item: Frame, jpeg: bytes) -> None:
        with self._changed:
            self.decoded += 1
            self._held += len(jpeg) - len(self._jpegs.get(item, b""))
            self._jpegs[item] = jpeg
            while self._held > self._limit and len(self._jpegs) > 1:
                far = max(self._jpegs, key=self._distance)
                self._held -= len(self._jpegs.pop(far))
                # What lies as far away would be the next to be dropped: it is not decoded.
                self._horizon = self._distance(far)
        self._ready(item)


def _groups(source: VideoSource, frames: np.ndarray) -> list[int]:
    """Number of the group of pictures of each frame; pictures in files are groups of their own."""
    if is_pattern(source.path):
        return frames.tolist()
    line = source.timeline()
    return np.searchsorted(line.keyframes, line.shown_at(frames), side="right").tolist()


def _jpeg(pixels: np.ndarray) -> bytes:
    """JPEG of RGB (H, W, 3) uint8, in full size."""
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise FrameError("the picture could not be written as JPEG")
    return encoded.tobytes()
