"""Recompute the truth at a much higher resolution, on a sample of frames.

`tests/test_simulate_truth.py` also checks it against rays cast at every triangle.
"""

import numpy as np
import pandas as pd

from clipassistnet.simulate.balanced_motion import draw_motion
from clipassistnet.simulate.motion import Motion
from clipassistnet.simulate.renderer import Renderer
from clipassistnet.simulate.scene import Scene
from clipassistnet.simulate.truth import Truth, measure
from clipassistnet.simulate.virtual_patient import draw_clipper_model, draw_patient

WIDTH, HEIGHT, FINER = 256, 144, 4


def recompute(videos: int = 6, seed: int = 1000) -> pd.DataFrame:
    """One row a tip: its visible share as simulated and at four times the resolution, labels too.

    Columns: video, frame, jaw, share, fine_share, label, fine_label.
    """
    rows = []
    for number in range(videos):
        root, rng = np.random.SeedSequence([seed, number]), np.random.default_rng(number)
        person = draw_patient(root, WIDTH)
        motion = draw_motion(person, draw_clipper_model(rng, polymer=number % 2 > 0), rng, 12, 2)
        scene = Scene(motion)
        renderers = [Renderer(person, k * WIDTH, k * HEIGHT, root) for k in (1, FINER)]
        for frame in range(motion.actions[0].start, motion.actions[0].stop, 6):
            found = [_truth(scene, motion, renderer, frame) for renderer in renderers]
            if None in found:
                continue
            for jaw, (tip, fine) in enumerate(zip(*(f.tips for f in found), strict=True), 1):
                rows.append(
                    {"video": number, "frame": frame, "jaw": jaw, "share": tip.visible_share}
                    | {"fine_share": fine.visible_share}
                    | {"label": found[0].label, "fine_label": found[1].label}
                )
    return pd.DataFrame(rows)


def _truth(scene: Scene, motion: Motion, renderer: Renderer, frame: int) -> Truth | None:
    moment = motion.at(frame, renderer.width)
    renderer.draw(scene.surface(moment), moment.view)
    return measure(renderer, moment.view, moment.clipper)
