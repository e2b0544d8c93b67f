"""What is shown, by a clock of the test's own: nothing stale or failed is ever called visible."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.alarm import LIMIT, RECOVERY, Alarm, Assistant, Decision, State

STEP = 0.05


def assistant(armed: bool = True) -> Assistant:
    return Assistant(Alarm(0.5, 0.1, 0.1), armed=armed)


def feed(who: Assistant, start: float, end: float, score: float = 0.1) -> Decision:
    """Sound pictures with this score, STEP apart, scored at once; the last decision."""
    for tick in range(round(start / STEP), round(end / STEP) + 1):
        who.picture(tick * STEP)
        who.scored(tick * STEP, score)
        decision = who.decide(tick * STEP)
    return decision


@pytest.mark.parametrize(
    ("armed", "score", "state"),
    [
        (False, 0.1, State.STANDBY),
        (False, 0.9, State.STANDBY),
        (True, 0.1, State.VISIBLE),
        (True, 0.9, State.NOT_VISIBLE),
    ],
)
def test_states_of_a_sound_source(armed, score, state):
    assert feed(assistant(armed), 0, 2, score) == Decision(state)


def test_begins_without_signal_and_waits_for_it_to_last():
    who = assistant()
    assert who.decide(0.0) == Decision(State.NO_SIGNAL, "no picture from the source")
    assert feed(who, STEP, RECOVERY).state is State.NO_SIGNAL
    assert feed(who, RECOVERY + STEP, RECOVERY + 2 * STEP).state is State.VISIBLE


def test_arming_shows_at_once_what_the_scores_have_said():
    who = assistant(armed=False)
    feed(who, 0, 2)
    who.armed = True
    assert who.decide(2.0) == Decision(State.VISIBLE)


def test_a_fault_shows_in_standby_too():
    who = assistant(armed=False)
    feed(who, 0, 2)
    assert who.decide(2 + LIMIT + 0.01).state is State.NO_SIGNAL


def silence(who, time):
    """Nothing comes."""


def bad_picture(who, time):
    who.picture(time, "black picture")


def failed(who, time):
    who.picture(time)
    who.scored(time, math.nan, "the model failed: RuntimeError: out of memory")


def not_finite(who, time):
    who.picture(time)
    who.scored(time, math.inf)


def logit(who, time):
    who.picture(time)
    who.scored(time, -3.2)


def no_score(who, time):
    who.picture(time)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (silence, "no picture from the source"),
        (bad_picture, "black picture"),
        (failed, "the model failed: RuntimeError: out of memory"),
        (not_finite, "the model gave inf for a score of 0 to 1"),
        (logit, "the model gave -3.2 for a score of 0 to 1"),
        (no_score, "the model is too slow for the pictures"),
    ],
)
def test_fault_shows_in_time_names_its_cause_and_passes(fault, cause):
    who = assistant()
    feed(who, 0, 2)
    times = [2 + STEP * tick for tick in range(1, 21)]
    shown = []
    for time in times:
        fault(who, time)
        shown.append(who.decide(time))
    assert all(decision.state is State.VISIBLE for decision in shown[:5])
    assert all(decision == Decision(State.NO_SIGNAL, cause) for decision in shown[6:])
    assert times[6] - 2 < 0.5
    assert feed(who, 3 + STEP, 3 + RECOVERY).state is State.NO_SIGNAL
    assert feed(who, 3.55, 3.7).state is State.VISIBLE


def test_a_short_fault_does_not_show():
    who = assistant()
    feed(who, 0, 2)
    for tick in range(1, 6):
        bad_picture(who, 2 + STEP * tick)
        assert who.decide(2 + STEP * tick).state is State.VISIBLE
    assert feed(who, 2.3, 3).state is State.VISIBLE


def test_a_loose_plug_does_not_flicker():
    who, shown = assistant(), set()
    feed(who, 0, 2)
    who.decide(2 + LIMIT + STEP)
    for begin in range(3, 10):  # 0.4 seconds of sound pictures, 0.6 without, again and again
        shown.add(feed(who, begin, begin + 0.4).state)
        shown.add(who.decide(begin + 0.4 + LIMIT + 0.01).state)
    assert shown == {State.NO_SIGNAL}


def test_scores_from_before_a_fault_do_not_count_after_it():
    who = Assistant(Alarm(0.5, 0.1, 2 * RECOVERY), armed=True)
    assert feed(who, 0, 4).state is State.VISIBLE
    who.decide(5.0)
    assert feed(who, 6, 6.6).state is State.NOT_VISIBLE
    assert feed(who, 6.65, 7.0).state is State.VISIBLE


def test_no_feedback_without_its_record():
    who = assistant()
    feed(who, 0, 2)
    who.record_fault = "recording failed: No space left on device"
    assert who.decide(2.0) == Decision(State.NO_SIGNAL, "recording failed: No space left on device")
    who.record_fault = ""
    assert feed(who, 2.05, 3).state is State.VISIBLE


def test_a_program_that_stood_still_says_so():
    who = assistant()
    feed(who, 0, 2)
    who.picture(4.0)
    who.scored(4.0, 0.1)
    assert who.decide(4.0) == Decision(State.NO_SIGNAL, "the program was held up")
    assert feed(who, 4.05, 5).state is State.VISIBLE


EVENTS = st.tuples(
    st.sampled_from(["picture", "bad", "score", "arm", "disarm", "full", "freed", "decide"]),
    st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.4]),  # time that passes before it
    st.sampled_from([0.0, 0.05, 0.4]),  # how old the scored picture is
    st.sampled_from([0.0, 0.1, 0.1, 0.3, 0.45, 0.5, 0.9, math.nan, math.inf, -3.0]),
)


@settings(max_examples=150)
@given(st.lists(EVENTS, max_size=120))
def test_visible_is_never_shown_without_knowing(events):
    who, now, fresh, full, armed = assistant(), 0.0, -math.inf, False, True
    below = []  # arrivals of pictures with a score low enough
    for kind, passed, age, score in events:
        now += passed
        if kind in ("picture", "bad"):
            who.picture(now, "frozen picture" if kind == "bad" else "")
        elif kind == "score":
            who.scored(now - age, score)
            if 0 <= score <= 1:
                fresh = now - age
                below = [*below, fresh] if score < 0.4 else below
        elif kind in ("arm", "disarm"):
            who.armed = armed = kind == "arm"
        elif kind in ("full", "freed"):
            full = kind == "full"
            who.record_fault = "disk full" if full else ""
        state, cause = who.decide(now)
        assert (state is State.NO_SIGNAL) == bool(cause)
        if state is State.VISIBLE:
            assert armed
            assert not full
            assert now - fresh <= LIMIT
            assert below
        if now - fresh > LIMIT or full:
            assert state is State.NO_SIGNAL
            below = []
