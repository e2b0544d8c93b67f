"""The wiring of training: what moves, what does not, resuming, the finder, predictions."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from clipassistnet import model, training, transforms
from clipassistnet.model import losses
from clipassistnet.training import fitting, learning_rate, lightning_module, trainer
from tiny_training import bright_squares, tiny_settings

HISTORY = ["epoch", "train_loss", "validation_loss", "validation_auroc", "learning_rate"]


def weights_of(classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in classifier.state_dict().items()}


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture(scope="module")
def data():
    cache, table = bright_squares(36)
    return cache, table[:20], table[20:].reset_index(drop=True)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A training of three epochs, never interrupted: (fit, folder)."""
    cache, train, validation = data
    folder = tmp_path_factory.mktemp("fit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = training.fit(tiny_settings(epochs=3), train, validation, cache, None, folder)
    return fit, folder


def fit(data, folder, **changes) -> training.Fit:
    cache, train, validation = data
    return training.fit(tiny_settings(**changes), train, validation, cache, None, folder)


def test_trained_parameters_move_and_frozen_ones_do_not(data, tmp_path):
    settings = tiny_settings(epochs=1)
    torch.manual_seed(settings.seed)
    start = model.build(settings.backbone, settings.weights, trainable_stages=1)
    before, after = weights_of(start), weights_of(fit(data, tmp_path, epochs=1).model)
    trained = {name for name, p in start.named_parameters() if p.requires_grad}
    for name, _ in start.named_parameters():
        assert torch.equal(before[name], after[name]) != (name in trained), name
    for name in ("network.blocks.0.0.bn1.running_mean", "network.bn2.running_mean"):
        assert torch.equal(before[name], after[name]), name  # too few steps to learn it anew


def test_a_tiny_batch_overfits(data, tmp_path, monkeypatch):
    """Eight frames whose labels do not follow from them: they can only be learnt by heart."""
    cache, train, _ = data
    monkeypatch.setattr(transforms, "augment", lambda transform, frame, seed: frame)
    frames = train[:8].assign(target=[1, 1, 0, 0, 1, 0, 0, 1])
    # Five times in an epoch, so that running statistics keep up with the weights.
    often = pd.concat([frames] * 5, ignore_index=True)
    settings = tiny_settings(epochs=10, trainable_stages=0, patience_stop=99)
    history = training.fit(settings, often, frames, cache, None, tmp_path).history
    assert history["validation_loss"].min() < 0.2
    assert history["validation_auroc"].iloc[-1] == 1


def test_the_saved_model_is_the_evaluated_one(data, finished):
    cache, _, validation = data
    result, folder = finished
    scores = training.predict(result.model, validation, cache)
    loaded = model.load(folder / "model.safetensors")
    assert np.array_equal(scores, training.predict(loaded, validation, cache))
    best = result.history.loc[result.best_epoch]
    loss = F.binary_cross_entropy(torch.tensor(scores), torch.tensor(validation["target"]).float())
    assert float(loss) == pytest.approx(best["validation_loss"], abs=1e-5)
    assert loaded.metadata["epoch"] == result.best_epoch
    assert loaded.metadata["validation_auroc"] == best["validation_auroc"]
    assert loaded.spec["image_size"] == 32


def test_what_lies_in_the_folder(finished):
    result, folder = finished
    assert sorted(p.name for p in folder.iterdir()) == ["history.csv", "model.safetensors"]
    written = pd.read_csv(folder / "history.csv")
    pd.testing.assert_frame_equal(written, result.history, check_exact=False)
    assert list(written) == [*HISTORY, "seconds"]
    assert written["epoch"].tolist() == [0, 1, 2]


def test_same_seed_same_weights_and_another_seed_others(data, finished, tmp_path):
    torch.manual_seed(77)  # the state of global generators is of no consequence
    again = fit(data, tmp_path / "again", epochs=3)
    assert same(weights_of(again.model), weights_of(finished[0].model))
    other = fit(data, tmp_path / "other", epochs=3, seed=4)
    assert not same(weights_of(other.model), weights_of(finished[0].model))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stopped_after", [0, 1])
def test_resumed_after_an_interruption(
    data, finished, tmp_path, monkeypatch, capsys, stopped_after, workers
):
    """The same weights as uninterrupted, whatever the number of workers."""
    original = trainer.EpochCheckpoint.on_train_epoch_end

    def interrupted(self, lightning_trainer, module):
        original(self, lightning_trainer, module)
        if lightning_trainer.current_epoch == stopped_after:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.EpochCheckpoint, "on_train_epoch_end", interrupted)
        with pytest.raises(RuntimeError, match="power cut"):
            fit(data, tmp_path, epochs=3)
    # Of the order of frames, not of the settings' identity: `workers` is part of that.
    monkeypatch.setattr(fitting, "_identity", lambda *_: "same")
    ckpt = torch.load(tmp_path / "last.ckpt", weights_only=True)
    ckpt["callbacks"]["EpochCheckpoint"]["identity"] = "same"
    torch.save(ckpt, tmp_path / "last.ckpt")
    resumed = fit(data, tmp_path, epochs=3, workers=workers)
    assert f"resuming after epoch {stopped_after}" in capsys.readouterr().out
    assert same(weights_of(resumed.model), weights_of(finished[0].model))
    pd.testing.assert_frame_equal(resumed.history[HISTORY], finished[0].history[HISTORY])


