"""Motion of a video whose clipping actions hide the tips in a believable share of its frames.

Left to chance, a patient's anatomy would decide whether the tips are seen nearly always or never,
and a network could learn the label from who the patient is. Surgeons look until they see the tips,
and see them for a part of the time only: in each of seven real patients between 52 and 75 % of the
frames are invisible. So each video gets a share from a narrow distribution. Its actions rest by
turns in poses in which the tips are seen and in poses in which they are hidden, and the time in
either is chosen until the share is met. Geometry alone decides this: nothing is drawn.
"""

from __future__ import annotations

import numpy as np

from clipassistnet.simulate.clipping_action import FPS, STEP, ActionDraft, ClippingAction, Stay
from clipassistnet.simulate.instruments import ClipperModel
from clipassistnet.simulate.motion import Motion, Slot
from clipassistnet.simulate.renderer import Renderer
from clipassistnet.simulate.scene import Scene
from clipassistnet.simulate.truth import hidden
from clipassistnet.simulate.virtual_patient import Patient

INVISIBLE, SPREAD, LIMITS = 0.6, 0.04, (0.52, 0.68)  # share of a video's frames, over videos
SEEN_LAST = 0.75  # share of actions whose last stay, before the jaws close, shows the tips
WITHDRAWN = 0.65  # share of the stays with visible tips in which the jaws are withdrawn
_TOLERANCE = 0.03  # of an action's share
_LOWEST, _HIGHEST = 0.4, 0.8  # no action's share lies beyond, even with a frame more or less
_DRAFTS, _TIMINGS = 24, 4  # tried for an action at most
_POSES = 3  # of each kind that are tried at the vessel
_WIDTH = 128  # pixels of the pictures that are traced


class TipProbe:
    """Says in which frames a tip is hidden, from geometry alone and at a small size."""

    def __init__(self, motion: Motion, aspect: float):
        self.motion = motion
        seed = np.random.SeedSequence(0)  # of sensor noise, which is not used
        self.renderer = Renderer(motion.patient, _WIDTH, round(_WIDTH * aspect), seed)

    def hidden(self, action: ClippingAction, frames: np.ndarray) -> np.ndarray:
        """Whether a tip is hidden (n,) in these frames, without those that are not annotated.

        The action follows those that the motion has already.
        """
        earlier = self.motion.actions
        self.motion.actions = [*earlier, action]
        scene, found = Scene(self.motion), []
        for frame in frames:
            moment = self.motion.at(int(frame), _WIDTH)
            if moment.clipper is not None:
                self.renderer.trace(scene.surface(moment), moment.view)
                found.append(hidden(self.renderer, moment.view, moment.clipper))
        self.motion.actions = earlier
        return np.array([one for one in found if one is not None], bool)


def draw_motion(
    patient: Patient,
    model: ClipperModel,
    rng: np.random.Generator,
    clipper_frames: int,
    absent_frames: int,
    aspect: float = 9 / 16,
) -> Motion:
    """Draw the motion of a video (see `Motion`); `aspect` is the picture's height to its width."""
    motion = Motion(patient, model, rng, clipper_frames, absent_frames)
    probe = TipProbe(motion, aspect)
    target = float(np.clip(rng.normal(INVISIBLE, SPREAD), *LIMITS))
    wanted = done = 0.0
    for slot in motion.slots:
        frames = slot.frames // STEP
        wanted += target * frames  # this action makes up for what earlier ones have missed
        share = float(np.clip((wanted - done) / frames, _LOWEST + 0.05, _HIGHEST - 0.05))
        action, share = _draw_action(motion, probe, rng, slot, share)
        motion.actions.append(action)
        done += share * frames
    return motion


