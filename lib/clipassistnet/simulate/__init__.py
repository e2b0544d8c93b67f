"""Simulated laparoscopic videos with the exact visibility of each jaw's tip."""

from clipassistnet.simulate.dataset_folder import simulate
from clipassistnet.simulate.spec import Spec, video_specs

__all__ = ["Spec", "simulate", "video_specs"]