def test_the_schedule_survives_an_interruption(data, tmp_path, monkeypatch):
    """Plateau and early stopping count on, where Lightning's own checkpoint forgets an epoch."""
    settings = {"epochs": 6, "patience_lr": 0, "factor_lr": 0.5, "learning_rate": 0.01}
    cache, train, validation = data
    # What it learns is wrong of these: their loss rises, epoch after epoch.
    data = cache, train, validation.assign(target=1 - validation["target"])
    whole = fit(data, tmp_path / "whole", patience_stop=2, **settings)
    original, epochs = trainer.EpochCheckpoint.on_train_epoch_end, []

    def interrupted(self, lightning_trainer, module):
        original(self, lightning_trainer, module)
        epochs.append(lightning_trainer.current_epoch)
        raise RuntimeError("power cut")

    monkeypatch.setattr(trainer.EpochCheckpoint, "on_train_epoch_end", interrupted)
    for _ in whole.history.index:
        with pytest.raises(RuntimeError, match="power cut"):
            fit(data, tmp_path / "cut", patience_stop=2, **settings)
    monkeypatch.undo()
    resumed = fit(data, tmp_path / "cut", patience_stop=2, **settings)
    assert epochs == whole.history["epoch"].tolist()
    assert whole.history["learning_rate"].nunique() > 1
    pd.testing.assert_frame_equal(resumed.history[HISTORY], whole.history[HISTORY])
    assert same(weights_of(resumed.model), weights_of(whole.model))


def test_a_checkpoint_of_another_training_is_not_resumed(data, tmp_path, monkeypatch, capsys):
    original = trainer.EpochCheckpoint.on_train_epoch_end

    def interrupted(self, lightning_trainer, module):
        original(self, lightning_trainer, module)
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.EpochCheckpoint, "on_train_epoch_end", interrupted)
        with pytest.raises(RuntimeError, match="power cut"):
            fit(data, tmp_path, learning_rate=1e-2)
    fit(data, tmp_path, epochs=1)
    assert "resuming" not in capsys.readouterr().out


def test_a_last_checkpoint_of_an_older_version_is_ignored(data, tmp_path, capsys):
    older = {"callbacks": {"Keeper": {"identity": "x"}}, "history": [{"epoch": 0}]}
    torch.save(older, tmp_path / "last.ckpt")
    fit(data, tmp_path, epochs=1)
    assert "resuming" not in capsys.readouterr().out


def test_plateau_and_early_stopping_as_in_the_paper(data, tmp_path, monkeypatch):
    """Patience 5, factor 0.8 on the validation loss; patience 10 on the AUROC. Both stand still."""
    values = iter([1.0] * 99)
    monkeypatch.setattr(lightning_module, "roc_auc_score", lambda *_: 0.7)
    cross_entropy = F.cross_entropy
    monkeypatch.setattr(
        lightning_module.F,
        "cross_entropy",
        lambda *a, **k: cross_entropy(*a, **k) * 0 + next(values),
    )
    monkeypatch.setattr(losses, "build", lambda *_: lambda logits, *_: logits.sum() * 0)
    history = fit(data, tmp_path, epochs=80).history
    # Epoch 0 sets the mark; the sixth epoch without progress (6) lowers the rate of the next.
    assert history["learning_rate"].tolist() == pytest.approx([1e-3] * 7 + [8e-4] * 4)
    assert len(history) == 11
    assert model.load(tmp_path / "model.safetensors").metadata["epoch"] == 0


