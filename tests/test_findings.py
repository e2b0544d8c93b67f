"""What the tables of a study show, in words: from small tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.evaluation import annotation_findings, findings

NAN = float("nan")


def compared(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["model", "difference", "low", "high"])
    return table.assign(metric="auroc")


def test_the_ensemble_on_its_patients():
    frames = pd.DataFrame({"patient": ["a", "b", "b"]})
    who = findings.patients(frames, simulated=True)
    assert who == "2 simulated patients (3 frames)"
    metrics = {"metric": ["auroc", "specificity_at_95"], "estimate": [0.9, 0.5]}
    table = pd.DataFrame(metrics | {"low": [0.8, NAN], "high": [0.95, NAN]})
    assert findings.ensemble(table.assign(model="ensemble"), who) == (
        "On 2 simulated patients (3 frames) the ensemble's AUROC is 0.90 (0.80 to 0.95) and its "
        "specificity at 95 % sensitivity is 0.50."
    )


def test_differences_name_who_is_better_and_worse():
    table = compared(("bce", 0.1, 0.02, 0.18), ("b", -0.1, -0.2, -0.01), ("c", 0.0, -0.1, 0.1))
    found = findings.differences(table, "model", "the ensemble")
    assert "Higher AUROC than the ensemble: BCE (+0.10, +0.02 to +0.18)" in found
    assert "Lower AUROC than the ensemble: b (-0.10, -0.20 to -0.01)" in found
    assert "The interval includes zero for 1 of 3 differences" in found


def test_differences_that_cannot_be_judged():
    assert (
        findings.differences(compared(), "model", "BCE") == "There is nothing to compare with BCE."
    )
    found = findings.differences(compared(("a", 0.1, NAN, NAN)), "model", "BCE")
    assert found.startswith("Fewer than three patients support no interval.")


def test_losses_name_the_best_and_the_lowest():
    table = pd.DataFrame({"loss": ["bce", "class_weighted"], "mean": [0.8, 0.7], "metric": "auroc"})
    found = findings.losses(table)
    assert "The loss with the highest mean AUROC over folds is BCE, 0.80" in found
    assert "class-weighted, 0.70" in found
    same = findings.losses(table.assign(mean=[0.801, 0.799]))
    assert same == "With each of the 2 losses the mean AUROC over folds is 0.80."
    assert findings.losses(table[:1]).startswith("The study has one loss, BCE:")


def test_patients_at_different_levels_are_said():
    index = ["all frames", "mean over patients", "all frames but P1's", "P1", "P2"]
    table = pd.DataFrame({"auroc": [0.6, 0.8, 0.6, 0.7, 0.9]}, index)
    found = findings.by_patient(table)
    assert "one threshold suits few" in found
    assert "from 0.70 (P1) to 0.90 (P2)" in found


def test_what_a_threshold_is_worth():
    rates = {"rate": ["sensitivity", "specificity", "ppv", "npv"], "estimate": [0.9, 0.4, 0.7, 0.8]}
    table = pd.DataFrame(rates).assign(low=0.1, high=1.0, **{"threshold from": "frozen"})
    found = findings.rates(table, "frozen", {"frozen": 0.25})
    assert found.startswith("At the threshold 0.250, frozen, the warning finds 0.90 (0.10 to 1.00)")


def guarantees(*rows: tuple[float, float, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["alpha", "threshold", "standing", "needed"])


def test_guarantees_say_what_is_lacking():
    table = guarantees((0.2, 0.3, "guaranteed", 4), (0.1, NAN, "too few", 9))
    found = findings.guarantees(table)
    assert (
        found
        == "A threshold is guaranteed for alpha 0.2; more patients are needed (9 for alpha 0.1)."
    )
    none = findings.guarantees(table[1:])
    assert none == "No threshold is guaranteed; more patients are needed (9 for alpha 0.1)."
    assert findings.guarantees(table[:1]) == "A threshold is guaranteed for alpha 0.2."


def test_subgroups_off_the_line():
    rows = [("all", "all", 0.8, 0.7, 0.9), ("cause", "blur", 0.5, 0.4, 0.6)]
    table = pd.DataFrame(rows, columns=["grouping", "group", "auroc", "low", "high"])
    assert "cause blur (0.50, 0.40 to 0.60)" in findings.subgroups(table)
    assert findings.subgroups(table.assign(high=0.95)).startswith("No subgroup's interval misses")
    assert "can be compared" in findings.subgroups(table[:1])


def test_events_and_frames_without_an_applier():
    measures = ["event sensitivity", "false alarms a minute", "share of time under a false alarm"]
    table = pd.DataFrame({"measure": measures, "estimate": [0.9, 2.0, 0.1]}).assign(alarm="live")
    assert "finds 90% of the events, with 2.0 false alarms" in findings.events(table, "live")
    assert findings.absent(table[:0]) == "No frame without a clip applier was judged."
    table["figure"] = "called visible, threshold frozen"
    assert findings.absent(table) == (
        "90% of the frames without a clip applier are called visible, at the threshold from frozen."
    )


def test_arming_by_frames_and_by_stretches():
    rows = [
        ("each frame by itself", "AUROC", 0.93, 0.87, 0.96),
        ("each frame by itself", "sensitivity", 0.95, 0.9, 0.98),
        ("each frame by itself", "specificity", 0.55, np.nan, np.nan),
        ("armed by live", "stretches in which it armed", 0.5, 0.2, 0.8),
        ("armed by live", "mean seconds to arm", 1.25, 1.0, 1.5),
    ]
    table = pd.DataFrame(rows, columns=["judged", "measure", "estimate", "low", "high"])
    frames = (
        "The AUROC between frames with and without a clip applier is 0.93 (0.87 to 0.96). At the "
        "frozen level the sensitivity is 0.95 (0.90 to 0.98) and the specificity 0.55."
    )
    assert findings.arming(table[:3]) == frames
    live = " Live would have armed in 50% of the stretches, after 1.2 s on average."
    assert findings.arming(table) == frames + live
    nothing = "Nothing in this study sees whether a clip applier is in the picture."
    assert findings.arming(table[:0]) == nothing


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "3 of 200 labels are doubtful. Only an annotator can say"),
        ({"found": 6, "first": 100, "lift": 1.5}, "6 of the first 100 frames have a wrong label"),
        ({"found": 0, "first": 100, "lift": np.nan}, "By the known truth, no label is wrong."),
    ],
)
def test_an_audit_is_judged_by_the_truth_alone(figures, words):
    assert words in findings.audit({"issues": 3, "frames": 200, **figures})


def test_annotators_and_their_disputes():
    assert "three labels" in annotation_findings.error_rates(pd.Series(dtype=float))
    rates = pd.Series({"annotator 0": 0.02, "annotator 1": 0.08})
    assert (
        annotation_findings.error_rates(rates) == "Error rates run from 2.0% to 8.0% (annotator 1)."
    )
    rows = pd.DataFrame({"cause": ["occluded_tissue"], "frames": [9], "disputed": [4]})
    assert annotation_findings.disputed(rows).endswith(
        "is occluded tissue: 4 of its 9 frames are disputed."
    )
    assert annotation_findings.disputed(rows[:0]) == "No frame with a cause is disputed."
    transition = np.array([[0.9, 0.1], [0.05, 0.95]])
    assert annotation_findings.noise(rows[:0], transition) == ""
    assert "10.0% of the visible frames invisible" in annotation_findings.noise(rows, transition)


def test_calibration_partitions_and_extremes():
    error = {"measure": "expected_calibration_error", "estimate": [0.2, 0.1], "low": NAN}
    table = pd.DataFrame(error | {"high": NAN, "scorer": ["raw", "with temperature"]})
    tempered = pd.DataFrame({"fold": [0, 0, 1], "temperature": [2.0, 2.0, 3.0]})
    found = findings.calibration(table, tempered)
    assert "by 0.20 (raw) and by 0.10 (with temperature)" in found
    assert "from 2.00 to 3.00" in found
    even = findings.evenness(3, np.array([1, 5, 9, 11]))
    assert "3 frames more than the smallest" in even
    assert "25% of them are as even" in even
    highest, lowest = pd.DataFrame({"target": [0, 0, 1]}), pd.DataFrame({"target": [1, 0]})
    assert findings.extremes(highest, lowest).startswith("2 of the 3 frames")
    passed = pd.DataFrame({"passed": [True, False, True]})  # PyTorch itself is the first
    assert findings.parity(passed).startswith("1 of the 2 other variants agree")
    assert findings.parity(passed[:1]).startswith("This machine has no variant besides")


def test_the_fastest_variant_beside_a_camera():
    rates = pd.Series({"torch float32": 9.6, "openvino bfloat16": 30.2, "openvino int8": NAN})
    found = findings.speed(rates, "CPU")
    assert "fastest variant is openvino bfloat16: 30 frames a second, enough for" in found
    assert "too few for a camera of 25" in findings.speed(rates[:1], "CPU")
