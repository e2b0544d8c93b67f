"""Baselines that do not look at the tips, by hand; and the last line that rests on them."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.data import cross_validation
from clipassistnet.evaluation import baselines, verdict
from clipassistnet.evaluation.baselines import Part
from folded_study import LABELS, MADE

SAMPLING = {"by": "patient", "resamples": 100, "seed": 0}


def frames(patient: str, targets: list[int]) -> pd.DataFrame:
    rows = {"video": patient, "frame": range(len(targets)), "patient": patient, "target": targets}
    return pd.DataFrame(rows)


class Grey:
    """Pictures 32 x 32 whose brightness follows the frame's parity."""

    def get(self, video: str, frame: int) -> np.ndarray:
        return np.full((32, 32, 3), 50 + 100 * (frame % 2), np.uint8)


def boxes_of(table: pd.DataFrame, wide: pd.Series) -> pd.DataFrame:
    """A box a frame, 0.4 wide where `wide`, else 0.2."""
    corners = {"x0": 0.1, "y0": 0.1, "x1": 0.3 + 0.2 * wide, "y1": 0.4}
    return table[["video", "frame"]].assign(**corners)


TRAIN = frames("a", [0, 1] * 10)
JUDGED = pd.concat([frames("b", [0, 1, 0, 1]), frames("c", [0, 1])])
PART = [Part(TRAIN, JUDGED)]
NONE = boxes_of(TRAIN, TRAIN["target"])[:0]


def ensemble_of(score) -> pd.DataFrame:
    return JUDGED.assign(score=score)


def test_the_patients_share_is_all_that_the_oracle_knows():
    judged = pd.concat([frames("b", [1, 1, 1, 0]), frames("c", [1, 0])])
    found = baselines.score([Part(TRAIN, judged)], Grey(), NONE)
    assert found["patient"]["score"].tolist() == [0.75] * 4 + [0.5] * 2
    row = baselines.compare(judged.assign(score=0.5), found, **SAMPLING).set_index("scorer")
    # 4 invisible, 2 visible: of 8 pairs, 3 are won (b before c), 1 lost (c before b), 4 are ties.
    assert row.loc["patient", "auroc"] == pytest.approx((3 + 4 / 2) / 8)
    assert row.loc["prevalence", "auroc"] == 0.5


def test_box_and_thumbnail_know_what_they_show():
    everything = pd.concat([TRAIN, JUDGED])
    found = baselines.score(PART, Grey(), boxes_of(everything, everything["target"]))
    table = baselines.compare(ensemble_of(0.5), found, **SAMPLING).set_index("scorer")
    assert table["auroc"][["box", "frame thumbnail", "crop thumbnail"]].tolist() == [1, 1, 1]
    assert table["frames"].unique().tolist() == [6]
    assert table.loc["box", "difference"] == -0.5


def test_a_box_is_cut_out_even_at_the_edge():
    picture = np.arange(32 * 32 * 3).reshape(32, 32, 3)
    assert (baselines._cut(picture, np.array([0.25, 0.5, 0.75, 1.2])) == picture[16:, 8:24]).all()
    assert baselines._cut(picture, np.array([1.0, 1.0, 1.0, 1.0])).shape == (1, 1, 3)


def test_a_frame_without_a_box_is_not_judged_by_it():
    everything = pd.concat([TRAIN, JUDGED])
    boxes = boxes_of(everything, everything["target"]).query("video != 'c'")
    found = baselines.score(PART, Grey(), boxes)
    table = baselines.compare(ensemble_of(0.5), found, **SAMPLING).set_index("scorer")
    assert table["frames"][["box", "frame thumbnail"]].tolist() == [4, 6]


def test_without_boxes_or_with_boxes_of_other_frames_the_row_is_left_out():
    assert "box" not in baselines.score(PART, Grey(), NONE)
    none = boxes_of(TRAIN, TRAIN["target"]).assign(video="another")
    assert "box" not in baselines.score(PART, Grey(), none)


def test_a_baseline_learns_from_no_judged_patient():
    nested = MADE[MADE["subset"] != "test"]
    own_labels = LABELS[LABELS["video"].isin(nested["video"])]
    parts = baselines.parts(nested, own_labels, cross_validation.ensembles(3, 1))
    parts += baselines.parts(MADE, LABELS, cross_validation.ensembles(3, 0))
    assert len(parts) == 3 + 1
    for train, judged in parts:
        assert not set(train["patient"]) & set(judged["patient"])
        assert "absent" not in set(judged["label"])
    assert set(parts[-1].train["patient"]) == set(nested["patient"])


def table(auroc: float, low: float, best: float = 0.7, sure: bool = True) -> pd.DataFrame:
    """As `compare` gives it: the ensemble, prevalence and a best baseline, 20 patients."""
    row = {"patients": 20, "frames": 400, "high": 0.95, "left_out": 0.0}
    rows = [{"scorer": "ensemble", "auroc": auroc, "low": low, **row}]
    for name, value in (("prevalence", 0.5), ("box", best)):
        limits = {"difference": auroc - value, "difference_low": 0.01 if sure else -0.01}
        rows.append({"scorer": name, "auroc": value, "low": 0.4, **row, **limits})
    return pd.DataFrame(rows)


def test_a_finding_says_whether_the_ensemble_beats_every_baseline():
    beats = baselines.finding(table(0.85, 0.75))
    assert beats.startswith("The ensemble's AUROC is 0.85 (0.75 to 0.95) on 20 patients.")
    assert "beats every baseline; the best is box, 0.70." in beats
    assert "includes zero for: prevalence, box" in baselines.finding(table(0.85, 0.7, sure=False))
    worse = baselines.finding(table(0.6, 0.5))
    assert "learnt nothing that these baselines do not know: box (0.70)." in worse


def test_the_last_line_of_a_study_that_has_learnt():
    line = verdict.verdict(table(0.85, 0.75), simulated=True)
    assert line.startswith("On 20 SIMULATED patients whom no network saw, the ensemble's AUROC is")
    assert "0.85 (0.75 to 0.95), above every baseline (the best: box, 0.70)" in line
    assert "says nothing about real patients" in line
    real = verdict.verdict(table(0.85, 0.75), simulated=False)
    assert "SIMULATED" not in real
    assert "other hospitals" in real


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (table(0.79, 0.75), "at least 0.80 is expected"),
        (table(0.85, 0.64), "lower bound is expected to be at least 0.65"),
        (table(0.85, np.nan), "lower bound is expected to be at least 0.65"),
        (table(0.85, 0.75, best=0.86), "does not beat the baselines: box (0.86)"),
    ],
)
def test_the_last_line_of_a_study_that_has_not_learnt(given, reason):
    line = verdict.verdict(given, simulated=True)
    assert line.startswith("This network has not learnt to see the tips: on 20 SIMULATED patients")
    assert reason in line
    assert line.count(";") == 1