def steps_of(data, tmp_path, accumulate: int, batch: int) -> list[torch.Tensor]:
    """Gradients of the head at each optimizer step of one epoch; parameters never move."""
    cache, train, validation = data
    seen = []

    class Spy(lightning_module.ValidatedClassifier):
        def on_before_optimizer_step(self, optimizer):
            seen.append(self.classifier.network.classifier.weight.grad.clone())
            for parameter in self.classifier.parameters():
                parameter.grad = None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightning_module, "ValidatedClassifier", Spy)
        # Batch statistics would differ between one batch of 12 and four of 3.
        train_mode = torch.nn.Module.train
        patch.setattr(
            model.FrameClassifier, "train", lambda self, mode=True: train_mode(self, False)
        )
        settings = tiny_settings(epochs=1, accumulate=accumulate, batch_size=batch)
        training.fit(settings, train, validation, cache, None, tmp_path / f"{accumulate}")
    return seen


def test_accumulated_gradients_weigh_every_frame_alike(data, tmp_path):
    """20 frames: steps of 12 and 8 frames; or four batches of 3, then two of 3 and one of 2."""
    whole, parts = steps_of(data, tmp_path, 1, 12), steps_of(data, tmp_path, 4, 3)
    assert len(whole) == len(parts) == 2
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_a_checkpoint_is_trained_on_head_and_all(data, finished, tmp_path):
    first, folder = finished
    checkpoint = str(folder / "model.safetensors")
    settings = tiny_settings()
    start = model.build(settings.backbone, checkpoint, trainable_stages=1)
    assert same(weights_of(first.model), weights_of(start))
    frozen = [name for name, p in start.named_parameters() if not p.requires_grad]
    assert "network.conv_stem.weight" in frozen
    further = fit(data, tmp_path, epochs=1, weights=checkpoint)
    assert not same(weights_of(first.model), weights_of(further.model))
    with pytest.raises(model.ModelError, match="a tf_efficientnet_lite0, expected backbone resnet"):
        model.build("resnet50", checkpoint)


def test_without_epochs_a_checkpoint_is_judged_as_it_is(data, finished, tmp_path):
    first, folder = finished
    checkpoint = str(folder / "model.safetensors")
    found = fit(data, tmp_path, epochs=0, weights=checkpoint)
    assert same(weights_of(first.model), weights_of(found.model))
    assert same(weights_of(first.model), weights_of(model.load(tmp_path / "model.safetensors")))
    best = first.history["validation_auroc"].max()
    assert found.history["validation_auroc"].tolist() == pytest.approx([best])
    with pytest.raises(ValueError, match="epochs 0 with weights imagenet: expected a whole"):
        fit(data, tmp_path / "new", epochs=0)


def test_augmentation_depends_on_seed_epoch_and_row_alone(data):
    cache, train, _ = data

    def items(seed=0, epoch=0, rows=(3, 5)):
        table = training.FrameTable(
            cache, train, mean=(0.5,) * 3, std=(0.5,) * 3, augment=True, seed=seed
        )
        table.set_epoch(epoch)
        return {row: table[row][0] for row in rows}

    first = items()
    torch.manual_seed(5)
    assert torch.equal(first[5], items(rows=(5,))[5])  # not on what was asked before
    assert not torch.equal(first[5], items(seed=1)[5])
    assert not torch.equal(first[5], items(epoch=1)[5])


def test_frame_table_gives_image_target_and_video(data):
    cache, train, _ = data
    table = training.FrameTable(cache, train, mean=(0.5,) * 3, std=(0.5,) * 3, augment=False)
    image, target, video = table[3]
    assert image.shape == (3, 32, 32)
    assert target == train["target"][3]
    assert video == losses.video_index(train["video"])[3]
    frame = cache.get(train["video"][3], 3)
    assert image.numpy() == pytest.approx(frame.transpose(2, 0, 1) / 127.5 - 1, abs=1e-5)