def _draw_action(
    motion: Motion, probe: TipProbe, rng: np.random.Generator, slot: Slot, wanted: float
) -> tuple[ClippingAction, float]:
    """An action whose share of invisible frames is as near to the wanted one as can be, its share.

    New actions are drawn until one meets it, ever less exactly; each is tried with several timings.
    """
    frames = np.arange(slot.start, slot.start + slot.frames, STEP)
    frames = frames if len(frames) <= 32 else frames[::2]
    tried: list[tuple[float, ClippingAction, float]] = []
    for number in range(_DRAFTS):
        tolerance = 0.5 / len(frames) + _TOLERANCE * (1 + number / 4)
        low, high = _LOWEST + 1 / len(frames), _HIGHEST - 1 / len(frames)
        draft = ActionDraft(motion.patient, motion.model, rng, slot.start, slot.frames, slot.ways)
        stays, shown = _stays(draft, probe, rng, number / 10)
        both_kinds = shown.any() and not shown.all()
        lengths = rng.uniform(0.6, 1.4, len(stays))
        if tried and not both_kinds:
            continue
        time_hidden = wanted
        for _ in range(_TIMINGS if both_kinds else 1):
            action = draft.action(stays, _lengths(lengths, shown, time_hidden))
            share = float(probe.hidden(action, frames).mean())
            error = abs(share - wanted)
            tried.append((error, action, share))
            if error < tolerance and low <= share <= high:
                return action, share
            earlier = time_hidden
            time_hidden = float(np.clip(time_hidden + 2 * (wanted - share), 0.05, 0.95))
            if time_hidden == earlier:
                break
    _, action, share = min(tried, key=lambda one: one[0])
    return action, share


def _stays(
    draft: ActionDraft, probe: TipProbe, rng: np.random.Generator, ease: float
) -> tuple[list[Stay], np.ndarray]:
    """Stays by turns with the tips seen and hidden, and which show them (n,).

    The last is at the vessel, where the jaws close.
    """
    at_vessel: dict[bool, list[Stay]] = {True: [], False: []}
    for beyond in (True, False) * _POSES:
        stay = draft.draw_stay(rng, beyond=beyond, ease=ease)
        seen = _shows_tips(stay, draft, probe)
        if seen or not beyond:  # no surgeon keeps a pose beyond the vessel that hides the tips
            at_vessel[seen].append(stay)
    drawn = [draft.draw_withdrawn(rng) for _ in range(_POSES)]
    withdrawn = [stay for stay in drawn if _shows_tips(stay, draft, probe)]
    seconds = draft.held * draft.frames / FPS
    count = int(np.clip(round(seconds / rng.uniform(0.9, 1.7)), 2, 12))
    last = rng.random() < SEEN_LAST
    if not at_vessel[last]:  # this place shows only one kind
        last = not last
    shown = (np.arange(count)[::-1] % 2 == 0) == last
    if not (withdrawn + at_vessel[True] and at_vessel[False]):
        shown[:] = bool(withdrawn + at_vessel[True])
    stays = []
    for seen in shown:
        in_front = seen and withdrawn and (not at_vessel[True] or rng.random() < WITHDRAWN)
        poses = withdrawn if in_front else at_vessel[bool(seen)]
        stays.append(poses[rng.integers(len(poses))])
    stays[-1] = at_vessel[last][rng.integers(len(at_vessel[last]))]
    return stays, shown


def _shows_tips(stay: Stay, draft: ActionDraft, probe: TipProbe) -> bool:
    """Whether the tips are seen in a pose; a frame that is not annotated counts as one."""
    alone = draft.action([stay], [1.0])
    return not probe.hidden(alone, np.array([(alone.close + alone.start) // 2])).all()


def _lengths(lengths: np.ndarray, shown: np.ndarray, time_hidden: float) -> np.ndarray:
    """Scale the lengths of the stays so that those with hidden tips take this share of the time."""
    if shown.all() or not shown.any():
        return lengths
    scaled = lengths / np.where(shown, lengths[shown].sum(), lengths[~shown].sum())
    return scaled * np.where(shown, 1 - time_hidden, time_hidden)
