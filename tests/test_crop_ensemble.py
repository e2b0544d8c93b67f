"""Ensembles of classifiers of crops, from checkpoints and locators to a saved engine."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from clipassistnet import deploy, model, training
from clipassistnet.deploy import openvino_engine
from clipassistnet.live import networks as live_engine
from clipassistnet.model import crop_ensemble, crops, locator
from tiny_ensembles import SIZE, blobs, member

EDGE, MARGIN = 96, 1.25


def pair(folder, *, cropped=EDGE):
    """A run's folder with an untrained classifier of crops and its locator."""
    folder.mkdir()
    network = member()
    network.spec.update(cropped=cropped, crop_margin=MARGIN)
    model.save(network, folder / "model.safetensors")
    torch.manual_seed(0)  # both have the same locator
    found = locator.Locator("none", image_size=64, window_size=64, width=8)
    # Else it looks at one place in all frames.
    for head in (found.head, found.closer_head):
        torch.nn.init.normal_(head[-1].weight, std=3.0)
    locator.save(found, folder / locator.FILE)
    return str(folder / "model.safetensors")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("runs")
    return [pair(folder / "one"), pair(folder / "two")]


@pytest.fixture(scope="module")
def ensemble(paths):
    return crop_ensemble.load(paths, [3.0, 1.0])


@pytest.fixture(scope="module")
def frames():
    return blobs()


class Cache:
    """Frames in memory instead of a frame cache."""

    size = EDGE

    def __init__(self, pictures):
        self.pictures = [crop_ensemble.resize(picture, EDGE) for picture in pictures]
        rows = [("v", number) for number in range(len(pictures))]
        self.table = pd.DataFrame(rows, columns=["video", "frame"])

    def get(self, video, frame):
        return self.pictures[frame]

    def digest(self, video=None, frames=None):
        return "frames"


def found_boxes(path, cache, folder):
    """Boxes of one network's locator, as notebook 05 finds them."""
    network = locator.load(path.replace("model", "locator"))
    return crops.find_boxes(network, cache, cache.table, folder)


def judged_by_the_study(path, cache, boxes):
    """Scores of one network on crops of these boxes, as notebook 05 computes them."""
    network = model.load(path)
    cut = crops.CroppedFrames(cache, boxes, network.spec["image_size"], MARGIN)
    assert cut.cropped_from == network.spec["cropped"]
    return training.predict(network, cache.table, cut)


def test_on_a_device_it_scores_as_the_study_judged(paths, ensemble, frames, tmp_path):
    cache = Cache(frames)
    boxes = found_boxes(paths[0], cache, tmp_path)
    assert boxes[locator.CORNERS].std().min() > 0.01  # it does not look at one place in all frames
    one, two = (judged_by_the_study(path, cache, boxes) for path in paths)
    assert min(np.ptp(one), np.ptp(two), np.abs(one - two).max()) > 0.01
    predictor = deploy.load("torch", ensemble, EDGE)
    # Batches of another size give other last digits, which may round other pixels of a crop.
    np.testing.assert_allclose(predictor.predict(frames), 0.75 * one + 0.25 * two, atol=5e-3)


def test_an_engine_is_built_part_by_part_proven_saved_and_opened(ensemble, frames, tmp_path):
    reference = deploy.load("torch", ensemble, EDGE)
    built = deploy.load("openvino", ensemble, EDGE)
    proofs, scores = deploy.compare_with_pytorch([reference, built], frames, 0.5)
    assert proofs[1]["passed"], proofs[1]
    sidecar = deploy.save(tmp_path / "engine", built, proofs[1])
    assert {name.split("/")[0] for name in sidecar["files"]} == set(ensemble.parts())
    opened = deploy.open_engine(tmp_path / "engine", ensemble)
    np.testing.assert_allclose(opened.predict(frames), scores[1], atol=1e-6)
    file = next(path for path in sorted((tmp_path / "engine").rglob("*.bin")))
    file.write_bytes(b"another network")
    with pytest.raises(deploy.EngineError, match=r"classifier/network\.bin"):
        deploy.open_engine(tmp_path / "engine")