def test_each_epoch_sees_every_frame_once_in_another_order(data):
    cache, train, _ = data
    table = training.FrameTable(cache, train, mean=(0,) * 3, std=(1,) * 3, augment=False, seed=1)
    order, orders = training.EpochOrder(table), []
    for epoch in (0, 1, 0):
        order.set_epoch(epoch)
        orders.append(list(order))
    assert orders[0] == orders[2] != orders[1]
    assert all(sorted(rows) == list(range(len(train))) for rows in orders)


def test_predict_keeps_the_tables_order_and_the_models_mode(data, finished):
    cache, _, validation = data
    classifier = finished[0].model
    scores = training.predict(classifier, validation, cache, batch_size=5)
    backwards = training.predict(classifier, validation[::-1], cache, batch_size=7)
    assert scores.shape == (16,)
    assert scores.dtype == np.float32
    assert backwards[::-1] == pytest.approx(scores, abs=1e-5)
    assert training.predict(classifier, validation[:0], cache).shape == (0,)
    classifier.train()
    training.predict(classifier, validation, cache)
    assert classifier.training
    classifier.eval()


def test_a_student_learns_its_teachers_scores_not_the_labels(data, finished, tmp_path):
    cache, train, validation = data
    teacher = finished[0].model
    scored = training.with_teacher_scores(train, [teacher, teacher], cache)
    scores = training.predict(teacher, train, cache)
    np.testing.assert_allclose(scored["teacher_score"], scores, atol=1e-6)
    upside_down = scored.assign(teacher_score=1.0 - scored["target"])  # teachers against the labels
    settings = tiny_settings(loss="distilled", epochs=4, learning_rate=3e-3)
    fit = training.fit(settings, upside_down, validation, cache, None, tmp_path)
    score = training.predict(fit.model, train, cache)
    assert score[train["target"] == 1].mean() < score[train["target"] == 0].mean()


def test_a_network_for_arming_says_so_and_takes_nobody_elses_place(data, finished, tmp_path):
    arms = fit(data, tmp_path, loss="presence", epochs=1).model
    assert arms.spec["predicts"] == model.CLIP_APPLIER_PRESENT
    assert finished[0].model.spec["predicts"] == model.TIP_INVISIBLE
    with pytest.raises(model.ModelError, match=r"member 1 of .*: .*expected p\(tip invis"):
        model.EnsembleModule([finished[0].model, arms])
    # Nor does either start as the other, least of all where nothing is trained.
    start = {"weights": str(tmp_path / "model.safetensors"), "epochs": 0}
    with pytest.raises(
        model.ModelError, match=r"p\(clip applier in the picture\), expected p\(tip"
    ):
        fit(data, tmp_path / "other", **start)
    assert fit(data, tmp_path / "same", loss="presence", **start).history.shape[0] == 1


