"""Truth recomputed at a much higher resolution, on a sample of frames.

`tests/test_simulate_truth.py` checks it against rays cast at every triangle as well.
"""

import numpy as np
import pandas as pd

from clipassistnet.simulate.motion import Timeline
from clipassistnet.simulate.render import Renderer
from clipassistnet.simulate.scene import clipper_model, patient
from clipassistnet.simulate.stage import Stage
from clipassistnet.simulate.truth import measure

WIDTH, HEIGHT, FINER = 256, 144, 4


def recompute(videos: int = 6, seed: int = 1000) -> pd.DataFrame:
    """One row a tip: its visible share as simulated and at four times the resolution, labels too.

    Columns: video, frame, jaw, share, fine_share, label, fine_label.
    """
    rows = []
    for number in range(videos):
        root, rng = np.random.SeedSequence([seed, number]), np.random.default_rng(number)
        person = patient(root, WIDTH)
        timeline = Timeline(person, clipper_model(rng, polymer=number % 2 > 0), rng, 12, 2)
        stage = Stage(timeline)
        renderers = [Renderer(person, k * WIDTH, k * HEIGHT, root) for k in (1, FINER)]
        for frame in range(timeline.actions[0].start, timeline.actions[0].stop, 6):
            found = [_truth(stage, timeline, renderer, frame) for renderer in renderers]
            if None in found:
                continue
            for jaw, (tip, fine) in enumerate(zip(*(f.tips for f in found), strict=True), 1):
                rows.append(
                    {"video": number, "frame": frame, "jaw": jaw, "share": tip.visible_share}
                    | {"fine_share": fine.visible_share}
                    | {"label": found[0].label, "fine_label": found[1].label}
                )
    return pd.DataFrame(rows)


def _truth(stage: Stage, timeline: Timeline, renderer: Renderer, frame: int):
    moment = timeline.at(frame, renderer.width)
    renderer.draw(stage.surface(moment), moment.view)
    clipper = next((tool for tool in moment.tools if tool.kind == "clipper"), None)
    return measure(renderer, moment.view, clipper)