def test_live_takes_the_runs_of_such_a_recipe(paths, frames):
    predictor = live_engine.load(paths, "torch", None, None)
    assert predictor.image_size == EDGE
    assert np.isfinite(predictor.predict(frames[:1])).all()


def test_its_operations_convert(ensemble):
    used = deploy.used_operations(ensemble)
    assert "torch.nn.functional.softmax" in used  # the classifiers'
    assert used <= deploy.CONVERTERS


def test_each_part_is_calibrated_by_its_own_input(ensemble, frames):
    shown = crop_ensemble.part_inputs(ensemble, frames[:3])
    sizes = {name: tuple(images.shape) for name, images in shown.items()}
    finds = dict.fromkeys(("locator", "closer"), (3, 3, 64, 64))
    expected = {**finds, "classifier": (3, 3, SIZE, SIZE)}
    assert sizes == expected


def test_what_does_not_fit_together_is_refused(paths, tmp_path):
    plain = tmp_path / "model.safetensors"
    network = member()
    model.save(network, plain)
    with pytest.raises(model.ModelError, match="whole frames and classifiers of crops do not mix"):
        crop_ensemble.load([paths[0], str(plain)])
    network.spec["cropped"] = EDGE
    model.save(network, plain)
    with pytest.raises(model.ModelError, match=r"locator.safetensors: no such weight file"):
        crop_ensemble.load([str(plain)])
    for cropped in (True, EDGE + 32):
        path = pair(tmp_path / str(cropped), cropped=cropped)
        with pytest.raises(model.ModelError, match="expected one pair for all"):
            crop_ensemble.load([paths[0], path])
    with pytest.raises(model.ModelError, match=r"model.safetensors: its score is p\(tip invis"):
        crop_ensemble.load(paths, predicts=model.CLIP_APPLIER_PRESENT)


def test_the_sidecar_is_plain_json(ensemble):
    located = json.loads(json.dumps(ensemble.spec))["located"]
    assert located["margin"] == MARGIN
    assert located["input"]["locator"]["image_size"] == 64


@pytest.mark.parametrize("look", ["first", "closer"])
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_locator_that_overflows_gives_no_score(broken, look):
    """Infinite edges would be cut at the picture's, and some other part of it judged."""
    shown = {"image_size": 32, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    maps = np.zeros((1, 5, 4, 4), np.float32)
    maps[0, 3] = broken
    fine = np.zeros((1, 5, 4, 4), np.float32)
    parts = {
        "locator": lambda images: maps if look == "first" else fine,
        "closer": lambda images: fine if look == "first" else maps,
        "classifier": lambda images: np.float32([0.1]),
    }
    spec = {"located": {"input": dict.fromkeys(parts, shown), "margin": 1.0}}
    run = crop_ensemble.assemble(spec, parts.get)
    with pytest.raises(ValueError, match="the locator gave numbers that are not finite"):
        run(np.zeros((1, 64, 64, 3), np.uint8))


def test_networks_with_different_locators_are_refused(paths, tmp_path):
    path = pair(tmp_path / "three")
    other = locator.load(path.replace("model", "locator"))
    torch.nn.init.zeros_(other.closer_head[-1].bias)
    locator.save(other, path.replace("model", "locator"))
    with pytest.raises(model.ModelError, match=r"three/model\.safetensors have different"):
        crop_ensemble.load([paths[0], path])


def test_an_engine_that_looks_once_is_refused():
    spec = {"located": {"input": {"locator": {}, "classifier": {}}, "margin": 1.0}}
    with pytest.raises(model.ModelError, match="an engine of an older version"):
        crop_ensemble.assemble(spec, {}.get)


def test_a_locator_stays_in_float32(ensemble, frames, monkeypatch):
    asked = {}
    real = openvino_engine.build

    def build(part, size, precision, calibration, folder):
        asked[folder.name] = precision
        real(part, size, precision, calibration, folder)

    monkeypatch.setattr(openvino_engine, "build", build)
    deploy.load("openvino", ensemble, EDGE, precision="int8", calibration=frames)
    assert asked == {"locator": "float32", "closer": "float32", "classifier": "int8"}
