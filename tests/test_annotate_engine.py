"""The annotator without a browser: pictures, order, journal, passes, tables."""

import gc
import threading
import time

import av
import cv2
import numpy as np
import pytest

from clipassistnet.annotate.order import APART, ordered, seed_of
from clipassistnet.annotate.pass_state import Mark, PassError, read, start_event
from clipassistnet.annotate.passes import Pass
from clipassistnet.annotate.picture_store import PictureStore
from clipassistnet.data.video_source import VideoSource
from tiny_videos import FPS, FRAMES, encode, index_of

FRAMES_OF = [("v", frame) for frame in range(FRAMES)]


class Watched(PictureStore):
    """A store that knows when a frame is ready."""

    def __init__(self, sources, items, **options):
        self.seen = threading.Condition()
        super().__init__(sources, items, self._note, **options)

    def _note(self, item):
        with self.seen:
            self.seen.notify_all()

    def wait(self, item, seconds=20.0):
        end = time.monotonic() + seconds
        with self.seen:
            while (found := self.get(item)) is None:
                assert time.monotonic() < end, f"{item} did not come"
                self.seen.wait(0.1)
        return found


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return VideoSource("v", str(encode(tmp_path_factory.mktemp("video") / "v.mp4")), FPS, FRAMES)


def shown(jpeg: bytes) -> int:
    return index_of(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_the_store_gives_each_frame_its_own_picture(video):
    store = Watched({"v": video}, FRAMES_OF)
    assert [shown(store.wait(item)) for item in FRAMES_OF] == list(range(FRAMES))
    store.close()


def test_the_store_follows_a_shuffled_order_with_repeats(video):
    items = ordered(FRAMES_OF, seed=3)
    store = Watched({"v": video}, items)
    for place in (0, len(items) - 1, 7):
        store.move(place)
        assert shown(store.wait(items[place])) == items[place][1]
    store.close()


def test_the_store_keeps_its_limit_and_the_nearest_pictures(video):
    store = Watched({"v": video}, FRAMES_OF)
    size = max(len(store.wait(item)) for item in FRAMES_OF)
    store.close()
    small = Watched({"v": video}, FRAMES_OF, limit=6 * size)
    for place in (0, 20, 39, 5):
        small.move(place)
        for step in (0, 1, -1):
            item = FRAMES_OF[min(place + step, FRAMES - 1)] if place + step >= 0 else FRAMES_OF[0]
            assert shown(small.wait(item)) == item[1]
        assert small.held <= 6 * size
    small.close()


def test_a_full_store_comes_to_rest(video):
    store = Watched({"v": video}, FRAMES_OF, limit=30_000)
    store.wait(("v", 0))
    deadline, before = time.monotonic() + 20, None
    while (now := store.decoded) != before:  # the thread goes on: it decodes what it drops
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.3)
    store.close()


def test_a_file_that_is_gone_or_broken_says_so_and_the_others_go_on(tmp_path, video):
    broken = encode(tmp_path / "b.mp4")
    broken.write_bytes(broken.read_bytes()[:2000])
    sources = {
        "v": video,
        "gone": VideoSource("gone", str(tmp_path / "gone.mp4"), FPS, FRAMES),
        "broken": VideoSource("broken", str(broken), FPS, FRAMES),
    }
    items = [("gone", 3), ("broken", 4), ("v", 5)]
    store = Watched(sources, items)
    assert "gone.mp4: no such file" in store.wait(items[0])
    assert "b.mp4" in store.wait(items[1])
    assert shown(store.wait(items[2])) == 5
    encode(tmp_path / "gone.mp4")
    store.move(0)
    assert shown(store.wait(items[0])) == 3, "the file is there again"
    store.close()


def test_neighbours_do_not_follow_each_other_and_one_in_twenty_comes_twice():
    frames = [("v", 5 * i) for i in range(400)]
    shuffled = ordered(frames, seed_of("anna"))
    assert set(shuffled) == set(frames)
    assert len(shuffled) == 420
    first, gaps, adjoining = {}, [], 0
    for place, (_, frame) in enumerate(shuffled):
        if frame in first:
            gaps.append(place - first[frame])
        first.setdefault(frame, place)
        adjoining += place > 0 and abs(frame - shuffled[place - 1][1]) == 5
    assert min(gaps) >= APART
    assert adjoining <= 2  # a repeat may fall next to a neighbour
    assert shuffled == ordered(frames, seed_of("anna")) != ordered(frames, seed_of("ben"))
    in_order = ordered(frames, seed_of("anna"), shuffled=False)
    assert list(dict.fromkeys(in_order)) == frames


