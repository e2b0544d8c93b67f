"""Truth against an independent computation: rays cast at every triangle, without the rasteriser."""

import numpy as np
import pytest

from clipassistnet.simulate.balanced_motion import draw_motion
from clipassistnet.simulate.instruments import CLIP, JAW
from clipassistnet.simulate.raster import SAMPLES
from clipassistnet.simulate.renderer import Renderer
from clipassistnet.simulate.scene import Scene
from clipassistnet.simulate.truth import JOINED, Tip, judge, measure
from clipassistnet.simulate.virtual_patient import draw_clipper_model, draw_patient

WIDTH, HEIGHT = 192, 108


def first_hits(rays, triangles):
    """Index of the nearest front face that each ray (n, 3) from the origin hits, -1 for none."""
    a, b, c = np.moveaxis(triangles, 1, 0)
    first, second = b - a, c - a
    cross = np.cross(rays[:, None], second[None])
    determinant = (cross * first).sum(-1)
    safe = np.where(np.abs(determinant) > 1e-12, determinant, 1.0)
    u = (cross * -a).sum(-1) / safe
    other = np.cross(-a, first)
    v = (rays @ other.T) / safe
    distance = (other * second).sum(-1) / safe
    # Wound clockwise as seen from outside: the determinant of a front face is negative.
    hit = (determinant < 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
    distance = np.where(hit, distance, np.inf)
    return np.where(hit.any(1), distance.argmin(1), -1)


def make_scene(number, *, polymer):
    """A video of one action: its scene, its renderer, its course."""
    seed, rng = np.random.SeedSequence(number), np.random.default_rng(number)
    person = draw_patient(seed, WIDTH)
    motion = draw_motion(person, draw_clipper_model(rng, polymer=polymer), rng, 10, 2)
    return Scene(motion), Renderer(person, WIDTH, HEIGHT, seed), motion


def show(scene, renderer, motion, frame):
    """Draw a frame of an action; its moment and its truth."""
    moment = motion.at(frame, renderer.width)
    renderer.draw(scene.surface(moment), moment.view)
    return moment, measure(renderer, moment.view, moment.tools[0])


def visible_share(renderer, view, jaw, mark):
    """Share of the rays at a tip, nine a pixel, that meet its jaw before anything else."""
    surface, camera = renderer.surface, renderer.patient.camera
    corners = (surface.vertices.astype(float) - view.position) @ view.rotation.T
    triangles = corners[surface.triangles[:, :3]]
    focal = camera.focal * WIDTH
    flat = triangles[..., :2] / triangles[..., 2:] * focal + (WIDTH / 2, HEIGHT / 2)
    tip = surface.tip == mark
    low, high = flat[tip].min((0, 1)), flat[tip].max((0, 1))
    steps = np.arange(1 / 6, 400, 1 / 3)
    x, y = np.meshgrid(*(a + steps[steps < b - a] for a, b in zip(low, high, strict=True)))
    x, y = x.ravel(), y.ravel()
    directions = (x - WIDTH / 2) / focal, (y - HEIGHT / 2) / focal, np.ones(len(x))
    rays = np.stack(directions, 1)
    at_tip = first_hits(rays, triangles[tip]) >= 0
    rays, x, y = rays[at_tip], x[at_tip], y[at_tip]
    near = (
        (triangles[..., 2].min(1) > 4) & (flat.min(1) <= high).all(1) & (flat.max(1) >= low).all(1)
    )
    hits = first_hits(rays, triangles[near])
    own = np.isin(surface.part[near][hits], (JAW + jaw, CLIP + jaw)) & (hits >= 0)
    field = np.array(camera.field) * (WIDTH, HEIGHT, WIDTH)
    inside = (x > 0) & (x < WIDTH) & (y > 0) & (y < HEIGHT)
    inside &= np.hypot(x - field[0], y - field[1]) < field[2]
    return (own & inside).mean()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_visible_shares_agree_with_rays(number):
    scene, renderer, motion = make_scene(number, polymer=False)
    action, compared = motion.actions[0], []
    for frame in range(action.start, action.stop, 6):
        moment, truth = show(scene, renderer, motion, frame)
        if moment.tools[0].opening < JOINED or truth is None:
            continue
        for jaw, tip in enumerate(truth.tips):
            expected = visible_share(renderer, moment.view, jaw, 1 + jaw)
            compared.append((tip.visible_share, expected))
    got, expected = np.array(compared).T
    assert len(got) >= 8
    assert np.abs(got - expected).max() < 0.12  # a tip is some dozens of subpixels at this size
    assert np.abs(got - expected).mean() < 0.025


def test_shares_and_labels_hold_at_higher_resolution():
    scene, coarse, motion = make_scene(5, polymer=True)
    fine = Renderer(motion.patient, 4 * WIDTH, 4 * HEIGHT, np.random.SeedSequence(5))
    action, differences = motion.actions[0], []
    for frame in range(action.start, action.stop, 6):
        found = [show(scene, renderer, motion, frame)[1] for renderer in (coarse, fine)]
        if None in found:
            continue
        for tip, same in zip(found[0].tips, found[1].tips, strict=True):
            differences.append(tip.visible_share - same.visible_share)
            assert np.allclose([tip.x, tip.y], [same.x / 4, same.y / 4], atol=0.3)
    assert len(differences) >= 12
    assert np.abs(differences).mean() < 0.04


@pytest.mark.parametrize("number", [2, 8])
def test_an_unhidden_tip_is_drawn_where_truth_says(number):
    scene, renderer, motion = make_scene(number, polymer=False)
    checked = 0
    for frame in range(motion.actions[0].start, motion.actions[0].stop, 2):
        moment, truth = show(scene, renderer, motion, frame)
        parts = renderer.parts()
        for jaw, tip in enumerate(truth.tips if truth else ()):
            if tip.visible_share == 1.0 and moment.tools[0].opening > JOINED:
                x, y = round(tip.x * SAMPLES), round(tip.y * SAMPLES)
                around = parts[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
                assert np.isin(around, (JAW + jaw, CLIP + jaw)).any()
                checked += 1
    assert checked >= 3


CLEAR = (Tip(1, 1, 1.0, "none"), Tip(2, 2, 0.9, "none"))


@pytest.mark.parametrize(
    ("tips", "filled", "blur", "smoke", "level", "expected"),
    [
        (CLEAR, 0.05, 0.0, 0.0, 90, ("visible", "none")),
        (
            (CLEAR[0], Tip(2, 2, 0.4, "occluded_tool")),
            0.05,
            0.0,
            0.0,
            90,
            ("invisible", "occluded_tool"),
        ),
        (CLEAR, 0.001, 0.0, 0.0, 90, ("invisible", "unrecognisable")),
        (CLEAR, 0.05, 0.06, 0.0, 90, ("invisible", "blur")),
        (CLEAR, 0.05, 0.04, 0.0, 90, ("visible", "none")),
        (CLEAR, 0.05, 0.0, 0.8, 90, ("invisible", "contrast")),
        (CLEAR, 0.05, 0.0, 0.0, 5, ("invisible", "contrast")),
    ],
)
def test_the_guidelines_rules(tips, filled, blur, smoke, level, expected):
    assert judge(tips, filled, blur, smoke, level)[:2] == expected


def test_a_frame_at_the_threshold_is_the_most_ambiguous():
    def ambiguity(share):
        return judge((Tip(1, 1, share, "none"),) * 2, 0.05, 0.0, 0.0, 90)[2]

    assert ambiguity(0.5) > ambiguity(0.65) > ambiguity(0.9)
