"""The alarm against its definition, and the properties a surgeon relies on."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.alarm import Alarm

# Quarters and tenths of a second, so that sums are compared, not their rounding.
SCORES = st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.8, 1.0]), max_size=25)
DURATIONS = st.sampled_from([0.0, 0.25, 0.5, 1.0])
HYSTERESES = st.sampled_from([0.0, 0.2])
FRAME = 0.125
few = settings(max_examples=60)


def answers(scores: list[float], hysteresis: float, duration: float) -> list[bool]:
    alarm = Alarm(0.5, hysteresis, duration)
    return [alarm.update(score, FRAME * index) for index, score in enumerate(scores)]


def by_definition(scores: list[float], hysteresis: float, duration: float) -> list[bool]:
    """Invisible or visible as the last run of long enough said; looked up anew each time."""
    needed = math.ceil(duration / FRAME) + 1
    result = []
    for end in range(1, len(scores) + 1):
        answer = True
        for last in range(end, needed - 1, -1):
            run = scores[last - needed : last]
            if all(score >= 0.5 for score in run):
                break
            if all(score < 0.5 - hysteresis for score in run):
                answer = False
                break
        result.append(answer)
    return result


@few
@given(SCORES, HYSTERESES, DURATIONS)
def test_answers_are_those_of_the_definition(scores, hysteresis, duration):
    assert answers(scores, hysteresis, duration) == by_definition(scores, hysteresis, duration)


@few
@given(SCORES, HYSTERESES, DURATIONS, st.lists(st.sampled_from([0.0, 0.1, 0.4]), min_size=25))
def test_higher_scores_never_make_a_tip_visible(scores, hysteresis, duration, more):
    higher = [score + extra for score, extra in zip(scores, more, strict=False)]
    pairs = zip(
        answers(scores, hysteresis, duration), answers(higher, hysteresis, duration), strict=True
    )
    assert all(with_more or not with_less for with_less, with_more in pairs)


@few
@given(SCORES, HYSTERESES, DURATIONS)
def test_no_answer_is_shorter_than_the_minimum_duration(scores, hysteresis, duration):
    given_answers = answers(scores, hysteresis, duration)
    changes = [i for i in range(1, len(scores)) if given_answers[i] != given_answers[i - 1]]
    gaps = [FRAME * (later - earlier) for earlier, later in pairwise(changes)]
    assert all(gap >= duration for gap in gaps)


@few
@given(SCORES)
def test_without_hysteresis_and_duration_it_is_the_threshold(scores):
    assert answers(scores, 0.0, 0.0) == [score >= 0.5 for score in scores]


def test_by_hand():
    alarm = Alarm(threshold=0.6, hysteresis=0.2, minimum_duration=1.0)
    heard = [(0, 0.1), (0.5, 0.1), (1, 0.1), (1.5, 0.5), (2, 0.7), (2.5, 0.7), (3, 0.59), (4, 0.6)]
    heard += [(5, 0.6), (5.5, 0.45), (7, 0.45), (7.5, 0.39), (8.5, 0.39)]
    expected = [True, True, False, False, False, False, False, False, True, True, True, True, False]
    assert [alarm.update(score, time) for time, score in heard] == expected


def test_starts_and_restarts_as_invisible():
    alarm = Alarm(0.5, 0.1, 0.2)
    assert alarm.invisible
    alarm.update(0.0, 0.0)
    assert not alarm.update(0.0, 0.2)
    alarm.reset()
    assert alarm.invisible
    assert alarm.update(0.0, 10.0), "the time before the reset must not count"


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_refuses_what_is_no_number(score):
    with pytest.raises(ValueError, match="finite"):
        Alarm(0.5, 0.1, 0.2).update(score, 0.0)


@pytest.mark.parametrize(
    "parameters",
    [
        *((0, 0, 0), (1.01, 0, 0), (math.nan, 0, 0)),
        *((0.5, 0.5, 0), (0.5, -0.1, 0)),
        *((0.5, 0, -1), (0.5, 0, 200), (0.5, 0, math.inf), (0.5, 0, math.nan)),
    ],
)
def test_refuses_an_alarm_that_cannot_work(parameters):
    with pytest.raises(ValueError, match="expected"):
        Alarm(*parameters)