def test_a_long_list_is_mixed_block_by_block():
    frames = [("v", i) for i in range(4000)]
    shuffled = list(dict.fromkeys(ordered(frames, 1)))
    segments = {frame // 50 for _, frame in shuffled[:400]}
    assert len(segments) <= 9  # a swap may reach into the next block
    assert len({frame // 50 for _, frame in shuffled[:40]}) >= 7
    assert max(segments) - min(segments) > 40, "from all over the video"


@pytest.mark.parametrize("count", [1, 2, 3, 15, 25])
def test_a_short_list_can_be_ordered(count):
    frames = [("v", i) for i in range(count)]
    assert set(ordered(frames, 1)) == set(frames)


@pytest.fixture
def begun(tmp_path):
    """Starts, or opens again, a pass of six frames."""
    open_now = []

    def start():
        for each in open_now:
            each.release()
        first = start_event("anna", "label", FRAMES_OF[:6], order="shuffled", seed=1)
        open_now[:] = [Pass(tmp_path / "passes" / "anna.jsonl", first)]
        return open_now[0]

    yield start
    open_now[0].release()


def test_labels_flags_and_place_outlive_the_session(begun):
    current = begun()
    current.label(0, Mark("visible", "none", "3"), 1.5)
    current.label(1, Mark("invisible", "blur"))
    current.flag(1)
    current.rest(4)
    again = begun()
    assert again.marks == {0: Mark("visible", "none", "3"), 1: Mark("invisible", "blur")}
    assert (again.flags, again.position, again.seconds[0]) == ({1}, 4, 1.5)
    assert again.left == 4


def test_undo_reaches_back_over_sessions(begun):
    current = begun()
    for place, label in [(0, "visible"), (1, "absent"), (0, "invisible")]:
        current.label(place, Mark(label))
    again = begun()
    assert again.undo() == 0
    assert again.marks[0] == Mark("visible")
    assert [again.undo(), again.undo(), again.undo()] == [1, 0, None]
    assert begun().marks == {}


def test_a_half_written_line_is_removed(begun):
    current = begun()
    current.label(0, Mark("visible"))
    with open(current.path, "ab") as file:
        file.write(b'{"event": "label", "place": 1, "lab')
    assert begun().marks == {0: Mark("visible")}
    begun().label(1, Mark("absent"))
    assert read(current.path).marks[1] == Mark("absent")


def test_a_second_opening_is_refused(begun):
    current = begun()
    with pytest.raises(PassError, match="open already"):
        Pass(current.path)


def test_a_damaged_line_is_named(begun):
    current = begun()
    current.label(0, Mark("visible"))
    text = current.path.read_text().splitlines()
    current.path.write_text("\n".join([text[0], "labels", text[1]]) + "\n")
    with pytest.raises(ValueError, match=r"anna\.jsonl:2: b'labels'"):
        begun()


@pytest.mark.parametrize(
    ("place", "mark"),
    [(6, Mark("visible")), (0, Mark("seen")), (0, Mark("visible", "blur")),
     (0, Mark("invisible", "none")), (0, Mark("absent", "", "4"))],
)  # fmt: skip
def test_what_is_no_label_is_refused(begun, place, mark):
    current = begun()
    with pytest.raises(PassError):
        current.label(place, mark)
    assert current.marks == {}


def test_a_full_disk_loses_nothing_that_was_confirmed(begun, monkeypatch):
    current = begun()
    current.label(0, Mark("visible"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            current.label(1, Mark("absent"))
        assert 1 not in current.marks
    current.label(2, Mark("absent"))
    assert begun().marks.keys() == {0, 2}


def test_a_closed_pass_takes_no_label(begun):
    begun().finish()
    with pytest.raises(PassError, match="closed"):
        begun().label(0, Mark("visible"))


def test_decoded_frames_do_not_pile_up(video):
    gc.collect()
    gc.disable()
    try:
        for _ in video.pictures([*range(FRAMES)]):
            held = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
            assert held <= 4
    finally:
        gc.enable()
