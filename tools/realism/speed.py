"""How fast the simulator is, in frames a second of one core's time."""

import tempfile
import time
from pathlib import Path

import numpy as np

from clipassistnet.simulate.balanced_motion import draw_motion
from clipassistnet.simulate.renderer import Renderer
from clipassistnet.simulate.scene import Scene
from clipassistnet.simulate.spec import VideoSpec
from clipassistnet.simulate.video import render_video
from clipassistnet.simulate.virtual_patient import draw_clipper_model, draw_patient

WIDTH, HEIGHT, FRAMES = 480, 270, 60


def drawing(patients: int = 3, seed: int = 2000) -> float:
    """Median over patients of frames drawn a second: motion, surfaces, light, camera."""
    rates = []
    for number in range(patients):
        root, rng = np.random.SeedSequence([seed, number]), np.random.default_rng(number)
        person = draw_patient(root, WIDTH)
        motion = draw_motion(person, draw_clipper_model(rng, polymer=number % 2 > 0), rng, 20, 2)
        scene, renderer = Scene(motion), Renderer(person, WIDTH, HEIGHT, root)
        first = motion.actions[0].start
        for frame in range(first, first + FRAMES + 2):
            if frame == first + 2:  # by now the kernels are compiled, or loaded
                start = time.process_time()
            moment = motion.at(frame, WIDTH)
            renderer.draw(scene.surface(moment), moment.view)
        rates.append(FRAMES / (time.process_time() - start))
    return float(np.median(rates))


def whole(seed: int = 2000, *, stills: bool = False) -> float:
    """Frames a second of a whole video (or its stills): patient, motion, drawing, truth, files."""
    spec = VideoSpec(
        video="video",
        patient="P",
        split="train",
        clipper="metal",
        clipper_frames=40,
        absent_frames=2,
        width=WIDTH,
        height=HEIGHT,
        stills=stills,
        seed=seed,
        number=1,
        patient_number=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        record = render_video(spec, Path(folder))
        frames = len(record["frames"]) if stills else record["length"]
        return frames / (time.process_time() - start)
