"""The four losses: by hand, and forward correction where the clean optimum is known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.model import losses

# softmax of (0, log 3) is (1/4, 3/4), of (log 4, 0) it is (4/5, 1/5).
LOGITS = torch.tensor([[0.0, np.log(3)], [0.0, np.log(3)], [np.log(4), 0.0]])
TARGETS = torch.tensor([1, 0, 0])
P = np.array([3 / 4, 1 / 4, 4 / 5])  # probability of each target
TRAIN = pd.DataFrame(
    # Video b has 1 frame, a has 3; 3 frames are visible, 1 invisible.
    {"video": ["b", "a", "a", "a"], "target": [1, 0, 0, 0]}
)
VIDEOS = torch.tensor([1, 0, 0])  # b, a, a: sorted by id, not by first appearance
FEW = settings(max_examples=15)
NOISE = np.array([[0.9, 0.1], [0.2, 0.8]])


def test_bce_by_hand():
    loss = losses.build("bce", TRAIN)(LOGITS, TARGETS, VIDEOS)
    assert loss.item() == pytest.approx(-np.log(P).mean())


def test_class_weighted_by_hand():
    assert losses.class_weights(TRAIN["target"]) == pytest.approx([4 / 6, 4 / 2])
    loss = losses.build("class_weighted", TRAIN)(LOGITS, TARGETS, VIDEOS)
    assert loss.item() == pytest.approx(-(np.array([2, 2 / 3, 2 / 3]) * np.log(P)).mean())


def test_video_weighted_by_hand():
    # 1/3 for a, 1 for b, times 2 for a mean of 1 over the four frames.
    assert losses.video_weights(TRAIN["video"]) == pytest.approx([2 / 3, 2])
    loss = losses.build("video_weighted", TRAIN)(LOGITS, TARGETS, VIDEOS)
    assert loss.item() == pytest.approx(-(np.array([2, 2 / 3, 2 / 3]) * np.log(P)).mean())


@FEW
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1)), min_size=1, max_size=50))
def test_weights_follow_their_definition(rows):
    train = pd.DataFrame([*rows, ("a", 0), ("b", 1)], columns=["video", "target"])
    per_frame = losses.class_weights(train["target"])[train["target"]]
    assert per_frame.mean() == pytest.approx(1)
    assert np.ptp(pd.Series(per_frame).groupby(train["target"]).sum()) == pytest.approx(0)
    per_frame = losses.video_weights(train["video"])[losses.video_index(train["video"])]
    assert per_frame.mean() == pytest.approx(1)
    # Every video weighs the same in all, however many frames it has.
    assert np.ptp(pd.Series(per_frame).groupby(train["video"]).sum()) == pytest.approx(0)


def test_forward_corrected_by_hand():
    # (1/4, 3/4) T = (3/8, 5/8) and (4/5, 1/5) T = (19/25, 6/25).
    loss = losses.build("forward_corrected", TRAIN, NOISE)(LOGITS, TARGETS, VIDEOS)
    assert loss.item() == pytest.approx(-np.log([5 / 8, 3 / 8, 19 / 25]).mean())


def test_forward_correction_without_noise_is_bce():
    for logits in (LOGITS, LOGITS * 100):
        plain = losses.bce(logits, TARGETS)
        found = losses.build("forward_corrected", TRAIN, np.eye(2))(logits, TARGETS, VIDEOS)
        assert found.item() == pytest.approx(plain.item())


def test_forward_correction_is_finite_at_extreme_logits():
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    for noise in (NOISE, np.array([[1.0, 0.0], [0.1, 0.9]])):
        loss = losses.build("forward_corrected", TRAIN, noise)(logits, torch.tensor([0, 1]), VIDEOS)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def minimum(loss, logits_of, parameters: torch.Tensor, mass: np.ndarray) -> torch.Tensor:
    """Parameters that minimise the expected loss; mass[x, y] = P(x, observed y), whole population.

    `logits_of` gives the logits (X, 2) of every x.
    """
    parameters = parameters.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([parameters], max_iter=25, line_search_fn="strong_wolfe",
                                  tolerance_grad=1e-9, tolerance_change=1e-10)  # fmt: skip

    def closure():
        optimizer.zero_grad()
        logits = logits_of(parameters)
        risk = sum(
            mass[x, y] * loss(logits[x : x + 1], torch.tensor([y]), torch.tensor([0]))
            for x in range(len(mass))
            for y in (0, 1)
        )
        risk.backward()
        return risk

    optimizer.step(closure)
    return parameters.detach()


# Population: x = -2, ..., 2 equally often, clean P(invisible | x) = sigmoid(0.3 + 0.9 x).
X = torch.arange(-2.0, 3.0, dtype=torch.float64)
TRUTH = torch.tensor([0.3, 0.9], dtype=torch.float64)


def line(parameters: torch.Tensor) -> torch.Tensor:
    slope = parameters[0] + parameters[1] * X
    return torch.stack([torch.zeros_like(slope), slope], dim=1)


def noisy_mass(transition: np.ndarray) -> np.ndarray:
    clean = torch.softmax(line(TRUTH), dim=1).numpy() / len(X)
    return clean @ transition


def test_forward_correction_recovers_the_clean_logistic_regression():
    # Proper losses are minimal at the true posterior, and p T = (clean posterior) T has the one
    # solution p = clean posterior: the minimum is (0.3, 0.9) exactly. Plain cross-entropy fits the
    # noisy posterior, which is flatter.
    start, mass = torch.zeros(2, dtype=torch.float64), noisy_mass(NOISE)
    corrected = losses.build("forward_corrected", TRAIN, NOISE)
    assert minimum(corrected, line, start, mass).numpy() == pytest.approx(TRUTH.numpy(), abs=1e-4)
    plain = minimum(losses.build("bce", TRAIN), line, start, mass)
    assert plain[1] < 0.7
    clean = minimum(losses.build("bce", TRAIN), line, start, noisy_mass(np.eye(2)))
    assert clean.numpy() == pytest.approx(TRUTH.numpy(), abs=1e-4)


@FEW
@given(st.floats(0, 0.4), st.floats(0, 0.4), st.lists(st.floats(0.1, 0.9), min_size=2, max_size=4))
def test_forward_correction_recovers_any_clean_posterior(a, b, posterior):
    # One free logit for each x: the optimum is the posterior itself, clean and noisy.
    noise = np.array([[1 - a, a], [b, 1 - b]])
    clean = np.stack([1 - np.array(posterior), posterior], axis=1)
    mass = clean @ noise / len(posterior)
    start = torch.zeros(len(posterior), dtype=torch.float64)

    def free(parameters):
        return torch.stack([torch.zeros_like(parameters), parameters], dim=1)

    corrected = minimum(losses.build("forward_corrected", TRAIN, noise), free, start, mass)
    assert torch.sigmoid(corrected).numpy() == pytest.approx(clean[:, 1], abs=1e-3)
    plain = minimum(losses.build("bce", TRAIN), free, start, mass)
    assert torch.sigmoid(plain).numpy() == pytest.approx((clean @ noise)[:, 1], abs=1e-3)


def test_noise_turns_a_decision_that_forward_correction_keeps():
    # 55 of 100 are invisible; with this noise 48.5 are labelled so: cross-entropy says visible.
    mass = np.array([[0.45, 0.55]]) @ NOISE
    start = torch.zeros(1, dtype=torch.float64)

    def free(parameters):
        return torch.stack([torch.zeros_like(parameters), parameters], dim=1)

    assert minimum(losses.build("bce", TRAIN), free, start, mass) < 0
    assert minimum(losses.build("forward_corrected", TRAIN, NOISE), free, start, mass) > 0


def test_both_answers_weigh_alike_for_arming():
    # 3 of 4 frames have a clip applier: its frames weigh 4 / (2 * 3), the other one 4 / 2.
    train = pd.DataFrame({"video": list("aabb"), "target": [1, 1, 1, 0]})
    logits, targets = torch.zeros(2, 2), torch.tensor([1, 0])
    loss = losses.build("presence", train)(logits, targets, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(math.log(2) * (2 / 3 + 2) / 2)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_has_a_gradient(name):
    logits = LOGITS.clone().requires_grad_()
    function = losses.build(name, TRAIN.assign(teacher_score=0.5), NOISE)
    loss = function(logits, TARGETS, VIDEOS)
    assert loss.shape == ()
    loss.backward()
    # One step against the gradient lowers the loss.
    assert function(logits - 0.1 * logits.grad, TARGETS, VIDEOS) < loss


def test_distilled_by_hand():
    # Logits 0 and ln 3: p(invisible) = 3/4. Taught 0.25: -(0.75 ln 1/4 + 0.25 ln 3/4) = 1.1116.
    logits = torch.tensor([[0.0, math.log(3)]])
    scores = torch.tensor([0.25], dtype=torch.float64)
    assert losses.distilled(logits, scores).item() == pytest.approx(1.11164, abs=1e-5)
    # A teacher that is certain is a label.
    certain = losses.distilled(LOGITS, TARGETS.double())
    torch.testing.assert_close(certain, losses.bce(LOGITS, TARGETS))


@pytest.mark.parametrize(
    ("name", "train", "transition", "message"),
    [
        ("focal", TRAIN, None, "loss 'focal': expected one of bce, class_weighted"),
        ("class_weighted", TRAIN[TRAIN["target"] == 0], None, "expected some of both"),
        ("distilled", TRAIN, None, "needs teachers' scores"),
        ("forward_corrected", TRAIN, None, "needs a transition matrix"),
        ("forward_corrected", TRAIN, NOISE.T, "rows that sum to 1"),
        ("forward_corrected", TRAIN, [[0.5, 0.5], [0.5, 0.5]], "more often than by chance"),
        ("forward_corrected", TRAIN, [[0.2, 0.8], [0.9, 0.1]], "more often than by chance"),
        ("forward_corrected", TRAIN, [[1.1, -0.1], [0.1, 0.9]], "expected 2 x 2"),
    ],
)
def test_what_cannot_be_built_is_refused(name, train, transition, message):
    with pytest.raises(ValueError, match=message):
        losses.build(name, train, transition)
