"""How fast the simulator is, in frames a second of one core's time."""

import tempfile
import time
from pathlib import Path

import numpy as np

from clipassistnet.simulate.motion import Timeline
from clipassistnet.simulate.render import Renderer
from clipassistnet.simulate.scene import clipper_model, patient
from clipassistnet.simulate.stage import Stage
from clipassistnet.simulate.video import Plan, produce

WIDTH, HEIGHT, FRAMES = 480, 270, 60


def drawing(patients: int = 3, seed: int = 2000) -> float:
    """Median over patients of frames drawn a second: motion, surfaces, light, camera."""
    rates = []
    for number in range(patients):
        root, rng = np.random.SeedSequence([seed, number]), np.random.default_rng(number)
        person = patient(root, WIDTH)
        timeline = Timeline(person, clipper_model(rng, polymer=number % 2 > 0), rng, 20, 2)
        stage, renderer = Stage(timeline), Renderer(person, WIDTH, HEIGHT, root)
        first = timeline.actions[0].start
        for frame in range(first, first + FRAMES + 2):
            if frame == first + 2:  # the kernels are compiled, or loaded, by now
                start = time.process_time()
            moment = timeline.at(frame, WIDTH)
            renderer.draw(stage.surface(moment), moment.view)
        rates.append(FRAMES / (time.process_time() - start))
    return float(np.median(rates))


def whole(seed: int = 2000) -> float:
    """Frames a second of whole videos: the patient, drawing, truth, H.264."""
    plan = Plan("video", "P", "train", "metal", 40, 2, WIDTH, HEIGHT, seed, 1, 1)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        record = produce(plan, Path(folder))
        return record["length"] / (time.process_time() - start)