def test_finder_uses_training_frames_and_leaves_training_alone(data, finished, tmp_path):
    cache, train, validation = data
    asked = set()

    class Watched:
        def get(self, video, frame):
            asked.add(frame)
            return cache.get(video, frame)

    settings = tiny_settings(epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve, pick = training.find_learning_rate(settings, train, Watched(), None, tmp_path, 24)
    assert asked == set(train["frame"])
    assert list(curve) == ["learning_rate", "loss"]
    assert 12 <= len(curve) <= 24
    assert curve["learning_rate"].iloc[0] == learning_rate.LOWEST
    assert curve["learning_rate"].is_monotonic_increasing
    assert pick in curve["learning_rate"].tolist()
    assert [p.name for p in tmp_path.iterdir()] == ["finder.csv"]
    after = training.fit(settings, train, validation, cache, None, tmp_path)
    assert same(weights_of(after.model), weights_of(finished[0].model))


def test_finders_pick_is_the_steepest_fall_per_decade():
    rate = np.geomspace(1e-6, 1, 61)
    fall = 0.7 - 0.4 / (1 + np.exp(-4 * (np.log10(rate) + 3)))  # steepest at 1e-3
    curve = pd.DataFrame({"learning_rate": rate, "loss": fall + 5 * np.clip(rate - 0.1, 0, None)})
    assert learning_rate.pick(curve) == pytest.approx(1e-3, rel=0.3)
    noisy_start = curve.assign(loss=curve["loss"].where(curve.index > 2, [2.0] * 61))
    assert learning_rate.pick(noisy_start) == learning_rate.pick(curve)
    diverged = pd.concat([curve, pd.DataFrame({"learning_rate": [2.0], "loss": [np.nan]})])
    assert learning_rate.pick(diverged) == learning_rate.pick(curve)
    with pytest.raises(ValueError, match="falls at no learning rate"):
        learning_rate.pick(curve.assign(loss=np.linspace(1, 2, 61)))
    with pytest.raises(ValueError, match="too few"):
        learning_rate.pick(curve[:2])


def test_the_smoothed_loss_of_a_constant_is_that_constant():
    """Lightning 2.6's own finder starts at half of it."""

    class Constant:
        def mean_loss(self):
            return 0.7

    test = learning_rate.RangeTest(np.geomspace(1e-6, 1, 30))
    for _ in range(5):
        test.on_before_optimizer_step(None, Constant(), None)
    assert test.losses == pytest.approx([0.7] * 5)


@pytest.mark.parametrize("loss", ["class_weighted", "video_weighted", "forward_corrected"])
def test_the_validation_loss_is_unweighted(data, tmp_path, loss):
    cache, train, validation = data
    transition = np.array([[0.9, 0.1], [0.2, 0.8]])
    settings = tiny_settings(epochs=1, loss=loss)
    result = training.fit(settings, train, validation, cache, transition, tmp_path)
    scores = torch.tensor(training.predict(result.model, validation, cache)).double()
    plain = F.binary_cross_entropy(scores, torch.tensor(validation["target"]).double())
    assert result.history["validation_loss"][0] == pytest.approx(float(plain), abs=1e-4)


def test_batch_runs_print_a_line_an_epoch(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CLIPASSISTNET_RUN", str(tmp_path))
    fit(data, tmp_path)
    printed = capsys.readouterr()
    assert [line.split("  ")[0] for line in printed.out.splitlines()] == ["epoch", "epoch"]
    for word in ("train loss", "validation loss", "AUROC", "learning rate", " s"):
        assert word in printed.out
    assert printed.err == ""


def test_bars_are_for_people(monkeypatch):
    monkeypatch.delenv("CLIPASSISTNET_RUN", raising=False)
    monkeypatch.setattr(trainer.sys.stdout, "isatty", lambda: True, raising=False)
    assert trainer.shows_progress_bar()
    monkeypatch.setenv("CLIPASSISTNET_RUN", "x")
    assert not trainer.shows_progress_bar()


def test_bad_settings_and_tables(data, tmp_path):
    cache, train, validation = data
    with pytest.raises(ValueError, match=r"epochs -1, expected at least 0; learning_rate -1"):
        tiny_settings(epochs=-1, learning_rate=-1)
    one = validation[validation["target"] == 1]
    with pytest.raises(ValueError, match="validation: frames of both classes expected"):
        training.fit(tiny_settings(), train, one, cache, None, tmp_path)
    with pytest.raises(ValueError, match="image_size 64, but the cached frames have 32"):
        training.fit(tiny_settings(image_size=64), train, validation, cache, None, tmp_path)
    with pytest.raises(ValueError, match="no longer gives finite logits"):
        training.fit(tiny_settings(learning_rate=1e30), train, validation, cache, None, tmp_path)


def test_finder_does_not_take_a_dip_of_a_climbing_loss():
    rate = np.geomspace(1e-6, 1, 61)
    loss = 0.7 - 0.4 / (1 + np.exp(-4 * (np.log10(rate) + 3))) + 5 * np.clip(rate - 0.1, 0, None)
    loss[56:] -= 2  # far beyond the lowest point, and far steeper
    loss[56:] += np.linspace(0, 4, 5)
    loss = np.maximum(loss, loss[:50].min() + 0.01 * (np.arange(61) > 50))
    pick = learning_rate.pick(pd.DataFrame({"learning_rate": rate, "loss": loss}))
    assert pick == pytest.approx(1e-3, rel=0.3)


def test_finder_does_not_pick_the_lowest_loss_itself():
    rate = np.geomspace(1e-6, 1, 13)
    loss = np.r_[np.linspace(0.7, 0.69, 8), 0.6, 0.3, 0.8, 1.2, 2.0]  # the last fall is steepest
    pick = learning_rate.pick(pd.DataFrame({"learning_rate": rate, "loss": loss}))
    assert pick == pytest.approx(rate[8])
