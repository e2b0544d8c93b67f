"""The answers in an annotation of Label Studio: which label lies on which frames."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from clipassistnet.data.importers.json_export import field, text, typed
from clipassistnet.data.schema import LABELS

SHAPES = ("x", "points", "sequence", "ranges", "format")  # what only regions have
DETAILS = ("cause", "confidence")


class Answer(NamedTuple):
    """What was answered to one control: `region` is the region's id, empty for the whole task."""

    region: str
    control: str
    values: list[str]


class Region(NamedTuple):
    """One region, or the whole task: its answers, and its frames of a video counted from 0.

    `frames` is None for a picture, and for the whole task.
    """

    where: str
    labels: list[str]
    other: str
    attributes: dict[str, str]
    frames: list[int] | None


def regions(results: list[Any], where: str, length: int | None) -> Iterator[Region]:
    """The whole task and its regions.

    Args:
        results: the list `result` of an annotation.
        where: names the annotation in messages.
        length: frames of the task's video; None for a picture.

    Raises:
        ValueError: where a result does not have Label Studio's structure, or where a video's
            length differs, so that its frames were counted at another rate.
    """
    frames: dict[str, list[int] | None] = {"": None}
    places = {"": where}
    for number, result in enumerate(results):
        place = f"{where}.result[{number}]"
        value = typed(result, dict, place).get("value")
        if isinstance(value, dict) and any(name in value for name in SHAPES):
            region = field(result, "id", str, place)
            frames[region], places[region] = _frames(value, place, length), place
    answers = [
        answer
        for number, result in enumerate(results)
        if (answer := _answer(result, frames, f"{where}.result[{number}]"))
    ]
    shared = _details(answers, "")
    for region in frames:
        own = [answer for answer in answers if answer.region == region]
        others = [answer for answer in own if answer.control not in DETAILS]
        labels = [
            value
            for answer in others
            for value in answer.values
            if answer.control == "tip" or value in LABELS
        ]
        other = ", ".join(value for answer in others for value in answer.values)
        if others or region:
            attributes = shared | _details(own, region)
            yield Region(places[region], labels, other, attributes, frames[region])


def _answer(result: dict[str, Any], known: dict[str, Any], where: str) -> Answer | None:
    """The answer of one result; None where it is no answer to a control (a relation)."""
    if "value" not in result:
        return None
    value = field(result, "value", dict, where)
    kind = field(result, "type", str, where)
    given = value.get(kind, value.get("labels", []))
    values = [text(each) for each in (given if isinstance(given, list) else [given])]
    region = result.get("id")
    control = field(result, "from_name", str, where)
    return Answer(region if region in known else "", control, values)


def _details(answers: list[Answer], region: str) -> dict[str, str]:
    return {
        answer.control: " ".join(answer.values)
        for answer in answers
        if answer.region == region and answer.control in DETAILS
    }


def _frames(value: dict[str, Any], where: str, length: int | None) -> list[int] | None:
    """Frames of a region in a video, counted from 0 (Label Studio counts them from 1)."""
    if length is None:
        return None
    if "ranges" in value:
        found: list[int] = []
        for each in field(value, "ranges", list, where):
            start, end = (field(each, name, int, f"{where}: ranges") for name in ("start", "end"))
            found += range(start, end + 1)
    elif "sequence" in value:
        found = _tracked(value, where, length)
    else:
        raise ValueError(f"{where}: a region without frames (expected ranges or a sequence)")
    wrong = [frame for frame in found if not 1 <= frame <= length]
    if wrong:
        raise ValueError(f"{where}: frame {wrong[0]} (expected 1 to {length}, the video's frames)")
    return [frame - 1 for frame in found]


def _tracked(value: dict[str, Any], where: str, length: int) -> list[int]:
    """Frames of a tracked rectangle, from 1: from each key frame to the next one.

    After a key frame that is not `enabled`, the rectangle is hidden.
    """
    count = value.get("framesCount", length)
    if abs(typed(count, int, f"{where}: framesCount") - length) > 1:
        remedy = "give the video's frameRate in the labelling configuration"
        raise ValueError(f"{where}: framesCount {count} (expected {length}: {remedy})")
    keys = sorted(
        (field(each, "frame", int, where), field(each, "enabled", bool, where))
        for each in field(value, "sequence", list, where)
    )
    found: list[int] = []
    for (frame, enabled), (following, _) in pairwise([*keys, (length + 1, False)]):
        found += range(frame, following) if enabled else [frame]
    return found
