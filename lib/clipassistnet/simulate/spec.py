"""What to simulate: the settings of a dataset folder, and of each of its videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST_CLIPPER = 8  # annotated frames with a clip applier that a video has at least
_LEAST_ABSENT = 2  # annotated frames without one
STILLS = ("none", "train", "all")  # of no video, of those for training, of all

# The first number after the seed names an independent stream of random numbers.
COUNTS_STREAM, PATIENT_STREAM, VIDEO_STREAM, ANNOTATOR_STREAM = range(4)


def stream(seed: int, *numbers: int) -> np.random.SeedSequence:
    """Seed of an independent stream of random numbers, e.g. `stream(seed, PATIENT_STREAM, 7)`."""
    return np.random.SeedSequence([seed, *numbers])


@dataclass(frozen=True)
class Spec:
    """Settings of a simulated dataset folder.

    `videos` are for training, `test_videos` for the test set; `clipper_frames` and `absent_frames`
    are the means of annotated frames (5 FPS) a video; sizes are in pixels. `stills`, one of
    `STILLS`, says of which videos only the annotated frames are drawn, as image files.

    Raises:
        ValueError: a setting is out of range; the message lists every such setting.
    """

    videos: int = 24
    test_videos: int = 6
    clipper_frames: float = 40.0
    absent_frames: float = 8.0
    width: int = 320
    height: int = 180
    stills: str = "none"
    seed: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        rules = (
            ("videos", self.videos >= 1, "at least 1"),
            ("test_videos", self.test_videos >= 1, "at least 1"),
            ("clipper_frames", self.clipper_frames >= _LEAST_CLIPPER, f"at least {_LEAST_CLIPPER}"),
            ("absent_frames", self.absent_frames >= _LEAST_ABSENT, f"at least {_LEAST_ABSENT}"),
            ("width", self.width >= 96 and self.width % 2 == 0, "even, at least 96"),
            ("height", self.height >= 64 and self.height % 2 == 0, "even, at least 64"),
            ("stills", self.stills in STILLS, f"one of {', '.join(STILLS)}"),
            ("seed", self.seed >= 0, "at least 0"),
            ("processes", self.processes >= 1, "at least 1"),
        )
        wrong = [
            f"{name} is {getattr(self, name)} (expected {expected})"
            for name, holds, expected in rules
            if not holds
        ]
        if wrong:
            raise ValueError("simulation: " + "; ".join(wrong))


@dataclass(frozen=True)
class VideoSpec:
    """Settings of one video; with the code they determine every byte of it."""

    video: str
    patient: str
    split: str  # train | test
    clipper: str  # metal | polymer
    clipper_frames: int
    absent_frames: int
    width: int
    height: int
    stills: bool
    seed: int
    number: int  # of the video, for its own random stream
    patient_number: int

    @property
    def path(self) -> str:
        """The file, or the pattern of image files, below the folder of the videos."""
        return f"{self.video}/{{frame:06d}}.jpg" if self.stills else f"{self.video}.mp4"

    @property
    def annotated_frames(self) -> int:
        """How many frames are annotated, with and without a clip applier."""
        return self.clipper_frames + self.absent_frames


def _counts(rng: np.random.Generator, videos: int, mean: float, least: int) -> np.ndarray:
    """Annotated frames a video, skewed as the paper's (271 +- 252, 62 to 1693), of this mean."""
    sigma = np.sqrt(np.log(1 + (252 / 271) ** 2))
    draws = np.clip(rng.lognormal(-(sigma**2) / 2, sigma, videos), 62 / 271, 1693 / 271)
    return np.maximum(least, np.round(draws / draws.mean() * mean)).astype(int)


def _patients(videos: int) -> np.ndarray:
    """Patient of each video: mostly one video each; one patient in seven has two."""
    starts = np.arange(videos) % 8 != 1
    return np.cumsum(starts) - 1


def video_specs(spec: Spec) -> list[VideoSpec]:
    """Settings of every video, training videos first; they depend on the spec alone."""
    rng = np.random.default_rng(stream(spec.seed, COUNTS_STREAM))
    result: list[VideoSpec] = []
    first_patient = 0
    for split, videos in (("train", spec.videos), ("test", spec.test_videos)):
        clipper = _counts(rng, videos, spec.clipper_frames, _LEAST_CLIPPER)
        absent = _counts(rng, videos, spec.absent_frames, _LEAST_ABSENT)
        patients = first_patient + _patients(videos)
        for k in range(videos):
            number = len(result) + 1
            result.append(
                VideoSpec(
                    video=f"sim{number:03d}",
                    patient=f"P{patients[k] + 1:03d}",
                    split=split,
                    clipper="metal" if rng.random() < 0.65 else "polymer",
                    clipper_frames=int(clipper[k]),
                    absent_frames=int(absent[k]),
                    width=spec.width,
                    height=spec.height,
                    stills=spec.stills in (split, "all"),
                    seed=spec.seed,
                    number=number,
                    patient_number=int(patients[k]),
                )
            )
        first_patient = int(patients[-1]) + 1
    return result
