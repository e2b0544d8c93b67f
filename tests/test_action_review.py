"""The surgeon's review of clipping actions: by hand."""

import pandas as pd
import pytest

from clipassistnet.evaluation import action_review


def actions(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["video", "tip_visible_before", "safe"])


ACTIONS = actions(("a", 1, 1), ("a", 0, 0), ("b", 1, 1), ("c", 0, 1), ("c", 1, 1), ("c", 0, 0))


def test_counts_and_shares_beside_the_papers():
    found = action_review.review(ACTIONS, "ours")
    assert found["ours"].tolist() == ["6", "3", "0.6667", "0.75", "1", "0.3333"]
    assert found["paper"].tolist() == ["337", "70", "0.677", "0.377", "0.976", "-"]
    assert found["95 % interval"].iloc[:2].tolist() == ["", ""]
    assert " to " in found.loc["share of safe actions", "95 % interval"]


def test_few_videos_have_no_interval():
    found = action_review.review(ACTIONS[ACTIONS["video"] != "c"], "ours")
    assert found.loc["share of safe actions", "95 % interval"] == "-"


def test_a_finding_counts_the_safe_actions():
    found = action_review.finding(ACTIONS)
    assert found.startswith("3 of 3 actions with the tip seen before were safe")
    assert found.endswith("and 1 of 3 with the tip not seen.")


def test_other_values_than_zero_and_one_are_refused():
    with pytest.raises(ValueError, match="expected 0 or 1"):
        action_review.review(actions(("a", 2, 1)), "ours")
