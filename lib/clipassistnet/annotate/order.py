"""The order in which a pass shows its frames."""

import hashlib

import numpy as np

REPEATS = 0.05  # share of frames that come twice
SEGMENT, BLOCK = 50, 8  # neighbours that stay in one block, and segments that are mixed in it
APART = 20  # places between a frame and its repeat, where the pass is long enough

Frame = tuple[str, int]  # video, frame


def seed_of(annotator: str) -> int:
    """The annotator's own seed: the same on every machine."""
    return int.from_bytes(hashlib.sha256(annotator.encode()).digest()[:4], "big")


def ordered(frames: list[Frame], seed: int, *, shuffled: bool = True) -> list[Frame]:
    """The frames of a pass in the order in which they are shown, some of them twice.

    Shuffled, frames that are neighbours in `frames` do not follow each other where that can be
    avoided: each frame is to be judged alone. Segments of 50 neighbours (ten seconds at the paper's
    5 FPS) are drawn at random, eight at a time, and their frames are mixed: so a video is decoded a
    segment at a time, and not from a key frame for each picture. Either way 5 % come a second time,
    at least `APART` places later, which measures the annotator's agreement with herself.

    Args:
        frames: sorted by video and frame, each once.
        seed: the annotator's, see `seed_of`.
        shuffled: False keeps the order of `frames`.
    """
    random = np.random.default_rng(seed)
    places = np.arange(len(frames))
    if shuffled:
        places = _without_neighbours(_mixed(places, random))
    return [frames[place] for place in _with_repeats(places, random)]


def _mixed(places: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Places in blocks of segments drawn at random; within a block in any order."""
    segments = np.array_split(places, range(SEGMENT, len(places), SEGMENT))
    drawn = [segments[index] for index in random.permutation(len(segments))]
    blocks = [np.concatenate(drawn[i : i + BLOCK]) for i in range(0, len(drawn), BLOCK)]
    return np.concatenate([random.permutation(block) for block in blocks])


def _without_neighbours(places: np.ndarray) -> np.ndarray:
    """Swap each place that follows its neighbour with a later one that does not."""
    places = places.copy()
    for i in range(1, len(places)):
        if abs(places[i] - places[i - 1]) == 1:
            fits = np.flatnonzero(np.abs(places[i + 1 :] - places[i - 1]) > 1)
            if fits.size:
                j = i + 1 + fits[0]
                places[i], places[j] = places[j], places[i]
    return places


def _with_repeats(places: np.ndarray, random: np.random.Generator) -> list[int]:
    count = round(REPEATS * len(places))
    last = max(1, len(places) - APART)  # a later one would come again too soon
    chosen = random.choice(last, size=min(count, last), replace=False)
    # Each repeat goes behind the frame that stands at its target place.
    low = np.minimum(chosen + APART, len(places) - 1)
    targets = random.integers(low, len(places))
    behind: dict[int, list[int]] = {}
    for place, target in zip(chosen.tolist(), targets.tolist(), strict=True):
        behind.setdefault(target, []).append(int(places[place]))
    shown: list[int] = []
    for place, value in enumerate(places.tolist()):
        shown += [value, *behind.get(place, [])]
    return shown
