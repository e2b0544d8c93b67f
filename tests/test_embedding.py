"""A map of features: who the neighbours of a frame are."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.evaluation import plots
from clipassistnet.training import embedding
from frozen_network import Network


class Store:
    """Features that say who the patient is, and nothing of the label."""

    def __init__(self, folder, classifier, cache):
        pass

    def get(self, table):
        codes = pd.factorize(table["patient"])[0]
        noise = np.random.default_rng(0).normal(size=(len(table), 8))
        noise[:, :3] += 20 * np.eye(3)[codes]
        return noise


def frames() -> pd.DataFrame:
    table = pd.DataFrame([(p, f) for p in "abc" for f in range(20)], columns=["patient", "frame"])
    label = np.where(table["frame"] % 2, "invisible", "visible")
    table = table.assign(video=table["patient"], label=label)
    table.loc[table["frame"] == 19, "label"] = "absent"
    return table


@pytest.fixture
def embed(monkeypatch, tmp_path):
    monkeypatch.setattr(embedding, "FeatureStore", Store)

    def run(table, **spec):
        monkeypatch.setattr(embedding.model, "load", lambda path: Network(**spec))
        return embedding.embed(tmp_path / "model.safetensors", table, None, tmp_path, 0)

    return run


def test_islands_of_patients_are_said(embed):
    found = embed(frames(), trunk_sha256="x")
    assert len(found) == 57  # frames without an applier are left out
    assert found["same_patient"].mean() == 1
    assert found["chance_patient"].tolist() == [18 / 56] * 57
    text = embedding.finding(found)
    assert "the same patient for 100% of the frames (by chance 32%)" in text
    figure = plots.embedding(found)
    assert [axes.get_title() for axes in figure.axes] == [
        "by label (n = 57 frames)",
        "by patient (n = 3)",
    ]
    assert not {text.get_text() for text in figure.axes[1].texts}  # no name of a patient


def test_no_map_without_frozen_features_or_with_few_frames(embed):
    assert embed(frames()).empty
    few = embed(frames().groupby("patient").head(3), trunk_sha256="x")
    assert few.empty
    assert "no map is drawn" in embedding.finding(few)
