"""AUROC by number of training patients, from features that say more the more patients are seen."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.evaluation import findings, plots
from clipassistnet.training import patient_curve
from frozen_network import Network


class Store:
    """Features with the label in them, under noise; 8 numbers a frame."""

    def __init__(self, folder, classifier, cache):
        pass

    def get(self, table):
        rng = np.random.default_rng(len(table))
        noise = rng.normal(size=(len(table), 8))
        noise[:, 0] += 1.5 * table["target"].to_numpy()
        return noise


def frames(patients: int, count: int = 12) -> pd.DataFrame:
    rows = [(f"p{p}", f) for p in range(patients) for f in range(count)]
    table = pd.DataFrame(rows, columns=["patient", "frame"])
    label = np.where(table["frame"] % 2, "invisible", "visible")
    table = table.assign(video=table["patient"], label=label, training_label=label)
    table.loc[table["frame"] == 0, ["label", "training_label"]] = "absent"
    return table.assign(target=(table["label"] != "visible").astype(int))


@pytest.fixture
def found(monkeypatch, tmp_path) -> pd.DataFrame:
    monkeypatch.setattr(patient_curve.model, "load", lambda path: Network(trunk_sha256="x"))
    monkeypatch.setattr(patient_curve, "FeatureStore", Store)
    parts = frames(12), frames(1), frames(6)
    return patient_curve.curve(tmp_path / "model.safetensors", parts, None, tmp_path, 0)


def test_each_number_of_patients_is_drawn_several_times(found):
    assert found["patients"].value_counts().to_dict() == {1: 5, 2: 5, 5: 5, 10: 5, 12: 1}
    means = found.groupby("patients")["auroc"].mean()
    assert means[12] > means[1]
    assert means[12] > 0.75


def test_a_network_trained_end_to_end_has_no_curve(monkeypatch, tmp_path):
    monkeypatch.setattr(patient_curve.model, "load", lambda path: Network())
    parts = frames(3), frames(1), frames(2)
    none = patient_curve.curve(tmp_path / "model.safetensors", parts, None, tmp_path, 0)
    assert none.empty
    assert "trains its networks end to end" in findings.training_patients(none)


def test_the_curve_is_drawn_and_said(found):
    words = findings.training_patients(found)
    assert words.startswith("With 12 training patients the AUROC is ")
    assert "with 5 it is" in words
    assert plots.training_patients(found).axes[0].get_xlabel().startswith("training patients")
    close = pd.DataFrame({"patients": [1, 100, 112], "auroc": [0.5, 0.7, 0.8]})
    assert plots.training_patients(close).axes[0].get_xticks().tolist() == [1, 112]


def test_one_number_of_patients_is_not_compared_with_itself(found):
    words = findings.training_patients(found[found["patients"] == 12])
    assert words.count("it is") == 0
    assert words.startswith("With 12 training patients the AUROC is ")
