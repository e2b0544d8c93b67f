"""The simulator beside real frames: ranges of the real patients, and tools/simulator_realism.py."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator_realism
from clipassistnet.simulate import Spec, simulate
from clipassistnet.simulate.balanced_motion import draw_motion
from clipassistnet.simulate.renderer import Renderer
from clipassistnet.simulate.scene import Scene
from clipassistnet.simulate.virtual_patient import draw_clipper_model, draw_patient
from clipassistnet.transforms import resize
from realism import SIZE, appearance, exactness, probes, samples, speed, transfer

# Lowest and highest mean of the seven real patients of m2cai16-tool-locations.
RANGES = {
    "dark": (0.0786, 0.4135),
    "shine": (0.0001, 0.0204),
    "hue mean": (-20.1, 4.37),
    "hue spread": (10.4, 29.66),
    "saturation mean": (62.16, 123.5),
    "saturation spread": (31.99, 53.21),
    "value mean": (96.9, 121.4),
    "value spread": (40.12, 49.92),
    "edge density": (0.1356, 0.2531),
    "detail": (21.4, 43.29),
    "clipper area": (0.053, 0.1723),
    "clipper x": (0.4595, 0.6808),
    "clipper y": (0.3127, 0.698),
    "share visible": (0.25, 0.4835),
}


def pictures(patients, frames, width=256, height=144):
    """Statistics of `frames` frames with a clip applier of each simulated patient."""
    rows = []
    for number in range(patients):
        seed, rng = np.random.SeedSequence([9, number]), np.random.default_rng([9, number])
        person = draw_patient(seed, width)
        motion = draw_motion(person, draw_clipper_model(rng, polymer=number % 3 == 0), rng, 20, 2)
        scene, renderer = Scene(motion), Renderer(person, width, height, seed)
        action = motion.actions[0]
        length = action.stop - action.start
        for frame in action.start + (np.linspace(0.2, 0.85, frames) * length).astype(int):
            moment = motion.at(int(frame), width)
            picture = resize(renderer.draw(scene.surface(moment), moment.view, settled=True), SIZE)
            rows.append({"patient": number, **appearance.describe(picture)})
    return pd.DataFrame(rows)


def test_light_and_colour_lie_within_the_real_patients_range():
    found = pictures(14, 3).groupby("patient").mean().mean()
    outside = {
        name: (round(value, 3), RANGES[name])
        for name, value in found.items()
        if not RANGES[name][0] <= value <= RANGES[name][1]
    }
    assert not outside


def test_the_ranges_are_those_of_the_real_frames(shared, tmp_path):
    real = samples.real(shared / "data" / "m2cai16-tool-locations", tmp_path / "real")
    means = appearance.statistics(real).groupby("patient").mean()
    assert len(means) == 7
    for name, limits in RANGES.items():
        assert [means[name].min(), means[name].max()] == pytest.approx(limits, abs=6e-3, rel=1e-3)


def test_statistics_of_pictures_worked_out_by_hand():
    red = np.zeros((32, 32, 3), np.uint8)
    red[:, 8:] = (200, 0, 0)
    found = appearance.describe(red)
    assert found["dark"] == 0.25
    assert found["hue mean"] == 0
    assert (found["saturation mean"], found["value mean"]) == (255, 200)
    assert found["shine"] == 0 == found["edge density"]  # the rim of the field is no edge
    red[4:6, 16:28] = 255
    found = appearance.describe(red)
    assert found["shine"] == pytest.approx(24 / (24 * 32))
    assert found["edge density"] > 0
    magenta = np.full((8, 8, 3), (200, 0, 100), np.uint8)
    assert appearance.describe(magenta)["hue mean"] == -30


def test_a_statistic_is_within_only_between_lowest_and_highest_patient():
    real = pd.DataFrame({"patient": ["a", "a", "b"], "value": [1.0, 3.0, 6.0]})
    for mean, within in ((1.9, False), (2.1, True), (5.9, True), (6.1, False)):
        ours = pd.DataFrame({"patient": ["s", "t"], "value": [mean - 1, mean + 1]})
        row = appearance.compare(real, ours).iloc[0]
        assert (row["real low"], row["real high"], row["within"]) == (2.0, 6.0, within)


def test_a_probe_is_judged_on_patients_it_never_saw():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 10)
    target = np.repeat(rng.permutation(np.arange(20) % 2), 10)
    identity = rng.normal(size=(20, 6))[patients] + rng.normal(size=(200, 6)) * 0.1
    learnt, _ = probes.held_out(identity, target, patients)
    assert learnt < 0.7  # a patient's identity says nothing about another patient
    signal = np.column_stack([identity, target * 2 + rng.normal(size=200) * 0.1])
    assert probes.held_out(signal, target, patients)[0] > 0.95


def toy(rng, videos, count):
    """Samples whose target is the density of stripes in a square somewhere in the picture."""
    table = pd.DataFrame({"video": [videos[k % len(videos)] for k in range(count)]})
    table = table.assign(patient=table["video"], frame=range(count))
    table["target"] = rng.permutation(np.arange(count) % 2)
    found = rng.integers(60, 110, (count, 64, 64, 3)).astype(np.uint8)
    for picture, target in zip(found, table["target"], strict=True):
        x, y = rng.integers(2, 20, 2)
        picture[y : y + 40, x : x + 40 : 1 if target else 8] = 240
    return samples.Samples(None, None, table, found)


def test_transfer_learns_from_simulated_frames_and_scores_real_ones(monkeypatch):
    rng = np.random.default_rng(0)
    for name, value in {"SIZE": 64, "SEEDS": 2, "VERSIONS": 1, "EPOCHS": 8, "BATCH": 8}.items():
        monkeypatch.setattr(transfer, name, value)
    scored = transfer.learn(toy(rng, ["s1", "s2", "s3"], 64), toy(rng, ["v01", "v03"], 24))
    assert scored.groupby("seed").size().tolist() == [24, 24]
    for column in ("score", "adapted"):
        mean, low, high = transfer.over_seeds(scored, column)["all"]
        assert 0.9 < low <= mean <= high
    assert not np.allclose(scored["score"], scored["adapted"])


def test_transfer_is_judged_on_the_patients_that_guided_no_choice():
    rows = pd.DataFrame({"video": ["v01", "v01", "v03", "v03"] * 2, "target": [0, 1] * 4})
    rows = rows.assign(patient=rows["video"], seed=[0] * 4 + [1] * 4)
    rows["score"] = [0.1, 0.2, 0.4, 0.3, 0.1, 0.2, 0.3, 0.4]
    found = transfer.over_seeds(rows, "score")
    assert found["judges"] == (1.0, 1.0, 1.0)
    assert found["development"] == (0.5, 0.0, 1.0)


def test_thinned_keeps_a_limited_number_of_frames_a_patient():
    patients = np.array(["a"] * 10 + ["b"] * 3)
    chosen = probes.thinned(patients, 4)
    assert pd.Series(patients[chosen]).value_counts().to_dict() == {"a": 4, "b": 3}


def test_truth_holds_at_four_times_the_resolution():
    truth = exactness.recompute(videos=1)
    assert len(truth) >= 8
    assert (truth["share"] - truth["fine_share"]).abs().mean() < 0.04


def test_the_tool_explains_its_options():
    tool = Path(__file__).parents[1] / "tools" / "simulator_realism.py"
    shown = subprocess.run([sys.executable, tool, "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    for option in ("--real", "--simulated", "--out", "--no-transfer"):
        assert option in shown.stdout


def test_the_tool_measures_a_dataset(shared, tmp_path, monkeypatch):
    for name, value in {"WIDTH": 96, "HEIGHT": 64, "FRAMES": 3}.items():
        monkeypatch.setattr(speed, name, value)
    few = partial(exactness.recompute, videos=1)
    monkeypatch.setattr(exactness, "recompute", few)
    spec = Spec(videos=4, test_videos=4, clipper_frames=10, absent_frames=3, width=128, height=72)
    simulated = simulate(tmp_path / "simulated", spec)
    real = shared / "data" / "m2cai16-tool-locations"
    out = tmp_path / "out"
    arguments = ["--real", real, "--simulated", simulated, "--out", out, "--no-transfer"]
    simulator_realism.main([str(argument) for argument in arguments])
    figures = pd.read_csv(out / "figures.csv").set_index("figure")["value"]
    for name in ("1 statistics within the real range", "2 real or simulated", "speed, drawing"):
        assert figures[name] > 0
    assert {"sheet.jpg", "simulated.jpg", "statistics.csv", "statistics.png"} <= {
        path.name for path in out.iterdir()
    }
