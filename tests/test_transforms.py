"""What the network sees: preprocessing, and the five augmentations."""

import random

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clipassistnet import transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_preprocess_of_one_pixel_by_hand():
    frames = np.array([[[[255, 0, 51]]]], dtype=np.uint8)
    images = transforms.preprocess(frames, 1, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.1))
    assert images.shape == (1, 3, 1, 1)
    assert images.flatten().tolist() == pytest.approx([1.0, -2.0, -3.0])


def test_cached_and_live_frames_give_the_same_bits(frame):
    """A live frame resized here, and one that was resized into the cache, alone or in a batch."""
    live = np.random.default_rng(1).integers(0, 256, (3, 120, 214, 3), dtype=np.uint8)
    cached = np.stack([cv2.resize(f, (32, 32), interpolation=cv2.INTER_AREA) for f in live])
    from_live = transforms.preprocess(live, 32, MEAN, STD)
    assert torch.equal(from_live, transforms.preprocess(cached, 32, MEAN, STD))
    assert torch.equal(from_live[1:2], transforms.preprocess(cached[1:2], 32, MEAN, STD))
    assert torch.equal(from_live, transforms.preprocess(torch.from_numpy(live), 32, MEAN, STD))


def test_no_resize_at_the_target_size(frame):
    assert transforms.resize(frame, 64) is frame


@settings(max_examples=30)
@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 40)] * 2, st.just(3))), st.integers(1, 40))
def test_preprocess_fills_any_shape(frame, size):
    images = transforms.preprocess(frame[None], size, (0, 0, 0), (1, 1, 1))
    assert images.shape == (1, 3, size, size)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((1, 3, 8, 8), np.uint8),
    ],
)
def test_preprocess_refuses_what_is_no_batch_of_frames(frames):
    with pytest.raises(ValueError, match=r"expected uint8 \(N, H, W, 3\)"):
        transforms.preprocess(frames, 8, MEAN, STD)


def test_preprocess_leaves_its_input_alone(frame):
    before = frame.copy()
    transforms.preprocess(frame[None], 64, MEAN, STD)
    assert np.array_equal(frame, before)


def test_augmentation_is_decided_by_its_seed_alone(frame):
    transform = transforms.augmentation()
    first = transforms.augment(transform, frame, (0, 1, 2))
    np.random.seed(9)  # noqa: NPY002
    random.seed(9)
    torch.manual_seed(9)
    transforms.augment(transform, frame, (5, 5, 5))
    assert np.array_equal(first, transforms.augment(transform, frame, (0, 1, 2)))
    again = transforms.augmentation()
    assert np.array_equal(first, transforms.augment(again, frame, (0, 1, 2)))
    for seed in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert not np.array_equal(first, transforms.augment(transform, frame, seed))


def drawn_parameters(rows: int) -> list[list[dict | None]]:
    """For each row, what each of the five transforms drew, or None where it was not applied."""
    compose, blank = transforms.augmentation(), np.zeros((100, 100, 3), np.uint8)
    table: list[list[dict | None]] = [[None] * 5 for _ in range(rows)]
    for column, transform in enumerate(compose.transforms):

        def draw(params, data, column=column, original=transform.get_params_dependent_on_data):
            table[row][column] = original(params, data)
            return table[row][column]

        transform.get_params_dependent_on_data = draw
    for row in range(rows):
        transforms.augment(compose, blank, (0, 0, row))
    return table


def test_the_five_transforms_are_independent_and_as_strong_as_the_papers():
    table = drawn_parameters(1500)
    applied = np.array([[drawn is not None for drawn in row] for row in table])
    assert applied.mean(axis=0) == pytest.approx([0.75] * 5, abs=0.04)
    assert np.abs(np.corrcoef(applied.T) - np.eye(5)).max() < 0.08

    matrices = [np.array([row[i]["matrix"] for row in table if row[i]]) for i in range(3)]
    rotation, scale, shift = matrices
    alpha, beta = ([row[i][k] for row in table if row[i]] for i, k in ((4, "alpha"), (3, "beta")))
    angles = np.degrees(np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]))
    assert scale[:, 0, 0] == pytest.approx(scale[:, 1, 1])  # the aspect is kept
    assert [row[3]["alpha"] for row in table if row[3]] == pytest.approx([1] * len(beta))
    assert [row[4]["beta"] for row in table if row[4]] == pytest.approx([0] * len(alpha))
    for values, low, high in (
        (angles, -40, 40),
        (scale[:, 0, 0], 0.7, 1.3),
        (shift[:, 0, 2] / 100, -0.2, 0.2),
        (shift[:, 1, 2] / 100, -0.2, 0.2),
        (np.array(beta) / 255, -0.2, 0.2),
        (np.array(alpha) - 1, -0.2, 0.25),
    ):
        slack = 0.03 * (high - low)  # whole pixels, and the extremes of 1,100 draws
        assert min(values) == pytest.approx(low, abs=slack)
        assert max(values) == pytest.approx(high, abs=slack)


def test_borders_are_reflected():
    """No transform brings in a value that the picture does not have: zero borders would."""
    grey = np.full((32, 32, 3), 90, np.uint8)
    for name in ("rotation", "scale", "translation"):
        assert (transforms.augment(transforms.transform(name), grey, (1, 2, 3)) == 90).all(), name


def test_each_transform_by_name_changes_a_frame(frame):
    for name in transforms.TRANSFORMS:
        assert not np.array_equal(
            transforms.augment(transforms.transform(name), frame, (1,)), frame
        )
